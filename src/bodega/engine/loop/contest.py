"""Candidate against current, asked of shoppers: an interleaving that `shop.experiments` serves, read without bias.

Every list of the places that weights are fitted for is drafted from both snapshots; clicks are credited without bias
by places (`evaluation.experiments.interleaving`), with an interval that holds whenever one looks. The verdict:

    better     the interval lies above 0
    worse      ... below 0
    harmless   as many pages as were planned, and the interval's lower end is no lower than `margin` of a page's clicks
    open       not known yet

Cost: a search for each arm on pages that take part. Not for: what needs a whole visit (an A/B test is).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from bodega.engine.experiments.door import Experiments
from bodega.engine.loop.state import ContestReading
from bodega.engine.places import PLACES
from bodega.evaluation.experiments import Effect
from bodega.insight.trying import Log
from bodega.insight.trying_lists import preferred
from bodega.schema.experiments import Arm, Experiment, KeptExperiment
from bodega.settings import Loop

WHO = "loop"
LAYER = "loop"


class Interleaved:
    """Implements `loop.Contest` over the experiments of the shop."""

    def __init__(self, experiments: Callable[[], Experiments], log: Callable[[], Log], dials: Loop) -> None:
        self._experiments, self._log, self._dials = experiments, log, dials

    def begin(self, run: int, served: str, candidate: str) -> str:
        """Start it; the same again after a crash."""
        del served  # the control is what is served
        name = f"loop-{run}-{candidate[:8]}"
        experiments = self._experiments()
        held = self._held(name)
        if held is None:
            made = Experiment(
                id=name,
                kind="interleaving",
                layer=LAYER,
                arms=(Arm(name="current"), Arm(name="candidate", snapshot=candidate)),
                hypothesis=f"snapshot {candidate} came through the gate of the loop: do shoppers like its lists?",
                places=tuple(place.name for place in PLACES.values() if place.fitted),
                metric="clicks",
                units=self._dials.contest_pages,
            )
            held = experiments.put(made, who=WHO, expected=0)
        if held.state == "draft":
            experiments.start(name, who=WHO, why="the candidate came through the gate")
        return name

    def read(self, name: str, began: float) -> ContestReading:
        """What clicks say by now."""
        del began
        held = self._held(name)
        if held is None or held.state in ("stopped", "finished"):
            return ContestReading(state="worse", text="the experiment was ended by somebody else")
        found = preferred(held, self._log())
        return verdict(found.pages, found.clicked, found.debiased, self._dials)

    def end(self, name: str, why: str) -> None:
        """Everybody gets what is served."""
        held = self._held(name)
        if held is not None and held.state == "running":
            self._experiments().finish(name, who=WHO, why=why[:500])

    def _held(self, name: str) -> KeptExperiment | None:
        return next((each for each in self._experiments().list() if each.id == name), None)


def verdict(pages: int, clicked: int, effect: Effect, dials: Loop) -> ContestReading:
    """The reading of so many pages."""
    gap, low, high = effect.difference, effect.low, effect.high
    usual = clicked / pages if pages else 0.0
    state: Literal["open", "better", "worse", "harmless"] = "open"
    if low > 0:
        state = "better"
    elif high < 0:
        state = "worse"
    elif pages >= dials.contest_pages and low >= -dials.margin * usual:
        state = "harmless"
    bounds = f" ({low:+.4f} to {high:+.4f})" if math.isfinite(low) else ""
    text = f"{pages:,} of {dials.contest_pages:,} pages: {gap:+.4f} clicks a page{bounds}, {state}"
    return ContestReading(
        state=state,
        pages=pages,
        planned=dials.contest_pages,
        difference=gap,
        low=low if math.isfinite(low) else -1.0,
        high=high if math.isfinite(high) else 1.0,
        text=text,
    )
