"""Must a list ask every source there is? Sources without a weight are left out of it where nobody misses them.

Validation gives a source the weight 0 where it does not help the sum. The learned ranker still reads its opinion, and
it still proposes candidates, so it is asked at every request: at a supermarket's home page, which is what people buy
again, five of six sources. So the ranker is fitted a second time on what the sources with a weight (and popularity)
propose and say. Where that loses no more than half a standard error (the rule by which `fit_ranker` takes fewer trees)
it is served, and the others are asked only where those have nothing to show: a guest gets what a guest got before.
Cost: another fit of the ranker for a place with such sources. Not for: lists found by words (`Place.proposes`), the
weights of the sum, or which sources are learned. Figures: docs/decisions/0044.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bodega.engine.places import FALLBACK, Place
from bodega.ranking.learned import Chosen, Ranker

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
    change = float((lean.ndcg - whole.ndcg).mean())
    allowed = LOSS * float(whole.ndcg.std()) / np.sqrt(max(1, len(whole.ndcg)))
    left = [name for name in whole.ranker.recipe.sources if name not in lean.ranker.recipe.sources]
    named, cost = ", ".join(left), f"{change:+.4f} NDCG@10, {allowed:.4f} may be lost"
    if change < -allowed:
        return replace(whole, verdict=f"{whole.verdict}; always asked: {named} ({cost})")
    return replace(lean, verdict=f"{lean.verdict}; asked only where these have nothing to show: {named} ({cost})")


@dataclass(frozen=True, slots=True)
class Lean:
    """The few sources that are enough at one place, while those with a weight have something to say."""

    names: tuple[str, ...]
    weighted: tuple[str, ...]

    @classmethod
    def of(cls, ranker: Ranker, sources: tuple[str, ...]) -> Lean | None:
        """What a ranker was fitted on; None where that is every source of its place, or not all that have a weight."""
        names, held = ranker.recipe.sources, ranker.recipe.fusion.weights.get(ranker.recipe.place, {})
        weighted = tuple(name for name in sources if held.get(name, 0.0) > 0)
        if not weighted or names == sources or not set(weighted) <= set(names) <= set(sources):
            return None
        return cls(names, weighted)
