"""Mined facts over HTTP: what was read in the texts of items, and what a merchant decides of it. Admin keys only.

A decision names facts one by one, or all that a query describes, or a value of every item (those that come later too);
it is durable and acts with the next answer. Texts come back as they stood in the catalog: pages escape them.
Cost: a page of facts is one query; a decision one transaction. Not for: mining (`bodega knowledge mine`, `learn`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.errors import BadRequest
from bodega.schema.facts import Fact, FactCount, FactKey, FactQuery
from bodega.service import asking
from bodega.service.desk import Desk
from bodega.service.reading import body_of
from bodega.service.rules import SCOPE, Http, number, told, who

FACTS_PARAMETERS = ("item", "attribute", "value", "status", "least", "most", "conflicts", "limit", "after")
PAGE, PAGE_LIMIT = 50, 1_000
DECIDE_LIMIT = 1_000
STATUS = ("", "mined", "accepted", "rejected")

Name = Annotated[str, Meta(max_length=asking.ID_LIMIT)]


class FactPage(msgspec.Struct, frozen=True):
    """Facts in the order of their keys; `next` is the `after` of the page behind, empty at the end."""

    facts: list[Fact]
    next: str


class FactCounts(msgspec.Struct, frozen=True):
    """How many facts there are of each attribute."""

    counts: list[FactCount]


class FactNamed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact by its key."""

    item: Name
    attribute: Name
    value: Name


class FactsDecided(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`accepted`: true, false, or null to take decisions back. Which facts: those named, or all that fit the rest;
    `every_item` with an attribute and a value holds for every item, also for those that come later."""

    accepted: bool | None
    facts: Annotated[list[FactNamed], Meta(max_length=DECIDE_LIMIT)] = []
    item: Name = ""
    attribute: Name = ""
    value: Name = ""
    least: Annotated[float, Meta(ge=0, le=1)] = 0.0
    most: Annotated[float, Meta(ge=0, le=1)] = 1.0
    conflicts: bool | None = None
    every_item: bool = False


class FactsChanged(msgspec.Struct, frozen=True):
    """How many decisions changed."""

    changed: int


FACT_TYPES = (FactPage, FactCounts, FactsDecided, FactsChanged)
"""What the OpenAPI document describes of this page."""


def knowledge_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    known = desk.shop.knowledge

    @get("/v1/knowledge", opt=SCOPE, name="knowledge")
    async def listed(request: Http) -> ASGIResponse:
        query = _query(asking.parameters(request.scope["query_string"], FACTS_PARAMETERS))
        found = await asyncio.to_thread(known.facts, query)
        more = len(found) == query.limit
        return told(FactPage(found, _token(found[-1].key) if more and found else ""))

    @get("/v1/knowledge/counts", opt=SCOPE, name="knowledge_counts")
    async def counted(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        return told(FactCounts(list(await asyncio.to_thread(known.counts))))

    @post("/v1/knowledge/decide", opt=SCOPE, name="knowledge_decide", status_code=200)
    async def decide(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), FactsDecided), who(desk, request)
        changed = await asyncio.to_thread(_decided, desk, asked, by)
        return told(FactsChanged(changed))

    return [listed, counted, decide]


def _decided(desk: Desk, asked: FactsDecided, by: str) -> int:
    known = desk.shop.knowledge
    query = FactQuery(
        item=asked.item, attribute=asked.attribute, value=asked.value, least=asked.least, most=asked.most,
        conflicts=asked.conflicts,
    )  # fmt: skip
    if asked.facts:
        changed = known.decide(
            [FactKey(one.item, one.attribute, one.value) for one in asked.facts], asked.accepted, who=by
        )
    elif query == FactQuery():
        raise BadRequest(
            "name which facts", code="facts.which", where="body",
            allowed="facts, or at least one of item, attribute, value, least",
            got="nothing", next="GET /v1/knowledge",
        )  # fmt: skip
    else:
        changed = known.decide_all(query, asked.accepted, who=by, every_item=asked.every_item)
    desk.shop.restock()
    return changed


def _query(asked: asking.Asked) -> FactQuery:
    once = asked.once
    status, conflicts = once.get("status", ""), once.get("conflicts", "")
    if status not in STATUS:
        raise BadRequest("no such status", where="status", allowed="mined, accepted, rejected", got=status)
    if conflicts not in ("", "true", "false"):
        raise BadRequest("neither yes nor no", where="conflicts", allowed="true, false", got=conflicts)
    items = asked.many.get("item", [])
    if len(items) > 1:
        raise BadRequest("'item' is given twice", where="address", allowed="once", got=items[1])
    return FactQuery(
        item=items[0] if items else "",
        attribute=once.get("attribute", ""),
        value=once.get("value", ""),
        status=status,
        least=_share(once.get("least", "0"), "least"),
        most=_share(once.get("most", "1"), "most"),
        conflicts=None if not conflicts else conflicts == "true",
        limit=max(1, number(asked, "limit", PAGE, PAGE_LIMIT)),
        after=_key(once["after"]) if once.get("after") else None,
    )


def _share(text: str, name: str) -> float:
    """A number from 0 to 1. Raises BadRequest."""
    try:
        found = float(text) if len(text) <= 20 else -1.0
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise BadRequest("no confidence", where=name, allowed="0 to 1", got=text[:40])
    return found


def _token(key: FactKey) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(tuple(key))).decode().rstrip("=")


def _key(token: str) -> tuple[str, str, str]:
    """The key that `next` of a page named. Raises BadRequest."""
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return msgspec.json.decode(text, type=tuple[str, str, str])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise BadRequest(
            "no place of ours", where="after", allowed="`next` of the page before", got=token[:40]
        ) from error
