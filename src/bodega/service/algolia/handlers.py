"""The addresses of Algolia's protocol: many queries at once, one query, values of a facet, one record, events.

Every query of a batch waits for its own turn at the engine, so a page that sends six of them does not push others
aside. (A keystroke in InstantSearch is one batch: the list, and one query a ticked list; no two of them ask the same.)
Cost: `answering`'s, and 50 us a request around it. Not for: what is written to an index; those addresses do not exist.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from bodega import schema
from bodega.engine.deadline import timed
from bodega.errors import BadRequest, UnknownItem
from bodega.schema import Page
from bodega.service import asking
from bodega.service.algolia import insights
from bodega.service.algolia.answering import Indexes, Question, answer, question, unprocessed
from bodega.service.algolia.counts import MOST, counted, facet_hits
from bodega.service.algolia.highlight import Marks
from bodega.service.algolia.hits import chosen, record
from bodega.service.algolia.parameters import Asked, gathered, of_string, read
from bodega.service.border import segment
from bodega.service.desk import Desk, Visit, as_json, visit_of
from bodega.service.intake import Intake
from bodega.service.reading import body_of

Http = Request[Any, Any, Any]
SEARCH = {"scope": "search"}
EVENTS = {"scope": "events"}
KINDS = ("application/json", "text/plain", "application/x-www-form-urlencoded", "")
"""Browsers ask for no permission to send a text: Algolia's clients send JSON as one."""
QUERIES_LIMIT = 50
FACET_HITS = 10


@dataclass
class Counter:
    """Where the questions of one application are answered."""

    desk: Desk
    indexes: Indexes
    queries: insights.Queries = field(default_factory=insights.Queries)

    def asked(self, index: str, given: Mapping[str, Any]) -> Question:
        """One query on one index. Raises BadRequest."""
        return question(index, self.indexes.order(index), read(given), self.desk.shop)

    async def page(self, request: schema.Request, visit: Visit) -> Page:
        """What the engine says, when it is this request's turn."""
        desk = self.desk
        bounded = desk.whose(asking.bounded(request, desk.settings), visit)
        async with desk.waiting.turn(visit.deadline_ms / 1000):
            with timed(desk.clock(visit)) as clock:
                started = time.perf_counter()
                page = desk.shop.answer(bounded)
                seconds = time.perf_counter() - started
        visit.stages = clock.stages
        visit.engine_seconds += seconds
        visit.place = page.place
        desk.telemetry.listed(page, seconds, clock.stages)
        desk.telemetry.cut_off(tuple(clock.left_out))
        self.queries.remember(page.request_id, page.query)
        return page

    async def answered(self, asked: Question, visit: Visit) -> dict[str, Any]:
        """One query, answered."""
        started = time.perf_counter()
        page = await self.page(asked.request, visit) if asked.request is not None else None
        return answer(asked, page, (time.perf_counter() - started) * 1000)

    async def batch(self, body: Mapping[str, Any], visit: Visit) -> dict[str, Any]:
        """Many queries at once, answers in their order."""
        requests = body.get("requests")
        if not isinstance(requests, list) or not all(isinstance(each, dict) for each in requests):
            raise BadRequest("there are no requests", where="body", allowed='{"requests": [{"indexName": ...}]}')
        if len(requests) > QUERIES_LIMIT:
            raise BadRequest("too many queries", where="requests", allowed=f"{QUERIES_LIMIT}", got=len(requests))
        enough = body.get("strategy") == "stopIfEnoughMatches"
        results: list[dict[str, Any]] = []
        done = False
        for each in requests:
            index = each.get("indexName")
            if not isinstance(index, str):
                raise BadRequest("indexName is missing", where="requests", allowed="the name of an index", got=index)
            if each.get("type") == "facet":
                facet = each.get("facet")
                if not isinstance(facet, str):
                    raise BadRequest("facet is missing", where="requests", allowed="the name of a facet", got=facet)
                results.append(await self.facet_values(index, facet, gathered(each), visit))
                continue
            asked = self.asked(index, gathered(each))
            result = unprocessed(asked) if done else await self.answered(asked, visit)
            done = done or (enough and result.get("nbHits", 0) >= asked.asked.length)
            results.append(result)
        return {"results": results}

    async def facet_values(self, index: str, facet: str, given: Mapping[str, Any], visit: Visit) -> dict[str, Any]:
        """The values of a facet that some words name."""
        words = "" if given.get("facetQuery") is None else given["facetQuery"]
        most = given.get("maxFacetHits", FACET_HITS)
        if not isinstance(words, str) or len(words) > asking.NAME_LIMIT:
            raise BadRequest("facetQuery is a short text", where="facetQuery", got=words)
        started = time.perf_counter()
        inner = {name: value for name, value in given.items() if name not in ("facetQuery", "maxFacetHits")}
        asked = self.asked(index, {**inner, "facets": [facet], "hitsPerPage": 0})
        number = read({"hitsPerPage": most}).length
        values: dict[str, int] = {}
        if asked.request is not None:
            page = await self.page(msgspec.structs.replace(asked.request, facet_query=words), visit)
            values = counted((facet,), page.facets, min(number, MOST)).get(facet, {})
        marks = Marks(asked.asked.before, asked.asked.after)
        return {
            "facetHits": facet_hits(values, words, marks),
            "exhaustiveFacetsCount": True,
            "exhaustive": {"facetsCount": True},
            "processingTimeMS": max(1, round((time.perf_counter() - started) * 1000)),
        }

    def one(self, index: str, object_id: str, asked: Asked) -> dict[str, Any]:
        """One record by its id. Raises UnknownItem."""
        self.indexes.order(index)
        whole = record(self.desk.shop.catalog.get(object_id))
        return {**{name: whole[name] for name in chosen(asked.retrieve, whole)}, "objectID": object_id}


