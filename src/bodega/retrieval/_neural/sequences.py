"""What did each shopper want, one thing after the other? The log of interest as rows of items, oldest first.

What happened at one moment (a basket) has no order: it is put into a seeded random one, so that no model learns the
order of item ids. An item viewed, put into the cart and bought within an hour is one step (its last action counts).
Cost: one sort of the log: 1.2M lines in .4 s. Not for: what a request sees; `bodega.schema.Context` is already that,
and `collapsed` makes it look like a training row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodega.retrieval._index import interest
from bodega.schema import Log
from bodega.schema.arrays import Codes, Doubles, Flags, Ints, Longs

SAME_STEP = 3_600.0
"""Seconds within which the same item again is the same wish."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Shopper r wanted `items[starts[r]:starts[r+1]]` (int32), oldest first; `actions` and `times` go along.

    `user[r]` is the shopper's code in the log; rows are in the order of the codes, nobody's row is empty.
    """

    starts: Longs
    items: Ints
    actions: Codes
    times: Doubles
    user: Ints

    @classmethod
    def of(cls, log: Log, *, seed: int = 7) -> Sequences:
        """All interest in known items (`_index.interest`). Same log, same rows."""
        log = interest(log)
        tie = np.random.default_rng(seed).permutation(len(log))
        order = np.lexsort((tie, log.time, log.user))
        user, item, time = log.user[order], log.item[order], log.time[order]
        keep = collapsed(item, time)
        keep[:-1] |= user[1:] != user[:-1]
        user, item, time = user[keep], item[keep], time[keep]
        first = np.flatnonzero(np.append(True, user[1:] != user[:-1])) if len(user) else np.empty(0, np.int64)
        starts = np.append(first, len(user)).astype(np.int64)
        return cls(starts, item, log.type[order][keep], time, user[first])

    def __len__(self) -> int:
        """How many shoppers."""
        return len(self.starts) - 1

    @property
    def lengths(self) -> Longs:
        return np.diff(self.starts)

    def row(self, shopper: int) -> Ints:
        """The items of one row."""
        return self.items[self.starts[shopper] : self.starts[shopper + 1]]

    def counts(self, n_items: int) -> Longs:
        """How often each item stands in the rows: (n_items,)."""
        return np.bincount(self.items, minlength=n_items).astype(np.int64)

    def windows(self, length: int) -> Windows:
        """The rows cut from their newest end into pieces of at most `length` + 1 items that overlap by one.

        A piece of n items holds n - 1 guesses (each item but the first, from those before it); all pieces together
        hold each guess once. The newest piece of every shopper comes first, then the second newest, ...
        """
        guesses = np.maximum(self.lengths - 1, 0)
        pieces = -(-guesses // length)
        row = np.repeat(np.arange(len(self)), pieces)
        age = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        high = self.starts[row + 1] - age * length
        low = np.maximum(high - length - 1, self.starts[row])
        order = np.argsort(age, kind="stable")
        return Windows(low[order], high[order], row[order])


@dataclass(frozen=True, eq=False)
class Windows:
    """Piece p is `[low[p], high[p])` of the flat columns of its `Sequences`, and belongs to their row `row[p]`."""

    low: Longs
    high: Longs
    row: Longs

    def __len__(self) -> int:
        return len(self.low)

    @property
    def guesses(self) -> Longs:
        """How many next items each piece teaches."""
        return self.high - self.low - 1

    def take(self, rows: Longs) -> Windows:
        return Windows(self.low[rows], self.high[rows], self.row[rows])

    def padded(self, column: Ints | Codes, empty: int) -> Longs:
        """One column as a right-padded block: (pieces, longest piece), `empty` after the end."""
        lengths = self.high - self.low
        widest = int(lengths.max(initial=0))
        place = self.low[:, None] + np.arange(widest)
        real = np.arange(widest) < lengths[:, None]
        block: Longs = np.where(real, column[np.minimum(place, max(len(column) - 1, 0))], empty).astype(np.int64)
        return block


def collapsed(items: Ints, times: Doubles) -> Flags:
    """Which steps count: False where the next one is the same item within an hour. One shopper, oldest first."""
    keep = np.ones(len(items), np.bool_)
    keep[:-1] = (items[1:] != items[:-1]) | (times[1:] - times[:-1] > SAME_STEP)
    return keep
