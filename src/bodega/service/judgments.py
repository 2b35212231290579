"""Judgments and the loop over HTTP: how well items answer queries, how the shop learns by itself. Admin keys only.

    GET  /v1/judgments            opinions, by query, origin and judge
    GET  /v1/judgments/progress   how far judging is, and how far judges agree
    GET  /v1/judgments/queue      what is worth the judgment of whoever asks
    POST /v1/judgments            say how well items answer a query (as the key that asks)
    POST /v1/judgments/delete     take an opinion of one's own back
    POST /v1/judgments/clicks     grade what shoppers clicked, anew
    GET  /v1/judgments/reports    relevance reports of the last nights; POST /v1/judgments/report makes one now
    GET  /v1/loop                 how far the loop is, its gates, its trail
    POST /v1/loop/run             go on, beside the pages; POST /v1/loop/approve, /v1/loop/reject: the human switch

Cost: grading reads the log, a report searches every judged query three times; both beside the event loop.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.engine.judged.clicks import ClickReport
from bodega.engine.judged.door import Judged
from bodega.engine.judged.queue import QueueEntry
from bodega.engine.judged.report import RelevanceReport
from bodega.engine.loop.door import Switch
from bodega.engine.loop.state import AuditLine, LoopState
from bodega.schema.judgments import GRADES, Judgment
from bodega.service import asking
from bodega.service.desk import Desk
from bodega.service.reading import body_of
from bodega.service.rules import SCOPE, Http, number, told, who

LISTED = ("q", "origin", "judge", "limit", "offset")
QUEUED = ("limit",)
AT_ONCE = 200
Query = Annotated[str, Meta(min_length=1, max_length=500)]


class JudgmentSaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One opinion of the key that asks."""

    query: Query
    item: Query
    grade: Annotated[int, Meta(ge=0, le=GRADES - 1)]
    note: Annotated[str, Meta(max_length=1_000)] = ""


class JudgmentsSaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some opinions."""

    judgments: Annotated[list[JudgmentSaid], Meta(min_length=1, max_length=AT_ONCE)]


class JudgmentsTaken(msgspec.Struct, frozen=True):
    """What became of them."""

    added: int
    changed: int
    unchanged: int


class JudgmentUnsaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Take this one back."""

    query: Query
    item: Query


class JudgmentList(msgspec.Struct, frozen=True):
    """In the order of queries and items."""

    judgments: list[Judgment]


class AgreementTold(msgspec.Struct, frozen=True):
    """Cohen's kappa of two judges, quadratic weights, with a 95 % interval."""

    one: str
    other: str
    kappa: float
    low: float
    high: float
    pairs: int
    proven: bool
    """Surely more than moderate, on at least 30 pairs."""


class JudgingTold(msgspec.Struct, frozen=True):
    """How far judging is."""

    progress: Judged
    agreement: list[AgreementTold]


class JudgmentQueue(msgspec.Struct, frozen=True):
    """What is worth the judgment of `who`."""

    who: str
    entries: list[QueueEntry]
    counting: bool = False
    """Is somebody still counting who asked what? Then ask again soon."""


class ReportList(msgspec.Struct, frozen=True):
    """Newest first."""

    reports: list[RelevanceReport]


