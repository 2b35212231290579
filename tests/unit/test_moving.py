"""A store moves to another database whole: digests of every table are equal, or it did not move. And back again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bodega.adapters.sql import SqlStore, copying, moving
from bodega.adapters.sql.copying import counts
from bodega.adapters.sql.database import Database
from bodega.adapters.sql.migrate import HEAD, revision
from bodega.adapters.sql.moving import move
from bodega.adapters.sql.tables import METADATA
from bodega.cli import app
from bodega.errors import BadSettings, StoreError, UsageError
from bodega.protocols import NoProgress
from bodega.schema import DeadLetter, Event, EventType, Item, Pin, Rule, When

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUIET = NoProgress()


def url(folder: Path, name: str = "shop") -> str:
    return f"sqlite:///{folder}/{name}.db"


def events(count: int, start: int = 0) -> list[Event]:
    kinds = list(EventType)
    return [
        Event(
            type=EventType.VIEW if n % 5 else kinds[n % len(kinds)], time=NOON + timedelta(seconds=n % 977),
            id=f"{'eE'[n % 2]}{n}", user=f"ü{n % 7}", session=f"s{n % 13}", item=f"i{n % 40}", price=n / 7,
            currency="EUR", position=n % 9 if n % 3 else None, query="milk\n\t\\ '" if n % 11 == 0 else "",
        )
        for n in range(start, start + count)
    ]  # fmt: skip


def filled(store_url: str, count: int = 1_500) -> None:
    with SqlStore.open(store_url) as store:
        store.catalog.upsert([Item(id=f"i{n}", title=f"Item {n} 牛奶 \U0001f95b", price=n / 3) for n in range(60)])
        store.catalog.delete(["i3", "i4"])
        store.events.append(events(count))
        store.dead.put([DeadLetter(kind="event", reason="no_item", message="?", source="a", line=3, raw="{}\\N\t")])
        store.keys.create("till", ["search"])
        store.rules.put([Rule(id="r", when=When(), then=(Pin(item="i1", position=1),))], who="cli")
        store.rules.delete("r", who="cli")


def told(store_url: str) -> tuple:
    database = Database(store_url)
    try:
        return copying.digests(database, QUIET)
    finally:
        database.close()


@pytest.fixture
def source(tmp_path) -> str:
    filled(url(tmp_path, "source"))
    return url(tmp_path, "source")


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request, tmp_path) -> str:
    return url(tmp_path, "target") if request.param == "sqlite" else request.getfixturevalue("fresh_postgres_url")


def test_a_store_arrives_whole_and_goes_on(source, target, tmp_path):
    done = move(source, target, QUIET)
    assert {table.name for table in done.tables} == set(METADATA.tables)
    assert told(source) == told(target) == done.tables
    with SqlStore.open(source) as old, SqlStore.open(target) as new:
        assert list(old.catalog.scan()) == list(new.catalog.scan())
        assert old.catalog.changes(0) == new.catalog.changes(0)
        assert new.events.append(events(3)).unchanged == 3, "what was moved is not told from what is new"
        new.catalog.upsert([Item(id="fresh")])
        assert new.catalog.cursor() == old.catalog.cursor() + 1, "the counters did not move"
        for user, session in (("ü1", ""), ("", "s2")):
            wanted = old.events.recent(user=user, session=session, limit=20)
            assert new.events.recent(user=user, session=session, limit=20) == wanted
        assert new.dead.counts() == old.dead.counts()
    back = url(tmp_path, "back")
    assert move(target, back, QUIET).rows == done.rows + 1


def test_every_content_has_its_digest(source):
    before = {table.name: table.digest for table in told(source)}
    changes = {
        "events": "UPDATE events SET price = price + 1e-9 WHERE id = 'E3'",
        "items": "UPDATE items SET deleted = 1 - deleted WHERE id = 'i9'",
        "meta": "UPDATE meta SET value = value + 1 WHERE name = 'item_seq'",
        "api_keys": "UPDATE api_keys SET label = 'Till'",
        "dead_letters": "DELETE FROM dead_letters",
    }
    database = Database(source)
    for name, change in changes.items():
        with database.writing() as connection:
            connection.exec_driver_sql(change)
        after = {table.name: table.digest for table in copying.digests(database, QUIET)}
        assert {table for table in after if after[table] != before[table]} == {name}
        before = after
    database.close()


def test_a_target_with_a_shop_in_it_is_refused(source, target):
    with SqlStore.open(target) as store:
        store.catalog.upsert([Item(id="mine")])
    with pytest.raises(UsageError, match="not empty"):
        move(source, target, QUIET)
    with SqlStore.open(target) as store:
        assert [item.id for item in store.catalog.scan()] == ["mine"]


def test_an_empty_store_is_a_fine_target_and_no_source(source, target, tmp_path):
    SqlStore.open(target).close()
    assert told(source) == move(source, target, QUIET).tables
    with pytest.raises(UsageError, match="holds no shop"):
        move(url(tmp_path, "typo"), url(tmp_path, "other"), QUIET)
    with pytest.raises(BadSettings, match="same store"):
        move(source, source, QUIET)


class Stopped(NoProgress):
    """Stops the move after so many rows, as a power cut would."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, amount: float = 1.0) -> None:
        self.left -= int(amount)
        if self.left < 0:
            raise KeyboardInterrupt


