"""What is this item to others? Over HTTP, for product pages: variants, substitutes, upgrades, complements, accessories.

With `to`, how two items hang together, in words. Reads the knowledge graph of the snapshot; 400 where it was learned
without one. Not for: the lists of a page (`similar`, `together`), which weigh these links with everything else.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from bodega.engine.relations import Connection, Related, Relations, Trait
from bodega.service import asking
from bodega.service.desk import Desk, as_json, visit_of
from bodega.service.gate import item_id

Http = Request[Any, Any, Any]
PARAMETERS = ("relation", "to", "k", "language")
EACH = 10
"""Items of each relation unless the address says how many."""


class Connected(msgspec.Struct, frozen=True):
    """How two items hang together, the strongest way first; empty where nothing short connects them."""

    item: str
    to: str
    connections: list[Connection]


RELATION_TYPES = (Relations, Related, Trait, Connected, Connection)
"""What the OpenAPI document describes of this page."""


def relation_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""

    @get("/v1/items/{segment:str}/relations", opt={"scope": "search"}, name="relations")
    async def relations(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], PARAMETERS).once
        item, other = item_id(request.scope), asked.get("to", "")
        k = asking.request_of({"k": asked.get("k", str(EACH))}).k
        async with desk.waiting.turn(visit_of(request.scope).deadline_ms / 1000):
            if other:
                found = desk.shop.connections(item, other, language=asked.get("language", ""), k=k)
                return ASGIResponse(body=as_json(Connected(item, other, found)))
            wanted = asked.get("relation", "")
            return ASGIResponse(body=as_json(desk.shop.relations(item, relation=wanted, k=k)))

    return [relations]
