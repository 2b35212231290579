"""What does a walk from here come to? A random walk over shoppers, items and what items are, with a return home.

Items are joined through the shoppers who took both, and through the tags, categories and brands that both bear. One
step of the walk goes from an item to another over one of these: by who took it where many did, by what it is where few
did. Goals are divided by popularity^`damping` (RP3-beta), and each item keeps the best few goals of one step. A request
walks `steps` of them from its seeds and returns home with chance `home` before each further one: the second step
reaches what nobody had together with the history, through what others had, or what is alike.
Cost: one sparse product a block of items at fit (Beauty 1.5 CPU s); a request reads 200 entries a seed for the first
step and those of the best `wide` goals for the next (.5 ms).
Not for: the order of things; items without events or attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import msgspec
import numpy as np
from scipy import sparse

from bodega.retrieval._index import Neighbours, interest, item_blocks, top_k
from bodega.retrieval._item_to_item import Asked, OneList, seeds_of
from bodega.retrieval._tastes import tastes_of
from bodega.schema import Coded, Context, World
from bodega.schema.arrays import Floats, Ints

TRAITS = ("brand", "category", "tags")
"""What items are: the columns whose values are nodes of the graph."""


class GraphOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The few numbers, chosen on validation items (docs/decisions/0023-item-item-family.md)."""

    believed: float = 20.0
    """Takers that an item needs for its step to go over shoppers half the time; the rest goes over what items are."""
    damping: float = 0.1
    """Beta: exponent of popularity by which the goal of a step is divided."""
    long_tastes: float = 0.75
    """Exponent of a shopper's number of items in the step from shopper to items: 1 is the plain walk."""
    home: float = 0.3
    """Chance to return home before each further step."""
    steps: int = 2
    wide: int = 50
    """Goals of a step from which the next one sets out."""
    newest: int = 50
    """Distinct items of a shopper that are walked over, newest first."""
    history_decay: float = 0.65
    """Weight of a seed for each step that it lies before the newest one."""
    pairs: float = 2e7
    """At most this many pairs of items that bear the same value: the most frequent values are left out beyond it."""
    top: int = 200


class Graph(OneList[GraphOptions]):
    """Random walk with restart over the user-item-attribute graph, popularity damped.

    Answers: home (from the history), similar, together, basket (from the anchors), any list that has seeds.
    Needs: events, and attributes for items without any. Good for: targets that nobody had together with the history.
    Not for: order, words. Cost: see the top of the file; 8 bytes a kept pair. Relations: one step without traits is
    item-kNN with another norm. Paper: Paudel et al. 2017 (RP3-beta); Tong, Faloutsos & Pan 2006 (restart).
    """

    name = "graph"
    alone = False
    kind = GraphOptions

    def fit(self, world: World) -> Self:
        self._forget()
        options, n_items = self.options, len(world.items)
        tastes = tastes_of(interest(world.log), n_items, options.newest)
        known = [world.items.coded[name] for name in TRAITS if name in world.items.coded]
        self.near = Neighbours.cut(_steps(tastes, _traits(known, n_items, options), options), options.top)
        return self

    def _asked(self, context: Context) -> Asked:
        return self.near, *seeds_of(context, self.options.history_decay)

    def _adjusted(self, context: Context, scores: Floats, items: Ints | slice) -> Floats:
        """`scores` is where the first step leads; add the further ones, each from the best goals of the last."""
        del context, items  # all of them: it is not `alone`
        total, reached, left = scores, scores, 1.0
        for _ in range(self.options.steps - 1):
            goals = top_k(reached, self.options.wide)
            if not len(goals):
                break
            left *= 1 - self.options.home
            reached = self.near.spread(goals, reached[goals])
            total = _sum(total, reached * np.float32(left))
        return total


def _sum(one: Floats, other: Floats) -> Floats:
    """NaN only where both are."""
    both: Floats = np.where(np.isnan(one), other, np.where(np.isnan(other), one, one + other))
    return both


def _traits(columns: list[Coded], n_items: int, options: GraphOptions) -> sparse.csr_matrix:
    """Items x values, ones; only values that lead somewhere, the rarest up to the bound on pairs."""
    parts = [sparse.csr_matrix((n_items, 0), dtype=np.float32)]
    for column in columns:
        ones = np.ones(len(column.codes), np.float32)
        parts.append(sparse.csr_matrix((ones, column.codes, column.starts), (n_items, len(column.vocabulary))))
    borne = sparse.hstack(parts, format="csr", dtype=np.float32)
    frequency = np.bincount(borne.indices, minlength=borne.shape[1]).astype(np.float64)
    order = np.argsort(frequency, kind="stable")
    keep = np.zeros(borne.shape[1], np.bool_)
    keep[order[np.cumsum(frequency[order] ** 2) <= options.pairs]] = True
    return borne[:, keep & (frequency > 1)].tocsr()


def _steps(tastes: sparse.csr_matrix, borne: sparse.csr_matrix, options: GraphOptions) -> Iterator[sparse.csr_matrix]:
    """Blocks of rows of the one-step walk, popularity damped, without the diagonal."""
    taken = np.bincount(tastes.indices, minlength=tastes.shape[1]).astype(np.float32)
    bearing = np.diff(borne.indptr) > 0
    over_traits = (bearing * options.believed / np.maximum(options.believed + taken, 1e-12)).astype(np.float32)
    takers = sparse.csr_matrix(sparse.diags(1 - over_traits) @ _scaled(tastes.T.tocsr(), 1.0))
    tasted = _scaled(tastes, options.long_tastes)
    bearers = sparse.csr_matrix(sparse.diags(over_traits) @ _scaled(borne, 1.0))
    bears = _scaled(borne.T.tocsr(), 1.0)
    damp = (np.maximum(taken, 1) ** -options.damping).astype(np.float32)
    work = _ones(takers) @ np.diff(tasted.indptr) + _ones(bearers) @ np.diff(bears.indptr) + 1
    for low, high in item_blocks(work):
        block = sparse.csr_matrix(takers[low:high] @ tasted + bearers[low:high] @ bears)
        owner = np.repeat(np.arange(low, high), np.diff(block.indptr))
        block.data *= damp[block.indices] * (owner != block.indices)
        yield block


def _ones(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(rows.nnz, np.float64), rows.indices, rows.indptr), shape=rows.shape)


def _scaled(rows: sparse.csr_matrix, exponent: float) -> sparse.csr_matrix:
    """Each row divided by its sum^exponent."""
    sums = np.asarray(rows.sum(axis=1)).ravel()
    scale = np.where(sums > 0, np.maximum(sums, 1e-12) ** -exponent, 0).astype(np.float32)
    data = rows.data * np.repeat(scale, np.diff(rows.indptr))
    return sparse.csr_matrix((data.astype(np.float32), rows.indices, rows.indptr), shape=rows.shape)
