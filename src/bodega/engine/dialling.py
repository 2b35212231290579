"""What would another setting show? An engine of the same snapshot with some of its dials turned, for a look.

Turned are: the weights of sources (the learned ranker steps aside, so that the weights are what orders), the ranker,
the mixing and the small steps; whether the list is personal, ruled, and in which language. The shop's own engine is
not touched: the other one shares its models, its shelf and its shoppers, and is thrown away after the look.
Cost: .5 ms and what the first request of an engine computes. Not for: serving (an experiment's arms do that).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import msgspec
from msgspec import Meta

from bodega.engine.answer import Engine
from bodega.engine.places import PLACES
from bodega.errors import BadRequest
from bodega.ranking.fuse import Fusion
from bodega.ranking.learned import Ordering
from bodega.schema import Diversity, Request

SOURCES_LIMIT = 50
Weight = Annotated[float, Meta(ge=0, le=100)]


class Dials(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is turned; what is left out stays as the shop has it.

    >>> Dials().untouched, Dials(weights={"popular": 0}).untouched
    (True, False)
    """

    weights: Annotated[dict[str, Weight], Meta(max_length=SOURCES_LIMIT)] = {}
    """{source: its weight in the sum}; a source that is not named keeps its own."""
    ranker: bool = True
    """false: the weighted sum orders, where a learned ranker does."""
    mixing: bool = True
    steps: bool = True
    """false: without what clicks since the snapshot corrected."""
    rules: bool = True
    personal: bool | None = None
    verbatim: bool | None = None
    language: Annotated[str, Meta(max_length=40)] = ""
    snapshot: Annotated[str, Meta(max_length=200)] = ""
    """Answer from this snapshot; empty: the current one."""

    @property
    def untouched(self) -> bool:
        return self == Dials()

    @property
    def turns_engine(self) -> bool:
        """Does it need another engine, or only another request?"""
        return bool(self.weights) or not (self.ranker and self.mixing and self.steps)

    def asked(self, request: Request) -> Request:
        """The request as these dials ask it."""
        return msgspec.structs.replace(
            request,
            personal=request.personal if self.personal is None else self.personal,
            verbatim=request.verbatim if self.verbatim is None else self.verbatim,
            language=self.language or request.language,
        )


def weights_at(engine: Engine, place: str) -> dict[str, float]:
    """{source: weight in the sum of a place}, of the sources that the shop has; 1 each where ranks are summed."""
    names = PLACES[place].among(engine.learned.sources)
    held = engine.learned.ordering.fusion.weights.get(place)
    return {name: 1.0 if held is None else round(held.get(name, 0.0), 6) for name in names}


def under(engine: Engine, dials: Dials, place: str) -> Engine:
    """The engine with its dials turned for one place. Raises BadRequest for a source that the place has not."""
    if not dials.turns_engine:
        return engine
    learned, settings = engine.learned, engine.settings
    if dials.weights or not dials.ranker:
        learned = replace(learned, ordering=_ordering(learned.ordering, dials, place, weights_at(engine, place)))
    if not dials.steps:
        learned = replace(learned, correcting=None)
    if not dials.mixing:
        off = msgspec.structs.replace(settings.diversity, **{place: Diversity()})
        settings = msgspec.structs.replace(settings, diversity=off)
    # What the settings' own dials took away is away already: turning it twice would scale weights twice.
    held = msgspec.structs.replace(settings.dials, weights={}, off=(), ranker=True)
    settings = msgspec.structs.replace(settings, dials=held)
    return Engine(learned, engine.shelf, engine.shoppers, settings)


def _ordering(held: Ordering, dials: Dials, place: str, own: dict[str, float]) -> Ordering:
    unknown = sorted(set(dials.weights) - set(own))
    if unknown:
        raise BadRequest(
            "this place has no such source",
            code="dials.no_source",
            where="weights",
            allowed=", ".join(own),
            got=", ".join(unknown),
            next="leave it out",
        )
    fusion = held.fusion
    if dials.weights:
        fusion = Fusion(
            {**fusion.weights, place: {**own, **dials.weights}},
            fusion.k,
            {name: weights for name, weights in fusion.backup.items() if name != place},
            fusion.factors,
        )
    return replace(held, fusion=fusion, rankers={name: each for name, each in held.rankers.items() if name != place})
