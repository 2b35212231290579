"""Is the shop still the one that was learned from? Distances between a window of days and the days before it.

Mixes (queries, categories, clicked or not, ...) are compared by the population stability index, numbers (prices,
scores) by the two-sample Kolmogorov-Smirnov distance. No textbook limit (0.1, 0.25) is used: small windows pass it by
chance and large ones never. How far two windows of *this* shop lie apart when nothing changes is asked of the reference
itself:

    by chance   visits of the reference are drawn again, as many as the window has: the 99.9 % quantile of 300 distances
    by habit    every single day of the reference against the others: 1.25 x the largest (Sundays differ from Mondays)

An alarm needs more than both. Visits are drawn whole, since what one visit holds belongs together.
Cost: a second for a million events. Not for: why (the report names what moved most), slow change inside the reference.
Papers: Yurdakul 2018 (the index under no change); Rabanser, Guennemann & Lipton 2019 (two-sample tests for shift).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.special import rel_entr

from bodega.schema.arrays import Doubles, Flags, Ints, Longs

DRAWS = 300
QUANTILE = 0.999
HABIT = 1.25
"""A window may lie so much farther away than the oddest day of the reference."""
FEWEST = 15
"""Below so many values in a window nothing is said."""
FEWEST_DAYS = 5
KEPT = 50
"""Largest parts of a mix that are told apart, at most; the rest is one part."""
FEWEST_PARTS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One thing that is watched: a value an event. All arrays (n,)."""

    name: str
    values: NDArray[np.generic]
    """Whole numbers are parts of a mix (rows of `labels`), floats are numbers."""
    visit: Ints
    day: Ints
    """Whole days before the end of the window: 0 is the window itself where it is one day long."""
    labels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Signal:
    """What became of one thing that is watched."""

    name: str
    measure: str
    """`psi` or `ks`."""
    value: float
    limit: float
    """An alarm is a value above this."""
    drifted: bool
    now: int
    """Values in the window."""
    before: int
    moved: tuple[str, ...] = ()
    """The parts that moved most, with their shares before and now."""

    @property
    def level(self) -> float:
        """value / limit: 1 is the edge of an alarm."""
        return self.value / self.limit if self.limit > 0 else 0.0


Distance = Callable[[NDArray[np.generic]], float]
"""How far a window's values lie from a reference."""

Measure = Callable[[NDArray[np.generic]], Distance]
"""A reference's values -> how far others lie from them: what is sorted or counted of a reference is so once."""


def psi(before: Doubles, now: Doubles) -> float:
    """Population stability index of two vectors of counts: sum of (p - q) ln(p / q), half a count added to each part.

    >>> round(psi(np.array([50.0, 50.0]), np.array([50.0, 50.0])), 6)
    0.0
    """
    p, q = (before + 0.5) / (before + 0.5).sum(), (now + 0.5) / (now + 0.5).sum()
    return float(rel_entr(p, q).sum() + rel_entr(q, p).sum())


def ks(before: NDArray[np.generic], now: NDArray[np.generic]) -> float:
    """Largest distance between the two distribution functions, 0 to 1 (scipy)."""
    return float(scipy.stats.ks_2samp(before, now, method="asymp").statistic)


def ks_from(before: NDArray[np.generic]) -> Distance:
    """`ks` from this reference, sorted once: a hundred times as fast where a reference is asked often."""
    ascending = np.sort(before.astype(np.float64))
    n = max(len(ascending), 1)

    def distance(now: NDArray[np.generic]) -> float:
        values, counts = np.unique(now.astype(np.float64), return_counts=True)
        upto = np.cumsum(counts) / max(len(now), 1)
        below = upto - counts / max(len(now), 1)
        at, under = (np.searchsorted(ascending, values, side) / n for side in ("right", "left"))
        return float(max(np.abs(at - upto).max(initial=0), np.abs(under - below).max(initial=0)))

    return distance


