"""The stores in memory keep every promise of the store protocols, and broken stores are caught."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from bodega.protocols import CatalogStore, DeadLetterBox, EventStore, KeyStore, Written
from bodega.schema import DeadLetter, Event, Item
from bodega.testing import checks
from bodega.testing.checks import CATALOG_CHECKS, EVENT_CHECKS, LETTER_CHECKS, ContractBroken
from bodega.testing.fakes import MemoryCatalog, MemoryEvents, MemoryLetters, MemoryStores


@pytest.mark.parametrize("check", CATALOG_CHECKS, ids=lambda check: check.__name__)
def test_memory_catalog(check: Callable[[CatalogStore], None]) -> None:
    check(MemoryCatalog())


@pytest.mark.parametrize("check", EVENT_CHECKS, ids=lambda check: check.__name__)
def test_memory_events(check: Callable[[EventStore], None]) -> None:
    check(MemoryEvents())


@pytest.mark.parametrize("check", LETTER_CHECKS, ids=lambda check: check.__name__)
def test_memory_letters(check: Callable[[DeadLetterBox], None]) -> None:
    check(MemoryLetters())


def test_memory_keys() -> None:
    stores = MemoryStores()
    keys: KeyStore = stores.keys
    key = keys.create("till", ["search"])
    info = keys.find(key)
    assert info is not None
    assert (info.label, info.scopes, info.revoked) == ("till", ("search",), False)
    assert keys.find(key + "x") is None
    assert keys.revoke(info.id) is True
    assert keys.revoke(info.id) is False
    assert keys.find(key) is None
    assert [one.revoked for one in keys.list()] == [True]
    assert key not in repr(vars(keys)), "the key itself is kept"


class CountsTwice(MemoryEvents):
    def append(self, events: Sequence[Event]) -> Written:
        got = super().append(events)
        return Written(added=got.added + got.unchanged)


class LastWins(MemoryEvents):
    def append(self, events: Sequence[Event]) -> Written:
        for event in events:
            self._events.pop(event.id, None)
        return super().append(events)


class ForgetsArrival(MemoryCatalog):
    def _set(self, name: str, item: Item | None) -> None:
        self._items.pop(name, None)
        super()._set(name, item)


class SilentDeletes(MemoryCatalog):
    def delete(self, ids: Sequence[str]) -> int:
        return sum(self._items.pop(name, None) is not None for name in ids)


class OldestFirst(MemoryLetters):
    def list(self, *, kind: str = "", reason: str = "", limit: int = 50) -> list[DeadLetter]:
        return super().list(kind=kind, reason=reason)[::-1][:limit]


@pytest.mark.parametrize("twin", [CountsTwice, LastWins])
def test_broken_event_store_is_caught(twin: type[MemoryEvents]) -> None:
    with pytest.raises(ContractBroken, match=r"twice|another content"):
        checks.check_event_store(twin)


@pytest.mark.parametrize("twin", [ForgetsArrival, SilentDeletes])
def test_broken_catalog_is_caught(twin: type[MemoryCatalog]) -> None:
    with pytest.raises(ContractBroken, match=r"first arrival|lost its place|order of change"):
        checks.check_catalog_store(twin)


def test_broken_letter_box_is_caught() -> None:
    with pytest.raises(ContractBroken, match=r"newest letters"):
        checks.check_dead_letter_box(OldestFirst)
