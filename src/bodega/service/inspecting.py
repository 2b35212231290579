"""How did this page come about, what became of a query, and what would a rule have done? Over HTTP, for admin keys.

The answers tell what the shop knows of a shopper who is named, how every source scores, and what people searched (from
`understand.people` different people on): nothing for a key in a public page. An inspection costs a few pages and
waits its turn like one; the two that read the log run beside the event loop.
Not for: publishing a rule (`POST /v1/rules`).
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.engine.dialling import Dials
from bodega.engine.effect import Effect
from bodega.engine.fixing import Story
from bodega.engine.inspecting import InspectAsked, Inspection
from bodega.engine.steering import QUERIES_LIMIT
from bodega.schema import Rule
from bodega.service import asking
from bodega.service.desk import Desk, as_json
from bodega.service.reading import body_of

Http = Request[Any, Any, Any]
SCOPE = {"scope": "admin"}
Words = Annotated[str, Meta(max_length=asking.QUERY_LIMIT)]


class FixesAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of this query, and what may mend it?"""

    query: Annotated[str, Meta(min_length=1, max_length=asking.QUERY_LIMIT)]
    language: Annotated[str, Meta(max_length=asking.NAME_LIMIT)] = ""


class EffectAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What would this rule have done to the searches of the last weeks? `queries` are looked at in any case."""

    rule: Rule
    queries: Annotated[list[Words], Meta(max_length=QUERIES_LIMIT)] = []


INSPECT_TYPES = (InspectAsked, Inspection, Dials, FixesAsked, Story, EffectAsked, Effect)
"""What the OpenAPI document describes of this page."""


def inspecting_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    steering = desk.shop.steering

    @post("/v1/inspect", opt=SCOPE, name="inspect", status_code=200)
    async def inspect(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), InspectAsked)
        asking.bounded(asked.request, desk.settings)
        async with desk.waiting.turn():
            found = await asyncio.to_thread(steering.inspect, asked)
        return ASGIResponse(body=as_json(found))

    @post("/v1/fixes", opt=SCOPE, name="fixes", status_code=200)
    async def fixes(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), FixesAsked)
        return ASGIResponse(body=as_json(await asyncio.to_thread(steering.story, asked.query, asked.language)))

    @post("/v1/fixes/preview", opt=SCOPE, name="fixes_preview", status_code=200)
    async def preview(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), EffectAsked)
        return ASGIResponse(body=as_json(await asyncio.to_thread(steering.effect, asked.rule, asked.queries)))

    return [inspect, fixes, preview]
