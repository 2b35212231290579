"""R1: an acknowledged event survives `kill -9`. Ingest is killed at random moments; nothing may be missing or double.

All rounds of a run use one store, so recovery works on what earlier kills left behind. A twin that acknowledges
before the commit must be caught by the same checker, or the checker is worth nothing.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodega.adapters.sql import SqlStore

pytestmark = [pytest.mark.faults, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]

SIZE = 7
"""Rows a batch, as in ingest_child.py."""


class Nursery:
    """The warm parent: gives birth to an ingester, and tells how it ended."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("ingest_child.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def kill_one(self, folder: Path, round_: int, mode: str, rng: random.Random) -> list[str]:
        """Start an ingester, kill it at a random moment; returns the batches it had acknowledged."""
        acks = folder / f"acks-{round_}"
        order = {"url": f"sqlite:///{folder}/shop.db", "acks": str(acks), "round": round_, "mode": mode}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        if rng.random() < 0.8:  # most kills while batches flow, the others while the store is being opened
            deadline = time.monotonic() + 20
            while not (acks.exists() and acks.stat().st_size) and time.monotonic() < deadline:
                time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.04))
        os.kill(pid, signal.SIGKILL)
        ended = int(self.process.stdout.readline())
        assert ended == signal.SIGKILL, f"the ingester ended by itself with {ended}"
        text = acks.read_text() if acks.exists() else ""
        return [f"{round_}:{number}" for number in text[: text.rfind("\n") + 1].split()]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


def run(nursery: Nursery, folder: Path, mode: str, kills: int) -> list[str]:
    rng = random.Random(20_261_122)
    acknowledged: list[str] = []
    for round_ in range(kills):
        acknowledged += nursery.kill_one(folder, round_, mode, rng)
    return acknowledged


@pytest.mark.parametrize("kills", [200, pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])])
def test_nothing_acknowledged_is_lost_or_doubled(nursery, tmp_path, verdict, promise, kills):
    acknowledged = run(nursery, tmp_path, "real", kills)
    assert len(acknowledged) > 3 * kills, "too few batches were acknowledged: the kills came too early to mean much"
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        damage = verdict(store, acknowledged, SIZE)
        broken = damage.lost + damage.doubled + damage.torn
        told = f"{broken} promises broken of {len(acknowledged):,} over {kills} kills of a writer"
        promise("R1", told, "0")
        assert not damage, f"{kills} kills, {len(acknowledged):,} acknowledged batches: {damage}"
        assert store.events.count() >= SIZE * len(acknowledged)


def test_the_twin_that_acknowledges_before_the_commit_is_caught(nursery, tmp_path, verdict):
    acknowledged = run(nursery, tmp_path, "early", 20)
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        assert verdict(store, acknowledged, SIZE).lost > 0
