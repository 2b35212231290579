"""What `bench rank` measures of a chosen ranker: what each group of features is worth, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from bodega.evaluation import Case, paired
from bodega.protocols import Progress
from bodega.ranking.learned import Lessons, Ranker, TreesLearner
from bodega.ranking.learned.fitting import folds_of, scores
from bodega.schema import Candidates
from bodega.schema.arrays import Floats

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "popularity and age": ("item.",),
    "price": ("price.",),
    "history": ("shopper.",),
    "touched before": ("touched.", "affinity."),
    "words": ("match.",),
    "time of day": ("moment.",),
}
"""{name: what its columns begin with}; the sources' opinions are the last group, made by `groups_of`."""

WIDE: Final = 500
"""Candidates of a request in `latency`."""


def groups_of(sources: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """All groups of columns: {name: beginnings}."""
    raw = tuple(f"{source}.{what}" for source in sources for what in ("rank", "raw", "speaks"))
    return {**GROUPS, "ranks, raw scores, silence": raw, "all but opinions": tuple(sum(GROUPS.values(), ()))}


def without(lessons: Lessons, trees: int, seed: int, progress: Progress) -> dict[str, float]:
    """{group: NDCG@10 lost on held-out cases when trees do not see it} at one number of trees, two folds."""
    fold = folds_of(lessons, 2, seed)

    def judged(blind: tuple[str, ...]) -> Floats:
        learner = TreesLearner(stages=(trees,), blind=blind)
        out = np.zeros(len(lessons.items), np.float32)
        for number in (0, 1):
            model = learner.fit(lessons.rows(fold != number))[trees]
            out[np.repeat(fold == number, np.diff(lessons.starts))] = scores(model, lessons.rows(fold == number))
        return out

    whole = lessons.ndcg(judged(()))
    lost = {}
    groups = groups_of(lessons.recipe.sources)
    progress.start("features left out", len(groups))
    for name, blind in groups.items():
        lost[name] = paired(whole, lessons.ndcg(judged(blind)), np.random.default_rng(seed)).mean
        progress.advance()
    progress.finish()
    return lost


def latency(ranker: Ranker, cases: Sequence[Case], candidates: Sequence[Candidates]) -> dict[str, float]:
    """Milliseconds of wall time a request of `WIDE` candidates, features included: the quickest and the median."""
    wide = [
        (case, found.take(np.arange(WIDE))) for case, found in zip(cases, candidates, strict=True) if len(found) >= WIDE
    ]
    figures: dict[str, float] = {}
    for name, stage in (("ranker", ranker), ("sum", ranker.recipe.fusion)):
        spent = []
        for case, found in wide:
            asked = replace(case.context)  # a new request: nothing may have been kept for it
            began = time.perf_counter()
            stage.rank(asked, found)
            spent.append((time.perf_counter() - began) * 1e3)
        if spent:
            figures |= {f"{name}.{WIDE}.ms.least": min(spent), f"{name}.{WIDE}.ms.median": float(np.median(spent))}
    return figures
