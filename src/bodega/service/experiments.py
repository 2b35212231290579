"""Experiments over HTTP: written, planned, started, read, stopped, finished; who did what and why. Admin keys only.

Every write names the key that made it (by its label) in the audit trail. A PUT may carry the `version` that it was made
from; one that is not the newest is refused with 409. What runs is never changed: that is a 422. A reading takes seconds
where the log is long, beside the event loop; the same one is given to all who ask within a few seconds.
Not for: which arm a shopper sees; that is told to nobody.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.engine.dials import Dial
from bodega.engine.experiments.door import Experiments
from bodega.engine.experiments.planning import GUARDS, Asked, Planned
from bodega.engine.experiments.reading import Tried
from bodega.errors import BadRequest
from bodega.insight.trying import LOWER, METRICS
from bodega.schema.experiments import Experiment, ExperimentChange, Guardrail, KeptExperiment
from bodega.service import asking
from bodega.service.desk import Desk
from bodega.service.reading import body_of
from bodega.service.rules import TRAIL, TRAIL_LIMIT, number, told, who

Http = Request[Any, Any, Any]
SCOPE = {"scope": "admin"}
SIZE_LIMIT = 100_000
FRESH = 10.0
"""Seconds for which a reading is given to whoever asks again."""
KEPT = 32


class ExperimentList(msgspec.Struct, frozen=True):
    """All experiments by id; `changes` is the number of the newest change."""

    experiments: list[KeptExperiment]
    changes: int


class ExperimentTrail(msgspec.Struct, frozen=True):
    """The audit trail, newest first."""

    changes: list[ExperimentChange]


class ExperimentDials(msgspec.Struct, frozen=True):
    """What an arm may turn, what can be measured, and the guardrails one ought to have."""

    dials: list[Dial]
    metrics: tuple[str, ...]
    lower: tuple[str, ...]
    """Metrics that are better when they are lower."""
    guardrails: tuple[Guardrail, ...]
    snapshots: list[str]


class ExperimentMove(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Start, stop or finish; `promoted` is the arm that everybody gets once it is finished ("" for the control)."""

    why: Annotated[str, Meta(max_length=2_000)] = ""
    promoted: Annotated[str, Meta(max_length=100)] = ""


EXPERIMENT_TYPES = (
    Experiment,
    KeptExperiment,
    ExperimentList,
    ExperimentTrail,
    ExperimentDials,
    ExperimentMove,
    Planned,
    Tried,
)
"""What the OpenAPI document describes of this page."""


class _Shelf:
    """Readings of the last seconds: ten open pages cost one."""

    def __init__(self, experiments: Experiments) -> None:
        self._experiments = experiments
        self._held: OrderedDict[tuple[str, bool, int], tuple[float, Tried]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, experiment: str, *, brief: bool) -> Tried:
        """Raises BadRequest (404)."""
        key = (experiment, brief, self._experiments.get(experiment).version)
        with self._lock:  # one reading at a time: they are heavy
            held = self._held.get(key)
            if held is not None and time.monotonic() - held[0] < FRESH:
                return held[1]
            found = self._experiments.read(experiment, brief=brief)
            self._held[key] = (time.monotonic(), found)
            if len(self._held) > KEPT:
                self._held.popitem(last=False)
            return found


def experiment_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""
    return [*_reading(desk), *_writing(desk), *_moving(desk)]


def named(request: Http) -> str:
    """The id in the address."""
    name: str = request.scope["path_params"]["experiment_id"]
    return name


