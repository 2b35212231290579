"""What may become of an experiment? Drafts are written; what runs is only stopped or finished, never changed.

An arm that changes while it runs compares nothing any more: shoppers saw both. So `drafted` refuses whatever is no
draft, and `moved` refuses a step that `schema.experiments.MOVES` does not know, and a start whose buckets another
running experiment of the layer has. Stores do both in the transaction that writes. Not for: what an arm can be
(`engine.dials` says that), nor for who may.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from bodega.errors import BadRequest, Conflict, LimitError, Stale
from bodega.schema.answers import Answered
from bodega.schema.experiments import MOVES, Experiment, Exposure, KeptExperiment, State, checked_experiments

EXPERIMENTS_LIMIT = 1_000
"""Experiments of one shop, finished ones among them."""
VERBS: dict[State, str] = {"draft": "create", "running": "start", "stopped": "stop", "finished": "finish"}
"""{what it becomes: what the audit trail calls that}."""


class Step(msgspec.Struct, frozen=True):
    """One change, as it is going to be noted."""

    number: int
    time: float
    why: str = ""
    promoted: str = ""


def drafted(held: KeptExperiment | None, experiment: Experiment, step: Step) -> KeptExperiment:
    """The draft as it will be kept. Raises Conflict where it is none any more, BadRequest where it cannot be meant."""
    if held is not None and held.state != "draft":
        raise Conflict(
            f"this experiment is {held.state}: its arms stay what its shoppers saw",
            code="experiment.fixed",
            where=f"experiments.{held.id}",
            allowed="a draft",
            got=held.state,
            next="write a new one under another id",
        )
    checked_experiments([experiment])
    return KeptExperiment(experiment=experiment, version=step.number, updated=step.time)


def moved(
    name: str, held: KeptExperiment | None, state: State, among: Iterable[KeptExperiment], step: Step
) -> KeptExperiment:
    """The experiment in its next state; `among` are all there are. Raises BadRequest, Conflict."""
    if held is None:
        raise no_experiment(name)
    if state not in MOVES[held.state]:
        raise Conflict(
            f"an experiment that is {held.state} cannot be {state}",
            code="experiment.state",
            where=f"experiments.{name}",
            allowed=" or ".join(MOVES[held.state]) or "nothing: it is over",
            got=state,
            next="write a new one under another id" if not MOVES[held.state] else "",
        )
    if step.promoted and step.promoted not in {arm.name for arm in held.experiment.arms}:
        raise BadRequest(
            "there is no such arm",
            code="experiment.no_arm",
            where=f"experiments.{name}.promoted",
            allowed=", ".join(arm.name for arm in held.experiment.arms),
            got=step.promoted,
        )
    if state == "running":
        others = [each.experiment for each in among if each.state == "running"]
        checked_experiments([*others, held.experiment])
    return msgspec.structs.replace(
        held,
        state=state,
        version=step.number,
        updated=step.time,
        started=step.time if state == "running" else held.started,
        ended=held.ended if held.ended or state == "running" else step.time,
        why=step.why or held.why,
        promoted=step.promoted,
    )


def note_exposures(line: Answered, seen: dict[tuple[str, str], Exposure]) -> None:
    """Keep the first exposure of this page's unit to each of its experiments: {(experiment, unit): exposure}."""
    for experiment, arm in line.arms.items():
        held = seen.get((experiment, line.unit))
        if held is None or line.time < held.time:
            seen[experiment, line.unit] = Exposure(experiment=experiment, unit=line.unit, arm=arm, time=line.time)


def expect(name: str, held: KeptExperiment | None, expected: int | None) -> None:
    """Raises Stale when the experiment is not the version that the writer has seen."""
    version = held.version if held else 0
    if expected is None or expected == version:
        return
    raise Stale(
        "there is such an experiment already" if expected == 0 else "the experiment was changed since it was read",
        code="experiment.exists" if expected == 0 else "experiment.stale",
        where=f"experiments.{name}",
        allowed=f"version {version}" if held else "an experiment that is there",
        got=f"version {expected}",
        next="read it again, make the change again, send it with that version",
    )


def room(count: int) -> None:
    """Raises LimitError where a shop that has so many may not have one more."""
    if count >= EXPERIMENTS_LIMIT:
        error = LimitError(
            "too many experiments",
            code="experiment.too_many",
            where="experiments",
            allowed=f"{EXPERIMENTS_LIMIT:,}",
            got=f"{count:,}",
            next="delete drafts that nobody needs",
        )
        error.status, error.retry_after = 422, 0
        raise error


def no_experiment(name: str) -> BadRequest:
    """There is no such experiment: 404."""
    error = BadRequest(
        "there is no such experiment",
        code="experiment.unknown",
        where="experiments",
        got=name,
        next="bodega experiment list",
    )
    error.status = 404
    return error
