"""How do items and events come in, and what is known of them? `shop.catalog` and `shop.events`.

Both write through the shop's stores first and tell the shop afterwards, so that the next answer knows: a change of the
catalog restocks the shelf, an event reaches the shopper's state. Cost: that of the stores.
Not for: reading rows (`feeds`, `catalog`, `events`) or keeping bytes (`adapters`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec

from bodega import failpoints
from bodega.catalog import Diagnosis, ItemOptions, examine, import_items
from bodega.engine.gallery import Gallery
from bodega.engine.hearing import Kind
from bodega.engine.knowledge import Knowledge
from bodega.engine.online import Shoppers
from bodega.engine.privacy import Privacy
from bodega.engine.trials import DecisionStore
from bodega.errors import UnknownItem
from bodega.events import EventOptions, import_events
from bodega.events.people import PeopleStore
from bodega.insight.attribution import Logbook
from bodega.protocols import (
    Along,
    AnswerStore,
    CatalogStore,
    DeadLetterBox,
    EventStore,
    EventSummary,
    ExperimentStore,
    FactStore,
    ImportReport,
    JudgmentStore,
    KeyStore,
    NoProgress,
    Progress,
    ReviewStore,
    RuleStore,
    Summarises,
    Written,
)
from bodega.schema import DeadLetter, Event, Item, Page
from bodega.schema.people import Word
from bodega.settings import Settings

LOGGER = logging.getLogger("bodega.intake")


class Stores(Protocol):
    """The open stores of a shop."""

    @property
    def catalog(self) -> CatalogStore: ...
    @property
    def events(self) -> EventStore: ...
    @property
    def dead(self) -> DeadLetterBox: ...
    @property
    def keys(self) -> KeyStore: ...
    @property
    def rules(self) -> RuleStore: ...
    @property
    def people(self) -> PeopleStore: ...
    @property
    def facts(self) -> FactStore: ...
    @property
    def answers(self) -> AnswerStore: ...
    @property
    def logbook(self) -> Logbook: ...
    @property
    def decisions(self) -> DecisionStore: ...
    @property
    def reviews(self) -> ReviewStore: ...
    @property
    def experiments(self) -> ExperimentStore: ...
    @property
    def judgments(self) -> JudgmentStore: ...
    def close(self) -> None: ...


class Shop(Protocol):
    """What is told of everything that came in."""

    settings: Settings
    analytics: Summarises
    shoppers: Shoppers
    privacy: Privacy
    knowledge: Knowledge
    gallery: Gallery | None

    @property
    def stores(self) -> Stores: ...
    @property
    def learned(self) -> bool: ...
    def restock(self) -> None: ...
    def acknowledged(self, events: Sequence[Event]) -> None: ...
    def stored_before(self, ids: Sequence[str]) -> None: ...
    def told(self, kind: Kind) -> None: ...
    def recount(self) -> None: ...
    def search(self, query: str, *, k: int = 20) -> Page: ...


Rows = Iterable[dict[str, object] | Item]
Happenings = Iterable[dict[str, object] | Event]


@dataclass(frozen=True, slots=True)
class Feeding:
    """How a file is read: all optional, all inferred and shown otherwise."""

    format: str | None = None
    """csv, tsv, jsonl, parquet, xml, shopify, woocommerce, google, algolia, magento."""
    mapping: Mapping[str, str] | None = None
    """{field of ours: column of theirs}."""
    bad_rows_limit: float | None = None
    """Share of bad rows at which the import stops (default: settings.ingest.bad_rows_limit)."""


class Catalog:
    """`shop.catalog`: what is for sale."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def add(
        self, source: Path | str | Rows, *, how: Feeding = Feeding(), progress: Progress | None = None
    ) -> ImportReport:
        """Import a file (or rows); returns what was done. Raises BadFeed, TooManyBadRows."""
        shop = self._shop
        options = ItemOptions(
            format=how.format,
            mapping=how.mapping or {},
            settings=shop.settings,
            progress=progress or NoProgress(),
            limit=how.bad_rows_limit,
        )
        report = import_items(source, shop.stores.catalog, shop.stores.dead, options)
        shop.restock()
        shop.told(Kind.RESTOCK)
        return report

    def upsert(self, items: Sequence[Item]) -> Written:
        """Add or replace items: durable, and part of the next answer."""
        written = self._shop.stores.catalog.upsert(items)
        if failpoints.ON:
            failpoints.reach("catalog.changed")
        self._shop.restock()
        self._shop.told(Kind.RESTOCK)
        return written

    def delete(self, ids: Sequence[str]) -> int:
        """Remove items: durable, and gone from the next answer. Returns how many were there."""
        count = self._shop.stores.catalog.delete(ids)
        if failpoints.ON:
            failpoints.reach("catalog.changed")
        self._shop.restock()
        self._shop.told(Kind.RESTOCK)
        return count

    def get(self, item_id: str) -> Item:
        """One item. Raises UnknownItem."""
        found = self._shop.stores.catalog.get([item_id]).get(item_id)
        if found is None:
            raise UnknownItem(
                "the catalog holds no such item",
                code="item.unknown",
                where="catalog.get",
                got=item_id,
                next="check the id",
            )
        return found

    def count(self) -> int:
        return self._shop.stores.catalog.count()

    def doctor(self) -> Diagnosis:
        """What hurts findability, with examples and fixes; asks the shop's own search where it has learned."""
        search = None
        if self._shop.learned:
            search = lambda query, k: self._shop.search(query, k=k).ids  # noqa: E731
        found = examine(self._shop.stores.catalog.scan(), search, self._shop.settings.kinds)
        mined = self._shop.knowledge.findings(found.n_items)
        if self._shop.gallery is not None:
            mined += self._shop.gallery.findings(found.n_items)
        return msgspec.structs.replace(found, findings=(*found.findings, *mined)) if mined else found