def algolia_handlers(desk: Desk, intake: Intake) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    counter = Counter(desk, Indexes.of(desk.settings.algolia))

    @post("/1/indexes/{index:str}/queries", opt=SEARCH, name="algolia_queries", status_code=200)
    async def queries(request: Http) -> ASGIResponse:
        if segment(request.scope, "index") != "*":
            raise BadRequest("many queries are sent to /1/indexes/*/queries", where="address", allowed="*")
        return _said(await counter.batch(await _object(request), visit_of(request.scope)))

    @post("/1/indexes/{index:str}/query", opt=SEARCH, name="algolia_query", status_code=200)
    async def query(request: Http) -> ASGIResponse:
        asked = counter.asked(segment(request.scope, "index"), gathered(await _object(request)))
        return _said(await counter.answered(asked, visit_of(request.scope)))

    @get("/1/indexes/{index:str}", opt=SEARCH, name="algolia_query_by_address")
    async def by_address(request: Http) -> ASGIResponse:
        asked = counter.asked(segment(request.scope, "index"), _address(request))
        return _said(await counter.answered(asked, visit_of(request.scope)))

    @post("/1/indexes/{index:str}/facets/{facet:str}/query", opt=SEARCH, name="algolia_facet_values", status_code=200)
    async def facet_values(request: Http) -> ASGIResponse:
        index, facet = segment(request.scope, "index"), segment(request.scope, "facet")
        given = gathered(await _object(request))
        return _said(await counter.facet_values(index, facet, given, visit_of(request.scope)))

    @get("/1/indexes/{index:str}/{object:str}", opt=SEARCH, name="algolia_object")
    async def one(request: Http) -> ASGIResponse:
        index, name = segment(request.scope, "index"), segment(request.scope, "object")
        try:
            return _said(await asyncio.to_thread(counter.one, index, name, read(_address(request))))
        except UnknownItem as error:
            raise UnknownItem("ObjectID does not exist", where=index, got=name) from error

    @post("/1/events", opt=EVENTS, name="algolia_events", status_code=200)
    async def events(request: Http) -> ASGIResponse:
        rows = insights.rows_of(await _object(request), counter.queries, time.time())
        _, bad = await intake.taken(rows, gpc=visit_of(request.scope).gpc)
        if bad:
            error = BadRequest("not every event could be used; the others are stored", got=bad[0][1].message)
            error.status = 422
            raise error
        return _said({"status": 200, "message": "OK"})

    return [queries, query, by_address, facet_values, one, events]


async def _object(request: Http) -> dict[str, Any]:
    """The body, a JSON object; an empty one asks nothing in particular."""
    body = await body_of(request, KINDS)
    found: Any = asking.decoded(body, object) if body.strip() else {}
    if not isinstance(found, dict):
        raise BadRequest("the body is a JSON object", where="body", allowed="{...}", got=type(found).__name__)
    return found


def _address(request: Http) -> dict[str, Any]:
    """The parameters of the address, without what names the caller."""
    found = of_string(request.scope["query_string"].decode("latin-1"))
    return {name: value for name, value in found.items() if not name.lower().startswith("x-algolia-")}


def _said(found: Mapping[str, Any]) -> ASGIResponse:
    return ASGIResponse(body=as_json(found))
