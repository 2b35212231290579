"""Is a language model worth its wait? Judged on the shop's own searches before it may answer anybody.

The cases are searches of the validation window that found nothing at all: the only ones it would ever be asked about.
Each is answered by the model's first wording that finds anything; the model stays on only if the 95 % interval of the
reciprocal rank's gain (over nothing) lies above 0.
Cost: one request to the server a case, at most `MOST` cases. Not for: choosing the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bodega.evaluation import Case, average_ranks, paired
from bodega.schema import Candidates, Context

MOST = 100
FEWEST = 20

Ranked = Callable[[Context], Candidates]
"""The served list of a query."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kept`: may the model answer? `gain` is the mean difference of 1 / rank, with its interval."""

    model: str
    kept: bool
    cases: int
    gain: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def __str__(self) -> str:
        if self.cases < FEWEST:
            return f"llm {self.model}: off, only {self.cases} searches of the log could judge it ({FEWEST} needed)"
        state = "on" if self.kept else "off"
        return f"llm {self.model}: {state}, MRR {self.gain:+.4f} ({self.low:+.4f} to {self.high:+.4f}) on {self.cases}"


def judge(
    model: str,
    wordings: Callable[[str], Sequence[str]],
    ranked: Ranked,
    cases: Sequence[Case],
    seed: int = 7,
) -> Verdict:
    """Compare answers with and without the model on the cases it would be asked about."""
    hard = [case for case in cases if not len(ranked(case.context))][:MOST]
    if len(hard) < FEWEST:
        return Verdict(model, False, len(hard))
    reached = np.zeros(len(hard))
    for row, case in enumerate(hard):
        lists = (ranked(replace(case.context, query=text)) for text in wordings(case.context.query))
        better = next((found for found in lists if len(found)), None)
        reached[row] = 0.0 if better is None else _reciprocal(better, case)
    gap = paired(reached, np.zeros(len(hard)), np.random.default_rng(seed))
    return Verdict(model, gap.low > 0, len(hard), gap.mean, gap.low, gap.high)


def _reciprocal(found: Candidates, case: Case) -> float:
    place = np.flatnonzero(np.isin(found.items, case.relevant))
    if not len(place):
        return 0.0
    return float(1 / average_ranks(found.score, place.astype(np.int32)).min())
