"""What does a handler have at hand? The shop it speaks for, and the counters all share.

`Visit` holds one request's own facts. `ShopLike` is all that the service knows of a shop; a test hands in a small one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from bodega.engine.deadline import Clock
from bodega.engine.erasure import Erasures
from bodega.engine.experiments.door import Experiments
from bodega.engine.front import Helped, Offers, Variants
from bodega.engine.insights import Insight
from bodega.engine.judged.door import Judgments
from bodega.engine.knowledge import Knowledge
from bodega.engine.loop.state import AuditLine, LoopState
from bodega.engine.office import Office
from bodega.engine.photo import Photos
from bodega.engine.privacy import Privacy
from bodega.engine.relations import Connection, Relations
from bodega.engine.renewing import Renews
from bodega.engine.reviews import Reviews
from bodega.engine.rulebooks import Rules
from bodega.engine.steering import Steers
from bodega.engine.why_not import WhyNot
from bodega.errors import LimitError
from bodega.protocols import DeadLetterBox, KeyStore, Written
from bodega.schema import Completion, Event, Item, Page, Request
from bodega.service.keys import Keyring
from bodega.service.limits import Buckets, Waiting
from bodega.service.looking import Looking
from bodega.service.metrics import Telemetry
from bodega.service.rates import SharedBuckets, buckets_of
from bodega.service.sessions import Sessions
from bodega.service.tracing import Trace
from bodega.settings import Settings


class Catalog(Protocol):
    def upsert(self, items: Sequence[Item]) -> Written: ...
    def delete(self, ids: Sequence[str]) -> int: ...
    def get(self, item_id: str) -> Item: ...


class Events(Protocol):
    def submit(self, events: Sequence[Event]) -> Future[Written]: ...


class Stores(Protocol):
    @property
    def dead(self) -> DeadLetterBox: ...


class Reads(Protocol):
    """What reads a stream of events beside the server; `bodega.events.consuming.Consuming` fits."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def lag(self) -> Mapping[tuple[str, int], int]:
        """{(stream, partition): records that are not stored yet}."""
        ...


class Loops(Protocol):
    """How the shop learns by itself; `bodega.engine.loop.door.Loop` fits."""

    error: str

    @property
    def switch(self) -> Literal["human", "auto"]: ...
    @property
    def state(self) -> LoopState: ...
    @property
    def running(self) -> bool: ...
    def trail(self, limit: int = 100) -> list[AuditLine]: ...
    def measured(self) -> dict[str, Any]: ...
    def start(self) -> bool: ...
    def approve(self, who: str) -> LoopState: ...
    def reject(self, who: str, why: str = "") -> LoopState: ...


