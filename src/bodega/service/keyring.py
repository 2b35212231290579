"""Keys over HTTP, and one trail of all that people changed: keys, settings, rules, experiments, erasures. Admin only.

The text of a new key is told once, to who made it, and kept nowhere. A key that is revoked here ends its sessions at
the console at once. The trail puts together what each part of the shop writes down for itself; it changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.engine.trail import Line, Trail
from bodega.errors import BadRequest
from bodega.protocols import KeyInfo, KeyStore
from bodega.service import asking
from bodega.service.desk import Desk, visit_of
from bodega.service.guard import SCOPES
from bodega.service.reading import body_of
from bodega.service.rules import SCOPE, number, told, who

Http = Request[Any, Any, Any]
SHOWN = 200
LIMIT = 1_000
AREAS = ("keys", "settings", "rules", "experiments", "privacy")


class Key(msgspec.Struct, frozen=True):
    """What is known of a key: never its text."""

    id: str
    label: str
    scopes: list[str]
    created: datetime
    revoked: bool
    mine: bool
    """Is it the key that asks?"""


class KeyList(msgspec.Struct, frozen=True):
    """All keys, newest first."""

    keys: list[Key]


class KeyAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to be made."""

    label: Annotated[str, Meta(min_length=1, max_length=100)]
    """What it is for; changes are written down under it."""
    scopes: Annotated[list[str], Meta(min_length=1, max_length=3)]
    """Of `search`, `events`, `admin`."""


class KeyMade(msgspec.Struct, frozen=True):
    """The only time that its text is told."""

    id: str
    label: str
    scopes: list[str]
    key: str


class KeyRevoked(msgspec.Struct, frozen=True):
    id: str
    revoked: bool


class AuditLine(msgspec.Struct, frozen=True):
    """Who changed what, when."""

    time: datetime
    who: str
    area: str
    """`keys`, `settings`, `rules`, `experiments` or `privacy`."""
    what: str
    name: str = ""
    """Id of what was changed."""
    before: Any = None
    after: Any = None
    change: int = 0
    """Number of the change in its own trail, where it has one."""
    elsewhere: bool = False
    """Was it done through another server? Then who did it stands in that server's trail."""


class AuditTrail(msgspec.Struct, frozen=True):
    """The newest first."""

    lines: list[AuditLine]


KEY_TYPES = (Key, KeyList, KeyAsked, KeyMade, KeyRevoked, AuditLine, AuditTrail)
AUDITED = ("area", "limit")
EVERY = 100_000


def key_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    keys, trail = desk.shop.keys, Trail(desk.shop.folder)

    @get("/v1/keys", opt=SCOPE, name="keys")
    async def listed(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        mine = visit_of(request.scope).key
        found = await asyncio.to_thread(keys.list)
        shown = [_shown(each, mine) for each in sorted(found, key=lambda each: each.created, reverse=True)]
        return told(KeyList(shown))

    @post("/v1/keys", opt=SCOPE, name="key_create", status_code=200)
    async def create(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), KeyAsked), who(desk, request)
        _checked(asked)
        made = await asyncio.to_thread(_made, keys, trail, asked, by)
        desk.sessions.forget()
        return told(made)

    @delete("/v1/keys/{key_id:str}", opt=SCOPE, name="key_revoke", status_code=200)
    async def revoke(request: Http) -> ASGIResponse:
        name, by = str(request.scope["path_params"]["key_id"]), who(desk, request)
        await asyncio.to_thread(_revoked, keys, trail, name, by)
        desk.sessions.forget()
        return told(KeyRevoked(name, revoked=True))

    @get("/v1/audit", opt=SCOPE, name="audit")
    async def audit(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], AUDITED)
        limit, area = number(asked, "limit", SHOWN, LIMIT), asked.once.get("area", "")
        if area not in ("", *AREAS):
            raise BadRequest(
                "there is no such area", code="keys.area", where="area", allowed=", ".join(AREAS), got=area[:40]
            )
        lines = await asyncio.to_thread(lambda: _lines(desk, trail, area, limit))
        return told(AuditTrail(lines))

    return [listed, create, revoke, audit]


