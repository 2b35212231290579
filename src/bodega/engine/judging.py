"""Which weights, and how good is the result? One place at a time, as `learn` asks.

Validation cases fit the weights; test cases, which nothing was chosen on, give the figures: every source alone, the
fusion, popularity always among them, with bootstrap intervals and the paired difference to the best single source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bodega.engine.finding import Finder, Rewords, Understands
from bodega.engine.judged.lesson import JudgedLesson, Taught
from bodega.engine.leaning import Cost, Lean, enough, leaner
from bodega.engine.places import DEFAULT_WEIGHTS, PLACES, Place
from bodega.engine.reckoning import reckon
from bodega.engine.rewriting import Verdict, judge
from bodega.engine.shelf import Shelf
from bodega.engine.shown import weighed_by_showings
from bodega.evaluation import (
    Case,
    CaseOptions,
    Scorer,
    TimeSplit,
    Window,
    check_no_leak,
    evaluate,
    intervals,
    paired,
    per_case,
    place_cases,
)
from bodega.evaluation.reliability import Reliability
from bodega.features import State
from bodega.protocols import Progress, Source, Stage
from bodega.ranking.fit import Weighted, fit_weights, ndcg_of
from bodega.ranking.fuse import TIE_BREAK, Fusion, gather, scored
from bodega.ranking.learned import LEARNERS, Chosen, Lessons, RankerOptions, Recipe, fit_ranker
from bodega.ranking.per_query import fit_factors
from bodega.schema import EVENT_CODES, Candidates, Context, World
from bodega.schema.arrays import Doubles, Floats
from bodega.settings import Settings

METRICS = ("ndcg@10", "recall@10", "hit@10", "mrr", "auc")
REPEATS_FROM = 0.05
"""Part of what shoppers take that they had before, from which on a shop is one where people buy again."""


@dataclass(frozen=True, slots=True)
class PlaceReport:
    """One place's table: every source and the fusion on the test window."""

    place: str
    cases: int
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    """{source or "fusion": {metric: mean over the test cases}}."""
    intervals: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    """The same names: 95 % bootstrap intervals."""
    weights: dict[str, float] = field(default_factory=dict)
    chosen: str = ""
    validation: dict[str, float] = field(default_factory=dict)
    """NDCG@10 on the validation window, which the choice rests on."""
    verdict: str = ""
    ranked: str = ""
    """What was found of the learned ranker, in a sentence."""
    curves: dict[str, dict[int, float]] = field(default_factory=dict)
    """{kind of ranker: {stage, such as its number of trees: NDCG@10 on validation cases it did not see}}."""
    without: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """{source: (what NDCG@10 among the candidates loses without it on the test window, low, high)}."""
    reliability: Reliability = field(default_factory=Reliability)
    """Promised chances beside what was taken, on the test window."""


