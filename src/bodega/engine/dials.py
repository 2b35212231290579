"""What may an arm of an experiment change? A closed list of dials, by the dotted names that settings have.

    dials.personal, dials.rules, dials.ranker    false: off
    dials.weights.<source>                       factor on its weight in the sum
    dials.off.<source>                           true: the source is not asked at all
    diversity.<place>.<key>                      how mixed a place's lists are, e.g. diversity.home.strength
    explore.<place>.<key>                        what a place tries out, e.g. explore.home.policy
    updates.steps                                the small steps between two learns

An arm is judged by the types of the settings when it is written, so that a slip of the pen never reaches a shopper; and
what an experiment promotes is written into the settings by the same names. `turned` is where `[dials]` act, for the
shop's own engine and for an arm's alike. Cost: an engine over the same models, .5 ms. Not for: who gets which arm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, get_type_hints

import msgspec

from bodega.engine.places import FALLBACK
from bodega.errors import BadRequest
from bodega.protocols import Source
from bodega.ranking.fuse import Fusion
from bodega.ranking.learned import Ordering
from bodega.retrieval.lexical import Lexical
from bodega.schema import Diversity, Explore, Request
from bodega.schema.experiments import Arm, Experiment
from bodega.settings import Dials, Exploring, Mixing, Settings

Value = float | str | bool
NEEDED = (Lexical.name, FALLBACK)
"""Sources that cannot be taken away, only be given no weight: words find, and something must always be there."""
SWITCHES = ("dials.personal", "dials.rules", "dials.ranker", "updates.steps")
OF_PLACES: dict[str, tuple[type[msgspec.Struct], type[msgspec.Struct]]] = {
    "diversity": (Mixing, Diversity),
    "explore": (Exploring, Explore),
}


class Dial(msgspec.Struct, frozen=True):
    """A dial that an arm may turn."""

    name: str
    kind: str
    """`switch`, `number`, `whole` or `choice`."""
    value: Value
    """As the shop has it now."""
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


def dials(settings: Settings, sources: Iterable[str]) -> list[Dial]:
    """Every dial there is, as the shop has it: for a page or a command that offers them."""
    found = [
        Dial("dials.personal", "switch", settings.dials.personal),
        Dial("dials.rules", "switch", settings.dials.rules),
        Dial("dials.ranker", "switch", settings.dials.ranker),
        Dial("updates.steps", "switch", settings.updates.steps),
    ]
    for source in sorted(sources):
        weight = float(settings.dials.weights.get(source, 1.0))
        found.append(Dial(f"dials.weights.{source}", "number", weight, low=0.0, high=100.0))
        found.append(Dial(f"dials.off.{source}", "switch", source in settings.dials.off))
    for table, (holder, struct) in OF_PLACES.items():
        held = getattr(settings, table)
        for place, kind in get_type_hints(holder).items():
            if kind is struct:
                found += _dials_of(f"{table}.{place}", getattr(held, place))
    return found


def _dials_of(prefix: str, held: msgspec.Struct) -> list[Dial]:
    out = []
    for node in msgspec.inspect.type_info(type(held)).fields:  # type: ignore[attr-defined]
        value, kind = getattr(held, node.name), node.type
        name = f"{prefix}.{node.name}"
        if isinstance(kind, msgspec.inspect.LiteralType):
            out.append(Dial(name, "choice", value, choices=tuple(str(each) for each in kind.values)))
        elif isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
            low = kind.ge if kind.ge is not None else kind.gt
            high = kind.le if kind.le is not None else kind.lt
            whole = isinstance(kind, msgspec.inspect.IntType)
            out.append(Dial(name, "whole" if whole else "number", value, low=low, high=high))
    return out


def settings_of(settings: Settings, turned: Mapping[str, Value], where: str = "settings") -> Settings:
    """The settings with these dials turned. Raises BadRequest for one that there is not, or a value it cannot take."""
    for name, value in turned.items():
        try:
            settings = _set(settings, name, value)
        except (msgspec.ValidationError, ValueError) as error:
            raise BadRequest(
                "a dial cannot take this value",
                code="dials.value",
                where=f"{where}.{name}",
                allowed=str(error)[:300],
                got=value,
            ) from error
        except KeyError as error:
            raise BadRequest(
                "an arm cannot turn this",
                code="dials.arm",
                where=f"{where}.{name}",
                allowed="dials.personal, dials.rules, dials.ranker, dials.weights.<source>, dials.off.<source>, "
                "diversity.<place>.<key>, explore.<place>.<key>, updates.steps",
                got=name,
                next="`bodega experiment dials` lists them all",
            ) from error
    return settings


def _set(settings: Settings, name: str, value: Value) -> Settings:
    parts = name.split(".")
    if name in SWITCHES:
        held: Any = getattr(settings, parts[0])
        new = msgspec.structs.replace(held, **{parts[1]: msgspec.convert(value, bool)})
        return msgspec.structs.replace(settings, **{parts[0]: new})
    if len(parts) != 3:
        raise KeyError(name)
    table, place, key = parts
    if table == "dials":
        return msgspec.structs.replace(settings, dials=_of_source(settings.dials, place, key, value))
    if table not in OF_PLACES or key not in OF_PLACES[table][1].__struct_fields__:
        raise KeyError(name)
    held, struct = getattr(settings, table), OF_PLACES[table][1]
    if not isinstance(getattr(held, place, None), struct):
        raise KeyError(name)
    whole = isinstance(value, float) and not isinstance(value, bool) and value.is_integer()
    plain = {**msgspec.structs.asdict(getattr(held, place)), key: int(value) if whole else value}
    dial = msgspec.convert(plain, struct, strict=True)
    return msgspec.structs.replace(settings, **{table: msgspec.structs.replace(held, **{place: dial})})


def _of_source(held: Dials, key: str, source: str, value: Value) -> Dials:
    if key == "weights":
        plain = {**held.weights, source: value}
        return msgspec.convert({**msgspec.structs.asdict(held), "weights": plain}, Dials)
    if key == "off":
        gone = [name for name in held.off if name != source]
        return msgspec.structs.replace(held, off=tuple(gone + ([source] if msgspec.convert(value, bool) else [])))
    raise KeyError(key)


def checked_arms(experiment: Experiment, settings: Settings, sources: Iterable[str], snapshots: Iterable[str]) -> None:
    """Can every arm be served? Raises BadRequest: a dial that is none, a source or snapshot that the shop has not, arms
    that do not differ though nothing says that this is a test of nothing."""
    known, there = set(sources), set(snapshots)
    for row, arm in enumerate(experiment.arms):
        where = f"experiments.{experiment.id}.arms.{row}"
        settings_of(settings, arm.settings, f"{where}.settings")
        for name in arm.settings:
            table, _, source = name.rpartition(".")
            if table in ("dials.weights", "dials.off") and known and source not in known:
                raise BadRequest(
                    "this shop has no such source",
                    code="dials.shop_source",
                    where=f"{where}.settings.{name}",
                    allowed=", ".join(sorted(known)),
                    got=source,
                )
        if arm.snapshot and arm.snapshot not in there:
            raise BadRequest(
                "there is no such snapshot",
                code="dials.no_snapshot",
                where=f"{where}.snapshot",
                allowed=", ".join(sorted(there)) or "none yet",
                got=arm.snapshot,
                next="bodega snapshots",
            )


def touched(arm: Arm) -> set[str]:
    """What an arm turns, for seeing whether two experiments turn the same."""
    return {*arm.settings, *(["snapshot"] if arm.snapshot else [])}


def turned(ordering: Ordering, sources: Mapping[str, Source], held: Dials) -> tuple[Ordering, Mapping[str, Source]]:
    """What was learned as these dials let it act; the same objects where nothing is turned."""
    if not (held.weights or held.off or not held.ranker):
        return ordering, sources
    factors = {**held.weights, **{name: 0.0 for name in held.off if name in NEEDED}}
    if factors:
        ordering = replace(ordering, fusion=_scaled(ordering.fusion, factors))
    if factors or not held.ranker:
        ordering = replace(ordering, rankers={})
    gone = [name for name in held.off if name not in NEEDED]
    return ordering, {name: source for name, source in sources.items() if name not in gone}


def asked(request: Request, dials: Dials) -> Request:
    """The request as these dials ask it."""
    return request if dials.personal else msgspec.structs.replace(request, personal=False)


def _scaled(fusion: Fusion, factors: Mapping[str, float]) -> Fusion:
    def times(weights: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
        return {
            place: {name: weight * factors.get(name, 1.0) for name, weight in held.items()}
            for place, held in weights.items()
        }

    return Fusion(times(fusion.weights), fusion.k, times(fusion.backup), fusion.factors)
