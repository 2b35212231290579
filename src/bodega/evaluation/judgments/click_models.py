"""What do clicks say of relevance, once it is known that people look at the top first? Two models, both with priors.

    pbm    position-based: a click is looking at the place (the same for all queries) times wanting the item. Both are
           found by expectation maximisation. Craswell, Zoeter, Taylor & Ramsey 2008; Richardson et al. 2007.
    sdbn   simplified dynamic Bayesian network: people read from the top, click what attracts them and stop when they
           are satisfied; whatever stands above the last click was looked at. Attraction times satisfaction, in closed
           form. Chapelle & Zhang 2009.

`ctr` is what both are better than: clicks over impressions. Each pair starts from a prior worth `prior` looks at the
mean of all, so that one click on one look is no proof. Cost: a second for a million things shown. Not for: what was
never shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodega.evaluation.judgments.shown import Judged, Shown
from bodega.schema.arrays import Doubles, Flags, Ints, Longs

ROUNDS = 50
CLOSE = 1e-4
LEAST = 1e-3
"""A place is looked at with at least this chance: below, a click there would prove anything."""


@dataclass(frozen=True, slots=True, eq=False)
class PositionBased:
    """What the position-based model found."""

    judged: Judged
    examination: Doubles
    """(n_places,) chance that a place is looked at; 1 at the top, where only the product with wanting is seen."""
    rounds: int


def ctr(shown: Shown, prior: float = 0.0) -> Judged:
    """Clicks over impressions: the baseline."""
    pairs, row = shown.pair
    looks, clicks = _counts(row, len(pairs)), _sums(row, shown.clicked, len(pairs))
    return _judged(pairs, _with_prior(clicks, looks, prior), looks)


def pbm(shown: Shown, prior: float = 5.0) -> PositionBased:
    """Expectation maximisation until no chance moves by more than 1e-4, at most 50 rounds."""
    pairs, row = shown.pair
    places = int(shown.place.max(initial=-1)) + 1
    look, want = 1.0 / np.arange(1, places + 1), np.full(len(pairs), 0.5)
    rounds, moved = 0, np.inf
    while rounds < ROUNDS and moved >= CLOSE:
        rounds, before = rounds + 1, look
        missed = 1.0 - look[shown.place] * want[row]
        looked = np.where(shown.clicked, 1.0, look[shown.place] * (1 - want[row]) / missed)
        wanted = np.where(shown.clicked, 1.0, want[row] * (1 - look[shown.place]) / missed)
        want = _with_prior(_sums(row, wanted, len(pairs)), _counts(row, len(pairs)), prior)
        seen = _counts(shown.place, places)
        look = np.bincount(shown.place, weights=looked, minlength=places) / np.maximum(seen, 1)
        look = np.maximum(look / max(float(look[0]), LEAST), LEAST) if places else look
        look = np.minimum(look, 1.0)
        moved = float(np.abs(look - before).max(initial=0.0))
    return PositionBased(_judged(pairs, want, _sums(row, look[shown.place], len(pairs))), look, rounds)


def sdbn(shown: Shown, prior: float = 5.0) -> Judged:
    """Attraction (clicks over looks down to the last click) times satisfaction (last clicks over clicks)."""
    pairs, row = shown.pair
    last = shown.last_click
    looked = np.where(last < 0, True, shown.place <= last)  # nobody clicked: read to the end
    looks, clicks = _sums(row, looked, len(pairs)), _sums(row, shown.clicked, len(pairs))
    ends = _sums(row, shown.clicked & (shown.place == last), len(pairs))
    attraction = _with_prior(clicks, looks, prior)
    satisfaction = _with_prior(ends, clicks, prior)
    return _judged(pairs, attraction * satisfaction, looks)


def _with_prior(hits: Doubles, tries: Doubles, prior: float) -> Doubles:
    mean = float(hits.sum() / tries.sum()) if tries.sum() else 0.0
    return np.asarray((hits + prior * mean) / np.maximum(tries + prior, 1e-12), np.float64)


def _counts(row: Ints | Longs, n: int) -> Doubles:
    return np.bincount(row, minlength=n).astype(np.float64)


def _sums(row: Longs, values: Flags | Doubles, n: int) -> Doubles:
    return np.asarray(np.bincount(row, weights=values, minlength=n), np.float64)


def _judged(pairs: Longs, relevance: Doubles, evidence: Doubles) -> Judged:
    query, item = (pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32)
    return Judged(query, item, np.clip(relevance, 0.0, 1.0), evidence)
