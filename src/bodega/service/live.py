"""The live numbers as server-sent events: one reader of the counts a process, however many listen.

While anybody listens, the counts are read once a second on a thread, and sent as one event named `live` where they
moved; a comment every 15 seconds keeps proxies from hanging up. Whoever comes gets the newest numbers at once. At most
`LISTENERS` listen to one process; the next one is refused with 503. A listener that leaves is forgotten at the next
event; at a stop the server closes the connections (`server`). Every worker counts what all of them hear and answer, so
it does not matter which one a browser reached. Cost: a reading of 3 ms a second, nothing while nobody listens.
Not for: history (`/v1/metrics/live`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import msgspec
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse

from bodega.engine.insights import Insight
from bodega.errors import LimitError
from bodega.insight.counting import Figures
from bodega.insight.reports import MinuteLine

EVERY = 1.0
HEARTBEAT = 15.0
LISTENERS = 64
SPAN = 6
"""Minutes that are read: this one and the five before."""
STREAM = "/v1/live"
MEDIA_TYPE = "text/event-stream"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
LOGGER = logging.getLogger("bodega.service")


class LiveTick(msgspec.Struct, frozen=True, kw_only=True):
    """What one event `live` says."""

    now: str
    minute: MinuteLine
    """This minute so far."""
    last: MinuteLine
    """The minute before."""
    whole: Figures
    """This minute and the five before."""
    per_minute: dict[str, float]
    units: dict[str, int]


class Broadcast:
    """Reads for all who listen to this process."""

    def __init__(self, insight: Callable[[], Insight]) -> None:
        self._insight = insight
        self._listening = 0
        self._task: asyncio.Task[None] | None = None
        self._said = b""
        self._number = 0
        self._news = asyncio.Condition()

    def listener(self) -> ASGIStreamingResponse:
        """A stream for one more. Raises LimitError where too many listen."""
        if self._listening >= LISTENERS:
            error = LimitError(
                "too many listen to the live numbers of this process",
                code="limit.live",
                where=STREAM,
                allowed=str(LISTENERS),
                next="close consoles that nobody looks at, or ask GET /v1/metrics/live from time to time",
            )
            error.retry_after = 30
            error.status = 503
            raise error
        return ASGIStreamingResponse(iterator=self._told(), media_type=MEDIA_TYPE, headers=HEADERS, status_code=200)

    async def once(self) -> ASGIResponse:
        """The newest numbers, and the end: for callers that do not wait for events."""
        tick = await asyncio.to_thread(self._read)
        return ASGIResponse(body=_event(1, tick), media_type=MEDIA_TYPE, headers=HEADERS)

    async def _told(self) -> AsyncIterator[bytes]:
        self._listening += 1
        try:
            if self._task is None or self._task.done():
                self._number, self._said = 0, b""
                self._task = asyncio.create_task(self._keep_reading())
            yield b"retry: 3000\n\n"
            heard = 0
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT), self._news:
                        await self._news.wait_for(lambda: self._number != heard)  # noqa: B023 - awaited in this turn
                        heard = self._number
                        said = self._said
                    yield said
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._listening -= 1

    async def _keep_reading(self) -> None:
        """Until nobody listens."""
        before = b""
        while self._listening:
            try:
                tick = await asyncio.to_thread(self._read)
                moved = msgspec.json.encode(msgspec.structs.replace(tick, now=""))
                if moved != before:
                    before = moved
                    async with self._news:
                        self._number += 1
                        self._said = _event(self._number, tick)
                        self._news.notify_all()
            except Exception as error:  # a store that is away for a while must not end the stream
                LOGGER.error("the live numbers could not be read", exc_info=error)
            await asyncio.sleep(EVERY)

    def _read(self) -> LiveTick:
        report = self._insight().live(SPAN)
        return LiveTick(
            now=report.now,
            minute=report.minutes[-1],
            last=report.minutes[-2],
            whole=report.whole,
            per_minute=report.per_minute,
            units=report.units,
        )


def _event(number: int, tick: LiveTick) -> bytes:
    return b"event: live\nid: %d\ndata: %b\n\n" % (number, msgspec.json.encode(tick))
