"""The settings over HTTP: what can be set, what a change would do, and the change itself. Admin keys only.

A change is checked by loading the whole tree with it; it is written under the version that it was made from (409 where
somebody was faster) and lands in the audit trail with its values before and after, without passwords.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.engine.configuring import Choice, Configuring, Considered, Difference, Held, Table
from bodega.engine.trail import Trail
from bodega.service import asking
from bodega.service.desk import Desk
from bodega.service.reading import body_of
from bodega.service.rules import SCOPE, told, who

Http = Request[Any, Any, Any]


class SettingsChanged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values by their path; null takes a key back to its default."""

    changes: dict[Annotated[str, Meta(max_length=200)], Any]
    version: Annotated[str, Meta(max_length=64)]
    """The version that the values were read at."""


SETTINGS_TYPES = (Held, Table, Choice, SettingsChanged, Considered, Difference)


def settings_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    folder = desk.shop.folder
    configuring, trail = Configuring(folder), Trail(folder)

    @get("/v1/settings", opt=SCOPE, name="settings")
    async def held(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        return told(await asyncio.to_thread(configuring.held))

    @post("/v1/settings/check", opt=SCOPE, name="settings_check", status_code=200)
    async def check(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), SettingsChanged)
        return told(await asyncio.to_thread(lambda: configuring.consider(asked.changes, asked.version)))

    @put("/v1/settings", opt=SCOPE, name="settings_put")
    async def save(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), SettingsChanged), who(desk, request)

        def saved() -> Considered:
            done = configuring.consider(asked.changes, asked.version, save=True)
            if done.differences:
                before = {each.key: each.before for each in done.differences}
                trail.add(by, "settings", "change", "bodega.toml", (before, {e.key: e.after for e in done.differences}))
            return done

        return told(await asyncio.to_thread(saved))

    return [held, check, save]
