"""What recommend and basket share: fuse, judge, and turn outcomes into named figures with intervals.

Names are `<source>.<metric>`; a suffix says under which reading (`.unmasked`, `.complete`, `.repeat`, `.explore`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bodega.evaluation import Case, Outcome, Ranked, Scorer, intervals, metric, paired, per_case
from bodega.evaluation import metrics as m
from bodega.protocols import Progress, Source, Stage
from bodega.ranking.fuse import CANDIDATES, Fusion, Weighted, ablate, fit_weights, gather
from bodega.schema import Candidates, Context
from bodega.schema.arrays import Flags, Floats, Ints, Longs

ABLATED: Final = 1_500
"""Validation cases of the leave-one-source-out table: each of its rows is a search for weights of its own."""
LISTED: Final = 10
"""Length of the lists that coverage, novelty and bias are taken from."""


@dataclass(slots=True)
class Tally:
    """Figures so far, with the per-case values that their intervals and comparisons need."""

    seed: int
    figures: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, source: str, ranked: Ranked, names: Sequence[str], suffix: str = "") -> None:
        """Means and 95 % intervals of the named metrics."""
        values = {f"{source}.{name}{suffix}": value for name, value in per_case(ranked, names).items()}
        self.figures.update({name: float(np.nanmean(value)) if len(value) else 0.0 for name, value in values.items()})
        self.intervals.update(intervals(values, np.random.default_rng(self.seed)))

    def add_lists(self, source: str, lists: Ints, counts: Longs, n_users: int) -> None:
        """What the lists look like: coverage, novelty (bits), popularity percentile, Gini. No intervals.

        A source that recommended nothing has coverage 0 and none of the others.
        """
        described = {
            "coverage": m.coverage(lists, len(counts)),
            "novelty": m.novelty(lists, counts, n_users),
            "popularity": m.popularity_percentile(lists, counts),
            "gini": m.gini(lists, len(counts)),
        }
        known = {name: value for name, value in described.items() if np.isfinite(value)}
        self.figures.update({f"{source}.{name}@{LISTED}": value for name, value in known.items()})

    def compare(self, name: str, a: Ranked, b: Ranked, by: str, suffix: str = "") -> None:
        """Mean difference a - b of one metric over the same cases, paired interval."""
        gap = paired(metric(a, by), metric(b, by), np.random.default_rng(self.seed))
        self.figures[f"{name}.{by}{suffix}"] = gap.mean
        self.intervals[f"{name}.{by}{suffix}"] = (gap.low, gap.high)


def slice_figures(outcomes: Mapping[str, Outcome], names: Sequence[str], keep: Flags) -> dict[str, float]:
    """The named metrics of every source over the relevant items where `keep` (n_pairs,) holds, and `cases`."""
    out: dict[str, float] = {"cases": 0.0}
    for source, outcome in outcomes.items():
        part = outcome.masked.only(keep)
        out["cases"] = float(part.n_cases)
        if part.n_cases:
            out.update({f"{source}.{name}": float(np.nanmean(value)) for name, value in per_case(part, names).items()})
    return out


@dataclass(frozen=True, slots=True)
class Fused:
    """A fusion as chosen on validation."""

    weighted: Weighted
    ablation: dict[str, float]
    sources: tuple[str, ...]

    def fusion(self) -> Fusion:
        weights = self.weighted.weights
        return Fusion({self.weighted.place: weights} if weights else {})

    @property
    def best(self) -> str:
        """The best single source on validation."""
        return max(self.sources, key=lambda source: self.weighted.figures.get(source, 0.0))

    def note(self) -> str:
        """The decision in one line."""
        figures, chosen = self.weighted.figures, self.weighted.chosen
        if chosen == "rrf":
            return f"{self.weighted.place}: too few validation cases, RRF(20) is served"
        weights = ", ".join(f"{source} {weight:g}" for source, weight in self.weighted.weights.items())
        without = ", ".join(f"{source} {value:.4f}" for source, value in self.ablation.items() if source != "all")
        verdict = (
            "the fusion is served"
            if chosen == "fusion"
            else f"the fusion does not surely beat {chosen} on validation, so {chosen} alone is served"
        )
        return (
            f"{self.weighted.place}: {verdict}; validation NDCG@10 {self.best} {figures[self.best]:.4f}, "
            f"fusion {figures.get('fusion', 0):.4f} (fitted on one half, judged on the other: "
            f"{figures.get('fusion.crossfit', 0):.4f}), RRF {figures['rrf']:.4f}; weights: {weights}; "
            f"refitted without: {without}"
        )


def fuse(
    place: str, sources: Sequence[Source], cases: Sequence[Case], progress: Progress, *, most: int = 5_000
) -> Fused:
    """Choose the weights of one place on validation cases (at most `most` of them, the first)."""
    used = cases[:most]
    progress.start(f"candidates for {place}", len(used))
    found = []
    for case in used:
        found.append(gather(sources, case.context, CANDIDATES))
        progress.advance()
    progress.finish()
    names = tuple(source.name for source in sources)
    few = slice(ABLATED)
    ablation = ablate(used[few], found[few]) if used else {}
    return Fused(fit_weights(place, used, found), ablation, names)


class Contest:
    """Sources, and stages over their union, as scorers that share work: each source scores all items once a case.

    By contract `score(context, items)` is a part of `score(context, all items)`, so the union's columns come from it
    too; the candidates themselves are what each source's own `retrieve` gives.
    """

    def __init__(self, sources: Sequence[Source], n_items: int) -> None:
        self.sources = [_Remembering(source, n_items) for source in sources]
        self._asked: Context | None = None
        self._found: Candidates | None = None

    def scorers(self) -> dict[str, Scorer]:
        """Every source over all items."""
        return {source.name: source.all for source in self.sources}

    def served(self, stage: Stage) -> Callable[[Context], Candidates]:
        """What is served where things are taken again: only the anchors are left out."""
        return lambda context: stage.rank(context, self.candidates(context, context.items))

    def fresh(self, stage: Stage) -> Callable[[Context], Candidates]:
        """What is served where they are not: what the shopper has is left out before ranking."""
        return lambda context: stage.rank(
            context, self.candidates(context, np.concatenate([context.items, context.history]))
        )

    def candidates(self, context: Context, hidden: Ints) -> Candidates:
        """The union of what the sources retrieve, without `hidden`, with every source's score."""
        if self._asked is not context or self._found is None:
            self._asked, self._found = context, gather(self.sources, context, CANDIDATES)
        found = self._found
        return found.take(~np.isin(found.items, hidden)) if len(hidden) else found


class _Remembering:
    """A fitted source that scores all items once a context."""

    def __init__(self, source: Source, n_items: int) -> None:
        self.source = source
        self.name = source.name
        self._everything = np.arange(n_items, dtype=np.int32)
        self._asked: Context | None = None
        self._scores: Floats = np.empty(0, np.float32)

    def all(self, context: Context) -> Floats:
        if self._asked is not context:
            self._asked, self._scores = context, self.source.score(context, self._everything)
        return self._scores

    def score(self, context: Context, items: Ints) -> Floats:
        return self.all(context)[items]

    def retrieve(self, context: Context, k: int) -> Candidates:
        return self.source.retrieve(context, k)
