"""How does a learned ranker order a shelf that has changed since it learned? As if what is new were blank.

A ranker knows items by their row in the snapshot; the engine ranks rows of the shelf, which also holds what was added
or changed since. A changed item is what it was; a new one has no counters, no words, no brand: what the sources say of
it decides alone. The state that the ranker's features read therefore ends in one blank row.
Cost: one lookup a candidate. Not for: places that the weighted sum orders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bodega.engine.shelf import GONE, Shelf
from bodega.ranking.learned import Model, Ranker, Recipe
from bodega.schema import Candidates, Context
from bodega.schema.arrays import Floats, Ints, Longs


@dataclass(frozen=True)
class OnShelf:
    """A `Stage`: a ranker whose state has a blank row, over one shelf."""

    ranker: Ranker
    shelf: Shelf

    @property
    def recipe(self) -> Recipe:
        return self.ranker.recipe

    @property
    def model(self) -> Model:
        return self.ranker.model

    def rank(self, context: Context, candidates: Candidates) -> Candidates:
        """The same candidates, best first, `score` set."""
        if not len(candidates) or not self.serves(candidates):
            return self.recipe.fusion.rank(context, candidates)
        rows, score = self.ranker.order(context, self._known(candidates))
        return replace(self.recipe.fusion.reordered(candidates, rows), score=score)

    def serves(self, candidates: Candidates) -> bool:
        return self.ranker.serves(candidates)

    def shares(self, context: Context, candidates: Candidates, rows: Longs | None = None) -> Floats:
        """Part of each candidate's score that each source gave: (n, n_sources); `rows`: only these."""
        return self.ranker.shares(context, candidates, rows)

    def contributions(self, context: Context, candidates: Candidates, rows: Ints | None = None) -> Floats:
        """(n, n_features): how far each feature moved each candidate's score; `rows`: only these."""
        return self.ranker.contributions(context, self._known(candidates), rows)

    def _known(self, candidates: Candidates) -> Candidates:
        """The candidates as the snapshot knows them: a new item is the blank row after the last."""
        known = self.shelf.known_as[candidates.items]
        known = np.where(known == GONE, np.int32(len(self.shelf.base)), known).astype(np.int32)
        return Candidates(known, candidates.scores, candidates.score, candidates.sources)
