"""Who looks at photos while lists are answered? A thread beside the event loop, for a bounded number of them.

An engine answers a list in milliseconds on the event loop; a photo takes a core some ten of them, or seconds where it
has to be fetched. So a request with a photo is looked at here first and goes to the engine with a token. Cost: a hand
over to a thread. Not for: what a photo shows (`engine.photo`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from bodega.engine.photo import Photos, is_photo
from bodega.errors import Overloaded
from bodega.schema import Request

MOST = 8
"""Photos that may be under way or wait in one process; the next one is refused with 503."""

T = TypeVar("T")


class Sees(Protocol):
    """The part of a shop that looks at photos."""

    @property
    def photos(self) -> Photos: ...
    def photographed(self, request: Request) -> Request: ...


class Looking:
    """One a server process."""

    def __init__(self, shop: Sees) -> None:
        self._shop = shop
        self._under_way = 0

    async def token(self, data: bytes) -> str:
        """What stands for a photo. Raises BadPicture, MissingExtra, TooLarge, Overloaded."""
        return await self._beside(lambda: self._shop.photos.token(data))

    async def seen(self, request: Request) -> Request:
        """The request with its photo looked at; one without a photo (or with a token) as it is."""
        if not request.image or is_photo(request.image):
            return request
        return await self._beside(lambda: self._shop.photographed(request))

    async def _beside(self, call: Callable[[], T]) -> T:
        if self._under_way >= MOST:
            raise Overloaded(
                "too many photos are being looked at", code="limit.photos", where="image", next="ask again in a second"
            )
        self._under_way += 1
        try:
            return await asyncio.to_thread(call)
        finally:
            self._under_way -= 1
