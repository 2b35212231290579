"""What is chosen on validation cases: the weights of the fusion, and whether a learned ranker orders its head.

The sum is fitted first; the ranker sees its order, every source's opinion and the features, and is served only where
it surely beats the sum on shoppers it was not fitted on. Nothing here ever sees a test case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bodega.bench._contest import Fused, fuse
from bodega.bench._models import Fitted
from bodega.evaluation import Case
from bodega.protocols import Progress, Source, Stage
from bodega.ranking.fuse import CANDIDATES, gather
from bodega.ranking.learned import LEARNERS, Chosen, Lessons, RankerOptions, Recipe, fit_ranker
from bodega.schema import Candidates

MOST: Final = 24_000
"""Validation cases that a ranker learns from. On Sports 6,000 were too few to be sure of a gain that 24,000 show."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One place: the fusion, and the ranker if there is one."""

    fused: Fused
    ranked: Chosen

    def stages(self, fitted: Fitted) -> dict[str, Stage]:
        """`fusion` and `ranked` (what is served), knowing what these sources' world tells of items."""
        fusion = self.fused.fusion()
        ranker = self.ranked.ranker
        if ranker is None:
            return {"fusion": fusion, "ranked": fusion}
        recipe = replace(ranker.recipe, fusion=fusion, state=fitted.state)
        return {"fusion": fusion, "ranked": replace(ranker, recipe=recipe)}

    def notes(self) -> tuple[str, ...]:
        return (self.fused.note(), self.ranked.verdict)


def choose(place: str, fitted: Fitted, cases: Sequence[Case], progress: Progress) -> Choice:
    """Weights, then the ranker, from validation cases that the sources did not see."""
    sources, used = fitted.sources, cases[:MOST]
    fused = fuse(place, sources, cases, progress)
    recipe = Recipe(place, fused.fusion(), fitted.state, tuple(source.name for source in sources))
    progress.start(f"lessons for {place}", len(used))
    lessons = Lessons.of(recipe, used, _gathered(sources, used, progress))
    progress.finish()
    return Choice(fused, fit_ranker(lessons, RankerOptions(LEARNERS), progress))


def _gathered(sources: Sequence[Source], cases: Sequence[Case], progress: Progress) -> Iterator[Candidates]:
    for case in cases:
        yield gather(sources, case.context, CANDIDATES)
        progress.advance()
