"""What an operator asks: alive? ready? how busy? And the document that describes the whole API.

`/livez` touches nothing, so a broken store does not get a healthy process killed; `/readyz` names what it depends on
(`ready`); `/metrics` adds what must be asked for to what was counted (`readings`). `Watch` notices what other processes
did: a snapshot that `bodega learn` published, items imported.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from bodega.engine.renewing import SettingsFile
from bodega.errors import BodegaError
from bodega.service.desk import Desk
from bodega.service.readings import Readings
from bodega.service.ready import Readiness
from bodega.service.telemetry import LOGGER

Http = Request[Any, Any, Any]
LOOK_EVERY = 2.0
"""Seconds between two looks at what other processes did."""
GLANCE_EVERY = 0.25
"""Seconds between two looks at which snapshot is published: one small file, .05 ms. A rollback must not wait."""


def operate_handlers(desk: Desk, document: bytes) -> list[HTTPRouteHandler]:
    """The handlers of this page. `document` is the OpenAPI document."""
    readiness, readings = Readiness(desk), Readings(desk)

    @get("/livez", opt={"public": True}, name="livez")
    async def livez() -> ASGIResponse:
        return ASGIResponse(body=b'{"alive":true}')

    @get("/readyz", opt={"public": True}, name="readyz")
    async def readyz() -> ASGIResponse:
        status, body = await readiness.look()
        return ASGIResponse(body=body, status_code=status)

    @get("/metrics", opt={"scope": "admin"}, name="metrics")
    async def metrics() -> ASGIResponse:
        await readiness.look()
        await readings.take()
        return ASGIResponse(body=desk.telemetry.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @get("/openapi.json", opt={"public": True}, name="openapi")
    async def openapi() -> ASGIResponse:
        return ASGIResponse(body=document, headers={"Cache-Control": "public, max-age=300"})

    return [livez, readyz, metrics, openapi]


class Watch:
    """Takes over what other processes published, within seconds and without a restart."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._shop = desk, desk.shop
        self._file = SettingsFile(desk.shop.folder)
        self._readings = Readings(desk)
        self._seen = self._glanced = ""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the snapshot there is; a shop that has not learned starts too, and says so in `/readyz`."""
        await asyncio.to_thread(self._look)
        await asyncio.to_thread(self._shop.erasures.ballast.take)
        self._task = asyncio.create_task(self._keep_looking())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_looking(self) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(GLANCE_EVERY)
            if time.monotonic() - looked > LOOK_EVERY or await asyncio.to_thread(self._is_news):
                await asyncio.to_thread(self._look)
                self._readings.note()
                looked = time.monotonic()

    def _is_news(self) -> bool:
        try:
            glanced, self._glanced = self._glanced, self._shop.published()
            return self._glanced not in ("", self._seen, glanced)  # what cannot be opened is tried at the full looks
        except Exception:  # a folder that cannot be read: the full look says so
            return False

    def _renew(self) -> None:
        """Settings that were written since the last look."""
        fresh = self._file.news()
        if fresh is not None and self._desk.renew(fresh):
            LOGGER.info("settings", extra={"facts": {"snapshot": self._seen}})

    def _look(self) -> None:
        try:
            current = self._shop.published()
            if current and current != self._seen:
                if self._shop.standing().get("snapshot") != current:
                    served = self._shop.reload()
                    LOGGER.info("snapshot", extra={"facts": {"snapshot": served}})
                self._seen = current
            self._shop.catch_up()
            self._shop.restock()
            self._renew()
            self._shop.erasures.daily()
            self._shop.experiments.guard.turn()
        except BodegaError as error:
            LOGGER.error("%s", error.what, extra={"facts": error.as_dict()})
        except Exception as error:
            LOGGER.error("the shop could not be looked at", exc_info=error)