class SnapshotLine(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def current(self) -> bool: ...
    @property
    def time(self) -> datetime: ...


class FrontLike(Protocol):
    """What a shop front asks beside lists; `bodega.engine.front.Front` fits."""

    def offers(self) -> Offers: ...
    def variants(self, item: str) -> Variants: ...
    def helpful(self, review: str, voter: str, *, helped: bool = True) -> Helped: ...


class ShopLike(Protocol):
    """The part of a shop that is asked over HTTP; `bodega.engine.shop.Shop` fits."""

    @property
    def settings(self) -> Settings: ...
    @property
    def folder(self) -> Path: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def events(self) -> Events: ...
    @property
    def stores(self) -> Stores: ...
    @property
    def keys(self) -> KeyStore: ...
    @property
    def rules(self) -> Rules: ...
    @property
    def steering(self) -> Steers: ...
    @property
    def experiments(self) -> Experiments: ...
    @property
    def knowledge(self) -> Knowledge: ...
    @property
    def judgments(self) -> Judgments: ...
    @property
    def loop(self) -> Loops: ...
    @property
    def insight(self) -> Insight: ...
    @property
    def privacy(self) -> Privacy: ...
    @property
    def erasures(self) -> Erasures: ...
    @property
    def reviews(self) -> Reviews: ...
    @property
    def office(self) -> Office: ...
    @property
    def front(self) -> FrontLike: ...
    @property
    def photos(self) -> Photos: ...
    def photographed(self, request: Request) -> Request: ...
    @property
    def consuming(self) -> Reads | None: ...
    def answer(self, request: Request) -> Page: ...
    def why_not(self, request: Request, item: str) -> WhyNot: ...
    def relations(self, item: str, *, relation: str = "", k: int = 10) -> Relations: ...
    def connections(self, one: str, other: str, *, language: str = "", k: int = 5) -> list[Connection]: ...
    def suggest(
        self, prefix: str, k: int, *, user: str = "", session: str = "", personal: bool = True
    ) -> Sequence[Completion]: ...
    def fields(self) -> Sequence[str]: ...
    def values(self, field: str) -> Sequence[str]: ...
    def health(self) -> dict[str, Any]: ...
    def standing(self) -> dict[str, Any]: ...
    def ping(self) -> None: ...
    def reload(self) -> str: ...
    def restock(self) -> None: ...
    def published(self) -> str: ...
    def catch_up(self) -> None: ...
    def snapshots(self) -> Sequence[SnapshotLine]: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handlers of one application share."""

    shop: ShopLike
    keyring: Keyring
    buckets: Buckets | SharedBuckets
    shoppers: Buckets | SharedBuckets
    """How often one shopper may ask, whichever addresses and workers that goes through, where the settings limit it."""
    waiting: Waiting
    telemetry: Telemetry
    looking: Looking
    """What looks at photos."""
    sessions: Sessions
    """Who sits at the console."""

    @property
    def settings(self) -> Settings:
        return self.shop.settings

    def clock(self, visit: Visit) -> Clock:
        """The clock of a list: the settings' deadline, or the shorter one that the caller brought."""
        chosen = self.settings.answer
        bounds = [bound for bound in (visit.deadline_ms, chosen.deadline_ms) if bound > 0]
        return Clock(min(bounds, default=math.inf), chosen.remote_ms, began=visit.started)

    def whose(self, request: Request, visit: Visit) -> Request:
        """The request, nobody's where the caller's browser objects to being recognised. Raises LimitError for a shopper
        who asks too often (a program with one id and many addresses), whoever else stands behind the same key."""
        if self.settings.serve.shopper_per_second and visit.key and (request.user or request.session):
            self._spend(self.shoppers, request)
        return self.shop.privacy.asked(request, gpc=True) if visit.gpc else request

    def _spend(self, shoppers: Buckets | SharedBuckets, request: Request) -> None:
        wait = shoppers.take(f"u{request.user}" if request.user else f"s{request.session}")
        if wait:
            serve = self.settings.serve
            error = LimitError(
                "this shopper asks too often",
                code="limit.shopper",
                where="user" if request.user else "session",
                allowed=f"{serve.shopper_per_second:g} lists a second, {serve.shopper_burst} at once",
                next="ask again after Retry-After seconds, or raise serve.shopper_per_second",
            )
            error.retry_after = max(1, math.ceil(wait))
            raise error

    def renew(self, fresh: Settings) -> bool:
        """Act by changed settings, as far as they need no restart; whether anything changed."""
        changed = isinstance(self.shop, Renews) and self.shop.renew(fresh)
        if changed:
            serve = self.settings.serve
            self.buckets.renew(serve.requests_per_second, serve.burst)
            self.shoppers.renew(serve.shopper_per_second, serve.shopper_burst)
        return changed

    @classmethod
    def over(cls, shop: ShopLike) -> Desk:
        serve = shop.settings.serve
        return cls(
            shop=shop,
            keyring=Keyring(shop.keys.find),
            buckets=buckets_of("callers", serve.requests_per_second, serve.burst),
            shoppers=buckets_of("shoppers", serve.shopper_per_second, serve.shopper_burst),
            waiting=Waiting(serve.waiting),
            telemetry=Telemetry(),
            looking=Looking(shop),
            sessions=Sessions(shop.folder, shop.keys.list, shop.settings.console),
        )


@dataclass(slots=True)
class Visit:
    """One request's facts, from its first byte to its log line."""

    id: str
    """Id of the request: the caller's own (header X-Request-Id), else the page's, else drawn."""
    named: bool
    """Did the caller bring the id?"""
    address: str
    """Network address of the client, "" when it has none (in-process calls)."""
    started: float = field(default_factory=time.perf_counter)
    key: str = ""
    """Id (never the text) of the API key."""
    label: str = ""
    """What the key is for: whom the audit trails name."""
    place: str = ""
    engine_seconds: float = 0.0
    error: str = ""
    """Class and id of the error that was answered."""
    trace: Trace | None = None
    """The trace that the caller named (header traceparent)."""
    gpc: bool = False
    """Does the caller's browser send `Sec-GPC: 1`?"""
    deadline_ms: float = 0.0
    """What the caller brought as X-Deadline-Ms; 0: nothing."""
    stages: dict[str, float] = field(default_factory=dict)
    """{stage: seconds} of a list."""


def visit_of(scope: Mapping[str, Any]) -> Visit:
    """The facts of the request with this ASGI scope."""
    visit: Visit = scope["state"]["visit"]
    return visit


def as_json(value: Any) -> bytes:
    return msgspec.json.encode(value)
