"""The search of a shop as stages that can be judged one by one: what `bodega bench search` asks.

The parts are those that `wiring` gives a shop; nothing here ranks by itself. Weights come from validation queries, or
are the defaults of the place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bodega.engine.finding import Finder
from bodega.engine.learn import Parts, Unneeded
from bodega.engine.places import PLACES
from bodega.engine.shelf import Shelf
from bodega.evaluation import Case, Scorer
from bodega.protocols import Progress, Source
from bodega.ranking.fuse import Fusion, Weighted, fit_weights, scored
from bodega.ranking.per_query import Factors, fit_factors
from bodega.ranking.scale import rrf_scores
from bodega.schema import Candidates, Context, World
from bodega.schema.arrays import Floats

PLACE = PLACES["search"]
PER_SOURCE = 200


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Fitted sources and what finds with them."""

    sources: dict[str, Source]
    finder: Finder
    n_items: int

    @classmethod
    def fit(cls, world: World, parts: Parts, ready: Mapping[str, Source], progress: Progress) -> Stack:
        """Fit the sources of the search place; those that are `ready` are taken as they are."""
        sources = {}
        for name in PLACE.among(parts.make):
            if name in ready:
                sources[name] = ready[name]
                continue
            try:
                source = parts.make[name]()
            except Unneeded:
                continue
            progress.start(f"learn: {name}")
            sources[name] = source.fit(world)
            progress.finish()
        understanding = parts.understand(world) if parts.understand is not None else None
        return cls(sources, Finder(sources, Shelf.of(world.items), understanding), len(world.items))

    def encoders(self) -> dict[str, str]:
        """{source: name of the encoder it uses}."""
        infos = {name: getattr(source, "info", None) for name, source in self.sources.items()}
        return {name: str(info.name) for name, info in infos.items() if info is not None}

    def found(self, context: Context) -> tuple[Context, Candidates]:
        """What would be ranked for this query, with every source's score; and what the sources were asked."""
        found = self.finder.find(self.finder.read(context.query, context.language), context)
        rows = np.sort(found.rows[: 2 * PER_SOURCE])
        return found.context, scored(list(self.sources.values()), found.context, rows)

    def scorers(self, fusion: Fusion) -> dict[str, Scorer]:
        """Every source alone over all items, the fusion, and reciprocal ranks over the same candidates."""
        everything = np.arange(self.n_items, dtype=np.int32)

        def alone(source: Source) -> Callable[[Context], Floats]:
            return lambda context: source.score(context, everything)

        asked = _Once(self)

        def fused(context: Context) -> Candidates:
            return fusion.rank(*asked(context))

        def rrf(context: Context) -> Candidates:
            _, found = asked(context)
            heard = [name in PLACE.proposes for name in found.sources]
            score = rrf_scores(found.scores[:, heard]).sum(axis=1)
            return replace_score(found, score)

        named = {name: alone(self.sources[name]) for name in self.sources if name in (*PLACE.proposes, "asked")}
        return {**named, "fusion": fused, "rrf": rrf}

    def without(self, fusion: Fusion, name: str) -> Scorer:
        """The same fusion with one source's weight at 0."""
        weights = {place: {**held, name: 0.0} for place, held in fusion.weights.items()}
        less = Fusion(weights, fusion.k, fusion.backup, fusion.factors)
        return lambda context: less.rank(*self.found(context))


class _Once:
    """`Stack.found`, the last question remembered: the fusion and the reciprocal ranks ask the same."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._last: Context | None = None
        self._found: tuple[Context, Candidates] | None = None

    def __call__(self, context: Context) -> tuple[Context, Candidates]:
        if self._last is not context or self._found is None:
            self._last, self._found = context, self._stack.found(context)
        return self._found


def replace_score(found: Candidates, score: Floats) -> Candidates:
    return Candidates(found.items, found.scores, np.asarray(score, np.float32), found.sources)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Weights from validation queries, and what they were worth there."""

    weighted: Weighted | None
    factors: Factors

    def fusion(self) -> Fusion:
        """The fusion that is served: fitted weights where they surely help, else the place's own."""
        weights = PLACE.weights
        if self.weighted is not None and self.weighted.chosen == "fusion":
            weights = self.weighted.weights
        return Fusion(
            {PLACE.name: weights}, backup={PLACE.name: PLACE.weights}, factors={PLACE.name: self.factors.factors}
        )


def choose(stack: Stack, cases: Sequence[Case], progress: Progress) -> Chosen:
    """Fit weights and factors on validation queries; without any, the defaults."""
    if not cases:
        return Chosen(None, Factors())
    progress.start("weigh", len(cases))
    candidates, asked = [], []
    for case in cases:
        context, found = stack.found(case.context)
        candidates.append(found)
        asked.append(replace(case, context=context))
        progress.advance()
    progress.finish()
    weighted = fit_weights(PLACE.name, cases, candidates, per_source=PER_SOURCE)
    if weighted.chosen != "fusion":
        return Chosen(weighted, Factors())
    return Chosen(weighted, fit_factors(weighted.weights, asked, candidates))
