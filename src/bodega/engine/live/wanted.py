"""How much is each item wanted since the snapshot, and what is rising? The counts of `retrieval.popular`, going on.

Popularity is a decayed count as of the snapshot; an event since then counts 2^(age / half-life) of that unit, which is
the count of a later fit times a constant: the order is the same, and only the order matters. The last week's interest
fades away linearly while new interest is counted with a decay of the same area (half-life 7 days x ln 2).
Counts are whole numbers of 2^-20. The few best items are kept ready, since a list must be able to propose them.
Cost: three array writes an event; a request adds a logarithm for each candidate that was touched.
Not for: an item's chance with one shopper.
"""

from __future__ import annotations

import numpy as np

from bodega.engine.live.votes import ONE
from bodega.retrieval.popular import DAY, Popular, on_grid
from bodega.schema.arrays import Doubles, Floats, Ints, Longs

READY = 500
"""Best items that a list can propose."""

ABOVE = 40.0
"""On a first day: how far what was wanted at all stands above the order that the shop began with."""

FARTHEST = 30.0
"""Doublings that are counted: 630 days at a half-life of 21; by then somebody has learned again."""


class Wanted:
    """Interest since the snapshot, by live number."""

    def __init__(self, popular: Popular, room: int, until: float) -> None:
        self.popular = popular
        self.until = until
        """Seconds since 1970: the moment as of which the snapshot counted."""
        n = len(popular.level)
        self.usual: Longs = np.zeros(n + room, np.int64)
        """In units of the snapshot's counts."""
        self.lately: Longs = np.zeros(n + room, np.int64)
        """Of the last week, as of the snapshot."""
        self.touched: set[int] = set()
        self._gain = np.zeros(n + room, np.float32)
        self._changed: set[int] = set()
        """Items whose gain is to be worked out again."""
        self._half = popular.options.half_life_days * DAY
        self._week = popular.options.trend_days * DAY * float(np.log(2))
        self._floor = 0.0 if popular.basis == "events" else float(np.nanmax(popular.level, initial=0.0)) + ABOVE
        self._best: dict[str, tuple[int, Ints]] = {}
        self._writes = 0

    def add(self, item: int, strength: float, time: float, sign: int) -> None:
        """One event (or, with sign -1, one that is taken back)."""
        age = time - self.until
        self.usual[item] += sign * round(strength * 2.0 ** min(age / self._half, FARTHEST) * ONE)
        self.lately[item] += sign * round(strength * 2.0 ** min(age / self._week, FARTHEST) * ONE)
        self.touched.add(item)
        self._changed.add(item)
        self._writes += 1

    def gain(self, items: Ints) -> Floats:
        """By how much items are more popular than the snapshot says; the whole level of those it knows no event of."""
        if self._changed:
            rows = np.fromiter(self._changed, np.int32, len(self._changed))
            self._changed.clear()
            level, known = self.level(rows), np.flatnonzero(rows < len(self.popular.level))
            level[known] -= np.nan_to_num(self.popular.level[rows[known]], nan=0.0)
            self._gain[rows] = np.nan_to_num(level, nan=0.0)
        return self._gain[items]

    def level(self, items: Ints) -> Floats:
        """The popularity of items that were touched, as a fit over both would give it but for a constant."""
        count = self.usual[items] / ONE
        inside = items < len(self.popular.level)
        if self.popular.basis == "events":
            before = np.full(len(items), np.nan)
            before[inside] = self.popular.level[items[inside]]
            count = count + np.nan_to_num(np.exp(before), nan=0.0)
            return _logs(count)
        return _logs(count) + np.float32(self._floor)

    def rising(self, items: Ints, now: float) -> Floats:
        """What is rising, of all items (also of those that were not touched: their week goes by). NaN: nothing."""
        options, elapsed = self.popular.options, max(now - self.until, 0.0)
        week = options.trend_days * DAY
        recent, expected = np.zeros(len(items)), np.zeros(len(items))
        inside = items < len(self.popular.recent)
        recent[inside] = self.popular.recent[items[inside]] * max(0.0, 1 - elapsed / week)
        expected[inside] = self.popular.expected[items[inside]]
        recent += self.lately[items] / ONE * 2.0 ** -min(elapsed / self._week, 60.0)
        ratio = np.log((recent + options.trend_prior) / (expected + options.trend_prior))
        return on_grid(np.where(recent > 1e-6, ratio, np.nan))

    def best(self, *, trending: bool) -> Ints:
        """The touched items with the highest counts, at most `READY`; made anew when a hundredth has changed."""
        name = "lately" if trending else "usual"
        made, held = self._best.get(name, (-1, np.empty(0, np.int32)))
        if made < 0 or self._writes - made > len(self.touched) // 100:
            rows = np.fromiter(self.touched, np.int32, len(self.touched))
            rows.sort()
            score: Doubles = self.lately[rows].astype(np.float64) if trending else self.level(rows).astype(np.float64)
            if len(rows) > READY:
                rows = rows[np.argpartition(-np.nan_to_num(score, nan=-np.inf), READY)[:READY]]
            held = np.sort(rows).astype(np.int32)
            self._best[name] = (self._writes, held)
        return held


def _logs(count: Doubles) -> Floats:
    return on_grid(np.log(count, where=count > 0, out=np.full(len(count), np.nan)))
