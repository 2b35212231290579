"""What was answered, kept: one line a page, so that every click has a place, a position, a source and an arm.

The thread that answers only puts a line into a bounded queue (8 us for a page of 20; when it is full the page counts
as lost and the shop goes on). One thread writes what waits in one transaction, four times a second. Before a line is
written it is asked whose it is: who was forgotten meanwhile has no line, and who did not agree that statistics are made
of what they do has one that names nobody and that no event can be joined to. A full or broken disk stops nothing.
Durability: what was written survives a crash; pages of the last quarter of a second do not. Started at the first page;
with the log switched off there is no thread and no queue. Cost: 45 us of CPU a page, the writing included
(docs/decisions/0046). Not for: what chance decided (`trials`), nor reading it (`insight`).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from types import MappingProxyType
from zlib import crc32

import msgspec

from bodega.engine.privacy import Privacy
from bodega.errors import BodegaError
from bodega.protocols import AnswerStore
from bodega.schema import Event, EventType, Page, Request
from bodega.schema.answers import Answered
from bodega.settings import Answers

WAITING = 10_000
GATHER = 0.25
"""Seconds between two writes."""
GROUP = 2_000
"""Lines a transaction."""
PRUNE_EVERY = 3_600.0
DAY = 86_400.0
NAMELESS = "anon-"
"""How the request of a line begins that was kept without the shopper's ids."""
NONE: Mapping[str, str] = MappingProxyType({})
LOGGER = logging.getLogger("bodega.answers")


@dataclass(slots=True)
class Tally:
    """What the log did so far, for metrics."""

    written: int = 0
    lost: int = 0
    """Pages that found the queue full, or that the store refused alone."""
    failures: int = 0


