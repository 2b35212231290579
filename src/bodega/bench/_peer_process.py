"""One peer, one process: hand it a job, wait no longer than the limit, read what it said and what it cost.

A peer lives in its own virtual environment; the runner that speaks its language is a script of `benchmarks/peers`.
Bodega's own models are run the same way (`_peer_own`), so that memory and times are counted alike. One thread each.
Whatever goes wrong in there (missing library, out of memory, too slow) comes back as `Failed` with the reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from bodega.evaluation import Scorer
from bodega.schema import Context
from bodega.schema.arrays import Floats

OWN: Final = "bodega"
ROOT: Final = Path(__file__).parents[3]
RUNNERS: Final = ROOT / "benchmarks" / "peers"
ENVIRONMENTS: Final = ROOT / ".venv-peers"
INSTALL: Final = "make peers"
THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
DEPTH: Final = 500
"""Length of the lists of peers that answer with lists; what is not in them ties at the bottom."""


class Report(msgspec.Struct, frozen=True):
    """What a runner measured of itself."""

    library: str
    version: str
    train_cpu_s: float
    train_wall_s: float
    start_mb: float
    """Peak before anything was read: the price of the imports."""
    memory_mb: float
    """Peak resident memory of the process after learning and the single requests."""
    requests_ms: list[float]
    """Wall time of single requests for ten items."""
    requests_cpu_ms: list[float]
    """CPU time of the same requests: what remains of them on a machine that does nothing else."""
    notes: list[str] = []


class Job(msgspec.Struct, frozen=True):
    """The JSON that a runner reads; see benchmarks/peers/exchange.py."""

    model: str
    options: dict[str, Any]
    seed: int
    n_users: int
    n_items: int
    hide: bool
    depth: int
    requests: int
    memory_gb: float
    data: str
    out: str


class Failed(Exception):
    """A peer that gave no answer, with the reason in one line."""


def python_of(library: str, environments: Path = ENVIRONMENTS) -> Path | None:
    """The interpreter that holds the library; None where its environment is not installed."""
    if library == OWN:
        return Path(sys.executable)
    home = environments / library
    return home / "bin" / "python" if (home / ".installed").is_file() else None  # the stamp comes last


def ask(library: str, job: Job, seconds: float, environments: Path = ENVIRONMENTS) -> Report:
    """Run the job in a process of its own. Raises Failed."""
    python = python_of(library, environments)
    if python is None:
        raise Failed(f"not installed (next: {INSTALL})")
    out = Path(job.out)
    out.mkdir(parents=True)
    (out / "job.json").write_bytes(msgspec.json.encode(job))
    script = ["-m", "bodega.bench._peer_own"] if library == OWN else [str(RUNNERS / f"run_{library}.py")]
    command = [str(python), *script, str(out / "job.json")]
    surroundings = {**os.environ, **dict.fromkeys(THREADS, "1"), "CUDA_VISIBLE_DEVICES": ""}
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command, cwd=out, env=surroundings, capture_output=True, text=True, errors="replace", timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"stopped after {seconds:,.0f} s") from error
    report = out / "report.json"
    if done.returncode or not report.is_file():
        raise Failed(_last_words(done))
    return msgspec.json.decode(report.read_bytes(), type=Report)


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Why a process ended without a report, in one line: what names memory, else the last error, else the last line."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    telling = (
        [line for line in lines if "memory" in line.lower()] or [line for line in lines if "Error" in line] or lines
    )
    told = telling[-1][:300] if telling else "no message"
    return f"killed by signal {-done.returncode}: {told}" if done.returncode < 0 else told


def answers(out: Path, n_items: int) -> Scorer:
    """What a peer said, as a scorer to be asked about the cases in their order, once each."""
    rows = _rows(out, n_items)

    def scorer(context: Context) -> Floats:
        del context
        return next(rows)

    return scorer


def _rows(out: Path, n_items: int) -> Iterator[Floats]:
    """Scores of all items, a shopper at a time; NaN for what a list left out."""
    for path in sorted(out.glob("scores_*.npy")):
        yield from np.load(path, mmap_mode="r", allow_pickle=False)
    for path in sorted(out.glob("items_*.npy")):
        items = np.load(path, allow_pickle=False)
        values = np.load(path.with_name(path.name.replace("items", "values")), allow_pickle=False)
        for listed, value in zip(items, values, strict=True):
            scores = np.full(n_items, np.nan, np.float32)
            scores[listed[listed >= 0]] = value[listed >= 0]
            yield scores


def latency(report: Report) -> tuple[float, float, float]:
    """Milliseconds a request: wall time at the middle and at the 99th percentile, mean CPU time."""
    p50, p99 = np.percentile(np.array(report.requests_ms or [np.nan]), [50, 99])
    return float(p50), float(p99), float(np.mean(report.requests_cpu_ms or [np.nan]))
