"""What do several workers cost in memory, beside one process? `bodega serve` twice on a copy of the shop, and counted.

    memory.one_mb        one process that answered the pages
    memory.team_mb       supervisor, nursery and workers that answered the same pages between them
    memory.ratio         the second by the first
    memory.*_start_mb    both before the first page
    memory.worker_mb     what belongs to one worker alone after the pages (the mean), memory.nursery_mb to the nursery

Counted is the proportional set size (PSS) of the whole tree of processes: a page that k processes share counts a k-th
for each, so that the sum is what the machine gives. Files that are mapped count, too. Before anything is counted every
worker has answered; the pages come from a seeded crowd. Needs Linux. Not for: speed (`bench serve`, `bench live`).
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bodega.bench._traffic import Connection, Crowd
from bodega.bench.result import BenchResult
from bodega.bench.serve import check_learned, copied, running
from bodega.errors import BadSettings, StoreError
from bodega.wiring import open_shop

CONNECTIONS = 16
PATIENCE = 120.0
"""Seconds in which every worker must have answered."""
ANSWERED = 0.05
"""CPU seconds after which a worker surely answered: several pages."""
MB = 1024.0


@dataclass(frozen=True, slots=True)
class WorkersOptions:
    """`pages` are asked of one process, and of all workers together."""

    shop: Path
    workers: int = 4
    pages: int = 720
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a tree of processes, in kB."""

    whole: float
    private: tuple[float, ...]
    """What belongs to each process alone: the one that was started, its child, the workers."""


def run(options: WorkersOptions) -> BenchResult:
    """Measure. Raises NotAShop, NotLearned, StoreError, BadSettings (no /proc)."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise BadSettings("this system does not say what processes share", where="/proc/PID/smaps_rollup", next="Linux")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bodega-bench-") as scratch:
        folder = copied(options.shop, Path(scratch) / "shop")
        with open_shop(folder, create=False) as shop:
            check_learned(shop)
            key, name = shop.keys.create("bench", ("search", "admin")), shop.settings.name
            crowd, items, events = Crowd.of(shop, options.seed), shop.catalog.count(), shop.events.count()
            live = shop.engine.learned.live
            since = 0 if live is None else live.counted
        one, alone = _measured(folder, 1, key, crowd, options)
        first, team = _measured(folder, options.workers, key, crowd, options)
    workers = team.private[2:]
    figures = {
        "memory.one_mb": alone.whole / MB,
        "memory.team_mb": team.whole / MB,
        "memory.ratio": team.whole / alone.whole,
        "memory.one_start_mb": one.whole / MB,
        "memory.team_start_mb": first.whole / MB,
        "memory.ratio_start": first.whole / one.whole,
        "memory.worker_mb": sum(workers) / len(workers) / MB,
        "memory.worker_start_mb": sum(first.private[2:]) / len(workers) / MB,
        "memory.nursery_mb": team.private[1] / MB,
    }
    return BenchResult(
        bench="workers",
        data=f"{name}: {items:,} items, {events:,} events, {since:,} of interest since the snapshot",
        seconds=round(time.perf_counter() - started, 1),
        figures={key: round(value, 3) for key, value in figures.items()},
        facts={"workers": options.workers, "pages": options.pages, "seed": options.seed, "cores": os.cpu_count()},
        notes=("PSS over the tree of processes; every worker answered before anything was counted",),
    )


def _measured(folder: Path, count: int, key: str, crowd: Crowd, options: WorkersOptions) -> tuple[Memory, Memory]:
    """(before the first page, after the pages) of so many processes."""
    with running(folder, "--workers", str(count)) as (pid, port):
        before = memory_of(pid)
        _all_answer(pid, port, key, crowd)
        wires = [Connection(port, key) for _ in range(CONNECTIONS)]
        for number, (_, address) in enumerate(islice(crowd.asks(options.seed), options.pages)):
            status, body, _ = wires[number % CONNECTIONS].ask("GET", address)
            if status != 200:
                raise StoreError("the server refused a page", where=address, got=f"{status}: {body[:200]!r}")
        after = memory_of(pid)
        for wire in wires:
            wire.close()
    return before, after


def _all_answer(pid: int, port: int, key: str, crowd: Crowd) -> None:
    """Ask on new connections until every worker has answered."""
    begun = {each: _cpu(each) for each in tree(pid)}
    answering = [each for each in begun if not children(each)]
    until = time.monotonic() + PATIENCE
    for _, address in crowd.asks(0):
        if all(_cpu(each) - begun[each] > ANSWERED for each in answering):
            return
        if time.monotonic() > until:
            raise StoreError("a worker does not answer", where="bodega serve", got=f"{PATIENCE:g} s")
        wire = Connection(port, key)
        wire.ask("GET", address)
        wire.close()


def memory_of(pid: int) -> Memory:
    """Of this process and all below it."""
    whole, private = 0.0, []
    for each in tree(pid):
        told = dict(line.split(":", 1) for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:])
        kilobytes = {name: float(value.split()[0]) for name, value in told.items()}
        whole += kilobytes["Pss"]
        private.append(kilobytes["Private_Dirty"] + kilobytes["Private_Clean"])
    return Memory(whole, tuple(private))


def tree(pid: int) -> list[int]:
    """The process and all below it, parents first."""
    return [pid, *(below for child in children(pid) for below in tree(child))]


def children(pid: int) -> list[int]:
    """Whom any thread of the process started."""
    threads = sorted(Path(f"/proc/{pid}/task").iterdir())
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def _cpu(pid: int) -> float:
    """CPU seconds of the process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
