"""How many shoppers does it take, and how long? Asked before an experiment starts.

For who looks once: n an arm = 2 (z_{1-alpha/2} + z_{power})^2 variance / effect^2. For who watches all the time the
interval is wider by a factor that grows slowly; `watched` solves for the n at which the sequence's half width plus
z_power standard errors is the effect. Source: any textbook; verified against statsmodels in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from bodega.evaluation.experiments.anytime import half_width


@dataclass(frozen=True, slots=True)
class Plan:
    """What an experiment needs. Units are those of one arm."""

    once: int
    """... where it is judged once, at its end."""
    watched: int
    """... where it may be stopped at any time."""
    effect: float
    """The smallest difference of means that is to be found."""


def plan(mean: float, variance: float, lift: float, *, power: float = 0.8, alpha: float = 0.05, arms: int = 2) -> Plan:
    """Units for a lift of the control's `mean` by `lift` (0.02: two percent), each arm against the control.

    Several arms share alpha (Bonferroni). `variance`: of the metric a unit.
    """
    effect, each = abs(mean * lift), alpha / max(arms - 1, 1)
    if effect == 0 or variance <= 0:
        return Plan(0, 0, effect)
    z = scipy.stats.norm.ppf(1 - each / 2) + scipy.stats.norm.ppf(power)
    once = int(np.ceil(2 * z * z * variance / effect**2))

    def short(n: float) -> float:
        both = max(2, int(2 * n))
        error = float(scipy.stats.norm.ppf(power) * np.sqrt(2 * variance / n))
        return half_width(both, 4 * variance, both, each) + error - effect

    watched = int(np.ceil(scipy.optimize.brentq(short, 1, 100 * once + 100, xtol=0.5)))
    return Plan(once, watched, effect)


def found(mean: float, variance: float, lift: float, n: int, *, alpha: float = 0.05) -> float:
    """The chance that a lift is found by n units an arm, judged once."""
    error = np.sqrt(2 * variance / n)
    limit, shift = scipy.stats.norm.ppf(1 - alpha / 2), abs(mean * lift) / error
    return float(scipy.stats.norm.sf(limit - shift) + scipy.stats.norm.cdf(-limit - shift))
