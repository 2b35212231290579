"""Are answers sent smaller to who can read them so? JSON of more than a kilobyte, gzipped, when the caller asks.

Level 1, the whole body at once: the settings' 88 kB become 13 kB in .4 ms, a list of twenty items 2 kB instead of 10,
at 2 to 5 % of the CPU of such a page (docs/decisions/0058). Lists below `LIST_LEAST` go as they are: they are one or
two packets anyway. What holds a secret, or tells of one person, is never compressed, since the length of a compressed
answer tells of a secret beside text that somebody else chose (BREACH). Cost for who does not ask: one look at the
headers, .5 us.
Not for: static files, which are compressed once (`bodega.web.files`), streams, and bytes that are no JSON.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

Headers = Iterable[tuple[bytes, bytes]]
LEAST = 1_024
"""Bytes of the smallest body that is compressed."""
LIST_LEAST = 4_096
"""The same of lists that wait for the engine."""
LEVEL = 1
GZIP = 31
"""zlib's word for gzip with the largest window."""
LISTS = ("/v1/search", "/v1/recommend", "/v1/facets", "/v1/suggest", "/v1/items/", "/1/indexes/")
SECRETS = ("/v1/console", "/v1/keys", "/v1/me", "/v1/shoppers", "/v1/identify", "/v1/consent", "/storefront")
"""Answers below these hold keys, tokens, sessions, or what is known of one person."""


class Squeezed:
    """Wraps an ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not _asks(scope) or scope["path"].startswith(SECRETS):
            await self._app(scope, receive, send)
            return
        least = LIST_LEAST if scope["path"].startswith(LISTS) else LEAST
        held: HTTPResponseStartEvent | None = None

        async def sending(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _is_json(message["headers"]):
                held = message
                return
            if held is not None:
                start, held = held, None
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    body = message["body"]
                    if len(body) >= least:
                        body = zlib.compress(body, LEVEL, GZIP)
                        start["headers"] = _said(start["headers"], len(body))
                        message["body"] = body
                await send(start)
            await send(message)

        await self._app(scope, receive, sending)


def _asks(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            return accepts(value)
    return False


def accepts(header: bytes) -> bool:
    """Does this Accept-Encoding take gzip?

    >>> accepts(b"gzip, deflate, br"), accepts(b"br;q=1.0, gzip;q=0.8"), accepts(b"gzip;q=0"), accepts(b"identity")
    (True, True, False, False)
    """
    for part in header.split(b","):
        name, _, weight = part.partition(b";")
        if name.strip().lower() == b"gzip":
            return weight.replace(b" ", b"").rstrip(b"0") not in (b"q=", b"q=0.")
    return False


def _is_json(headers: Headers) -> bool:
    kind = b""
    for name, value in headers:
        lower = name.lower()
        if lower == b"content-encoding":
            return False
        if lower == b"content-type":
            kind = value
    return b"json" in kind


def _said(headers: Headers, length: int) -> list[tuple[bytes, bytes]]:
    pairs = list(headers)
    kept = [(name, value) for name, value in pairs if name.lower() not in (b"content-length", b"vary")]
    vary = b", ".join([*(value for name, value in pairs if name.lower() == b"vary"), b"Accept-Encoding"])
    return [*kept, (b"content-length", b"%d" % length), (b"content-encoding", b"gzip"), (b"vary", vary)]
