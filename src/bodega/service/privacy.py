"""What belongs to shoppers, over HTTP: who they are, what they agree to, what is kept of them, and the end of it.

    POST   /v1/identify               this visit and these ids are this user                events
    POST   /v1/consent                what a shopper or a visit agrees to                   events
    GET    /v1/consent                what holds for them now                               events
    GET    /v1/me, DELETE /v1/me      everything kept of the bearer of a token; forget it   events, and the token
    GET    /v1/shoppers/{user_id}     the same for anybody                                  admin
    DELETE /v1/shoppers/{user_id}     forget: the answer is the receipt                     admin
    POST   /v1/identify/apart         they are not one: undoes a wrong merge                admin
    GET    /v1/erasures[/{id}]        receipts                                              admin

A key that stands in a page may say who is who and what is agreed to, for that page's visitor; it can read or erase
nobody. Whoever is to do that for themselves brings a token (`X-Shopper-Token`) that the shop's own server had signed.
Cost: an erasure 150 us a row, beside the event loop. Not for: deciding anything (`engine.privacy`, `engine.erasure`).
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
from litestar import Request, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.engine.access import Bearer, export, export_visit, read_bearer
from bodega.engine.erasure import Receipt
from bodega.engine.privacy import ALIASES
from bodega.errors import BadRequest, Unauthenticated
from bodega.events.consent import PURPOSES, read_words
from bodega.service import asking
from bodega.service.desk import Desk, as_json, visit_of
from bodega.service.reading import body_of
from bodega.service.rules import number, who

Http = Request[Any, Any, Any]
Name = Annotated[str, Meta(max_length=asking.NAME_LIMIT)]
EVENTS, ADMIN = {"scope": "events"}, {"scope": "admin"}
TOKEN = "x-shopper-token"  # noqa: S105 - the name of a header
RECEIPTS = 50


class NoReceipt(BadRequest):
    """There is no such receipt."""

    status = 404


class Identified(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """This visit, and these further ids, are this user."""

    user: Annotated[str, Meta(min_length=1, max_length=asking.NAME_LIMIT)]
    session: Name = ""
    aliases: Annotated[list[Name], Meta(max_length=ALIASES)] = []


class Linked(msgspec.Struct, frozen=True):
    """How many links that changed."""

    links: int


class ConsentSaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody agrees to: {"personalisation": true, "learning": false}."""

    purposes: dict[str, bool]
    user: Name = ""
    session: Name = ""


class ConsentHeld(msgspec.Struct, frozen=True):
    """What holds now, and which of it was said (the rest is the shop's default)."""

    personalisation: bool
    learning: bool
    said: list[str]


class ShopperWord(msgspec.Struct, frozen=True):
    """One word about consent."""

    subject: str
    purpose: str
    granted: bool
    time: float
    source: str


class ShopperChange(msgspec.Struct, frozen=True):
    """One line of the audit trail of identities."""

    id: int
    time: datetime
    who: str
    what: str
    left: str
    right: str


class ShopperKept(msgspec.Struct, frozen=True):
    """Everything kept of a shopper."""

    user: str
    ids: list[str]
    visits: list[str]
    consent: ConsentHeld
    words: list[ShopperWord]
    identities: list[ShopperChange]
    events: list[dict[str, Any]]
    reviews: list[dict[str, Any]] = []


class ReceiptList(msgspec.Struct, frozen=True):
    """Receipts, newest first."""

    erasures: list[Receipt]


_KEPT = (ShopperKept, ShopperWord, ShopperChange)
PRIVACY_TYPES = (Identified, Linked, ConsentSaid, ConsentHeld, *_KEPT, Receipt, ReceiptList)
"""What the OpenAPI document describes of this page."""


def told(value: Any) -> ASGIResponse:
    return ASGIResponse(body=as_json(value))


def shopper_id(request: Http) -> str:
    """The user in the address."""
    name = unquote(request.scope["path_params"]["user_id"], errors="strict")
    if not 1 <= len(name) <= asking.NAME_LIMIT:
        raise BadRequest("this is no id of a shopper", where="address", allowed=f"1 to {asking.NAME_LIMIT} characters")
    return name


def bearer(desk: Desk, request: Http) -> Bearer:
    """Who brings a token: a user, or the guest of a visit. Raises Unauthenticated."""
    given = [value for name, value in request.scope["headers"] if name == TOKEN.encode()]
    if len(given) != 1:
        raise Unauthenticated("a token is needed", where="header X-Shopper-Token", allowed="one token of this shop")
    return read_bearer(desk.shop.privacy.secrets, given[0].decode("latin-1"))


