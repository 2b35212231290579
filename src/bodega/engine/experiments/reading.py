"""What does an experiment say now? One reading as people, programs and guards see it.

Units are shoppers (pages, in one list of two arms; blocks of time, in a switchback). Where the arms are not as large
as they should be nothing else may be believed, and the reading says so first. Intervals of A/B tests and interleavings
hold whenever one looks; those of segments and switchbacks are for who looks once. Unknown bounds are null.
Cost: one pass over the log of answers and two over the events since it began, 4 us a row; kept for `FRESH` seconds.
Not for: stopping (`experiments.guard`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from bodega.engine.intake import Stores
from bodega.engine.privacy import Privacy
from bodega.evaluation.experiments import Effect, Moments, compare, read
from bodega.evaluation.experiments.adjusting import adjusted
from bodega.evaluation.experiments.mismatch import ALARM
from bodega.evaluation.experiments.verdict import ALPHA, PLANNED, Readings
from bodega.insight.trying import METRICS, Gathered, Log, course, gathered, readings, segments
from bodega.insight.trying_lists import preferred, switched
from bodega.schema.experiments import KeptExperiment
from bodega.schema.said import Said

MOMENTS = 40
GUARD_ALPHA = 0.001
"""A switchback is read for who looks once, and guarded by who looks often."""
Verdict = Literal["nobody", "mismatch", "harm", "better", "worse", "open"]


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """A difference from the control, with an interval; null where nothing can be said yet."""

    difference: float
    low: float | None = None
    high: float | None = None
    control: float = 0.0
    """The control's mean."""
    lift: float | None = None
    lift_low: float | None = None
    lift_high: float | None = None


class ArmRead(msgspec.Struct, frozen=True):
    """One arm against the control."""

    arm: str
    state: Verdict
    effect: Told
    harmed: tuple[str, ...]
    """Guardrails that surely got worse than allowed."""
    metrics: dict[str, Told]
    """Everything that was measured; guardrails among it."""


class MomentRead(msgspec.Struct, frozen=True):
    """What was known at a moment."""

    time: float
    units: int
    effects: tuple[Told, ...]
    """Of each arm but the control."""


class SegmentRead(msgspec.Struct, frozen=True):
    """An arm's effect in one group of shoppers."""

    arm: str
    by: str
    segment: str
    effect: Told
    p: float
    """Corrected for having looked at all groups."""
    units: int


class PreferredRead(msgspec.Struct, frozen=True):
    """What clicks on one list of two arms say; positive: the second arm is preferred. Clicks a page."""

    pages: int
    clicked: int
    wins: tuple[int, int]
    debiased: Told
    teams: Told


class Tried(msgspec.Struct, frozen=True):
    """The reading of an experiment."""

    experiment: str
    verdict: Verdict
    time: float
    metric: str
    units: tuple[int, ...]
    """Of each arm: shoppers; pages of an interleaving (both arms); blocks of a switchback."""
    ratio_p: float
    """How likely arms of these sizes are, looked at all the time; below .001 nothing else may be believed."""
    explained: float
    """Part of the metric's variance that the time before explains."""
    crossed: int
    """Shoppers who saw several arms; they count for the first."""
    best: str
    """The arm that is surely better."""
    arms: tuple[ArmRead, ...]
    course: tuple[MomentRead, ...] = ()
    segments: tuple[SegmentRead, ...] = ()
    varies: dict[str, float] = {}
    """{arm and grouping: p-value of "the effect is the same in every group"}."""
    preferred: PreferredRead | None = None
    warnings: tuple[str, ...] = ()
    said: tuple[Said, ...] = ()
    """The warnings with their codes."""


def log_of(stores: Stores, privacy: Privacy) -> Log:
    """The log that experiments are read from, with every shopper under one key."""
    return Log(lambda since: stores.answers.scan(since), stores.experiments.doings, privacy.people().who.key)


def tried(kept: KeptExperiment, log: Log, before_days: float, *, brief: bool = False) -> Tried:
    """Read it. `brief`: without the course and the segments, as a guard does."""
    if kept.experiment.kind == "interleaving":
        return _list_of_two(kept, log)
    seen = gathered(kept, log, before_days)
    if not len(seen):
        return _nobody(kept)
    found = _switchback(kept, seen) if kept.experiment.by == "time" else _compared(kept, seen)
    if brief:
        return found
    metric = kept.experiment.metric
    end = kept.ended or time.time()
    times = np.linspace(kept.started, end, MOMENTS + 1)[1:]
    moments = course(kept, seen, metric, times.tolist()) if kept.experiment.by == "shopper" else []
    parts, varies = _segments(kept, seen, metric) if kept.experiment.by == "shopper" else ((), {})
    return msgspec.structs.replace(
        found,
        course=tuple(MomentRead(each.time, each.units, tuple(map(told, each.effects))) for each in moments),
        segments=parts,
        varies=varies,
    )


def _compared(kept: KeptExperiment, seen: Gathered) -> Tried:
    experiment, now = kept.experiment, readings(kept, seen)
    found = read(experiment, now)
    said = _warnings(found.ratio_p, seen)
    arms = tuple(
        ArmRead(each.arm, each.state, told(each.effect), each.harmed, _all(kept, now, row))
        for row, each in enumerate(found.arms, 1)
    )
    return Tried(
        experiment=kept.id,
        verdict=found.state,
        time=time.time(),
        metric=experiment.metric,
        units=found.units,
        ratio_p=found.ratio_p,
        explained=found.explained,
        crossed=seen.crossed,
        best=found.best,
        arms=arms,
        warnings=tuple(each.text for each in said),
        said=said,
    )


