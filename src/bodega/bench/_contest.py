"""What recommend and basket share: fuse, judge, and turn outcomes into named figures with intervals.

Names are `<source>.<metric>`; a suffix says under which reading (`.unmasked`, `.complete`, `.repeat`, `.explore`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bodega.evaluation import Case, Outcome, Ranked, Scorer, intervals, metric, paired, per_case
from bodega.evaluation import metrics as m
from bodega.protocols import Progress, Source
from bodega.ranking.fuse import CANDIDATES, Fusion, Weighted, ablate, fit_weights, gather
from bodega.schema import Candidates, Context
from bodega.schema.arrays import Flags, Floats, Ints, Longs

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
        """What the lists look like: coverage, novelty (bits), popularity percentile, Gini. No intervals."""
        self.figures[f"{source}.coverage@{LISTED}"] = m.coverage(lists, len(counts))
        self.figures[f"{source}.novelty@{LISTED}"] = m.novelty(lists, counts, n_users)
        self.figures[f"{source}.popularity@{LISTED}"] = m.popularity_percentile(lists, counts)
        self.figures[f"{source}.gini@{LISTED}"] = m.gini(lists, len(counts))

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
            else f"the fusion does not beat {chosen} on validation, so {chosen} alone is served"
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
    return Fused(fit_weights(place, used, found), ablate(used, found) if used else {}, names)


def whole(source: Source, n_items: int) -> Scorer:
    """A source that scores every item."""
    everything = np.arange(n_items, dtype=np.int32)

    def scorer(context: Context) -> Floats:
        return source.score(context, everything)

    return scorer


def fused(fusion: Fusion, sources: Sequence[Source], *, fresh: bool) -> Scorer:
    """What is served: 200 candidates a source, fused. `fresh` leaves out what the shopper has, before fusing."""

    def scorer(context: Context) -> Candidates:
        found = gather(sources, context, CANDIDATES)
        hidden = np.concatenate([context.items, context.history]) if fresh else context.items
        if len(hidden):
            found = found.take(~np.isin(found.items, hidden))
        return fusion.rank(context, found)

    return scorer
