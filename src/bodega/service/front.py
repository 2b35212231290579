"""What the pages of a shop front ask beside lists, over HTTP.

    GET  /v1/about                      what can be done here: orders, relations, reviews; is GPC gone by    search
    GET  /v1/items/{item_id}/variants   a product in all its variants                                        search
    POST /v1/reviews/helpful            a review helped (or did not, after all)                              events

A vote is counted once a visitor and address while it is remembered; of voters nothing is kept (`engine.front`).
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.engine.front import Helped, Offers, Variant, Variants
from bodega.errors import BadRequest
from bodega.service import asking
from bodega.service.desk import Desk, as_json, visit_of
from bodega.service.gate import item_id
from bodega.service.guard import network
from bodega.service.reading import body_of

Http = Request[Any, Any, Any]


class HelpfulSaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """This review helped this visitor; `helped` false takes it back."""

    id: Annotated[str, Meta(min_length=1, max_length=asking.ID_LIMIT)]
    session: Annotated[str, Meta(min_length=1, max_length=asking.NAME_LIMIT)]
    helped: bool = True


FRONT_TYPES = (Offers, Variants, Variant, HelpfulSaid, Helped)
"""What the OpenAPI document describes of this page."""


def front_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""

    @get("/v1/about", opt={"scope": "search"}, name="about")
    async def about(request: Http) -> ASGIResponse:
        told = await asyncio.to_thread(desk.shop.front.offers)
        gpc = visit_of(request.scope).gpc and desk.settings.privacy.gpc != "ignore"
        return ASGIResponse(body=as_json(msgspec.structs.replace(told, gpc=gpc)))

    @get("/v1/items/{segment:str}/variants", opt={"scope": "search"}, name="variants")
    async def variants(request: Http) -> ASGIResponse:
        if request.scope["query_string"]:
            raise BadRequest(
                "this address takes no parameters", where="address", allowed="/v1/items/{item_id}/variants"
            )
        return ASGIResponse(body=as_json(desk.shop.front.variants(item_id(request.scope))))

    @post("/v1/reviews/helpful", opt={"scope": "events"}, name="reviews_helpful", status_code=200)
    async def helpful(request: Http) -> ASGIResponse:
        said = asking.decoded(await body_of(request), HelpfulSaid)
        voter = f"{said.session} {network(visit_of(request.scope).address)}"
        counted = await asyncio.to_thread(desk.shop.front.helpful, said.id, voter, helped=said.helped)
        return ASGIResponse(body=as_json(counted))

    return [about, variants, helpful]
