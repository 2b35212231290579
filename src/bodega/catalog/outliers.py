"""Which prices look wrong? Far from the middle of their own category, on a log scale.

Robust z = (log price - median) / (1.4826 * median absolute deviation), as in Iglewicz & Hoaglin (1993, "How to Detect
and Handle Outliers", eq. 3.2); prices spread by factors, hence the logarithm. Cost: one sort a category. Not for:
categories with fewer than 20 prices, and not a verdict: a finding to look at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LIMIT = 6.0
"""Robust z beyond which a price is reported. Cents taken for units (a factor of 100) lie at 6.2 when half of a
category's prices are within a factor of 1.65 of the median, a usual spread."""
LEAST = 20
SPREAD = 0.1
"""Smallest spread assumed (log scale): in a category where nearly all cost the same, 82 % more is not yet odd."""


def odd_prices(prices: NDArray[np.floating], groups: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which prices are outliers among those of the same group: bool, (n,). NaN and zero never are."""
    odd = np.zeros(len(prices), np.bool_)
    known = np.flatnonzero(np.isfinite(prices) & (prices > 0))
    if not len(known):
        return odd
    logs = np.log(prices[known], dtype=np.float64)
    order = np.argsort(groups[known], kind="stable")
    starts = np.flatnonzero(np.diff(groups[known][order], prepend=-(2**62)))
    for rows in np.split(order, starts[1:]):
        if len(rows) >= LEAST:
            apart = np.abs(logs[rows] - np.median(logs[rows]))
            odd[known[rows]] = apart / max(1.4826 * float(np.median(apart)), SPREAD) > LIMIT
    return odd
