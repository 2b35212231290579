"""Which weights, and is the fusion worth it? Coordinate search on validation NDCG@10, with a prior toward 0.

All candidates' z-scores are computed once; a trial is then one multiply-add and two comparisons over that array (5,000
cases x 500 candidates: 5 ms). The search starts from the best single source and from equal weights, moves one weight at
a time over a coarse grid, then finer, and keeps the best. A source has to earn its place: every further source with a
weight costs a part of the best single source's NDCG (`PRIOR`, more with few cases), so what adds nothing goes to 0.
(A price on the *size* of weights failed: a silent source with a large weight made the others look small and cheap.)

The decision is made on other cases than the weights were fitted on (two folds, each fitted on one and judged on the
other): the fusion is served only if it beats the best single source there by more than the standard error of the
difference; otherwise that source alone is served, and `Weighted.chosen` says so. (On Beauty popularity with weight .02
gained .0003 +- .0002 on validation and lost .0002 on test.)
Cost: seconds. Deterministic. Not for: test data, ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bodega.errors import BadRequest
from bodega.evaluation import Case
from bodega.ranking._trial import Trial
from bodega.ranking.scale import CANDIDATES
from bodega.schema import Candidates
from bodega.schema.arrays import Doubles, Flags, Floats, Ints

PRIOR = 0.002
"""Part of the best single source's NDCG that each further source must earn; less is noise."""

LUCK = 3.0
"""Added to PRIOR, divided by the number of cases: what a source of pure noise gains by luck shrinks that way."""

FEWEST = 30
"""Below this many cases nothing is fitted: RRF(20) is served."""

STRONG = 0.5
"""Part of the best source's NDCG from which on a source is strong."""

GRID = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5, 2.2, 3.3, 5.0)
FINER = (0.75, 0.87, 1.15, 1.33)


@dataclass(frozen=True, slots=True)
class Weighted:
    """What was found for one place. `weights` is what to serve; empty means RRF(20)."""

    place: str
    weights: dict[str, float]
    """{source: weight}; the largest is 1, a source that adds nothing is 0."""
    figures: dict[str, float] = field(default_factory=dict)
    """NDCG@10 on validation: `<source>`, `fusion` (the fitted weights), `fusion.crossfit` (judged on other cases
    than fitted on; `fusion.error` is the standard error of its gain over the best source), `rrf`; and `cases`,
    `candidates.recall` (part of the relevant items that the candidates hold)."""
    chosen: str = "rrf"
    """`fusion`, the name of the single source that is better, or `rrf` when there were too few cases."""


def fit_weights(
    place: str,
    cases: Sequence[Case],
    candidates: Sequence[Candidates],
    *,
    k: int = 10,
    per_source: int = CANDIDATES,
    among: Sequence[Ints] | None = None,
) -> Weighted:
    """Weights for one place from validation cases and their gathered candidates (all with the same sources).

    `k` is the depth of NDCG, `per_source` what was asked of each source. `among`: the items of each case that compete
    (default: all candidates); sources are scaled over all candidates either way.
    """
    if not cases or len(cases) != len(candidates) or len({found.sources for found in candidates}) != 1:
        if not cases:
            return Weighted(place, {}, {"cases": 0.0})
        raise BadRequest(
            "cases and candidates do not belong together",
            where="fit_weights(cases, candidates)",
            allowed="one Candidates a case, all with the same sources",
            got=f"{len(cases)} cases, {len(candidates)} candidates, sources {sorted({c.sources for c in candidates})}",
        )
    return _fitted(place, Trial.of(cases, candidates, k, per_source, among))


def ndcg_of(
    weights: Mapping[str, float], cases: Sequence[Case], candidates: Sequence[Candidates], *, k: int = 10
) -> Doubles:
    """NDCG@k of every case under the sum with these weights (0 for a source without one): (n_cases,)."""
    trial = Trial.of(cases, candidates, k, CANDIDATES)
    return trial.each(trial.score(np.array([weights.get(name, 0.0) for name in trial.sources], np.float32)))


