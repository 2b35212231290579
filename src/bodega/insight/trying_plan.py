"""How many shoppers, and how many days? What the log says of a metric and of the traffic, turned into a plan.

    baseline   mean and variance of a metric a shopper over the last days, and how many different shoppers came by day
    planned    for each lift that somebody might want to find: shoppers an arm, judged once or watched all the time,
               and the days until so many have come

The number of different shoppers grows slower than time (many come again): days are read off the curve of the log, and
past its end off its last third. Not for: small shops' certainty; a plan of 400 days says that the lift cannot be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bodega.evaluation.experiments.power import plan
from bodega.insight.trying import _OF, DAY, REVENUE, Log
from bodega.schema.answers import Answered
from bodega.schema.arrays import Doubles

LIFTS = (0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """What a shopper does, as a rule, and how many of them come."""

    metric: str
    mean: float
    variance: float
    came: Doubles
    """(days,) different shoppers up to the end of each day."""

    @property
    def units(self) -> int:
        return int(self.came[-1]) if len(self.came) else 0

    def days_for(self, units: float) -> float:
        """Days until so many different shoppers have come; infinite where they never do."""
        if not len(self.came) or units <= 0:
            return 0.0 if units <= 0 else float("inf")
        if units <= self.came[-1]:
            return float(np.interp(units, np.concatenate([[0.0], self.came]), np.arange(len(self.came) + 1.0)))
        tail = max(1, len(self.came) // 3)
        rate = (
            (self.came[-1] - self.came[-1 - tail]) / tail if len(self.came) > tail else self.came[-1] / len(self.came)
        )
        return float(len(self.came) + (units - self.came[-1]) / rate) if rate > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class Needed:
    """What one lift takes."""

    lift: float
    once: int
    """Shoppers of all arms together, where it is judged once, at the end."""
    watched: int
    """... where it may be looked at, and stopped, at any time."""
    once_days: float
    watched_days: float


def baseline(log: Log, metric: str, until: float, days: int = 28) -> Baseline:
    """From the last days of the log. Metrics of pages are read off the log of answers."""
    since = until - days * DAY
    number: dict[str, int] = {}
    first: list[float] = []
    sums: dict[int, float] = {}
    counts: dict[int, int] = {}

    def seen(user: str, session: str, time: float) -> int:
        unit = number.setdefault(f"u:{log.key(user)}" if user else f"s:{session}", len(number))
        if unit == len(first):
            first.append(time)
        return unit

    for doing in log.doings(since):
        if doing.time > until:
            break
        unit = seen(doing.user, doing.session, doing.time)
        if metric == "revenue" and doing.type == "purchase":
            sums[unit] = sums.get(unit, 0.0) + doing.amount
        elif metric != "revenue" and _DONE.get(metric) == _OF.get(doing.type, -1):
            sums[unit] = sums.get(unit, 0.0) + 1.0
    if metric in _SHOWN:
        for line in log.answers(since):
            if line.unit and line.time <= until:
                unit = seen(line.user, line.session, line.time)
                sums[unit] = sums.get(unit, 0.0) + _shown(metric, line)
                counts[unit] = counts.get(unit, 0) + 1
    values = np.zeros(len(number))
    for unit, value in sums.items():
        values[unit] = value / counts[unit] if metric in ("latency", "degraded", "zero_results") else value
    came = np.searchsorted(np.sort(first), since + DAY * np.arange(1, days + 1), side="right").astype(np.float64)
    variance = float(values.var(ddof=1)) if len(values) > 1 else 0.0
    return Baseline(metric, float(values.mean()) if len(values) else 0.0, variance, came)


_DONE = {"clicks": 0, "carts": 1, "purchases": 2, "revenue": REVENUE, "dismissals": 4, "returned": 5}
_SHOWN = ("pages", "latency", "degraded", "zero_results")


def _shown(metric: str, line: Answered) -> float:
    if metric == "latency":
        return line.milliseconds
    if metric == "degraded":
        return float(bool(line.degraded))
    return float(bool(line.query) and not line.items) if metric == "zero_results" else 1.0


def planned(
    base: Baseline, *, lifts: Sequence[float] = LIFTS, arms: int = 2, share: float = 1.0, power: float = 0.8
) -> list[Needed]:
    """What each lift takes, where `share` of all shoppers take part."""
    out = []
    for lift in lifts:
        found = plan(base.mean, base.variance, lift, power=power, arms=arms)
        once, watched = found.once * arms, found.watched * arms
        share = max(share, 1e-9)
        out.append(Needed(lift, once, watched, base.days_for(once / share), base.days_for(watched / share)))
    return out
