"""How likely is it really? Log-odds of a network in, calibrated log-odds out, one rising curve a task.

Two ways, fitted on lists that training never saw: Platt's straight line, and isotonic regression (blocks of equal rate,
joined by straight lines in log-odds, so that no two different scores become equal). `auto` takes the one that promises
better on the other half of those lists. What was clicked at a place that few look at is more attractive than its clicks
say: the rate of a click is divided by the chance that its place was looked at.
Cost: one sort. Not for: fewer than a hundred labels (the curve is then the identity).
Papers: Platt 1999; Zadrozny & Elkan 2002 (isotonic); Niculescu-Mizil & Caruana 2005 (which when).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from bodega.ranking.learned._net_shape import Array, sigmoid
from bodega.schema.arrays import Doubles, Floats

FEWEST = 100
"""Labels, and ten that are not 0, below which nothing is changed."""
KNOTS = 32
PRIOR = 4.0
"""Examples of the mean rate that each block of the isotonic curve is mixed with."""
REACH = 20.0
"""Log-odds beyond the last knots, where the curve goes on straight."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A rising piecewise straight line through (x, y), both (n_knots,) ascending, in log-odds."""

    x: Floats
    y: Floats

    @classmethod
    def identity(cls) -> Curve:
        ends = np.array([-REACH, REACH], np.float32)
        return cls(ends, ends)

    def apply(self, odds: Array) -> Array:
        out: Array = np.interp(odds, self.x, self.y).astype(odds.dtype)
        return out

    def slope(self, odds: Array) -> Array:
        """dy / dx at these points."""
        piece = np.clip(np.searchsorted(self.x, odds, "right") - 1, 0, len(self.x) - 2)
        rise: Array = (np.diff(self.y) / np.diff(self.x))[piece]
        return rise


def calibrate(odds: Floats, label: Floats, chance: Floats, how: str = "auto") -> tuple[Curve, str]:
    """(the curve, how it was made): `platt`, `isotonic`, `none`, or `auto` for the better of the first two.

    `odds` (n,) of what is looked at; `label` (n,) in 0..1; `chance` (n,) that it was looked at.
    """
    known = np.isfinite(label)
    odds, label, chance = (
        odds[known].astype(np.float64),
        label[known].astype(np.float64),
        chance[known].astype(np.float64),
    )
    if how == "none" or len(odds) < FEWEST or np.count_nonzero(label) < 10:
        return Curve.identity(), "none"
    if how == "auto":
        half = np.arange(len(odds)) % 2 == 0
        cost = {}
        for name in ("platt", "isotonic"):
            cost[name] = sum(
                _cost(_FIT[name](odds[fold], label[fold], chance[fold]).apply(odds[~fold]), label[~fold], chance[~fold])
                for fold in (half, ~half)
            )
        how = min(cost, key=lambda name: cost[name])
    return _FIT[how](odds, label, chance), how


def _cost(odds: Array, label: Array, chance: Array) -> float:
    happens = np.clip(sigmoid(odds) * chance, 1e-7, 1 - 1e-7)
    return float(-np.mean(label * np.log(happens) + (1 - label) * np.log(1 - happens)))


def _platt(odds: Array, label: Array, chance: Array) -> Curve:
    def cost(line: Doubles) -> float:
        return _cost(np.exp(line[0]) * odds + line[1], label, chance) + 1e-4 * float(line[0] ** 2)

    line = scipy.optimize.minimize(
        cost, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-8, "maxiter": 400}
    ).x
    steep = float(np.exp(np.clip(line[0], -3, 3)))
    ends = np.array([-REACH, REACH])
    return Curve(ends.astype(np.float32), (steep * ends + line[1]).astype(np.float32))


def _isotonic(odds: Array, label: Array, chance: Array) -> Curve:
    order = np.argsort(odds, kind="stable")
    x, worth = odds[order], np.maximum(chance[order], 0.05)
    rate = label[order] / worth
    levels = scipy.optimize.isotonic_regression(rate, weights=worth).x
    block = np.cumsum(np.diff(levels, prepend=levels[0]) > 0)
    weight = np.bincount(block, weights=worth)
    middle = np.bincount(block, weights=worth * x) / weight
    usual = float(label.sum() / worth.sum())
    held = (np.bincount(block, weights=worth * rate) + PRIOR * usual) / (weight + PRIOR)
    y = np.clip(np.maximum.accumulate(held), 1e-6, 1 - 1e-6)
    pick = _spread(weight)
    knots, odds_y = middle[pick], np.log(y[pick] / (1 - y[pick]))
    knots, odds_y = (
        knots.astype(np.float32),
        np.maximum.accumulate(odds_y + 1e-4 * np.arange(len(odds_y))).astype(np.float32),
    )
    rising = np.concatenate([[True], np.diff(knots) > 1e-4])
    knots, odds_y = knots[rising], odds_y[rising]
    x_out = np.concatenate([knots[:1] - np.float32(REACH), knots, knots[-1:] + np.float32(REACH)])
    y_out = np.concatenate([odds_y[:1] - np.float32(REACH), odds_y, odds_y[-1:] + np.float32(REACH)])
    return Curve(x_out, y_out)


def _spread(weight: NDArray[Any]) -> NDArray[np.int64]:
    """At most KNOTS blocks, evenly by how much they hold."""
    if len(weight) <= KNOTS:
        return np.arange(len(weight))
    place = np.cumsum(weight) / weight.sum()
    return np.unique(np.searchsorted(place, np.linspace(0, 1, KNOTS)).clip(0, len(weight) - 1))


_FIT = {"platt": _platt, "isotonic": _isotonic}
