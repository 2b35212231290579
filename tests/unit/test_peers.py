"""`bodega bench peers` with peers of our own making: what they say is judged by our code, what they cost is their own,
and whoever is missing, fails or is too slow is named."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bodega.bench import _peer_process as process
from bodega.bench import peers
from bodega.bench._peer_entrants import ENTRANTS, Entrant, chosen_from
from bodega.bench._peer_tasks import BASKET, ITEM, TaskSpec, build, write_rows
from bodega.errors import BadFeed, BadRequest
from bodega.evaluation import average_ranks

SHOPPERS, N_ITEMS = 40, 30

RUNNER = '''
import sys, time
sys.path.insert(0, {exchange!r})
import numpy as np
from exchange import main

class Counts:
    """How often each item was sold; the favourite of the seed on top."""
    def prepare(self, job):
        self.job, self.items = job, job.array("train_item")
    def fit(self):
        self.counts = np.bincount(self.items, minlength=self.job.n_items).astype(np.float32)
        self.counts *= self.job.options.get("sign", 1)
    def recommend(self, user):
        return np.argsort(-self.counts)[:10]
    def answer(self, users):
        return np.tile(self.counts, (len(users), 1))

class Lists(Counts):
    def answer(self, users):
        best = np.argsort(-self.counts, kind="stable")[:5]
        items = np.tile(np.append(best, -1), (len(users), 1))
        return items, np.tile(np.append(self.counts[best], np.nan), (len(users), 1))

class Slow(Counts):
    def fit(self):
        time.sleep(60)

class Greedy(Counts):
    def fit(self):
        np.ones((1_000, 1_000, 1_000_000))

class Aborted(Counts):
    def fit(self):
        print("thread 'main' panicked", "memory allocation of 9 bytes failed", "note: more is omitted",
              sep=chr(10), file=sys.stderr, flush=True)
        import os
        os.abort()

class Broken(Counts):
    def fit(self):
        raise ValueError("the dial is stuck")

main("numpy", {{
    "counts": Counts, "lists": Lists, "slow": Slow, "greedy": Greedy, "broken": Broken, "aborted": Aborted,
}})
'''


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Forty shoppers; low items are sold more often."""
    odds = 1 / np.arange(1, N_ITEMS + 1)
    lines = [
        " ".join([str(user), *(str(item) for item in rng.choice(N_ITEMS, 8, replace=False, p=odds / odds.sum()))])
        for user in range(SHOPPERS)
    ]
    data = tmp_path / "data"
    data.mkdir()
    (data / "sequences.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return data


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment named `fake` with a runner of ours, and nothing else."""
    home, runners = tmp_path / "homes", tmp_path / "runners"
    (home / "fake" / "bin").mkdir(parents=True)
    python = home / "fake" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', "utf-8")
    python.chmod(0o755)
    (home / "fake" / ".installed").touch()
    runners.mkdir()
    (runners / "run_fake.py").write_text(RUNNER.format(exchange=str(process.RUNNERS)), "utf-8")
    monkeypatch.setattr(process, "RUNNERS", runners)
    return home


def fake(model: str, *others: dict) -> Entrant:
    return Entrant(f"fake-{model}", "fake", model, {ITEM: ({}, *others), BASKET: ({}, *others)})


def options(folder: Path, homes: Path, **more) -> peers.PeersOptions:
    made = peers.PeersOptions(data=folder, tasks=(ITEM,), environments=homes, requests=5, tune_users=0)
    return replace(made, **more)


def test_what_a_peer_says_is_judged_by_our_code(folder, homes, monkeypatch):
    """Scores equal to counts: the ranks are those that `evaluation` gives for the same counts, seen items left out."""
    monkeypatch.setattr(peers, "ENTRANTS", (fake("counts"),))
    got = peers.run(options(folder, homes))
    task = build(TaskSpec(ITEM, str(folder), 7, validation=False, limit=0))
    counts = np.bincount(task.world.log.item, minlength=len(task.world.items)).astype(np.float32)
    ranks = np.array([average_ranks(counts, case.relevant, case.masked)[0] for case in task.cases])
    assert got.figures["fake-counts.recall@10"] == pytest.approx(np.mean(ranks <= 10))
    assert got.figures["fake-counts.mrr"] == pytest.approx(np.mean(1 / ranks))
    low, high = got.intervals["fake-counts.ndcg@10"]
    assert low < got.figures["fake-counts.ndcg@10"] < high
    for cost in ("train_cpu_s", "train_wall_s", "memory_mb", "request_p50_ms", "request_p99_ms", "request_cpu_ms"):
        assert got.figures[f"fake-counts.{cost}"] >= 0
    assert 5 < got.figures["fake-counts.memory_mb"] < 2_000
    assert got.facts["version.numpy"] == np.__version__


def test_what_a_list_leaves_out_ties_at_the_bottom(folder, homes, monkeypatch):
    monkeypatch.setattr(peers, "ENTRANTS", (fake("lists"),))
    got = peers.run(options(folder, homes))
    task = build(TaskSpec(ITEM, str(folder), 7, validation=False, limit=0))
    counts = np.bincount(task.world.log.item, minlength=len(task.world.items)).astype(np.float32)
    scores = np.full(len(counts), np.nan, np.float32)
    best = np.argsort(-counts, kind="stable")[:5]
    scores[best] = counts[best]
    ranks = np.array([average_ranks(scores, case.relevant, case.masked)[0] for case in task.cases])
    assert got.figures["fake-lists.mrr"] == pytest.approx(np.mean(1 / ranks))


def test_tuning_happens_on_validation_and_says_what_it_tried(folder, homes, monkeypatch):
    """The worst first is the default: the other setting wins and gets a row of its own beside it."""
    upside_down = Entrant("fake-counts", "fake", "counts", {ITEM: ({"sign": -1}, {"sign": 1}, {"sign": 0})})
    monkeypatch.setattr(peers, "ENTRANTS", (upside_down,))
    got = peers.run(options(folder, homes, tune_users=SHOPPERS))
    assert got.figures["fake-counts-tuned.mrr"] > got.figures["fake-counts.mrr"]
    assert got.facts["item.fake-counts.tuned"] == {"sign": 1}
    (told,) = [note for note in got.notes if "validation" in note]
    assert "sign=-1" in told
    assert "sign=1" in told
    assert "sign=0" in told
    right_way_up = replace(upside_down, settings={ITEM: ({"sign": 1}, {"sign": -1})})
    monkeypatch.setattr(peers, "ENTRANTS", (right_way_up,))
    assert "fake-counts-tuned.mrr" not in peers.run(options(folder, homes, tune_users=SHOPPERS)).figures


def test_defaults_that_take_hours_are_left_out_and_named(folder, homes, monkeypatch):
    large = replace(fake("counts", {"sign": -1}), default_seconds=3_600.0)
    monkeypatch.setattr(peers, "ENTRANTS", (large,))
    got = peers.run(options(folder, homes, limit_seconds=60.0))
    assert {name.split(".")[0] for name in got.figures} == {"fake-counts-small"}
    assert any("defaults are left out" in note for note in got.notes)
    assert any("not tuned; sign=-1" in note for note in got.notes)


@pytest.mark.slow
def test_the_bench_goes_on_without_whoever_fails(folder, homes, monkeypatch):
    absent = Entrant("other-als", "other", "als", {ITEM: ({},)})
    twin = Entrant("other-bpr", "other", "bpr", {ITEM: ({},)})
    monkeypatch.setattr(
        peers, "ENTRANTS", (absent, twin, *map(fake, ("broken", "aborted", "greedy", "slow", "counts")))
    )
    got = peers.run(options(folder, homes, limit_seconds=8.0, memory_gb=4.0))
    notes = "\n".join(got.notes)
    assert notes.count("other: left out, not installed; next: make peers") == 1
    assert "fake-broken (item): failed, ValueError: the dial is stuck" in notes
    assert "fake-aborted (item): failed, killed by signal 6: memory allocation of 9 bytes failed" in notes
    assert "fake-greedy (item): failed, " in notes
    assert "Memory" in notes
    assert "fake-slow (item): failed, stopped after 8 s" in notes
    assert {name.split(".")[0] for name in got.figures} == {"fake-counts"}


def test_bodega_is_run_and_judged_like_the_others(folder, homes, monkeypatch):
    """Popularity of ours against the counts of the fake: the same world, so the same first places, nearly."""
    own = Entrant("bodega-popular", "bodega", "popular", {ITEM: ({},)})
    monkeypatch.setattr(peers, "ENTRANTS", (own, fake("counts")))
    monkeypatch.setattr(peers, "OWN_BEST", ("bodega-popular",))
    got = peers.run(options(folder, homes, limit_seconds=120.0))
    assert got.figures["bodega-popular.recall@10"] == pytest.approx(got.figures["fake-counts.recall@10"], abs=0.1)
    assert got.figures["bodega-popular.memory_mb"] > 20
    gap = got.figures["bodega-popular_vs_fake-counts.ndcg@10"]
    ndcg = {name: got.figures[f"{name}.ndcg@10"] for name in ("bodega-popular", "fake-counts")}
    assert gap == pytest.approx(ndcg["bodega-popular"] - ndcg["fake-counts"])


def test_the_rows_are_what_the_cases_know(folder, tmp_path):
    """A case asks for a shopper after all of their rows: those rows are the history, the answer is not among them."""
    task = build(TaskSpec(ITEM, str(folder), 7, validation=True, limit=10))
    assert len(task.cases) == 10
    rows = write_rows(task, tmp_path / "rows")
    user, item = (np.load(rows / f"train_{name}.npy", allow_pickle=False) for name in ("user", "item"))
    asked = np.load(rows / "ask.npy", allow_pickle=False)
    for case, shopper in zip(task.cases, asked, strict=True):
        assert np.array_equal(item[user == shopper], case.context.history)
        assert case.relevant[0] not in item[user == shopper]


def test_who_takes_part_and_what_cannot_be_asked(folder, homes):
    assert [own.name for own in chosen_from(ENTRANTS, ["implicit", "rectools-sasrec"])] == [
        "implicit-item-knn", "implicit-als", "implicit-bpr", "rectools-sasrec",
    ]  # fmt: skip
    assert chosen_from(ENTRANTS, []) == ENTRANTS
    with pytest.raises(BadRequest, match="nobody of that name"):
        chosen_from(ENTRANTS, ["spotlight"])
    with pytest.raises(BadRequest, match="no such task"):
        peers.run(options(folder, homes, tasks=("songs",)))
    with pytest.raises(BadRequest, match="too few"):
        peers.run(options(folder, homes, users=0))
    with pytest.raises(BadFeed):
        peers.run(options(folder / "nothing", homes))


def test_every_library_has_its_requirements_and_its_runner():
    libraries = {entrant.library for entrant in ENTRANTS} - {process.OWN}
    assert libraries == {path.stem for path in process.RUNNERS.glob("*.txt")}
    assert libraries == {path.stem.removeprefix("run_") for path in process.RUNNERS.glob("run_*.py")}
    for path in process.RUNNERS.glob("*.txt"):
        lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
        assert all("==" in line for line in lines), f"{path.name} leaves a version open"