@dataclass(slots=True)
class Trial:
    """What is being judged, and the weights found so far."""

    sources: dict[str, Source]
    split: TimeSplit | None
    settings: Settings
    repeats: bool
    weights: dict[str, dict[str, float]]
    whole: World | None = None
    understanding: Understands | None = None
    """What takes queries apart, learned before the windows."""
    found: dict[str, Weighted] = field(default_factory=dict)
    factors: dict[str, dict[str, float]] = field(default_factory=dict)
    """{place: {trait of a query: factor on the weight of meaning}}."""
    ranked: dict[str, Chosen] = field(default_factory=dict)
    """{place: what was found of a learned ranker}."""
    enough: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """{place: sources whose sum is as good as that of all}."""
    leaned: dict[str, str] = field(default_factory=dict)
    """{place: what was found of that, in a sentence}."""
    state: State | None = None
    """What was known of items before the windows."""
    rare: dict[str, Any] = field(default_factory=dict)
    """What was chosen for the list of rare items, and by how much (`choosing.Choice`)."""
    verdict: Verdict | None = None
    """May the language model word lost queries anew? None: none was switched on."""
    lesson: JudgedLesson | None = None
    """What judgments could teach the search; None: nobody judged."""
    taught: Taught | None = None
    """What came of it."""
    _finder: Finder | None = None

    @classmethod
    def begin(cls, sources: dict[str, Source], whole: World, split: TimeSplit, settings: Settings) -> Trial:
        trial = cls(sources, split, settings, repeats=True, weights={}, whole=whole)
        cases = trial.cases(PLACES["home"], split.valid)
        trial.repeats = _repeat_share(cases) >= REPEATS_FROM
        trial.state = State.fit(World(whole.items, split.train, split.valid.start, whole.ratings))
        return trial

    def cases(self, place: Place, window: Window) -> list[Case]:
        """Leak-checked cases of one place inside a window."""
        assert self.whole is not None
        assert self.split is not None
        options = CaseOptions(
            limit=self._most(window),
            seed=self.settings.learn.seed,
            history=self.settings.answer.history,
            mask_seen=place.fresh and not self.repeats,
        )
        log = self.whole.log
        if place.evidence:
            log = log.where(np.isin(log.type, [EVENT_CODES[name] for name in place.evidence]))
        cases = place_cases(log, place.name, window, options)
        check_no_leak(self.split.train, cases, start=self.split.valid.start)
        return cases

    def _most(self, window: Window) -> int:
        """Cases of a window: a choice needs more than a figure, a ranker more than a choice. The first are the same."""
        assert self.split is not None
        learn = self.settings.learn
        return max(self.weighed, learn.taught_cases) if window == self.split.valid else learn.evaluated_users

    @property
    def weighed(self) -> int:
        """Cases that weights are fitted on: the gain of a fusion is a small difference of large numbers."""
        return 2 * self.settings.learn.evaluated_users

    def fusion(self, place: Place) -> Fusion:
        """The sum that was found for this place."""
        weights = self.weights.get(place.name, place.weights)
        return Fusion({place.name: weights}, backup=DEFAULT_WEIGHTS, factors=self.factors)

    def sources_of(self, place: Place) -> list[Source]:
        return [self.sources[name] for name in place.among(self.sources)]

    @property
    def finder(self) -> Finder:
        """What finds matches, over the snapshot's items as they are."""
        assert self.whole is not None
        if self._finder is None:
            self._finder = Finder(self.sources, Shelf.of(self.whole.items), self.understanding)
        return self._finder

    def candidates(self, place: Place, context: Context) -> tuple[Context, Candidates]:
        """What this place would rank for this context, with every source's score; and what the sources were asked."""
        per_source = self.settings.answer.candidates
        if not place.proposes:
            return context, gather(self.sources_of(place), context, per_source)
        found = self.finder.find(self.finder.read(context.query, context.language), context)
        rows = np.sort(found.rows[: 2 * per_source])
        return found.context, scored(self.sources_of(place), found.context, rows)


def weigh_place(trial: Trial, place: Place, progress: Progress) -> None:
    """Fit this place's weights on validation; keeps the defaults where there are too few cases."""
    assert trial.split is not None
    cases = trial.cases(place, trial.split.valid)
    progress.start(f"weigh: {place.name}", len(cases))
    candidates, asked = [], []
    for case in cases:
        context, own = trial.candidates(place, case.context)
        candidates.append(own)
        asked.append(replace(case, context=context))
        progress.advance()
    few = slice(trial.weighed)
    found = fit_weights(place.name, cases[few], candidates[few], per_source=trial.settings.answer.candidates)
    found = weighed_by_showings(trial, place, found)
    progress.finish()
    if place.proposes and found.chosen not in ("fusion", "rrf"):
        # The matches are found by words: no other source may order them alone, however well it does on few cases.
        found = replace(found, chosen="default", weights={})
    if place.proposes and trial.lesson is not None:
        found, trial.taught = trial.lesson.weigh(trial, place, found, asked[few], candidates[few])
    trial.found[place.name] = found
    trial.weights[place.name] = found.weights or place.weights
    if place.proposes and found.chosen == "fusion":
        trial.factors[place.name] = fit_factors(found.weights, asked[few], candidates[few]).factors
    if trial.settings.learn.taught_cases:
        trial.ranked[place.name] = _ranked(trial, place, asked, candidates, progress)
    if found.chosen in trial.sources or found.chosen == "fusion":
        _lean(trial, place, cases, candidates)


