"""R1b: an acknowledged event survives power loss. `kill -9` cannot show this: the kernel still writes what it holds.

Real: the SQL that `SqlEvents.append` sends, recorded from the store itself (transactions included); the pragmas, by
the store's own `prepare_sqlite`; SQLite's code, through APSW; the recovery, done by `SqlStore.open` on real files.
Simulated: the disk. A VFS shim remembers what was written to each file since its last sync. At a random moment the
power goes: every later call fails, and of the unsynced writes of each file a random part reaches the platter, in any
choice and torn at sectors. The log is copied back every 200 pages instead of every 16,384, so that crashes hit it too.
Not simulated: a disk that lies about syncing, lost directory entries, bit rot.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from bodega.adapters.sql import SqlStore
from bodega.adapters.sql.database import prepare_sqlite
from bodega.errors import StoreError
from bodega.schema import Event, EventType

apsw = pytest.importorskip("apsw", reason="the crash VFS needs the development extra (apsw)")

pytestmark = pytest.mark.faults

SECTOR = 512
SIZE = 10
BATCHES = 40


class PowerLost(Exception):
    """The machine is off."""


@dataclass
class Platter:
    """One file: what is surely on disk, and the writes (offset, bytes; None = truncate) that a sync has not covered."""

    durable: bytearray
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def apply(self, offset: int, data: bytes | None) -> None:
        if data is None:
            del self.durable[offset:]
        else:
            self.durable.extend(bytes(max(0, offset + len(data) - len(self.durable))))
            self.durable[offset : offset + len(data)] = data

    def sync(self) -> None:
        for change in self.pending:
            self.apply(*change)
        self.pending.clear()

    def crash(self, rng: random.Random) -> bytes:
        """What is found after the power comes back."""
        share = rng.choice((0.0, 0.5, 0.9, 1.0))
        for offset, data in self.pending:
            if rng.random() < share:
                torn = data is not None and rng.random() < 0.2
                self.apply(offset, data[: rng.randrange(0, len(data), SECTOR)] if torn and len(data) > SECTOR else data)
        return bytes(self.durable)


class Disk(apsw.VFS):
    """Real files, and beside them the platters. The power goes at write, truncate or sync number `dies_at`."""

    def __init__(self, dies_at: int) -> None:
        self.name = "crash"
        self.dies_at, self.operations = dies_at, 0
        self.platters: dict[str, Platter] = {}
        super().__init__(self.name, base="")

    def xOpen(self, name, flags):  # noqa: N802
        return File(self, name, flags)

    def step(self) -> None:
        if self.operations >= self.dies_at:
            raise PowerLost
        self.operations += 1


class File(apsw.VFSFile):
    def __init__(self, disk: Disk, name, flags) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self.disk = disk
        if path not in disk.platters:
            file = Path(path)
            disk.platters[path] = Platter(bytearray(file.read_bytes() if file.exists() else b""))
        self.platter = disk.platters[path]
        super().__init__("", name, flags)

    def xWrite(self, data, offset):  # noqa: N802
        self.disk.step()
        self.platter.pending.append((offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size):  # noqa: N802
        self.disk.step()
        self.platter.pending.append((size, None))
        super().xTruncate(size)

    def xSync(self, flags):  # noqa: N802
        self.disk.step()
        self.platter.sync()


Statement = tuple[str, object, bool]


def batch(number: int) -> list[Event]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rng = random.Random(number)  # scattered times: a commit touches many pages
    return [
        Event(
            type=EventType.VIEW,
            time=start + timedelta(seconds=rng.randrange(10**7)),
            session=f"s{number}",
            item=f"{number}:{row}",
            query="q" * rng.randrange(200),
        )
        for row in range(SIZE)
    ]


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> tuple[bytes, list[list[Statement]]]:
    """(bytes of an empty, migrated store; for each batch what the store says to SQLite from BEGIN to COMMIT)."""
    folder = tmp_path_factory.mktemp("recording")
    with SqlStore.open(f"sqlite:///{folder}/shop.db"):
        pass
    empty = (folder / "shop.db").read_bytes()
    said: list[Statement] = []
    recorded: list[list[Statement]] = []
    with SqlStore.open(f"sqlite:///{folder}/shop.db") as store:
        engine = store.database._engine

        @event.listens_for(engine, "before_cursor_execute")
        def on_execute(_connection, _cursor, statement, parameters, _context, executemany):
            said.append((statement, parameters, executemany))

        @event.listens_for(engine, "commit")
        def on_commit(_connection):
            said.append(("COMMIT", (), False))

        for number in range(BATCHES):
            said.clear()
            store.events.append(batch(number))
            recorded.append(list(said))
    assert [statement for statement, _, _ in recorded[0]][:: len(recorded[0]) - 1] == ["BEGIN IMMEDIATE", "COMMIT"]
    assert any(executemany for _, _, executemany in recorded[0])
    return empty, recorded


def play(folder: Path, recording, disk: Disk, synchronous: str) -> list[str]:
    """Say it all again to SQLite on the crashing disk, until the power goes; returns what was acknowledged."""
    empty, batches = recording
    folder.mkdir()
    (folder / "shop.db").write_bytes(empty)
    acknowledged: list[str] = []
    connection = apsw.Connection(str(folder / "shop.db"), vfs="crash")

    def execute(sql: str) -> object:
        return list(connection.execute(sql))

    try:
        prepare_sqlite(execute)
        execute("PRAGMA wal_autocheckpoint = 200")
        if synchronous:
            execute(f"PRAGMA synchronous = {synchronous}")
        assert connection.pragma("journal_mode") == "wal"
        assert connection.pragma("synchronous") == {"": 2, "NORMAL": 1, "OFF": 0}[synchronous]
        for number, statements in enumerate(batches):
            for statement, parameters, executemany in statements:
                (connection.executemany if executemany else connection.execute)(statement, parameters)
            acknowledged.append(str(number))
    except (PowerLost, apsw.Error):
        assert disk.operations >= disk.dies_at, "SQLite failed before the power did"
    with suppress(PowerLost, apsw.Error):
        connection.close(True)
    return acknowledged


def after_crash(folder: Path, disk: Disk, rng: random.Random) -> str:
    """A new machine with what the platters hold; returns the store's URL."""
    folder.mkdir()
    for path, platter in disk.platters.items():
        (folder / Path(path).name).write_bytes(platter.crash(rng))
    return f"sqlite:///{folder}/shop.db"


