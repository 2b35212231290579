"""Does what was promised happen? Chances beside what came, in bins of equal promise, each with an interval.

Most candidates of a list are hardly ever taken, so bins of equal width would put nearly all of them into the first.
Here each bin holds the same *sum* of promised chances: where a model promises ten takes in all, every one of ten bins
promises one. The interval is Wilson's for a share; cases of one shopper are not independent, so it is a little too
narrow, and `error` (expected calibration error over these bins) has a bootstrap over cases instead.
Cost: one sort. Not for: whether the order is good (a constant is calibrated, too).
Papers: Wilson 1927; Naeini, Cooper & Hauskrecht 2015 (ECE); Nguyen & O'Connor 2015 (adaptive bins).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from bodega.schema.arrays import Doubles, Flags, Ints, Longs

Z = 1.959964


class Bin(msgspec.Struct, frozen=True):
    """Candidates that were promised about the same."""

    promised: float
    """Mean chance."""
    happened: float
    """Share that was taken."""
    low: float
    high: float
    """95 % interval of `happened`."""
    rows: int


class Reliability(msgspec.Struct, frozen=True, kw_only=True):
    """What a list's chances were worth on cases that nothing was chosen on."""

    of: str = ""
    """Whose chances: the learned ranker's own, or those read off the sum of scores."""
    cases: int = 0
    rows: int = 0
    taken: int = 0
    error: float = 0.0
    """Expected calibration error: mean gap between promised and happened, in units of a chance."""
    low: float = 0.0
    high: float = 0.0
    brier: float = 0.0
    bins: tuple[Bin, ...] = ()


def wilson(taken: float, rows: float) -> tuple[float, float]:
    """95 % interval of a share.

    >>> [round(end, 3) for end in wilson(5, 100)]
    [0.022, 0.112]
    """
    if rows <= 0:
        return 0.0, 1.0
    share, squared = taken / rows, Z * Z
    middle = (share + squared / (2 * rows)) / (1 + squared / rows)
    reach = Z * math.sqrt(share * (1 - share) / rows + squared / (4 * rows * rows)) / (1 + squared / rows)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def reliability(
    chance: Doubles, happened: Flags, case: Ints | Longs, rng: np.random.Generator, *, bins: int = 10, of: str = ""
) -> Reliability:
    """All (n,): the promised chance of a row, whether it was taken, and its case (0, 1, ...)."""
    if not len(chance):
        return Reliability(of=of)
    order = np.argsort(chance, kind="stable")
    promised = np.cumsum(chance[order])
    edges = np.searchsorted(promised, promised[-1] * np.arange(1, bins) / bins) if promised[-1] > 0 else []
    row = np.zeros(len(chance), np.int64)
    for edge in edges:
        row[order[int(edge) + 1 :]] += 1
    row = np.unique(row, return_inverse=True)[1]  # a bin that one heavy row skipped is none
    made = tuple(_bin(chance[row == number], happened[row == number]) for number in range(int(row.max()) + 1))
    n_cases = int(case.max()) + 1
    gaps = _per_case(chance - happened, row, np.asarray(case, np.int64), n_cases)
    size = np.bincount(case, minlength=n_cases).astype(np.float64)
    drawn = np.stack([_error(gaps, size, rng.integers(0, n_cases, n_cases)) for _ in range(200)])
    low, high = np.quantile(drawn, [0.025, 0.975])
    error = _error(gaps, size, np.arange(n_cases))
    return Reliability(
        of=of,
        cases=n_cases,
        rows=len(chance),
        taken=int(np.count_nonzero(happened)),
        error=round(float(error), 8),
        low=round(float(low), 8),
        high=round(float(high), 8),
        brier=round(float(np.mean((chance - happened) ** 2)), 8),
        bins=made,
    )


def _bin(chance: Doubles, happened: Flags) -> Bin:
    taken, rows = int(np.count_nonzero(happened)), len(chance)
    low, high = wilson(taken, rows)
    return Bin(round(float(chance.mean()), 8), round(taken / rows, 8), round(low, 8), round(high, 8), rows)


def _per_case(gap: Doubles, row: Longs, case: Longs, n_cases: int) -> Doubles:
    """Sum of the gaps by (case, bin)."""
    width = int(row.max()) + 1
    sums = np.bincount(case * width + row, weights=gap, minlength=n_cases * width)
    return np.asarray(sums, np.float64).reshape(n_cases, width)


def _error(gaps: Doubles, size: Doubles, cases: Longs) -> float:
    total = size[cases].sum()
    return float(np.abs(gaps[cases].sum(axis=0)).sum() / total) if total else 0.0


def folds(owners: Sequence[int], rng: np.random.Generator) -> Flags:
    """Half of the cases, by owner, so that nobody is in both; each unknown owner (-1) is one of its own: (n,)."""
    named = np.array(owners, np.int64)
    named = np.where(named < 0, -1 - np.arange(len(named)), named)
    known, own = np.unique(named, return_inverse=True)
    half: Flags = (rng.permutation(len(known))[own] % 2).astype(np.bool_)
    return half