def _warnings(p: float, seen: Gathered) -> tuple[Said, ...]:
    out = []
    if p < ALARM:
        text = "the arms are not as large as planned: something drops shoppers of one arm; believe no figure"
        out.append(Said("experiment.ratio", text))
    if seen.crossed > 0.05 * len(seen):
        text = f"{seen.crossed:,} of {len(seen):,} shoppers saw several arms: effects are diluted"
        out.append(Said("experiment.crossed", text, {"crossed": seen.crossed, "units": len(seen)}))
    return tuple(out)


_ONCE = Said("experiment.switchback", "a switchback is read once, at its end: its intervals are not for watching")


def _all(kept: KeptExperiment, now: Readings, row: int) -> dict[str, Told]:
    out = {}
    alpha = ALPHA / (len(kept.experiment.arms) - 1)
    for name in METRICS:
        values = now.values[name]
        if name in now.before:
            values = adjusted(values, now.before[name]).values
        arm, control = Moments.of(values[now.arm == row]), Moments.of(values[now.arm == 0])
        out[name] = told(compare(arm, control, kept.experiment.units or PLANNED, alpha))
    return out


def _switchback(kept: KeptExperiment, seen: Gathered) -> Tried:
    experiment = kept.experiment
    found = switched(kept, seen, experiment.metric)
    guards = {each.metric: switched(kept, seen, each.metric, GUARD_ALPHA) for each in experiment.guardrails}
    arms = []
    for row, each in enumerate(found):
        harmed = tuple(
            guard.metric
            for guard in experiment.guardrails
            if _is_harm(guards[guard.metric][row].effect, guard.harm, higher=guard.higher_is_better)
        )
        state: Verdict = "harm" if harmed else _said(each.effect)
        metrics = {name: told(switched(kept, seen, name)[row].effect) for name in METRICS if name != "days"}
        arms.append(ArmRead(each.arm, state, told(each.effect), harmed, metrics))
    better = [each for each in arms if each.state == "better"]
    return Tried(
        experiment=kept.id,
        verdict=_overall([each.state for each in arms]),
        time=time.time(),
        metric=experiment.metric,
        units=(found[0].blocks[0], *(each.blocks[1] for each in found)),
        ratio_p=1.0,
        explained=0.0,
        crossed=0,
        best=max(better, key=lambda each: each.effect.difference).arm if better else "",
        arms=tuple(arms),
        warnings=(_ONCE.text,),
        said=(_ONCE,),
    )


def _list_of_two(kept: KeptExperiment, log: Log) -> Tried:
    found = preferred(kept, log)
    if not found.pages:
        return _nobody(kept)
    name = kept.experiment.arms[1].name
    state = _said(found.debiased)
    arm = ArmRead(name, state, told(found.debiased), (), {"clicks": told(found.debiased)})
    return Tried(
        experiment=kept.id,
        verdict=state,
        time=time.time(),
        metric="clicks",
        units=(found.pages,),
        ratio_p=1.0,
        explained=0.0,
        crossed=0,
        best=name if state == "better" else kept.experiment.control.name if state == "worse" else "",
        arms=(arm,),
        preferred=PreferredRead(found.pages, found.clicked, found.wins, told(found.debiased), told(found.teams)),
    )


def _segments(kept: KeptExperiment, seen: Gathered, metric: str) -> tuple[tuple[SegmentRead, ...], dict[str, float]]:
    out, varies = [], {}
    for row, arm in enumerate(kept.experiment.arms[1:], 1):
        for by, held in segments(kept, seen, metric, row).items():
            varies[f"{arm.name} {by}"] = held.varies
            for each in held.effects:
                effect = Told(each.difference, finite(each.low), finite(each.high))
                out.append(SegmentRead(arm.name, by, each.segment, effect, each.p, each.n))
    return tuple(out), varies


def _nobody(kept: KeptExperiment) -> Tried:
    none = tuple(ArmRead(arm.name, "nobody", Told(0.0), (), {}) for arm in kept.experiment.arms[1:])
    units = (0,) * len(kept.experiment.arms)
    return Tried(kept.id, "nobody", time.time(), kept.experiment.metric, units, 1.0, 0.0, 0, "", none)


def _said(effect: Effect) -> Verdict:
    return "better" if effect.low > 0 else "worse" if effect.high < 0 else "open"


def _overall(states: Sequence[Verdict]) -> Verdict:
    for state in ("harm", "better"):
        if state in states:
            return state
    return "worse" if all(state == "worse" for state in states) else "open"


def _is_harm(effect: Effect, part: float, *, higher: bool) -> bool:
    limit = part * abs(effect.control)
    return effect.high < -limit if higher else effect.low > limit


def told(effect: Effect) -> Told:
    """An effect as JSON can say it."""
    lift, low, high = effect.lift
    return Told(
        float(effect.difference),
        finite(effect.low),
        finite(effect.high),
        float(effect.control),
        finite(lift),
        finite(low),
        finite(high),
    )


def finite(value: float) -> float | None:
    """A plain number, or None where it is unknown or never."""
    return float(value) if math.isfinite(value) else None
