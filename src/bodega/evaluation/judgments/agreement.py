"""Do two judges say the same? Cohen's kappa: agreement beyond what chance would give, with a bootstrap interval.

Weighted by the square of the distance (a 3 for a 2 is a small quarrel), as graded relevance asks. 1: they always agree,
0: as often as by chance. Checked against scikit-learn in the tests. Used before a language model's judgments count: see
`bodega judge`. Paper: Cohen 1968.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodega.schema.arrays import Ints

RESAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two judges agree on n cases."""

    kappa: float
    low: float
    high: float
    n: int


def kappa(one: Ints, other: Ints, rng: np.random.Generator, levels: int = 4) -> Agreement:
    """Quadratic weighted kappa of two gradings (n,) of the same cases, 0 to levels - 1."""
    n = len(one)
    if n < 2:
        return Agreement(0.0, -1.0, 1.0, n)
    cells = one.astype(np.int64) * levels + other
    drawn = rng.multinomial(n, np.bincount(cells, minlength=levels * levels) / n, RESAMPLES)
    found = np.array([_weighted(table.reshape(levels, levels)) for table in drawn])
    low, high = np.quantile(found, [0.025, 0.975])
    whole = _weighted(np.bincount(cells, minlength=levels * levels).reshape(levels, levels))
    return Agreement(whole, float(low), float(high), n)


def _weighted(table: np.ndarray) -> float:
    n, levels = table.sum(), len(table)
    distance = (np.arange(levels)[:, None] - np.arange(levels)) ** 2
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    chance = float((distance * expected).sum())
    return 1.0 - float((distance * table).sum()) / chance if chance else 1.0