class LoopRejected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the candidate is thrown away."""

    why: Annotated[str, Meta(max_length=500)] = ""


class LoopTold(msgspec.Struct, frozen=True):
    """How far the loop is."""

    state: LoopState
    switch: Switch
    """Who has the last word; `loop.approve` in the settings."""
    running: bool
    """Is this process at it?"""
    error: str
    """Why the last run that was begun here ended early; "" where it did not."""
    trail: list[AuditLine]
    measured: dict[str, Any]
    """What `bodega bench loop` measured in the generated world, where it was kept in this folder."""


JUDGMENT_TYPES = (
    Judgment,
    JudgmentsSaid,
    JudgmentsTaken,
    JudgmentUnsaid,
    JudgmentList,
    JudgingTold,
    JudgmentQueue,
    ReportList,
    RelevanceReport,
    ClickReport,
    LoopRejected,
    LoopTold,
)
"""What the OpenAPI document describes of this page."""


def judgment_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    return [*_asking(desk), *_saying(desk), *_looping(desk)]


def _asking(desk: Desk) -> list[HTTPRouteHandler]:
    judgments = desk.shop.judgments

    @get("/v1/judgments", opt=SCOPE, name="judgments")
    async def listed(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], LISTED)
        limit, offset = number(asked, "limit", 100, 1_000), number(asked, "offset", 0)
        query, origin, judge = (asked.once.get(name, "") for name in ("q", "origin", "judge"))
        found = await asyncio.to_thread(
            lambda: judgments.find(query=query, origin=origin, who=judge, limit=limit, offset=offset)
        )
        return told(JudgmentList(list(found)))

    @get("/v1/judgments/progress", opt=SCOPE, name="judgments_progress")
    async def progress(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())

        def work() -> JudgingTold:
            found = [
                AgreementTold(
                    each.one,
                    each.other,
                    each.agreement.kappa,
                    each.agreement.low,
                    each.agreement.high,
                    each.agreement.n,
                    each.proven,
                )
                for each in judgments.agreement()
            ]
            return JudgingTold(judgments.progress(), found)

        return told(await asyncio.to_thread(work))

    @get("/v1/judgments/queue", opt=SCOPE, name="judgments_queue")
    async def queue(request: Http) -> ASGIResponse:
        asked, by = asking.parameters(request.scope["query_string"], QUEUED), who(desk, request)
        limit = number(asked, "limit", 5, 50)

        def work() -> JudgmentQueue:
            return JudgmentQueue(by, judgments.queue(by, limit), judgments.counting)

        return told(await asyncio.to_thread(work))

    @get("/v1/judgments/reports", opt=SCOPE, name="judgments_reports")
    async def reports(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], QUEUED)
        limit = number(asked, "limit", 30, 1_000)
        return told(ReportList(await asyncio.to_thread(judgments.reports, limit)))

    return [listed, progress, queue, reports]


def _saying(desk: Desk) -> list[HTTPRouteHandler]:
    judgments = desk.shop.judgments

    @post("/v1/judgments", opt=SCOPE, name="judgments_say", status_code=200)
    async def say(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), JudgmentsSaid), who(desk, request)
        said = [Judgment(query=x.query, item=x.item, grade=x.grade, note=x.note) for x in asked.judgments]
        written = await asyncio.to_thread(lambda: judgments.put(said, who=by))
        return told(JudgmentsTaken(written.added, written.changed, written.unchanged))

    @post("/v1/judgments/delete", opt=SCOPE, name="judgments_delete", status_code=200)
    async def unsay(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), JudgmentUnsaid), who(desk, request)
        return told({"deleted": await asyncio.to_thread(lambda: judgments.delete(asked.query, asked.item, who=by))})

    @post("/v1/judgments/clicks", opt=SCOPE, name="judgments_clicks", status_code=200)
    async def clicks(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        return told(await asyncio.to_thread(judgments.from_clicks))

    @post("/v1/judgments/report", opt=SCOPE, name="judgments_report", status_code=200)
    async def report(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        return told(await asyncio.to_thread(judgments.report))

    return [say, unsay, clicks, report]


def _looping(desk: Desk) -> list[HTTPRouteHandler]:
    loop = desk.shop.loop

    def status() -> LoopTold:
        return LoopTold(loop.state, loop.switch, loop.running, loop.error, loop.trail(200), loop.measured())

    @get("/v1/loop", opt=SCOPE, name="loop")
    async def read(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        return told(await asyncio.to_thread(status))

    @post("/v1/loop/run", opt=SCOPE, name="loop_run", status_code=200)
    async def run(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        await asyncio.to_thread(loop.start)
        return told(await asyncio.to_thread(status))

    @post("/v1/loop/approve", opt=SCOPE, name="loop_approve", status_code=200)
    async def approve(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        by = who(desk, request)
        await asyncio.to_thread(loop.approve, by)
        return told(await asyncio.to_thread(status))

    @post("/v1/loop/reject", opt=SCOPE, name="loop_reject", status_code=200)
    async def reject(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), LoopRejected), who(desk, request)
        await asyncio.to_thread(loop.reject, by, asked.why)
        return told(await asyncio.to_thread(status))

    return [read, run, approve, reject]
