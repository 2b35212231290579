"""How alike are two items, to look at? The cosine of what their titles and attributes say, for the few of one list.

Every item is a bag of its title's words and of its attribute values (brand, every level of its category, tags, ...),
weighted by how rare they are: the weights of `retrieval.content`, but made when an item first comes up, so that nothing
has to be learned or stored, and items newer than the snapshot count as any other. How rare a word is, is estimated from
2,000 titles spread over the catalog. Bags are remembered.
Cost: 40 us an item the first time, then 50 items among each other .1 ms; about 500 bytes a remembered item. Two of a
list's thousand words share a number with chance 1e-4: then they count as one.
Not for: finding items (`retrieval.content`, `retrieval.dense`), or likeness of taste.
Paper: Salton & Buckley 1988 (tf-idf cosine).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bodega.schema import Coded, ItemTable
from bodega.schema.arrays import Doubles, Floats, Ints, Longs
from bodega.understanding.language import tokens

LEFT_OUT = frozenset({"kind", "size", "seller"})
"""Columns that say how an item is sold, not what it is."""
ATTRIBUTES = 0.5
"""Weight of attribute values against title words, as in `retrieval.content` (chosen there on Beauty's validation)."""
SAMPLED = 2_000
"""Titles from which it is estimated how rare words are."""
RAREST = 0.5 / SAMPLED
"""Nothing counts as rarer than this part of the items."""
REMEMBERED = 50_000
"""Bags that are kept (about 25 MB); beyond, all are made anew."""


@dataclass(frozen=True, slots=True)
class Bag:
    """What one item says: codes (n,) int64 and weights (n,) float32 of length 1."""

    codes: Longs
    weights: Floats


class Likeness:
    """Cosines between rows of a shelf: the rows of its tables one after the other. Safe from several threads."""

    def __init__(self, tables: Sequence[ItemTable]) -> None:
        self._tables = tuple(tables)
        self._starts = np.concatenate([[0], np.cumsum([len(table) for table in tables])]).astype(np.int64)
        self._bags: dict[int, Bag] = {}

    def among(self, rows: Ints) -> Floats:
        """How alike these rows are: (n, n), 0 to 1, the diagonal 1."""
        held, _ = self._dense(rows, rows[:0])
        alike: Floats = np.clip(held @ held.T, 0, 1)
        np.fill_diagonal(alike, 1)
        return alike

    def against(self, rows: Ints, others: Ints) -> Floats:
        """How alike each row is to each of the others: (n, m), 0 to 1."""
        one, other = self._dense(rows, others)
        alike: Floats = np.clip(one @ other.T, 0, 1)
        return alike

    def _dense(self, rows: Ints, others: Ints) -> tuple[Floats, Floats]:
        """Both lists as rows over the features that any of them has."""
        bags = [self.bag(row) for row in (*rows.tolist(), *others.tolist())]
        if not bags:
            return np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)
        codes, place = np.unique(np.concatenate([bag.codes for bag in bags]), return_inverse=True)
        owner = np.repeat(np.arange(len(bags)), [len(bag.codes) for bag in bags])
        dense = np.zeros((len(bags), len(codes)), np.float32)
        dense[owner, place] = np.concatenate([bag.weights for bag in bags])
        return dense[: len(rows)], dense[len(rows) :]

    def bag(self, row: int) -> Bag:
        """What one row says."""
        found = self._bags.get(row)
        if found is None:
            found = self._made(row)
            if len(self._bags) >= REMEMBERED:
                self._bags = {}
            self._bags[row] = found
        return found

    def _made(self, row: int) -> Bag:
        number = int(np.searchsorted(self._starts, row, "right")) - 1
        table, inside = self._tables[number], row - int(self._starts[number])
        words = set(tokens(table.titles[inside]))
        codes = [zlib.crc32(word.encode()) for word in words]
        weights = [self._rarity_of.get(word, self._unheard) for word in words]
        for column in self._columns[number]:
            start, end = column.held.starts[inside : inside + 2].tolist()
            for code in column.held.codes[start:end].tolist():
                known = column.as_first[code] if column.as_first is not None else code
                if known >= 0:
                    codes.append(column.offset + known)
                    weights.append(column.rarity[known])
                else:  # a value that only newer items have
                    codes.append(zlib.crc32(column.held.vocabulary.raw(code)) - column.offset)
                    weights.append(ATTRIBUTES * self._unheard)
        weight = np.array(weights)
        length = float(np.sqrt(weight @ weight)) or 1.0
        return Bag(np.array(codes, np.int64), (weight / length).astype(np.float32))

    @cached_property
    def _columns(self) -> list[list[_Column]]:
        """The columns that say what an item is, table by table; values have the numbers of the first table."""
        first = {name: held for name, held in self._tables[0].coded.items() if name not in LEFT_OUT}
        rarity = {name: self._rarities(held) for name, held in first.items()}
        out = []
        for table in self._tables:
            columns = []
            for number, name in enumerate(sorted({*first, *table.coded} - LEFT_OUT)):
                if name in table.coded:
                    held = table.coded[name]
                    known = None if table is self._tables[0] else _numbered(held, first.get(name))
                    columns.append(_Column(held, (number + 1) << 34, known, rarity.get(name, [])))
            out.append(columns)
        return out

    def _rarities(self, column: Coded) -> list[float]:
        counts = np.bincount(column.codes, minlength=len(column.vocabulary))
        part = counts / max(len(self._tables[0]), 1)
        rarity: list[float] = (ATTRIBUTES * np.log1p(1 / np.maximum(part, RAREST))).tolist()
        return rarity

    @cached_property
    def _rarity_of(self) -> dict[str, float]:
        """log(1 + 1 / part of the sampled titles that have the word)."""
        titles, found = self._tables[0].titles, dict[str, int]()
        rows = np.unique(np.linspace(0, len(titles) - 1, min(len(titles), SAMPLED)).astype(np.int64)).tolist()
        for row in rows:
            for word in set(tokens(titles[row])):
                found[word] = found.get(word, 0) + 1
        return {word: float(np.log1p(len(rows) / count)) for word, count in found.items()}

    @property
    def _unheard(self) -> float:
        return float(np.log1p(1 / RAREST))


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of one table."""

    held: Coded
    offset: int
    """Where the numbers of its values begin."""
    as_first: list[int] | None
    """Its codes as those of the first table, -1 where that has no such value; None: it is the first table."""
    rarity: list[float]
    """Weight of each code of the first table."""


def _numbered(column: Coded, first: Coded | None) -> list[int]:
    return [-1 if first is None else first.code_of.get(word, -1) for word in column.vocabulary]


def distance(alike: Floats) -> float:
    """Mean of 1 - likeness over all pairs of one list, (n, n): intra-list distance (Ziegler et al. 2005); NaN below 2.

    >>> round(distance(np.array([[1, 0.5], [0.5, 1]], np.float32)), 3)
    0.5
    """
    n = len(alike)
    if n < 2:
        return float("nan")
    total: Doubles = alike.astype(np.float64)
    return float(1 - (total.sum() - np.trace(total)) / (n * (n - 1)))
