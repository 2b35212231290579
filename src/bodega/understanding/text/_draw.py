"""Which pairs does one training step see? Made-up queries, labels and sentences, and real queries, in fixed shares.

A made-up query is a few words of an item's own text; half of the time the item stands there without these words, so
that words must learn to stand for each other. Not for: reading the shop (`_signals`) or learning (`training`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodega.understanding.text._bag import Bags, Rows
from bodega.understanding.text._signals import Signals


@dataclass(frozen=True, slots=True)
class Mix:
    """In which shares pairs are drawn; see `training.TrainingOptions` for the words."""

    batch: int
    apart: float
    views: float
    clicks: float
    typed: int


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """n pairs: `left[i]` should find `right[i]`. Pairs with one `item` or one `query` (-1: none) are no contrast."""

    left: Bags
    right: Bags
    item: Rows
    query: Rows

    def beside(self, other: Pairs) -> Pairs:
        return Pairs(
            self.left.beside(other.left),
            self.right.beside(other.right),
            np.concatenate([self.item, other.item]),
            np.concatenate([self.query, other.query]),
        )

    @property
    def same(self) -> NDArray[np.bool_]:
        """(n, n): off the diagonal, where left i would rightly find right j too."""
        same: NDArray[np.bool_] = self.item[:, None] == self.item[None, :]
        same |= (self.query[:, None] == self.query[None, :]) & (self.query >= 0)
        np.fill_diagonal(same, val=False)
        return same


class Drawer:
    """Draws steps of pairs from the signals."""

    def __init__(self, signals: Signals, mix: Mix) -> None:
        self.signals, self.mix = signals, mix
        items, pairs = len(signals.passages), len(signals.clicks.item)
        self.clicks = int(mix.batch * mix.clicks * min(1.0, pairs / max(items, 1)))
        self.views = int((mix.batch - self.clicks) * mix.views) if len(signals.views) else 0
        self._reach = np.cumsum(np.sqrt(signals.clicks.weight, dtype=np.float64))

    def draw(self, rng: np.random.Generator) -> Pairs:
        """One step."""
        pairs = self._of_passages(self.mix.batch - self.clicks - self.views, rng)
        if self.views:
            pairs = pairs.beside(self._of_views(self.views, rng))
        if self.clicks:
            pairs = pairs.beside(self._of_clicks(self.clicks, rng))
        return pairs

    def _of_passages(self, count: int, rng: np.random.Generator) -> Pairs:
        item = rng.integers(0, len(self.signals.passages), count)
        whole = self.signals.passages.take(item)
        typed, rest = whole.split(rng.integers(1, self.mix.typed + 1, count), rng)
        apart = (rng.random(count) < self.mix.apart) & (np.diff(rest.starts) > 0)
        right = rest.beside(whole).take(np.arange(count) + np.where(apart, 0, count))
        return self._pairs(typed, right, item)

    def _of_views(self, count: int, rng: np.random.Generator) -> Pairs:
        view = rng.integers(0, len(self.signals.views), count)
        item = self.signals.of[view]
        typed, _ = self.signals.views.take(view).split(rng.integers(1, self.mix.typed + 1, count), rng)
        return self._pairs(typed, self.signals.passages.take(item), item)

    def _of_clicks(self, count: int, rng: np.random.Generator) -> Pairs:
        row = np.searchsorted(self._reach, rng.random(count) * self._reach[-1], side="right")
        row = np.minimum(row, len(self._reach) - 1)
        item, query = self.signals.clicks.item[row], self.signals.clicks.query[row]
        return Pairs(self.signals.queries.take(query), self.signals.passages.take(item), self.signals.twin[item], query)

    def _pairs(self, left: Bags, right: Bags, item: Rows) -> Pairs:
        return Pairs(left, right, self.signals.twin[item], np.full(len(item), -1, np.int64))
