"""R13: a store of an older version, killed at random moments while it is brought up to date, is whole each time: the
old layout or the new one, every row in it. The old layouts are frozen here as the SQL that made them."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from bodega.adapters.sql import SqlStore
from bodega.adapters.sql.migrate import HEAD
from bodega.adapters.sql.tables import METADATA
from bodega.errors import StoreError

LAYOUT_0001 = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
CREATE TABLE items (id TEXT NOT NULL PRIMARY KEY, payload {blob} NOT NULL, digest {blob} NOT NULL,
  first_seq BIGINT NOT NULL, change_seq BIGINT NOT NULL, deleted BOOLEAN NOT NULL);
CREATE INDEX items_first ON items (first_seq);
CREATE INDEX items_change ON items (change_seq);
CREATE TABLE events (time BIGINT NOT NULL, id TEXT NOT NULL, digest {blob} NOT NULL, type SMALLINT NOT NULL,
  user_id TEXT NOT NULL, session_id TEXT NOT NULL, item_id TEXT NOT NULL, query TEXT NOT NULL, place TEXT NOT NULL,
  position INTEGER, request_id TEXT NOT NULL, price {double}, currency TEXT NOT NULL, quantity {double} NOT NULL,
  channel TEXT NOT NULL, value {double}, PRIMARY KEY (time, id)){events};
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_user ON events (user_id, time);
CREATE INDEX events_session ON events (session_id, time);
CREATE TABLE dead_letters (id {blob} NOT NULL PRIMARY KEY, kind TEXT NOT NULL, reason TEXT NOT NULL,
  message TEXT NOT NULL, source TEXT NOT NULL, line BIGINT NOT NULL, raw TEXT NOT NULL, time BIGINT NOT NULL);
CREATE INDEX dead_letters_reason ON dead_letters (kind, reason, time);
CREATE TABLE api_keys (id TEXT NOT NULL PRIMARY KEY, label TEXT NOT NULL, scopes TEXT NOT NULL, hash {blob} NOT NULL,
  created BIGINT NOT NULL, revoked BIGINT);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO meta VALUES ('item_seq', 3);
INSERT INTO alembic_version VALUES ('0001');
"""

LAYOUT_0002 = (
    LAYOUT_0001
    + """
CREATE TABLE rules (id TEXT NOT NULL PRIMARY KEY, payload {blob} NOT NULL, version BIGINT NOT NULL);
CREATE TABLE rule_changes (id BIGINT NOT NULL PRIMARY KEY, time BIGINT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
  rule TEXT NOT NULL, {q}before{q} {blob} NOT NULL, {q}after{q} {blob} NOT NULL, undoes BIGINT NOT NULL);
CREATE INDEX rule_changes_rule ON rule_changes (rule, id);
INSERT INTO meta VALUES ('rule_seq', 1);
INSERT INTO rules VALUES ('r', {rule}, 1);
INSERT INTO rule_changes VALUES (1, 1772366400000000, 'cli', 'create', 'r', {empty}, {rule}, 0);
UPDATE alembic_version SET version_num = '0002';
"""
)

ROWS = """
INSERT INTO items VALUES ('a', {item_a}, {digest}, 1, 1, {false});
INSERT INTO items VALUES ('b', {item_b}, {digest}, 2, 2, {false});
INSERT INTO items VALUES ('gone', {empty}, {empty}, 3, 3, {true});
INSERT INTO dead_letters VALUES ({digest}, 'event', 'no_item', '?', 'a.csv', 3, '{{}}', 1772366400000000);
INSERT INTO api_keys VALUES ('k', 'till', 'search', {digest}, 1772366400000000, NULL);
"""

EVENTS = 2_000
LAYOUTS = {"0001": LAYOUT_0001, "0002": LAYOUT_0002}
OLD_TABLES = {"alembic_version", "items", "events", "dead_letters", "api_keys", "meta"}
TABLES = {"0001": OLD_TABLES, "0002": OLD_TABLES | {"rules", "rule_changes"}}
"""What a store of each layout holds; of the newest all that `tables.py` says."""


def words(postgres: bool) -> dict[str, str]:
    """How each database spells it."""

    def blob(content: bytes) -> str:
        return f"'\\x{content.hex()}'" if postgres else f"x'{content.hex()}'"

    return {
        "blob": "BYTEA" if postgres else "BLOB",
        "double": "DOUBLE PRECISION" if postgres else "DOUBLE",
        "events": "" if postgres else " WITHOUT ROWID",
        "q": '"',
        "true": "true" if postgres else "1",
        "false": "false" if postgres else "0",
        "empty": blob(b""),
        "digest": blob(bytes(range(16))),
        "item_a": blob(b'{"id":"a","title":"Apple"}'),
        "item_b": blob(b'{"id":"b","title":"Bread"}'),
        "rule": blob(b'{"id":"r","version":1,"then":[{"do":"pin","item":"a","position":1}]}'),
    }


