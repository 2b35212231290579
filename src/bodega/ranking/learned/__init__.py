"""A ranker that learns: every source's opinion and the features of `bodega.features` in, a better first page out.

    recipe = Recipe("home", fusion, State.fit(world), sources)       # how features are made, the same at both ends
    lessons = Lessons.of(recipe, cases, candidates)                  # validation cases as a table
    chosen = fit_ranker(lessons, RankerOptions(learners))            # fitted on some shoppers, judged on others
    if chosen.ranker: chosen.ranker.rank(context, candidates)        # else the sum stays (chosen.verdict)

`Learner` is the door for kinds of models: `LogisticLearner` (needs nothing), `TreesLearner` (extra `trees`).
`Model` is what one leaves behind, served from flat arrays by numpy alone.
"""

from __future__ import annotations

from bodega.ranking.learned.boosting import TreesLearner
from bodega.ranking.learned.calibration import Calibration
from bodega.ranking.learned.fitting import Chosen, Learner, RankerOptions, fit_ranker
from bodega.ranking.learned.lessons import Lessons
from bodega.ranking.learned.linear import Linear
from bodega.ranking.learned.logistic import LogisticLearner
from bodega.ranking.learned.model import Model, Table
from bodega.ranking.learned.ordering import Ordering
from bodega.ranking.learned.ranker import HEAD, Ranker, Recipe
from bodega.ranking.learned.trees import Trees

LEARNERS: tuple[Learner, ...] = (LogisticLearner(), TreesLearner())
"""Kinds of rankers that are tried, the best one served; one whose library is not installed is left out and named."""

__all__ = [
    "HEAD",
    "LEARNERS",
    "Calibration",
    "Chosen",
    "Learner",
    "Lessons",
    "Linear",
    "LogisticLearner",
    "Model",
    "Ordering",
    "Ranker",
    "RankerOptions",
    "Recipe",
    "Table",
    "Trees",
    "TreesLearner",
    "fit_ranker",
]
