"""How much time is left for this page, and where did it go? The clock of one request, looked at before every source.

Arrays are asked where they are: all that a deadline can do there is not to ask any more ("collaborative: not asked,
40 ms were over"). Whoever has to ask somebody over a network first (an encoder behind an endpoint, a store on another
machine) is asked on a thread that can be abandoned, and is named when it is ("dense: cut off after 40 ms"); what it
learns too late is remembered for the next request. What is left still gives a page. Who is cut off time and again is
left alone for a while (`health`), so that a black hole costs three waits and not one a request.
Cost: .2 us a look; 60 us for a call on a thread, and only for those that need one. Not for: stopping numpy half way.

    with timed(Clock(40)):           # what runs inside finds its clock by `now()`
        if not now().late("dense"): ...
        now().lap("retrieve")
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from bodega.protocols import Encoder, EncoderInfo
from bodega.schema.arrays import Floats

ESSENTIAL = frozenset({"lexical", "popular"})
"""Asked however late it is: they are arrays, quick, and what a page is made of when there is nothing else."""
CALLERS = 16
"""Calls over a network that may be under way at one moment; while all of them wait, nobody waits for another one."""

Answer = TypeVar("Answer")


class TooLate(Exception):
    """Somebody did not answer in the time that was left."""


class Clock:
    """The time of one request: what is left, where it went, who was left out. Not for several threads."""

    __slots__ = ("_lap", "_last", "left_out", "milliseconds", "patience", "stages")

    def __init__(
        self, milliseconds: float = math.inf, patience: float = math.inf, *, began: float | None = None
    ) -> None:
        """`milliseconds` for the whole page, `patience` of them for each answer over a network; infinite: no bound.
        `began` is when the request arrived, by `time.perf_counter` (default: now)."""
        self._lap = time.perf_counter()
        self._last = (self._lap if began is None else began) + milliseconds / 1000
        self.milliseconds = milliseconds
        self.patience = patience
        self.stages: dict[str, float] = {}
        """{stage: seconds}."""
        self.left_out: dict[str, None] = {}
        """Names of the sources and stages that were not asked, or not waited for."""

    def lap(self, stage: str) -> None:
        """What ran since the last lap was this stage."""
        at = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + at - self._lap
        self._lap = at

    def left(self) -> float:
        """Seconds until the deadline; infinite without one, negative after it."""
        return self._last - time.perf_counter()

    def late(self, name: str) -> str:
        """Why this source or stage is not asked any more ("not asked, 40 ms were over"); "" when it may be."""
        if time.perf_counter() <= self._last or name in ESSENTIAL:
            return ""
        self.left_out[name] = None
        return f"not asked, {self.milliseconds:g} ms were over"

    def remotely(self, name: str, call: Callable[[], Answer], patience: float | None = None) -> Answer:
        """What `call` answers, asked on a thread that is abandoned when it takes longer than there is time.

        Raises TooLate (at once, where this page waited for `name` before), and what `call` raises.
        """
        wait = min(self.left(), (self.patience if patience is None else patience) / 1000)
        if math.isinf(wait):
            return call()
        found = LINES.ask(call, wait) if wait > 0 and name not in self.left_out else None
        if found is None:
            self.left_out[name] = None
            raise TooLate(f"cut off after {max(wait, 0) * 1000:.0f} ms")
        return found.result()


class Patient:
    """Implements `protocols.Encoder` around one that asks over a network: queries wait as long as the page may.

    Raises TooLate. Put it around a `CachedEncoder`: what comes too late is there for the next who asks.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.info: EncoderInfo = encoder.info
        self._encoder = encoder

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        """What the encoder says. What a catalog holds has all the time in the world."""
        if not query:
            return self._encoder.encode(texts)
        return now().remotely(f"encoder {self.info.name}", lambda: self._encoder.encode(texts, query=True))


class Lines:
    """The threads on which others are asked."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._busy = 0

    def ask(self, call: Callable[[], Answer], wait: float) -> Future[Answer] | None:
        """The finished call, or None when it took longer than `wait` seconds (it goes on, and nobody listens)."""
        with self._lock:
            if self._busy >= CALLERS:
                return None
            self._busy += 1
            if self._pool is None:
                self._pool = ThreadPoolExecutor(CALLERS, thread_name_prefix="bodega-asks")
        future = self._pool.submit(copy_context().run, call)
        future.add_done_callback(self._ended)
        try:
            future.exception(timeout=wait)
        except TookTooLong:
            return None
        return future

    def post(self, call: Callable[[], object]) -> bool:
        """Have it called without waiting; False where too many calls are under way."""
        with self._lock:
            if self._busy >= CALLERS:
                return False
            self._busy += 1
            if self._pool is None:
                self._pool = ThreadPoolExecutor(CALLERS, thread_name_prefix="bodega-asks")
        self._pool.submit(call).add_done_callback(self._ended)
        return True

    def _ended(self, _: Future[Any]) -> None:
        with self._lock:
            self._busy -= 1


LINES = Lines()
"""One for the process."""
_CURRENT: ContextVar[Clock | None] = ContextVar("bodega_clock", default=None)


def now() -> Clock:
    """The clock of the request under way; outside of one, a clock without a bound."""
    return _CURRENT.get() or Clock()


def is_timed() -> bool:
    """Has somebody set a clock for what runs here?"""
    return _CURRENT.get() is not None


@contextmanager
def timed(clock: Clock) -> Iterator[Clock]:
    """What runs inside runs by this clock."""
    token = _CURRENT.set(clock)
    try:
        yield clock
    finally:
        _CURRENT.reset(token)
