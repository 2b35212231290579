"""Who is shown, who is served how well? Over HTTP, from the last report; admin keys only.

    GET  /v1/fairness         the last report, and how far the next one is
    POST /v1/fairness/run     count anew over so many days, divided by an attribute as well

Shares of groups only: no id of a shopper leaves here. Cost: a file of a few kB. Not for: causes
(docs/office.md says what it does not show).
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.engine.office.fairness import DAYS, MOST_DAYS, Dimension, FairnessReport
from bodega.engine.office.jobs import JobState
from bodega.insight.exposure import ByWeek, Concentration, Exposed, Quality
from bodega.service import asking
from bodega.service.desk import Desk
from bodega.service.reading import body_of
from bodega.service.rules import SCOPE, Http, told


class FairnessRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Count anew."""

    days: Annotated[int, Meta(ge=1, le=MOST_DAYS)] = DAYS
    attribute: Annotated[str, Meta(max_length=asking.NAME_LIMIT)] = ""
    """A column by which the catalog is divided, beside popularity, seller, brand and category."""


class FairnessStarted(msgspec.Struct, frozen=True):
    """`started` is false where a report was being made."""

    started: bool
    job: JobState


class FairnessFound(msgspec.Struct, frozen=True):
    """The last report; none yet: null."""

    job: JobState
    report: FairnessReport | None
    attributes: tuple[str, ...]
    """What a report can be divided by."""


_PARTS = (FairnessReport, Dimension, Exposed, ByWeek, Concentration, Quality)
FAIRNESS_TYPES = (FairnessRun, FairnessStarted, FairnessFound, *_PARTS)
"""What the OpenAPI document describes of this page."""


def fairness_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    fairness = desk.shop.office.fairness

    @get("/v1/fairness", opt=SCOPE, name="fairness")
    async def found(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        return told(
            await asyncio.to_thread(lambda: FairnessFound(fairness.state(), fairness.result(), fairness.attributes()))
        )

    @post("/v1/fairness/run", opt=SCOPE, name="fairness_run", status_code=200)
    async def run(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), FairnessRun)
        started = await asyncio.to_thread(fairness.start, asked.days, asked.attribute)
        return told(FairnessStarted(started, await asyncio.to_thread(fairness.state)))

    return [found, run]
