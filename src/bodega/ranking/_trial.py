"""Validation cases as arrays: how good is a weight vector? What every search for weights asks a thousand times.

All candidates' z-scores are computed once; a trial is then one multiply-add and two comparisons over that array (5,000
cases x 500 candidates: 5 ms). Not for: test data, ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodega.evaluation import Case
from bodega.ranking.scale import rrf_scores, z_scores
from bodega.schema import Candidates
from bodega.schema.arrays import Doubles, Flags, Floats, Ints

MOST = 5_000
"""Cases used for the search; more cost time and move no weight by a grid step."""

PADDING = np.float32(-1e6)
"""Score of the empty places that make all cases equally long: below every z-score."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Validation cases as arrays: how good is a weight vector?"""

    sources: tuple[str, ...]
    z: Floats
    """(n_sources, rows, width): z-scores of the cases whose candidates hold something relevant."""
    ranks_only: Floats
    """The same as reciprocal ranks, for the RRF figure."""
    row: NDArray[np.int64]
    """(pairs,) row of each relevant candidate, ascending."""
    column: NDArray[np.int64]
    """(pairs,) its place in the row."""
    case: NDArray[np.int64]
    """(rows,) number of the case."""
    ideal: Doubles
    """(n_cases,) best DCG possible."""
    reached: float
    """Part of the relevant items that is among the candidates."""
    k: int

    @classmethod
    def of(
        cls,
        cases: Sequence[Case],
        candidates: Sequence[Candidates],
        k: int,
        per_source: int,
        among: Sequence[Ints] | None = None,
    ) -> Trial:
        picked = range(len(cases))
        if len(cases) > MOST:  # evenly spread: the callers' cases are in seeded or arbitrary order
            picked = np.linspace(0, len(cases) - 1, MOST).astype(int).tolist()
        kept, found, marks, outside = [], [], [], []
        for number, at in enumerate(picked):
            case, own = cases[at], candidates[at]
            if len(case.masked):
                own = own.take(~np.isin(own.items, case.masked))
            mark = np.flatnonzero(np.isin(own.items, case.relevant))
            if len(mark):
                kept.append(number)
                found.append(own.scores)
                marks.append(mark)
                outside.append(None if among is None else ~np.isin(own.items, among[at]))
        relevant = np.array([len(cases[at].relevant) for at in picked])
        ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))[np.minimum(relevant, k) - 1]
        sources = candidates[0].sources
        width = max((len(scores) for scores in found), default=1)
        z = np.full((len(sources), len(found), width), PADDING, np.float32)
        ranks_only = np.full((len(found), width), PADDING, np.float32)
        for row, scores in enumerate(found):
            z[:, row, : len(scores)] = z_scores(scores, per_source).T
            ranks_only[row, : len(scores)] = rrf_scores(scores).sum(axis=1)
            left = outside[row]
            if left is not None:
                z[:, row, : len(scores)][:, left], ranks_only[row, : len(scores)][left] = PADDING, PADDING
        sizes = np.array([len(mark) for mark in marks], np.int64)
        return cls(
            sources=sources,
            z=z,
            ranks_only=ranks_only,
            row=np.repeat(np.arange(len(found)), sizes),
            column=np.concatenate([np.empty(0, np.int64), *marks]),
            case=np.array(kept, np.int64),
            ideal=ideal,
            reached=float(sizes.sum() / relevant.sum()),
            k=k,
        )

    def rows(self, keep: Flags) -> Trial:
        """Only the cases where `keep` (n_cases,) holds."""
        own = keep[self.case]
        pair = own[self.row]
        number = np.cumsum(keep) - 1
        return Trial(
            sources=self.sources,
            z=self.z[:, own],
            ranks_only=self.ranks_only[own],
            row=(np.cumsum(own) - 1)[self.row[pair]],
            column=self.column[pair],
            case=number[self.case[own]],
            ideal=self.ideal[keep],
            reached=self.reached,
            k=self.k,
        )

    def ndcg(self, weights: Floats) -> float:
        """Mean NDCG@k over all cases."""
        return self.judged(self.score(weights))

    def score(self, weights: Floats) -> Floats:
        total: Floats = np.tensordot(weights.astype(np.float32), self.z, axes=1)
        return total

    def judged(self, score: Floats) -> float:
        return float(self.each(score).mean())

    def each(self, score: Floats) -> Doubles:
        """NDCG@k of every case; 0 where the candidates miss everything; average ranks on ties."""
        row, target = self.row, score[self.row, self.column]
        against = score
        if len(row) != len(score):  # several relevant items a case: only those level with the k best need a rank
            last = score.shape[1] - min(self.k, score.shape[1])
            near = target >= np.partition(score, last, axis=1)[row, last]
            row, target = row[near], target[near]
            against = score[row]
        above = np.count_nonzero(against > target[:, None], axis=1)
        rank = above + (np.count_nonzero(against >= target[:, None], axis=1) - above + 1) / 2
        gain = np.where(rank <= self.k, 1 / np.log2(1 + rank), 0.0)
        per_row = np.bincount(row, weights=gain, minlength=len(self.case))
        out = np.zeros(len(self.ideal))
        out[self.case] = np.minimum(per_row / self.ideal[self.case], 1.0)
        return out
