"""The one checker behind the crash tests: the acknowledged is there, once, and no batch is there in part."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

from bodega.adapters.sql import SqlStore

Verdict = Callable[[SqlStore, Iterable[str], int], "Damage"]


@dataclass(frozen=True)
class Damage:
    """What the checker found wrong; all zero means the promise was kept."""

    lost: int
    """Acknowledged batches that are not there whole."""
    doubled: int
    torn: int
    """Batches, acknowledged or not, that are there in part."""

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.torn)


@pytest.fixture(scope="session")
def verdict() -> Verdict:
    """verdict(store, acknowledged batches, rows a batch); an event's item is `<batch>:<row>`."""

    def judge(store: SqlStore, acknowledged: Iterable[str], size: int) -> Damage:
        items = Counter(item for chunk in store.events.scan() for item in chunk.item)
        batches = Counter(item.rpartition(":")[0] for item in items)
        return Damage(
            lost=sum(batches[batch] != size for batch in set(acknowledged)),
            doubled=sum(count > 1 for count in items.values()),
            torn=sum(count != size for count in batches.values()),
        )

    return judge
