"""How does a vector become three small numbers? The nearest of 256 centroids, then the same of what is left.

Level by level k-means runs over what the levels before could not say; the code of an item is the number of its
centroid at each level, so items that share a first code are near and those that share all are alike. An optional small
network before it (RQ-VAE, `_rqvae`) is the same thing in another space: `layers` is empty for plain k-means.
Cost: 12,000 vectors of 128 numbers, 3 x 256 centroids, 6 CPU s; beyond 20,000 vectors a seeded draw is clustered.
Papers: Chen et al. 2010 (residual vector quantisation); Lee et al. 2022 (RQ-VAE); Rajput et al. 2023 (TIGER).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodega.schema.arrays import Floats, Ints

ROUNDS = 20
"""Rounds of Lloyd's algorithm; the distortion of Beauty moves by less than .1 % after 15."""
CLUSTERED = 20_000
"""Vectors that are clustered; the others only get the nearest centroid."""
BLOCK = 4_096


@dataclass(frozen=True, eq=False)
class Quantiser:
    """`books` (levels, n_codes, d) float32; `layers` are (weight (out, in), bias (out,)) of a network before them."""

    books: Floats
    layers: tuple[tuple[Floats, Floats], ...] = ()

    @classmethod
    def learn(cls, vectors: Floats, levels: int, n_codes: int, *, seed: int) -> Quantiser:
        """Residual k-means over the rows."""
        rng = np.random.default_rng(seed)
        left = vectors.astype(np.float32)
        if len(left) > CLUSTERED:
            left = left[np.sort(rng.choice(len(left), CLUSTERED, replace=False))]
        books = np.zeros((levels, n_codes, vectors.shape[1]), np.float32)
        for level in range(levels):
            books[level] = _clustered(left, n_codes, rng)
            left = left - books[level][nearest(left, books[level])]
        return cls(books)

    @property
    def n_codes(self) -> int:
        return int(self.books.shape[1])

    def encode(self, vectors: Floats) -> Ints:
        """(n, levels) int32: the codes of each row."""
        left = self.latent(vectors)
        codes = np.zeros((len(left), len(self.books)), np.int32)
        for level, book in enumerate(self.books):
            codes[:, level] = nearest(left, book)
            left = left - book[codes[:, level]]
        return codes

    def latent(self, vectors: Floats) -> Floats:
        """The rows as the books see them."""
        rows = vectors.astype(np.float32)
        for number, (weight, bias) in enumerate(self.layers):
            rows = rows @ weight.T + bias
            if number + 1 < len(self.layers):
                rows = np.maximum(rows, 0)
        return rows

    def decode(self, codes: Ints) -> Floats:
        """The sum of the centroids of each row of codes: what is left of the vector, (n, d)."""
        out = np.zeros((len(codes), self.books.shape[2]), np.float32)
        for level, book in enumerate(self.books):
            out += book[codes[:, level]]
        return out


def nearest(rows: Floats, centroids: Floats) -> Ints:
    """The nearest centroid of each row, the lower number on ties."""
    half = np.einsum("kd,kd->k", centroids, centroids) / 2
    out = np.empty(len(rows), np.int32)
    for low in range(0, len(rows), BLOCK):
        block = slice(low, low + BLOCK)
        out[block] = (rows[block] @ centroids.T - half).argmax(axis=1)
    return out


def _clustered(rows: Floats, n_codes: int, rng: np.random.Generator) -> Floats:
    """K-means; a centroid that nobody chose starts again at the row that is farthest from its own."""
    distinct = np.unique(rows, axis=0)
    if len(distinct) <= n_codes:
        out = np.full((n_codes, rows.shape[1]), np.float32(1e3))  # a place that nothing is near to
        out[: len(distinct)] = distinct
        return out
    centroids = distinct[np.sort(rng.choice(len(distinct), n_codes, replace=False))]
    for _ in range(ROUNDS):
        chosen = nearest(rows, centroids)
        size = np.bincount(chosen, minlength=n_codes)
        order = np.argsort(chosen, kind="stable")
        starts = np.concatenate([[0], np.cumsum(size)[:-1]])
        full = np.flatnonzero(size)
        moved = centroids.copy()
        moved[full] = np.add.reduceat(rows[order], starts[full], axis=0) / size[full, None]
        empty = np.flatnonzero(size == 0)
        if len(empty):
            gap = rows - centroids[chosen]
            far = np.argsort(-np.einsum("nd,nd->n", gap, gap), kind="stable")
            moved[empty] = rows[far[: len(empty)]]
        centroids = moved
    return centroids
