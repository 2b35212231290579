"""The store opens, migrates once, says what is wrong, and lets processes share a file."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bodega.adapters.sql import SqlStore, database, migrate
from bodega.errors import BadRequest, BadSettings, LimitError, MissingExtra, StoreError
from bodega.schema import Event, EventType, Item

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/shop.db"


def views(count: int, start: int = 0) -> list[Event]:
    return [
        Event(type=EventType.VIEW, time=NOON + timedelta(seconds=n), id=f"e{n}", user=f"u{n % 7}", item=f"i{n}")
        for n in range(start, start + count)
    ]


def test_migrations_build_what_the_tables_say(tmp_path, layout):
    with SqlStore.open(url(tmp_path)) as store, store.database.reading() as connection:
        assert layout(connection) == []


def test_head_is_the_newest_migration():
    numbers = sorted(path.name[:4] for path in (migrate.FOLDER / "versions").glob("0*.py"))
    assert numbers[-1] == migrate.HEAD


def test_pragmas_are_the_durable_ones(tmp_path):
    with SqlStore.open(url(tmp_path)) as store, store.database.reading() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        told = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    assert told == ["wal", 2, 1, 15_000]


def test_an_old_store_of_a_newer_bodega_is_refused(tmp_path):
    with SqlStore.open(url(tmp_path)) as store, store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer version"):
        SqlStore.open(url(tmp_path))


def test_processes_that_open_at_once_migrate_once(tmp_path):
    code = (
        "import sys; from bodega.adapters.sql import SqlStore; sys.stdin.readline(); "
        "store = SqlStore.open(sys.argv[1]); print(store.events.count()); store.close()"
    )
    command = [sys.executable, "-c", code, url(tmp_path)]
    openers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [opener.communicate("go\n", timeout=60) for opener in openers]
    assert [out.strip() for out, _ in said] == ["0"] * 4, [err[-500:] for _, err in said]


def test_a_migration_cut_short_leaves_no_trace(tmp_path, monkeypatch):
    store_url = url(tmp_path)
    monkeypatch.setattr("alembic.op.execute", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))  # its last step
    with pytest.raises(KeyboardInterrupt):
        SqlStore.open(store_url)
    tables = sqlite3.connect(tmp_path / "shop.db").execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == []
    monkeypatch.undo()
    with SqlStore.open(store_url) as store:
        assert store.events.append(views(3)).added == 3


def test_two_may_read_while_one_writes(tmp_path):
    with SqlStore.open(url(tmp_path)) as writer, SqlStore.open(url(tmp_path)) as reader:
        writer.events.append(views(10))
        with writer.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM events")
            assert reader.events.count() == 10, "a reader sees an uncommitted change"
            assert len(reader.events.recent(user="u1", session="", limit=5)) == 2
        assert reader.events.count() == 0


def test_a_scan_sees_one_moment(tmp_path):
    with SqlStore.open(url(tmp_path)) as store:
        store.events.append(views(10))
        scan = store.events.scan(chunk=3)
        first = next(scan)
        store.events.append(views(10, start=10))
        assert len(first.user) + sum(len(chunk.user) for chunk in scan) == 10


def test_a_full_disk_is_said_and_nothing_is_half_stored(tmp_path):
    with SqlStore.open(url(tmp_path)) as store:
        store.events.append(views(10))
        pages = sqlite3.connect(tmp_path / "shop.db").execute("PRAGMA page_count").fetchone()[0]
        with store.database.writing() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 3}")
        with pytest.raises(StoreError, match="disk is full") as caught:
            store.events.append(views(5_000, start=10))
        assert "again" in str(caught.value)
        assert store.events.count() == 10
        with store.database.writing() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        assert store.events.append(views(5_000)).added == 4_990, "the store does not heal once there is space"


def test_a_locked_store_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr(database, "PRAGMAS", ("busy_timeout = 100", "synchronous = FULL"))
    with SqlStore.open(url(tmp_path)) as store:
        other = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process"):
            store.events.append(views(1))
        other.execute("ROLLBACK")
        assert store.events.append(views(1)).added == 1
        other.close()


def test_a_file_that_is_no_store_is_said(tmp_path):
    (tmp_path / "shop.db").write_bytes(b"id,title\n1,Pasta\n" * 500)
    with pytest.raises(StoreError, match="damaged or is not a store"):
        SqlStore.open(url(tmp_path))


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(StoreError, match="does not exist"):
        SqlStore.open(f"sqlite:///{tmp_path}/nowhere/shop.db")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX users")
def test_a_read_only_store_is_said(tmp_path):
    store_url = url(tmp_path)
    with SqlStore.open(store_url) as store:
        store.events.append(views(3))
    file = tmp_path / "shop.db"
    file.chmod(0o444)
    tmp_path.chmod(0o555)
    code = (
        "import os, sys; from bodega.adapters.sql import SqlStore; from bodega.errors import StoreError\n"
        "from bodega.schema import Item\n"
        "os.getuid() == 0 and os.setuid(65534)\n"
        "try: SqlStore.open(sys.argv[1]).catalog.upsert([Item(id='1')])\n"
        "except StoreError as error: print(error)"
    )
    for folder in tmp_path.parents:  # pytest keeps its folders to this user alone; with xdist there is one more
        if folder.name.startswith(("pytest-", "popen-")):
            folder.chmod(folder.stat().st_mode | 0o011)
    try:
        done = subprocess.run([sys.executable, "-c", code, store_url], capture_output=True, text=True, timeout=60)
    finally:
        tmp_path.chmod(0o755)
    assert "write access" in done.stdout or "may write" in done.stdout, done.stdout + done.stderr[-500:]


@pytest.mark.parametrize("bad", ["", "shop.db", "mysql://shop", "sqlite://", "sqlite:///:memory:"])
def test_urls_that_cannot_be_used(bad):
    with pytest.raises(BadSettings, match=r"store\.url"):
        SqlStore.open(bad)


def test_postgres_without_its_extra(monkeypatch):
    monkeypatch.setattr(database, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"bodega\[postgres\]"):
        SqlStore.open("postgresql://shop@localhost/shop")


def test_one_bad_event_refuses_its_batch_only(tmp_path):
    with SqlStore.open(url(tmp_path)) as store:
        broken = Event(type=EventType.VIEW, time=NOON, user="\ud800", item="i")
        for bad in (broken, Event(type=EventType.VIEW, time=NOON, user="u", item="i", quantity=float("nan"))):
            with pytest.raises(BadRequest, match="cannot be kept"):
                store.events.append([*views(2), bad])
        assert store.events.count() == 0
        with pytest.raises(BadRequest, match="cannot be kept"):
            store.catalog.upsert([Item(id="1"), Item(id="2", title="\ud800")])
        assert store.catalog.count() == 0


def test_closing_commits_what_waits_and_refuses_the_rest(tmp_path):
    store = SqlStore.open(url(tmp_path))
    futures = [store.events.submit(views(50, start=50 * n)) for n in range(20)]
    store.close()
    store.close()
    assert sum(future.result(timeout=0).added for future in futures) == 1_000
    with pytest.raises(StoreError, match="closed"):
        store.events.submit(views(1))


def test_a_full_queue_refuses_instead_of_growing(tmp_path):
    with SqlStore.open(url(tmp_path)) as store:
        gate = threading.Event()
        write = store.events._commit._write

        def slow(batches):
            gate.wait(10)
            return write(batches)

        store.events._commit._write = slow
        futures = []

        def flood() -> None:
            for n in range(5_000):
                futures.append(store.events.submit(views(1, start=n), wait=0))

        with pytest.raises(LimitError, match="faster than the disk"):
            flood()
        gate.set()
        assert sum(future.result(timeout=30).added for future in futures) == len(futures) >= 1_000


def test_waiting_batches_share_one_commit(tmp_path):
    with SqlStore.open(url(tmp_path)) as store:
        sizes: list[int] = []
        gate = threading.Event()
        write = store.events._commit._write

        def counted(batches):
            gate.wait(10)
            sizes.append(len(batches))
            return write(batches)

        store.events._commit._write = counted
        futures = [store.events.submit(views(5, start=5 * n)) for n in range(100)]
        gate.set()
        assert sum(future.result(timeout=30).added for future in futures) == 500
        assert len(sizes) <= 3, f"100 waiting batches took {len(sizes)} commits"


def test_poison_in_a_group_hurts_its_own_batch_only(tmp_path):
    with SqlStore.open(url(tmp_path)) as store:
        gate = threading.Event()
        write = store.events._commit._write

        def picky(batches):
            gate.wait(10)
            if any(row[1] == "e7" for batch in batches for row in batch.rows):
                raise ValueError("poison")
            return write(batches)

        store.events._commit._write = picky
        futures = [store.events.submit(views(1, start=n)) for n in range(20)]
        gate.set()
        ends = [future.exception(timeout=30) for future in futures]
        assert [type(end).__name__ for end in ends] == ["ValueError" if n == 7 else "NoneType" for n in range(20)]
        assert store.events.count() == 19
