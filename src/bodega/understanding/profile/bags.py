"""Which words and values does an item carry? Sparse rows over features that two items or more share.

Words are those of the title; values are "brand=opi", each level of the category, every coded attribute and the
price's step (three a doubling). A feature is told by a 32-bit checksum instead of its text: one sorted array, no
strings to keep (two of 50,000 features share one by chance, which moves a vector by nothing). Rare ones weigh more.
Cost: 20 microseconds an item. Not for: order of words, meaning behind other words (the encoder's vector is beside it).
Paper: Salton & Buckley 1988 (tf-idf).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.schema import ItemTable
from bodega.schema.arrays import Floats, Longs
from bodega.schema.table import mapped
from bodega.understanding.language import tokens

LEFT_OUT = ("kind", "size")
"""Columns that say how an item is sold, not what it is."""
FEATURES = 60_000
"""At most so many features, the most frequent ones."""
PRICE_STEPS = 3.0
"""Steps of price a doubling."""

Keys = NDArray[np.uint32]
Held = tuple[int, Longs, Keys]
"""(rows, owner, key): what stands in how many rows; the same key may stand in a row twice."""


@dataclass(frozen=True, slots=True, eq=False)
class Bags:
    """`keys` (n_features,) ascending and how much each weighs: rows of a table become sparse rows over them."""

    keys: Keys
    weights: Floats

    @classmethod
    def learn(cls, held: Held) -> Self:
        """The features that two rows or more hold."""
        rows, owner, key = held
        names, column = np.unique(key, return_inverse=True)
        pairs = np.unique(owner.astype(np.int64) * max(len(names), 1) + column)
        frequency = np.bincount(pairs % max(len(names), 1), minlength=len(names))
        often = np.sort(np.argsort(-frequency, kind="stable")[:FEATURES])
        often = often[frequency[often] > 1]
        return cls(names[often], np.log1p(rows / np.maximum(frequency[often], 1)).astype(np.float32))

    def __len__(self) -> int:
        return len(self.keys)

    def read(self, held: Held) -> sparse.csr_matrix:
        """(rows, features) float32, rows of length 1; an empty row holds nothing that is known."""
        rows, owner, key = held
        if not len(self) or not len(key):
            return sparse.csr_matrix((rows, len(self)), dtype=np.float32)
        at = np.minimum(np.searchsorted(self.keys, key), len(self) - 1)
        known = self.keys[at] == key
        pairs = np.unique(owner[known].astype(np.int64) * len(self) + at[known])
        owner, at = pairs // len(self), pairs % len(self)
        weight = self.weights[at]
        length = np.sqrt(np.bincount(owner, weights=weight.astype(np.float64) ** 2, minlength=rows))
        data = (weight / np.maximum(length, 1e-12)[owner]).astype(np.float32)
        starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=rows))])
        return sparse.csr_matrix((data, at.astype(np.int32), starts.astype(np.int32)), shape=(rows, len(self)))

    def save(self, folder: Path, name: str) -> None:
        np.save(folder / f"{name}.keys.npy", self.keys)
        np.save(folder / f"{name}.weights.npy", self.weights)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Memory-map what `save` wrote."""
        return cls(mapped(folder / f"{name}.keys.npy"), mapped(folder / f"{name}.weights.npy"))


def words_of(texts: Sequence[str]) -> Held:
    """The different words of each text."""
    seen: dict[str, int] = {}
    owner: list[int] = []
    keys: list[int] = []
    for row, text in enumerate(texts):
        for word in set(tokens(text)):
            key = seen.get(word)
            if key is None:
                key = seen[word] = crc32(word.encode())
            owner.append(row)
            keys.append(key)
    return len(texts), np.array(owner, np.int64), np.array(keys, np.uint32)


def values_of(items: ItemTable, without: Sequence[str] = ()) -> Held:
    """The attribute values of each item; columns named in `without` are not read."""
    owners: list[Longs] = [np.empty(0, np.int64)]
    keys: list[Keys] = [np.empty(0, np.uint32)]
    for name in sorted(items.coded):
        column = items.coded[name]
        if name in LEFT_OUT or name in without or not len(column.codes):
            continue
        own = np.array([crc32(f"{name}={value}".encode()) for value in column.vocabulary], np.uint32)
        owners.append(column.owner.astype(np.int64))
        keys.append(own[column.codes])
    price = items.numbers["price"]
    told = np.flatnonzero(np.isfinite(price) & (price > 0))
    if len(told) and "price" not in without:
        steps = np.rint(np.log2(price[told].astype(np.float64)) * PRICE_STEPS).astype(np.int64)
        names = {step: crc32(f"price={step}".encode()) for step in np.unique(steps).tolist()}
        owners.append(told.astype(np.int64))
        keys.append(np.array([names[step] for step in steps.tolist()], np.uint32))
    return len(items), np.concatenate(owners), np.concatenate(keys)
