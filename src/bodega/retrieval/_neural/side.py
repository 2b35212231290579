"""What does the catalog say of an item, so that a network can add it up? Attribute values, and title words as a vector.

`attribute_bags` has one column an attribute value (brand, every category level, tags, ...); `title_vectors` are the
leading directions of tf-idf of title words, so that no encoder is needed. Both know an item before anybody touched it.
Cost: 12,000 titles 2 s. Not for: meaning behind other words (`understanding.text`).
Paper: Salton & Buckley 1988 (tf-idf); Deerwester et al. 1990 (its leading directions).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from bodega.retrieval._neural.svd import leading, standardised
from bodega.schema import Coded, ItemTable
from bodega.schema.arrays import Floats
from bodega.understanding.language import tokens

LEFT_OUT = ("kind", "size")
"""Columns that say how an item is sold, not what it is."""

WORDS = 30_000
"""At most this many words, the most frequent ones."""


def attribute_names(items: ItemTable) -> tuple[str, ...]:
    """Stable names ("brand=opi") of the columns of `attribute_bags`: values that two items or more have."""
    names = []
    for name, column in _columns(items):
        frequency = np.bincount(column.codes, minlength=len(column.vocabulary))
        names += [f"{name}={column.vocabulary[code]}" for code in np.flatnonzero(frequency > 1).tolist()]
    return tuple(names)


def attribute_bags(items: ItemTable) -> sparse.csr_matrix:
    """Items x attribute values (those of two items or more): each row sums to 1, or is empty."""
    parts = [sparse.csr_matrix((len(items), 0), dtype=np.float32)]
    for _, column in _columns(items):
        frequency = np.bincount(column.codes, minlength=len(column.vocabulary))
        parts.append(_flags(column)[:, np.flatnonzero(frequency > 1)])
    bags = sparse.hstack(parts, format="csr", dtype=np.float32)
    lengths = np.diff(bags.indptr)
    bags.data = np.repeat((1 / np.maximum(lengths, 1)).astype(np.float32), lengths)
    return bags


def title_vectors(items: ItemTable, dimensions: int, *, seed: int = 7) -> Floats:
    """(n_items, dimensions) float32 of title words; deviation 1; zeros where a title says nothing."""
    held = Coded.of([sorted(set(tokens(title))) for title in items.titles])
    flags = _flags(held)
    frequency = np.bincount(flags.indices, minlength=flags.shape[1])
    often = np.sort(np.argsort(-frequency, kind="stable")[:WORDS])
    often = often[frequency[often] > 1]
    flags = flags[:, often].tocsr()
    weight = np.log1p(len(items) / np.maximum(frequency[often], 1)).astype(np.float32)
    flags.data = weight[flags.indices]
    owner = np.repeat(np.arange(len(items)), np.diff(flags.indptr))
    length = np.sqrt(np.bincount(owner, weights=flags.data.astype(np.float64) ** 2, minlength=len(items)))
    flags.data /= np.maximum(length, 1e-12)[owner].astype(np.float32)
    left, values = leading(flags, dimensions, seed=seed)
    return standardised(left * np.sqrt(values), len(items), dimensions)


def _columns(items: ItemTable) -> list[tuple[str, Coded]]:
    return [(name, items.coded[name]) for name in sorted(items.coded) if name not in LEFT_OUT]


def _flags(column: Coded) -> sparse.csr_matrix:
    ones = np.ones(len(column.codes), np.float32)
    shape = (len(column.starts) - 1, len(column.vocabulary))
    return sparse.csr_matrix((ones, column.codes, column.starts), shape=shape)
