"""What every peer's runner shares: read the job, measure, write what the peer says. Needs numpy and nothing of Bodega.

A runner is started inside its library's own environment with the path of a job (JSON). Interactions lie beside it as
arrays; answers go back as arrays, one shard a thousand shoppers, and `report.json` with what it cost. No pickle.

    train_user.npy, train_item.npy  int32, in order of time (a shopper's rows are in their own order)
    train_time.npy                  float64, seconds
    ask.npy                         int32, the shoppers to answer for; each has rows in train_*

A peer answers with scores of all items (`scores_0000.npy`, float32) or with lists (`items_0000.npy` int32, -1 where a
list is shorter, and `values_0000.npy` float32). Judging is done elsewhere, for all peers by the same code.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

SHARD = 1_000
WARM_UP = 10


@dataclass(frozen=True)
class Job:
    model: str
    options: dict[str, Any]
    seed: int
    n_users: int
    n_items: int
    hide: bool
    """Leave out of the lists what the shopper has."""
    depth: int
    """How long the lists are, for peers that answer with lists."""
    requests: int
    """How many single requests to time."""
    memory_gb: float
    data: str
    out: str

    def array(self, name: str) -> np.ndarray:
        return np.load(Path(self.data) / f"{name}.npy", allow_pickle=False)


class Peer(Protocol):
    """`prepare` turns arrays into what the library reads (not timed), `fit` learns, `recommend` is the library's own
    call for one shopper and ten items, `answer` gives scores (n, n_items), or (items, values) of shape (n, depth)."""

    def prepare(self, job: Job) -> None: ...

    def fit(self) -> None: ...

    def recommend(self, user: int) -> object: ...

    def answer(self, users: np.ndarray) -> np.ndarray | tuple[np.ndarray, np.ndarray]: ...


def main(library: str, models: dict[str, type]) -> None:
    """The whole life of a runner."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    limit = int(job.memory_gb * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))  # one peer must not push the others off the machine
    np.random.seed(job.seed)
    began_with = peak_mb()
    peer: Peer = models[job.model]()
    peer.prepare(job)
    cpu, wall = time.process_time(), time.perf_counter()
    peer.fit()
    report: dict[str, Any] = {
        "library": library,
        "version": version(library),
        "train_cpu_s": time.process_time() - cpu,
        "train_wall_s": time.perf_counter() - wall,
        "start_mb": began_with,
    }
    ask = job.array("ask")
    report["requests_ms"], report["requests_cpu_ms"] = timed(peer, ask, job)
    report["memory_mb"] = peak_mb()  # before all shoppers' answers are written, which no shop does
    for number, start in enumerate(range(0, len(ask), SHARD)):
        write(Path(job.out), number, peer.answer(ask[start : start + SHARD]))
    (Path(job.out) / "report.json").write_text(json.dumps(report), "utf-8")


def peak_mb() -> float:
    """The most memory that this process has held so far, libraries included.

    Linux: `VmHWM`, since `ru_maxrss` of a child begins with what its parent held.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(peer: Peer, ask: np.ndarray, job: Job) -> tuple[list[float], list[float]]:
    """Milliseconds of single requests on the wall and of CPU, after a short warm-up."""
    drawn = np.random.default_rng(job.seed).choice(ask, min(job.requests, len(ask)), replace=False)
    for user in drawn[:WARM_UP]:
        peer.recommend(int(user))
    wall, cpu = [], []
    for user in drawn:
        before, busy = time.perf_counter(), time.process_time()
        peer.recommend(int(user))
        wall.append((time.perf_counter() - before) * 1_000)
        cpu.append((time.process_time() - busy) * 1_000)
    return wall, cpu


def write(out: Path, number: int, answer: np.ndarray | tuple[np.ndarray, np.ndarray]) -> None:
    """One shard, as scores of all items or as lists."""
    if isinstance(answer, tuple):
        items, values = answer
        np.save(out / f"items_{number:04d}.npy", items.astype(np.int32))
        np.save(out / f"values_{number:04d}.npy", values.astype(np.float32))
    else:
        np.save(out / f"scores_{number:04d}.npy", np.asarray(answer, np.float32))


def counts(job: Job) -> Any:
    """How often each shopper took each item: csr float32, (n_users, n_items)."""
    from scipy import sparse

    user, item = job.array("train_user"), job.array("train_item")
    held = sparse.csr_matrix((np.ones(len(user), np.float32), (user, item)), (job.n_users, job.n_items))
    held.sum_duplicates()
    return held
