"""What happens in the shop? Over HTTP, for admin keys: the reports of `shop.insight`, and a stream of live numbers.

    GET /v1/metrics/today      one day so far, beside the days before, and what changed since the snapshot
    GET /v1/metrics/daily      day by day, by place, position, source or hour
    GET /v1/metrics/live       the last minutes
    GET /v1/metrics/queries    what people search: top, rising, failing
    GET /v1/live               server-sent events: the live numbers, once a second while they move; to a caller that
                               does not accept `text/event-stream`, one event and the end

Reports name no shopper, and no query that fewer than `understand.people` different people asked. They are made on a
thread: pages go on being answered meanwhile. Not for: what a monitoring system scrapes (`/metrics`).
"""

from __future__ import annotations

import asyncio

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from bodega.errors import BadRequest
from bodega.insight.counting import Figures, Rate
from bodega.insight.reports import (
    Asked,
    Change,
    ChangesReport,
    DailyReport,
    DayLine,
    Line,
    LiveReport,
    MinuteLine,
    QueriesReport,
    TodayReport,
)
from bodega.service import asking
from bodega.service.desk import Desk
from bodega.service.live import Broadcast, LiveTick
from bodega.service.rules import SCOPE, Http, told

TODAY = ("day",)
DAILY = ("days", "by", "place", "until")
LIVE = ("minutes",)
QUERIES = ("kind", "days", "limit")
INSIGHT_TYPES = (
    TodayReport, DailyReport, LiveReport, QueriesReport, ChangesReport, DayLine, MinuteLine, Line, Asked, Change,
    Figures, Rate, LiveTick,
)  # fmt: skip
"""What the OpenAPI document describes of this page."""


def insight_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    broadcast = Broadcast(lambda: desk.shop.insight)

    @get("/v1/metrics/today", opt=SCOPE, name="metrics_today")
    async def today(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], TODAY).once
        return told(await asyncio.to_thread(desk.shop.insight.today, asked.get("day", "")))

    @get("/v1/metrics/daily", opt=SCOPE, name="metrics_daily")
    async def daily(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], DAILY).once
        days, by, until, place = (
            _whole(asked, "days", 28),
            asked.get("by", "place"),
            asked.get("until", ""),
            asked.get("place"),
        )

        def made() -> DailyReport:
            return desk.shop.insight.daily(days, by, until=until, place=place)  # type: ignore[arg-type]  # it checks

        return told(await asyncio.to_thread(made))

    @get("/v1/metrics/live", opt=SCOPE, name="metrics_live")
    async def live(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], LIVE).once
        return told(await asyncio.to_thread(desk.shop.insight.live, _whole(asked, "minutes", 60)))

    @get("/v1/metrics/queries", opt=SCOPE, name="metrics_queries")
    async def queries(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], QUERIES).once
        kind, days, limit = asked.get("kind", "top"), _whole(asked, "days", 7), _whole(asked, "limit", 50)

        def made() -> QueriesReport:
            return desk.shop.insight.queries(kind, days, limit)  # type: ignore[arg-type]  # it checks

        return told(await asyncio.to_thread(made))

    @get("/v1/live", opt=SCOPE, name="live_stream")
    async def stream(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        if "text/event-stream" not in request.headers.get("accept", ""):
            return await broadcast.once()
        return broadcast.listener()

    return [today, daily, live, queries, stream]


def _whole(asked: dict[str, str], name: str, default: int) -> int:
    """A whole number among the parameters. Raises BadRequest."""
    text = asked.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise BadRequest("this is no whole number", code="asked.whole", where=name, allowed="digits", got=text)
    return int(text)
