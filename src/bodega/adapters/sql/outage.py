"""The database is away: how does nobody wait for it, and who notices that it is back?

The first statement that finds it away opens the circuit: from then on readers are refused at once (a page falls back to
what it has in memory), writers that may be repeated wait for its return, and one thread asks every half second until it
answers. A request therefore never pays for the dead server twice.
Cost: nothing while all is well. Not for: SQLite, whose file is never away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bodega.errors import StoreUnavailable

EVERY = 0.5
"""Seconds between two questions."""


class Outage:
    """`began` is told of failures; `refuse` and `wait` are asked before work. `probe` raises while it is away."""

    def __init__(self, probe: Callable[[], None], *, where: str, every: float = EVERY) -> None:
        self._probe = probe
        self._where = where
        self._every = every
        self._lock = threading.Lock()
        self._back = threading.Event()
        self._back.set()
        self._stopped = threading.Event()
        self._since = 0.0
        self._what = ""

    @property
    def what(self) -> str:
        """What is wrong; "" while all is well."""
        return "" if self._back.is_set() else self._what

    @property
    def seconds(self) -> float:
        """How long it has been away; 0 while all is well."""
        return 0.0 if self._back.is_set() else time.monotonic() - self._since

    def began(self, error: StoreUnavailable) -> None:
        """It was found away."""
        with self._lock:
            if not self._back.is_set() or self._stopped.is_set():
                return
            self._what, self._since = error.what, time.monotonic()
            self._back.clear()
            threading.Thread(target=self._watch, name="bodega-database", daemon=True).start()

    def refuse(self) -> None:
        """Raises StoreUnavailable while it is away."""
        if not self._back.is_set():
            raise self.error()

    def wait(self, seconds: float) -> bool:
        """Wait until it is back; False when it is not."""
        return self._back.wait(max(0.0, seconds))

    def error(self) -> StoreUnavailable:
        return StoreUnavailable(
            self._what or "the database is away",
            where=self._where,
            got=f"away for {self.seconds:.0f} s",
            next=f"it is asked again every {self._every:g} s; see the server's log if it does not come back",
        )

    def close(self) -> None:
        self._stopped.set()
        self._back.set()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            try:
                self._probe()
            except Exception:
                self._stopped.wait(self._every)
            else:
                break
        self._back.set()
