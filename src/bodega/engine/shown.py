"""Weights of a list by what was taken of the pages that it really showed, where the shop records these.

Cases that ask "what did they take, of everything?" say that what was shown was right: a shop that learns from its own
lists every day then trusts the sources that made them more and more. Where the log holds impressions with places, and
a source that knows how places are looked at (`learn.appeal`), the home list's weights are fitted on `showings` instead:
only items of one page compete, places taken out. Sources are put on the scale that they have at a request, over all
candidates, before the others are left out.
Cost: as much as fitting on the usual cases. Not for: figures of reports, or lists that a query or an item asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

from bodega.engine.places import Place
from bodega.evaluation import CaseOptions, TimeSplit
from bodega.evaluation.showings import showings
from bodega.protocols import Source
from bodega.ranking.fit import Weighted, fit_weights
from bodega.schema import Candidates, Context, World
from bodega.schema.arrays import Floats
from bodega.settings import Settings

PLACE = "home"
"""The list that impressions without a query are put down to: a log does not say which list showed them."""
FEWEST = 100
"""Showings below which the usual cases decide."""


@runtime_checkable
class Looks(Protocol):
    """A source that knows how often each place is looked at."""

    looks: Floats
    """(n_places,), beside the first place; empty where it does not know."""


class Trial(Protocol):
    """What is being judged; `engine.judging.Trial` fits."""

    @property
    def split(self) -> TimeSplit | None: ...
    @property
    def whole(self) -> World | None: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def sources(self) -> Mapping[str, Source]: ...
    @property
    def weighed(self) -> int: ...
    def candidates(self, place: Place, context: Context) -> tuple[Context, Candidates]: ...


def looks_of(sources: Mapping[str, Source]) -> Floats | None:
    """How often each place is looked at; None where no source knows."""
    held: list[object] = list(sources.values())
    return next((each.looks for each in held if isinstance(each, Looks) and len(each.looks)), None)


def weighed_by_showings(trial: Trial, place: Place, found: Weighted) -> Weighted:
    """The weights of this place by what was taken of its pages; `found` where too few are known."""
    looks = looks_of(trial.sources)
    if place.name != PLACE or looks is None or trial.split is None or trial.whole is None:
        return found
    learn = trial.settings.learn
    options = CaseOptions(limit=trial.weighed, seed=learn.seed, history=trial.settings.answer.history)
    held = showings(trial.whole.log, place.name, trial.split.valid, looks, options)
    if len(held) < FEWEST:
        return found
    cases, among = [each.case for each in held], [each.shown for each in held]
    candidates = [trial.candidates(place, case.context)[1] for case in cases]
    fitted = fit_weights(place.name, cases, candidates, per_source=trial.settings.answer.candidates, among=among)
    if not fitted.weights:
        return found
    figures = {f"shown.{name}": value for name, value in fitted.figures.items()}
    return replace(fitted, figures=found.figures | figures)