def psi_from(n_parts: int) -> Measure:
    """`psi` of codes below `n_parts`."""

    def measure(before: NDArray[np.generic]) -> Distance:
        held = np.bincount(before.astype(np.int64), minlength=n_parts).astype(np.float64)
        return lambda now: psi(held, np.bincount(now.astype(np.int64), minlength=n_parts).astype(np.float64))

    return measure


def watch(sample: Sample, width: int, rng: np.random.Generator) -> Signal | None:
    """Compare the last `width` days of a sample with those before; None where there is too little to say anything."""
    known = np.isfinite(sample.values.astype(np.float64))
    values, visit, day = sample.values[known], sample.visit[known], sample.day[known]
    now = day < width
    if now.sum() < FEWEST or (~now).sum() < FEWEST or len(np.unique(day[~now])) < FEWEST_DAYS:
        return None
    mix = np.issubdtype(values.dtype, np.integer)
    codes, names = _parts(values.astype(np.int64), ~now, sample.labels) if mix else (values, ())
    measure = psi_from(len(names)) if mix else ks_from
    reference = codes[~now]
    value = measure(reference)(codes[now]) if mix else ks(reference, codes[now])
    chance = _by_chance(measure(reference), reference, visit[~now], len(np.unique(visit[now])), rng)
    habit = _by_habit(measure, reference, day[~now] // width)
    limit = max(chance, HABIT * habit)
    moved = _moved(codes, now, names) if mix else _middle(codes, now)
    kind = "psi" if mix else "ks"
    return Signal(
        sample.name, kind, round(value, 5), round(limit, 5), value > limit, int(now.sum()), int((~now).sum()), moved
    )


def _parts(values: Longs, before: Flags, labels: Sequence[str]) -> tuple[Longs, Sequence[str]]:
    """The mix with its largest parts (before) told apart, the rest as one: (codes, names).

    A small window gets few parts: many that hold one value each would only be noise.
    """
    counts = np.bincount(values[before], minlength=len(labels))
    parts = min(KEPT, max(FEWEST_PARTS, int((~before).sum()) // 5))
    top = np.argsort(-counts, kind="stable")[:parts]
    top = top[counts[top] > 0]
    code = np.full(len(labels), len(top), np.int64)
    code[top] = np.arange(len(top))
    return code[values], [*(labels[part] for part in top.tolist()), "others"]


def _by_chance(
    distance: Distance, reference: NDArray[np.generic], visit: Ints, n_visits: int, rng: np.random.Generator
) -> float:
    """The quantile of distances between the reference and so many of its own visits, drawn again."""
    order = np.argsort(visit, kind="stable")
    starts = np.flatnonzero(np.diff(visit[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    found = []
    for _ in range(DRAWS):
        drawn = rng.integers(0, len(starts), n_visits)
        first, length = starts[drawn], sizes[drawn]
        ends = np.cumsum(length)
        at = np.arange(int(ends[-1])) + np.repeat(first - (ends - length), length)
        found.append(distance(reference[order[at]]))
    return float(np.quantile(found, QUANTILE))


def _by_habit(measure: Measure, reference: NDArray[np.generic], window: Ints) -> float:
    """The largest distance of one stretch of the reference, as long as the window, from the rest of it."""
    farthest = 0.0
    for each in np.unique(window).tolist():
        inside = window == each
        if FEWEST <= inside.sum() < len(inside):
            farthest = max(farthest, measure(reference[~inside])(reference[inside]))
    return farthest


def _moved(codes: NDArray[np.generic], now: Flags, names: Sequence[str]) -> tuple[str, ...]:
    counts = [np.bincount(codes[rows].astype(np.int64), minlength=len(names)) + 0.5 for rows in (~now, now)]
    before, after = (each / each.sum() for each in counts)
    part = (after - before) * np.log(after / before)
    best = np.argsort(-part, kind="stable")[:3].tolist()
    return tuple(f"{names[row]}: {before[row]:.1%} -> {after[row]:.1%}" for row in best)


def _middle(values: NDArray[np.generic], now: Flags) -> tuple[str, ...]:
    before, after = (float(np.median(values[rows].astype(np.float64))) for rows in (~now, now))
    return (f"median: {before:.4g} -> {after:.4g}",)
