"""Every store of people keeps every promise, on SQLite, PostgreSQL and in memory; a broken one is caught."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bodega.adapters.sql import SqlStore
from bodega.events.people import Erased
from bodega.schema.people import Link
from bodega.testing._broken import ContractBroken
from bodega.testing._people_checks import (
    PEOPLE_CHECKS,
    Check,
    erases_everything_and_nothing_else,
    holds_the_same_whatever_came_first,
)
from bodega.testing.fakes import MemoryStores
from bodega.testing.people import MemoryPeople

checks = pytest.mark.parametrize("check", PEOPLE_CHECKS, ids=lambda check: check.__name__)


@checks
def test_people_on_sqlite(check: Check, tmp_path: Path) -> None:
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        check(store.people, store.events)


@checks
def test_people_on_postgresql(check: Check, fresh_postgres_url: str) -> None:
    with SqlStore.open(fresh_postgres_url) as store:
        check(store.people, store.events)


@checks
def test_people_in_memory(check: Check) -> None:
    stores = MemoryStores()
    check(stores.people, stores.events)


class LeavesSessions(MemoryPeople):
    """Broken: forgets what a user did, not what the same shopper did before signing in."""

    def erase(self, users: Sequence[str], sessions: Sequence[str]) -> Erased:
        return super().erase(users, [])


class LastWins(MemoryPeople):
    """Broken: whatever arrives last holds, however old it is."""

    def link(self, links: Sequence[Link], *, who: str) -> int:
        for link in links:
            self._links[link.left, link.right] = link
        return len(links)


@pytest.mark.parametrize(
    ("broken", "check"),
    [(LeavesSessions, erases_everything_and_nothing_else), (LastWins, holds_the_same_whatever_came_first)],
)
def test_a_broken_store_is_caught(broken: type[MemoryPeople], check: Check) -> None:
    stores = MemoryStores(people=broken())
    with pytest.raises(ContractBroken):
        check(stores.people, stores.events)
