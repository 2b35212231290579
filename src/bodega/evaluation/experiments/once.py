"""How sure is a difference for who looks once? Welch's t interval and p-value, from means and variances.

SciPy's `ttest_ind` gives the same figures (a test compares them) and warns where values are nearly all equal, as shares
of pages often are; here such arms simply have no spread, and where neither has any, nothing is said.
Not for: watching (`anytime`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from bodega.schema.arrays import Doubles


@dataclass(frozen=True, slots=True)
class Once:
    """A difference of means, read once."""

    difference: float
    low: float
    high: float
    p: float


def welch(arm: Doubles, control: Doubles, alpha: float = 0.05) -> Once:
    """The difference of the means of `arm` (n,) and `control` (m,); at least two values each."""
    gap = float(arm.mean() - control.mean())
    parts = np.array([arm.var(ddof=1) / len(arm), control.var(ddof=1) / len(control)])
    error = float(parts.sum())
    if error <= 1e-24 * max(1.0, gap * gap):
        return Once(gap, -np.inf, np.inf, 1.0)
    freedom = error**2 / float((parts**2 / (np.array([len(arm), len(control)]) - 1)).sum())
    half = float(scipy.stats.t.ppf(1 - alpha / 2, freedom)) * error**0.5
    return Once(gap, gap - half, gap + half, float(2 * scipy.stats.t.sf(abs(gap) / error**0.5, freedom)))
