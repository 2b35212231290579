"""By what is an item known that hardly anybody touched: words, their meaning, its picture, its profile, or a sum?

Which of them finds rare items differs from shop to shop: shared rare words where titles are written with care, the
profile where pictures and neighbours say more. So `learn` asks the shop's own validation window: of visits that ended
at a rare item (`cold.rare_of`), every way ranks the rare items. The best of those that are surely better than
words alone (the paired 95 % interval above 0) is served by the list `rare`; where none is, words alone are. Weights
fitted to these cases stand beside the plain ways, judged on the half that they were not fitted on.
Cost: one gathering of candidates a case, then 20 ms a way. Not for: lists of what everybody takes (`judging`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from bodega.engine.cold import rare_of
from bodega.engine.judging import METRICS, PlaceReport, Trial
from bodega.engine.places import PLACES, Place
from bodega.evaluation import (
    Case,
    CaseOptions,
    Window,
    check_no_leak,
    evaluate,
    intervals,
    paired,
    per_case,
    place_cases,
)
from bodega.evaluation.splits import interest
from bodega.protocols import Progress
from bodega.ranking.fit import fit_weights, ndcg_of
from bodega.ranking.fuse import Fusion, gather
from bodega.schema import Candidates, Context, Log
from bodega.schema.arrays import Doubles, Flags

WORDS: Final = "words"
"""What is served where nothing is surely better."""
FITTED: Final = "fitted"
WAYS: Final[Mapping[str, Mapping[str, float]]] = {
    WORDS: {"content": 1.0},
    "meaning": {"dense": 1.0},
    "sentences": {"sentences": 1.0},
    "picture": {"pictures": 1.0},
    "profile": {"profile": 1.0},
    "words and meaning": {"content": 1.0, "dense": 1.0},
    "words and picture": {"content": 1.0, "pictures": 1.0},
    "words and profile": {"content": 1.0, "profile": 1.0},
    "words, meaning and profile": {"content": 1.0, "dense": 0.5, "profile": 1.0},
}
"""{a way: {source: weight of its z-scores}}. Plain weights: fitted ones of Beauty and Office differ, and equal ones
lose nothing on either that is sure (docs/decisions/0054-rare-items.md)."""
FEWEST: Final = 30
"""Below this many cases nothing is chosen: the weights of `places` are served."""
DRAWN: Final = 20_000
"""Visits looked through for rare answers, at most."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and how every way did on validation."""

    name: str = ""
    """A key of `figures`; "" where there were too few cases."""
    weights: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    """{way: mean NDCG@10}."""
    against: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """{way: (mean gain over words alone, 95 % interval)}."""
    cases: int = 0

    @property
    def told(self) -> str:
        """A sentence of a report."""
        if not self.name:
            return (
                f"too few validation cases with a rare answer to choose ({self.cases}): the default weights are served"
            )
        if self.name == WORDS:
            near = max(
                (each for each in self.against if each != WORDS), key=lambda one: self.against[one][0], default=""
            )
            if not near:
                return "only words are known of items here: they are served"
            mean, low, high = self.against[near]
            return (
                f"nothing is surely better than words alone: they are served (nearest: {near}, "
                f"{mean:+.4f}, 95 % interval {low:+.4f} to {high:+.4f})"
            )
        mean, low, high = self.against[self.name]
        return f"{self.name} against words alone on validation: {mean:+.4f} (95 % interval {low:+.4f} to {high:+.4f})"


def choose(cases: Sequence[Case], candidates: Sequence[Candidates], seed: int = 7) -> Choice:
    """The way that finds the answers of these cases best, surely better than words alone; else words alone.

    `candidates` are gathered from all sources that the shop has, one a case, all with the same sources.
    """
    if len(cases) < FEWEST:
        return Choice(cases=len(cases))
    held = candidates[0].sources
    ways = {name: dict(way) for name, way in WAYS.items() if set(way) <= set(held)}
    values = {name: ndcg_of(way, cases, candidates) for name, way in ways.items()}
    if WORDS in ways and len(held) > 1:
        values[FITTED] = _crossfitted(cases, candidates)
        ways[FITTED] = fit_weights("rare", cases, candidates).weights
    words = values.get(WORDS, np.zeros(len(cases)))
    gaps = {name: paired(value, words, np.random.default_rng(seed)) for name, value in values.items()}
    sure = [name for name, gap in gaps.items() if name != WORDS and gap.low > 0 and ways[name]]
    best = max(sure, key=lambda name: (values[name].mean(), -len(ways[name])), default=WORDS)
    return Choice(
        best,
        {name: weight for name, weight in ways.get(best, WAYS[WORDS]).items() if weight},
        {name: round(float(value.mean()), 6) for name, value in values.items()},
        {name: (round(gap.mean, 6), round(gap.low, 6), round(gap.high, 6)) for name, gap in gaps.items()},
        len(cases),
    )


