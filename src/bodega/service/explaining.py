"""Why is this item not on that page? Over HTTP, for admin keys only.

The answer tells what the shop knows of the shopper who is named, which rules are at work and how every source scores:
nothing for a key in a public page. It costs about two pages, so it waits its turn like one.
Not for: why an item *is* there; every page says that with each hit.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega import schema
from bodega.engine.why_not import Standing, WhyNot
from bodega.service import asking
from bodega.service.desk import Desk, as_json
from bodega.service.reading import body_of

Http = Request[Any, Any, Any]


class WhyNotAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why is this item not on the page that this request gives?"""

    item: Annotated[str, Meta(min_length=1, max_length=asking.ID_LIMIT)]
    request: schema.Request = schema.Request()
    """As in `POST /v1/search` or `/v1/recommend`, with its `place` (`search` for words; empty words browse)."""


WHY_NOT_TYPES = (WhyNotAsked, WhyNot, Standing)
"""What the OpenAPI document describes of this page."""


def explaining_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""

    @post("/v1/why-not", opt={"scope": "admin"}, name="why_not", status_code=200)
    async def why_not(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), WhyNotAsked)
        wanted = asking.bounded(_placed(asked.request), desk.settings)
        async with desk.waiting.turn():
            found = desk.shop.why_not(wanted, asked.item)
        return ASGIResponse(body=as_json(found))

    return [why_not]


def _placed(request: schema.Request) -> schema.Request:
    """Words are searched, whatever place is named or left out."""
    if request.query.strip() and request.place == "home":
        return msgspec.structs.replace(request, place="search")
    return request
