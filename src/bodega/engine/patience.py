"""How is a store on another machine read while a shopper waits? On a thread that can be abandoned, and not time and
again while it does not answer.

A shopper who is not in memory is read from the store. SQLite answers from this machine's disk in a millisecond; a
PostgreSQL that hangs would hold up the page, and behind it everybody else's. So the read is cut off when it takes
longer than `answer.remote_ms`, and after three failures the store is left alone for a second or more: the page is then
made without that history and says so.
Cost: 60 us a read of a remote store, nothing for SQLite. Not for: shoppers in memory, who are never read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from bodega.engine.deadline import now
from bodega.engine.health import Health
from bodega.errors import StoreUnavailable
from bodega.settings import Settings

STORE = "store"
"""All reads of one page wait for the store under one name: once in vain, and the others do not wait at all."""
Found = TypeVar("Found")
Read = Callable[[str, str, int], Found]
"""(user, session, limit) -> what the store knows of this shopper."""


def is_remote(settings: Settings) -> bool:
    """Does the store lie on another machine, or behind a socket at least?"""
    return bool(settings.store.url) and not settings.store.url.startswith("sqlite")


class Patience:
    """Reads of one kind, in the middle of a request. `remote=False`: they are simply done."""

    def __init__(self, name: str, *, remote: bool) -> None:
        self._name = name
        self._health = Health() if remote else None

    def __call__(self, read: Callable[[], Found]) -> Found:
        """What is read. Raises what the read does and, where the store does not answer, StoreUnavailable."""
        if self._health is None:
            return read()
        return self._health.ask(self._name, lambda: now().remotely(STORE, read), self._refused)

    def _refused(self) -> NoReturn:
        raise StoreUnavailable(
            "the store did not answer a moment ago, and is left alone for now",
            where=self._name,
            next="nothing has to be done: it is asked again within seconds",
        )


def patiently(read: Read[Found], settings: Settings) -> Read[Found]:
    """The same read, cut off where the store is remote and does not answer: raises StoreUnavailable then."""
    if not is_remote(settings):
        return read
    patience = Patience("history", remote=True)
    return lambda user, session, limit: patience(lambda: read(user, session, limit))
