"""Is the learned ranker better than the sum, by what, and how fast? Leave-last-out on public behaviour sequences.

Everything is chosen on validation: weights, model, number of trees. Then the sources learn again with the validation
items and the test is ranked once, by the sum and by the ranker over the same candidates. Beside it: every kind of model
on held-out validation shoppers, what each group of features is worth, how far promised chances are off, milliseconds.
Cost: Beauty with the models that need no torch about 6 CPU minutes. Not for: single sources (`bench recommend`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from bodega.bench._contest import Fused, Tally, fuse
from bodega.bench._models import Fitted
from bodega.bench._ranking import latency, without
from bodega.bench._sequences import read_sequences
from bodega.bench.result import BenchResult
from bodega.evaluation import Case, Scorer, evaluate
from bodega.evaluation.metrics import calibration_error
from bodega.protocols import NoProgress, Progress, Source, Stage
from bodega.ranking.fuse import CANDIDATES, gather
from bodega.ranking.learned import (
    LEARNERS,
    Chosen,
    Lessons,
    Ranker,
    RankerOptions,
    Recipe,
    fit_ranker,
)
from bodega.schema import Candidates, Context

METRICS: Final = ("ndcg@5", "ndcg@10", "recall@5", "recall@10")
TIMED: Final = 300
"""Cases that latency is taken from."""


@dataclass(frozen=True, slots=True)
class RankOptions:
    """`users`: a seeded draw of that many cases, to learn from and to test; `sources`: only these (all when empty)."""

    data: Path
    ties: str = "file"
    seed: int = 7
    users: int | None = None
    sources: tuple[str, ...] = ()


def run(options: RankOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed for a folder that cannot be used, LeakFound where the evaluation could see its answers."""
    started, progress = time.perf_counter(), progress or NoProgress()
    data = read_sequences(options.data, ties=options.ties, seed=options.seed)
    log, cases = data.held_out(1, options.seed, options.users)
    fitted = Fitted.on(data.world(log), "fast", progress, repeats=data.repeats, only=options.sources)
    sources = fitted.sources
    fused = fuse("home", sources, cases, progress)
    recipe = Recipe("home", fused.fusion(), fitted.state, tuple(source.name for source in sources))
    lessons = Lessons.of(recipe, cases, (gather(sources, case.context, CANDIDATES) for case in cases))
    began = time.process_time()
    chosen = fit_ranker(lessons, RankerOptions(LEARNERS, seed=options.seed), progress)
    figures = dict(chosen.figures) | {"fit.cpu_s": time.process_time() - began}
    trees = round(figures.get("trees.stage", 0))
    slices = {"NDCG@10 lost without": without(lessons, trees, options.seed, progress)} if trees else {}
    tally = Tally(options.seed)
    if chosen.ranker is not None:
        log, tests = data.held_out(0, options.seed, options.users)
        again = Fitted.on(data.world(log), "fast", progress, repeats=data.repeats, only=options.sources)
        tested = replace(chosen.ranker, recipe=replace(recipe, state=again.state))
        figures |= _tested(tally, tested, again.sources, tests, len(data.items), progress)
    return BenchResult(
        bench="rank",
        data=str(options.data),
        seconds=round(time.perf_counter() - started, 1),
        figures=figures | tally.figures,
        intervals=tally.intervals | {"gain": (figures.get("gain.low", 0.0), figures.get("gain.high", 0.0))},
        slices={name: {"cases": float(len(cases))} | held for name, held in slices.items()},
        facts={
            "hash": data.digest, "seed": options.seed, "ties": options.ties, "cases": len(cases),
            "sources": list(recipe.sources), "weights": fused.weighted.weights,
        },
        notes=_notes(fused, chosen),
    )  # fmt: skip


def _tested(
    tally: Tally, ranker: Ranker, sources: Sequence[Source], tests: list[Case], n_items: int, progress: Progress
) -> dict[str, float]:
    """The sum and the ranker over the same candidates of the test cases; calibration and speed there."""
    found: dict[int, Candidates] = {}
    masked = {id(case.context): case.masked for case in tests}

    def candidates(context: Context) -> Candidates:
        if id(context) not in found:
            found.clear()
            own = gather(sources, context, CANDIDATES)
            found[id(context)] = own.take(~np.isin(own.items, masked[id(context)]))
        return found[id(context)]

    def by(stage: Stage) -> Scorer:
        return lambda context: stage.rank(context, candidates(context))

    scorers = {"test.sum": by(ranker.recipe.fusion), "test.ranked": by(ranker)}
    outcomes = evaluate(scorers, tests, n_items, progress=progress)
    for name, outcome in outcomes.items():
        tally.add(name, outcome.masked, METRICS)
    for name in ("ndcg@10", "recall@10"):
        tally.compare("test.ranked_vs_sum", outcomes["test.ranked"].masked, outcomes["test.sum"].masked, name)
    return _promised(ranker, sources, tests[: 10 * TIMED])


def _promised(ranker: Ranker, sources: Sequence[Source], tests: list[Case]) -> dict[str, float]:
    """Calibration error over the first ten places of test cases, and how long ranking takes."""
    chance, came = [], []
    timed: list[tuple[Case, Candidates]] = []
    for case in tests:
        own = gather(sources, case.context, CANDIDATES)
        own = own.take(~np.isin(own.items, case.masked))
        if len(timed) < TIMED:
            timed.append((case, own))
        if not ranker.serves(own):
            continue
        best = ranker.rank(case.context, own).take(np.arange(min(10, len(own))))
        chance.append(ranker.calibration.probability(best.score))
        came.append(np.isin(best.items, case.relevant))
    figures = {"test.ece": calibration_error(np.concatenate(chance), np.concatenate(came))} if chance else {}
    return figures | latency(ranker, [case for case, _ in timed], [own for _, own in timed])


def _notes(fused: Fused, chosen: Chosen) -> tuple[str, ...]:
    return (
        fused.note(),
        chosen.verdict,
        "sum, logistic and trees: held-out validation shoppers; test.*: after learning again, looked at once",
        "test.ece: chances of the first ten places against what was taken there",
    )
