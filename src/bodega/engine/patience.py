"""How is a store on another machine read while a shopper waits? On a thread that can be abandoned, and not time and
again while it does not answer.

A shopper who is not in memory is read from the store. SQLite answers from this machine's disk in a millisecond; a
PostgreSQL that hangs would hold up the page, and behind it everybody else's. So a read is cut off when it takes longer
than `answer.remote_ms`. The second failure in a row closes the line: pages are made without that history and say so,
and nobody waits any more. What a page would have read is then asked behind its back, after a second, two, four, five;
the first such answer opens the line again. So a dead store costs two waits however long it is dead.
Whoever has less time than a page (a suggestion) waits less, and does not judge: for him the line stays as it is.
Cost: 60 us a read of a remote store, nothing for SQLite. Not for: shoppers in memory, who are never read.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from bodega.engine.deadline import LINES, TooLate, now
from bodega.engine.health import is_callers, lose
from bodega.errors import BodegaError, StoreError, StoreUnavailable
from bodega.settings import Settings

STORE = "store"
"""All reads of one page wait for the store under one name: once in vain, and the others do not wait at all."""
STRIKES = 2
"""Failures in a row that close the line."""
REST, LONGEST_REST = 1.0, 5.0
"""Seconds between two questions while it is closed, doubling."""
Found = TypeVar("Found")
Read = Callable[[str, str, int], Found]
"""(user, session, limit) -> what the store knows of this shopper."""
LOGGER = logging.getLogger("bodega.engine")


def is_remote(settings: Settings) -> bool:
    """Does the store lie on another machine, or behind a socket at least?"""
    return bool(settings.store.url) and not settings.store.url.startswith("sqlite")


class Line:
    """The way to one remote store, for all that pages read there. Safe from several threads."""

    def __init__(self, milliseconds: float = math.inf, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`milliseconds`: what a page waits; who waits less does not judge."""
        self._milliseconds = milliseconds
        self._clock = clock
        self._lock = threading.Lock()
        self._strikes = 0
        self._rest = REST
        self._again = math.inf
        """When a closed line is tried again; infinite while it is open, or being tried."""
        self._behind: set[str] = set()
        """What is under way behind the pages."""

    @property
    def closed(self) -> bool:
        """Does nobody wait for this store at the moment?"""
        return self._strikes >= STRIKES

    def ask(self, read: Callable[[], Found]) -> Found:
        """What is read, waited for as long as the page may. Raises TooLate, StoreUnavailable, what the read does."""
        if self.closed:
            self._try(read)
            raise StoreUnavailable(
                "the store did not answer a moment ago, and is left alone for now",
                code="store.resting",
                where="store",
                next="nothing has to be done: it is asked again within seconds",
            )
        page = now()
        try:
            found = page.remotely(STORE, read)
        except BodegaError as error:
            if not isinstance(error, StoreError):
                raise  # the caller's, not the store's
            self._failed()
            raise
        except TooLate:
            if page.patience >= self._milliseconds:
                self._failed()
            raise
        except Exception:
            self._failed()
            raise
        self._strikes = 0
        return found

    def behind(self, name: str, call: Callable[[], object]) -> None:
        """Do it without waiting; one of a name at a time, and none while the line is closed but to try it."""
        if self.closed:
            self._try(call)
            return
        with self._lock:
            if name in self._behind:
                return
            self._behind.add(name)

        def done(call: Callable[[], object] = call) -> None:
            try:
                call()
            except Exception as error:
                self._failed()
                LOGGER.warning("the store is not read", extra={"facts": {"part": name, "why": type(error).__name__}})
            finally:
                self._behind.discard(name)

        if not LINES.post(done):
            self._behind.discard(name)

    def _failed(self) -> None:
        with self._lock:
            self._strikes += 1
            if self._strikes == STRIKES:
                self._rest, self._again = REST, self._clock() + REST
                LOGGER.error("the store does not answer; pages go on without it")

    def _try(self, call: Callable[[], object]) -> None:
        """Ask a closed line behind the page's back, where it is time."""
        with self._lock:
            if self._clock() < self._again:
                return
            self._again = math.inf
        if not LINES.post(lambda: self._tried(call)):
            self._again = self._clock() + self._rest

    def _tried(self, call: Callable[[], object]) -> None:
        began = self._clock()
        try:
            call()
            good = (self._clock() - began) * 1000 <= self._milliseconds
        except Exception:
            good = False
        with self._lock:
            if good:
                self._strikes, self._again = 0, math.inf
                LOGGER.info("the store answers again")
            else:
                self._rest = min(2 * self._rest, LONGEST_REST)
                self._again = self._clock() + self._rest


class Patience:
    """Reads of one kind, in the middle of a request. Without a line they are simply done."""

    def __init__(self, name: str, line: Line | None) -> None:
        self._name = name
        self._line = line

    def __call__(self, read: Callable[[], Found]) -> Found:
        """What is read. Raises what the read does and, where the store does not answer, StoreUnavailable."""
        if self._line is None:
            return read()
        try:
            return self._line.ask(read)
        except TooLate as error:
            lose(self._name, str(error))
            raise StoreUnavailable(
                "the store did not answer in time", code="store.late", where=self._name, got=str(error)
            ) from error
        except StoreUnavailable:
            lose(self._name, "left out, the store does not answer")
            raise
        except Exception as error:
            if not is_callers(error):
                lose(self._name, f"left out, it failed ({type(error).__name__})")
            raise


def line_of(settings: Settings) -> Line | None:
    """The way to this shop's store; None where it is a file."""
    return Line(settings.answer.remote_ms) if is_remote(settings) else None


def patiently(read: Read[Found], line: Line | None) -> Read[Found]:
    """The same read, cut off where the store is remote and does not answer: raises StoreUnavailable then."""
    if line is None:
        return read
    patience = Patience("history", line)
    return lambda user, session, limit: patience(lambda: read(user, session, limit))
