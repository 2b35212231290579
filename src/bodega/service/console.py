"""Signing in to the console: a key (or a ticket) becomes a cookie, once, over a way that nobody listens to.

`POST /v1/console/session` is asked with an admin key in the header as any other call, so the guard's limits hold for
guesses; or with `Authorization: Ticket ...` as `bodega console` prints. Over plain http this works on the machine
itself only: from elsewhere, or through a proxy that was itself asked without TLS, the key would travel in the open, and
it is refused unless `console.insecure` says otherwise. Not here: what the cookie is worth (`sessions`), pages.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Request, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from bodega.errors import Forbidden
from bodega.schema.said import Said
from bodega.service.desk import Desk, as_json, visit_of
from bodega.service.guard import PROXIED, is_loopback
from bodega.service.sessions import own_page, set_cookie

Http = Request[Any, Any, Any]
ADMIN = {"scope": "admin"}


class Session(msgspec.Struct, frozen=True):
    """Who is signed in."""

    label: str
    """Label of the key, under which changes are written down."""
    key: str
    """Its id."""
    expires: str
    """When the session ends (ISO 8601, UTC); empty where no cookie stands for the key."""


class ConsoleFacts(msgspec.Struct, frozen=True):
    """How far the shop is, in numbers: what the pages tick off and warn of."""

    name: str
    items: int
    events: int
    snapshot: str
    """The served one; empty: nothing was learned yet."""
    warnings: list[str]
    """What an operator should know: of the last learn, of counts that ran full, of drift."""
    said: list[Said]
    """The same, with their codes."""
    changes_since_snapshot: int
    """Items that are other than when the shop learned."""
    changes_waiting: int
    """Items that only the next learn can find by meaning."""
    rules: int
    experiments: int
    keys: int
    letters: int
    """Rows in the dead letter box."""
    storefront: bool
    """Is a page served at `/`?"""


CONSOLE_TYPES = (Session, ConsoleFacts)


def console_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""

    @post("/v1/console/session", opt={**ADMIN, "ticket": True}, name="console_sign_in", status_code=200)
    async def sign_in(request: Http) -> ASGIResponse:
        _allowed(desk)
        secure = _way(desk, request)
        visit = visit_of(request.scope)
        value, end = desk.sessions.begin(visit.key)
        cookie = set_cookie(value, int(desk.sessions.seconds), secure=secure)
        return ASGIResponse(body=as_json(_session(desk, request, end)), headers={"Set-Cookie": cookie})

    @get("/v1/console/session", opt=ADMIN, name="console_session")
    async def who(request: Http) -> ASGIResponse:
        end = desk.sessions.ends(request.headers.get("cookie", ""))
        return ASGIResponse(body=as_json(_session(desk, request, end)))

    @delete("/v1/console/session", opt=ADMIN, name="console_sign_out", status_code=200)
    async def sign_out(request: Http) -> ASGIResponse:
        told = _session(desk, request, 0.0)
        return ASGIResponse(body=as_json(told), headers={"Set-Cookie": set_cookie("", 0, secure=False)})

    @get("/v1/console/facts", opt=ADMIN, name="console_facts")
    async def facts(request: Http) -> ASGIResponse:
        names = {route.path for route in request.app.routes}
        return ASGIResponse(body=as_json(await asyncio.to_thread(_facts, desk, "/" in names)))

    return [sign_in, who, sign_out, facts]


def _facts(desk: Desk, storefront: bool) -> ConsoleFacts:
    shop, health = desk.shop, desk.shop.health()
    return ConsoleFacts(
        name=desk.settings.name,
        items=int(health.get("items", 0)),
        events=int(health.get("events", 0)),
        snapshot=str(health.get("snapshot", "")),
        warnings=[str(each) for each in health.get("warnings", ())],
        said=[msgspec.convert(each, Said) for each in health.get("said", ())],
        changes_since_snapshot=int(health.get("changes_since_snapshot", 0)),
        changes_waiting=int(health.get("changes_waiting", 0)),
        rules=len(shop.rules.list()),
        experiments=len(shop.experiments.list()),
        keys=sum(not each.revoked for each in shop.keys.list()),
        letters=sum(shop.stores.dead.counts().values()),
        storefront=storefront,
    )


def _session(desk: Desk, request: Http, end: float) -> Session:
    del desk
    visit = visit_of(request.scope)
    expires = datetime.fromtimestamp(end, UTC).isoformat(timespec="seconds") if end else ""
    return Session(label=visit.label or visit.key, key=visit.key, expires=expires)


def _allowed(desk: Desk) -> None:
    if not desk.settings.console.on:
        raise Forbidden(
            "the console is switched off",
            code="console.off",
            where="console.on",
            allowed="true",
            got="false",
            next="set it in bodega.toml",
        )


def _way(desk: Desk, request: Http) -> bool:
    """Did it come over TLS? Raises Forbidden where a key would travel in the open, or another site asks."""
    headers = request.headers
    site, origin = headers.get("sec-fetch-site", ""), headers.get("origin", "")
    if (site or origin) and not own_page("POST", site, origin, headers.get("host", "")):
        raise Forbidden(
            "only the console's own page may sign somebody in",
            code="console.origin",
            where="header Origin",
            got=origin or site,
        )
    proxied = any(name in PROXIED or name == b"x-forwarded-proto" for name, _ in request.scope["headers"])
    secure = request.scope.get("scheme") == "https" or (
        proxied and headers.get("x-forwarded-proto", "").split(",")[0].strip().lower() == "https"
    )
    near = is_loopback(visit_of(request.scope).address) and not proxied
    if not (secure or near or desk.settings.console.insecure):
        raise Forbidden(
            "a key would travel in the open: this connection is not encrypted",
            code="console.open",
            where="console.insecure",
            allowed="https (a proxy that sends X-Forwarded-Proto: https), or the shop's own machine",
            got="http",
            next="put a proxy with TLS in front, or ssh -L 7700:localhost:7700 to the machine",
        )
    return secure
