"""Which tastes does this shopper have, as a point in a small space? Implicit matrix factorisation (iALS).

Every item gets a vector of `factors` numbers such that shopper . item is 1 where there was interest and 0 elsewhere;
what was never seen counts `unseen`, so that the zeros do not drown the ones. Shoppers and items are solved for in
turns, each a ridge regression in closed form, many at once. Shoppers are not kept: at request time the history is
folded in, the newest heaviest, which is one more such regression and knows the click of a second ago.
Cost: Beauty (198k events, 12k items, 64 factors) 10 CPU s and 3 MB; a request with a history of 50 .4 ms at 12k items
(64 products an item, so 20 ms at a million). Equal bytes whatever the number of threads: no product is large enough
for the BLAS to split it. Not for: the order of things; items nobody has touched; shops of some hundred shoppers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.errors import SnapshotCorrupt
from bodega.retrieval._index import interest, load_facts, save_arrays, save_facts, step_weights, top_k
from bodega.retrieval._tastes import tastes_of
from bodega.schema import Candidates, Context, ItemTable, World
from bodega.schema.arrays import Flags, Floats, Ints
from bodega.schema.table import mapped

UNSPLIT = 262_144
"""Products of one multiplication up to which OpenBLAS stays on one thread (its sums depend on how it splits)."""

HELD = 4_000_000
"""Numbers gathered at once: 16 MB."""


class MatrixOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The few numbers, chosen on validation items (docs/decisions/0023-item-item-family.md)."""

    factors: int = 64
    rounds: int = 8
    unseen: float = 0.01
    """Weight of a pair that never happened against one that did (alpha 0 of Rendle et al.)."""
    ridge: float = 0.003
    """Lambda, for each of the row's entries (nu = 1)."""
    newest: int = 200
    """Distinct items of a shopper that are learned from, and folded in, newest first."""
    history_decay: float = 0.7
    """Weight of an item of the history for each step that it lies before the newest one."""
    seed: int = 7


