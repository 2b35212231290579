"""Does this query want words or meaning? Factors on the weights of a search, by traits of the query.

One weight for all queries is a compromise: "wh-1000xm4" wants exactly these characters, "something warm for the beach"
holds no word of the right title. A *trait* is a fact about a query that is known before anything is ranked; each has a
factor on the weight of the sources that go by meaning (`MEANING`). Factors of several traits multiply.
The default factors serve shops without a search log; with one, `fit_factors` chooses them on validation, judged on the
other half of the cases than they were fitted on, and keeps them only where they surely help.
Cost: a few multiplications a request. Not for: which items match at all (`engine.finding` cuts neighbours off).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bodega.evaluation import Case
from bodega.ranking._trial import MOST, Trial
from bodega.ranking.scale import CANDIDATES
from bodega.schema import Candidates
from bodega.schema.arrays import Doubles, Flags, Floats

MEANING = ("dense", "sentences", "profile")
"""Sources that go by what words mean."""

WORDS = "lexical"
ASKED = "asked"
"""The source that goes by what others chose after such queries."""

TRAITS: dict[str, str] = {
    "code": "the query is an id or an article number: nothing but words counts",
    "number": "a word holds a digit: 'iphone 5' is not 'iphone 4'",
    "short": "one word",
    "long": "five words or more",
    "partial": "no ten items hold all of its words",
    "corrected": "a word was corrected",
}

DEFAULT: dict[str, float] = {"code": 0.0}
"""Trait -> factor where nothing was fitted."""

GRID = (0.0, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0)
FEWEST = 40
"""Cases that must show a trait before its factor is fitted."""
PRICE = 0.0005
"""NDCG that a factor other than 1 must earn over all cases."""


@dataclass(frozen=True, slots=True)
class Factors:
    """The factors of one place, and what they were worth on validation."""

    factors: dict[str, float] = field(default_factory=lambda: dict(DEFAULT))
    figures: dict[str, float] = field(default_factory=dict)
    """NDCG@10 on validation: `one_weight`, `per_query` (fitted), `per_query.crossfit`, `per_query.error`."""


def factor(factors: Mapping[str, float], traits: Sequence[str]) -> float:
    """The factor on the weight of meaning for a query with these traits."""
    out = 1.0
    for trait in traits:
        out *= factors.get(trait, 1.0)
    return out


def adjusted(weight: Floats, sources: Sequence[str], factors: Mapping[str, float], traits: Sequence[str]) -> Floats:
    """The weights of the sources for one query: meaning times its factor; of a code, words only."""
    if "code" in traits and WORDS in sources:
        return np.array([own if name == WORDS else 0.0 for own, name in zip(weight, sources, strict=True)], np.float32)
    times = factor(factors, traits)
    if times == 1.0:
        return weight
    return np.array(
        [own * times if name in MEANING else own for own, name in zip(weight, sources, strict=True)], np.float32
    )


def fit_factors(
    weights: Mapping[str, float], cases: Sequence[Case], candidates: Sequence[Candidates], *, k: int = 10
) -> Factors:
    """Factors for one place, given its weights; the defaults where they do not surely help."""
    if not cases:
        return Factors()
    if len(cases) > MOST:
        picked = np.linspace(0, len(cases) - 1, MOST).astype(int).tolist()
        cases, candidates = [cases[at] for at in picked], [candidates[at] for at in picked]
    trial = Trial.of(cases, candidates, k, CANDIDATES)
    if not any(weights.get(name, 0) for name in MEANING if name in trial.sources):
        return Factors()
    arena = _Arena.of(trial, weights, cases)
    found = arena.climb(np.ones(arena.n_cases, np.bool_))
    one, fitted = arena.each({}), arena.each(found)
    crossed = np.empty(arena.n_cases)
    even = np.arange(arena.n_cases) % 2 == 0
    for fold in (even, ~even):
        crossed[fold] = arena.each(arena.climb(~fold))[fold]
    gain = crossed - one
    error = float(gain.std() / np.sqrt(arena.n_cases))
    figures = {
        "one_weight": float(one.mean()),
        "per_query": float(fitted.mean()),
        "per_query.crossfit": float(crossed.mean()),
        "per_query.error": error,
    }
    return Factors({**DEFAULT, **found} if gain.mean() > error else dict(DEFAULT), figures)


@dataclass(frozen=True, slots=True, eq=False)
class _Arena:
    """Cases whose score is words + factor x meaning."""

    trial: Trial
    fixed: Floats
    """(rows, width): the weighted sum of everything but meaning."""
    meaning: Floats
    """(rows, width): the weighted sum of meaning."""
    shows: dict[str, Flags]
    """Trait -> (n_cases,) which cases show it."""
    n_cases: int

    @classmethod
    def of(cls, trial: Trial, weights: Mapping[str, float], cases: Sequence[Case]) -> _Arena:
        held = np.array([weights.get(name, 0.0) for name in trial.sources], np.float32)
        means = np.array([name in MEANING for name in trial.sources])
        shows = {trait: np.array([trait in case.context.traits for case in cases]) for trait in TRAITS}
        enough = {trait: flags for trait, flags in shows.items() if trait != "code" and int(flags.sum()) >= FEWEST}
        return cls(
            trial,
            trial.score(np.where(means, 0, held).astype(np.float32)),
            trial.score(np.where(means, held, 0).astype(np.float32)),
            dict(sorted(enough.items(), key=lambda entry: -int(entry[1].sum()))),
            len(cases),
        )

    def each(self, factors: Mapping[str, float]) -> Doubles:
        """NDCG of every case under these factors."""
        times: NDArray[np.float32] = np.ones(self.n_cases, np.float32)
        for trait, value in factors.items():
            times[self.shows[trait]] *= np.float32(value)
        return self.trial.each(self.fixed + times[self.trial.case][:, None] * self.meaning)

    def climb(self, keep: Flags) -> dict[str, float]:
        """The best factors over the cases where `keep` holds: one trait at a time, until none helps."""
        factors: dict[str, float] = {}
        value = float(self.each(factors)[keep].mean())
        for _ in range(3):
            before = value
            for trait in self.shows:
                for tried in GRID:
                    other = {**factors, trait: tried}
                    other = {name: times for name, times in other.items() if times != 1.0}
                    reached = float(self.each(other)[keep].mean()) - PRICE * len(other)
                    if reached > value + 1e-9:
                        factors, value = other, reached
            if value <= before:
                break
        return factors
