"""One shopper as an operator may see them, over HTTP. Admin keys only; a look is written down before it is answered.

    GET /v1/shoppers                        who did something lately, or whose id holds these letters
    GET /v1/shoppers/{user_id}/state        interests, visit, ids and why, consent, arms
    GET /v1/shoppers/{user_id}/timeline     what they did, newest first
    GET /v1/shoppers/{user_id}/lists        a list as they get it, beside the one without personalisation
    GET /v1/shoppers/{user_id}/looks        who looked at them
    GET /v1/looks                           who looked at anybody

`kind=session` names a guest by the visit. Exporting and forgetting are `GET` and `DELETE /v1/shoppers/{user_id}`.
Cost: one read of the shopper; a list costs two pages and waits its turn like one. Not for: shoppers themselves
(`/v1/me`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from bodega.engine.office.people import PERSONAL, Known, ListBeside, ShopperState, Timeline
from bodega.engine.office.trail import TrailLine
from bodega.errors import BadRequest
from bodega.service import asking
from bodega.service.desk import Desk
from bodega.service.privacy import shopper_id
from bodega.service.rules import SCOPE, Http, number, told, who

RECENT = ("q", "limit")
ONE = ("kind",)
SEEN = ("kind", "limit")
LISTS = ("kind", "place", "k")
MOST_SHOWN = 1_000

Found = TypeVar("Found")


class KnownShoppers(msgspec.Struct, frozen=True):
    """The latest first; `lists` are the places that can be shown for one of them."""

    shoppers: list[Known]
    lists: tuple[str, ...]


class LookTrail(msgspec.Struct, frozen=True):
    """Who looked, newest first. People are named by keyed digests."""

    looks: list[TrailLine]


SHOPPER_TYPES = (KnownShoppers, Known, ShopperState, Timeline, ListBeside, LookTrail, TrailLine)
"""What the OpenAPI document describes of this page."""


def shoppers_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    people = desk.shop.office.people

    async def looked(work: Callable[[], Found]) -> ASGIResponse:
        return told(await asyncio.to_thread(work))

    @get("/v1/shoppers", opt=SCOPE, name="shoppers")
    async def recent(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], RECENT)
        words, limit, by = (
            asked.once.get("q", "")[: asking.NAME_LIMIT],
            number(asked, "limit", 50, 500),
            who(desk, request),
        )
        return await looked(lambda: KnownShoppers(people.recent(by, words, limit), PERSONAL))

    @get("/v1/shoppers/{user_id:str}/state", opt=SCOPE, name="shopper_state")
    async def state(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], ONE)
        one, by = _named(request, asked), who(desk, request)
        return await looked(lambda: people.state(by, one))

    @get("/v1/shoppers/{user_id:str}/timeline", opt=SCOPE, name="shopper_timeline")
    async def timeline(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], SEEN)
        one, by, limit = _named(request, asked), who(desk, request), number(asked, "limit", 100, MOST_SHOWN)
        return await looked(lambda: people.timeline(by, one, limit))

    @get("/v1/shoppers/{user_id:str}/lists", opt=SCOPE, name="shopper_lists")
    async def lists(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], LISTS)
        one, by = _named(request, asked), who(desk, request)
        place, k = asked.once.get("place", "home"), max(1, number(asked, "k", 10, 50))
        async with desk.waiting.turn():
            return await looked(lambda: people.lists(by, one, place, k))

    @get("/v1/shoppers/{user_id:str}/looks", opt=SCOPE, name="shopper_looks")
    async def looks(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], SEEN)
        one, limit = _named(request, asked), number(asked, "limit", 100, MOST_SHOWN)
        return await looked(lambda: LookTrail(people.looks(one, limit)))

    @get("/v1/looks", opt=SCOPE, name="looks")
    async def all_looks(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], ("limit",))
        limit = number(asked, "limit", 100, MOST_SHOWN)
        return await looked(lambda: LookTrail(people.looks(limit=limit)))

    return [recent, state, timeline, lists, looks, all_looks]


def _named(request: Http, asked: asking.Asked) -> tuple[str, str]:
    """("user" or "session", id). Raises BadRequest."""
    kind = asked.once.get("kind", "user")
    if kind not in ("user", "session"):
        raise BadRequest(
            "a shopper or a guest?", code="shoppers.which", where="kind", allowed="user, session", got=kind[:40]
        )
    return kind, shopper_id(request)