class Events:
    """`shop.events`: what happened."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def add(
        self, source: Path | str | Happenings, *, how: Feeding = Feeding(), progress: Progress | None = None
    ) -> ImportReport:
        """Import a file (or rows); bad rows go to the dead letter box. Raises BadFeed, TooManyBadRows."""
        shop = self._shop
        options = EventOptions(
            format=how.format,
            mapping=how.mapping or {},
            settings=shop.settings,
            progress=progress or NoProgress(),
            bad_rows_limit=how.bad_rows_limit,
        )
        report = import_events(Path(source) if isinstance(source, str) else source, self, shop.stores.dead, options)
        shop.shoppers.forget_all()
        shop.recount()
        shop.told(Kind.FORGET)
        return report

    def append(self, events: Sequence[Event]) -> Written:
        """Store what may be kept of a batch, and tell nobody: an import does that at its end."""
        kept = self._shop.privacy.admitted(events)
        return replace(self._shop.stores.events.append(kept), withheld=len(events) - len(kept))

    def submit(self, events: Sequence[Event], *, along: Along | None = None) -> Future[Written]:
        """Store events; when the future is done they are durable and the next answer knows them.

        What a shopper did not agree to, and what was done before its shopper was forgotten, is `withheld`.

        `along` is stored in the same transaction: how far a stream has come, what of it could not be used, and what was
        said about consent among the events: each word holds for the events behind it.
        """
        done: Future[Written] = Future()
        along = along and replace(along, said=[(at, self._shop.privacy.masked(words)) for at, words in along.said])
        kept = self._admitted(events, along.said if along is not None else ())

        def acknowledge(stored: Future[Written]) -> None:
            try:
                written = replace(stored.result(), withheld=len(events) - len(kept))
                if failpoints.ON:
                    failpoints.reach("events.acknowledge")
                if along is not None and along.said:
                    self._shop.privacy.changed(states=False)
                self._shop.stored_before(written.repeated)
                refused = set(written.conflicts)
                self._acknowledged([event for event in kept if event.id not in refused])
                done.set_result(written)
            except BaseException as error:
                done.set_exception(error)

        self._shop.stores.events.submit(kept, along=along).add_done_callback(acknowledge)
        return done

    def _admitted(self, events: Sequence[Event], said: Sequence[tuple[int, Sequence[Word]]]) -> list[Event]:
        """The events that may be kept, each judged by what was said before it."""
        kept: list[Event] = []
        so_far: list[Word] = []
        begin = 0
        for end, words in [*said, (len(events), ())]:
            kept += self._shop.privacy.admitted(events[begin:end], said=so_far)
            begin = end
            so_far += words
        return kept

    def _acknowledged(self, events: Sequence[Event]) -> None:
        """Tell the shop. Events that are durable are acknowledged even where that fails: states are read anew then."""
        try:
            self._shop.acknowledged(events)
        except Exception as error:
            LOGGER.error("events are stored, and could not be taken into the states in memory", exc_info=error)
            self._shop.shoppers.forget_all()

    def record(self, events: Sequence[Event]) -> Written:
        """`submit` and wait."""
        return self.submit(events).result()

    def dead(self, *, kind: str = "", reason: str = "", limit: int = 50) -> list[DeadLetter]:
        """Rows that could not be used, newest first, with the reason and the raw row."""
        return self._shop.stores.dead.list(kind=kind, reason=reason, limit=limit)

    def summary(self, *, days: int = 30) -> EventSummary:
        """The last days in numbers: events a day, top items, funnel, top and unanswered queries."""
        return self._shop.analytics.summary(days=days)

    def count(self) -> int:
        return self._shop.stores.events.count()
