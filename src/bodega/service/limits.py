"""Not too often, and not too many at once.

`Buckets` is a token bucket for each caller, in bounded memory. `Waiting` is the queue before the engine: the engine
computes one list at a time (faster inline than in threads, see docs/decisions/0009-http.md), so the others wait in
order; whoever finds the queue full is refused at once, because an answer that comes too late is work thrown away. Who
waited too long is given up when his turn comes (the caller has gone, or will not like it any more), so that under
overload the engine works for those who still listen: without this goodput falls with every further request.
Cost: 1 us a request for the bucket, one turn of the event loop for the queue (about 20 us).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bodega.errors import Overloaded

CALLERS = 10_000
"""Buckets kept; the caller that was quiet longest is forgotten (its bucket would be full again by then)."""
PATIENCE = 1.0
"""Seconds after which a waiting request is given up: its caller has most likely gone. Sooner where he said so."""
TURNS = 4
"""Turns of the event loop before a list is computed while others wait: uvloop accepts only two connections a turn."""


class Buckets:
    """Each caller may spend `rate` requests a second, and `burst` at once."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def renew(self, rate: float, burst: int) -> None:
        """Another rate from now on; what callers have left stays, up to the new burst."""
        self._rate, self._burst = rate, float(burst)

    def __len__(self) -> int:
        return len(self._left)

    def take(self, caller: str) -> float:
        """Spend one; returns 0.0, or the seconds until the next one when there is none left."""
        now = self._clock()
        tokens, then = self._left.get(caller, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        granted = tokens >= 1.0
        self._left[caller] = (tokens - 1.0 if granted else tokens, now)
        self._left.move_to_end(caller)
        if len(self._left) > CALLERS:
            self._left.popitem(last=False)
        return 0.0 if granted else (1.0 - tokens) / self._rate if self._rate > 0 else 60.0


class Waiting:
    """The queue before the engine: first come, first served, at most `limit` waiting."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = asyncio.Lock()
        self.count = 0

    @property
    def full(self) -> bool:
        """Would the next one be refused?"""
        return self.count >= self._limit

    @asynccontextmanager
    async def turn(self, patience: float = 0.0) -> AsyncIterator[None]:
        """Wait for one's turn. Raises Overloaded at once when the queue is full, or when one's turn comes after so many
        seconds (0: after `PATIENCE`)."""
        if self.full:
            raise _overloaded(f"{self.count} requests waiting")
        arrived, patience = time.monotonic(), min(patience or PATIENCE, PATIENCE)
        self.count += 1
        try:
            async with self._lock:
                # Turns of the loop: newcomers are read, counted, and refused while there is still time for them.
                for _ in range(TURNS if self.count > 1 else 1):
                    await asyncio.sleep(0)
                if time.monotonic() - arrived > patience:
                    raise _overloaded(f"waited longer than {patience:g} s")
                yield
        finally:
            self.count -= 1


def _overloaded(got: str) -> Overloaded:
    return Overloaded(
        "the shop is asked more than it can answer in time",
        code="limit.overload",
        where="queue",
        got=got,
        next="ask again after Retry-After seconds; start more servers if this lasts",
    )