def _lean(trial: Trial, place: Place, cases: Sequence[Case], candidates: Sequence[Candidates]) -> None:
    """Is the sum over the sources with a weight enough here? Not asked where a ranker serves: it was, with that."""
    learned, weights = trial.ranked.get(place.name), trial.weights[place.name]
    names = place.among(trial.sources)
    few = enough(place, weights, names)
    lean = Lean.over(few, weights, names)
    if lean is None or (learned is not None and learned.ranker is not None):
        return
    asked = [trial.sources[name] for name in few]
    own = [gather(asked, case.context, trial.settings.answer.candidates) for case in cases]
    held = {name: weights.get(name, 0.0) or TIE_BREAK for name in names}
    whole, short = ndcg_of(held, cases, candidates), ndcg_of(held, cases, own)
    speaks = np.array([lean.speaks(found) for found in own], np.bool_)
    cost = Cost.of(whole, np.where(speaks, short, whole))
    trial.leaned[place.name] = cost.told(names, few)
    if cost.bearable:
        trial.enough[place.name] = few


def _ranked(
    trial: Trial, place: Place, cases: Sequence[Case], candidates: Sequence[Candidates], progress: Progress
) -> Chosen:
    """A learned ranker over this place's sum, where it surely is better."""
    assert trial.state is not None
    options = RankerOptions(LEARNERS, seed=trial.settings.learn.seed)
    recipe = Recipe(place.name, trial.fusion(place), trial.state, place.among(trial.sources))
    whole = fit_ranker(Lessons.of(recipe, cases, candidates, seed=options.seed), options, progress)
    few = enough(place, recipe.fusion.weights[place.name], recipe.sources)
    if whole.ranker is None or few == recipe.sources:
        return whole
    asked = [trial.sources[name] for name in few]
    per_source = trial.settings.answer.candidates
    own = (gather(asked, case.context, per_source) for case in cases)
    lean = fit_ranker(Lessons.of(replace(recipe, sources=few), cases, own, seed=options.seed), options, progress)
    return leaner(whole, lean)


def judge_rewording(trial: Trial, model: str, rewords: Rewords) -> Verdict:
    """May this language model word lost queries anew? Judged on the searches of the validation window."""
    assert trial.split is not None
    place = PLACES["search"]
    fusion, cases = trial.fusion(place), trial.cases(place, trial.split.valid)[: trial.weighed]

    def ranked(context: Context) -> Candidates:
        return fusion.rank(*trial.candidates(place, context))

    return judge(model, rewords.wordings, ranked, cases, trial.settings.learn.seed)


def judge_place(trial: Trial, place: Place, progress: Progress) -> PlaceReport:
    """This place's table on the test window."""
    assert trial.split is not None
    assert trial.whole is not None
    cases = trial.cases(place, trial.split.test)
    found = trial.found[place.name]
    if not cases:
        return PlaceReport(place.name, 0, verdict="no test cases in the log: nothing judged")
    scorers = _scorers(trial, place)
    outcomes = evaluate(scorers, cases, len(trial.whole.items), progress=progress)
    rng = np.random.default_rng(trial.settings.learn.seed)
    values = {name: _defined(per_case(outcome.masked, METRICS)) for name, outcome in outcomes.items()}
    best = max(place.among(trial.sources), key=lambda name: found.figures.get(name, 0.0))
    gap = paired(values["fusion"]["ndcg@10"], values[best]["ndcg@10"], rng)
    reckoned = reckon(trial, place, cases)
    return PlaceReport(
        place=place.name,
        cases=len(cases),
        figures={name: {m: round(float(np.nanmean(v)), 6) for m, v in row.items()} for name, row in values.items()},
        intervals={name: intervals(row, rng, resamples=400) for name, row in values.items()},
        weights=trial.weights[place.name],
        chosen=found.chosen,
        validation={name: round(value, 6) for name, value in found.figures.items()},
        verdict=_verdict(found, best, (gap.mean, gap.low, gap.high)),
        ranked="; ".join(filter(None, (_ranked_verdict(trial, place, values, rng), trial.leaned.get(place.name)))),
        curves=trial.ranked[place.name].curves if place.name in trial.ranked else {},
        without=reckoned.without,
        reliability=reckoned.reliability,
    )


