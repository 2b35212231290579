"""Which engine answers now, and how does another one take its place? `shop.served`: opened, kept up, replaced, counted.

An engine is never changed, it is replaced: by one over a new snapshot (`reload`), over a newer shelf (`restock`), with
other dials (`turned`) or with counts made anew (`recount`). Requests in flight finish on the engine they began with.
What is acknowledged while the next one is being made is told to it before it answers, so nothing falls between two.
Cost: a reload reads every event since the snapshot (20 us each), a restock takes some ms for some thousand changes.
Not for: who may be learned from (`privacy`), or telling other processes (`hearing`).
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from bodega import failpoints
from bodega.engine import browse
from bodega.engine.answer import Engine, Learned
from bodega.engine.correcting import FOLDER as CORRECTIONS
from bodega.engine.correcting import Correcting, forget_corrections
from bodega.engine.hearing import Hearing, Kind
from bodega.engine.intake import Stores
from bodega.engine.knowledge import Knowledge
from bodega.engine.learn import Opened, Parts, open_learned
from bodega.engine.live import Overlay
from bodega.engine.online import Shoppers
from bodega.engine.privacy import Privacy
from bodega.engine.remembering import Remembered, remember
from bodega.engine.reviews import Reviews, load_opinions
from bodega.engine.rulebooks import Rules
from bodega.engine.shelf import Shelf
from bodega.engine.snapshot import Snapshots
from bodega.engine.vitals import warned
from bodega.engine.warming import ask_around
from bodega.errors import NotLearned
from bodega.events.people import PeopleState
from bodega.protocols import EventRows, News
from bodega.schema import Event, Item
from bodega.settings import Settings

COUNTED = 100_000
"""Newest events whose second delivery is told apart by counters in memory (the store tells all)."""
DELTA_LIMIT = 20_000
"""More catalog changes than this since the snapshot wait for the next `learn` (only deletions act at once)."""

REHEARSALS = 12
"""Rounds of pages before a fork: Python rewrites what was called eight times."""
NOBODY = "rehearsal"
"""The session whose history is read to have read one; it does not matter whether there is such a session."""


class ServedShop(Protocol):
    """The part of a shop that this needs; `engine.shop.Shop` fits."""

    folder: Path
    settings: Settings
    stores: Stores
    shoppers: Shoppers
    privacy: Privacy
    knowledge: Knowledge
    reviews: Reviews
    rules: Rules

    def restock(self) -> None: ...
    def join(self, news: News) -> None: ...
    def told(self, kind: Kind, body: bytes = b"") -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Handed:
    """What a process counted before it was forked: its children go on from there, and share what they do not change."""

    opened: Opened
    """As it was opened: nothing was counted on top of it."""
    learned: Learned
    """The same with counts of its own since."""
    remembered: Remembered
    shelf: Shelf
    cursor: int
    waiting: frozenset[str]
    people: PeopleState
    """Who may be learned from, as of the counting."""


@dataclass(slots=True, eq=False)
class _Slept:
    """What was told while nobody was there to hear it."""

    events: list[Event] = field(default_factory=list)
    stale: bool = False
    """Was too much told, or that what was counted does not hold any more?"""

    def observe(self, events: Sequence[Event]) -> None:
        self.events.extend(events)

    def forget(self) -> None:
        self.stale = True

    def restock(self) -> None:
        """The catalog is looked at in any case."""

    def stepped(self, told: bytes) -> None:
        """Steps are read from where they are kept."""


class Served:
    """See the top of the file. Safe from several threads."""

    def __init__(self, shop: ServedShop, snapshots: Snapshots, parts: Callable[[], Parts]) -> None:
        self._shop = shop
        self._snapshots = snapshots
        self._parts = parts
        self.now: Engine | None = None
        """The engine that answers; None before the first was opened."""
        self.waiting: set[str] = set()
        """Items whose newest state waits for the next `learn`."""
        self.lock = threading.RLock()
        """Whoever replaces the engine holds it."""
        self._cursor = 0
        self._catching: Overlay | None = None
        """Counts that are being made from the stored events."""
        self._counted: OrderedDict[str, None] = OrderedDict()
        """Ids of the newest events that counters hold: one that is delivered twice counts once."""
        self._arriving: list[Event] | None = None
        """Events that came while a snapshot was being opened."""
        self._taken: Handed | None = None

    @property
    def engine(self) -> Engine:
        """The engine over the current snapshot, opened at the first use. Raises NotLearned, SnapshotCorrupt."""
        engine = self.now
        if engine is None:
            self.reload()
            engine = self.now
        if engine is None:
            raise NotLearned(
                "this shop has not learned yet",
                code="learn.never_served",
                where=str(self._shop.folder),
                next="run `bodega learn`",
            )
        return engine

    @property
    def correcting(self) -> Correcting | None:
        """The small steps on top of the snapshot that answers; None where there are none."""
        return self.now.learned.correcting if self.now is not None else None

    # -- another snapshot -----------------------------------------------------------------------------------------

    def reload(self, opened: Opened | None = None) -> str:
        """Serve the current snapshot (verified); the swap is atomic, requests in flight finish on the old one.

        `opened` is one that was opened before; it is used if it is the current one still.
        """
        shop = self._shop
        with self.lock:
            if opened is None or opened.learned.snapshot != self._snapshots.current():
                opened = open_learned(self._snapshots, self._parts())
            arriving: list[Event] = []
            self._arriving = arriving
            try:
                learned = replace(
                    opened.learned, live=self._counted_since(opened), correcting=self._corrected_since(opened)
                )
                remembered = remember(learned.ordering, opened, self._stored_since(opened))
            except BaseException:
                self._arriving = self._catching = None
                raise
            engine = Engine(learned, Shelf.of(opened.items), shop.shoppers, shop.settings)
            browse.prepare(engine.shelf)
            shop.reviews.opinions = load_opinions(self._snapshots.folder / opened.learned.snapshot)
            if failpoints.ON:
                failpoints.reach("shop.reload")
            if self.now is not None:
                ask_around(engine)  # somebody is answered from the old one meanwhile
            self.now, self._cursor, self.waiting, self._catching = engine, opened.cursor, set(), None
            self._arriving = None
            shop.knowledge.open(opened.folder)
            remembered.add(learned.ordering, opened, arriving)
            shop.restock()
            return opened.learned.snapshot

    # -- handed from a process to those that are forked from it -----------------------------------------------------

    def hand(self, opened: Opened) -> Handed:
        """Count what happened since the snapshot, for processes that are forked from this one. Serves nothing."""
        shop = self._shop
        shop.privacy.refresh()
        people = shop.privacy.state
        learned = replace(opened.learned, ordering=opened.learned.ordering.apart(), live=self._counted_since(opened))
        self._catching = None
        remembered = remember(learned.ordering, opened, self._stored_since(opened))
        cursor, changes = shop.stores.catalog.changes(opened.cursor)
        shelf, waiting = Shelf.of(opened.items), set[str]()
        if changes:
            shop.knowledge.open(opened.folder)
            shop.knowledge.refresh()
            changes, waiting = _at_once(changes, 0, set())
            learned = replace(learned, warnings=warned(learned.warnings, 0, len(waiting), DELTA_LIMIT))
            shelf = shelf.with_changes(changes, shop.knowledge.fill)
        browse.prepare(shelf)
        return Handed(opened, learned, remembered, shelf, cursor, frozenset(waiting), people)

    def inherit(self, handed: Handed, news: News) -> str:
        """Go on from what the process that forked this one counted; `news`: everything told since.

        Where that does not hold any more (another snapshot, somebody was erased, too much was told) it is all counted
        anew, from the snapshot as it was handed.
        """
        shop, slept = self._shop, _Slept()
        Hearing(news, slept).catch_up()
        shop.join(news)
        shop.privacy.refresh()
        current = handed.opened.learned.snapshot == self._snapshots.current()
        if not current or slept.stale or shop.privacy.state != handed.people:
            return self.reload(handed.opened)
        if self._taken is not handed:
            self.take(handed)
        learned = handed.learned
        with self.lock:
            fresh = list(shop.privacy.taught(self.fresh(slept.events)))
            if learned.live is not None:
                learned.live.heard(fresh)
            handed.remembered.add(learned.ordering, handed.opened, fresh)
            shop.restock()
        return learned.snapshot

    def take(self, handed: Handed) -> None:
        """Serve what was handed, as it was when it was counted."""
        shop, opened = self._shop, handed.opened
        with self.lock:
            learned = replace(handed.learned, correcting=self._corrected_since(opened))
            shop.reviews.opinions = load_opinions(self._snapshots.folder / learned.snapshot)
            if failpoints.ON:
                failpoints.reach("shop.reload")
            self.now = Engine(learned, handed.shelf, shop.shoppers, shop.settings)
            self._cursor, self.waiting, self._taken = handed.cursor, set(handed.waiting), handed
            shop.knowledge.open(opened.folder)

    def rehearse(self) -> None:
        """Do for nobody what answering does, so that what it makes is shared by forked processes: statements to the
        store, and code as Python rewrites it after some calls. Nothing is remembered of it."""
        shop = self._shop
        shop.rules.refresh()
        shop.knowledge.refresh()
        shop.privacy.steps("", NOBODY, 1)
        shop.stores.catalog.changes(self._cursor)
        for _ in range(REHEARSALS if self.now is not None else 0):
            ask_around(self.engine)
        if self.correcting is not None:
            self.correcting.let_go()

    def _counted_since(self, opened: Opened) -> Overlay | None:
        """What happened since the snapshot, counted from the stored events; None where that is switched off.

        What is acknowledged meanwhile is counted too: the counts are told of it before they are served.
        """
        shop = self._shop
        if not shop.settings.updates.counts:
            return None
        live = Overlay(opened.learned.sources, opened.items, opened.until, shop.settings)
        self._catching = live
        live.replay(shop.privacy.learnable(shop.stores.events.scan(chunk=20_000, since=live.since)))
        return live

    def _corrected_since(self, opened: Opened) -> Correcting | None:
        """The small steps that were taken on top of this snapshot; None where they are switched off."""
        shop = self._shop
        if not shop.settings.updates.steps:
            return None
        self.close()
        correcting = Correcting(opened.learned.snapshot, shop.folder / CORRECTIONS)
        correcting.tell = lambda body: shop.told(Kind.STEPS, body)
        return correcting

    def _stored_since(self, opened: Opened) -> Iterable[EventRows]:
        """The events later than the snapshot's newest one that models may be made of."""
        since = -math.inf if opened.until is None else opened.until
        return self._shop.privacy.learnable(self._shop.stores.events.since(since, chunk=50_000))

    # -- another shelf, other dials -------------------------------------------------------------------------------

    def restock(self) -> None:
        """Take in what changed in the catalog since it was last looked at."""
        shop = self._shop
        with self.lock:
            if self.now is None:
                return
            if failpoints.ON:
                failpoints.reach("catalog.restock")
            cursor, changes = shop.stores.catalog.changes(self._cursor)
            if not changes:
                return
            engine = self.now
            changes, waiting = _at_once(changes, len(engine.shelf.changed), self.waiting)
            told = warned(engine.learned.warnings, len(self.waiting), len(waiting), DELTA_LIMIT)
            shelf = engine.shelf.with_changes(changes, shop.knowledge.fill)
            engine = Engine(replace(engine.whole, warnings=told), shelf, shop.shoppers, shop.settings)
            self.now, self._cursor, self.waiting = engine, cursor, waiting

    def turned(self) -> None:
        """Answer by the settings as they are now."""
        with self.lock:
            if self.now is not None:
                self.now = Engine(self.now.whole, self.now.shelf, self._shop.shoppers, self._shop.settings)

    # -- events ---------------------------------------------------------------------------------------------------

    def fresh(self, events: Sequence[Event]) -> list[Event]:
        """Those of the events that were not counted yet; from now on they are."""
        fresh = [event for event in events if not event.id or event.id not in self._counted]
        for event in fresh:
            self._counted[event.id] = None
        while len(self._counted) > COUNTED:
            self._counted.popitem(last=False)
        return fresh

    def stored_before(self, ids: Sequence[str]) -> None:
        """These events were delivered again: whatever counts has them already."""
        self._counted.update(dict.fromkeys(ids))

    def observe(self, fresh: Sequence[Event]) -> None:
        """Count events that may be learned from, here and in what is being made."""
        if self._catching is not None:
            self._catching.observe(fresh)
        if self._arriving is not None:
            self._arriving.extend(fresh)
        if self.now is not None:
            self.now.observe(fresh)
            if self.now.learned.correcting is not None:
                self.now.learned.correcting.observe(fresh)

    def recount(self) -> None:
        """Count again what happened since the snapshot, from the stored events as they are now (people may have been
        erased, events imported). Cost: 20 microseconds an event since the snapshot."""
        shop, engine = self._shop, self.now
        self.forget_steps()
        held = engine.learned.live if engine is not None else None
        if held is None:
            return
        self._catching = live = held.anew()
        live.replay(shop.privacy.learnable(shop.stores.events.scan(chunk=20_000, since=live.since)))
        with self.lock:
            engine = self.now
            if engine is not None and engine.learned.live is held:  # else another snapshot came, with its own counts
                self.now = engine.counting(live)
            if self._catching is live:
                self._catching = None

    def forget_steps(self) -> None:
        """Drop the small steps: somebody was erased, and the steps may be made of what he did."""
        forget_corrections(self._shop.folder, self.correcting)

    def close(self) -> None:
        if self.correcting is not None:
            self.correcting.close()


Changes = list[tuple[str, Item | None]]


def _at_once(changes: Changes, already: int, waiting: Set[str]) -> tuple[Changes, set[str]]:
    """(the changes that act at once, the items that wait for the next `learn`); `already`: changes on the shelf."""
    after = set(waiting)
    if already + len(changes) > DELTA_LIMIT:
        after.update(name for name, item in changes if item is not None)
        changes = [change for change in changes if change[1] is None]
    after.difference_update(name for name, _ in changes)
    return changes, after
