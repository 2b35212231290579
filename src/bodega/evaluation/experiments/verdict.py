"""What does an experiment say now? One reading: sizes first, then guardrails, then what it was made for.

    mismatch   the arms are not as large as planned: nothing else may be believed
    harm       a guardrail surely got worse than allowed: stop, the control serves everybody
    better     an arm's interval lies above 0 (all arms share alpha)
    worse      ... below 0
    open       not known yet: go on

Every interval holds at all times together, so a reading an hour is no more often wrong than one at the end. Values are
one number a unit (a shopper), with what the unit did before taken out (`adjusting`). Not for: deciding to ship; a
person or a gate does that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bodega.evaluation.experiments.adjusting import adjusted
from bodega.evaluation.experiments.anytime import Effect, Moments, compare
from bodega.evaluation.experiments.mismatch import ALARM, watched_ratio
from bodega.schema.arrays import Doubles, Ints
from bodega.schema.experiments import Experiment, Guardrail

ALPHA = 0.05
PLANNED = 10_000
"""Units of an experiment that nobody planned."""

State = Literal["mismatch", "harm", "better", "worse", "open"]


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What the units of an experiment did so far. All arrays (n_units,)."""

    arm: Ints
    """Row of the experiment's arms."""
    values: Mapping[str, Doubles]
    """{metric: value of each unit since its first exposure}."""
    before: Mapping[str, Doubles]
    """{metric: the same over a time before it}, NaN for units without a past; metrics may be absent."""


@dataclass(frozen=True, slots=True)
class ArmReading:
    """One arm against the control."""

    arm: str
    state: State
    effect: Effect
    harmed: tuple[str, ...] = ()
    """Guardrails that surely got worse than allowed."""
    guarded: Mapping[str, Effect] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The experiment at this moment."""

    experiment: str
    state: State
    units: tuple[int, ...]
    """Of each arm."""
    ratio_p: float
    """How likely arms of these sizes are, looked at all the time; an alarm below .001."""
    explained: float
    """Part of the metric's variance that the time before explains: so many fewer units are needed."""
    arms: tuple[ArmReading, ...]
    """All but the control."""

    @property
    def best(self) -> str:
        """The arm that is surely better, the best of them; "" where none is."""
        better = [each for each in self.arms if each.state == "better"]
        return max(better, key=lambda each: each.effect.difference).arm if better else ""


def read(experiment: Experiment, seen: Readings) -> Reading:
    """The reading. Raises KeyError where a metric of the experiment was not measured."""
    units = tuple(np.bincount(seen.arm, minlength=len(experiment.arms)).tolist())
    p = watched_ratio(units, [arm.weight for arm in experiment.arms])
    values, explained = _clean(seen, experiment.metric)
    alpha = ALPHA / (len(experiment.arms) - 1)
    arms = []
    for row, arm in enumerate(experiment.arms[1:], 1):
        effect = _effect(values, seen.arm, row, (experiment.units or PLANNED, alpha))
        guarded = {
            guard.metric: _effect(_clean(seen, guard.metric)[0], seen.arm, row, (experiment.units or PLANNED, alpha))
            for guard in experiment.guardrails
        }
        harmed = tuple(guard.metric for guard in experiment.guardrails if _harmed(guarded[guard.metric], guard))
        state: State = "harm" if harmed else "better" if effect.low > 0 else "worse" if effect.high < 0 else "open"
        arms.append(ArmReading(arm.name, "mismatch" if p < ALARM else state, effect, harmed, guarded))
    return Reading(experiment.id, _overall(p, arms), units, p, explained, tuple(arms))


def _overall(p: float, arms: list[ArmReading]) -> State:
    if p < ALARM:
        return "mismatch"
    states: list[State] = [each.state for each in arms]
    if "harm" in states:
        return "harm"
    if "better" in states:
        return "better"
    return "worse" if states and all(each == "worse" for each in states) else "open"


def _clean(seen: Readings, metric: str) -> tuple[Doubles, float]:
    before = seen.before.get(metric)
    if before is None:
        return seen.values[metric], 0.0
    found = adjusted(seen.values[metric], before)
    return found.values, found.explained


def _effect(values: Doubles, arm: Ints, row: int, plan: tuple[int, float]) -> Effect:
    planned, alpha = plan
    return compare(Moments.of(values[arm == row]), Moments.of(values[arm == 0]), planned, alpha)


def _harmed(effect: Effect, guard: Guardrail) -> bool:
    """Is the whole interval beyond what is allowed?"""
    limit = guard.harm * abs(effect.control)
    return effect.high < -limit if guard.higher_is_better else effect.low > limit
