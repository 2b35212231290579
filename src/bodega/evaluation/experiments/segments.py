"""For whom does it work? The effect in each segment, without being fooled by having looked at many.

Each segment's difference is tested by itself (Welch); p-values are then corrected by Benjamini & Hochberg (of what is
called different, at most alpha is so by chance), intervals by Bonferroni (all of them hold together). `varies` asks
first whether the segments differ from each other at all (Cochran's Q). Segments are what was known before it began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy

from bodega.evaluation.experiments.once import welch
from bodega.schema.arrays import Doubles

FEWEST = 30
"""Units of each arm below which a segment is not spoken of."""


@dataclass(frozen=True, slots=True)
class SegmentEffect:
    """One segment."""

    segment: str
    difference: float
    low: float
    high: float
    p: float
    """Corrected for having looked at all of them."""
    n: int


@dataclass(frozen=True, slots=True)
class Segments:
    """All of them, the surest first."""

    effects: tuple[SegmentEffect, ...]
    varies: float
    """The p-value of "the effect is the same everywhere"; 1 with fewer than two segments."""


def by_segment(values: Mapping[str, tuple[Doubles, Doubles]], alpha: float = 0.05) -> Segments:
    """`values`: {segment: (values a unit of the arm, of the control)}."""
    rows = {name: pair for name, pair in values.items() if min(map(len, pair)) >= FEWEST}
    if not rows:
        return Segments((), 1.0)
    tests = {name: welch(arm, control, alpha / len(rows)) for name, (arm, control) in rows.items()}
    corrected = scipy.stats.false_discovery_control([test.p for test in tests.values()])
    found = [
        SegmentEffect(name, test.difference, test.low, test.high, float(p), len(rows[name][0]) + len(rows[name][1]))
        for (name, test), p in zip(tests.items(), corrected, strict=True)
    ]
    return Segments(tuple(sorted(found, key=lambda each: (each.p, each.segment))), _varies(list(rows.values())))


def _varies(pairs: list[tuple[Doubles, Doubles]]) -> float:
    """Cochran's Q over the segments' differences."""
    gap = np.array([arm.mean() - control.mean() for arm, control in pairs])
    error = np.array([arm.var(ddof=1) / len(arm) + control.var(ddof=1) / len(control) for arm, control in pairs])
    if len(pairs) < 2 or not (error > 0).all():
        return 1.0
    weight = 1 / error
    pooled = (weight * gap).sum() / weight.sum()
    return float(scipy.stats.chi2.sf((weight * (gap - pooled) ** 2).sum(), len(pairs) - 1))