def ablate(
    cases: Sequence[Case], candidates: Sequence[Candidates], *, k: int = 10, per_source: int = CANDIDATES
) -> dict[str, float]:
    """NDCG of the refitted fusion without each source: {source: figure}, and `all` with every source."""
    trial = Trial.of(cases, candidates, k, per_source)
    figures = {"all": trial.ndcg(_search(trial))}
    for column, source in enumerate(trial.sources):
        allowed = np.ones(len(trial.sources), np.bool_)
        allowed[column] = False
        if allowed.any():
            figures[source] = trial.ndcg(_search(trial, allowed))
    return figures


def _fitted(place: str, trial: Trial) -> Weighted:
    n_cases = len(trial.ideal)
    figures = {source: trial.ndcg(_one(trial, column)) for column, source in enumerate(trial.sources)}
    best = max(trial.sources, key=lambda source: figures[source])
    single = figures[best]
    figures["rrf"] = trial.judged(trial.ranks_only)
    figures["cases"] = float(n_cases)
    figures["candidates.recall"] = trial.reached
    if n_cases < FEWEST or single == 0:
        return Weighted(place, {}, figures)
    weights = _search(trial)
    figures["fusion"] = trial.ndcg(weights)
    crossfit = _crossfit(trial)
    gain = crossfit - trial.each(trial.score(_one(trial, trial.sources.index(best))))
    figures["fusion.crossfit"] = float(crossfit.mean())
    figures["fusion.error"] = float(gain.std() / np.sqrt(n_cases))
    if figures["fusion"] > single and gain.mean() > figures["fusion.error"]:
        return Weighted(place, _named(trial, weights), figures, "fusion")
    return Weighted(place, {source: float(source == best) for source in trial.sources}, figures, best)


def _crossfit(trial: Trial) -> Doubles:
    """NDCG of every case under weights that were fitted on the other half of the cases."""
    even = np.arange(len(trial.ideal)) % 2 == 0
    out = np.empty(len(even))
    for fold in (even, ~even):
        half = trial.rows(fold)
        out[fold] = half.each(half.score(_search(trial.rows(~fold))))
    return out


def _search(trial: Trial, allowed: Flags | None = None) -> Floats:
    """Best weights, the largest 1. `allowed` (n_sources,) shuts sources out."""
    columns = np.arange(len(trial.sources)) if allowed is None else np.flatnonzero(allowed)
    alone = np.array([trial.ndcg(_one(trial, int(column))) for column in columns])
    price = (PRIOR + LUCK / len(trial.ideal)) * float(alone.max())
    best, best_value = np.zeros(len(trial.sources)), -np.inf
    # A weak source in the first sum leads the climb astray: with popularity it ended at .0823, without at .0841 (Beauty
    # with `sequential`). So the strong ones begin together, too.
    starts = {tuple(columns[alone >= least * alone.max()].tolist()) for least in (1.0, STRONG, 0.0)}
    for start in sorted(starts, key=len):
        weights = np.zeros(len(trial.sources))
        weights[list(start)] = 1
        weights, value = _climb(trial, weights, columns, price)
        if value > best_value:
            best, best_value = weights, value
    top: Floats = (best / best.max()).astype(np.float32)
    return top


def _climb(trial: Trial, weights: Doubles, columns: NDArray[np.int64], price: float) -> tuple[Doubles, float]:
    """Move one weight at a time until none helps: coarse grid first, then factors around the value."""
    value = _worth(trial, weights, price)
    for finer in (False, True):
        for _ in range(6):
            before = value
            for column in columns:
                rest = weights.copy()
                rest[column] = 0
                if not rest.any():
                    continue
                base = trial.score(rest.astype(np.float32))
                steps = weights[column] * np.array(FINER) if finer else rest.max() * np.array(GRID)
                for step in steps:
                    tried = rest.copy()
                    tried[column] = step
                    score = base + np.float32(step) * trial.z[column]
                    reached = trial.judged(score) - price * (np.count_nonzero(tried) - 1)
                    if reached > value + 1e-9:
                        weights, value = tried, reached
            if value <= before:
                break
    return weights, value


def _worth(trial: Trial, weights: Doubles, price: float) -> float:
    return trial.ndcg(weights.astype(np.float32)) - price * (np.count_nonzero(weights) - 1)


def _one(trial: Trial, column: int) -> Floats:
    weights = np.zeros(len(trial.sources), np.float32)
    weights[column] = 1
    return weights


def _named(trial: Trial, weights: Floats) -> dict[str, float]:
    return {source: round(float(weights[column]), 4) for column, source in enumerate(trial.sources)}
