"""Which model, and is it surely better than the sum? Fitted on some shoppers, judged on others, served only if sure.

The cases are cut into folds by shopper. Every learner is fitted on all folds but one and scores the one, so that each
case is judged by a model that never saw its shopper. A learner may offer stages (numbers of trees): the smallest is
taken that lies within half a standard error of the best. The best learner is served where the paired 95 % interval of
its gain over the fusion's sum lies above 0; else the sum stays, and the verdict says why. Deterministic.
Cost: folds + 1 fits. Not for: test data, ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from bodega.errors import MissingExtra
from bodega.evaluation import paired
from bodega.evaluation.metrics import calibration_error
from bodega.features import Asked
from bodega.protocols import NoProgress, Progress
from bodega.ranking.learned.calibration import Calibration
from bodega.ranking.learned.lessons import SILENT, Lessons
from bodega.ranking.learned.logistic import LogisticLearner
from bodega.ranking.learned.model import Model, Table
from bodega.ranking.learned.ranker import Ranker
from bodega.schema import Candidates
from bodega.schema.arrays import Doubles, Floats, Longs

FEWEST: Final = 300
"""Cases with a hit in the head below which nothing is learned."""


NEAR: Final = 0.5
"""Standard errors that a smaller stage may lie under the best. (A whole one took 50 trees of 200 on Beauty: -.001.)"""


class Learner(Protocol):
    """Fits one kind of model."""

    @property
    def kind(self) -> str:
        """That of its models."""
        ...

    def fit(self, lessons: Lessons) -> Mapping[int, Model]:
        """{stage: model}: one, or several of rising size. Same lessons, same models."""
        ...


@dataclass(frozen=True, slots=True)
class RankerOptions:
    """How a ranker is chosen."""

    learners: Sequence[Learner] = (LogisticLearner(),)
    folds: int = 3
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was found for one place. `ranker` is what to serve; None: the fusion's sum stays."""

    place: str
    ranker: Ranker | None = None
    verdict: str = "not fitted"
    """One sentence for people."""
    figures: dict[str, float] = field(default_factory=dict)
    """On held-out validation cases: `sum.ndcg@10`, `<kind>.ndcg@10`, `<kind>.recall@10`, `gain`, `gain.low`,
    `gain.high` (the best kind over the sum, paired 95 %), `<kind>.stage`, `ece`, `cases`, `hits`."""
    ndcg: Doubles = field(default_factory=lambda: np.empty(0))
    """(n_cases,) NDCG@10 of the best model, by models that did not see the case; empty where none was fitted."""
    curves: dict[str, dict[int, float]] = field(default_factory=dict)
    """{kind: {stage: NDCG@10 on held-out validation cases}} of the learners that offer stages: how learning went."""


def fit_ranker(lessons: Lessons, options: RankerOptions | None = None, progress: Progress | None = None) -> Chosen:
    """Learn, judge and decide for one place. Falls back to the sum (never raises) with few cases or missing extras."""
    options, progress = options or RankerOptions(), progress or NoProgress()
    place, hits = lessons.recipe.place, int(np.count_nonzero(lessons.teaches))
    figures = {"cases": float(len(lessons.ideal)), "hits": float(hits)}
    if hits < FEWEST:
        verdict = f"{place}: {hits} cases with a hit among the candidates, under {FEWEST}: the sum stays"
        return Chosen(place, None, verdict, figures)
    base = lessons.ndcg(lessons.sum)
    figures |= {"sum.ndcg@10": float(base.mean()), "sum.recall@10": float(lessons.recall(lessons.sum).mean())}
    tried, lost = [], []
    for learner in options.learners:
        progress.start(f"rank {place}: {learner.kind}", options.folds + 1)
        try:
            tried.append(_Tried.of(learner, lessons, options, progress))
        except MissingExtra as error:
            lost.append(f"{learner.kind} left out: {error.next}")
        progress.finish()
    if not tried:
        return Chosen(place, None, f"{place}: {'; '.join(lost)}: the sum stays", figures)
    for each in tried:
        figures |= each.figures(lessons)
    curves = {each.kind: each.curve for each in tried if len(each.curve) > 1}
    best = max(tried, key=lambda each: float(each.ndcg.mean()))
    gap = paired(best.ndcg, base, np.random.default_rng(options.seed))
    figures |= {"gain": gap.mean, "gain.low": gap.low, "gain.high": gap.high}
    interval = f"{gap.mean:+.4f} (95 % {gap.low:+.4f} to {gap.high:+.4f}) NDCG@10 on {len(base):,} held-out cases"
    note = f"; {'; '.join(lost)}" if lost else ""
    if not gap.better:
        return Chosen(
            place,
            None,
            f"{place}: {best.kind} gains {interval}, not surely: the sum stays{note}",
            figures,
            best.ndcg,
            curves,
        )
    calibration, figures["ece"] = _calibrated(lessons, best.score, options.seed)
    ranker = Ranker(lessons.recipe, best.model, calibration)
    verdict = f"{place}: {best.kind} ranks, {interval} over the sum{note}"
    return Chosen(place, ranker, verdict, figures, best.ndcg, curves)


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """One learner: its held-out scores at the chosen stage, and its model of all cases."""

    kind: str
    stage: int
    score: Floats
    """(n_rows,) by models that did not see the row's shopper."""
    ndcg: Doubles
    model: Model
    curve: dict[int, float]
    """{stage: NDCG@10}, held out."""

    @classmethod
    def of(cls, learner: Learner, lessons: Lessons, options: RankerOptions, progress: Progress) -> _Tried:
        fold = folds_of(lessons, options.folds, options.seed)
        held: dict[int, Floats] = {}
        for number in range(options.folds):
            models = learner.fit(lessons.rows(fold != number))
            rows = np.repeat(fold == number, np.diff(lessons.starts))
            for stage, model in models.items():
                own = held.setdefault(stage, np.zeros(len(lessons.items), np.float32))
                own[rows] = scores(model, lessons.rows(fold == number))
            progress.advance()
        judged = {stage: lessons.ndcg(score) for stage, score in held.items()}
        stage, ndcg = steady(judged)
        model = learner.fit(lessons)[stage]
        progress.advance()
        curve = {stage: round(float(values.mean()), 6) for stage, values in sorted(judged.items())}
        return cls(learner.kind, stage, held[stage], ndcg, model, curve)

    def figures(self, lessons: Lessons) -> dict[str, float]:
        recall = float(lessons.recall(self.score).mean())
        mean = float(self.ndcg.mean())
        return {f"{self.kind}.ndcg@10": mean, f"{self.kind}.recall@10": recall, f"{self.kind}.stage": float(self.stage)}


