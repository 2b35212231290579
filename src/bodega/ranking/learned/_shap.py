"""How much did each feature move a sum of trees? Path-dependent tree SHAP, exact, by leaves.

For one leaf let z_j be 1 where the item passes all tests of feature j on its path (else 0) and r_j the part of the
training rows that passes them. If features in S are known, the leaf is worth its value x prod_{S} z x prod_{not S} r;
the Shapley value of j in that product is value x (z_j - r_j) x integral over t in [0, 1] of
prod_{k != j} (t z_k + (1 - t) r_k), a polynomial that Gauss-Legendre points integrate without error.
Equal to LightGBM's `pred_contrib` (a test says so). Cost: .2 ms an item and 200 trees of 8 leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from bodega.schema.arrays import Doubles, Floats, Ints, Longs


class Grown(Protocol):
    """What of `Trees` is needed here, see there."""

    @property
    def feature(self) -> Ints: ...

    @property
    def threshold(self) -> Floats: ...

    @property
    def left(self) -> Ints: ...

    @property
    def right(self) -> Ints: ...

    @property
    def cover(self) -> Floats: ...

    @property
    def leaf_cover(self) -> Floats: ...

    @property
    def value(self) -> Floats: ...

    @property
    def nodes(self) -> Ints: ...


@dataclass(frozen=True, eq=False)
class Paths:
    """All leaves of all trees, each with the distinct features on its path, padded with tests that all rows pass."""

    column: Longs
    """(n_leaves, longest)"""
    low: Floats
    """(n_leaves, longest) an item passes the tests on a feature where low < x <= high."""
    high: Floats
    rest: Doubles
    """(n_leaves, longest) part of the training rows that passes them."""
    value: Doubles
    """(n_leaves,)"""

    @classmethod
    def of(cls, trees: Grown) -> Self:
        found = [path for tree in range(len(trees.nodes)) for path in _walked(trees, tree)]
        longest = max((len(held) for _, held in found), default=1)
        shape = (len(found), longest)
        paths = cls(
            np.zeros(shape, np.int64),
            np.full(shape, -np.inf, np.float32),
            np.full(shape, np.inf, np.float32),
            np.ones(shape),
            np.array([value for value, _ in found]),
        )
        for row, (_, held) in enumerate(found):
            own = slice(0, len(held))
            paths.column[row, own] = list(held)
            paths.low[row, own], paths.high[row, own], paths.rest[row, own] = np.array(list(held.values())).T
        return paths


def shares(paths: Paths, values: Floats) -> Doubles:
    """(n_items, n_columns): contributions of `values` (n_columns, n_items)."""
    n_columns, n = values.shape
    out = np.zeros((n, n_columns))
    if not len(paths.value):
        return out
    longest = paths.column.shape[1]
    points, sizes = np.polynomial.legendre.leggauss(longest // 2 + 1)  # exact: the degree is under 2 x points
    points, sizes = (points + 1) / 2, sizes / 2
    for item in range(n):
        own = values[:, item][paths.column]
        passed = (own > paths.low) & (own <= paths.high)
        whole = np.zeros(passed.shape)
        for point, size in zip(points, sizes, strict=True):
            whole += size * _others(point * passed + (1 - point) * paths.rest)
        moved = (passed - paths.rest) * whole * paths.value[:, None]
        out[item] = np.bincount(paths.column.ravel(), weights=moved.ravel(), minlength=n_columns)
    return out


def _others(terms: Doubles) -> Doubles:
    """Product over each row but the entry itself: the same shape, without dividing (an entry may be 0)."""
    before, after = np.ones_like(terms), np.ones_like(terms)
    for at in range(1, terms.shape[1]):
        np.multiply(before[:, at - 1], terms[:, at - 1], out=before[:, at])
        np.multiply(after[:, -at], terms[:, -at], out=after[:, -at - 1])
    product: Doubles = before * after
    return product


def _walked(trees: Grown, tree: int) -> list[tuple[float, dict[int, tuple[float, float, float]]]]:
    """(value, {column: (low, high, part of the rows that passes)}) of every leaf of one tree."""
    out: list[tuple[float, dict[int, tuple[float, float, float]]]] = []
    stack: list[tuple[int, dict[int, tuple[float, float, float]]]] = [(0, {})] if trees.nodes[tree] else []
    while stack:
        at, held = stack.pop()
        if at < 0:
            out.append((float(trees.value[tree, ~at]), held))
            continue
        column, cut = int(trees.feature[tree, at]), float(trees.threshold[tree, at])
        total = max(float(trees.cover[tree, at]), 1e-9)
        low, high, rest = held.get(column, (-np.inf, np.inf, 1.0))
        for child, bounds in ((trees.right, (max(low, cut), high)), (trees.left, (low, min(high, cut)))):
            below = int(child[tree, at])
            own = trees.leaf_cover[tree, ~below] if below < 0 else trees.cover[tree, below]
            stack.append((below, {**held, column: (*bounds, rest * float(own) / total)}))
    return out
