"""What do judgments teach the search? Other weights of its sources, where queries that taught nothing say they help.

The judged queries are split in two by the digest of their words. One half joins the searches of the log as cases that
the weights are fitted on; the other half decides: the new weights are served only where their graded nDCG@10 on it is
surely higher (paired 95 % interval above 0) and the log's own searches are not surely worse off.
Grades are those of people (and of a language model that has proved itself); clicks add theirs, graded anew from what
lies before the validation window, so that no figure of `learn` rests on a click that it is judged by.
Fewer judged queries than `judgments.queries`: nothing is tried, and the report says so. Cost: seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Protocol

import numpy as np

from bodega.engine.judged.clicks import judged_by_clicks
from bodega.engine.judged.report import measured
from bodega.engine.places import Place
from bodega.evaluation import Case, TimeSplit, paired
from bodega.evaluation.judgments.grading import Model
from bodega.ranking.fit import Weighted, fit_weights
from bodega.ranking.fuse import Fusion
from bodega.schema import Candidates, Context, World
from bodega.schema.arrays import Doubles
from bodega.schema.judgments import RELEVANT
from bodega.settings import Settings

Grades = Mapping[str, Mapping[str, int]]


class Trial(Protocol):
    """What is being judged; `engine.judging.Trial` fits."""

    @property
    def split(self) -> TimeSplit | None: ...
    @property
    def whole(self) -> World | None: ...
    @property
    def settings(self) -> Settings: ...
    def candidates(self, place: Place, context: Context) -> tuple[Context, Candidates]: ...


@dataclass(frozen=True, slots=True)
class Taught:
    """What came of it; part of the snapshot's facts."""

    queries: int
    needed: int
    held_out: int = 0
    gain: float = 0.0
    low: float = 0.0
    high: float = 0.0
    used: bool = False

    def __str__(self) -> str:
        if not self.held_out:
            return f"judgments: {self.queries} judged queries, {self.needed} are needed to weigh the search by them"
        state = "weigh the search" if self.used else "not used: they do not surely help"
        return (
            f"judgments: {state}, nDCG@10 {self.gain:+.4f} ({self.low:+.4f} to {self.high:+.4f}) "
            f"on {self.held_out} judged queries that taught nothing"
        )


@dataclass(frozen=True, slots=True)
class JudgedLesson:
    """Grades of people, and how clicks are graded."""

    grades: Grades
    """{query: {item id: grade}} of people and of a proven language model."""
    model: Model
    people: int
    needed: int

    def weigh(
        self, trial: Trial, place: Place, found: Weighted, cases: Sequence[Case], candidates: Sequence[Candidates]
    ) -> tuple[Weighted, Taught | None]:
        """The weights to serve, and what was found of the judgments; None where there are none."""
        grades = {query: items for query, items in self._all(trial).items() if max(items.values()) >= RELEVANT}
        if len(grades) < self.needed:
            return found, Taught(len(grades), self.needed) if grades else None
        teach = {query: items for query, items in grades.items() if teaches(query)}
        held = {query: items for query, items in grades.items() if query not in teach}
        more, theirs = _cases(trial, place, teach)
        per_source = trial.settings.answer.candidates
        fitted = fit_weights(place.name, [*cases, *more], [*candidates, *theirs], per_source=per_source)
        if fitted.chosen != "fusion" or not held:
            return found, Taught(len(grades), self.needed)
        before, after = found.weights or place.weights, fitted.weights
        asked = [trial.candidates(place, _context(trial, place, query)) for query in held]
        ids, rng = trial.whole.items.ids if trial.whole else (), np.random.default_rng(trial.settings.learn.seed)
        now, then = (_ndcg(place, weights, asked, list(held.values()), ids) for weights in (after, before))
        gap = paired(now, then, rng)
        own = _harm(place, (after, before), cases, candidates, rng)
        used = gap.low > 0 and own >= 0
        told = Taught(len(grades), self.needed, len(held), gap.mean, gap.low, gap.high, used)
        return (replace(fitted, figures={**found.figures, **fitted.figures}) if used else found), told

    def _all(self, trial: Trial) -> dict[str, dict[str, int]]:
        assert trial.split is not None
        assert trial.whole is not None
        index = trial.whole.items.index
        clicks, _ = judged_by_clicks(trial.split.train, trial.whole.items, self.people, self.model)
        out: dict[str, dict[str, int]] = {}
        for each in clicks:
            out.setdefault(each.query, {})[each.item] = each.grade
        for query, items in self.grades.items():
            out.setdefault(query, {}).update(items)
        known = {query: {name: grade for name, grade in own.items() if name in index} for query, own in out.items()}
        return {query: own for query, own in sorted(known.items()) if own}


def teaches(query: str) -> bool:
    """Half of the queries teach, the other half decides; the same always."""
    return bool(blake2b(query.encode("utf-8", "surrogatepass"), digest_size=1).digest()[0] & 1)


def _context(trial: Trial, place: Place, query: str) -> Context:
    assert trial.split is not None
    return Context(place=place.name, query=query, now=trial.split.valid.start)


def _cases(trial: Trial, place: Place, grades: Grades) -> tuple[list[Case], list[Candidates]]:
    assert trial.whole is not None
    index, cases, candidates = trial.whole.items.index, [], []
    for query, items in grades.items():
        right = np.array(sorted(index[name] for name, grade in items.items() if grade >= RELEVANT), np.int32)
        context, own = trial.candidates(place, _context(trial, place, query))
        cases.append(Case(context, right))
        candidates.append(own)
    return cases, candidates


def _ndcg(
    place: Place,
    weights: Mapping[str, float],
    asked: Sequence[tuple[Context, Candidates]],
    grades: Sequence[Mapping[str, int]],
    ids: Sequence[str],
) -> Doubles:
    fusion = Fusion({place.name: weights})
    lists = [[ids[row] for row in fusion.rank(*each).items[:50]] for each in asked]
    return measured(lists, grades)["ndcg@10"]


def _harm(
    place: Place,
    weights: tuple[Mapping[str, float], Mapping[str, float]],
    cases: Sequence[Case],
    candidates: Sequence[Candidates],
    rng: np.random.Generator,
) -> float:
    """The upper end of what the log's searches gain: below 0 they are surely worse off."""
    if not cases:
        return 0.0
    grades = [{str(row): 1 for row in case.relevant.tolist()} for case in cases]
    values = []
    for each in weights:
        fusion = Fusion({place.name: each})
        lists = [
            [str(row) for row in fusion.rank(case.context, own).items[:50].tolist()]
            for case, own in zip(cases, candidates, strict=True)
        ]
        values.append(measured(lists, grades)["ndcg@10"])
    return paired(values[0], values[1], rng).high