def folds_of(lessons: Lessons, folds: int, seed: int) -> Longs:
    """(n_kept,) the fold of each case; all cases of a shopper are in one (each unknown shopper is one of its own)."""
    key = np.where(lessons.user >= 0, lessons.user.astype(np.int64), -1 - np.arange(len(lessons)))
    known, own = np.unique(key, return_inverse=True)
    fold: Longs = np.random.default_rng(seed).permutation(len(known))[own] % folds
    return fold


def steady(judged: Mapping[int, Doubles]) -> tuple[int, Doubles]:
    """The smallest stage within half a standard error of the best one: (stage, its NDCG of every case).

    (Stopping at the first dip of NDCG stopped at tree 1: the curve is noisy, the error of a paired difference is not.)
    """
    best = max(judged, key=lambda stage: (float(judged[stage].mean()), -stage))
    for stage in sorted(judged):
        gap = judged[best] - judged[stage]
        if gap.mean() <= NEAR * gap.std() / np.sqrt(max(len(gap), 1)):
            return stage, judged[stage]
    return best, judged[best]


def scores(model: Model, lessons: Lessons) -> Floats:
    """(n_rows,) the model's score of every row, case by case."""
    out = np.empty(len(lessons.items), np.float32)
    for number, (start, end) in enumerate(zip(lessons.starts[:-1].tolist(), lessons.starts[1:].tolist(), strict=True)):
        out[start:end] = model.score(lesson_table(lessons, number, start, end))
    return out


def lesson_table(lessons: Lessons, number: int, start: int, end: int) -> Table:
    """The features of one kept case, as a model is served them."""
    items, n = lessons.items[start:end], len(lessons.recipe.sources)
    blank = np.full(end - start, np.nan, np.float32)
    candidates = Candidates(items, np.full((end - start, n), np.nan, np.float32), blank, lessons.recipe.sources)
    asked = Asked(lessons.contexts[number], candidates, lessons.recipe.state)
    return Table(np.ascontiguousarray(lessons.values[start:end].T), asked)


def _calibrated(lessons: Lessons, score: Floats, seed: int) -> tuple[Calibration, float]:
    """(what scores promise, calibration error of the first 10 places on the half that it was not fitted on)."""
    case = lessons.case
    weight = np.where(lessons.teaches, 1.0, 1 / SILENT)[case].astype(np.float32)
    # Every case that teaches was kept, and of the others one in ten: weighted, they stand for all.
    happened = lessons.relevant.astype(np.float32)
    half = (folds_of(lessons, 2, seed) == 0)[case]
    trial = Calibration.fit(score[half], happened[half], weight[half])
    order = np.lexsort((-score, case))
    top = np.zeros(len(case), np.bool_)
    top[order] = np.arange(len(case)) - lessons.starts[case[order]] < 10
    judged = np.flatnonzero(~half & top)
    again = np.repeat(judged, np.round(weight[judged]).astype(np.int64))
    error = calibration_error(trial.probability(score[again]), lessons.relevant[again]) if len(again) else 0.0
    return Calibration.fit(score, happened, weight), error
