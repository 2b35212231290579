"""Dead letters over HTTP: what could not be used, by reason; mended, tried again, or thrown away. Admin keys only.

Rows are shown as they came, as JSON texts: pages show them as text, nothing here makes markup of them. A letter has no
number of its own, so it is named by a digest of what it holds. Cost: a look at the newest `LIMIT` letters a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.engine.mending import letter_id, mend
from bodega.engine.retrying import retry
from bodega.errors import BadRequest
from bodega.schema import DeadLetter
from bodega.service import asking
from bodega.service.desk import Desk
from bodega.service.reading import body_of
from bodega.service.rules import SCOPE, number, told

Http = Request[Any, Any, Any]
LIMIT = 5_000
SHOWN = 500


class LetterCount(msgspec.Struct, frozen=True):
    """How many rows could not be used for one reason."""

    kind: str
    reason: str
    n: int


class Letter(msgspec.Struct, frozen=True):
    """A row that could not be used."""

    id: str
    kind: str
    """`item` or `event`."""
    reason: str
    message: str
    source: str
    line: int
    raw: str
    """The row as JSON, as it came."""
    time: datetime | None


class LetterPage(msgspec.Struct, frozen=True):
    """The newest letters of a kind and reason, and the counts of all."""

    counts: list[LetterCount]
    letters: list[Letter]


class LetterMended(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A letter, and the row that it should have been."""

    id: Annotated[str, Meta(max_length=64)]
    row: dict[str, Any]


class LettersRetried(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Try the events with this reason again ("": all)."""

    reason: Annotated[str, Meta(max_length=100)] = ""


class LettersDropped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Throw these away: by id, or all of a kind and reason."""

    ids: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=LIMIT)] = []
    kind: Annotated[str, Meta(max_length=20)] = ""
    reason: Annotated[str, Meta(max_length=100)] = ""


class LettersLeft(msgspec.Struct, frozen=True):
    """What became of them."""

    tried: int = 0
    stored: int = 0
    """On disk now."""
    known: int = 0
    """Stored before, by another delivery."""
    dropped: int = 0
    left: int = 0


LETTER_TYPES = (LetterPage, LetterCount, Letter, LetterMended, LettersRetried, LettersDropped, LettersLeft)
LISTED = ("kind", "reason", "limit")


def letter_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    shop = desk.shop
    dead = shop.stores.dead

    @get("/v1/letters", opt=SCOPE, name="letters")
    async def listed(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], LISTED)
        limit = number(asked, "limit", SHOWN, LIMIT)
        kind, reason = asked.once.get("kind", ""), asked.once.get("reason", "")
        found = await asyncio.to_thread(lambda: dead.list(kind=kind, reason=reason, limit=limit))
        counts = await asyncio.to_thread(dead.counts)
        rows = [LetterCount(*names, n) for names, n in sorted(counts.items(), key=lambda each: -each[1])]
        return told(LetterPage(rows, [_shown(each) for each in found]))

    @post("/v1/letters/mend", opt=SCOPE, name="letters_mend", status_code=200)
    async def mended(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), LetterMended)

        def run() -> LettersLeft:
            letter = _named(dead.list(limit=LIMIT), [asked.id])[0]
            written = mend(shop, dead, letter, asked.row)
            return LettersLeft(tried=1, stored=written.added + written.changed, known=written.unchanged)

        return told(await asyncio.to_thread(run))

    @post("/v1/letters/retry", opt=SCOPE, name="letters_retry", status_code=200)
    async def again(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), LettersRetried)
        done = await asyncio.to_thread(lambda: retry(shop.events, dead, shop.settings, reason=asked.reason))
        return told(LettersLeft(tried=done.tried, stored=done.stored, known=done.known, left=done.left))

    @post("/v1/letters/drop", opt=SCOPE, name="letters_drop", status_code=200)
    async def drop(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), LettersDropped)
        if not (asked.ids or asked.kind or asked.reason):
            raise BadRequest(
                "which letters?", code="letters.which", where="ids", allowed="ids, or a kind and reason", got="nothing"
            )

        def run() -> LettersLeft:
            held = dead.list(kind=asked.kind, reason=asked.reason, limit=LIMIT)
            if asked.ids:
                return LettersLeft(dropped=dead.remove(_named(held, asked.ids)))
            gone = 0
            while held and (now := dead.remove(held)):
                gone += now
                held = dead.list(kind=asked.kind, reason=asked.reason, limit=LIMIT)
            return LettersLeft(dropped=gone)

        return told(await asyncio.to_thread(run))

    return [listed, mended, again, drop]


def _named(letters: Sequence[DeadLetter], ids: Sequence[str]) -> list[DeadLetter]:
    """The letters with these ids. Raises BadRequest where none is there (any more)."""
    wanted = set(ids)
    found = [each for each in letters if letter_id(each) in wanted]
    if not found:
        raise BadRequest(
            "there is no such letter (any more)",
            code="letters.gone",
            where="id",
            got=", ".join(ids)[:100],
            next="load the list again",
        )
    return found


def _shown(letter: DeadLetter) -> Letter:
    told = (letter.kind, letter.reason, letter.message, letter.source, letter.line, letter.raw, letter.time)
    return Letter(letter_id(letter), *told)