def _crossfitted(cases: Sequence[Case], candidates: Sequence[Candidates]) -> Doubles:
    """NDCG@10 of every case under weights fitted on the other half: (n_cases,)."""
    out = np.zeros(len(cases))
    for half in (0, 1):
        weights = fit_weights("rare", cases[1 - half :: 2], candidates[1 - half :: 2]).weights
        out[half::2] = ndcg_of(weights, cases[half::2], candidates[half::2])
    return out


def rare_in(log: Log, n_items: int) -> Flags:
    """Which items are rare by the events of interest of this log: (n_items,)."""
    return rare_of(np.bincount(log.item[interest(log)], minlength=n_items))


def choose_rare(trial: Trial, progress: Progress) -> PlaceReport:
    """Choose for the list `rare` on validation, judge on the test window; `trial` keeps weights and choice."""
    assert trial.split is not None
    place = PLACES["rare"]
    cases = _cases(trial, place, trial.split.valid, trial.weighed)
    sources = trial.sources_of(place)
    progress.start("choose: rare", len(cases))
    candidates = []
    for case in cases:
        candidates.append(gather(sources, case.context, trial.settings.answer.candidates))
        progress.advance()
    choice = choose(cases, candidates, trial.settings.learn.seed)
    progress.finish()
    trial.weights[place.name] = choice.weights or place.weights
    trial.rare = asdict(choice) | {"told": choice.told}
    return _judged(trial, place, choice, progress)


def _cases(trial: Trial, place: Place, window: Window, most: int) -> list[Case]:
    """Visits of known shoppers that ended at rare items, which are ranked among rare items."""
    assert trial.whole is not None
    assert trial.split is not None
    learn, n_items = trial.settings.learn, len(trial.whole.items)
    options = CaseOptions(
        limit=DRAWN, seed=learn.seed, history=trial.settings.answer.history, mask_seen=place.fresh and not trial.repeats
    )
    rare = rare_in(trial.split.train, n_items)
    warm = np.flatnonzero(~rare).astype(np.int32)
    made = []
    for case in place_cases(trial.whole.log, "home", window, options):
        # a find is new to its shopper: with all warm items masked, the mask would tell what of a history is right
        relevant = np.setdiff1d(case.relevant[rare[case.relevant]], case.context.history).astype(np.int32)
        if not len(relevant) or not len(case.context.history):
            continue
        masked = np.union1d(case.masked, warm).astype(np.int32)
        made.append(replace(case, context=replace(case.context, place=place.name), relevant=relevant, masked=masked))
        if len(made) == most:
            break
    check_no_leak(trial.split.train, made, start=trial.split.valid.start)
    return made


def _judged(trial: Trial, place: Place, choice: Choice, progress: Progress) -> PlaceReport:
    """The table of the list on the test window: every way alone, and what is served."""
    assert trial.whole is not None
    assert trial.split is not None
    cases = _cases(trial, place, trial.split.test, trial.settings.learn.evaluated_users)
    weights = trial.weights[place.name]
    if not cases:
        return PlaceReport(place.name, 0, weights=weights, verdict=choice.told)
    sources = trial.sources_of(place)
    held = {source.name for source in sources}
    ways = {name: dict(way) for name, way in WAYS.items() if set(way) <= held}
    ways["fusion"] = weights
    remembered: list[tuple[Context, Candidates]] = []

    def candidates(context: Context) -> Candidates:
        if not remembered or remembered[0][0] is not context:
            remembered[:] = [(context, gather(sources, context, trial.settings.answer.candidates))]
        return remembered[0][1]

    def ranked(stage: Fusion) -> Any:
        return lambda context: stage.rank(context, candidates(context))

    scorers = {name: ranked(Fusion({place.name: way})) for name, way in ways.items()}
    outcomes = evaluate(scorers, cases, len(trial.whole.items), progress=progress)
    rng = np.random.default_rng(trial.settings.learn.seed)
    values = {name: per_case(outcome.masked, METRICS) for name, outcome in outcomes.items()}
    told = choice.told
    if WORDS in values and choice.name != WORDS:
        gap = paired(values["fusion"]["ndcg@10"], values[WORDS]["ndcg@10"], rng)
        told += f"; on test {gap.mean:+.4f} (95 % interval {gap.low:+.4f} to {gap.high:+.4f})"
    return PlaceReport(
        place=place.name,
        cases=len(cases),
        figures={
            name: {m: round(float(np.nanmean(v)), 6) for m, v in row.items() if np.isfinite(v).any()}
            for name, row in values.items()
        },
        intervals={name: intervals(row, rng, resamples=400) for name, row in values.items()},
        weights=weights,
        chosen="fusion",
        validation={**choice.figures, "cases": float(choice.cases)},
        verdict=told,
    )
