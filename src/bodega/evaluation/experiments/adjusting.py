"""Can the same answer come sooner? What a unit did before the experiment explains much of what it does in it (CUPED).

    adjusted = y - theta (x - mean of x),   theta = cov(x, y) / var(x)

over all arms together: the difference of means stays what it is on average, and its variance falls by the squared
correlation of x and y. x must be known before the unit saw anything: then no arm can have changed it. Units without a
past carry the mean. Several covariates are least squares. Paper: Deng, Xu, Kohavi & Walker 2013.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodega.schema.arrays import Doubles


@dataclass(frozen=True, slots=True, eq=False)
class Adjusted:
    """Values with what was known before taken out."""

    values: Doubles
    """(n,); the same mean over all units as before."""
    explained: float
    """Part of the variance that is gone, 0 to 1."""


def adjusted(y: Doubles, before: Doubles) -> Adjusted:
    """Take out of y (n,) what `before` (n,) or (n, m) explains; NaN in `before` is a unit without a past."""
    x = np.asarray(before, np.float64).reshape(len(y), -1)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(x)
        mean = np.where(known.any(axis=0), np.where(known, x, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), 0.0)
    centred = np.where(known, x - mean, 0.0)
    moving = centred.any(axis=0)
    whole = float(y.var())
    if not moving.any() or whole == 0:
        return Adjusted(np.asarray(y, np.float64), 0.0)
    theta = np.linalg.lstsq(centred[:, moving], y - y.mean(), rcond=None)[0]
    shift = centred[:, moving] @ theta
    values = y - (shift - shift.mean())
    return Adjusted(values, float(1 - values.var() / whole))
