"""Must a list ask every source there is? Sources without a weight are left out of it where nobody misses them.

Validation gives a source the weight 0 where it does not help the sum. The learned ranker still reads its opinion, and
it still proposes candidates, so it is asked at every request: at a supermarket's home page, which is what people buy
again, five of six sources. So the ranker is fitted a second time on what the sources with a weight (and popularity)
propose and say. Where that loses no more than half a standard error (the rule by which `fit_ranker` takes fewer trees)
it is served, and the others are asked only where those have nothing to show: a guest gets what a guest got before.
Where no ranker serves, the sum over the few is held against the sum over all by the same rule.
Cost: another fit of the ranker for a place with such sources. Not for: lists found by words (`Place.proposes`), the
weights of the sum, or which sources are learned. Figures: docs/decisions/0044.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bodega.engine.places import FALLBACK, PLACES, Place
from bodega.ranking.learned import Chosen, Ordering, Ranker
from bodega.schema import Candidates
from bodega.schema.arrays import Doubles

LOSS = 0.5
"""Standard errors of NDCG@10 that fewer sources may cost; see `ranking.learned.fitting.NEAR`."""


def enough(place: Place, weights: Mapping[str, float], sources: tuple[str, ...]) -> tuple[str, ...]:
    """The sources with a weight, and popularity; all of them where words decide, or where nothing has a weight."""
    weighted = [name for name in sources if weights.get(name, 0.0) > 0]
    if place.proposes or place.whole or not weighted:
        return sources
    return tuple(name for name in sources if name in weighted or name == FALLBACK)


def leaner(whole: Chosen, lean: Chosen) -> Chosen:
    """The ranker over fewer sources where it is as good as the one over all; its verdict says what that cost."""
    assert whole.ranker is not None
    if lean.ranker is None:
        return whole
    found = Cost.of(whole.ndcg, lean.ndcg)
    told = found.told(whole.ranker.recipe.sources, lean.ranker.recipe.sources)
    chosen = lean if found.bearable else whole
    return replace(chosen, verdict=f"{chosen.verdict}; {told}")


@dataclass(frozen=True, slots=True)
class Cost:
    """What asking fewer sources changes, and what it may."""

    change: float
    """Of the mean NDCG@10 over validation cases."""
    allowed: float

    @classmethod
    def of(cls, whole: Doubles, few: Doubles) -> Cost:
        """`whole` and `few` (n_cases,): NDCG@10 of the same cases."""
        return cls(float((few - whole).mean()), LOSS * float(whole.std()) / float(np.sqrt(max(1, len(whole)))))

    @property
    def bearable(self) -> bool:
        return self.change >= -self.allowed

    def told(self, sources: Sequence[str], few: Sequence[str]) -> str:
        """A sentence of a report."""
        left = ", ".join(name for name in sources if name not in few)
        cost = f"{self.change:+.4f} NDCG@10, {self.allowed:.4f} may be lost"
        return f"{'asked only where these have nothing to show' if self.bearable else 'always asked'}: {left} ({cost})"


@dataclass(frozen=True, slots=True)
class Lean:
    """The few sources that are enough at one place, while those with a weight have something to say."""

    names: tuple[str, ...]
    weighted: tuple[str, ...]

    @classmethod
    def of(cls, ranker: Ranker, sources: tuple[str, ...]) -> Lean | None:
        """What a ranker was fitted on; None where that is every source of its place, or not all that have a weight."""
        return cls.over(ranker.recipe.sources, ranker.recipe.fusion.weights.get(ranker.recipe.place, {}), sources)

    @classmethod
    def over(cls, names: tuple[str, ...], held: Mapping[str, float], sources: tuple[str, ...]) -> Lean | None:
        """These few of a place's sources, with the weights of its sum; None as above."""
        weighted = tuple(name for name in sources if held.get(name, 0.0) > 0)
        if not weighted or names == sources or not set(weighted) <= set(names) <= set(sources):
            return None
        return cls(names, weighted)

    def speaks(self, found: Candidates) -> bool:
        """Has a source with a weight an opinion on any of these?"""
        columns = [found.sources.index(name) for name in self.weighted]
        return bool(np.isfinite(found.scores[:, columns]).any())


def leanings(ordering: Ordering, sources: Iterable[str]) -> dict[str, Lean]:
    """{place: the few sources that are enough there}, of whatever ranks it; places that ask all are missing."""
    held = tuple(sources)
    found = {name: Lean.of(ranker, PLACES[name].among(held)) for name, ranker in ordering.rankers.items()}
    for name, few in ordering.fusion.enough.items():
        if name not in found and name in PLACES:
            found[name] = Lean.over(few, ordering.fusion.weights.get(name, {}), PLACES[name].among(held))
    return {name: lean for name, lean in found.items() if lean is not None}
