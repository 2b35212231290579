"""The body of a request: JSON only, of bounded size, within bounded time.

Insisting on `application/json` also keeps other sites' pages out: a browser sends that type across origins only after
asking for permission, which is not given. The size is checked by Litestar (`request_max_body_size`), announced or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from litestar import Request
from litestar.exceptions import ClientException, InternalServerException

from bodega.errors import TooLarge

PATIENCE = 30.0
"""Seconds in which a body must have arrived."""


class UnsupportedMediaType(ClientException):
    status_code = 415


class RequestTimeout(ClientException):
    status_code = 408


async def body_of(
    request: Request[Any, Any, Any], kinds: Collection[str] = ("application/json",), limit: int = 0
) -> bytes:
    """All bytes of the body, at most `limit` where that is stricter than the application's.

    Raises UnsupportedMediaType, RequestTimeout, RequestEntityTooLarge, TooLarge.
    """
    headers = request.headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in kinds:
        raise UnsupportedMediaType(detail=f"the body must be sent as {next(iter(kinds))}")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType(detail="a compressed body is not read; send it plain")
    try:
        announced = headers.get("content-length", "")
        if limit and announced.isdecimal():  # not one byte of it is read
            _within(limit, int(announced))
        async with asyncio.timeout(PATIENCE):
            body = await request.body()
        if limit:
            _within(limit, len(body))
        return body
    except TimeoutError as error:
        raise RequestTimeout(detail=f"the body did not arrive within {PATIENCE:g} s") from error
    except InternalServerException as error:  # Litestar's word for it; our server has done nothing wrong
        raise ClientException(detail="the client left before its body was complete") from error


def _within(limit: int, size: int) -> None:
    if size >= limit:
        raise TooLarge(
            "the request's body is too large",
            code="limit.body",
            where="body",
            allowed=f"less than {limit:,} bytes",
            got=f"{size:,}",
            next="send fewer at a time",
        )
