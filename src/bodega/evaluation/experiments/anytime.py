"""How sure is a difference that is looked at every hour? Intervals that hold at all times at once.

An ordinary 95 % interval is right 95 times of 100 for who looks once; who looks a hundred times and stops when it
leaves out 0 is wrong in a third of all tests of nothing. A *confidence sequence* holds for all sample sizes together,
so one may look, and stop, as often as one likes. This is the asymptotic one of a Gaussian mixture:

    mean +- sd * sqrt(2 (n r + 1) / (n^2 r) * log(sqrt(n r + 1) / alpha)),    r = rho^2

`rho` says at which n it is narrowest; there it is about 1.5 times as wide as an ordinary interval: the price of
looking. Paper: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit theory and asymptotic
confidence sequences", Annals of Statistics 2024, Theorem 2.2 (and its equation for rho). Asymptotic: silent below 100
units an arm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodega.schema.arrays import Doubles

FEWEST = 100
"""Units of an arm below which nothing is said: the sequence leans on the central limit."""


@dataclass(frozen=True, slots=True)
class Moments:
    """What is kept of one arm: n, the mean of a value a unit, and its variance (of the values, not of the mean)."""

    n: int
    mean: float
    variance: float

    @classmethod
    def of(cls, values: Doubles) -> Moments:
        """From values a unit, (n,)."""
        n = len(values)
        return cls(n, float(values.mean()) if n else 0.0, float(values.var(ddof=1)) if n > 1 else 0.0)


@dataclass(frozen=True, slots=True)
class Effect:
    """What an arm does to a metric, less the control: with an interval that holds whenever one looks."""

    difference: float
    low: float
    high: float
    control: float
    """The control's mean: `lift` is the difference as a part of it."""
    n: int

    @property
    def sure(self) -> bool:
        """Does the interval leave out 0?"""
        return self.low > 0 or self.high < 0

    @property
    def lift(self) -> tuple[float, float, float]:
        """(difference, low, high) as parts of the control's mean; infinite where that is 0."""
        return self.part(self.difference), self.part(self.low), self.part(self.high)

    def part(self, value: float) -> float:
        if self.control == 0:
            return 0.0 if value == 0 else float(np.copysign(np.inf, value))
        return value / abs(self.control)


def rho_squared(n: int, alpha: float = 0.05) -> float:
    """rho^2 with which the sequence is narrowest at about n units."""
    return float((-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / max(n, 1))


def half_width(n: int, variance: float, planned: int, alpha: float = 0.05) -> float:
    """Half the width of the sequence for a mean of n values of this variance; narrowest at `planned` values."""
    if n < 1:
        return float("inf")
    r = rho_squared(planned, alpha)
    spread = 2 * (n * r + 1) / (n * n * r) * np.log(np.sqrt(n * r + 1) / alpha)
    return float(np.sqrt(variance * spread))


def compare(arm: Moments, control: Moments, planned: int, alpha: float = 0.05) -> Effect:
    """The difference of two arms. `planned`: units of both together where the interval shall be narrowest.

    The difference is the mean of one influence value a unit, whose variance is n (s1^2/n1 + s0^2/n0).
    """
    n = arm.n + control.n
    gap = arm.mean - control.mean
    if min(arm.n, control.n) < FEWEST:
        return Effect(gap, -np.inf, np.inf, control.mean, n)
    variance = n * (arm.variance / arm.n + control.variance / control.n)
    half = half_width(n, variance, planned, alpha)
    return Effect(gap, gap - half, gap + half, control.mean, n)