def _checked(asked: KeyAsked) -> None:
    """Raises BadRequest for scopes that there are not, and for a label that is no line of text."""
    if set(asked.scopes) - set(SCOPES) or len(set(asked.scopes)) != len(asked.scopes):
        raise BadRequest(
            "there is no such scope",
            code="keys.scope",
            where="scopes",
            allowed=", ".join(SCOPES),
            got=", ".join(asked.scopes)[:100],
        )
    if not asked.label.strip() or not asked.label.isprintable():
        raise BadRequest(
            "a label is a line of text", code="keys.label", where="label", allowed="1 to 100 characters", got=""
        )


def _made(keys: KeyStore, trail: Trail, asked: KeyAsked, by: str) -> KeyMade:
    """A new key, written down."""
    text = keys.create(asked.label.strip(), asked.scopes)
    made = keys.find(text)
    name = made.id if made is not None else ""
    trail.add(by, "keys", "create", name, ({}, {"label": asked.label.strip(), "scopes": asked.scopes}))
    return KeyMade(name, asked.label.strip(), asked.scopes, text)


def _revoked(keys: KeyStore, trail: Trail, name: str, by: str) -> None:
    """Revoke a key and write it down. Raises BadRequest where there is none."""
    held = next((each for each in keys.list() if each.id == name and not each.revoked), None)
    if held is None or not keys.revoke(name):
        raise BadRequest(
            "there is no such key (or it was revoked before)", code="keys.unknown", where="address", got=name[:64]
        )
    trail.add(by, "keys", "revoke", name, ({"label": held.label, "scopes": list(held.scopes)}, {}))


def _shown(info: KeyInfo, mine: str) -> Key:
    return Key(info.id, info.label, list(info.scopes), info.created, info.revoked, info.id == mine)


def _lines(desk: Desk, trail: Trail, area: str, limit: int) -> list[AuditLine]:
    """The newest lines of one area, or of all."""
    found: list[AuditLine] = []
    if area in ("", "keys", "settings"):
        own = [
            AuditLine(each.time, each.who, each.area, each.what, each.name, each.before or None, each.after or None)
            for each in trail.list(area=area, limit=limit)
        ]
        found += own
        if area in ("", "keys"):
            found += _elsewhere(desk.shop.keys.list(), trail.list(area="keys", limit=EVERY))
    if area in ("", "rules"):
        found += [
            AuditLine(each.time, each.who, "rules", each.what, each.rule, each.before, each.after, each.id)
            for each in desk.shop.rules.history(limit=limit)
        ]
    if area in ("", "experiments"):
        found += _experiments(desk, limit)
    if area in ("", "privacy"):
        found += [
            AuditLine(each.time, "", "privacy", "forget", each.id, None, {"removed": each.removed})
            for each in desk.shop.erasures.receipts(limit=limit)
        ]
    return sorted(found, key=_moment, reverse=True)[:limit]


def _elsewhere(keys: Sequence[KeyInfo], own: Sequence[Line]) -> list[AuditLine]:
    """Keys that the store holds and this server's trail does not speak of: made through another server of the shop.
    (All workers of one machine write one trail, which `Trail` keeps whole; rules, experiments and what was forgotten
    have theirs in the store.)"""
    known = {line.name for line in own if line.what == "create"}
    return [
        AuditLine(
            each.created, "", "keys", "create", each.id, None, {"label": each.label, "scopes": list(each.scopes)},
            elsewhere=True,
        )
        for each in keys
        if each.id not in known
    ]  # fmt: skip


def _experiments(desk: Desk, limit: int) -> list[AuditLine]:
    return [
        AuditLine(
            datetime.fromtimestamp(each.time, UTC),
            each.who,
            "experiments",
            each.what,
            each.experiment,
            each.before,
            each.after,
            each.id,
        )
        for each in desk.shop.experiments.history(limit=limit)
    ]


def _moment(line: AuditLine) -> datetime:
    return line.time if line.time.tzinfo else line.time.replace(tzinfo=UTC)
