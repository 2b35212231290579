"""The static encoder while it learns: words made of pieces, texts made of words, and the way back for gradients.

A word's vector is its weight (rare words more) times (its own vector + the sum of its letter runs / root of their
number). Only the different words of a batch are made, once each: that is what makes a step 4 times cheaper than
summing pieces text by text. Cost: a step of 512 pairs of texts about 60 ms. Not for: serving (`static`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.schema.arrays import Floats
from bodega.understanding.text import _pieces
from bodega.understanding.text._sparse_adam import SparseAdam
from bodega.understanding.text.static import Table, unit

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Bags:
    """n texts as word numbers: text i has `words[starts[i]:starts[i + 1]]`."""

    starts: Rows
    words: Rows

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, rows: Rows) -> Bags:
        """These texts, in this order."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        flat = np.arange(ends[-1]) + np.repeat(self.starts[rows] - ends[:-1], lengths)
        return Bags(ends, self.words[flat])

    def split(self, most: NDArray[np.integer], rng: np.random.Generator) -> tuple[Bags, Bags]:
        """(at most `most[i]` words of each text drawn by chance, the words left over)."""
        owner = self.owner
        order = np.lexsort((rng.random(len(owner)), owner))
        rank = np.empty(len(owner), np.int64)
        rank[order] = np.arange(len(owner)) - np.repeat(self.starts[:-1], np.diff(self.starts))
        chosen = rank < most[owner]
        return self.where(chosen), self.where(~chosen)

    def where(self, keep: NDArray[np.bool_]) -> Bags:
        """Only the words that are kept, (len(words),)."""
        ends = np.concatenate([[0], np.cumsum(np.bincount(self.owner[keep], minlength=len(self)))])
        return Bags(ends.astype(np.int64), self.words[keep])

    @property
    def owner(self) -> Rows:
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def beside(self, other: Bags) -> Bags:
        """These texts, then the others."""
        return Bags(
            np.concatenate([self.starts, other.starts[1:] + self.starts[-1]]), np.concatenate([self.words, other.words])
        )


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The words that training sees. All arrays but `runs` have shape (n_words,)."""

    words: list[str]
    weight: Floats
    """0 to 1, rare words high."""
    own: Rows
    """Row of the word's own vector, -1 where it is too rare to have one."""
    runs: list[str]
    holds: sparse.csr_matrix
    """(n_words, n_runs): 1 / root of the number of runs where the word has the run."""

    @classmethod
    def of(cls, words: list[str], weight: Floats, known: NDArray[np.bool_], most_runs: int) -> Vocabulary:
        """`weight` and whether the word is `known` enough for a vector of its own, (n_words,); runs of many words go
        first."""
        own = np.where(known, np.cumsum(known) - 1, -1)
        names, flat, ends = _pieces.runs_of(words)
        spread = np.bincount(flat, minlength=len(names))
        order = np.argsort(-spread, kind="stable")[:most_runs]
        kept = np.sort(order)
        number = np.full(len(names) + 1, -1, np.int64)
        number[kept] = np.arange(len(kept))
        bags = Bags(ends, number[flat])
        bags = bags.where(bags.words >= 0)
        sizes = np.diff(bags.starts)
        data = np.repeat(1.0 / np.sqrt(np.maximum(sizes, 1)), sizes).astype(np.float32)
        holds = sparse.csr_matrix((data, bags.words, bags.starts), shape=(len(words), len(kept)))
        return cls(words, weight, own, [names[row] for row in kept.tolist()], holds)


class Learner:
    """The tables of own and run vectors, with their optimisers."""

    def __init__(self, vocabulary: Vocabulary, dimensions: int, rng: np.random.Generator) -> None:
        self.vocabulary = vocabulary
        self.dimensions = dimensions
        size = np.float32(1 / np.sqrt(dimensions))
        own = int(vocabulary.own.max(initial=-1)) + 1
        self.own = SparseAdam(rng.standard_normal((own, dimensions), np.float32) * size)
        self.runs = SparseAdam(rng.standard_normal((len(vocabulary.runs), dimensions), np.float32) * size)

    def batch(self, bags: Bags, hidden: float, rng: np.random.Generator) -> Batch:
        """The vectors of these texts; the own vectors of a share `hidden` of the words are left out."""
        words, place = np.unique(bags.words, return_inverse=True)
        rows = self.vocabulary.own[words]
        rows[rng.random(len(words)) < hidden] = -1
        part = self.vocabulary.holds[words]
        runs, column = np.unique(part.indices, return_inverse=True)
        part = sparse.csr_matrix((part.data, column, part.indptr), shape=(len(words), len(runs)))
        vectors = part @ self.runs.table[runs]
        vectors[rows >= 0] += self.own.table[rows[rows >= 0]]
        vectors *= self.vocabulary.weight[words][:, None]
        held = sparse.csr_matrix(
            (np.ones(len(place), np.float32), place.ravel(), bags.starts), shape=(len(bags), len(words))
        )
        return Batch(self, words, rows, (runs, part), held, held @ vectors)

    def table(self) -> Table:
        """All words with a vector of their own, and all runs, ready to serve."""
        known = np.flatnonzero(self.vocabulary.own >= 0)
        vectors = self.vocabulary.holds[known] @ self.runs.table + self.own.table[self.vocabulary.own[known]]
        vectors *= self.vocabulary.weight[known][:, None]
        keys = [_pieces.term_key(self.vocabulary.words[row]) for row in known.tolist()]
        keys += [_pieces.run_key(run) for run in self.vocabulary.runs]
        return Table.of(_pieces.keys_of(keys, len(keys)), np.concatenate([vectors, self.runs.table]))


@dataclass(slots=True, eq=False)
class Batch:
    """Texts on their way: `sums` (n, d) are their vectors before they are made length 1."""

    learner: Learner
    words: Rows
    own: Rows
    runs: tuple[Rows, sparse.csr_matrix]
    held: sparse.csr_matrix
    sums: Floats

    @property
    def vectors(self) -> Floats:
        return unit(self.sums)

    def learn(self, gradient: Floats, rate: float) -> None:
        """One step against the gradient of the *length-1* vectors, (n, d)."""
        vectors = self.vectors
        length = np.sqrt(np.einsum("ij,ij->i", self.sums, self.sums))[:, None]
        gradient = (gradient - vectors * np.einsum("ij,ij->i", gradient, vectors)[:, None]) / np.maximum(length, 1e-6)
        by_word = (self.held.T @ gradient) * self.learner.vocabulary.weight[self.words][:, None]
        some = self.own >= 0
        self.learner.own.step(self.own[some], by_word[some], rate)
        runs, part = self.runs
        self.learner.runs.step(runs, part.T @ by_word, rate)


def number(texts: Sequence[str], code: dict[str, int]) -> Bags:
    """Texts as bags of word numbers; words that `code` does not have yet are added to it."""
    flat: list[int] = []
    ends = [0]
    for text in texts:
        flat += [code.setdefault(term, len(code)) for term in _pieces.terms(text)]
        ends.append(len(flat))
    return Bags(np.asarray(ends, np.int64), np.asarray(flat, np.int64))
