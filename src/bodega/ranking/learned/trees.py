"""Hundreds of small regression trees, served from flat arrays: every tree of every item at once, no branch followed.

Each tree has at most 16 leaves, so which leaves an item can still reach is one 16-bit word a tree. A feature's value
falls between two of its thresholds (one `searchsorted`), and each such place has a ready word for every tree: all
leaves that the tests on this feature leave open. The words of all features, and-ed, have the item's leaf as lowest bit.
Features that are equal for all items of a request (the shopper's) are looked up once, not once an item.

Answers: what depends on what (a source that is right only for rare items).  Needs: thousands of cases; `fitting.trees`.
Good for: a few dozen mixed features.  Not for: extrapolation.  Cost: see docs/decisions/0024; contributions of ten
items 5 ms.  Relations: `linear` is its yardstick.
Papers: Lucchese et al. 2015 (QuickScorer); Lundberg et al. 2020 (tree SHAP, path-dependent: exact here).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from bodega.errors import SnapshotCorrupt
from bodega.ranking.learned._arrays import read, write
from bodega.ranking.learned._shap import Paths, shares
from bodega.ranking.learned.model import Table
from bodega.schema.arrays import Floats, Ints

LEAVES: Final = 16
"""Leaves a tree at most: one bit of a uint16 each."""

_LOWEST: NDArray[np.uint8] = np.zeros(1 << LEAVES, np.uint8)
for _bit in range(LEAVES - 1, -1, -1):
    _LOWEST[1 << _bit :: 1 << (_bit + 1)] = _bit

ARRAYS = ("feature", "threshold", "left", "right", "cover", "leaf_cover", "value", "nodes", "prior")


@dataclass(frozen=True, eq=False)
class Trees:
    """T trees, padded to 15 nodes and 16 leaves. A value <= threshold goes left; a child < 0 is the leaf ~child."""

    feature: Ints
    """(T, 15) column a node tests."""
    threshold: Floats
    """(T, 15)"""
    left: Ints
    right: Ints
    cover: Floats
    """(T, 15) training rows that came by."""
    leaf_cover: Floats
    """(T, 16)"""
    value: Floats
    """(T, 16) what a leaf adds."""
    nodes: Ints
    """(T,) inner nodes in use."""
    prior: Floats
    """(n_columns,) the score begins with this times the features (zeros: with nothing)."""
    kind: ClassVar[str] = "trees"
    exact: ClassVar[bool] = True

    @cached_property
    def base(self) -> float:
        """The mean over what was trained on (the prior's part is 0 there by definition)."""
        total = self.leaf_cover.sum(axis=1)
        return float(((self.leaf_cover * self.value).sum(axis=1) / np.maximum(total, 1)).sum())

    def score(self, table: Table) -> Floats:
        values = table.values
        n = values.shape[1]
        out: Floats = self.prior @ values
        if not n or not len(self.nodes):
            return out
        shared = np.full(len(self.nodes), ~self._word(0), self._word)
        left: NDArray[Any] | None = None
        for column, steps, words in self._words:
            own = values[column]
            if own[0] == own[-1] and (own == own[0]).all():
                shared &= words[steps.searchsorted(own[0])]
            elif left is None:
                left = words.take(steps.searchsorted(own), axis=0)
            else:
                left &= words.take(steps.searchsorted(own), axis=0)
        left = np.repeat(shared[None], n, axis=0) if left is None else np.bitwise_and(left, shared, out=left)
        leaf = _LOWEST.take(left) + self._offsets
        out += self._flat.take(leaf).sum(axis=1)
        return out

    def contributions(self, table: Table) -> Floats:
        out = shares(self._paths, table.values)
        out += table.values.T * self.prior
        return out.astype(np.float32)

    @cached_property
    def _paths(self) -> Paths:
        return Paths.of(self)

    @cached_property
    def _word(self) -> type[np.uint8] | type[np.uint16]:
        """A byte a tree where no tree has more than 8 leaves: half the memory to and."""
        return np.uint8 if self.nodes.max(initial=0) < 8 else np.uint16

    @cached_property
    def _offsets(self) -> Ints:
        return np.arange(len(self.nodes), dtype=np.int32) * LEAVES

    @cached_property
    def _flat(self) -> Floats:
        return np.ascontiguousarray(self.value).ravel()

    @cached_property
    def _words(self) -> list[tuple[int, Floats, NDArray[Any]]]:
        """(column, its thresholds ascending, (thresholds + 1, T) leaves that stay open in each gap between them)."""
        under = self.under
        tree, node = np.nonzero(np.arange(self.feature.shape[1]) < self.nodes[:, None])
        tested, cuts, closed = self.feature[tree, node], self.threshold[tree, node], ~under[tree, node]
        out = []
        for column in np.unique(tested):
            own = np.flatnonzero(tested == column)
            steps = np.unique(cuts[own])
            words = np.full((len(steps) + 1, len(self.nodes)), ~self._word(0), self._word)
            place = np.searchsorted(steps, cuts[own])
            # A value in gap g is above the thresholds 0 .. g-1: those tests say "not left", which closes left leaves.
            np.bitwise_and.at(words, (place + 1, tree[own]), closed[own].astype(self._word))
            words = np.bitwise_and.accumulate(words, axis=0)
            out.append((int(column), steps, words))
        return out

    @cached_property
    def under(self) -> NDArray[np.uint16]:
        """(T, 15) the leaves under each node's left child. Leaves are numbered from left to right (see `ordered`)."""
        out = np.zeros(self.feature.shape, np.uint16)
        for tree in range(len(self.nodes)):
            reach: dict[int, int] = {}
            for node in range(int(self.nodes[tree]) - 1, -1, -1):  # children have higher numbers than their parent
                left, right = (
                    1 << ~child if child < 0 else reach[child]
                    for child in (int(self.left[tree, node]), int(self.right[tree, node]))
                )
                out[tree, node], reach[node] = left, left | right
        return out

    def save(self, folder: Path) -> None:
        write(folder, {name: getattr(self, name) for name in ARRAYS})

    @classmethod
    def load(cls, folder: Path, n_columns: int) -> Self:
        """Raises SnapshotCorrupt for NaN, a wrong shape, or trees that are none."""
        inner: tuple[int | None, ...] = (None, LEAVES - 1)
        leaves: tuple[int | None, ...] = (None, LEAVES)
        shapes: dict[str, Any] = dict.fromkeys(("feature", "threshold", "left", "right", "cover"), inner)
        shapes |= {"leaf_cover": leaves, "value": leaves, "nodes": (None,), "prior": (n_columns,)}
        trees = cls(**read(folder, shapes))
        fault = trees.fault(n_columns)
        if fault:
            raise SnapshotCorrupt(
                "a learned ranker cannot be used",
                where=str(folder),
                allowed="trees whose children come after their parents",
                got=fault,
                next="bodega learn",
            )
        return trees

    def fault(self, n_columns: int) -> str:
        """What is wrong with these trees ("" nothing): a cycle or a wild index must never be served."""
        if len({len(getattr(self, name)) for name in ARRAYS if name != "prior"}) != 1:
            return "arrays of different numbers of trees"
        if ((self.nodes < 0) | (self.nodes >= LEAVES)).any():
            return "a number of nodes out of range"
        used = np.arange(LEAVES - 1) < self.nodes[:, None]
        if (used & ((self.feature < 0) | (self.feature >= n_columns))).any():
            return "a column that does not exist"
        own, last = np.arange(LEAVES - 1), self.nodes[:, None]
        for child in (self.left, self.right):
            inside = (child > own) & (child < last)
            outside = (child < 0) & (~child <= last)
            if (used & ~(inside | outside)).any():
                return "a child out of range"
        return ""


def ordered(left: Ints, right: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """One tree's children with nodes numbered from the top and leaves from left to right.

    Returns (left, right, node order, leaf order): the orders say which old number stands at each new place.
    """
    if not len(left):
        return left, right, np.empty(0, np.int32), np.zeros(1, np.int32)
    nodes: list[int] = []
    leaves: list[int] = []
    stack = [0]
    while stack:
        at = stack.pop()
        if at < 0:
            leaves.append(~at)
            continue
        nodes.append(at)
        stack += [int(right[at]), int(left[at])]
    place = {node: new for new, node in enumerate(nodes)} | {~leaf: ~new for new, leaf in enumerate(leaves)}
    turned = [np.array([place[int(child[node])] for node in nodes], np.int32) for child in (left, right)]
    return turned[0], turned[1], np.array(nodes, np.int32), np.array(leaves, np.int32)
