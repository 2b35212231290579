"""A server that failed is left alone for a while, so that its failing costs one time limit and not one a request.

After `heal_seconds` one caller may try again while the others still go without; if that works, all do.
Cost: a clock and a comparison. Not for: deciding what to do without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Breaker:
    """Closed: ask. Open: do not."""

    def __init__(self, heal_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.heal_seconds = heal_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._again = -1.0
        """When it may be tried again; negative while it works."""
        self.why = ""
        """What went wrong last; "" while it works."""

    def may(self) -> bool:
        """May the server be asked now? While it is broken, one caller in each `heal_seconds` may."""
        if self._again < 0:
            return True
        with self._lock:
            if self._clock() < self._again:
                return False
            self._again = self._clock() + self.heal_seconds
            return True

    def failed(self, why: str) -> None:
        with self._lock:
            self._again = self._clock() + self.heal_seconds
            self.why = why

    def worked(self) -> None:
        if self._again >= 0:
            with self._lock:
                self._again, self.why = -1.0, ""
