"""Where does an item stand among what people want together, and which pairs does that teach, neither given away?

The leading directions of who is wanted together (`_neural.svd`) are the axes; an item's place is the sum of the axes
of what stood near it. For learning, shoppers are halved: the pairs of one half are taught with the places that the
other half's steps give, so that no pair is part of its own inputs; some shoppers are kept to judge with.
Cost: sparse products of the log; 12,000 items 5 s.
Not for: serving (`transition` reads the same counts).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from bodega.retrieval._neural.sequences import Sequences
from bodega.retrieval._neural.svd import leading, together
from bodega.schema import Log
from bodega.schema.arrays import Floats, Longs

FEWEST = 200
"""Pairs of items below which nothing is said: a few baskets are no taste."""
HELD = 0.1
"""Share of shoppers who judge what was learned from the others."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Places by some part of the log."""

    vectors: Floats
    """(n_items, d) of length 1; zeros where nobody wanted the item beside another one."""
    events: Longs
    """(n_items,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Wishes:
    """Pairs of items wanted together, both ways: (m,) each."""

    left: Longs
    right: Longs
    weight: Floats

    @classmethod
    def of(cls, votes: sparse.csr_matrix) -> Wishes:
        pairs = votes.tocoo()
        return cls(pairs.row.astype(np.int64), pairs.col.astype(np.int64), pairs.data.astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Behaviour:
    """What was done, as inputs and as lesson. Halves and the rest are of different shoppers."""

    whole: Places
    halves: tuple[tuple[Places, Wishes], tuple[Places, Wishes]]
    taught: Places
    """Of both halves."""
    rest: Wishes
    """Of the others, who judge."""

    @classmethod
    def of(cls, log: Log, n_items: int, dimensions: int, *, seed: int) -> Behaviour | None:
        """None where the log says too little."""
        every = Sequences.of(log, seed=seed)
        votes = together(every, n_items)
        if votes.nnz < FEWEST:
            return None
        axes = _axes(votes, dimensions, seed)
        part = np.random.default_rng([seed, 1]).random(log.n_users)[log.user]

        def some(low: float, high: float) -> tuple[Places, Wishes]:
            own = Sequences.of(log.where((part >= low) & (part < high)), seed=seed)
            shared = together(own, n_items)
            return _places(shared, axes, own, n_items), Wishes.of(shared)

        first, last = HELD / 2 + 0.5, 1.0
        halves = some(HELD, first), some(first, last)
        return cls(_places(votes, axes, every, n_items), halves, some(HELD, last)[0], some(0.0, HELD)[1])


def _axes(votes: sparse.csr_matrix, dimensions: int, seed: int) -> Floats:
    axes, values = leading(votes, dimensions, seed=seed)
    return (axes * np.maximum(values, np.float32(1e-9)) ** np.float32(-0.5) * (values > 1e-6)).astype(np.float32)


def _places(votes: sparse.csr_matrix, axes: Floats, rows: Sequences, n_items: int) -> Places:
    placed = np.asarray(votes @ axes, np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", placed, placed))[:, None]
    unit = np.where(length > 1e-9, placed / np.maximum(length, 1e-9), 0).astype(np.float32)
    return Places(unit, rows.counts(n_items))
