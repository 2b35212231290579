"""Who likes this also likes what? Item-to-item weights from whole tastes, without order.

Up to `ease_items` sold items the weights are EASE, the closed form of a linear autoencoder without self-similarity:
B = -P / diag(P) with P = (X'X + lambda I)^-1, cut to the best 200 positive entries a row; larger catalogs use cosine
item-kNN, damped for rare items (measured switch: docs/decisions/0006-collaborative-switch.md).
Cost: EASE n^3 flops and 4 n^2 bytes (12k items: 0.6 GB); kNN some seconds whatever the catalog. A request reads
200 entries a seed. Not for: the order of things; items nobody has touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import sparse

from bodega.errors import BodegaError
from bodega.retrieval._index import Neighbours, interest, item_blocks, load_facts, save_facts
from bodega.retrieval._item_to_item import Asked, ItemToItem, nobody, seeds_of
from bodega.retrieval._tastes import tastes_of
from bodega.schema import Context, ItemTable, World
from bodega.schema.arrays import Floats


class CollaborativeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The few numbers, chosen on validation items (docs/decisions/0006-collaborative-switch.md)."""

    ease_items: int = 20_000
    ridge: float = 75.0
    """Lambda of EASE."""
    shrink: float = 20.0
    """Added to the product of norms of cosine: pairs seen together fewer times than this are not believed."""
    newest: int = 200
    """Distinct items of a shopper that are learned from, newest first."""
    history_decay: float = 0.8
    """Weight of a seed for each step that it lies before the newest one."""
    top: int = 200


class Collaborative(ItemToItem):
    """EASE on small catalogs, damped cosine item-kNN on large ones; `method` says which.

    Answers: home (from the history), similar, together, basket (from the anchors).
    Needs: shoppers with two items or more. Good for: long histories without a clear order. Not for: new items.
    Cost: see the top of the file. Relations: `transition` knows the order and is better where there is one.
    Paper: Steck 2019, Embarrassingly shallow autoencoders (eq. 8); Sarwar et al. 2001 (cosine item-kNN).
    """

    name = "collaborative"

    def __init__(self, ease_items: int = 20_000, options: CollaborativeOptions | None = None) -> None:
        super().__init__()
        self.options = options or CollaborativeOptions(ease_items=ease_items)
        self.near = nobody()
        self.method = ""
        """"ease" or "knn"; empty before `fit`."""

    def fit(self, world: World) -> Self:
        self._forget()
        tastes = tastes_of(interest(world.log), len(world.items), self.options.newest)
        sold = np.unique(tastes.indices)
        self.method = "ease" if len(sold) <= self.options.ease_items else "knn"
        if self.method == "ease":
            rows = _ease(tastes[:, sold].tocsr(), self.options)
            self.near = Neighbours.cut(rows, self.options.top).placed(sold.astype(np.int32), len(world.items))
        else:
            self.near = Neighbours.cut(_cosine(tastes, self.options), self.options.top)
        return self

    def _asked(self, context: Context) -> Asked:
        return self.near, *seeds_of(context, self.options.history_decay)

    def save(self, folder: Path) -> None:
        self.near.save(folder, "near")
        save_facts(folder, _Facts(self.options, self.method))

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        del items
        facts = load_facts(folder, _Facts)
        source = cls(options=facts.options)
        source.near, source.method = Neighbours.load(folder, "near"), facts.method
        return source


class _Facts(msgspec.Struct, frozen=True):
    options: CollaborativeOptions
    method: str


def _ease(tastes: sparse.csr_matrix, options: CollaborativeOptions) -> Iterator[sparse.csr_matrix]:
    """Blocks of rows of B; one n x n float32 buffer is all that is held."""
    n = tastes.shape[1]
    by_item = tastes.T.tocsr()
    gram = np.empty((n, n), np.float32)
    for low in range(0, n, 1024):
        gram[low : low + 1024] = (by_item[low : low + 1024] @ tastes).toarray()
    gram[np.diag_indices(n)] += np.float32(options.ridge)
    inverse = _inverse(gram)
    diagonal = inverse.diagonal().copy()
    for low in range(0, n, 1024):
        block = -inverse[low : low + 1024] / diagonal
        block[np.arange(len(block)), np.arange(low, low + len(block))] = 0
        block[_below(block, options.top)] = 0
        yield sparse.csr_matrix(block)


def _inverse(matrix: Floats) -> Floats:
    """Inverse of a symmetric positive definite matrix in its own memory: Cholesky, then its inverse (LAPACK)."""
    if not len(matrix):
        return matrix
    factor, failed = scipy.linalg.lapack.spotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
    inverse, failed_too = scipy.linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise BodegaError(
            "EASE could not invert its matrix",
            where="Collaborative.fit",
            allowed="a ridge above 0",
            got=f"LAPACK codes {failed}, {failed_too}",
            next="raise CollaborativeOptions.ridge",
        )
    full: Floats = inverse.T  # C order again: the upper triangle holds the answer
    for low in range(0, len(full), 1024):
        high = low + 1024
        square = full[low:high, low:high]
        square[:] = np.triu(square) + np.triu(square, 1).T
        full[high:, low:high] = full[low:high, high:].T
    return full


def _below(block: Floats, top: int) -> NDArray[np.bool_]:
    """What is negative or surely not among the `top` of its row (ties at the edge stay; `Neighbours.cut` decides)."""
    n = block.shape[1]
    if n <= top:
        return block <= 0
    least = np.partition(block, n - top, axis=1)[:, n - top]
    edge: NDArray[np.bool_] = (block < least[:, None]) | (block <= 0)
    return edge


def _cosine(tastes: sparse.csr_matrix, options: CollaborativeOptions) -> Iterator[sparse.csr_matrix]:
    """Blocks of rows of X'X / (norm norm' + shrink), without the diagonal."""
    by_item = tastes.T.tocsr()
    norm = np.sqrt(np.asarray(by_item.multiply(by_item).sum(axis=1)).ravel()).astype(np.float32)
    work = by_item @ np.diff(tastes.indptr).astype(np.float32) + 1
    for low, high in item_blocks(work):
        block = sparse.csr_matrix(by_item[low:high] @ tastes)
        owner = np.repeat(np.arange(low, high), np.diff(block.indptr))
        both = norm[owner] * norm[block.indices] + np.float32(options.shrink)
        block.data = np.where(owner == block.indices, np.float32(0), block.data / both)
        yield block