class AnsweringLog:
    """Keeps what was answered. Safe from several threads; a process that was forked starts its own thread."""

    def __init__(self, store: AnswerStore, settings: Answers) -> None:
        self._store = store
        self._settings = settings
        self._below = int(settings.share * 2**32)
        """Pages whose id has a smaller checksum are kept."""
        self._queue: deque[Answered] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._closed = False
        self._pruned = 0.0
        self.buried: Callable[[Event], bool] = lambda _: False
        """Was this shopper forgotten since?"""
        self.agreed: Callable[[Event], bool] = lambda _: True
        """May statistics be made of what this shopper does?"""
        self.tally = Tally()

    def renew(self, settings: Answers) -> None:
        """Keep as these say, from the next page on."""
        self._settings, self._below = settings, int(settings.share * 2**32)

    @classmethod
    def of(cls, store: AnswerStore, settings: Answers, privacy: Privacy) -> AnsweringLog:
        """The log of an open shop: it keeps what its shoppers agreed to."""
        log = cls(store, settings)
        log.buried = privacy.is_buried
        log.agreed = lambda shown: bool(privacy.taught([shown]))
        return log

    # -- while answering ------------------------------------------------------------------------------------------

    def note(
        self,
        request: Request,
        page: Page,
        *,
        arms: Mapping[str, str] = NONE,
        teams: tuple[int, ...] = (),
        credit: tuple[float, ...] = (),
    ) -> None:
        """Queue a page; never waits. Pages that take part in an experiment (`arms`, `teams`) are kept whatever the
        share is, of all others those whose request falls into it: the same ones in every process."""
        if not (arms or teams) and (not self._settings.log or crc32(page.request_id.encode()) >= self._below):
            return
        if self._pid != os.getpid():
            self._start()
        if len(self._queue) >= WAITING:
            self.tally.lost += 1
            return
        hits = page.hits
        line = Answered(
            request_id=page.request_id,
            time=time.time(),
            place=page.place,
            user=request.user,
            session=request.session,
            query=request.query,
            total=page.total,
            items=tuple([hit.id for hit in hits]),
            offset=request.offset,
            sources=tuple([hit.why[0].source if hit.why else "" for hit in hits]),
            snapshot=page.snapshot,
            arms=dict(arms) if arms else {},
            teams=teams,
            credit=credit,
            degraded=page.degraded,
            milliseconds=page.took_ms,
        )
        self._queue.append(line)
        if not self._wake.is_set():
            self._wake.set()

    # -- operating ------------------------------------------------------------------------------------------------

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything that was queued is written; False when that took too long."""
        if self._thread is None or self._pid != os.getpid():
            return True
        self._wake.set()
        with self._idle:
            return self._idle.wait_for(lambda: not (self._queue or self._busy), timeout)

    def close(self) -> None:
        """Write what waits, then stop."""
        if self._thread is not None and self._pid == os.getpid():
            self.flush()
            self._closed = True
            self._wake.set()
            self._thread.join(timeout=10.0)
            self._thread = None
            self._pid = 0

    def vitals(self) -> dict[str, float]:
        """{what: pages}, for metrics."""
        tally = self.tally
        told = {"written": tally.written, "waiting": len(self._queue), "lost": tally.lost, "failures": tally.failures}
        return {what: float(count) for what, count in told.items()}

    def waiting(self) -> int:
        """Pages in the queue."""
        return len(self._queue)

    # -- the thread -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            self._queue, self._busy, self._closed = deque(), False, False
            self._wake, self._idle = threading.Event(), threading.Condition()
            self._thread = threading.Thread(target=self._run, name="bodega-answers", daemon=True)
            self._pid = os.getpid()
            self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.clear()
            if self._queue:
                self._busy = True
                self._guarded(self._write)
            if self._pruned + PRUNE_EVERY < time.monotonic():
                self._pruned = time.monotonic()
                self._guarded(lambda: self._store.prune(time.time() - self._settings.keep_days * DAY))
            with self._idle:
                self._busy = False
                self._idle.notify_all()
            if self._closed:
                return
            self._wake.wait()
            if not self._closed:
                time.sleep(GATHER)

    def _guarded(self, work: Callable[[], object]) -> None:
        """Do it; what fails is told, and tried again at the next turn."""
        try:
            work()
        except BodegaError as error:
            self._failed("%s", error.what, extra={"facts": error.as_dict()})
        except Exception as error:  # a bug of ours must not end the thread: pages would be lost without a word
            self._failed("what was answered could not be kept", exc_info=error)

    def _failed(self, text: str, *values: object, **more: object) -> None:
        self.tally.failures += 1
        LOGGER.error(text, *values, **more)  # type: ignore[arg-type]
        if self._queue:
            self._wake.set()
        time.sleep(GATHER)

    def _write(self) -> None:
        """Everything that waits, oldest first; what the store does not take stays."""
        while count := min(len(self._queue), GROUP):
            waits = [self._queue[number] for number in range(count)]
            lines = [line for each in waits if (line := self._kept(each)) is not None]
            kept = self._put(lines)
            for _ in range(count):
                self._queue.popleft()
            self.tally.written += kept
            self.tally.lost += len(lines) - kept

    def _put(self, lines: Sequence[Answered]) -> int:
        """How many the store took. One that it refuses does not take the others down."""
        try:
            self._store.put(lines)
            return len(lines)
        except BodegaError:
            if len(lines) < 2:
                raise
        kept = refused = 0
        for line in lines:
            try:
                self._store.put([line])
                kept += 1
            except BodegaError:
                refused += 1
                if refused > 2 and not kept:  # then it is the store, and all is tried again
                    raise
        return kept

    def _kept(self, line: Answered) -> Answered | None:
        """The line as it may be kept; None of somebody who was forgotten."""
        if not (line.user or line.session):
            return line
        shown = shown_to(line)
        if self.buried(shown):
            return None
        if self.agreed(shown):
            return line
        return msgspec.structs.replace(
            line, request_id=NAMELESS + token_hex(8), user="", session="", arms={}, teams=(), credit=()
        )


def shown_to(line: Answered) -> Event:
    """A page as something that happened to somebody, for whoever must know whether that may be kept."""
    moment = datetime.fromtimestamp(line.time, UTC)
    return Event(type=EventType.IMPRESSION, time=moment, user=line.user, session=line.session)