class Matrix:
    """Implicit alternating least squares, the shopper folded in at request time.

    Answers: home (from the history), similar, together, basket (from the anchors).
    Needs: shoppers with two items or more. Good for: tastes that no pair of items shows. Not for: new items, order.
    Cost: see the top of the file. Relations: `collaborative` is the same loss without the bottleneck.
    Paper: Hu, Koren & Volinsky 2008 (eq. 4, 5, 7); Rendle et al. 2021, Revisiting iALS (eq. 2, frequency-scaled ridge).
    """

    name = "matrix"

    def __init__(self, options: MatrixOptions | None = None) -> None:
        self.options = options or MatrixOptions()
        self._set(np.zeros((0, self.options.factors), np.float32))

    def fit(self, world: World) -> Self:
        options, n_items = self.options, len(world.items)
        tastes = tastes_of(interest(world.log), n_items, options.newest)
        tastes = tastes[np.diff(tastes.indptr) > 0]
        rng = np.random.default_rng(options.seed)
        items = rng.standard_normal((n_items, options.factors), np.float32) * np.float32(0.1 / options.factors**0.5)
        items[np.diff(tastes.tocsc().indptr) == 0] = 0
        by_item = tastes.T.tocsr()
        for _ in range(options.rounds if tastes.nnz else 0):
            items = solved(solved(items, tastes, options), by_item, options)
        self._set(items)
        return self

    def _set(self, items: Floats) -> None:
        self.items = items
        self.gram: Floats = gram_of(items) * np.float32(self.options.unseen)
        self.cold: Flags = np.logical_not((items != 0).any(axis=1))
        self._latest: tuple[Context, Floats] | None = None

    def retrieve(self, context: Context, k: int) -> Candidates:
        scores = self._scores(context)
        best = top_k(scores, k)
        return Candidates.of(self.name, best, scores[best])

    def score(self, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._scores(context)[items]

    def because(self, context: Context, items: NDArray[np.int32], limit: int) -> NDArray[np.int32]:
        """The seeds whose own part of the score is largest (Hu et al. 2008, eq. 7; see `protocols.Explains`)."""
        seeds, weights = self._seeds(context)
        out = np.full((len(items), limit), -1, np.int32)
        if len(seeds) and len(items):
            held = self.items[seeds]
            towards = np.linalg.solve(self._normal(held, weights), self.items[items].T).T @ (held * weights[:, None]).T
            best = np.argsort(-towards, axis=1, kind="stable")[:, :limit]
            out[:, : best.shape[1]] = np.where(np.take_along_axis(towards, best, 1) > 0, seeds[best], -1)
        return out

    def _scores(self, context: Context) -> Floats:
        if self._latest is not None and self._latest[0] is context:
            return self._latest[1]
        seeds, weights = self._seeds(context)
        scores = np.full(len(self.items), np.nan, np.float32)
        if len(seeds):
            held = self.items[seeds]
            shopper = np.linalg.solve(self._normal(held, weights), (held * weights[:, None]).sum(axis=0))
            scores[:] = self.items @ shopper
            scores[self.cold] = np.nan
            scores[context.items] = np.nan
        self._latest = (context, scores)
        return scores

    def _normal(self, held: Floats, weights: Floats) -> Floats:
        """The matrix of the shopper's normal equations."""
        own: Floats = np.asarray((held * weights[:, None]).T @ held, np.float32)
        own += self.gram
        own[np.diag_indices(len(own))] += _ridge(len(held), len(self.items), self.options)
        return own

    def _seeds(self, context: Context) -> tuple[Ints, Floats]:
        """Known items, each once: the anchors, all alike, else the newest of the history with their weights."""
        if len(context.items):
            seeds = np.unique(context.items)
            weights = np.ones(len(seeds), np.float32)
        else:
            history, decayed = step_weights(context, self.options.history_decay)
            seeds, last = np.unique(history[::-1], return_index=True)
            newest = np.argsort(last, kind="stable")[: self.options.newest]
            seeds, weights = seeds[newest], decayed[::-1][last[newest]]
        known = ~self.cold[seeds]
        return seeds[known].astype(np.int32), weights[known]

    def save(self, folder: Path) -> None:
        save_arrays(folder, {"items": self.items})
        save_facts(folder, self.options)

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        """Raises SnapshotCorrupt for vectors of another shape, or that are not numbers."""
        source = cls(load_facts(folder, MatrixOptions))
        vectors, shape = mapped(folder / "items.npy"), (len(items), source.options.factors)
        if vectors.shape != shape or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
            raise SnapshotCorrupt(
                "the item vectors cannot be used",
                where=str(folder / "items.npy"),
                allowed=f"finite float32 of shape {shape}",
                got=f"{vectors.dtype} {vectors.shape}, {np.count_nonzero(~np.isfinite(vectors))} not finite",
                next="bodega learn",
            )
        source._set(vectors)
        return source


def solved(fixed: Floats, wanted: sparse.csr_matrix, options: MatrixOptions) -> Floats:
    """One half round: for each row of `wanted` (weights) the vector that best fits `fixed`: (n_rows, factors)."""
    counts, width = np.diff(wanted.indptr), fixed.shape[1]
    out = np.zeros((wanted.shape[0], width), np.float32)
    gram, eye = gram_of(fixed) * np.float32(options.unseen), np.eye(width, dtype=np.float32)
    part = max(1, UNSPLIT // (width * width))
    padded = np.where(counts > part, -(-counts // part) * part, 2 ** np.ceil(np.log2(np.maximum(counts, 1)))).astype(
        int
    )
    for length in np.unique(padded[counts > 0]):
        rows = np.flatnonzero((padded == length) & (counts > 0))
        step = max(1, HELD // (int(length) + width) // width)
        for low in range(0, len(rows), step):
            own = rows[low : low + step]
            place = wanted.indptr[own, None] + np.arange(length)
            inside = np.arange(length) < counts[own, None]
            place[~inside] = 0
            weight = np.where(inside, wanted.data[place], np.float32(0))
            near = fixed[wanted.indices[place]]
            pieces = near.reshape(-1, min(part, int(length)), width)
            heavy = (near * weight[:, :, None]).reshape(pieces.shape)
            normal = (heavy.transpose(0, 2, 1) @ pieces).reshape(len(own), -1, width, width).sum(axis=1) + gram
            normal += _ridge(counts[own], len(fixed), options)[:, None, None] * eye
            right = heavy.reshape(near.shape).sum(axis=1)
            out[own] = np.linalg.solve(normal, right[:, :, None])[:, :, 0]
    return out


def _ridge(counts: NDArray[np.integer] | int, others: int, options: MatrixOptions) -> Floats:
    """Lambda times the weight of the row: what was seen, and all that was not."""
    scaled: Floats = np.asarray(options.ridge * (counts + options.unseen * others), np.float32)
    return scaled


def gram_of(vectors: Floats) -> Floats:
    """Sum of outer products of the rows: (factors, factors), in pieces that the BLAS does not split."""
    width = vectors.shape[1]
    part = max(1, UNSPLIT // (width * width))
    whole = np.zeros((-(-len(vectors) // part) * part, width), np.float32)
    whole[: len(vectors)] = vectors
    pieces = whole.reshape(-1, part, width)
    total: Floats = (pieces.transpose(0, 2, 1) @ pieces).sum(axis=0, dtype=np.float32)
    return total