def _defined(values: dict[str, Doubles]) -> dict[str, Doubles]:
    """Without metrics that no case defines: where only the answer competes, there is no AUC."""
    return {name: value for name, value in values.items() if np.isfinite(value).any()}


def _scorers(trial: Trial, place: Place) -> dict[str, Scorer]:
    assert trial.whole is not None
    rows = np.arange(len(trial.whole.items), dtype=np.int32)
    stages: dict[str, Stage] = {"fusion": trial.fusion(place)}
    learned = trial.ranked.get(place.name)
    ranked = learned.ranker if learned is not None else None
    if ranked is not None:
        stages["ranked"] = ranked
    sources = trial.sources_of(place)
    remembered = _Remembered(trial, place)

    def alone(source: Source) -> Callable[[Context], Floats]:
        return lambda context: source.score(context, rows)

    def staged(stage: Stage) -> Callable[[Context], Candidates]:
        return lambda context: stage.rank(*remembered(context))

    named: dict[str, Scorer] = {source.name: alone(source) for source in sources}
    named |= {name: staged(stage) for name, stage in stages.items()}
    asked, weights = place.among(trial.sources), trial.weights.get(place.name, place.weights)
    few = {name: trial.enough.get(place.name, asked) for name in stages}
    if ranked is not None:
        few["ranked"] = ranked.recipe.sources
    for name, stage in stages.items():
        lean = Lean.over(few[name], weights, asked)
        if lean is not None:
            named[name] = _leanly(trial, lean, stage, staged(stage))
    return named


def _leanly(trial: Trial, lean: Lean, stage: Stage, whole: Callable[[Context], Candidates]) -> Scorer:
    """As it is served: over the few sources, over all where those have nothing to show."""
    few = [trial.sources[name] for name in lean.names]

    def ranked(context: Context) -> Candidates:
        own = gather(few, context, trial.settings.answer.candidates)
        return stage.rank(context, own) if lean.speaks(own) else whole(context)

    return ranked


class _Remembered:
    """`Trial.candidates` of one place, the last context remembered: every stage asks the same."""

    def __init__(self, trial: Trial, place: Place) -> None:
        self._trial, self._place = trial, place
        self._last: Context | None = None
        self._found: tuple[Context, Candidates] | None = None

    def __call__(self, context: Context) -> tuple[Context, Candidates]:
        if self._last is not context or self._found is None:
            self._last, self._found = context, self._trial.candidates(self._place, context)
        return self._found


def _ranked_verdict(trial: Trial, place: Place, values: dict[str, dict[str, Doubles]], rng: np.random.Generator) -> str:
    """Why the ranker is served or not; where it is, what it is worth on the test window."""
    found = trial.ranked.get(place.name)
    if found is None:
        return ""
    if "ranked" not in values:
        return found.verdict
    gap = paired(values["ranked"]["ndcg@10"], values["fusion"]["ndcg@10"], rng)
    return f"{found.verdict}; on test {gap.mean:+.4f} (95 % interval {gap.low:+.4f} to {gap.high:+.4f})"


def _verdict(found: Weighted, best: str, gap: tuple[float, float, float]) -> str:
    mean, low, high = gap
    change = f"fusion against {best} on test: NDCG@10 {mean:+.4f} (95 % interval {low:+.4f} to {high:+.4f})"
    if found.chosen == "fusion":
        return f"{change}; chosen on validation: the fusion"
    if found.chosen == "default":
        return f"{change}; no fitted weights surely beat one source alone on validation: the default weights are served"
    if found.chosen == "rrf":
        return f"{change}; too few validation cases to fit weights: the default weights are served"
    return f"on validation no fusion beat {found.chosen} alone, so {found.chosen} alone is served"


def _repeat_share(cases: Sequence[Case]) -> float:
    """Part of the relevant items that the shopper had before."""
    if not cases:
        return 0.0
    again = [np.isin(case.relevant, case.context.history).mean() for case in cases]
    return float(np.mean(again))
