"""How much is this item wanted, since when, by what action; and is it dear? From the state alone, for any shopper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bodega.features.feature import Asked
from bodega.features.state import DAY
from bodega.schema.arrays import Doubles, Floats

LONGEST = 3_650.0
"""Days; an item without events is as old as this."""


class Attention:
    """Popularity percentile, decayed counts (logarithms), their trend, age and rest.

    The tail and the head need different sources (item-to-item, and models of whole histories): trees split here.
    """

    name = "item"

    def columns(self, sources: Sequence[str]) -> tuple[str, ...]:
        del sources
        names = ("popularity", "ever", "bought1", "bought7", "bought30", "carted7", "looked7", "trend", "age", "rest")
        return tuple(f"{self.name}.{name}" for name in names)

    def value(self, asked: Asked) -> Floats:
        state, items, now = asked.state, asked.items, asked.context.now
        recent = state.recent(items, now)
        logs = np.log1p(recent)
        together = recent.sum(axis=1)
        out = np.empty((10, len(items)), np.float32)
        out[0] = state.percentile(items)
        out[1] = np.log1p(together[:, 3])
        out[2:5] = logs[:, 2, :3].T
        out[5], out[6] = logs[:, 1, 1], logs[:, 0, 1]
        out[7] = np.log1p(together[:, 0]) - np.log1p(together[:, 2] / 30)
        out[8] = np.log1p(_days(now - state.first[items]))
        out[9] = np.log1p(_days(now - state.clock[items]))
        return out


class Price:
    """Where the price stands in its category, and against the mean of what the shopper took."""

    name = "price"

    def columns(self, sources: Sequence[str]) -> tuple[str, ...]:
        del sources
        return (f"{self.name}.level", f"{self.name}.gap")

    def value(self, asked: Asked) -> Floats:
        level = asked.state.level[asked.items]
        usual = float(asked.weights @ asked.state.level[asked.seeds]) if len(asked.seeds) else 0.5
        return np.stack([level, np.abs(level - np.float32(usual))])


def _days(seconds: Doubles) -> Floats:
    """0 to LONGEST; what never happened is as long ago as possible."""
    days = np.where(np.isfinite(seconds), seconds / DAY, LONGEST)
    return np.clip(days, 0, LONGEST).astype(np.float32)
