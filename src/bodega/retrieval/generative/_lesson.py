"""What is the network taught, and where does it start? Ids, rows, words, and weights that already know them.

Every table starts where the ids come from: a code's embeddings are its centroid, a word's what it adds to an item's
vector, both turned into the leading directions of all items' vectors. From noise the first epochs would only find that
out again (algorithms measured it for SASRec: .0449 after 2 epochs against .0100).
Not for: torch (`_learning`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodega.retrieval._neural.weights import Arrays
from bodega.retrieval.generative._ids import HALF, SemanticIds
from bodega.retrieval.generative._network import Size, shapes
from bodega.retrieval.generative._steps import Language, Steps
from bodega.retrieval.generative.options import GenerativeOptions
from bodega.schema.arrays import Floats, Ints

SPREAD = 0.1
"""Deviation of the embeddings at the start."""
OTHERS = 0.02

OWN = "own"
"""The weight that holds one vector an item; it is only there while learning (served vectors hold the sum)."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """All that training reads."""

    options: GenerativeOptions
    ids: SemanticIds
    steps: Steps
    language: Language
    n_digits: Ints
    """How many digits the leaf of each item has: (n_items,)."""

    @property
    def codes(self) -> Ints:
        """(n_items, levels + 1): codes and digit (0 for an item without one)."""
        return np.column_stack([self.ids.codes, np.maximum(self.ids.digit, 0)])

    @property
    def vectors(self) -> Floats:
        return self.ids.vectors

    @property
    def size(self) -> Size:
        """What the shapes of the weights follow from."""
        spoken = self.language
        return Size(
            n_codes=self.ids.maker.quantiser.n_codes,
            n_digits=max(1, int(self.n_digits.max(initial=0))),
            n_side=2 * HALF,
            n_words=len(spoken.words),
            n_queries=len(spoken.queries),
        )

    def start(self) -> Arrays:
        """Weights before the first step."""
        rng = np.random.default_rng([self.options.seed, 3])
        turn = self._turn()
        found: Arrays = {}
        for name, shape in shapes(self.options, self.size).items():
            if "scale" in name:
                found[name] = np.ones(shape, np.float32)
            elif "shift" in name or name.startswith(("rise", "bias", "asked")) or name.endswith((".rise", ".fall")):
                found[name] = np.zeros(shape, np.float32)
            elif (len(shape) == 2 and name[:2] in ("up", "do")) or "block" in name or "cross" in name or "deco" in name:
                found[name] = (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
            else:
                found[name] = (rng.standard_normal(shape) * OTHERS).astype(np.float32)
        if len(self.ids.codes) <= self.options.own_items:
            found[OWN] = np.zeros((len(self.ids.codes), self.options.dimensions), np.float32)
        for level in range(self.options.levels):
            known = self._centroids(level, turn)
            for name in (f"code{level}", f"path{level}", f"out{level}"):
                found[name] += known
        if self.options.side:
            found["side"] += turn
        if len(self.language.words):
            halves = self.ids.maker.content.words(self.language.words)
            found["words"] += _spread(halves @ turn[HALF:])
            found["ask"] = (rng.standard_normal(found["ask"].shape) / np.sqrt(len(turn))).astype(np.float32)
        return found

    def _turn(self) -> Floats:
        """(2 x HALF, d): an item's vector in its leading directions, deviation `SPREAD`."""
        vectors = self.ids.vectors.astype(np.float64)
        d = self.options.dimensions
        values, directions = np.linalg.eigh(np.einsum("nk,nd->kd", vectors, vectors))
        turn = np.zeros((2 * HALF, d))
        best = np.argsort(-values, kind="stable")[:d]
        turn[:, : len(best)] = directions[:, best]
        largest = np.abs(turn).argmax(axis=0)
        signs = np.sign(turn[largest, np.arange(d)])
        turn = turn * np.where(signs == 0, 1, signs)
        deviation = float((vectors @ turn).std()) if len(vectors) else 0.0
        return (turn * (SPREAD / deviation if deviation > 0 else 0.0)).astype(np.float32)

    def _centroids(self, level: int, turn: Floats) -> Floats:
        """The centroids of a level; with a network before the books, the mean vector of each code's items."""
        quantiser = self.ids.maker.quantiser
        if not quantiser.layers:
            book = quantiser.books[level]
            return np.where(np.abs(book).max(axis=1, keepdims=True) > 100, 0, book) @ turn
        sums = np.zeros((quantiser.n_codes, 2 * HALF))
        np.add.at(sums, self.ids.codes[:, level], self.ids.vectors - self.ids.vectors.mean(axis=0))
        count = np.bincount(self.ids.codes[:, level], minlength=len(sums))
        return ((sums / np.maximum(count, 1)[:, None]) @ turn).astype(np.float32)


def _spread(rows: Floats) -> Floats:
    deviation = float(rows[rows.any(axis=1)].std()) if rows.any() else 0.0
    return (rows * (SPREAD / deviation if deviation > 0 else 0.0)).astype(np.float32)