def privacy_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    return [*_saying(desk), *_own(desk), *_operating(desk)]


def _saying(desk: Desk) -> list[HTTPRouteHandler]:
    privacy = desk.shop.privacy

    @post("/v1/identify", opt=EVENTS, name="identify", status_code=200)
    async def identify(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), Identified), who(desk, request)
        links = await asyncio.to_thread(
            lambda: privacy.identify(asked.user, session=asked.session, aliases=asked.aliases, who=by)
        )
        return told(Linked(links))

    @post("/v1/identify/apart", opt=ADMIN, name="identify_apart", status_code=200)
    async def apart(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), Identified), who(desk, request)
        links = await asyncio.to_thread(
            lambda: privacy.part(asked.user, session=asked.session, aliases=asked.aliases, who=by)
        )
        return told(Linked(links))

    @post("/v1/consent", opt=EVENTS, name="consent_say", status_code=200)
    async def say(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), ConsentSaid)
        unknown = sorted(set(asked.purposes) - set(PURPOSES))
        if unknown:
            raise BadRequest("there is no such purpose", where="purposes", allowed=", ".join(PURPOSES), got=unknown[0])
        words = read_words(msgspec.to_builtins(asked), time.time(), f"api {visit_of(request.scope).key}")
        await asyncio.to_thread(privacy.say, words)
        return told(await asyncio.to_thread(held, desk, asked.user, asked.session))

    @get("/v1/consent", opt=EVENTS, name="consent_held")
    async def holds(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], ("user", "session"))
        user, session = asked.once.get("user", ""), asked.once.get("session", "")
        if max(len(user), len(session)) > asking.NAME_LIMIT:
            raise BadRequest("an id is too long", where="address", allowed=f"{asking.NAME_LIMIT} characters")
        return told(await asyncio.to_thread(held, desk, user, session))

    return [identify, apart, say, holds]


def held(desk: Desk, user: str, session: str) -> ConsentHeld:
    """What holds for this shopper now."""
    found = desk.shop.privacy.standing(user, session)
    return ConsentHeld(found.personalisation, found.learning, sorted(found.said))


def _own(desk: Desk) -> list[HTTPRouteHandler]:
    shop = desk.shop

    @get("/v1/me", opt=EVENTS, name="me")
    async def me(request: Http) -> ASGIResponse:
        mine = bearer(desk, request)
        kept = (export, mine.user) if mine.user else (export_visit, mine.session)
        return told(await asyncio.to_thread(kept[0], shop.privacy, kept[1]))

    @delete("/v1/me", opt=EVENTS, name="me_forget", status_code=200)
    async def forget_me(request: Http) -> ASGIResponse:
        mine = bearer(desk, request)
        return told(await asyncio.to_thread(shop.erasures.forget, mine.user, session=mine.session))

    return [me, forget_me]


def _operating(desk: Desk) -> list[HTTPRouteHandler]:
    shop = desk.shop

    @get("/v1/shoppers/{user_id:str}", opt=ADMIN, name="shopper")
    async def shopper(request: Http) -> ASGIResponse:
        name, by = shopper_id(request), who(desk, request)
        await asyncio.to_thread(shop.office.people.note, by, "export", ("user", name))
        return told(await asyncio.to_thread(export, shop.privacy, name))

    @delete("/v1/shoppers/{user_id:str}", opt=ADMIN, name="shopper_forget", status_code=200)
    async def forget(request: Http) -> ASGIResponse:
        name, by = shopper_id(request), who(desk, request)
        await asyncio.to_thread(shop.office.people.note, by, "forget", ("user", name))
        return told(await asyncio.to_thread(shop.erasures.forget, name))

    @get("/v1/erasures", opt=ADMIN, name="erasures")
    async def erasures(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], ("limit",))
        limit = number(asked, "limit", RECEIPTS, 1_000)
        return told(ReceiptList(await asyncio.to_thread(lambda: shop.erasures.receipts(limit=limit))))

    @get("/v1/erasures/{erasure_id:str}", opt=ADMIN, name="erasure")
    async def erasure(request: Http) -> ASGIResponse:
        name: str = request.scope["path_params"]["erasure_id"]
        found = await asyncio.to_thread(shop.erasures.receipt, name)
        if found is None:
            raise NoReceipt("there is no such receipt", where="address", got=name, next="/v1/erasures lists them")
        return told(found)

    return [shopper, forget, erasures, erasure]
