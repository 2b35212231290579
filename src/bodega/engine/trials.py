"""What was tried, and what came of it: kept durably, believed at once, shared by all processes of a shop.

The thread that answers only puts a decision into a bounded queue (2 us; when it is full the page counts as lost and
the shop goes on). One thread writes what waits in one transaction, four times a second, folds it into the beliefs, and
looks once a second at what other processes wrote. Clicks come in by `observe`, as all durable events do.
Durability: what was written survives a crash; pages of the last quarter of a second do not, and are then missing from
the log as if they had never been tried. A full or broken disk stops nothing: what waits is tried again, the newest
10,000 of it. Started at the first page that tries something; a shop with every dial off has no thread and no queue.
Not for: which slots (`ranking.explore`), nor joining with all events (`evaluation.logged` reads those that are stored).
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from bodega.errors import BodegaError, StoreError
from bodega.ranking.explore import Beliefs, Field, Trial, trial
from bodega.schema import INTEREST, Event, EventType
from bodega.schema.trials import Decision, Outcome, tried_place
from bodega.settings import Exploring

WAITING = 10_000
GATHER = 0.25
"""Seconds between two writes."""
LOOK_EVERY = 1.0
OVERLAP = 30.0
"""Seconds that a row of another process may come late."""
LOADED = 20_000
"""Newest pages that are folded when a process starts."""
HALF_LIVES = 4.0
PRUNE_EVERY = 3_600.0
ALONE = 3
"""When so many rows are refused one by one, the store is to blame."""
LOGGER = logging.getLogger("bodega.trials")
PLACES_THAT_TRY = tuple(name for name in Exploring.__struct_fields__ if name != "keep_days")


Shown = tuple[str, str]
"""(request id, item)."""


class DecisionStore(Protocol):
    """What was shown by chance, with which probability, and what came of it. Each decision and outcome is kept once."""

    def put(self, decisions: Sequence[Decision], outcomes: Sequence[Outcome]) -> None:
        """On disk when this returns. Raises StoreError."""
        ...

    def newest(self, limit: int, since: float = 0.0, *, besides: str = "") -> Sequence[Decision]:
        """The newest decisions made since then (seconds) by other processes than `besides`, oldest first."""
        ...

    def outcomes(self, since: float = 0.0, *, besides: str = "") -> Sequence[Outcome]:
        """What was noted since then by other processes than `besides`, in order of time."""
        ...

    def outcomes_of(self, requests: Sequence[str]) -> Sequence[Outcome]: ...

    def scan(self, since: float = 0.0, until: float | None = None) -> Iterator[Decision]:
        """All decisions in order of time, streamed."""
        ...

    def count(self) -> tuple[int, int]:
        """(decisions, outcomes)."""
        ...

    def prune(self, before: float) -> int:
        """Remove what was decided before then; how many decisions that were."""
        ...

    def joined(self, since: float = 0.0, until: float | None = None) -> tuple[set[Shown], set[Shown]]:
        """(what was wanted, what was reported as seen) on decided pages, by outcomes and by all stored events."""
        ...

    def forget(self, users: Sequence[str] = (), sessions: Sequence[str] = ()) -> int:
        """Remove everything that was decided for these people; how many decisions that were."""
        ...


@dataclass(slots=True)
class Tally:
    """What the keeper did so far, for metrics."""

    written: int = 0
    lost: int = 0
    failures: int = 0
    heard: int = 0
    """Pages of other processes."""


class Trials:
    """Keeps and believes what was tried. Safe from several threads; a process that was forked starts its own thread."""

    def __init__(self, store: DecisionStore, settings: Exploring) -> None:
        self._store = store
        self._settings = settings
        self._beliefs: dict[str, Beliefs] = {}
        self._lock = threading.RLock()
        self._pages: deque[Decision] = deque()
        self._wanted: deque[Outcome] = deque()
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._closed = False
        self._looked = self._pruned = 0.0
        self.worker = ""
        self.keeps: Callable[[Decision], bool] = lambda _: True
        """May this still be written? (Not for people who were forgotten while it waited.)"""
        self.tally = Tally()

    # -- while answering ------------------------------------------------------------------------------------------

    def trial(self, place: str, field: Field, now: float) -> Trial | None:
        """What may be tried on this page; see `ranking.explore.trial`."""
        self._start()
        dial = self._settings.of(place)
        with self._lock:
            return trial(field, dial, self._believed(place), now)

    def note(self, decision: Decision) -> None:
        """Queue a decision; never waits."""
        self._start()
        if len(self._pages) >= WAITING:
            self.tally.lost += 1
            return
        self._pages.append(decision)
        self._wake.set()

    def observe(self, events: Iterable[Event]) -> None:
        """Queue what durable events say of decided pages; never waits."""
        now = time.time()
        found = [
            Outcome(request_id=event.request_id, item=event.item, time=now, worker=self.worker)
            for event in events
            if event.type.value in INTEREST and event.item and tried_place(event.request_id) in PLACES_THAT_TRY
        ]
        if found and len(self._wanted) < WAITING:
            self._start()
            self._wanted.extend(found)
            self._wake.set()

    # -- operating ------------------------------------------------------------------------------------------------

    def beliefs(self, place: str) -> Beliefs:
        """What is believed of the items of a place; read it, do not change it."""
        with self._lock:
            return self._believed(place)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything that was queued is written and believed; False when that took too long."""
        self._wake.set()
        with self._idle:
            return self._idle.wait_for(lambda: not (self._pages or self._wanted or self._busy), timeout)

    def forget(self, users: Sequence[str] = (), sessions: Sequence[str] = ()) -> int:
        """Remove all decisions made for these people, and believe as if there had been none; how many those were."""
        self.flush()
        removed = self._store.forget(users, sessions)
        self.reload()
        return removed

    def reload(self) -> None:
        """Believe what the store holds and nothing else: somebody was forgotten. What waits is dropped, it may be
        theirs."""
        with self._lock:
            self._pages.clear()
            self._wanted.clear()
            self._beliefs.clear()
        if self._pid == os.getpid():
            self._load()

    def close(self) -> None:
        """Write what waits, then stop."""
        if self._thread is not None and self._pid == os.getpid():
            self.flush()
            self._closed = True
            self._wake.set()
            self._thread.join(timeout=10.0)
            self._thread = None

    # -- the thread -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid, self.worker = os.getpid(), secrets.token_hex(4)
            self._pages, self._wanted, self._busy, self._closed = deque(), deque(), True, False
            self._thread = threading.Thread(target=self._run, name="bodega-trials", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        self._guarded(self._load)
        while not self._closed:
            self._wake.clear()
            if self._pages or self._wanted:
                self._guarded(self._write)
            if time.monotonic() - self._looked > LOOK_EVERY:
                self._guarded(self._look)
            with self._idle:
                self._busy = False
                self._idle.notify_all()
            self._wake.wait(LOOK_EVERY)
            if not self._closed and (self._pages or self._wanted):
                self._busy = True
                time.sleep(GATHER)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do it; what fails is told, and tried again at the next turn."""
        try:
            work()
        except BodegaError as error:
            self.tally.failures += 1
            LOGGER.error("%s", error.what, extra={"facts": error.as_dict()})
            time.sleep(GATHER)
        except Exception:  # a bug of ours must not end the thread: pages would be lost without a word
            self.tally.failures += 1
            LOGGER.exception("what was tried could not be kept")
            time.sleep(GATHER)

    def _write(self) -> None:
        """Everything that waits: on disk first, then believed."""
        pages = [self._pages[number] for number in range(len(self._pages))]
        wanted = [self._wanted[number] for number in range(len(self._wanted))]
        kept = [page for page in pages if self.keeps(page)]
        kept, taken = self._put(kept, wanted)
        self._fold(kept, taken)
        for queue, count in ((self._pages, len(pages)), (self._wanted, len(wanted))):
            for _ in range(min(count, len(queue))):  # a reload may have emptied it meanwhile
                queue.popleft()
        self.tally.written += len(kept)

    def _put(self, pages: list[Decision], wanted: list[Outcome]) -> tuple[list[Decision], list[Outcome]]:
        """What the store took. One row that it refuses does not take the others down; where it takes none it is the
        store, and all is tried again."""
        try:
            self._store.put(pages, wanted)
            return pages, wanted
        except BodegaError:
            if len(pages) + len(wanted) < 2:
                raise
        kept: list[Decision] = []
        taken: list[Outcome] = []
        refused = 0
        alone: list[tuple[list[Decision], list[Outcome]]] = [*(([page], []) for page in pages)]
        alone += [([], [outcome]) for outcome in wanted]
        for page, outcome in alone:
            try:
                self._store.put(page, outcome)
                kept += page
                taken += outcome
            except BodegaError:
                refused += 1
                if refused >= ALONE and not (kept or taken):
                    self._pages.rotate(-ALONE)
                    raise
        if not (kept or taken):
            raise _refused(refused)
        self.tally.lost += refused
        return kept, taken

    def _load(self) -> None:
        """What the newest pages of the store say."""
        longest = max(self._settings.of(name).half_life_days for name in PLACES_THAT_TRY)
        since = time.time() - HALF_LIVES * longest * 86_400.0
        pages = list(self._store.newest(LOADED, since))
        self._fold(pages, self._store.outcomes_of([page.request_id for page in pages]))
        self._looked = time.monotonic()

    def _look(self) -> None:
        """What other processes wrote since the last look."""
        since = time.time() - OVERLAP - (time.monotonic() - self._looked)
        pages = [page for page in self._store.newest(LOADED, since, besides=self.worker) if not self._knows(page)]
        self._fold(pages, self._store.outcomes(since, besides=self.worker))
        self.tally.heard += len(pages)
        self._looked = time.monotonic()
        if self._looked - self._pruned > PRUNE_EVERY:
            self._pruned = self._looked
            self._store.prune(time.time() - self._settings.keep_days * 86_400.0)

    def _knows(self, page: Decision) -> bool:
        with self._lock:
            return page.request_id in self._believed(page.place)

    def _fold(self, pages: Sequence[Decision], wanted: Iterable[Outcome]) -> None:
        for page in pages:
            with self._lock:
                self._believed(page.place).fold(page)
        for outcome in wanted:
            with self._lock:
                self._believed(tried_place(outcome.request_id)).want(outcome.request_id, outcome.item)

    def _believed(self, place: str) -> Beliefs:
        beliefs = self._beliefs.get(place)
        if beliefs is None:
            dial = self._settings.of(place)
            beliefs = Beliefs(dial.half_life_days, cascade=dial.policy.startswith("cascade"))
            self._beliefs[place] = beliefs
        return beliefs


def _refused(rows: int) -> StoreError:
    return StoreError("the store takes nothing of what was tried", where="decisions", got=f"{rows} rows refused")


def shown_to(decision: Decision) -> Event:
    """A page as something that happened to somebody, for whoever must know whether that may be kept."""
    moment = datetime.fromtimestamp(decision.time, UTC)
    return Event(type=EventType.IMPRESSION, time=moment, user=decision.user, session=decision.session)
