"""What grade do clicks give, and do they know enough to give one? From pages that were shown to grades 0 to 3.

    pages -> only queries that at least `people` different people asked
          -> attraction of each (query, item), places taken out (`click_models`: pbm or sdbn, both with a prior)
          -> a 95 % interval: a Beta distribution of as many looks as the pair really had, and the prior's
          -> grades by the quantiles of attraction among what was looked at often: the lowest `STEPS[0]` are 0, ...
          -> no grade where the interval spans more than two grades: thin evidence stays silent

A grade says how an item does among what this shop showed, not how good it is in the world. Cost: a second a million
things shown. Not for: what was never shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from bodega.evaluation.judgments.click_models import pbm, sdbn
from bodega.evaluation.judgments.shown import Judged, Shown
from bodega.schema.arrays import Doubles, Flags, Ints

STEPS = (0.4, 0.7, 0.9)
"""Quantiles of attraction at which grades 1, 2 and 3 begin: most of what is shown is not what was asked for."""
PRIOR = 5.0
"""Looks at the mean of all that every pair starts from."""
OFTEN = 10.0
"""Looks from which on a pair helps to say where grades begin."""
SPAN = 1
"""The two ends of an interval lie at most so many grades apart."""
Model = Literal["pbm", "sdbn"]


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """What clicks say of m pairs. All arrays (m,)."""

    query: Ints
    item: Ints
    grade: Ints
    """-1 where the evidence is too thin."""
    relevance: Doubles
    low: Doubles
    high: Doubles
    evidence: Doubles
    """Looks that it rests on."""
    steps: tuple[float, ...] = ()
    """Attraction at which grades 1, 2 and 3 begin."""

    def __len__(self) -> int:
        return len(self.query)

    @property
    def sure(self) -> Flags:
        """Which pairs got a grade?"""
        return np.asarray(self.grade >= 0)


def asked_enough(query: Ints, person: Ints, people: int) -> Flags:
    """Which rows are of queries that at least `people` different people asked? Both (n,); query -1 never is.

    >>> asked_enough(np.array([0, 0, 1, -1]), np.array([5, 6, 5, 7]), 2).tolist()
    [True, True, False, False]
    """
    asked = query >= 0
    pairs = np.unique(np.column_stack([query[asked], person[asked]]), axis=0)
    count = np.bincount(pairs[:, 0], minlength=int(query.max(initial=-1)) + 1)
    enough = np.zeros(len(query), np.bool_)
    enough[asked] = count[query[asked]] >= people
    return enough


def graded(shown: Shown, model: Model = "pbm", steps: Sequence[float] = STEPS) -> Graded:
    """Grades of all pairs that were shown."""
    judged = pbm(shown, PRIOR).judged if model == "pbm" else sdbn(shown, PRIOR)
    low, high = _interval(judged)
    often = judged.evidence >= OFTEN
    if not often.any():
        return Graded(
            judged.query, judged.item, np.full(len(low), -1, np.int32), judged.relevance, low, high, judged.evidence
        )
    begins = np.quantile(judged.relevance[often], steps)
    of, least, most = (np.searchsorted(begins, each, "right") for each in (judged.relevance, low, high))
    grade = np.where(most - least <= SPAN, of, -1).astype(np.int32)
    return Graded(
        judged.query, judged.item, grade, judged.relevance, low, high, judged.evidence, tuple(begins.tolist())
    )


def _interval(judged: Judged) -> tuple[Doubles, Doubles]:
    """95 % of the Beta distribution whose mean is the relevance, worth the looks and the prior."""
    worth, mean = judged.evidence + PRIOR, np.clip(judged.relevance, 1e-6, 1 - 1e-6)
    low, high = (scipy.stats.beta.ppf(tail, mean * worth, (1 - mean) * worth) for tail in (0.025, 0.975))
    return np.asarray(low, np.float64), np.asarray(high, np.float64)
