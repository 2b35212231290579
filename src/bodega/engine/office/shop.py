"""What does the back office need of a shop? And how it asks for pages without leaving a trace.

A page that an operator looks at is no page that a shopper saw: it is asked of the engine itself, so that nothing is
written to the log of answers, nothing is tried out by chance, and no counter moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from bodega.engine.answer import Engine
from bodega.engine.gallery import Gallery
from bodega.engine.knowledge import Knowledge
from bodega.engine.privacy import Privacy
from bodega.engine.rulebooks import Rules
from bodega.errors import NotLearned, SnapshotCorrupt
from bodega.protocols import CatalogStore, EventStore
from bodega.schema import Page, Request
from bodega.settings import Settings

SPANS = (1.0, 30.0, 400.0)
"""Days in which the newest event is looked for, before everything is."""


class OfficeStores(Protocol):
    @property
    def catalog(self) -> CatalogStore: ...
    @property
    def events(self) -> EventStore: ...


class OfficeShop(Protocol):
    """The part of a shop that the back office works with; `bodega.engine.shop.Shop` fits."""

    @property
    def folder(self) -> Path: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def stores(self) -> OfficeStores: ...
    @property
    def privacy(self) -> Privacy: ...
    @property
    def knowledge(self) -> Knowledge: ...
    @property
    def rules(self) -> Rules: ...
    @property
    def gallery(self) -> Gallery | None: ...
    def answer(self, request: Request) -> Page: ...
    def snapshots(self) -> Sequence[Any]: ...
    def published(self) -> str: ...
    def rollback(self, snapshot: str = "") -> str: ...


def engine_of(shop: OfficeShop) -> Engine | None:
    """The engine that answers; None where nothing was learned (or there is none at all)."""
    try:
        return cast("Engine | None", getattr(shop, "engine", None))
    except (NotLearned, SnapshotCorrupt):
        return None


def looked_at(shop: OfficeShop, request: Request) -> Page:
    """A page as this shopper would get it, asked by an operator: it leaves no trace. Raises BadRequest, NotLearned."""
    engine = engine_of(shop)
    if engine is None:
        return shop.answer(request)
    return engine.answer(shop.privacy.asked(request), shop.rules.book, None)


def searcher(shop: OfficeShop) -> Callable[[str, int], list[str]] | None:
    """The shop's own search, by nobody in particular; None where nothing was learned."""
    if engine_of(shop) is None:
        return None
    return lambda words, k: looked_at(shop, Request(place="search", query=words, k=k, personal=False)).ids


def newest_event(shop: OfficeShop) -> float:
    """Seconds since 1970 of the newest event; of now where there is none."""
    engine = engine_of(shop)
    live = engine.learned.live if engine is not None else None
    if live is not None and np.isfinite(live.newest):
        return float(live.newest)
    now = time.time()
    for days in SPANS:
        newest = max((float(rows.time[-1]) for rows in shop.stores.events.since(now - days * 86_400.0)), default=0.0)
        if newest:
            return newest
    return max((float(rows.time[-1]) for rows in shop.stores.events.since(0.0)), default=now)
