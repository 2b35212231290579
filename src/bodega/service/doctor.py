"""The catalog's doctor over HTTP: what it found last, how far it is, the worst items, twins. Admin keys only.

    GET  /v1/doctor              the last examination in short, and how far the next one is
    POST /v1/doctor/run          begin one; where one runs already it goes on
    GET  /v1/doctor/offenders    the worst items, overall or of one part of the score
    GET  /v1/doctor/twins        products that are nearly the same by title or by picture

Answers come from a file that the last examination left: none waits for one. Facts that were mined are decided at
`/v1/knowledge`. Cost: reading that file once (2 MB at 90,000 items). Not for: mending.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.catalog.doctor import Diagnosis
from bodega.catalog.findability import WEIGHTS, ItemScore, ShopScore
from bodega.engine.office.clinic import KEPT, MOST_SAMPLE, SAMPLE, Offenders, Twins
from bodega.engine.office.jobs import JobState
from bodega.errors import BadRequest
from bodega.service import asking
from bodega.service.desk import Desk
from bodega.service.reading import body_of
from bodega.service.rules import SCOPE, Http, number, told

OFFENDERS = ("part", "q", "limit")
TWINS = ("by", "limit")


class DoctorRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Begin an examination."""

    sample: Annotated[int, Meta(ge=0, le=MOST_SAMPLE)] = SAMPLE
    """How many items are searched by their own titles."""


class DoctorStarted(msgspec.Struct, frozen=True):
    """`started` is false where one was under way."""

    started: bool
    job: JobState


class DoctorFound(msgspec.Struct, frozen=True):
    """The last examination in short; `time` 0: there was none yet."""

    job: JobState
    weights: dict[str, float]
    """{part of the score: its weight}."""
    time: float = 0.0
    seconds: float = 0.0
    n_items: int = 0
    looked_up: int = 0
    shop: ShopScore | None = None
    diagnosis: Diagnosis | None = None
    counts: dict[str, int] = {}
    """{part: items that lose something by it}."""
    twins: dict[str, int] = {}
    """{"title", "picture": groups}."""


class TwinList(msgspec.Struct, frozen=True):
    """Groups of products that are nearly the same, the largest first; `total` counts all there are."""

    total: int
    groups: tuple[Twins, ...]


DOCTOR_TYPES = (DoctorRun, DoctorStarted, DoctorFound, Offenders, ItemScore, TwinList, Twins, JobState, ShopScore)
"""What the OpenAPI document describes of this page."""


def doctor_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    clinic = desk.shop.office.clinic

    @get("/v1/doctor", opt=SCOPE, name="doctor")
    async def doctor(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        return told(await asyncio.to_thread(_found, desk))

    @post("/v1/doctor/run", opt=SCOPE, name="doctor_run", status_code=200)
    async def run(request: Http) -> ASGIResponse:
        asked = asking.decoded(await body_of(request), DoctorRun)
        started = await asyncio.to_thread(clinic.start, asked.sample)
        return told(DoctorStarted(started, await asyncio.to_thread(clinic.state)))

    @get("/v1/doctor/offenders", opt=SCOPE, name="doctor_offenders")
    async def offenders(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], OFFENDERS)
        part, words = asked.once.get("part", "all"), asked.once.get("q", "")
        if part not in ("all", *WEIGHTS):
            raise BadRequest(
                "the score has no such part",
                code="doctor.part",
                where="part",
                allowed=", ".join(("all", *WEIGHTS)),
                got=part,
            )
        limit = number(asked, "limit", KEPT, KEPT)
        return told(await asyncio.to_thread(lambda: clinic.offenders(part, text=words[:200], limit=limit)))

    @get("/v1/doctor/twins", opt=SCOPE, name="doctor_twins")
    async def twins(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], TWINS)
        by, limit = asked.once.get("by", "title"), number(asked, "limit", 100, 500)
        if by not in ("title", "picture"):
            raise BadRequest("twins of what?", code="doctor.twins", where="by", allowed="title, picture", got=by)
        found = await asyncio.to_thread(clinic.result)
        groups = () if found is None else tuple(one for one in found.twins if one.by == by)
        total = 0 if found is None else found.twin_groups.get(by, 0)
        return told(TwinList(total, groups[:limit]))

    return [doctor, run, offenders, twins]


def _found(desk: Desk) -> DoctorFound:
    clinic = desk.shop.office.clinic
    state, last = clinic.state(), clinic.result()
    if last is None:
        return DoctorFound(state, WEIGHTS)
    return DoctorFound(
        job=state,
        weights=WEIGHTS,
        time=last.time,
        seconds=last.seconds,
        n_items=last.n_items,
        looked_up=last.looked_up,
        shop=last.shop,
        diagnosis=last.diagnosis,
        counts=last.counts,
        twins=last.twin_groups,
    )
