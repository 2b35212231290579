"""Merchandising over HTTP: rules, what they would change, who changed them, and back again. Admin keys only.

Every write names the key that made it (by its label) in the audit trail. A PUT carries the version it was made from;
one that is not the newest is refused with 409, so that two people cannot undo each other's work without seeing it.
Texts come back as they were sent, as JSON: pages escape them, nothing here makes markup of them.
Cost: a write is one durable transaction and 60 ms of compiling at 1,000 rules; a preview two searches a query, beside
the event loop.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.engine.preview import Preview
from bodega.engine.rulebooks import QUERIES_LIMIT
from bodega.errors import BadRequest
from bodega.protocols import RuleChange
from bodega.schema import Rule, read_rule
from bodega.schema.rules import SIZE_LIMIT
from bodega.service import asking
from bodega.service.desk import Desk, as_json, visit_of
from bodega.service.reading import body_of

Http = Request[Any, Any, Any]
SCOPE = {"scope": "admin"}
TRAIL = 50
TRAIL_LIMIT = 1_000
PREVIEW_K = 100


class RuleList(msgspec.Struct, frozen=True):
    """All rules by id; `changes` is the number of the newest change."""

    rules: list[Rule]
    changes: int


class RuleTrail(msgspec.Struct, frozen=True):
    """The audit trail, newest first."""

    changes: list[RuleChange]


class UndoAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Take this change back."""

    change: Annotated[int, Meta(ge=1, le=2**53)]


class PreviewAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What would this rule change? Without queries: its own phrases and the most asked."""

    rule: Rule
    queries: Annotated[list[Annotated[str, Meta(max_length=asking.QUERY_LIMIT)]], Meta(max_length=QUERIES_LIMIT)] = []
    k: Annotated[int, Meta(ge=1, le=PREVIEW_K)] = 20


RULE_TYPES = (Rule, RuleList, RuleTrail, RuleChange, UndoAsked, PreviewAsked, Preview)
"""What the OpenAPI document describes of this page."""


def who(desk: Desk, request: Http) -> str:
    """The label of the key that asks, for the audit trail."""
    del desk
    visit = visit_of(request.scope)
    return visit.label or visit.key


def number(asked: asking.Asked, name: str, default: int, most: int = 2**53) -> int:
    """A whole number of the address. Raises BadRequest."""
    text = asked.once.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 16 and int(text) <= most):
        raise BadRequest(
            "this is no number of ours", code="rules.number", where=name, allowed=f"0 to {most:,}", got=text
        )
    return int(text)


def rule_id(request: Http) -> str:
    """The id in the address."""
    name: str = request.scope["path_params"]["rule_id"]
    return name


async def rule_of(request: Http) -> Rule:
    """The rule in the body, checked."""
    body = await body_of(request)
    if len(body) > 2 * SIZE_LIMIT:
        raise BadRequest(
            "the rule is too large",
            code="rules.too_large",
            where="body",
            allowed=f"{SIZE_LIMIT:,} bytes",
            got=f"{len(body):,}",
        )
    return read_rule(body)


def told(value: Any) -> ASGIResponse:
    return ASGIResponse(body=as_json(value))


def rule_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    return [*_reading(desk), *_writing(desk)]


def _reading(desk: Desk) -> list[HTTPRouteHandler]:
    rules = desk.shop.rules

    @get("/v1/rules", opt=SCOPE, name="rules")
    async def listed(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        return told(RuleList(await asyncio.to_thread(rules.list), await asyncio.to_thread(rules.changes)))

    @get("/v1/rules/audit", opt=SCOPE, name="rules_audit")
    async def audit(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], ("rule", "limit", "before"))
        limit, before = number(asked, "limit", TRAIL, TRAIL_LIMIT), number(asked, "before", 0)
        found = await asyncio.to_thread(
            lambda: rules.history(rule=asked.once.get("rule", ""), limit=limit, before=before)
        )
        return told(RuleTrail(list(found)))

    @get("/v1/rules/{rule_id:str}", opt=SCOPE, name="rule")
    async def one(request: Http) -> ASGIResponse:
        return told(await asyncio.to_thread(rules.get, rule_id(request)))

    @post("/v1/rules/preview", opt=SCOPE, name="rules_preview")
    async def preview(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), PreviewAsked)
        return told(await asyncio.to_thread(lambda: rules.preview(asked.rule, queries=asked.queries, k=asked.k)))

    return [listed, audit, one, preview]


def _writing(desk: Desk) -> list[HTTPRouteHandler]:
    rules = desk.shop.rules

    @post("/v1/rules", opt=SCOPE, name="rule_create", status_code=200)
    async def create(request: Http) -> ASGIResponse:
        rule, by = await rule_of(request), who(desk, request)
        return told((await asyncio.to_thread(lambda: rules.put(rule, who=by, expected=0)))[0])

    @put("/v1/rules/{rule_id:str}", opt=SCOPE, name="rule_put")
    async def replace(request: Http) -> ASGIResponse:
        rule, by, name = await rule_of(request), who(desk, request), rule_id(request)
        if rule.id not in ("", name):
            raise BadRequest(
                "the rule has another id than the address", code="rules.other_id", where="id", allowed=name, got=rule.id
            )
        named = msgspec.structs.replace(rule, id=name)
        return told((await asyncio.to_thread(lambda: rules.put(named, who=by, expected=rule.version)))[0])

    @delete("/v1/rules/{rule_id:str}", opt=SCOPE, name="rule_delete", status_code=200)
    async def remove(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], ("version",))
        expected = number(asked, "version", 0) if "version" in asked.once else None
        by = who(desk, request)
        await asyncio.to_thread(lambda: rules.delete(rule_id(request), who=by, expected=expected))
        return told({"deleted": 1})

    @post("/v1/rules/undo", opt=SCOPE, name="rules_undo", status_code=200)
    async def undo(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), UndoAsked), who(desk, request)
        return told(await asyncio.to_thread(lambda: rules.undo(asked.change, who=by)))

    return [create, replace, remove, undo]
