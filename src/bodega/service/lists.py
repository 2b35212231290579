"""The lists a shop shows: search, recommend, similar, together, suggest, a facet's values, and one item as stored.

The engine is called inline on the event loop, one list at a time: a list takes 2-5 ms of pure computing, a thread pool
would only add its hand-over (docs/decisions/0009-http.md has the ratio). A page is encoded once, to bytes, with the
items spliced in as stored. Cost: printed by `bodega bench serve` as `http_overhead_ms`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from bodega import schema
from bodega.engine.deadline import Clock, timed
from bodega.errors import BadRequest
from bodega.service import asking
from bodega.service.desk import Desk, Visit, as_json, visit_of
from bodega.service.gate import item_id
from bodega.service.reading import body_of

Http = Request[Any, Any, Any]
SCOPE = {"scope": "search"}
BODY = {"scope": "search", "body": schema.Request}
SUGGESTIONS = 8
SUGGESTIONS_LIMIT = 50
SUGGESTION_SHARE = 1 / 6
"""Of `answer.remote_ms`: how long a suggestion waits for a store on another machine. 10 of 60 ms: what is read later
than that is there for the next letter."""


async def page(desk: Desk, visit: Visit, request: schema.Request) -> ASGIResponse:
    """Ask the engine when it is this request's turn; the page as bytes."""
    return ASGIResponse(body=await answered(desk, visit, request, schema.Page.json))


async def answered(desk: Desk, visit: Visit, request: schema.Request, told: Callable[[schema.Page], bytes]) -> bytes:
    """What is told of the engine's answer, asked when it is this request's turn."""
    bounded = await desk.looking.seen(desk.whose(asking.bounded(request, desk.settings), visit))
    async with desk.waiting.turn(visit.deadline_ms / 1000):
        with timed(desk.clock(visit)) as clock:
            started = time.perf_counter()
            answer = desk.shop.answer(bounded)
            visit.engine_seconds = time.perf_counter() - started
            body = told(answer)
            clock.lap("encode")
    visit.place = answer.place
    if not visit.named:
        visit.id = answer.request_id
    visit.stages = clock.stages
    desk.telemetry.listed(answer, visit.engine_seconds, clock.stages)
    desk.telemetry.cut_off(tuple(clock.left_out))
    return body


def facet_of(page: schema.Page, field: str, most: int) -> bytes:
    """The values of one facet of a page, with how many matches there are in all."""
    found = next((each for each in page.facets if each.field == field), schema.Facet(field=field))
    found = msgspec.structs.replace(found, values=found.values[:most])
    return as_json({"facet": found, "total": page.total, "corrected": page.corrected, "degraded": page.degraded})


def searching(request: schema.Request) -> schema.Request:
    """A search; without words it browses the whole shelf."""
    if request.place not in ("home", "search", "category"):  # `home` is what a body without a place says
        raise BadRequest("a search has no other place", where="place", allowed="search, category", got=request.place)
    return msgspec.structs.replace(request, place="search" if request.query.strip() or request.image else "category")


def recommending(request: schema.Request) -> schema.Request:
    """A list without words."""
    if request.query or request.place == "search":
        raise BadRequest("words are searched, not recommended", where="query", allowed="no query", next="/v1/search")
    return request


def around(request: Http, place: str) -> schema.Request:
    """A list around one item."""
    return asking.from_parameters(
        request.scope["query_string"], asking.AROUND, place=place, items=(item_id(request.scope),)
    )


def list_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""

    @get("/v1/search", opt=SCOPE, name="search")
    async def search(request: Http) -> ASGIResponse:
        asked = asking.from_parameters(request.scope["query_string"], asking.SEARCH)
        return await page(desk, visit_of(request.scope), searching(asked))

    @post("/v1/search", opt=BODY, name="search_json")
    async def search_json(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), schema.Request)
        return await page(desk, visit_of(request.scope), searching(asked))

    @get("/v1/facets", opt=SCOPE, name="facet_values")
    async def facet_values(request: Http) -> ASGIResponse:
        asked, most = asking.facet_asked(request.scope["query_string"])
        told = partial(facet_of, field=asked.facets[0], most=most)
        return ASGIResponse(body=await answered(desk, visit_of(request.scope), searching(asked), told))

    @get("/v1/recommend", opt=SCOPE, name="recommend")
    async def recommend(request: Http) -> ASGIResponse:
        asked = asking.from_parameters(request.scope["query_string"], asking.RECOMMEND)
        return await page(desk, visit_of(request.scope), recommending(asked))

    @post("/v1/recommend", opt=BODY, name="recommend_json")
    async def recommend_json(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), schema.Request)
        return await page(desk, visit_of(request.scope), recommending(asked))

    @get("/v1/items/{segment:str}/similar", opt=SCOPE, name="similar")
    async def similar(request: Http) -> ASGIResponse:
        return await page(desk, visit_of(request.scope), around(request, "similar"))

    @get("/v1/items/{segment:str}/together", opt=SCOPE, name="together")
    async def together(request: Http) -> ASGIResponse:
        return await page(desk, visit_of(request.scope), around(request, "together"))

    @get("/v1/items/{segment:str}", opt=SCOPE, name="item")
    async def item(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        return ASGIResponse(body=as_json(await asyncio.to_thread(desk.shop.catalog.get, item_id(request.scope))))

    @get("/v1/suggest", opt=SCOPE, name="suggest")
    async def suggest(request: Http) -> ASGIResponse:
        asked = asking.bounded(asking.suggestion_asked(request.scope["query_string"], SUGGESTIONS), desk.settings)
        asked = desk.whose(asked, visit_of(request.scope))
        k = min(asked.k, SUGGESTIONS_LIMIT)
        async with desk.waiting.turn(visit_of(request.scope).deadline_ms / 1000):
            with timed(Clock(patience=SUGGESTION_SHARE * desk.settings.answer.remote_ms)):
                found = desk.shop.suggest(
                    asked.query, k, user=asked.user, session=asked.session, personal=asked.personal
                )
        return ASGIResponse(body=as_json({"suggestions": found}))

    return [search, search_json, facet_values, recommend, recommend_json, similar, together, item, suggest]
