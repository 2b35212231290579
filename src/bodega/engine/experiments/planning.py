"""What will an experiment take, and can it be judged as it is written? Asked before anybody sees an arm.

`planned_for` reads a metric's mean and variance and the traffic off the last days of the log; `checked_metrics` refuses
a metric that nobody measures, and a guardrail whose direction is the wrong way round (it would stop what helps).
Not for: buckets and dials (`conducting`, `dials`).
"""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
from msgspec import Meta

from bodega.engine.experiments.reading import finite
from bodega.engine.places import PLACES
from bodega.errors import BadRequest
from bodega.insight.trying import LOWER, METRICS, Log
from bodega.insight.trying_plan import LIFTS, baseline, planned
from bodega.schema.experiments import Experiment, Guardrail

GUARDS = (
    Guardrail(metric="clicks", harm=0.1),
    Guardrail(metric="zero_results", harm=0.5, higher_is_better=False),
    Guardrail(metric="latency", harm=0.5, higher_is_better=False),
)
"""What the command and the page give an experiment that names no guardrails of its own."""

RESERVED = ("audit", "dials", "plan")
"""Ids that would hide an address of the HTTP API."""


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a plan is asked for."""

    lift: Annotated[float, Meta(ge=0, le=10)] = 0.0
    """The lift that has to be found; 0: the usual ones."""
    arms: Annotated[int, Meta(ge=2, le=20)] = 2
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """Part of the shoppers that takes part."""
    power: Annotated[float, Meta(gt=0.5, lt=1)] = 0.8
    days: Annotated[int, Meta(ge=1, le=365)] = 28
    """So many of the last days are read."""


class NeededTold(msgspec.Struct, frozen=True):
    """What one lift takes: shoppers of all arms together, and days; null where that many never come."""

    lift: float
    once: int
    watched: int
    once_days: float | None
    watched_days: float | None


class Planned(msgspec.Struct, frozen=True):
    """A plan."""

    metric: str
    mean: float
    """Of a shopper, over the days that were read."""
    variance: float
    shoppers: int
    days: int
    needed: tuple[NeededTold, ...]


def planned_for(log: Log, metric: str, asked: Asked) -> Planned:
    """The plan. A log without shoppers gives one that needs nobody and finds nothing."""
    base = baseline(log, metric, time.time(), asked.days)
    lifts = (asked.lift,) if asked.lift else LIFTS
    found = planned(base, lifts=lifts, arms=asked.arms, share=asked.share, power=asked.power)
    needed = tuple(
        NeededTold(each.lift, each.once, each.watched, finite(each.once_days), finite(each.watched_days))
        for each in found
    )
    return Planned(metric, base.mean, base.variance, base.units, asked.days, needed)


def known_metric(metric: str, where: str) -> None:
    """Raises BadRequest for a metric that nobody measures."""
    if metric not in METRICS:
        raise BadRequest(
            "there is no such metric", code="experiment.metric", where=where, allowed=", ".join(METRICS), got=metric
        )


def checked_metrics(experiment: Experiment) -> None:
    """Raises BadRequest where the experiment cannot be judged as it is written."""
    where = f"experiments.{experiment.id}"
    known_metric(experiment.metric, f"{where}.metric")
    if experiment.id in RESERVED:
        raise BadRequest(
            "this id is an address of ours",
            code="experiment.id_taken",
            where=where,
            allowed="any other",
            got=experiment.id,
        )
    unknown = [place for place in experiment.places if place not in PLACES]
    if unknown:
        raise BadRequest(
            "there is no such list",
            code="experiment.place",
            where=f"{where}.places",
            allowed=", ".join(PLACES),
            got=unknown[0],
        )
    for row, guard in enumerate(experiment.guardrails):
        known_metric(guard.metric, f"{where}.guardrails.{row}.metric")
        if guard.higher_is_better == (guard.metric in LOWER):
            raise BadRequest(
                "this guardrail watches the wrong side",
                code="experiment.guardrail",
                where=f"{where}.guardrails.{row}.higher_is_better",
                allowed="false" if guard.metric in LOWER else "true",
                got=guard.higher_is_better,
                next=f"{guard.metric} is better when it is {'lower' if guard.metric in LOWER else 'higher'}",
            )
