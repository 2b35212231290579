"""What can a ranker learn from? Validation cases as one table: the head of each case's candidates, with features.

Only cases whose head holds something relevant can teach an order; of the others a seeded part is kept, so that
probabilities know how often nothing right was shown. What a case masks never competes.
Cost: .6 ms a case; 22,000 Beauty cases about 8 s and 250 MB. Not for: test data, ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bodega.evaluation import Case
from bodega.ranking.learned.ranker import Recipe
from bodega.schema import Candidates, Context
from bodega.schema.arrays import Doubles, Flags, Floats, Ints, Longs

SILENT: Final = 0.1
"""Part of the cases without anything relevant in the head that is kept for calibration."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Rows of the kept cases, in the order of the cases; within a case in the fusion's order."""

    recipe: Recipe
    values: Floats
    """(n_rows, n_columns) features, `recipe.columns`."""
    items: Ints
    """(n_rows,)"""
    relevant: Flags
    """(n_rows,)"""
    starts: Longs
    """(n_kept + 1,) first row of each kept case."""
    contexts: tuple[Context, ...]
    """(n_kept,) whose rows they are: for models that read the history."""
    number: Longs
    """(n_kept,) number of the case among all that were given."""
    ideal: Doubles
    """(n_cases,) best DCG@10 of *every* case given, kept or not."""
    teaches: Flags
    """(n_kept,) does the case hold something relevant? (The others are there for calibration.)"""
    user: Ints
    """(n_kept,) whose case it is: folds never cut a shopper in two."""

    @classmethod
    def of(cls, recipe: Recipe, cases: Sequence[Case], candidates: Iterable[Candidates], seed: int = 7) -> Lessons:
        """One Candidates a case (all with `recipe.sources`); streamed, so a generator will do."""
        rng = np.random.default_rng(seed)
        tables, items, marks, kept, teaches = [], [], [], [], []
        for number, (case, found) in enumerate(zip(cases, candidates, strict=True)):
            chosen = rng.random() < SILENT
            own = found.take(~np.isin(found.items, case.masked)) if len(case.masked) else found
            if not len(own) or not recipe.answers(own):
                continue
            holds = np.isin(own.items, case.relevant)
            if not holds.any() and not chosen:
                continue
            _, _, head = recipe.headed(case.context, own)
            mark = np.isin(head.asked.items, case.relevant)
            if mark.any() or chosen:
                tables.append(np.ascontiguousarray(head.values.T))
                items.append(head.asked.items)
                marks.append(mark)
                kept.append(number)
                teaches.append(bool(mark.any()))
        relevant = np.array([len(case.relevant) for case in cases], np.int64)
        return cls(
            recipe=recipe,
            values=np.concatenate([np.empty((0, len(recipe.columns)), np.float32), *tables]),
            items=np.concatenate([np.empty(0, np.int32), *items]),
            relevant=np.concatenate([np.empty(0, np.bool_), *marks]),
            starts=np.cumsum([0, *(len(own) for own in items)]),
            contexts=tuple(cases[number].context for number in kept),
            number=np.array(kept, np.int64),
            ideal=np.cumsum(1 / np.log2(np.arange(2, 12)))[np.minimum(relevant, 10) - 1],
            teaches=np.array(teaches, np.bool_),
            user=np.array([cases[number].user for number in kept], np.int32),
        )

    def __len__(self) -> int:
        return len(self.number)

    @property
    def case(self) -> Longs:
        """(n_rows,) the kept case of each row."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    @property
    def sum(self) -> Floats:
        """(n_rows,) the fusion's score: what is to be beaten."""
        return self.values[:, self.recipe.sum_at]

    def rows(self, keep: Flags) -> Lessons:
        """Only the kept cases where `keep` (len(self),) holds; `ideal` stays that of all cases."""
        sizes = np.diff(self.starts)
        own = np.repeat(keep, sizes)
        return Lessons(
            recipe=self.recipe,
            values=self.values[own],
            items=self.items[own],
            relevant=self.relevant[own],
            starts=np.cumsum([0, *sizes[keep]]),
            contexts=tuple(context for context, held in zip(self.contexts, keep.tolist(), strict=True) if held),
            number=self.number[keep],
            ideal=self.ideal,
            teaches=self.teaches[keep],
            user=self.user[keep],
        )

    def narrowed(self, width: int) -> Lessons:
        """Only the first `width` rows of each case: what stands there can be mistaken at a cost."""
        place = np.arange(len(self.items)) - np.repeat(self.starts[:-1], np.diff(self.starts))
        near = place < width
        sizes = np.minimum(np.diff(self.starts), width)
        relevant = self.relevant[near]
        starts = np.cumsum([0, *sizes])
        held = np.bincount(np.repeat(np.arange(len(self)), sizes), weights=relevant, minlength=len(self)) > 0
        return replace(
            self, values=self.values[near], items=self.items[near], relevant=relevant, starts=starts, teaches=held
        )

    def sample(self, cases: int, width: int) -> Lessons:
        """At most this many cases that teach (evenly spread), the first `width` rows of each and what is relevant."""
        teaching = np.flatnonzero(self.teaches)
        if len(teaching) > cases:
            teaching = teaching[np.linspace(0, len(teaching) - 1, cases).astype(np.int64)]
        keep = np.zeros(len(self), np.bool_)
        keep[teaching] = True
        own = self.rows(keep)
        place = np.arange(len(own.items)) - np.repeat(own.starts[:-1], np.diff(own.starts))
        near = (place < width) | own.relevant
        sizes = np.bincount(own.case[near], minlength=len(own))
        return replace(
            own,
            values=own.values[near],
            items=own.items[near],
            relevant=own.relevant[near],
            starts=np.cumsum([0, *sizes]),
        )

    def ndcg(self, score: Floats, k: int = 10) -> Doubles:
        """NDCG@k of every case given, (n_cases,), under one score a row; what the head misses counts 0."""
        out = np.zeros(len(self.ideal))
        if len(self):
            hits = np.flatnonzero(self.relevant)
            case = self.case
            place = _places(score, case, hits)
            gain = np.where(place <= k, 1 / np.log2(1 + place), 0.0)
            np.add.at(out, self.number[case[hits]], gain)
        return np.minimum(out / self.ideal, 1.0)

    def recall(self, score: Floats, k: int = 10) -> Doubles:
        """Relevant items among the first k, of those the case has in the head: (n_cases,)."""
        out, most = np.zeros(len(self.ideal)), np.ones(len(self.ideal))
        if len(self):
            hits = np.flatnonzero(self.relevant)
            case = self.number[self.case[hits]]
            np.add.at(out, case, (_places(score, self.case, hits) <= k).astype(np.float64))
            most = np.maximum(np.bincount(case, minlength=len(self.ideal)), 1)
        return out / most


def _places(score: Floats, case: Longs, rows: Longs) -> Doubles:
    """Place of each of these rows within its case, average on ties."""
    order = np.lexsort((-score, case))
    held, own = score[order], case[order]
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (held[1:] != held[:-1]) | (own[1:] != own[:-1])
    block = np.cumsum(fresh) - 1
    first = np.flatnonzero(fresh)
    size = np.diff([*first, len(order)])
    begin = np.searchsorted(own, own, "left")
    place = np.empty(len(order))
    place[order] = first[block] - begin + (size[block] + 1) / 2
    return place[rows]
