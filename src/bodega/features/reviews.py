"""What do people say of this item who have it? Stars, how many, how pleased, how lately, how well made.

Everything is read from running sums (`schema.Ratings`) as of the request's moment: in training a case sees the reviews
that were there before it, in serving all of them, by the same two lines of code. Each mean is drawn towards the shop's
mean at that moment as if there were eight more reviews of it: one review of five stars is no five-star item.
Cost: 20 us for 100 items; a shop without reviews does not have these columns at all. Not for: what is shown.
Paper: Efron and Morris 1975 (shrinkage of means).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bodega.features.feature import Asked
from bodega.features.state import DAY
from bodega.schema.arrays import Doubles, Floats

PRIOR = 8.0
LONGEST = 3_650.0
"""Days; an item without reviews was last reviewed as long ago as this."""


class Reviewed:
    """Columns: stars (against the shop's mean), count, sentiment, days since the newest, quality."""

    name = "reviews"

    def columns(self, sources: Sequence[str]) -> tuple[str, ...]:
        del sources
        return tuple(f"{self.name}.{name}" for name in ("stars", "count", "sentiment", "rest", "quality"))

    def value(self, asked: Asked) -> Floats:
        out = np.zeros((5, len(asked.items)), np.float32)
        ratings = asked.state.ratings
        if ratings is None:
            return out
        now = asked.context.now
        sums, newest = ratings.until(asked.items, now)
        whole = ratings.overall(now)
        out[0] = _drawn(sums[:, 1], sums[:, 0], whole[1], whole[0])
        out[1] = np.log1p(np.maximum(sums[:, 0], sums[:, 2]))
        out[2] = _drawn(sums[:, 3], sums[:, 2], whole[3], whole[2])
        days = np.where(np.isfinite(newest), (now - newest) / DAY, LONGEST)
        out[3] = np.log1p(np.clip(days, 0, LONGEST))
        out[4] = _drawn(sums[:, 5], sums[:, 4], whole[5], whole[4])
        return out


def _drawn(total: Doubles, count: Doubles, all_total: float, all_count: float) -> Doubles:
    """How far each mean lies from the shop's, few reviews counting little: 0 where there are none."""
    mean = all_total / all_count if all_count else 0.0
    out: Doubles = (total - mean * count) / (count + PRIOR)
    return out
