"""`shop.steering`: how a page came about, what became of a query, and what a rule would have done, before it acts.

Three questions of the console that are asked of the shop's own engine and log: `inspect` (one request taken apart, two
settings side by side), `story` (what shoppers did after a query, and what may mend it), `effect` (a draft measured on
the searches of the last weeks). None of them changes anything but what is remembered: the log of searches and the mined
synonyms for ten minutes.
Cost: see `inspecting`, `fixing`, `effect`. Not for: publishing (`rules.put` does, and can be undone).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from bodega.engine.answer import Engine
from bodega.engine.drifting import since_of
from bodega.engine.effect import Effect, Measuring, effect
from bodega.engine.experiments.beside import Beside
from bodega.engine.fixing import Mending, Story, story
from bodega.engine.health import Health
from bodega.engine.inspecting import InspectAsked, Inspection, inspect, wanted
from bodega.engine.intake import Stores
from bodega.engine.learn import Parts
from bodega.engine.online import Shoppers
from bodega.engine.privacy import Privacy
from bodega.engine.rulebooks import Rules
from bodega.engine.searched import FRESH, SearchLogs
from bodega.engine.snapshot import Snapshots
from bodega.errors import BadRequest
from bodega.protocols import EventRows
from bodega.ranking.rules import RuleBook
from bodega.schema import Item, Request, Rule, checked_rule
from bodega.settings import Settings
from bodega.understanding.query.synonyms import Proposal

QUERIES_LIMIT = 100
PAGE = 100
PATIENCE = 1.0
"""Seconds that an answer waits for synonyms to be mined."""
LOGGER = logging.getLogger("bodega.engine")


@dataclass(frozen=True, slots=True)
class Around:
    """What `Steering` needs of the shop."""

    engine: Callable[[], Engine]
    asked: Callable[[Request], Request]
    """The request as the shop takes it: whose it is, its photo looked at."""
    book: Callable[[], RuleBook]
    events: Callable[[int], Iterable[EventRows]]
    """The events since then (microseconds), as far as they may be learned from."""
    synonyms: Callable[[], Sequence[Proposal]]
    beside: Callable[[str], Engine]
    """An engine over another snapshot. Raises BadRequest for one that is not there, SnapshotCorrupt, NotLearned."""
    people: int
    """Different people who must have asked a query before it is told."""


class Steered(Protocol):
    """The part of a shop that this needs; `engine.shop.Shop` fits."""

    settings: Settings
    privacy: Privacy
    rules: Rules
    shoppers: Shoppers
    stores: Stores

    @property
    def engine(self) -> Engine: ...
    def photographed(self, request: Request) -> Request: ...
    def synonyms(self) -> Sequence[Proposal]: ...


def around(shop: Steered, snapshots: Snapshots, parts: Parts) -> Around:
    """What a shop gives for this: each is asked anew, as engine and rules are replaced while it is open."""
    return Around(
        engine=lambda: shop.engine,
        asked=lambda request: shop.photographed(shop.privacy.asked(request)),
        book=lambda: shop.rules.book,
        events=lambda since: shop.privacy.learnable(shop.stores.events.scan(since=since)),
        synonyms=shop.synonyms,
        beside=lambda name: _opened(shop, snapshots, parts, name),
        people=shop.settings.understand.people,
    )


def _opened(shop: Steered, snapshots: Snapshots, parts: Parts, name: str) -> Engine:
    """An engine over another snapshot, up to date with events and catalog."""
    there = [*(info.id for info in snapshots.infos()), *snapshots.beside()]
    if name not in there:
        raise BadRequest(
            "there is no such snapshot",
            code="steering.no_snapshot",
            where="snapshot",
            allowed=", ".join(there),
            got=name,
            next="bodega snapshots",
        )
    opened = Beside(name, snapshots, parts)
    opened.restock(shop.stores.catalog)
    opened.follow(shop.stores.events, shop.privacy, shop.shoppers, shop.settings)
    return Engine(opened.learned, opened.shelf, shop.shoppers, shop.settings)


class Steers(Protocol):
    """What is asked over HTTP; `Steering` fits."""

    def inspect(self, asked: InspectAsked) -> Inspection: ...
    def story(self, query: str, language: str = "") -> Story: ...
    def effect(self, rule: Rule, queries: Sequence[str] = ()) -> Effect: ...


class Steering:
    """See the top of the file."""

    def __init__(self, around: Around) -> None:
        self.around = around
        self._logs = SearchLogs(self._weeks)
        self._mined: tuple[float, tuple[Proposal, ...]] = (-FRESH, ())
        self._twin: tuple[Engine, Engine] | None = None
        self._beside: tuple[float, str, Engine] | None = None
        self._opening = threading.Lock()
        self._miner: threading.Thread | None = None
        self._lock = threading.Lock()

    def inspect(self, asked: InspectAsked) -> Inspection:
        """Raises BadRequest, NotLearned."""
        request = self.around.asked(wanted(asked))
        return inspect(self._engine_of, self.around.book(), request, asked)

    def story(self, query: str, language: str = "") -> Story:
        """What became of a query in the last four weeks, and what may mend it. Raises BadRequest, NotLearned."""
        if not query.strip():
            raise BadRequest(
                "there are no words", code="steering.no_words", where="query", allowed="what a shopper typed", got=query
            )
        engine, around = self._engine(), self.around
        asking = Request(place="search", query=query, k=PAGE, personal=False, language=language)
        made = Mending(
            self._logs.log(), engine.answer(asking, around.book()), self._item, around.people, self._synonyms()
        )
        return story(made, query)

    def effect(self, rule: Rule, queries: Sequence[str] = ()) -> Effect:
        """What the rule would have done to the searches of the last four weeks; `queries` are looked at in any case.

        Raises BadRequest, NotLearned.
        """
        if len(queries) > QUERIES_LIMIT:
            raise BadRequest(
                "too many queries",
                code="steering.too_many",
                where="queries",
                allowed=f"{QUERIES_LIMIT}",
                got=len(queries),
            )
        draft = checked_rule(rule)
        draft = draft if draft.id else msgspec.structs.replace(draft, id="draft")
        engine, around = self._engine(), self.around
        made = Measuring(engine.answer, around.book(), self._logs.log(), around.people, self._item)
        return effect(made, draft, queries)

    def forget(self) -> None:
        """Read the log anew the next time: somebody was erased."""
        self._logs.forget()
        self._mined = (-FRESH, ())

    def _engine(self) -> Engine:
        """The shop's engine with a health of its own: a part that is slow while many pages are compared must not be
        left out of shoppers' pages for it."""
        engine, held = self.around.engine(), self._twin
        if held is None or held[0] is not engine:
            learned = replace(engine.whole, health=Health())
            held = self._twin = (engine, Engine(learned, engine.shelf, engine.shoppers, engine.settings))
        return held[1]

    def _engine_of(self, snapshot: str) -> Engine:
        """The engine over a snapshot: the shop's own, or one that is opened beside it and kept for ten minutes."""
        engine = self._engine()
        if snapshot in ("", engine.learned.snapshot):
            return engine
        with self._opening:
            if self._beside is None or self._beside[1] != snapshot or time.monotonic() - self._beside[0] > FRESH:
                self._beside = None  # one at a time: the one before goes first
                self._beside = (time.monotonic(), snapshot, self.around.beside(snapshot))
            return self._beside[2]

    def _item(self, name: str) -> Item | None:
        shelf = self.around.engine().shelf
        row = shelf.row(name)
        return None if row < 0 else msgspec.json.decode(shelf.document(row), type=Item)

    def _weeks(self, days: int) -> Iterable[EventRows]:
        """The events of so many days before the newest one."""
        live = self.around.engine().learned.live
        newest = live.newest if live is not None else math.nan
        return self.around.events(since_of(newest if math.isfinite(newest) else time.time(), days, 0))

    def _synonyms(self) -> tuple[Proposal, ...]:
        """Mined beside the answer: what is not there within a second is there the next time."""
        with self._lock:
            if self._miner is None and time.monotonic() - self._mined[0] > FRESH:
                self._miner = threading.Thread(target=self._mine, name="bodega-mines-synonyms", daemon=True)
                self._miner.start()
            miner = self._miner
        if miner is not None:
            miner.join(PATIENCE)
        return self._mined[1]

    def _mine(self) -> None:
        try:
            self._mined = (time.monotonic(), tuple(self.around.synonyms()))
        except Exception as error:
            LOGGER.error("synonyms could not be mined", exc_info=error)
            self._mined = (time.monotonic(), self._mined[1])
        finally:
            self._miner = None
