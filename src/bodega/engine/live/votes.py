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

from collections import Counter

import numpy as np

from bodega.retrieval.transition import Sums, TransitionOptions, vote_sizes
from bodega.schema.arrays import Doubles, Floats, Ints, Longs

ONE = 1 << 20
"""A vote of 1, as it is counted."""


class Votes:
    """One matrix of votes: `follows`, or `together`. Items are live numbers (see `overlay.Numbers`)."""

    def __init__(self, sums: Sums, options: TransitionOptions, *, pairs: int) -> None:
        self.sums = sums
        self.powers = (-options.row, -options.column)
        forward, backward = vote_sizes(options, sums.reach)
        self.forward = [round(float(vote) * ONE) for vote in forward]
        self.backward = [round(float(vote) * ONE) for vote in backward]
        self.room = pairs
        """Pairs that may still be added; then only known ones are counted, and `full` says so."""
        self.full = False
        self._pairs: dict[int, dict[int, int]] = {}
        self.row: Counter[int] = Counter()
        self.column: Counter[int] = Counter()
        self._arrays: dict[int, tuple[Ints, Longs]] = {}
        """Rows as arrays, made when a request asks and dropped when an event changes them."""

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def __len__(self) -> int:
        return sum(map(len, self._pairs.values()))

    def add(self, source: int, target: int, vote: int) -> None:
        """One vote (in 2^-20; negative: taken back) from an item to another; one to itself only counts in the sums."""
        self.row[source] += vote
        self.column[target] += vote
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
        return pairs, {item: n for item, n in self.row.items() if n}, {item: n for item, n in self.column.items() if n}

    def touched(self, items: Ints) -> bool:
        """Has anything been counted from one of these?"""
        row = self.row
        return any(item in row for item in items.tolist())

    def faded(self, items: Ints) -> Floats:
        """By how much the snapshot's lists of these items weigh less since: ((R + r) / R)^-.4."""
        return self._factor(items, self.sums.row, self.row, self.powers[0])

    def crowded(self, items: Ints) -> Floats:
        """The same of what leads to them: ((C + c) / C)^-.1."""
        return self._factor(items, self.sums.column, self.column, self.powers[1])

    def spread(self, seeds: Ints, weights: Floats) -> tuple[Ints, Doubles]:
        """What the votes since the snapshot say for these seeds: (items ascending, scores)."""
        rows = [
            (weight, seed, self._array(seed)) for seed, weight in zip(seeds.tolist(), weights.tolist(), strict=True)
        ]
        rows = [each for each in rows if len(each[2][0])]
        if not rows:
            return np.empty(0, np.int32), np.empty(0)
        own = self._all(np.array([seed for _, seed, _ in rows], np.int32), self.sums.row, self.row)
        power = own ** self.powers[0]
        items = np.concatenate([found for _, _, (found, _) in rows])
        parts = [votes * (weight * by) for (weight, _, (_, votes)), by in zip(rows, power.tolist(), strict=True)]
        held, place = np.unique(items, return_inverse=True)
        score = np.bincount(place, weights=np.concatenate(parts)) / ONE
        score *= self._all(held, self.sums.column, self.column) ** self.powers[1]
        keep = score > 0
        return held[keep].astype(np.int32), score[keep]

    def because(self, seeds: Ints, weights: Floats, item: int) -> dict[int, float]:
        """{seed: what it gives this item} of what was counted since the snapshot."""
        column = float(self._all(np.array([item], np.int32), self.sums.column, self.column)[0]) ** self.powers[1]
        found = {}
        for seed, weight in zip(seeds.tolist(), weights.tolist(), strict=True):
            vote = self._pairs.get(seed, {}).get(item, 0)
            if vote > 0:
                own = float(self._all(np.array([seed], np.int32), self.sums.row, self.row)[0])
                found[seed] = weight * vote / ONE * own ** self.powers[0] * column
        return found

    def _array(self, seed: int) -> tuple[Ints, Longs]:
        found = self._arrays.get(seed)
        if found is None:
            held = self._pairs.get(seed, {})
            found = (
                np.fromiter(held.keys(), np.int32, len(held)),
                np.fromiter(held.values(), np.int64, len(held)),
            )
            self._arrays[seed] = found
        return found

    def _factor(self, items: Ints, sums: Floats, since: Counter[int], power: float) -> Floats:
        grown = _counted(since, items)
        out = np.ones(len(items), np.float32)
        at = np.flatnonzero(grown)
        at = at[items[at] < len(sums)]
        before = sums[items[at]].astype(np.float64)
        at, before = at[before > 0], before[before > 0]
        out[at] = (1 + grown[at] / before) ** power
        return out

    def _all(self, items: Ints, sums: Floats, since: Counter[int]) -> Doubles:
        """The sums of a fit over both, never 0."""
        inside = items < len(sums)
        before = np.zeros(len(items))
        before[inside] = sums[items[inside]]
        total: Doubles = np.maximum(before + _counted(since, items), 1e-12)
        return total


def _counted(since: Counter[int], items: Ints) -> Doubles:
    """What was counted of each item, in votes."""
    get = since.get
    return np.fromiter((get(item, 0) for item in items.tolist()), np.float64, len(items)) / ONE
