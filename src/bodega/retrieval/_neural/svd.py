"""Where should item vectors start? At the leading singular vectors of who is wanted together, not at noise.

Items a few steps apart in one shopper's row vote for each other; the matrix is divided by the root of its row and
column sums and cut to its leading directions by randomised subspace iteration. On Beauty a Transformer that starts
here is after two epochs where it is after ten from noise (docs/decisions/0021-sequential.md).
Cost: sparse products, 12,000 items to 64 dimensions in 1 s. Deterministic: seeded, signs fixed.
Not for: serving by itself (`transition` reads the same counts better).
Paper: Halko, Martinsson & Tropp 2011 (randomised range finder).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.retrieval._neural.sequences import Sequences
from bodega.schema.arrays import Floats

WINDOW = 10
"""Steps apart that two items may lie; fewer in a long log (`VOTES`)."""

VOTES = 4_000_000
"""At most so many pairs vote (at least two steps apart): a supermarket's 1.5M lines x 10 took a minute to factor."""

DECAY = 0.8
"""Vote of two items for each step that lies between them."""

ROUNDS = 4
SPARE = 16
"""Directions beyond those asked for while iterating: the last ones asked for are then right, too."""


def behaviour_vectors(sequences: Sequences, n_items: int, dimensions: int, *, seed: int = 7) -> Floats:
    """(n_items, dimensions) float32: items wanted together are near; deviation 1 over all entries of known items.

    An item that nobody wanted, and dimensions beyond what the data holds, are zeros.
    """
    matrix = together(sequences, n_items)
    left, values = leading(matrix, dimensions, seed=seed)
    return standardised(left * np.sqrt(values), n_items, dimensions)


def together(sequences: Sequences, n_items: int, *, window: int = WINDOW, decay: float = DECAY) -> sparse.csr_matrix:
    """Symmetric votes of items near each other in a row, divided by the root of row and column sums."""
    owner = np.repeat(np.arange(len(sequences)), sequences.lengths)
    window = min(window, max(2, VOTES // max(len(owner), 1)))
    total = sparse.csr_matrix((n_items, n_items), dtype=np.float32)
    for gap in range(1, window + 1):
        same = owner[gap:] == owner[:-gap]
        one, other = sequences.items[:-gap][same], sequences.items[gap:][same]
        if not len(one):
            break
        votes = np.full(len(one), decay ** (gap - 1), np.float32)
        total = total + sparse.csr_matrix((votes, (one, other)), shape=total.shape)
    total = (total + total.T).tocsr()
    sums = np.asarray(total.sum(axis=1)).ravel()
    scale = np.where(sums > 0, np.maximum(sums, 1e-12) ** -0.5, 0).astype(np.float32)
    half = sparse.diags(scale)
    return sparse.csr_matrix(half @ total @ half)


def leading(matrix: sparse.csr_matrix, dimensions: int, *, seed: int = 7) -> tuple[Floats, Floats]:
    """(left singular vectors (n, d), singular values (d,)), d = what is asked for or as many as there are."""
    width = min(dimensions + SPARE, *matrix.shape)
    if width < 1:
        return np.zeros((matrix.shape[0], 0), np.float32), np.zeros(0, np.float32)
    turned = matrix.T.tocsr()
    start = np.random.default_rng(seed).standard_normal((matrix.shape[1], width))
    basis = _orthogonal(matrix @ start)
    for _ in range(ROUNDS):
        basis = _orthogonal(matrix @ _orthogonal(turned @ basis))
    small = turned @ basis  # (n_columns, width): the matrix seen from the basis
    squared, mixing = np.linalg.eigh(_gram(small))
    order = np.argsort(-squared, kind="stable")[:dimensions]
    values = np.sqrt(np.maximum(squared[order], 0))
    left = np.einsum("nk,kd->nd", basis, mixing[:, order])
    largest = np.abs(left).argmax(axis=0)
    signs = np.sign(left[largest, np.arange(left.shape[1])])
    return (left * np.where(signs == 0, 1, signs)).astype(np.float32), values.astype(np.float32)


def standardised(vectors: Floats, n_items: int, dimensions: int) -> Floats:
    """Padded with zeros to (n_items, dimensions); deviation 1 over the rows that are not 0."""
    out = np.zeros((n_items, dimensions), np.float32)
    out[:, : vectors.shape[1]] = vectors
    known = out[np.abs(out).sum(axis=1) > 0]
    deviation = float(known.std()) if len(known) else 0.0
    return out / np.float32(deviation) if deviation > 0 else out


def _orthogonal(block: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal basis of the columns, by the eigenvectors of their products; empty directions become 0.

    `einsum` and not a matrix product: BLAS adds in another order when it has another number of threads.
    """
    values, mixing = np.linalg.eigh(_gram(block))
    scale = np.where(values > values.max(initial=0) * 1e-12, np.maximum(values, 1e-300) ** -0.5, 0)
    found: NDArray[np.float64] = np.einsum("nk,kd->nd", block, mixing * scale)
    return found


def _gram(block: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.einsum("nk,nd->kd", block, block)
    return found