def crashes(
    tmp_path: Path, recording, verdict: Callable[..., object], count: int, synchronous: str = ""
) -> tuple[int, int]:
    """(crashes that did damage, crashes that hit while batches were acknowledged) of `count` power losses."""
    whole = Disk(dies_at=10**9)
    assert len(play(tmp_path / "whole", recording, whole, synchronous)) == BATCHES
    rng = random.Random(7)
    damaged = midway = 0
    for number in range(count):
        disk = Disk(dies_at=rng.randrange(1, whole.operations))
        acknowledged = play(tmp_path / f"{number}", recording, disk, synchronous)
        midway += 0 < len(acknowledged) < BATCHES
        url = after_crash(tmp_path / f"{number}-after", disk, rng)
        try:
            with SqlStore.open(url) as store:
                damaged += bool(verdict(store, acknowledged, SIZE))
        except (StoreError, TypeError, ValueError):  # a broken twin may leave a file that cannot even be read
            damaged += 1
    return damaged, midway


@pytest.mark.parametrize("count", [500, pytest.param(5_000, marks=[pytest.mark.slow, pytest.mark.timeout(3_600)])])
def test_full_loses_nothing(tmp_path, recording, verdict, promise, count):
    damaged, midway = crashes(tmp_path, recording, verdict, count)
    assert midway > 0.6 * count, "most crashes must hit while batches flow"
    promise("R1b", f"{damaged} of {count} power losses did damage", "0 of 500")
    assert damaged == 0, f"{damaged} of {count} power losses did damage"


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_the_twin_that_does_not_sync_is_caught(tmp_path, recording, verdict, synchronous):
    damaged, _ = crashes(tmp_path, recording, verdict, 30, synchronous)
    assert damaged > 10
