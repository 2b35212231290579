"""A photo comes in, a token goes out: what the next searches are asked with (`Request.image`).

The photo is the body itself (`image/jpeg`, ...) or the first file of a form. It is decoded and encoded on a thread (15
to 60 ms of a core, two at a time), kept nowhere, and answered as its vector in 2 kB of text. Pages that bring the photo
itself (a data URI in `POST /v1/search`) or its address are looked at the same way before the engine is asked, so that
no photo holds up other people's lists. Not for: pictures of the catalog (`bodega pictures`).
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.datastructures import UploadFile
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from bodega.engine.photo import LARGEST
from bodega.errors import BadPicture, BadRequest, TooLarge
from bodega.service.desk import Desk, as_json
from bodega.service.reading import PATIENCE, RequestTimeout, body_of
from bodega.understanding.image.decoding import sniffed

FORM = "multipart/form-data"
KINDS = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/bmp", "application/octet-stream")
FRAME = 10_000
"""Bytes that a form may need around the photo."""


class Seen(msgspec.Struct):
    """A photo that was looked at."""

    image: str
    """What to send as `image` of the next requests; good until the shop changes its encoder."""
    encoder: str
    """Which encoder looked."""


async def uploaded(request: Request[Any, Any, Any]) -> bytes:
    """The photo in a body. Raises BadRequest, TooLarge, UnsupportedMediaType, RequestTimeout."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        return await body_of(request, (*KINDS, FORM), LARGEST + 1)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > LARGEST + FRAME:
        raise TooLarge(
            "the photo is too large",
            code="photos.large",
            where="body",
            allowed=f"{LARGEST:,} bytes",
            got=f"{int(announced):,}",
        )
    try:
        async with asyncio.timeout(PATIENCE):
            form = await request.form()
            files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
            if files:
                return await files[0].read()
    except TimeoutError as error:
        raise RequestTimeout(detail=f"the body did not arrive within {PATIENCE:g} s") from error
    raise BadRequest(
        "there is no file in this form", code="photos.none", where="body", allowed="one field that holds the photo"
    )


def photo_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handler of this page."""

    @post(
        "/v1/photo",
        opt={"scope": "search"},
        name="photo",
        request_max_body_size=LARGEST + FRAME,
    )
    async def photo(request: Request[Any, Any, Any]) -> ASGIResponse:
        image = await desk.looking.token(await uploaded(request))
        encoder = desk.shop.photos.encoder_name
        return ASGIResponse(body=as_json(Seen(image=image, encoder=encoder)))

    @get("/images/{file:path}", opt={"public": True}, name="image")
    async def image(request: Request[Any, Any, Any]) -> ASGIResponse:
        """A picture of the catalog that lies in the shop's folder. Public, as the pages that show it are; only what
        its first bytes say is a picture leaves, under the type that they say: no page, no script, no vector."""
        name = str(request.path_params["file"]).lstrip("/")
        try:
            body = await asyncio.to_thread(_picture, desk, name)
        except (BadPicture, OSError) as error:
            raise NotFoundException(detail="there is no such picture") from error
        tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        headers = {"etag": tag, "cache-control": "public, max-age=3600"}
        if tag in request.headers.get("if-none-match", ""):
            return ASGIResponse(body=b"", status_code=304, headers=headers)
        return ASGIResponse(body=body, media_type=f"image/{sniffed(body).lower()}", headers=headers)

    return [photo, image]


def _picture(desk: Desk, name: str) -> bytes:
    files = desk.shop.photos.files
    if files is None:
        raise BadPicture("this shop has no folder of pictures", where="pictures.folder")
    body = files(name)
    sniffed(body)
    return body
