"""One shop on SQLite and on PostgreSQL: the same scans, the same digests, the same snapshot byte for byte."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

import bodega
from bodega.adapters.sql import SqlStore, copying
from bodega.protocols import NoProgress
from bodega.schema import DeadLetter, Event, EventType, Item
from bodega.testing.world import WorldSpec, make_world

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ODD = ("a", "A", "Z", "é", "\uff5e", "\U0001f95b", "牛奶", "-", "_", "0", "10", "9")


@pytest.fixture
def both(tmp_path: Path, fresh_postgres_url: str) -> Iterator[tuple[SqlStore, SqlStore]]:
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as one, SqlStore.open(fresh_postgres_url) as other:
        yield one, other


def lived(store: SqlStore) -> list[object]:
    """A random life, the same for each store; returns everything that the store said."""
    rng, said = random.Random(7), []
    for step in range(20):
        items = [
            Item(id=f"{rng.choice(ODD)}{rng.randrange(30)}", title=f"T{rng.randrange(5)}", price=rng.random())
            for _ in range(rng.randrange(1, 30))
        ]
        said.append(store.catalog.upsert(items))
        said.append(store.catalog.delete([f"{rng.choice(ODD)}{rng.randrange(30)}" for _ in range(3)]))
        events = [
            Event(
                type=rng.choice([EventType.VIEW, EventType.CLICK, EventType.PURCHASE]),
                time=NOON + timedelta(seconds=rng.randrange(50)), id=f"{rng.choice(ODD)}{rng.randrange(4_000)}",
                user=rng.choice(ODD), session=f"s{rng.randrange(20)}", item=f"{rng.choice(ODD)}{rng.randrange(30)}",
                query=rng.choice(["", "milk", "牛奶"]), price=rng.choice([None, 0.1, 1e-300, 1e300]),
                quantity=rng.choice([1.0, 0.3, 12.0]), position=rng.choice([None, 0, 2**31 - 1]),
            )
            for _ in range(rng.choice([1, 7, 400]))
        ]  # fmt: skip
        written = store.events.append(events)
        said.append((written.added, written.unchanged, sorted(written.conflicts)))
        if step % 10 == 0:
            store.dead.put(
                [DeadLetter(kind="event", reason="odd", message="m\0", source="s", line=step, raw="r", time=NOON)]
            )
    return said


def test_the_same_life_gives_the_same_digests(both):
    one, other = both
    assert lived(one) == lived(other)
    assert copying.digests(one.database, NoProgress()) == copying.digests(other.database, NoProgress())
    assert list(one.catalog.scan()) == list(other.catalog.scan())
    assert one.catalog.changes(17) == other.catalog.changes(17)
    assert one.events.spans(86_400_000_000) == other.events.spans(86_400_000_000)
    for user in ODD:
        for limit in (1, 5, 1_000):
            wanted = one.events.recent(user=user, session="s3", limit=limit)
            assert other.events.recent(user=user, session="s3", limit=limit) == wanted
            assert other.events.steps(user=user, session="", limit=limit) == one.events.steps(
                user=user, session="", limit=limit
            )


def test_one_event_more_is_another_digest(both):
    """The broken twin of the comparison: a single row apart, and the digests say so."""
    one, other = both
    lived(one)
    lived(other)
    other.events.append([Event(type=EventType.VIEW, time=NOON, id="extra", item="a")])
    told, found = (copying.digests(store.database, NoProgress()) for store in both)
    assert [left.name for left, right in zip(told, found, strict=True) if left != right] == ["events"]


def test_migrations_build_on_postgres_what_the_tables_say(both, layout):
    with both[1].database.reading() as connection:
        assert layout(connection) == []


def elsewhere(store: SqlStore) -> list[tuple]:
    """Text columns of our tables whose order depends on a language."""
    asked = text("""
        SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_collation o ON o.oid = a.attcollation
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND o.collname <> 'C'
          AND a.attnum > 0 AND c.relname <> 'alembic_version'
    """)
    with store.database.reading() as connection:
        return [tuple(row) for row in connection.execute(asked)]


def test_text_is_ordered_by_code_points_whatever_the_database_was_made_for(both):
    store = both[1]
    assert elsewhere(store) == []
    with store.database.writing() as connection:  # the broken twin: a column left in the database's own order
        connection.execute(text("ALTER TABLE rules ALTER COLUMN id TYPE text COLLATE pg_catalog.default"))
    assert elsewhere(store) == [("rules", "id")]


@pytest.mark.slow
def test_a_shop_learns_the_same_bytes_from_both(tmp_path, fresh_postgres_url, monkeypatch):
    world = make_world(WorldSpec(n_items=60, n_shoppers=30, days=30))
    learned = []
    for name, url in (("file", ""), ("server", fresh_postgres_url)):
        monkeypatch.setenv("BODEGA_STORE_URL", url)
        with bodega.open(tmp_path / name) as shop:
            shop.catalog.upsert(world.items)
            shop.events.record(world.events)
            report = shop.learn()
            assert report.published, report.verdict
            user = world.events[0].user
            found = [(finding.code, finding.count) for finding in shop.catalog.doctor().findings]
            learned.append((report.snapshot, shop.recommend(user=user).ids, shop.events.summary(days=10), found))
            before = shop.recommend(session="guest").ids
            shop.events.record([Event(type=EventType.VIEW, time=datetime.now(UTC), session="guest", item=before[-1])])
            assert shop.recommend(session="guest").ids != before, "the event did not reach the next list"
            shop.catalog.upsert([Item(id="new", title="Zanzibar marmalade")])
            assert shop.search("zanzibar").ids == ["new"]
    assert learned[0] == learned[1]
