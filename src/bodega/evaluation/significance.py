"""How sure is a figure? Percentile bootstrap over cases (shoppers), 95 % by default.

A resample of n cases is a vector of n counts, so that the means of *all* metrics of *all* models under one resample are
one matrix product, and every comparison is paired for free: the same shoppers are drawn for both sides.
Equal to `scipy.stats.bootstrap(method="percentile")` but for the draws (a test compares them); 1,000 resamples of
22,000 cases x 60 columns take about 1 s and 12 MB. Paper: Efron 1979. Not for: peeking at a running experiment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodega.schema.arrays import Doubles

RESAMPLES = 1_000
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of `a - b` over the same cases with its 95 % interval. It is real where the interval leaves out 0."""

    mean: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        return self.low > 0


def bootstrap(values: NDArray[np.floating], rng: np.random.Generator, resamples: int = RESAMPLES) -> Doubles:
    """Means under resampling: `values` (n_cases, m) -> (resamples, m). NaN values count as absent."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0).astype(np.float64)
    n = len(values)
    out = np.empty((resamples, values.shape[1]))
    everywhere = bool(known.all())
    for start in range(0, resamples, _BLOCK):
        rows = min(_BLOCK, resamples - start)
        drawn = rng.integers(0, n, (rows, n)) + np.arange(rows)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)
        weight = n if everywhere else counts @ known
        with np.errstate(invalid="ignore", divide="ignore"):
            out[start : start + rows] = (counts @ filled) / weight
    return out


def intervals(
    values: Mapping[str, Doubles], rng: np.random.Generator, *, resamples: int = RESAMPLES, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """{name: (low, high)} for per-case values {name: (n_cases,)} over the same cases. Empty without cases."""
    if not values or len(next(iter(values.values()))) == 0:
        return {}
    means = bootstrap(np.column_stack(list(values.values())), rng, resamples)
    tail = (1 - level) / 2
    low, high = np.nanquantile(means, [tail, 1 - tail], axis=0)
    return {name: (float(low[column]), float(high[column])) for column, name in enumerate(values)}


def paired(a: Doubles, b: Doubles, rng: np.random.Generator, resamples: int = RESAMPLES) -> Difference:
    """Is a better than b? Both (n_cases,), the same case in the same row."""
    gap = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    if len(gap) == 0:
        return Difference(0.0, 0.0, 0.0)
    low, high = np.nanquantile(bootstrap(gap[:, None], rng, resamples)[:, 0], [0.025, 0.975])
    return Difference(float(np.nanmean(gap)), float(low), float(high))
