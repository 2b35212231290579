"""What time is it, where the machine's clock may jump? Never earlier than it was.

Events are judged against our clock ("more than five minutes ahead"). If that clock is set back by an hour, every event
of the next hour would look like one from the future and be put aside. So the time that passes is measured by the clock
that cannot jump: `now` is the later of what the wall says and what it said at the start plus what has passed since. A
clock that was ahead and is put right only makes the check milder; one that jumps ahead is followed.
Cost: two system calls. Not for: stamping what is stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds since 1970, which do not go back.

    >>> wall = [1000.0, 400.0]
    >>> clock = Clock(wall=lambda: wall.pop(0), passed=lambda: 5.0)
    >>> clock.now()
    1000.0
    """

    def __init__(self, *, wall: Callable[[], float] = time.time, passed: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._passed = passed
        self._gap = wall() - passed()
        """Wall minus passed, the largest that was seen."""

    def now(self) -> float:
        passed = self._passed()
        self._gap = max(self._gap, self._wall() - passed)
        return passed + self._gap
