"""One batch or one event at a time, in SQL or in memory, submitted or appended: the stores end up telling the same."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bodega.adapters.sql import SqlStore
from bodega.events import build_log
from bodega.schema import Event, EventType, Item, ItemTable
from bodega.settings import Ingest
from bodega.testing.fakes import MemoryEvents

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def events() -> list[Event]:
    rng = random.Random(7)
    kinds = [EventType.VIEW, EventType.CLICK, EventType.CART, EventType.PURCHASE]
    return [
        Event(
            type=rng.choice(kinds),
            time=START + timedelta(seconds=rng.randrange(10**6), microseconds=rng.randrange(10**6)),
            id=f"e{n}" if n % 2 else "",
            user=f"u{rng.randrange(20)}" if n % 3 else "",
            session=f"s{rng.randrange(60)}",
            item=f"i{rng.randrange(50)}",
            quantity=float(rng.randrange(1, 5)),
        )
        for n in range(800)
    ]


def told(store) -> list[tuple]:
    return [
        row
        for chunk in store.scan(chunk=300)
        for row in zip(
            chunk.time.tolist(), chunk.type.tolist(), chunk.user, chunk.session, chunk.item, chunk.quantity.tolist(),
            strict=True,
        )
    ]  # fmt: skip


def test_one_by_one_equals_in_batches(tmp_path, events):
    with SqlStore.open(f"sqlite:///{tmp_path}/one.db") as one, SqlStore.open(f"sqlite:///{tmp_path}/many.db") as many:
        for event in events[:200]:
            one.events.append([event])
        one.events.append(events[200:])
        for future in [many.events.submit(events[n : n + 90]) for n in range(0, len(events), 90)]:
            future.result()
        assert told(one.events) == told(many.events)
        assert len(told(one.events)) == len(events)


def test_sql_equals_memory(tmp_path, events):
    memory = MemoryEvents()
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as sql:
        for n in range(0, len(events), 64):
            batch = events[n : n + 80]  # overlapping: every batch delivers 16 events again
            assert memory.append(batch) == sql.events.append(batch)
        assert told(memory) == told(sql.events)
        items = ItemTable.of([Item(id=f"i{n}") for n in range(40)])
        in_memory, in_sql = (build_log(store.scan(), items, Ingest()) for store in (memory, sql.events))
        assert in_memory[1] == in_sql[1]
        np.testing.assert_array_equal(in_memory[0].session, in_sql[0].session)
        for user in ("", "u1", "u2"):
            wanted = [(one.time, one.item) for one in memory.recent(user=user, session="s3", limit=7)]
            assert [(one.time, one.item) for one in sql.events.recent(user=user, session="s3", limit=7)] == wanted


def test_a_store_opened_again_tells_the_same(tmp_path, events):
    url = f"sqlite:///{tmp_path}/shop.db"
    with SqlStore.open(url) as store:
        store.events.append(events)
        store.catalog.upsert([Item(id=f"i{n}", title=f"Item {n}") for n in range(50)])
        store.catalog.delete(["i7"])
        before = (told(store.events), list(store.catalog.scan()), store.catalog.changes(0))
    with SqlStore.open(url) as store:
        assert (told(store.events), list(store.catalog.scan()), store.catalog.changes(0)) == before
