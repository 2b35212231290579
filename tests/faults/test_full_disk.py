"""R4: the disk is full. Writes answer 507, lists and erasure still answer 200, and with room again all works.

The server's disk is a small tmpfs where the machine lets us mount one, and is then truly full; elsewhere the limit on
file sizes (RLIMIT_FSIZE) of the server's process plays it. SQLite's DELETE needs room too: erasure works because the
ballast file beside the store is let go first.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bodega.adapters.sql import SqlStore

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

START = datetime(2026, 1, 5, tzinfo=UTC)
ROOM = "48m"
RECOVERY = 10.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 48 MB: the shop, its ballast of 16 and little else."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("a small disk needs root and mount")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    for _ in range(50):
        if subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0:
            break
        time.sleep(0.1)


def events(first: int, count: int, user: str, item: str) -> list[dict[str, Any]]:
    return [
        {
            "id": f"f{first + n}",
            "type": "search",
            "query": "x" * 200,
            "time": (START + timedelta(seconds=first + n)).isoformat(),
            "user": user,
        }
        for n in range(count)
    ]


def fill(folder: Path) -> Path:
    """Write until nothing fits any more."""
    ballast = folder / "somebody-elses.bin"
    with ballast.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(65_536))
            file.flush()
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(256))
    return ballast


def test_writes_are_refused_and_everything_else_goes_on(shops: Any, base: Any, small_disk: Path, promise: Any) -> None:
    folder = base.copy(small_disk / "shop")
    server = shops.serve(folder)
    item = base.items[0].id
    assert server.call("POST", "/v1/events", {"events": events(0, 50, "forgetme", item)}, key=base.key)[0] == 200
    full = fill(small_disk)
    acknowledged = [f"f{n}" for n in range(50)]
    statuses, number = set(), 100
    for _ in range(20):  # what is left in the log may still take a batch or two
        batch = events(number, 400, "u0001", item)
        status, _ = server.call("POST", "/v1/events", {"events": batch}, key=base.key)
        if status == 200:
            acknowledged += [event["id"] for event in batch]
        statuses.add(status)
        number += 400
    assert 507 in statuses
    assert statuses <= {200, 507}, statuses
    assert server.call(
        "POST", "/v1/items", {"items": [{"id": "n" * 50, "description": "y" * 19_000}] * 1}, key=base.key
    )[0] in (200, 507)
    title = base.items[0].title.replace(" ", "+")
    for path in (f"/v1/search?q={title}", "/v1/recommend?place=home&user=u0002", f"/v1/items/{item}/similar"):
        status, page = server.call("GET", path, key=base.key)
        assert status == 200, page
        assert page["hits"]
    assert server.call("GET", "/livez")[0] == 200
    status, told = server.call("DELETE", "/v1/shoppers/forgetme", key=base.key)
    assert status == 200, f"erasure must work on a full disk: {told}"
    full.unlink()
    freed = time.monotonic()
    batch = events(number, 400, "u0001", item)
    while server.call("POST", "/v1/events", {"events": batch}, key=base.key)[0] != 200:
        assert time.monotonic() - freed < RECOVERY, "writes are not taken ten seconds after there was room again"
        time.sleep(0.1)
    recovery = time.monotonic() - freed
    promise("R4", f"full disk: writes 507, lists and erasure 200; writes back after {recovery:.1f} s", "<= 10 s")
    acknowledged += [event["id"] for event in batch]
    server.stop()
    with SqlStore.open(f"sqlite:///{folder}/shop.db") as store:
        kept = [event.id for event in store.events.recent(user="u0001", session="", limit=100_000)]
        assert len(kept) == len(set(kept)), "doubled"
        assert set(acknowledged[50:]) <= set(kept), "an acknowledged event is gone"
        assert store.events.recent(user="forgetme", session="", limit=10) == []


def test_a_store_that_acknowledges_on_a_full_disk_is_caught(small_disk: Path, base: Any) -> None:
    """The broken twin: it swallows the error of its write. The check above asks the store what is there."""
    folder = base.copy(small_disk / "shop")
    with SqlStore.open(f"sqlite:///{folder}/shop.db") as store:
        before = store.events.count()
        fill(small_disk)
        acknowledged = 0
        from bodega.errors import StoreError
        from bodega.schema import Event, EventType

        for part in range(20):
            batch = [
                Event(
                    type=EventType.SEARCH, query="q" * 300, user="twin", time=START + timedelta(seconds=part * 500 + n)
                )
                for n in range(500)
            ]
            with suppress(StoreError):
                store.events.append(batch)
            acknowledged += len(batch)  # whatever happened
        assert store.events.count() - before < acknowledged


def test_the_server_does_not_die_of_a_full_log(shops: Any, base: Any, small_disk: Path) -> None:
    folder = base.copy(small_disk / "shop")
    server = shops.serve(folder)
    fill(small_disk)
    for n in range(30):
        with suppress(http.client.HTTPException):
            server.call("GET", f"/v1/recommend?place=home&user=u{n:04d}", key=base.key)
    assert server.ended is None
    assert server.call("GET", "/v1/recommend?place=popular", key=base.key)[0] == 200
    server.stop()
