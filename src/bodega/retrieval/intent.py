"""Which items have what the query names? Brand, colour, category and size as wishes, not as conditions.

The query was understood to say something about fields of the catalog ("red nike shoes": a colour, a brand, a category),
each with a confidence. An item scores the sum of the confidences it fulfils; one that fulfils none is not scored. So a
wrong guess costs a place or two and never hides the right item, as a filter would.
Cost: one look at the coded column of each named field (10 microseconds for 400 items).
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from bodega.retrieval._index import top_k
from bodega.schema import Candidates, Context, ItemTable, Meaning, World
from bodega.schema.arrays import Flags, Floats, Ints


class Intent:
    """Soft conditions of the understood query.

    Answers: search. Needs: a catalog with fields, and `Context.meanings`. Good for: queries that name a brand, a kind
    of product or a property; ranking the right category first. Not for: queries of plain words (it stays silent),
    hard conditions (`engine.finding` applies those). Cost: see above; nothing is stored.
    Relations: `understanding.query` says what is meant; its weight is fitted like any source's.
    """

    name = "intent"

    def __init__(self) -> None:
        self._items: ItemTable | None = None

    def fit(self, world: World) -> Self:
        self._items = world.items
        return self

    def beside(self, table: ItemTable) -> Intent:
        """The same over newer items."""
        return type(self)._over(table)

    def retrieve(self, context: Context, k: int) -> Candidates:
        """The k items that fulfil most of what is meant."""
        if self._items is None or not _wishes(context):
            return Candidates.none(self.name)
        score = self.score(context, np.arange(len(self._items), dtype=np.int32))
        best = top_k(score, k)
        return Candidates.of(self.name, best, score[best])

    def score(self, context: Context, items: Ints) -> Floats:
        """Sum of the confidences of what each item fulfils; NaN where nothing."""
        score = np.zeros(len(items), np.float32)
        for meaning in _wishes(context):
            score[self._having(meaning, items)] += np.float32(meaning.confidence)
        score[score == 0] = np.nan
        return score

    def save(self, folder: Path) -> None:
        """Nothing is learned: the table and the query say everything."""

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        del folder
        return cls._over(items)

    @classmethod
    def _over(cls, table: ItemTable) -> Self:
        found = cls()
        found._items = table
        return found

    def _having(self, meaning: Meaning, items: Ints) -> Flags:
        flags = np.zeros(len(items), np.bool_)
        table = self._items
        if table is None:
            return flags
        column = table.coded.get(meaning.field)
        if column is not None and meaning.values:
            wanted = np.zeros(len(column.vocabulary), np.bool_)
            wanted[[code for value in meaning.values if (code := column.code_of.get(value)) is not None]] = True
            flags |= column.having(wanted, items)
        numbers = table.numbers.get(meaning.field)
        if numbers is not None and (meaning.low is not None or meaning.high is not None):
            low = -np.inf if meaning.low is None else meaning.low
            high = np.inf if meaning.high is None else meaning.high
            flags |= (numbers[items] >= low) & (numbers[items] <= high)
        return flags


def _wishes(context: Context) -> list[Meaning]:
    """What the query prefers (conditions are somebody else's)."""
    return [meaning for meaning in context.meanings if meaning.field and not meaning.hard and not meaning.excludes]
