"""Who looked at which place of a list? The chance that a place is examined, from shown lists and clicks alone.

What stands on top is clicked because it stands on top. A model that learns from clicks as they are learns the order
that was shown; so the examination of each place is estimated first, and the click is explained by both:

    P(click | item, place) = examination(place) x attraction(item)          (position-based model)

Expectation-maximisation over counts of (item, place): where the same item was shown at several places, its clicks there
differ by examination alone. Only the product can be seen, so examination is relative: the best place has 1. Places
shown too rarely take the value of the last one that was shown often. Where hardly any item was ever seen at two places
nothing can be told apart; then every place has 1 and `estimated` is False: correcting by a guess would do harm.
Cost: one pass over the impressions, then up to 500 steps over the distinct (item, place) pairs (3,000 pairs: .1 s).
Not for: lists in a grid, whose shoppers look in columns, or clicks that depend on the neighbours in the list.
Papers: Craswell et al. 2008, Chuklin et al. 2015 (position-based model, EM); Joachims et al. 2017 (inverse propensity).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.errors import BadRequest
from bodega.schema.arrays import Doubles, Floats, Longs


class ExaminationOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The prior keeps items that were shown once from explaining everything."""

    places: int = 100
    """Places told apart; what lies further down counts as the last."""
    fewest: int = 100
    """Times a place must have been shown to be estimated."""
    overlap: float = 0.05
    """Share of impressions whose item was also shown at another place, below which nothing is estimated."""
    prior: float = 1.0
    """Impressions of an average item added to each item."""
    steps: int = 500
    tolerance: float = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Examination:
    """`chance` (n_places,): how often each place is looked at, the best place 1. `at` answers for any place."""

    chance: Doubles
    shown: Longs
    """(n_places,) impressions at each place."""
    overlap: float
    """Share of impressions whose item was also shown elsewhere: what the estimate rests on."""
    estimated: bool = True

    @classmethod
    def flat(cls) -> Examination:
        """Nothing is known: every place counts as looked at."""
        return cls(np.ones(1), np.zeros(1, np.int64), 0.0, estimated=False)

    def at(self, position: NDArray[np.integer[Any]]) -> Floats:
        """The chance of each place, float32, the shape of `position`; 1 where the place is unknown (-1)."""
        row = np.clip(position, 0, len(self.chance) - 1)
        return np.where(np.asarray(position) < 0, 1.0, self.chance[row]).astype(np.float32)

    def inverse(self, position: NDArray[np.integer[Any]], most: float = 10.0) -> Floats:
        """What a click at each place is worth: 1 / chance, at most `most` (a rare click must not decide alone)."""
        worth: Floats = np.minimum(1.0 / np.maximum(self.at(position), 1e-6), most).astype(np.float32)
        return worth


def examination_of(
    position: NDArray[np.integer[Any]],
    clicked: NDArray[np.bool_],
    key: NDArray[np.integer[Any]],
    options: ExaminationOptions | None = None,
) -> Examination:
    """The examination of places from impressions: all three arrays (n,).

    `key` says what was shown: whatever is equally attractive wherever it stands (an item; an item for a query).
    Impressions of unknown place (-1) are left out. Raises BadRequest where the arrays do not belong together.
    """
    options = options or ExaminationOptions()
    if not len(position) == len(clicked) == len(key):
        raise BadRequest(
            "places, clicks and items do not belong together",
            where="examination_of(position, clicked, key)",
            allowed="one of each an impression",
            got=f"{len(position)}, {len(clicked)}, {len(key)}",
        )
    known = np.asarray(position) >= 0
    place = np.minimum(np.asarray(position)[known], options.places - 1).astype(np.int64)
    if not len(place):
        return Examination.flat()
    pairs = _Pairs.of(place, np.asarray(clicked)[known], np.asarray(key)[known])
    shown = np.bincount(place, minlength=pairs.n_places).astype(np.int64)
    if pairs.overlap < options.overlap or not pairs.clicks.any() or not (shown >= options.fewest).any():
        return Examination(np.ones(pairs.n_places), shown, pairs.overlap, estimated=False)
    chance = _steady(pairs.solve(options), shown, options.fewest)
    return Examination(chance / chance.max(), shown, pairs.overlap)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Distinct (what, place) pairs: how often shown, how often clicked."""

    what: Longs
    place: Longs
    shown: Doubles
    clicks: Doubles
    overlap: float

    @classmethod
    def of(cls, place: Longs, clicked: NDArray[np.bool_], key: NDArray[np.integer[Any]]) -> _Pairs:
        _, what = np.unique(key, return_inverse=True)
        n_places = int(place.max()) + 1
        pair, row = np.unique(what.astype(np.int64) * n_places + place, return_inverse=True)
        shown = np.bincount(row).astype(np.float64)
        clicks = np.bincount(row, weights=clicked.astype(np.float64)).astype(np.float64)
        own = pair // n_places
        elsewhere = np.bincount(own)[own] > 1
        return cls(own, pair % n_places, shown, clicks, float(shown[elsewhere].sum() / shown.sum()))

    @property
    def n_places(self) -> int:
        return int(self.place.max()) + 1

    def solve(self, options: ExaminationOptions) -> Doubles:
        """Expectation-maximisation; (n_places,), the largest 1. NaN where a place was never shown."""
        misses = self.shown - self.clicks
        by_place = np.bincount(self.place, weights=self.shown, minlength=self.n_places)
        by_what = np.bincount(self.what, weights=self.shown)
        usual = float(self.clicks.sum() / self.shown.sum())
        with np.errstate(invalid="ignore", divide="ignore"):
            look = np.bincount(self.place, weights=self.clicks, minlength=self.n_places) / by_place
        look /= np.nanmax(look)
        like = np.full(len(by_what), min(usual / max(float(np.nanmean(look)), 1e-9), 0.999))
        prior = options.prior * like.mean()
        for _ in range(options.steps):
            e, a = look[self.place], like[self.what]
            neither = np.maximum(1 - e * a, 1e-12)
            looked = self.clicks + misses * e * (1 - a) / neither
            liked = self.clicks + misses * a * (1 - e) / neither
            before, liking = look, like
            with np.errstate(invalid="ignore", divide="ignore"):
                look = np.bincount(self.place, weights=looked, minlength=self.n_places) / by_place
            like = (np.bincount(self.what, weights=liked) + prior) / (by_what + options.prior)
            top = float(np.nanmax(look))
            look, like = look / top, np.minimum(like * top, 0.999)
            # Both: at the start the places explain everything, and do not move until the items have.
            moved = max(float(np.nanmax(np.abs(look - before))), float(np.abs(like - liking).max()))
            if moved < options.tolerance:
                break
        return look


def _steady(chance: Doubles, shown: Longs, fewest: int) -> Doubles:
    """Places that were shown too rarely take the value of the nearest place above that was not (else below)."""
    good = np.flatnonzero((shown >= fewest) & np.isfinite(chance))
    nearest = np.clip(np.searchsorted(good, np.arange(len(chance)), "right") - 1, 0, len(good) - 1)
    return np.maximum(chance[good[nearest]], 1e-3)
