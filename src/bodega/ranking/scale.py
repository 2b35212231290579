"""Scores of sources that never heard of each other, on one scale: z-scores, or reciprocal ranks.

Measured on Beauty validation (8,000 shoppers, transition + EASE + popular, best weights of a grid, NDCG@10): z-scores
.0645 to .0646 whatever the treatment of missing scores, min-max .0635, RRF(20) .0633; best single source .0629.
"""

from __future__ import annotations

import numpy as np

from bodega.schema.arrays import Floats

CANDIDATES = 200
"""Candidates asked of each source, and the length of the list that a z-score is relative to."""

RRF_K = 20
"""1 / (20 + rank): untuned reciprocal-rank fusion, the fallback without validation data."""


def z_scores(scores: Floats, k: int = CANDIDATES) -> Floats:
    """(n, n_sources) scores as z-scores over each source's own best k, float32, the same shape.

    Where a source has no score (NaN or infinite) its z is the lowest that it gave. When its best k all have the same
    score they get 0 and everything else -1. A silent source is 0 everywhere.
    """
    columns = np.ascontiguousarray(scores.T, np.float32)
    known = np.isfinite(columns)
    best = np.where(known, columns, np.float32(-np.inf))
    n = columns.shape[1]
    if n > k:
        best = np.partition(best, n - k, axis=1)[:, n - k :]
    given = best > -np.inf
    count = np.maximum(given.sum(axis=1, keepdims=True), 1)
    mean = np.where(given, best, 0).sum(axis=1, keepdims=True, dtype=np.float64) / count
    gap = np.where(given, best - mean, 0)
    deviation = np.sqrt((gap * gap).sum(axis=1, keepdims=True) / count)
    flat = deviation <= 1e-6 * np.abs(mean)
    low = np.where(known, columns, np.float32(np.inf)).min(axis=1, keepdims=True, initial=np.inf)
    z: Floats = (np.where(known, columns, low) - mean.astype(np.float32)) / np.where(flat, 1, deviation).astype(
        np.float32
    )
    for source in np.flatnonzero(flat).tolist():
        heard, level = known[source], mean[source]
        z[source] = np.where(heard & (columns[source] >= level - 1e-5 * np.abs(level)), 0, -1) if heard.any() else 0
    return z.T


def rrf_scores(scores: Floats) -> Floats:
    """1 / (20 + rank) in each source's list, 0 where it has no score; ties share their average rank."""
    out = np.zeros(scores.shape, np.float32)
    for column in range(scores.shape[1]):
        values = scores[:, column]
        known = np.isfinite(values)
        ordered = np.sort(values[known])
        above = len(ordered) - np.searchsorted(ordered, values[known], "right")
        upto = len(ordered) - np.searchsorted(ordered, values[known], "left")
        out[known, column] = 1 / (RRF_K + (above + 1 + upto) / 2)
    return out
