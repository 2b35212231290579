"""Bodega's own models as one more peer: a process of its own, the same clock and memory gauge, the same arrays back.

    python -m bodega.bench._peer_own JOB.json

A single model learns and answers like the peers'. `served-fast` and `served-all` are what a shop serves, without and
with torch: they learn up to the validation window, choose there how to fuse and rank, learn again up to the test, and
all of that is on their bill. They answer with the candidates that they rank; what no source proposed stays NaN.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from bodega import __version__
from bodega.bench._choice import choose
from bodega.bench._models import Fitted, fresh
from bodega.bench._peer_process import Job, Report
from bodega.bench._peer_tasks import Task, TaskSpec, build
from bodega.errors import BadRequest
from bodega.protocols import NoProgress
from bodega.ranking.fuse import CANDIDATES, gather
from bodega.schema import Candidates, Context
from bodega.schema.arrays import Floats

SHARD: Final = 1_000
WARM_UP: Final = 10
SERVED: Final = {"served-fast": "fast", "served-all": "all"}


@dataclass(frozen=True, slots=True)
class Learned:
    """`list` answers with at most so many items, best first."""

    list: Callable[[Context, int], Candidates]
    notes: tuple[str, ...] = ()


def main(path: Path) -> None:
    """Run one job and write its report."""
    job = msgspec.json.decode(path.read_bytes(), type=Job)
    began_with = peak_mb()
    task = build(msgspec.convert(job.options["task"], TaskSpec))
    cpu, wall = time.process_time(), time.perf_counter()
    learned = _served(SERVED[job.model], task) if job.model in SERVED else _single(job.model, task)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    spent = _timed(learned, task, job)
    report = Report("bodega", __version__, cpu, wall, began_with, peak_mb(), *spent, list(learned.notes))
    out, n_items = Path(job.out), len(task.world.items)
    for number, start in enumerate(range(0, len(task.cases), SHARD)):
        asked = task.cases[start : start + SHARD]
        np.save(out / f"scores_{number:04d}.npy", np.stack([_dense(learned, case.context, n_items) for case in asked]))
    (out / "report.json").write_bytes(msgspec.json.encode(report))


def peak_mb() -> float:
    """The most memory that this process has held so far (see benchmarks/peers/exchange.py); NaN where nobody tells."""
    status = Path("/proc/self/status")
    lines = status.read_text("utf-8").splitlines() if status.is_file() else []
    held = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(held[0]) / 1024 if held else float("nan")


def _single(name: str, task: Task) -> Learned:
    made = {source.name: source for source in fresh("all", repeats=True)}
    if name not in made:
        raise BadRequest("no such model", where="bench peers", allowed=", ".join([*made, *SERVED]), got=name)
    return Learned(made[name].fit(task.world).retrieve)


def _served(models: str, task: Task) -> Learned:
    earlier = build(msgspec.structs.replace(task.spec, validation=True, limit=0))
    with tempfile.TemporaryDirectory(prefix="bodega-peer-") as folder:
        old = Fitted.on(earlier.world, models, NoProgress(), repeats=task.repeats)
        choice = choose("home", old, earlier.cases, NoProgress())
        old.keep(Path(folder))
        fitted = Fitted.on(task.world, models, NoProgress(), Path(folder), repeats=task.repeats)
    stage = choice.stages(fitted)["ranked"]

    def ranked(context: Context, k: int) -> Candidates:
        found = gather(fitted.sources, context, CANDIDATES)
        if not task.repeats:
            found = found.take(~np.isin(found.items, context.history))
        return stage.rank(context, found).take(np.arange(min(k, len(found))))

    return Learned(ranked, choice.notes())


def _dense(learned: Learned, context: Context, n_items: int) -> Floats:
    found = learned.list(context, n_items)
    scores = np.full(n_items, np.nan, np.float32)
    scores[found.items] = found.score
    return scores


def _timed(learned: Learned, task: Task, job: Job) -> tuple[list[float], list[float]]:
    """Milliseconds of single requests for ten items on the wall and of CPU, after a short warm-up."""
    cases = task.cases
    drawn = np.random.default_rng(job.seed).choice(len(cases), min(job.requests, len(cases)), replace=False)
    for row in drawn[:WARM_UP]:
        learned.list(cases[row].context, 10)
    elapsed, busy = [], []
    for row in drawn:
        before, worked = time.perf_counter(), time.process_time()
        learned.list(cases[row].context, 10)
        elapsed.append((time.perf_counter() - before) * 1_000)
        busy.append((time.process_time() - worked) * 1_000)
    return elapsed, busy


if __name__ == "__main__":
    main(Path(sys.argv[1]))
