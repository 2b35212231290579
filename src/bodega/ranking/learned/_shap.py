"""How much did each feature move a sum of trees? Path-dependent tree SHAP, exact, by leaves.

For one leaf let z_j be 1 where the item passes all tests of feature j on its path (else 0) and r_j the part of the
training rows that passes them. If features in S are known, the leaf is worth its value x prod_{S} z x prod_{not S} r;
the Shapley value of j in that product is value x (z_j - r_j) x integral over t in [0, 1] of
prod_{k != j} (t z_k + (1 - t) r_k), a polynomial that Gauss-Legendre points integrate without error.
Equal to LightGBM's `pred_contrib` (a test says so). Cost: 10 items x 100 trees about 5 ms: for hits that are shown.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from bodega.schema.arrays import Doubles, Floats, Ints


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


def shares(trees: Grown, values: Floats) -> Doubles:
    """(n_items, n_columns): contributions of `values` (n_columns, n_items)."""
    out = np.zeros(values.T.shape)
    points, sizes = np.polynomial.legendre.leggauss(8)  # exact up to degree 15: no path is longer
    points, sizes = (points + 1) / 2, sizes / 2
    for tree in range(len(trees.nodes)):
        for leaf, columns, low, high, rest in _paths(trees, tree):
            own = values[columns].T  # (n, m)
            passed = ((own > low) & (own <= high)).astype(np.float64)
            terms = passed[:, :, None] * points + rest[:, None] * (1 - points)  # (n, m, q)
            whole = _others(terms)
            worth = float(trees.value[tree, leaf]) * (whole @ sizes)
            np.add.at(out.T, columns, ((passed - rest) * worth).T)
    return out


def _others(terms: Doubles) -> Doubles:
    """Product over all features but each: (n, m, q) -> the same shape, without dividing (a term may be 0)."""
    before, after = np.ones_like(terms), np.ones_like(terms)
    np.cumprod(terms[:, :-1], axis=1, out=before[:, 1:])
    np.cumprod(terms[:, :0:-1], axis=1, out=after[:, -2::-1] if terms.shape[1] > 1 else after[:, :0])
    product: Doubles = before * after
    return product


def _paths(trees: Grown, tree: int) -> list[tuple[int, Ints, Floats, Floats, Doubles]]:
    """(leaf, its distinct columns, bounds low < x <= high of each, part of the rows that passes them)."""
    out: list[tuple[int, Ints, Floats, Floats, Doubles]] = []
    if not trees.nodes[tree]:
        return out
    stack: list[tuple[int, dict[int, tuple[float, float, float]]]] = [(0, {})]
    while stack:
        at, held = stack.pop()
        if at < 0:
            columns = np.array(list(held), np.int32)
            low, high, rest = np.array(list(held.values()), np.float64).T
            out.append((~at, columns, low.astype(np.float32), high.astype(np.float32), rest))
            continue
        column, cut = int(trees.feature[tree, at]), float(trees.threshold[tree, at])
        total = max(float(trees.cover[tree, at]), 1e-9)
        low, high, rest = held.get(column, (-np.inf, np.inf, 1.0))
        for child, bounds in ((trees.right, (max(low, cut), high)), (trees.left, (low, min(high, cut)))):
            below = int(child[tree, at])
            own = trees.leaf_cover[tree, ~below] if below < 0 else trees.cover[tree, below]
            stack.append((below, {**held, column: (*bounds, rest * float(own) / total)}))
    return out