def _reading(desk: Desk) -> list[HTTPRouteHandler]:
    experiments = desk.shop.experiments
    shelf = _Shelf(experiments)

    @get("/v1/experiments", opt=SCOPE, name="experiments")
    async def listed(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        found = await asyncio.to_thread(lambda: ExperimentList(experiments.list(), experiments.changes()))
        return told(found)

    @get("/v1/experiments/dials", opt=SCOPE, name="experiment_dials")
    async def dialled(request: Http) -> ASGIResponse:
        asking.parameters(request.scope["query_string"], ())
        dials = await asyncio.to_thread(experiments.dials)
        snapshots = [each.id for each in await asyncio.to_thread(desk.shop.snapshots)]
        return told(ExperimentDials(dials, METRICS, tuple(sorted(LOWER)), GUARDS, snapshots))

    @get("/v1/experiments/plan", opt=SCOPE, name="experiment_plan")
    async def plan(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], ("metric", *Asked.__struct_fields__))
        try:
            wanted = {name: text for name, text in asked.once.items() if name != "metric"}
            chosen = msgspec.convert(wanted, Asked, strict=False)
        except msgspec.ValidationError as error:
            raise BadRequest(
                "this cannot be planned", code="experiment.no_plan", where="plan", allowed=str(error), got=str(wanted)
            ) from error
        metric = asked.once.get("metric", "purchases")
        return told(await asyncio.to_thread(lambda: experiments.plan(metric, asked=chosen)))

    @get("/v1/experiments/audit", opt=SCOPE, name="experiment_audit")
    async def audit(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], ("experiment", "limit", "before"))
        limit, before = number(asked, "limit", TRAIL, TRAIL_LIMIT), number(asked, "before", 0)
        name = asked.once.get("experiment", "")
        found = await asyncio.to_thread(lambda: experiments.history(experiment=name, limit=limit, before=before))
        return told(ExperimentTrail(list(found)))

    @get("/v1/experiments/{experiment_id:str}", opt=SCOPE, name="experiment")
    async def one(request: Http) -> ASGIResponse:
        return told(await asyncio.to_thread(experiments.get, named(request)))

    @get("/v1/experiments/{experiment_id:str}/reading", opt=SCOPE, name="experiment_reading")
    async def read(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], ("brief",))
        brief = asked.once.get("brief", "") in ("1", "true")
        return told(await asyncio.to_thread(lambda: shelf.read(named(request), brief=brief)))

    return [listed, dialled, plan, audit, one, read]


def _writing(desk: Desk) -> list[HTTPRouteHandler]:
    experiments = desk.shop.experiments

    @put("/v1/experiments/{experiment_id:str}", opt=SCOPE, name="experiment_put")
    async def replace(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], ("version",))
        expected = number(asked, "version", 0) if "version" in asked.once else None
        body, name, by = await body_of(request), named(request), who(desk, request)
        if len(body) > SIZE_LIMIT:
            raise BadRequest(
                "the experiment is too large",
                code="experiment.too_large",
                where="body",
                allowed=f"{SIZE_LIMIT:,}",
                got=len(body),
            )
        drafted = asking.decoded(body, Experiment)
        if drafted.id != name:
            raise BadRequest(
                "it has another id than the address",
                code="experiment.other_id",
                where="id",
                allowed=name,
                got=drafted.id,
            )
        return told(await asyncio.to_thread(lambda: experiments.put(drafted, who=by, expected=expected)))

    @delete("/v1/experiments/{experiment_id:str}", opt=SCOPE, name="experiment_delete", status_code=200)
    async def remove(request: Http) -> ASGIResponse:
        by = who(desk, request)
        await asyncio.to_thread(lambda: experiments.delete(named(request), who=by))
        return told({"deleted": 1})

    return [replace, remove]


def _moving(desk: Desk) -> list[HTTPRouteHandler]:
    experiments = desk.shop.experiments

    @post("/v1/experiments/{experiment_id:str}/start", opt=SCOPE, name="experiment_start", status_code=200)
    async def start(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), ExperimentMove), who(desk, request)
        return told(await asyncio.to_thread(lambda: experiments.start(named(request), who=by, why=asked.why)))

    @post("/v1/experiments/{experiment_id:str}/stop", opt=SCOPE, name="experiment_stop", status_code=200)
    async def stop(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), ExperimentMove), who(desk, request)
        return told(await asyncio.to_thread(lambda: experiments.stop(named(request), who=by, why=asked.why)))

    @post("/v1/experiments/{experiment_id:str}/finish", opt=SCOPE, name="experiment_finish", status_code=200)
    async def finish(request: Http) -> ASGIResponse:
        asked, by = asking.decoded(await body_of(request), ExperimentMove), who(desk, request)
        return told(
            await asyncio.to_thread(
                lambda: experiments.finish(named(request), who=by, why=asked.why, promoted=asked.promoted)
            )
        )

    return [start, stop, finish]
