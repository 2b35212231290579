"""What is each source worth to a list, and do the list's chances come true? Two more figures of the test window.

    without       the sum without one source against the whole sum, NDCG@10 among the same candidates, paired interval:
                  what the list loses when that source is switched off (its weight alone says little: two sources that
                  say the same share a weight, and neither is missed)
    reliability   chances of the first hundred candidates beside what was taken. A learned ranker brings its own; for a
                  sum they are read off its scores by isotonic regression, fitted on the other half of the shoppers

Nothing is chosen by either. Cost: candidates of at most `CASES` cases, gathered once more: 4 ms each on 92,000 items.
Not for: a verdict on a change (`evaluation.experiments`); what is taken depends on what was shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bodega.engine.places import DEFAULT_WEIGHTS, Place
from bodega.evaluation import Case, paired
from bodega.evaluation.reliability import Reliability, folds, reliability
from bodega.protocols import Source
from bodega.ranking.fuse import Fusion
from bodega.ranking.learned import Chosen
from bodega.ranking.learned.calibration import Calibration
from bodega.schema import Candidates, Context
from bodega.schema.arrays import Doubles, Flags, Floats
from bodega.settings import Settings

CASES = 200
HEAD = 100
"""Candidates of a case whose chances are looked at: what a learned ranker looks at, too."""
FEWEST_TAKEN = 20
"""Fewer takes than this say nothing of chances."""


class Trial(Protocol):
    """The part of a trial (`engine.judging`) that is looked at."""

    @property
    def sources(self) -> Mapping[str, Source]: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def factors(self) -> Mapping[str, Mapping[str, float]]: ...
    @property
    def ranked(self) -> Mapping[str, Chosen]: ...
    def fusion(self, place: Place) -> Fusion: ...
    def candidates(self, place: Place, context: Context) -> tuple[Context, Candidates]: ...


@dataclass(frozen=True, slots=True)
class Reckoned:
    """What was found of one place."""

    without: dict[str, tuple[float, float, float]]
    """{source: (what NDCG@10 loses without it, low, high)}; empty where one source alone is served."""
    reliability: Reliability


def reckon(trial: Trial, place: Place, cases: Sequence[Case]) -> Reckoned:
    """Both figures, on the first `CASES` test cases. Same cases, same figures."""
    chosen = cases[:CASES]
    found = [trial.candidates(place, case.context) for case in chosen]
    rng = np.random.default_rng(trial.settings.learn.seed)
    return Reckoned(_without(trial, place, chosen, found, rng), _reliability(trial, place, chosen, found, rng))


Found = Sequence[tuple[Context, Candidates]]


def _without(
    trial: Trial, place: Place, cases: Sequence[Case], found: Found, rng: np.random.Generator
) -> dict[str, tuple[float, float, float]]:
    weights = trial.fusion(place).weights.get(place.name, {})
    heavy = [name for name in place.among(trial.sources) if weights.get(name, 0.0) > 0]
    if len(heavy) < 2 or not cases:
        return {}
    whole = _ndcg(trial.fusion(place), cases, found)
    out = {}
    for name in heavy:
        less = {source: weight for source, weight in weights.items() if source != name}
        lesser = Fusion({place.name: less}, backup=DEFAULT_WEIGHTS, factors=trial.factors)
        gap = paired(whole, _ndcg(lesser, cases, found), rng, resamples=400)
        out[name] = (round(gap.mean, 6), round(gap.low, 6), round(gap.high, 6))
    return out


def _ndcg(fusion: Fusion, cases: Sequence[Case], found: Found) -> Doubles:
    """NDCG@10 of each case among its candidates: (n_cases,)."""
    discount = 1 / np.log2(np.arange(2, 12))
    out = np.zeros(len(cases))
    for number, (case, (context, candidates)) in enumerate(zip(cases, found, strict=True)):
        ranked = fusion.rank(context, candidates).items
        first = ranked[~np.isin(ranked, case.masked)][:10] if len(case.masked) else ranked[:10]
        hits = np.isin(first, case.relevant)
        out[number] = discount[: len(first)][hits].sum() / discount[: len(case.relevant)].sum()
    return out


def _reliability(
    trial: Trial, place: Place, cases: Sequence[Case], found: Found, rng: np.random.Generator
) -> Reliability:
    learned = trial.ranked.get(place.name)
    ranker = learned.ranker if learned is not None else None
    fusion = trial.fusion(place)
    scores: list[Floats] = []
    marks: list[Flags] = []
    for case, (context, candidates) in zip(cases, found, strict=True):
        own = candidates.take(~np.isin(candidates.items, case.masked)) if len(case.masked) else candidates
        ranked = fusion.rank(context, own)
        if ranker is not None and ranker.recipe.sources == own.sources and ranker.serves(own):
            head = ranker.recipe.headed(context, own)[2]
            scores.append(ranker.calibration.probability(ranker.model.score(head)))
            marks.append(np.isin(head.asked.items, case.relevant))
        elif ranker is None:
            scores.append(ranked.score[:HEAD])
            marks.append(np.isin(ranked.items[:HEAD], case.relevant))
        else:
            scores.append(np.empty(0, np.float32))
            marks.append(np.empty(0, np.bool_))
    score, happened = np.concatenate([np.empty(0, np.float32), *scores]), np.concatenate([np.empty(0, bool), *marks])
    case_of = np.repeat(np.arange(len(cases)), [len(one) for one in scores]).astype(np.int64)
    if np.count_nonzero(happened) < FEWEST_TAKEN:
        return Reliability()
    if ranker is not None:
        return reliability(score.astype(np.float64), happened, case_of, rng, of=f"{ranker.model.kind} ranker")
    chance = _crossed(score, happened, folds([case.user for case in cases], rng)[case_of])
    return reliability(chance, happened, case_of, rng, of="weighted sum, calibrated on the other half of the shoppers")


def _crossed(score: Floats, happened: Flags, half: Flags) -> Doubles:
    """The chance of each row, by a calibration that was fitted on the other half."""
    out = np.zeros(len(score))
    for side in (half, ~half):
        fitted = Calibration.fit(
            score[~side], happened[~side].astype(np.float32), np.ones(np.count_nonzero(~side), np.float32)
        )
        out[side] = fitted.probability(score[side])
    return out
