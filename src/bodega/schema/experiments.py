"""The nouns of an experiment: who may see what, by which share, judged on what, and who saw it.

An experiment gives each unit (a shopper; a guest by the visit) one of its *arms*, always the same one. Experiments of
one *layer* never meet: each owns a range of the layer's 10,000 buckets. Layers are independent of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec

from bodega.errors import BadRequest

BUCKETS = 10_000
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[\w.:-]+$")]
Bucket = Annotated[int, msgspec.Meta(ge=0, le=BUCKETS)]


class Arm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One of the ways that are compared. The first arm of an experiment is the control."""

    name: Name
    weight: Annotated[float, msgspec.Meta(gt=0, le=1_000)] = 1.0
    """Its share is its weight among all weights."""
    snapshot: str = ""
    """The snapshot that answers; "" is the current one."""
    settings: dict[str, float | str | bool] = {}
    """Dials that this arm turns, by their dotted names: {"diversity.home.strength": 0.2}."""


class Guardrail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What must not get worse. Where it surely did, the experiment is stopped and the control serves everybody."""

    metric: Name
    harm: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.02
    """So much worse, as a part of the control's mean, is too much."""
    higher_is_better: bool = True


class Experiment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A comparison of arms."""

    id: Name
    arms: Annotated[tuple[Arm, ...], msgspec.Meta(min_length=2, max_length=20)]
    hypothesis: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    layer: Name = "default"
    first: Bucket = 0
    """The first bucket of the layer that takes part."""
    last: Bucket = BUCKETS
    """... and the one after the last."""
    places: tuple[str, ...] = ()
    """Lists that differ; all of them when empty."""
    metric: Name = "purchases"
    """What decides."""
    guardrails: tuple[Guardrail, ...] = ()
    by: Literal["shopper", "time"] = "shopper"
    """`time`: switchback, everybody sees the same arm for `block_minutes`; for stock and prices that all share."""
    block_minutes: Annotated[int, msgspec.Meta(ge=1, le=10_080)] = 60
    kind: Literal["ab", "interleaving"] = "ab"
    """`interleaving`: one list, drafted by two arms; clicks say whose items are preferred."""
    burn_in_minutes: Annotated[int, msgspec.Meta(ge=0, le=10_080)] = 0
    """Switchback: the first minutes of a block are not counted; they show what the one before left behind."""
    units: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many units were planned (`bodega experiment plan`): where the interval is narrowest. 0: 10,000."""

    @property
    def control(self) -> Arm:
        return self.arms[0]


State = Literal["draft", "running", "stopped", "finished"]
MOVES: dict[State, tuple[State, ...]] = {
    "draft": ("running",),
    "running": ("stopped", "finished"),
    "stopped": ("finished",),
    "finished": (),
}
"""What an experiment may become. A stopped one is not begun again: its shoppers know both arms by then; copy it."""


class KeptExperiment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An experiment as it is kept: what is compared, and how far it got."""

    experiment: Experiment
    state: State = "draft"
    version: int = 0
    """Number of the change that made it so."""
    updated: float = 0.0
    """Seconds since 1970 UTC, as all times here."""
    started: float = 0.0
    ended: float = 0.0
    why: str = ""
    """Why it was stopped or finished."""
    promoted: str = ""
    """The arm that everybody gets from then on; "" for the control."""

    @property
    def id(self) -> str:
        return self.experiment.id


class ExperimentChange(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit trail: who did what with which experiment, when, and why."""

    id: int
    time: float
    who: str
    """Label of the API key, `cli`, or `guard` where a guardrail did it."""
    what: str
    """`create`, `change`, `delete`, `start`, `stop` or `finish`."""
    experiment: str
    why: str = ""
    before: KeptExperiment | None = None
    after: KeptExperiment | None = None


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """A unit saw what its arm shows, for the first time."""

    experiment: str
    unit: str
    arm: str
    time: float
    """Seconds since 1970 UTC."""


class Doing(NamedTuple):
    """What an experiment's reading knows of an event."""

    time: float
    type: str
    user: str
    session: str
    item: str
    request_id: str
    amount: float
    """Price times quantity of what was bought or returned, else 0."""
    channel: str


def checked_experiments(experiments: Sequence[Experiment]) -> Sequence[Experiment]:
    """The same experiments. Raises BadRequest where two have one id, arms share a name, or ranges of a layer meet."""
    names = [each.id for each in experiments]
    for each in experiments:
        where = f"experiments.{each.id}"
        if each.kind == "interleaving" and (len(each.arms) != 2 or each.by == "time"):
            raise BadRequest(
                "one list is drafted by two arms, shopper by shopper",
                code="experiment.interleaving",
                where=f"{where}.arms",
                allowed="two arms, by: shopper",
                got=f"{len(each.arms)} arms, by: {each.by}",
                next="leave out the others, or make it a test of kind ab",
            )
        if names.count(each.id) > 1:
            raise BadRequest(
                "two experiments have the same id",
                code="experiment.same_id",
                where=where,
                next="give one of them another id",
            )
        if len({arm.name for arm in each.arms}) < len(each.arms):
            raise BadRequest(
                "two arms have the same name",
                code="experiment.same_arm",
                where=f"{where}.arms",
                next="give each its own",
            )
        if each.first >= each.last:
            raise BadRequest(
                "no bucket takes part",
                code="experiment.no_bucket",
                where=where,
                allowed="first < last",
                got=f"{each.first} to {each.last}",
            )
    for one, other in ((a, b) for n, a in enumerate(experiments) for b in experiments[n + 1 :]):
        if one.layer == other.layer and one.first < other.last and other.first < one.last:
            raise BadRequest(
                f"experiments {one.id} and {other.id} share buckets of layer {one.layer}",
                code="experiment.buckets",
                where=f"experiments.{other.id}",
                allowed="ranges that do not meet, or another layer",
                got=f"{one.first} to {one.last} and {other.first} to {other.last}",
                next="move one of them, or give it a layer of its own",
            )
    return experiments