def aged(url: str, layout: str) -> None:
    """Write an old store by its own SQL."""
    postgres = url.startswith("postgresql")
    script = (LAYOUTS[layout] + ROWS).format(**words(postgres))
    digest = "decode(md5(n::text), 'hex')" if postgres else "randomblob(16)"
    series = f"generate_series(1, {EVENTS}) AS n" if postgres else (
        f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {EVENTS}) SELECT n FROM s)"
    )  # fmt: skip
    script += (
        f"INSERT INTO events SELECT 1772366400000000 + n * 1000, 'e' || n, {digest}, 1, 'u' || (n % 7), "
        f"'s' || (n % 50), 'a', '', 'home', NULL, '', 1.5, 'EUR', 1.0, 'web', NULL FROM {series};"
    )
    if postgres:
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(script.encode())
    else:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.executescript(script)


def torn(url: str) -> list[str]:
    """What is neither the old layout nor the new one, and which rows are missing; [] for a whole store."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.connect() as connection:
            there = set(inspect(connection).get_table_names())
            revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
            wanted = TABLES.get(revision) or {*METADATA.tables, "alembic_version"}
            found = [f"layout {revision}, yet {name}" for name in sorted(there ^ wanted)]
            for table, rows in (("events", EVENTS), ("items", 3), ("dead_letters", 1), ("api_keys", 1)):
                count = connection.scalar(text(f"SELECT count(*) FROM {table}"))
                found += [f"{count} of {rows} {table}"] if count != rows else []
            if revision not in ("0001", "0002", HEAD):
                found.append(f"revision {revision}")
            return found
    finally:
        engine.dispose()


class Opener:
    """The process that opens stores in children; see migrate_child.py."""

    def __init__(self, warm_up: str) -> None:
        script = Path(__file__).with_name("migrate_child.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), warm_up], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout

    def open(self, url: str, kill_after: float = -1.0) -> int:
        """Open the store in a child, killed after so many seconds if it still runs; returns how it ended."""
        self._in.write(f"{kill_after:.6f} {url}\n")
        self._in.flush()
        return int(self._out.readline())

    def close(self) -> None:
        self._in.close()
        self._process.wait(60)
        self._out.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request) -> str:
    if request.param == "postgresql":
        request.getfixturevalue("postgres_server")
    return request.param


@pytest.fixture
def opener(kind, request) -> Iterator[Opener]:
    made = Opener(fresh(kind, request, "warm"))
    yield made
    made.close()


def fresh(kind: str, request: pytest.FixtureRequest, number: object) -> str:
    if kind == "postgresql":
        return request.getfixturevalue("postgres_server").database()
    return f"sqlite:///{request.getfixturevalue('tmp_path')}/{number}.db"


@pytest.mark.parametrize("layout", ["0001", "0002"])
def test_an_old_store_is_brought_up_to_date(kind, layout, request):
    url = fresh(kind, request, layout)
    aged(url, layout)
    assert torn(url) == []
    with SqlStore.open(url) as store:
        assert [item.title for item in store.catalog.scan()] == ["Apple", "Bread"]
        assert store.events.count() == EVENTS
        assert [rule.id for rule in store.rules.list()] == (["r"] if layout == "0002" else [])
        assert [info.label for info in store.keys.list()] == ["till"]
        assert store.catalog.cursor() == 3
        assert len(store.events.recent(user="u3", session="", limit=1_000)) == EVENTS // 7 + 1
    assert torn(url) == []


def killed(kind: str, opener: Opener, request: pytest.FixtureRequest, kills: int) -> dict[str, int]:
    """Kill so many openings of old stores at random moments; {layout that was found afterwards: how often}."""
    rng = random.Random(7)
    first = fresh(kind, request, "first")
    aged(first, "0001")
    opener.open(first, kill_after=0.0)  # waits until the process is warm
    began = time.monotonic()
    assert opener.open(first) == 0
    longest = time.monotonic() - began
    found = {"old": 0, "new": 0}
    for number in range(kills):
        url = fresh(kind, request, number)
        layout = rng.choice(["0001", "0002"])
        aged(url, layout)
        for _ in range(2):  # killed twice, as a machine that keeps failing would
            ended = opener.open(url, kill_after=rng.uniform(0, 1.2 * longest))
            assert ended in (0, -signal.SIGKILL)
            assert torn(url) == [], f"after kill {number}"
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect() as connection:
            revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
        engine.dispose()
        found["new" if revision == HEAD else "old"] += 1
        assert opener.open(url) == 0, "it does not open after the kills"
        assert torn(url) == []
        if kind == "postgresql":
            request.getfixturevalue("postgres_server").drop(url)
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks and kills")
def test_killed_midway_it_is_whole(kind, opener, request):
    assert sum(killed(kind, opener, request, 4).values())


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks and kills")
def test_killed_midway_many_times_it_is_whole(kind, opener, request, promise):
    stores = 200 if os.environ.get("BODEGA_FAULTS_LONG") else 25
    found = killed(kind, opener, request, stores)
    promise("R13", f"{2 * stores} kills, {found['old']} midway: {stores} whole stores", "whole after every kill")
    assert found["old"] >= stores // 10, f"hardly any kill came midway: {found}"
    assert found["new"] >= stores // 10, found


def test_a_migration_in_two_transactions_is_seen(kind, request):
    """The broken twin: steps that commit one by one, cut short between two of them."""
    url = fresh(kind, request, "twin")
    aged(url, "0002")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE stream_offsets (stream TEXT)"))
    engine.dispose()
    assert torn(url) == ["layout 0002, yet stream_offsets"]
    with pytest.raises(StoreError):
        SqlStore.open(url)
