"""A backup is whole or it is refused; what is restored from it is equal, table by table, file by file."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bodega
from bodega import wiring
from bodega.adapters import backup as backups
from bodega.adapters.sql import copying
from bodega.adapters.sql.database import Database
from bodega.cli import app
from bodega.engine.snapshot import Snapshots
from bodega.errors import NotAShop, StoreError, UsageError
from bodega.protocols import NoProgress
from bodega.schema import Event, EventType, Item

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUIET = NoProgress()


def events(count: int, start: int = 0) -> list[Event]:
    return [
        Event(type=EventType.VIEW, time=NOON + timedelta(seconds=n), id=f"e{n}", user=f"u{n % 7}", item=f"i{n % 30}")
        for n in range(start, start + count)
    ]


def filled(folder: Path) -> Path:
    """A shop with a store, a key file, and a snapshot (as small as one can be)."""
    with bodega.open(folder) as shop:
        shop.catalog.upsert([Item(id=f"i{n}", title=f"Item {n}") for n in range(30)])
        shop.stores.events.append(events(400))
        shop.keys.create("till", ["search"])
    Snapshots.of(folder).publish(lambda to: {"size": (to / "a.bin").write_bytes(bytes(range(256)))}, code="1")
    (folder / "privacy.key").write_text("a secret of this shop")
    return folder


def told(folder: Path) -> tuple:
    database = Database(backups.store_url(folder, wiring.settings_room.load(folder)))
    try:
        return copying.digests(database, QUIET)
    finally:
        database.close()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return filled(tmp_path / "shop")


@pytest.fixture
def kept(shop: Path, tmp_path: Path) -> Path:
    wiring.back_up(shop, tmp_path / "kept", QUIET)
    return tmp_path / "kept"


def test_what_is_restored_is_equal(shop, kept, tmp_path):
    done = wiring.restore(kept, tmp_path / "again", QUIET)
    again = tmp_path / "again"
    assert told(again) == told(shop) == done.tables
    assert done.rows >= 431
    assert (again / "privacy.key").read_text() == "a secret of this shop"
    assert (again / "bodega.toml").read_bytes() == (shop / "bodega.toml").read_bytes()
    old, new = Snapshots.of(shop).open(), Snapshots.of(again).open()
    assert (old[0].name, old[1]) == (new[0].name, new[1])
    with bodega.open(again) as opened:
        assert opened.events.count() == 400
        assert opened.stores.events.append(events(1, 400)).added == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [], "a draft was left behind"


def test_the_sums_are_what_the_system_reads(kept):
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("no sha256sum here")
    done = subprocess.run([program, "-c", "SHA256SUMS"], cwd=kept, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = {line.split("  ")[1] for line in (kept / "SHA256SUMS").read_text().splitlines()}
    there = {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()}
    assert there == listed | {"SHA256SUMS"}


def test_a_backup_while_events_come_in_is_of_one_moment(shop, tmp_path):
    stop, stored = threading.Event(), []

    def sell() -> None:
        with bodega.open(shop) as live:
            start = 1_000
            while not stop.is_set():
                live.stores.events.append(events(50, start))
                stored.append(start + 50)
                start += 50

    seller = threading.Thread(target=sell)
    seller.start()
    try:
        while not stored:
            stop.wait(0.01)
        before = len(stored)
        done = wiring.back_up(shop, tmp_path / "kept", QUIET)
    finally:
        stop.set()
        seller.join(60)
    wiring.restore(tmp_path / "kept", tmp_path / "again", QUIET)
    rows = next(table.rows for table in done.tables if table.name == "events")
    assert (rows - 400) % 50 == 0, "half a batch was copied"
    assert 50 * before <= rows - 400 <= 50 * len(stored), "what was acknowledged before is missing"
    assert told(tmp_path / "again") == done.tables


def test_flipped_bits_are_found_wherever_they_are(kept, tmp_path):
    """R5 for backups: no bit of any file may differ unnoticed, the list of checksums included."""
    rng = random.Random(7)
    files = [path for path in sorted(kept.rglob("*")) if path.is_file()]
    for _ in range(150):
        path = rng.choice(files)
        good = path.read_bytes()
        bit = rng.randrange(8 * len(good))
        path.write_bytes(good[: bit // 8] + bytes([good[bit // 8] ^ 1 << bit % 8]) + good[bit // 8 + 1 :])
        with pytest.raises(StoreError, match="damaged"):
            backups.verify(kept, QUIET)
        path.write_bytes(good)
    backups.verify(kept, QUIET)
    (kept / "SHA256SUMS").write_text("".join((kept / "SHA256SUMS").read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(StoreError, match="damaged"):
        wiring.restore(kept, tmp_path / "again", QUIET)
    assert not (tmp_path / "again").exists()


def test_a_store_that_changed_with_its_checksum_is_caught_by_its_tables(kept, tmp_path):
    """The broken twin: checksums made anew over a store that lost a row; only the digests of tables tell."""
    copy = Database(f"sqlite:///{kept}/store.db")
    with copy.writing() as connection:
        connection.exec_driver_sql("DELETE FROM events WHERE id = 'e7'")
    copy.close()
    backups._closed(kept / "store.db")
    (kept / "SHA256SUMS").unlink()
    backups._write_sums(kept, QUIET)
    with pytest.raises(StoreError, match="not those of the backup"):
        wiring.restore(kept, tmp_path / "again", QUIET)
    assert not (tmp_path / "again").exists()


def test_a_folder_in_use_is_refused_or_moved_aside(shop, kept, tmp_path):
    with pytest.raises(UsageError, match="not empty"):
        wiring.restore(kept, shop, QUIET)
    with pytest.raises(UsageError, match="not empty"):
        wiring.back_up(shop, kept, QUIET)
    before = told(shop)
    (shop / "bodega.toml").write_text("name = 'broken'")
    wiring.restore(kept, shop, QUIET, replace=True)
    assert told(shop) == before
    (aside,) = tmp_path.glob("shop.before-*")
    assert (aside / "bodega.toml").read_text() == "name = 'broken'"


def test_what_is_no_backup_and_no_shop_is_said(tmp_path, shop):
    with pytest.raises(NotAShop, match="no backup"):
        wiring.restore(shop, tmp_path / "again", QUIET)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "file").write_text("?")
    with pytest.raises(NotAShop):
        wiring.back_up(tmp_path / "odd", tmp_path / "kept", QUIET)
    assert not (tmp_path / "kept").exists()


def test_a_full_disk_leaves_no_half_backup(shop, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "_write_sums", full)
    with pytest.raises(StoreError, match="cannot be written"):
        wiring.back_up(shop, tmp_path / "kept", QUIET)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop"]


def test_a_shop_on_postgres_is_kept_and_put_back(tmp_path, postgres_server, monkeypatch):
    monkeypatch.setenv("BODEGA_STORE_URL", postgres_server.database())
    shop = filled(tmp_path / "shop")
    before = told(shop)
    done = wiring.back_up(shop, tmp_path / "kept", QUIET)
    assert done.tables == before
    with pytest.raises(UsageError, match="not empty"):
        wiring.restore(tmp_path / "kept", tmp_path / "again", QUIET)
    monkeypatch.setenv("BODEGA_STORE_URL", postgres_server.database())
    assert wiring.restore(tmp_path / "kept", tmp_path / "again", QUIET).tables == before
    assert told(tmp_path / "again") == before
    assert not (tmp_path / "again" / "shop.db").exists()
    monkeypatch.delenv("BODEGA_STORE_URL")  # and into a file again
    wiring.restore(tmp_path / "kept", tmp_path / "file", QUIET)
    assert told(tmp_path / "file") == before


def test_the_commands(shop, tmp_path):
    runner = CliRunner()
    done = runner.invoke(app, ["backup", str(tmp_path / "kept"), "--shop", str(shop), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["snapshot"] == Snapshots.of(shop).current()
    done = runner.invoke(app, ["restore", str(tmp_path / "kept"), "--shop", str(tmp_path / "again")])
    assert done.exit_code == 0, done.output
    assert "every digest is equal" in done.output
    assert told(tmp_path / "again") == told(shop)