def test_cut_short_it_goes_on_and_half_a_store_does_not_open(source, target, monkeypatch):
    monkeypatch.setattr(copying, "CHUNK", 100)
    with pytest.raises(KeyboardInterrupt):
        move(source, target, Stopped(600))
    with pytest.raises(StoreError, match="not wholly arrived"):
        SqlStore.open(target)
    with SqlStore.open(source) as store:  # the source goes on living, and gets a late event before those copied
        store.events.append([Event(type=EventType.VIEW, time=NOON - timedelta(days=9), id="late", item="i1")])
    done = move(source, target, QUIET)
    assert done.resumed
    assert told(source) == told(target)


def test_a_move_into_half_of_another_shop_is_refused(source, target, tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "CHUNK", 100)
    with pytest.raises(KeyboardInterrupt):
        move(source, target, Stopped(100))
    filled(url(tmp_path, "another"), 10)
    with pytest.raises(UsageError, match="not empty"):
        move(url(tmp_path, "another"), target, QUIET)


@pytest.mark.skipif(os.name != "posix", reason="kills processes")
def test_killed_again_and_again_it_arrives(source, target):
    code = (
        "import sys; from bodega.adapters.sql import copying, moving; from bodega.protocols import NoProgress\n"
        "copying.CHUNK = 20; print('ready', flush=True); sys.stdin.readline()\n"
        "moving.move(*sys.argv[1:], NoProgress()); print('moved', flush=True)"
    )
    ends = []
    for pause in (0.1, 0.3, 0.6):
        mover = subprocess.Popen(
            [sys.executable, "-c", code, source, target], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert mover.stdin is not None
        assert mover.stdout is not None
        assert mover.stdout.readline() == "ready\n"
        mover.stdin.write("go\n")
        mover.stdin.flush()
        time.sleep(pause)
        mover.kill()
        said, _ = mover.communicate(timeout=60)
        with closing(Database(target)) as there:
            ends.append(said == "moved\n" or (revision(there) == HEAD and _filled(there)))
        if ends[-1]:  # also where it was killed between the last commit and its word
            break
    if not ends[-1]:
        move(source, target, QUIET)
    assert told(source) == told(target)


def _filled(there: Database) -> bool:
    with there.reading() as connection:
        return bool(counts(connection).get("events"))


def test_writers_are_locked_out_and_nothing_acknowledged_is_lost(source, target, monkeypatch):
    outcomes: list[object] = []
    with SqlStore.open(source) as live:
        monkeypatch.setattr(moving, "digests", lambda *args: outcomes.append(late(live)) or copying.digests(*args))
        done = move(source, target, QUIET)
        future = outcomes[0]
        assert future.result(timeout=60).added == 1, "an event that waited for the move is stored afterwards"
        assert live.events.count() == 1_501
    assert next(table.rows for table in done.tables if table.name == "events") == 1_500


def late(store: SqlStore) -> object:
    future = store.events.submit([Event(type=EventType.VIEW, time=NOON, id="while it moved", item="i1")])
    time.sleep(0.2)
    assert not future.done(), "an event was acknowledged that the move does not see"
    return future


def test_a_broken_copy_is_caught(source, target, monkeypatch):
    """The broken twin: a target that loses a row, or changes one, is never called equal."""

    def loses(connection, table, rows):
        Database.insert_new(database_of[0], connection, table, rows[:-1] if table.name == "events" else rows)

    database_of: list[Database] = []
    made = Database.__init__

    def noted(self, name):
        made(self, name)
        if name == target:
            database_of.append(self)
            self.insert_new = loses

    monkeypatch.setattr(Database, "__init__", noted)
    with pytest.raises(StoreError, match="does not hold what the source holds") as caught:
        move(source, target, QUIET)
    assert "events" in str(caught.value)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="not wholly arrived"):
        SqlStore.open(target)


def test_the_command(source, target):
    runner = CliRunner()
    done = runner.invoke(app, ["migrate", source, target, "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert [table["rows"] for table in said["tables"] if table["name"] == "events"] == [1_500]
    again = runner.invoke(app, ["migrate", source, target, "--json"])
    assert isinstance(again.exception, UsageError)
