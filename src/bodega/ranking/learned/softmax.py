"""The loss that rankers learn by: which candidate of the case was it? Softmax cross-entropy over each case's rows.

LightGBM's own list losses lost here (docs/log.md): `lambdarank` follows noise in the places, `rank_xendcg` draws random
gains for what is not relevant, which drowns lists with one right answer. Paper: Cao et al. 2007 (ListNet, top one).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from bodega.ranking.learned.lessons import Lessons
from bodega.schema.arrays import Doubles, Floats, Longs

TEMPERATURES = (0.05, 0.07, 0.1, 0.14, 0.2, 0.25, 0.32, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)


@dataclass(frozen=True, eq=False)
class Softmax:
    """Cases as segments of rows."""

    starts: Longs
    """(n_cases,) first row of each; no case is empty."""
    case: Longs
    """(n_rows,)"""
    target: Doubles
    """(n_rows,) 1 / relevant items of the case where relevant, else 0."""

    @classmethod
    def of(cls, lessons: Lessons) -> Self:
        case = lessons.case
        held = np.bincount(case, weights=lessons.relevant, minlength=len(lessons))
        return cls(lessons.starts[:-1], case, lessons.relevant / np.maximum(held, 1)[case])

    def chances(self, score: Doubles) -> Doubles:
        """(n_rows,) chance of each row in its case."""
        high = np.maximum.reduceat(score, self.starts)
        raised = np.exp(score - high[self.case])
        total: Doubles = raised / np.add.reduceat(raised, self.starts)[self.case]
        return total

    def loss(self, score: Doubles) -> tuple[float, Doubles]:
        """(mean cross-entropy a case, its gradient by each row's score)."""
        chance, n = self.chances(score), max(len(self.starts), 1)
        loss = -float((self.target * np.log(np.maximum(chance, 1e-12))).sum()) / n  # no BLAS: it adds by threads
        return loss, (chance - self.target) / n

    def temperature(self, score: Floats) -> float:
        """The factor on these scores under which they tell most."""
        return min(TEMPERATURES, key=lambda factor: self.loss(score.astype(np.float64) * factor)[0])
