"""Which words and attribute values does an item have, and how near are two items by them? Rows of length 1, rare words
heavy; the same idea as the source `content`, which keeps only each item's nearest, while a feature asks for any pair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from scipy import sparse

from bodega.errors import SnapshotCorrupt
from bodega.schema import Coded, ItemTable
from bodega.schema.arrays import Floats, Ints
from bodega.schema.table import mapped
from bodega.understanding.language import tokens

LEFT_OUT = ("kind", "size")
"""Columns that say how an item is sold, not what it is."""

ATTRIBUTES = 0.5
"""Weight of attribute values against title words."""


@dataclass(frozen=True, slots=True, eq=False)
class Bags:
    """Item i has the words `words[starts[i]:starts[i+1]]` with `weights` (sum of squares 1, or no words)."""

    starts: Ints
    words: Ints
    weights: Floats
    n_words: int

    @classmethod
    def of(cls, items: ItemTable) -> Self:
        parts = [_rare(Coded.of([sorted(set(tokens(title))) for title in items.titles]))]
        parts += [
            _rare(items.coded[name]) * np.float32(ATTRIBUTES) for name in sorted(items.coded) if name not in LEFT_OUT
        ]
        rows = sparse.hstack(parts, format="csr", dtype=np.float32)
        owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        length = np.sqrt(np.bincount(owner, weights=rows.data.astype(np.float64) ** 2, minlength=rows.shape[0]))
        data = (rows.data / np.maximum(length, 1e-12)[owner]).astype(np.float32)
        return cls(rows.indptr.astype(np.int32), rows.indices.astype(np.int32), data, int(rows.shape[1]))

    def near(self, seeds: Ints, weights: Floats, items: Ints) -> Floats:
        """(3, len(items)): cosine to the first seed, the highest to any seed, and the weighted mean over the seeds."""
        out = np.zeros((3, len(items)), np.float32)
        if not len(seeds) or not len(items):
            return out
        place, words, held = self._flat(seeds)
        column = np.full(self.n_words, -1, np.int32)  # 20 us for 50,000 words; sorting the seeds' words takes 60
        column[words] = np.arange(len(words), dtype=np.int32)
        profile = np.zeros((len(words), len(seeds)), np.float32)
        profile[column[words], place] = held
        place, words, held = self._flat(items)
        at = column[words]
        shared = at >= 0
        place, at, held = place[shared], at[shared], held[shared]
        rows = sparse.csr_matrix(
            (held, at, np.searchsorted(place, np.arange(len(items) + 1))), (len(items), len(profile))
        )
        cosine = rows @ profile
        out[0], out[1], out[2] = cosine[:, 0], cosine.max(axis=1), cosine @ weights
        return out

    def _flat(self, items: Ints) -> tuple[Ints, Ints, Floats]:
        first = self.starts[items].astype(np.int64)
        lengths = self.starts[items + 1] - first
        ends = np.cumsum(lengths)
        at = np.arange(int(ends[-1])) + np.repeat(first - (ends - lengths), lengths)
        return np.repeat(np.arange(len(items), dtype=np.int32), lengths), self.words[at], self.weights[at]

    def with_blank(self) -> Self:
        """The same bags and an empty one."""
        return replace(self, starts=np.append(self.starts, self.starts[-1]))

    def save(self, folder: Path) -> None:
        for name in ("starts", "words", "weights"):
            np.save(folder / f"bags.{name}.npy", getattr(self, name))
        np.save(folder / "bags.size.npy", np.array([self.n_words], np.int64))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises SnapshotCorrupt."""
        starts, words, weights = (mapped(folder / f"bags.{name}.npy") for name in ("starts", "words", "weights"))
        size = int(mapped(folder / "bags.size.npy")[0])
        if len(words) != len(weights) or len(words) != starts[-1] or not np.isfinite(weights).all():
            raise SnapshotCorrupt(
                "the words of the items cannot be used",
                where=str(folder / "bags.weights.npy"),
                allowed="finite weights, one a word",
                got=f"{len(words)} words, {len(weights)} weights",
                next="bodega learn",
            )
        return cls(starts, words, weights, size)


def _rare(column: Coded) -> sparse.csr_matrix:
    """Items x values, each weighted by log(1 + items / items that have it)."""
    n = len(column.starts) - 1
    frequency = np.bincount(column.codes, minlength=len(column.vocabulary))
    weight = np.log1p(n / np.maximum(frequency, 1)).astype(np.float32)
    return sparse.csr_matrix((weight[column.codes], column.codes, column.starts), shape=(n, len(column.vocabulary)))
