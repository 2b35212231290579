"""Which characters, pairs of characters and words stand in the same company? Groups learned from texts nobody tagged.

Idea: words that have the same neighbours are of one kind: every word gets the row of its neighbours' (positive) mutual
information, cut to 64 numbers by SVD, and rows are grouped by k-means on directions, coarse and fine. A tagger that is
told the group of a word knows something of words that no tagged title holds. Mutual information of two neighbouring
characters tells where words end.
Cost: 130,000 short texts take about 20 s. Not for: meaning in sentences (encoders do that).
Papers: Levy & Goldberg 2014 (PPMI + SVD); Miller, Guinness & Zamanian 2004 (clusters as features of a tagger).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import rjieba
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds

DIMENSIONS = 64
REACH = 2
"""Neighbours to each side."""
ROUNDS = 12
SIZES = {"word": (64, 256, 1024), "char": (64, 256), "pair": (256, 1024)}
LEAST = {"word": 3, "char": 3, "pair": 5}
RARE = 3
"""Pairs of characters seen less often have no mutual information."""


@dataclass(frozen=True, slots=True)
class Grams:
    """{kind: for each size {gram: number of its group}}; `bound`: {pair of characters: mutual information, whole}."""

    groups: Mapping[str, Sequence[Mapping[str, int]]] = field(default_factory=dict)
    bound: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Iterable[str], rng: np.random.Generator) -> Grams:
        """Learn from texts. Same texts in the same order, same groups."""
        held = list(texts)
        cut = {
            "word": [rjieba.cut(text) for text in held],
            "char": [list(text) for text in held],
            "pair": [[text[at : at + 2] for at in range(len(text) - 1)] for text in held],
        }
        groups = {kind: _grouped(sequences, kind, rng) for kind, sequences in cut.items()}
        return cls(groups, _bound(cut["char"], cut["pair"]))

    def of_gram(self, kind: str, gram: str) -> list[str]:
        """The groups of a gram, coarse to fine; "?" where it is not known."""
        return [str(own.get(gram, "?")) for own in self.groups.get(kind, ())]


def _grouped(sequences: Sequence[Sequence[str]], kind: str, rng: np.random.Generator) -> list[dict[str, int]]:
    counts = Counter(gram for sequence in sequences for gram in sequence)
    names = [gram for gram, times in sorted(counts.items()) if times >= LEAST[kind]]
    if len(names) <= DIMENSIONS + 1:
        return [{} for _ in SIZES[kind]]
    rows = _directions(sequences, {gram: at for at, gram in enumerate(names)})
    found = []
    for size in SIZES[kind]:
        label = _means(rows, min(size, len(names)), rng)
        found.append(dict(zip(names, label.tolist(), strict=True)))
    return found


def _directions(sequences: Sequence[Sequence[str]], code: Mapping[str, int]) -> NDArray[np.float64]:
    """(n, DIMENSIONS) rows of length 1: SVD of positive mutual information with the neighbours before and after."""
    n = len(code)
    ends = np.cumsum([len(sequence) + REACH for sequence in sequences])
    flat = np.full(int(ends[-1]), -1, np.int64)
    at = 0
    for sequence in sequences:
        for gram in sequence:
            flat[at] = code.get(gram, -1)
            at += 1
        at += REACH  # what stands in another text is no neighbour
    left, right = [], []
    for step in range(1, REACH + 1):
        one, other = flat[:-step], flat[step:]
        known = (one >= 0) & (other >= 0)
        left += [one[known], other[known]]
        right += [other[known] + n, one[known]]
    rows, cols = np.concatenate(left), np.concatenate(right)
    counts = sparse.coo_matrix((np.ones(len(rows)), (rows, cols)), (n, 2 * n)).tocsr()
    counts.sum_duplicates()
    total = np.asarray(counts.sum(axis=1)).ravel()
    beside = np.asarray(counts.sum(axis=0)).ravel() ** 0.75
    flat_counts = counts.tocoo()
    mutual = np.log(flat_counts.data * beside.sum() / (total[flat_counts.row] * beside[flat_counts.col]))
    kept = mutual > 0
    matrix = sparse.csr_matrix((mutual[kept], (flat_counts.row[kept], flat_counts.col[kept])), (n, 2 * n))
    vectors, strength, _ = svds(matrix, k=DIMENSIONS, v0=np.ones(n))
    found: NDArray[np.float64] = vectors * np.sqrt(strength)
    found /= np.linalg.norm(found, axis=1, keepdims=True) + 1e-9
    return found


def _means(rows: NDArray[np.float64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The number of the nearest of `size` centres for each row (k-means on directions)."""
    centres = rows[np.sort(rng.choice(len(rows), size, replace=False))]
    label = np.zeros(len(rows), np.int64)
    for _ in range(ROUNDS):
        label = np.concatenate(
            [(part @ centres.T).argmax(axis=1) for part in np.array_split(rows, 1 + len(rows) // 8192)]
        )
        sums = np.asarray(
            sparse.csr_matrix((np.ones(len(rows)), (label, np.arange(len(rows)))), (size, len(rows))) @ rows
        )
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 1e-9, sums / np.maximum(lengths, 1e-9), centres)
    return label


def _bound(chars: Sequence[Sequence[str]], pairs: Sequence[Sequence[str]]) -> dict[str, int]:
    one, two = Counter(char for text in chars for char in text), Counter(pair for text in pairs for pair in text)
    total = sum(one.values())
    return {
        pair: int(min(9, max(-2, math.log(times * total / (one[pair[0]] * one[pair[1]])))))
        for pair, times in sorted(two.items())
        if times >= RARE
    }
