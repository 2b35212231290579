"""Snapshots over HTTP: how good they are beside their baselines, maps of them, which one is served. Admin keys only.

    GET  /v1/models             every snapshot in a line, newest first
    GET  /v1/models/report      all that one says of itself (default: the served one)
    GET  /v1/models/map         item vectors of one of its sources in two dimensions
    POST /v1/models/switch      serve another one; refused where another is served than the caller saw
    GET  /v1/models/trail       who switched; what `learn` published, or refused and why

A switch reaches every worker and every server of a shared folder within a second. Cost: a few kB from disk; a map that
was not drawn yet .5 s. Not for: learning.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.engine.office.mapping import EmbeddingMap
from bodega.engine.office.models import Gate, ModelReport, PlaceLine, SnapshotLine
from bodega.engine.office.trail import TrailLine
from bodega.evaluation.reliability import Bin, Reliability
from bodega.service import asking
from bodega.service.desk import Desk
from bodega.service.reading import body_of
from bodega.service.rules import SCOPE, Http, number, told, who

ONE = ("snapshot",)
MAPPED = ("snapshot", "source")
Id = Annotated[str, Meta(min_length=1, max_length=64)]


class ModelList(msgspec.Struct, frozen=True):
    """Newest first; `served` is the one that answers now."""

    served: str
    snapshots: list[SnapshotLine]


class SwitchAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Serve this snapshot."""

    snapshot: Id
    seen: Id
    """The one that was served when this was decided: where another is by now, nothing happens (409)."""


class Switched(msgspec.Struct, frozen=True):
    """What is served now, and the line that was written."""

    served: str
    line: TrailLine


class ModelTrail(msgspec.Struct, frozen=True):
    """Newest first."""

    lines: list[TrailLine]


_PARTS = (SnapshotLine, PlaceLine, Gate, Reliability, Bin)
MODEL_TYPES = (ModelList, *_PARTS, ModelReport, EmbeddingMap, SwitchAsked, Switched, ModelTrail)
"""What the OpenAPI document describes of this page."""


def model_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    models = desk.shop.office.models

    @get("/v1/models", opt=SCOPE, name="models")
    async def listed(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        return told(await asyncio.to_thread(lambda: ModelList(desk.shop.published(), models.lines())))

    @get("/v1/models/report", opt=SCOPE, name="model_report")
    async def report(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], ONE)
        return told(await asyncio.to_thread(models.report, asked.once.get("snapshot", "")))

    @get("/v1/models/map", opt=SCOPE, name="model_map")
    async def mapped(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], MAPPED)
        name, source = asked.once.get("snapshot", ""), asked.once.get("source", "")
        return told(await asyncio.to_thread(models.map, name, source))

    @post("/v1/models/switch", opt=SCOPE, name="model_switch", status_code=200)
    async def switch(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), SwitchAsked), who(desk, request)
        line = await asyncio.to_thread(lambda: models.switch(asked.snapshot, seen=asked.seen, who=by))
        return told(Switched(desk.shop.published(), line))

    @get("/v1/models/trail", opt=SCOPE, name="model_trail")
    async def trail(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], ("limit",))
        limit = number(asked, "limit", 100, 1_000)
        return told(ModelTrail(await asyncio.to_thread(models.trail, limit)))

    return [listed, report, mapped, switch, trail]
