"""Which pairs of items are looked at together, and which are bought together or after one another?

What `relations` lists and what the knowledge graph (`knowledge`) holds of behaviour, counted by one piece of code; what
the two relations mean is said in `relations`. Cost: one sparse product a relation, in blocks of items. Not for: lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
from scipy import sparse

from bodega.retrieval._index import Steps, interest, item_blocks, only
from bodega.schema import World
from bodega.schema.arrays import Floats

LOOKED = ("view", "click")
BOUGHT = ("purchase",)
CARTED = ("cart", "purchase")
"""What "bought" means in a log without purchases."""


DAY = 86_400.0


class RelationOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The few numbers, chosen on validation (docs/decisions/0023-item-item-family.md)."""

    least: float = 2.0
    """Visits that must have a pair before it is believed."""
    shrink: float = 5.0
    """Added to what a count is divided by: few events are not believed."""
    correction: float = 0.3
    """Complements: exponent of popularity by which a continuation is divided."""
    direction: float = 0.1
    """Complements: a pair is kept from i to j where P(j | i) >= direction x P(i | j)."""
    later: float = 0.3
    """Complements: what a later purchase counts against one in the same visit."""
    later_visits: int = 2
    later_days: float = 30.0
    longest: int = 200
    """Visits with more different items than this are left out: nobody compares so many."""
    top: int = 100


@dataclass(frozen=True, eq=False)
class Pairs:
    """What was looked at, and bought, in each visit; pairs are counted for a block of items at a time."""

    looked: sparse.csr_matrix
    """Visits x items."""
    bought: Steps
    later: sparse.csr_matrix
    """Visits x visits: how much the purchases of a later visit count."""
    options: RelationOptions

    @classmethod
    def of(cls, world: World, options: RelationOptions) -> Pairs:
        log, n_items = interest(world.log), len(world.items)
        bought = only(log, BOUGHT)
        visits = Steps.of(bought if len(bought) else only(log, CARTED), n_items, by_session=True)
        looked = Steps.of(only(log, LOOKED), n_items, by_session=True).held
        return cls(_short(looked, options.longest), visits, _later(visits, options), options)

    def substitutes(self) -> Iterator[sparse.csr_matrix]:
        options, seen = self.options, _sums(self.looked)
        for low, looked, together in self._blocks():
            owner = _owner(looked, low)
            level = np.sqrt(seen[owner] * seen[looked.indices]) + np.float32(options.shrink)
            near = _like(looked, np.where(looked.data >= options.least, looked.data / level, 0))
            yield sparse.csr_matrix(near - near.multiply(self._linked(low, looked, together)))

    def complements(self) -> Iterator[sparse.csr_matrix]:
        options, sold = self.options, _sums(self.bought.held)
        share = np.maximum(sold / max(len(self.bought), 1), 1e-9) ** -options.correction
        by_item = self.bought.held.T.tocsr()
        onward, back = (options.later * (way @ self.bought.held) for way in (self.later, self.later.T))
        for low, looked, together in self._blocks():
            rows = by_item[low : low + looked.shape[0]]
            inside = _off_diagonal(rows @ self.bought.held, low)
            forth, other = (sparse.csr_matrix(inside + _off_diagonal(rows @ way, low)) for way in (onward, back))
            chance = forth.copy()
            chance.data /= sold[_owner(forth, low)] + np.float32(options.shrink)
            other.data *= options.direction / (sold[other.indices] + np.float32(options.shrink))
            likelier = (chance - other) > 0
            believed = _like(forth, np.where(forth.data >= options.least, share[forth.indices], 0))
            yield sparse.csr_matrix(
                chance.multiply(believed).multiply(likelier).multiply(self._linked(low, looked, together))
            )

    def _linked(self, low: int, looked: sparse.csr_matrix, together: sparse.csr_matrix) -> sparse.csr_matrix:
        """Which pairs were bought together more often than chance makes it where both were looked at: ones."""
        seen, sold = _sums(self.looked), _sums(self.bought.held)
        rate = sold / np.maximum(np.maximum(seen, sold), 1)
        expected = looked.data * rate[_owner(looked, low)] * rate[looked.indices]
        chance = _like(looked, expected + np.sqrt(expected))
        return sparse.csr_matrix((together - chance) > 0).astype(np.float32)

    def _blocks(self) -> Iterator[tuple[int, sparse.csr_matrix, sparse.csr_matrix]]:
        """(first item, looked at together, bought together or later either way): blocks of rows, no diagonal."""
        held = self.bought.held
        near = held + self.options.later * ((self.later + self.later.T) @ held)
        looked, bought = self.looked.T.tocsr(), held.T.tocsr()
        work = looked @ np.diff(self.looked.indptr) + bought @ np.diff(sparse.csr_matrix(near).indptr) + 1
        for low, high in item_blocks(work):
            seen, together = looked[low:high] @ self.looked, bought[low:high] @ near
            yield low, _off_diagonal(seen, low), _off_diagonal(together, low)


def _short(visits: sparse.csr_matrix, longest: int) -> sparse.csr_matrix:
    sizes = np.diff(visits.indptr)
    return visits[(sizes > 1) & (sizes <= longest)]


def _later(visits: Steps, options: RelationOptions) -> sparse.csr_matrix:
    """Visits x visits: one where the second is among the same shopper's next few, and soon."""
    order = np.lexsort((visits.time, visits.user))
    user, time = visits.user[order], visits.time[order]
    rows, columns = [order[:0]], [order[:0]]
    for gap in range(1, min(options.later_visits, len(order) - 1) + 1):
        soon = (user[gap:] == user[:-gap]) & (time[gap:] - time[:-gap] <= options.later_days * DAY)
        rows.append(order[:-gap][soon])
        columns.append(order[gap:][soon])
    where = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix((np.ones(len(where[0]), np.float32), where), shape=(len(order), len(order)))


def _sums(visits: sparse.csr_matrix) -> Floats:
    """In how many visits each item is."""
    return np.bincount(visits.indices, minlength=visits.shape[1]).astype(np.float32)


def _owner(block: sparse.csr_matrix, low: int) -> np.ndarray:
    """The item of each entry's row."""
    return np.repeat(np.arange(low, low + block.shape[0]), np.diff(block.indptr))


def _like(block: sparse.csr_matrix, data: np.ndarray) -> sparse.csr_matrix:
    """Other values in the same places."""
    return sparse.csr_matrix((data.astype(np.float32), block.indices, block.indptr), shape=block.shape)


def _off_diagonal(block: sparse.csr_matrix, low: int) -> sparse.csr_matrix:
    block = sparse.csr_matrix(block)
    block.data = block.data * (_owner(block, low) != block.indices)
    block.eliminate_zeros()
    return block
