"""What leads to what since the snapshot? Votes between items, as whole numbers, with their sums.

A vote of weight w is counted as round(w x 2^20), so that sums are exact: any order of arrival gives the same bytes.
The numbers are those of `retrieval.transition`: votes from i to j, divided by the sum of all votes from i (to the
power .4) and of all to j (to the power .1). The snapshot kept its sums, so the division is that of a fit over both:

    weight(i, j) = snapshot(i, j) x ((R + r) / R)^-.4 x ((C + c) / C)^-.1  +  votes(i, j) x (R + r)^-.4 x (C + c)^-.1

with R, C the snapshot's sums of i and j, and r, c those since. Left out: votes of pairs that the snapshot had cut (it
keeps the 200 best of an item), whose older part is lost until the next learn.
Cost: a dictionary entry a pair (some 120 bytes, at most `pairs` of them), a row is made an array when it is asked for.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from bodega.retrieval.transition import Sums, TransitionOptions, vote_sizes
from bodega.schema.arrays import Doubles, Floats, Ints, Longs

ONE = 1 << 20
"""A vote of 1, as it is counted."""

ROOM = 1_000
"""Numbers of items by which an array grows at once."""


class Votes:
    """One matrix of votes: `follows`, or `together`. Items are live numbers (see `overlay.Numbers`)."""

    def __init__(self, sums: Sums, options: TransitionOptions, *, pairs: int) -> None:
        self.sums = sums
        forward, backward = vote_sizes(options, sums.reach)
        self.forward = [round(float(vote) * ONE) for vote in forward]
        self.backward = [round(float(vote) * ONE) for vote in backward]
        self.room = pairs
        """Pairs that may still be added; then only known ones are counted, and `full` says so."""
        self.full = False
        self._pairs: dict[int, dict[int, int]] = {}
        self.row, self.column = Sum(sums.row, -options.row), Sum(sums.column, -options.column)
        self._rows, self._columns = self.row.pending, self.column.pending
        self._arrays: dict[int, tuple[Ints, Longs]] = {}
        """Rows as arrays, made when a request asks and dropped when an event changes them."""

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def __len__(self) -> int:
        return sum(map(len, self._pairs.values()))

    def add(self, source: int, target: int, vote: int) -> None:
        """One vote (in 2^-20; negative: taken back) from an item to another; one to itself only counts in the sums."""
        self._rows[source] += vote
        self._columns[target] += vote
        if source == target:
            return
        held = self._pairs.get(source)
        if held is None:
            held = self._pairs[source] = {}
        known = held.get(target)
        if known is None:
            if self.room <= 0:
                self.full = True
                return
            self.room -= 1
            held[target] = vote
        elif known + vote:
            held[target] = known + vote
        else:
            del held[target]
            self.room += 1
        self._arrays.pop(source, None)

    def plain(self) -> tuple[dict[tuple[int, int], int], dict[int, int], dict[int, int]]:
        """(votes of each pair, from each item, to each item), zeros left out: equal counts are equal."""
        pairs = {(source, target): n for source, row in self._pairs.items() for target, n in row.items() if n}
        return pairs, self.row.plain(), self.column.plain()

    def spread(self, seeds: Ints, weights: Floats) -> tuple[Ints, Doubles]:
        """Votes since the snapshot from these seeds, not yet divided by what leads to an item: (items, shares), an
        item as often as seeds lead to it."""
        counted = self._pairs  # of hundreds of seeds a few: the rest costs one look-up
        voting = [place for place, seed in enumerate(seeds.tolist()) if counted.get(seed)]
        if not voting:
            return np.empty(0, np.int32), np.empty(0)
        seeds, given = seeds[voting], weights[voting].tolist()
        rows = [self._array(seed) for seed in seeds.tolist()]
        power = self.row.divided(seeds).tolist()
        parts = [votes * (weight * by / ONE) for (_, votes), weight, by in zip(rows, given, power, strict=True)]
        return np.concatenate([found for found, _ in rows]), np.concatenate(parts)

    def _array(self, seed: int) -> tuple[Ints, Longs]:
        found = self._arrays.get(seed)
        if found is None:
            held = self._pairs[seed]
            found = (
                np.fromiter(held.keys(), np.int32, len(held)),
                np.fromiter(held.values(), np.int64, len(held)),
            )
            self._arrays[seed] = found
        return found


class Sum:
    """All votes from each item (or to each): the snapshot's sums, and whole numbers since; and both to a power.

    Events write into a dictionary, whose content is put into arrays when a request reads.
    """

    def __init__(self, before: Floats, power: float) -> None:
        self.before = before
        self.power = power
        self.pending: defaultdict[int, int] = defaultdict(int)
        size = len(before) + ROOM
        self._since: Longs = np.zeros(size, np.int64)
        self._growth: Floats = np.ones(size, np.float32)
        self._divided: Floats = np.zeros(size, np.float32)

    def touched(self, items: Ints) -> bool:
        """Has anything been counted of one of these since?"""
        self.settle()
        return bool(self._since[np.minimum(items, len(self._since) - 1)].any())

    def growth(self, items: Ints) -> Floats:
        """((before + since) / before)^power; 1 where nothing was counted since, or nothing was before."""
        self.settle()
        return self._growth[np.minimum(items, len(self._growth) - 1)]

    def divided(self, items: Ints) -> Floats:
        """(before + since)^power of items that were counted since; 0 for others."""
        self.settle()
        return self._divided[np.minimum(items, len(self._divided) - 1)]

    def plain(self) -> dict[int, int]:
        """{item: since}, zeros left out."""
        self.settle()
        return {item: int(self._since[item]) for item in np.flatnonzero(self._since).tolist()}

    def settle(self) -> None:
        """Put what was written into the arrays."""
        if not self.pending:
            return
        items = np.fromiter(self.pending.keys(), np.int64, len(self.pending))
        counts = np.fromiter(self.pending.values(), np.int64, len(self.pending))
        self.pending.clear()
        top = int(items.max()) + 1
        if top >= len(self._since):  # one place more than any item: it stands for those beyond
            more = top + ROOM - len(self._since)
            self._since = np.concatenate([self._since, np.zeros(more, np.int64)])
            self._growth = np.concatenate([self._growth, np.ones(more, np.float32)])
            self._divided = np.concatenate([self._divided, np.zeros(more, np.float32)])
        self._since[items] += counts
        before = np.zeros(len(items))
        inside = items < len(self.before)
        before[inside] = self.before[items[inside]]
        whole = np.maximum(before + self._since[items] / ONE, 1e-12)
        self._divided[items] = whole**self.power
        self._growth[items] = np.where(before > 0, (whole / np.where(before > 0, before, 1)) ** self.power, 1)
