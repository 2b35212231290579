"""One rate for a caller, however many processes grant it; and no caller can take another's."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from bodega.service import rates
from bodega.service.limits import Buckets
from bodega.service.rates import GROUPS, WAYS, SharedBuckets, buckets_of, file_of
from bodega.service.workers import NEWS


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_two_tables_over_one_file_grant_what_one_grants(tmp_path: Path, rng: np.random.Generator):
    """Against the buckets of a single process, step by step."""
    clock = Clock()
    alone = Buckets(rate=5.0, burst=4, clock=clock)
    both = [SharedBuckets(tmp_path / "rates", 5.0, 4, clock) for _ in range(2)]
    for number in range(2_000):
        caller = f"c{int(rng.integers(5))}"
        clock.now += float(rng.exponential(0.05))
        assert both[number % 2].take(caller) == pytest.approx(alone.take(caller)), number
    assert len(both[0]) == len(both[1]) == 5


def test_processes_at_once_grant_the_burst_once(tmp_path: Path):
    """Four processes spend as fast as they can for one caller; the twin with a table each grants four times as much."""

    code = (
        "import sys; from pathlib import Path; from bodega.service.rates import SharedBuckets\n"
        "table = SharedBuckets(Path(sys.argv[1]), 0.001, 500); sys.stdin.read()\n"
        "print(sum(table.take('bot') == 0 for _ in range(400)))"
    )

    def granted(*, shared: bool) -> int:
        paths = [tmp_path / ("one" if shared else f"own{number}") for number in range(4)]
        command = [sys.executable, "-c", code]
        running = [
            subprocess.Popen([*command, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for path in paths
        ]
        for each in running:  # all have begun: now they race
            assert each.stdin is not None
            each.stdin.close()
        total = 0
        for each in running:
            assert each.stdout is not None
            total += int(each.stdout.read())
            each.stdout.close()
            assert each.wait() == 0
        return total

    assert granted(shared=True) == 500
    assert granted(shared=False) == 1_600


def test_a_flood_of_names_stays_in_bounds_and_starves_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rates, "GROUPS", 64)
    clock = Clock()
    table = SharedBuckets(tmp_path / "rates", 1.0, 3, clock)
    assert [table.take("honest") == 0 for _ in range(4)] == [True, True, True, False]
    for number in range(5_000):
        clock.now += 0.0001
        table.take(f"bot{number}")
    assert len(table) <= 64 * WAYS
    assert table.take("honest") == 0, "who was pushed out begins anew"
    assert GROUPS * WAYS > 10_000


def test_torn_bytes_and_a_clock_behind_refuse_nobody_for_long(tmp_path: Path):
    clock = Clock()
    table = SharedBuckets(tmp_path / "rates", 1.0, 2, clock)
    assert [table.take("a") == 0 for _ in range(3)] == [True, True, False]
    clock.now -= 500
    assert 0 < table.take("a") <= 1
    data = bytearray((tmp_path / "rates").read_bytes())
    at = next(n for n in range(4096, len(data), 24) if any(data[n : n + 8]))
    data[at + 8 : at + 16] = b"\xff" * 8  # not a number
    with (tmp_path / "rates").open("r+b") as file:
        file.write(data)
    assert table.take("a") == 0


def test_threads_of_one_process_do_not_race(tmp_path: Path):
    table = SharedBuckets(tmp_path / "rates", 0.001, 1_000)
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(sum(table.take("x") == 0 for _ in range(400)))) for _ in range(4)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(found) == 1_000


def test_a_server_of_several_workers_shares_them_one_alone_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert isinstance(buckets_of("callers", 1.0, 1), Buckets)
    monkeypatch.setenv(NEWS, str(tmp_path / ".news"))
    assert isinstance(buckets_of("callers", 1.0, 1), SharedBuckets)
    assert file_of(str(tmp_path / ".news"), "callers").exists()
