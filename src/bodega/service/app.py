"""The shop as a web application: routes, guard and gate put together over one shop.

`create_app(shop)` is all that a server, a test or another ASGI application needs. It opens nothing and closes nothing:
whoever opened the shop closes it. Litestar routes; its documentation pages (which load scripts from elsewhere), debug
pages and exception logging are off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.handlers import HTTPRouteHandler

from bodega.service.algolia.handlers import algolia_handlers
from bodega.service.border import AGENT, APPLICATION, KEY, shaped
from bodega.service.configuring import settings_handlers
from bodega.service.console import console_handlers
from bodega.service.desk import Desk, ShopLike, visit_of
from bodega.service.doctor import doctor_handlers
from bodega.service.experiments import experiment_handlers
from bodega.service.explaining import explaining_handlers
from bodega.service.fairness import fairness_handlers
from bodega.service.front import front_handlers
from bodega.service.gate import Gate
from bodega.service.guard import guard_of
from bodega.service.insight import insight_handlers
from bodega.service.inspecting import inspecting_handlers
from bodega.service.intake import Intake, intake_handlers
from bodega.service.judgments import judgment_handlers
from bodega.service.keyring import key_handlers
from bodega.service.knowledge import knowledge_handlers
from bodega.service.letters import letter_handlers
from bodega.service.lists import list_handlers
from bodega.service.models import model_handlers
from bodega.service.openapi import document
from bodega.service.operate import Watch, operate_handlers
from bodega.service.photos import photo_handlers
from bodega.service.privacy import privacy_handlers
from bodega.service.problems import problem_of
from bodega.service.relations import relation_handlers
from bodega.service.reviews import review_handlers
from bodega.service.rules import rule_handlers
from bodega.service.shoppers import shoppers_handlers
from bodega.service.squeezing import Squeezed

HEADERS = ("Authorization", "X-API-Key", "Content-Type", "X-Request-Id", "X-Shopper-Token")
"""Headers of ours that a page of another origin may send."""


def create_app(shop: ShopLike, *, handlers: Sequence[HTTPRouteHandler] = (), host: str = "") -> Litestar:
    """The application over a shop. `handlers` are further routes, e.g. the storefront's.

    A handler says who may call it: `opt={"public": True}`, or `opt={"scope": "search"}`; one that says nothing needs a
    key with the scope `admin`. `host` is the address it will be bound to (default: the settings'): on loopback, only
    loopback's own names and `serve.hosts` are answered.
    """
    desk = Desk.over(shop)
    watch = Watch(desk)
    intake = Intake(desk)
    stream = _Stream(shop)
    app = Litestar(
        route_handlers=[
            *list_handlers(desk),
            *intake_handlers(desk, intake),
            *algolia_handlers(desk, intake),
            *rule_handlers(desk),
            *experiment_handlers(desk),
            *knowledge_handlers(desk),
            *explaining_handlers(desk),
            *insight_handlers(desk),
            *inspecting_handlers(desk),
            *relation_handlers(desk),
            *photo_handlers(desk),
            *privacy_handlers(desk),
            *review_handlers(desk),
            *console_handlers(desk),
            *settings_handlers(desk),
            *letter_handlers(desk),
            *key_handlers(desk),
            *doctor_handlers(desk),
            *shoppers_handlers(desk),
            *model_handlers(desk),
            *fairness_handlers(desk),
            *front_handlers(desk),
            *judgment_handlers(desk),
            *operate_handlers(desk, document(shop.settings.name)),
            *handlers,
        ],
        middleware=[guard_of(desk)],
        exception_handlers={Exception: _problem},
        cors_config=_cors(shop.settings.serve.origins),
        request_max_body_size=shop.settings.serve.body_limit,
        on_startup=[watch.start, stream.start],
        on_shutdown=[stream.stop, watch.stop],
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    app.asgi_handler = Gate(Squeezed(app.asgi_handler), desk, host or shop.settings.serve.host)
    return app


class _Stream:
    """Reads the shop's stream, where it has one, as long as the application runs."""

    def __init__(self, shop: ShopLike) -> None:
        self._shop = shop

    async def start(self) -> None:
        if self._shop.consuming is not None:
            await asyncio.to_thread(self._shop.consuming.start)

    async def stop(self) -> None:
        if self._shop.consuming is not None:
            await asyncio.to_thread(self._shop.consuming.stop)


def _problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    problem = shaped(problem_of(error, visit_of(request.scope)), request.scope["path"])
    return Response(problem.body, status_code=problem.status, headers=problem.headers, media_type=problem.media_type)


def _cors(origins: str) -> CORSConfig | None:
    """Other sites' pages may call only when named; never with cookies, which the API does not know."""
    named = [origin.strip() for origin in origins.split(",") if origin.strip()]
    if not named:
        return None
    return CORSConfig(
        allow_origins=named,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=[*HEADERS, KEY, APPLICATION, AGENT],
        expose_headers=["X-Request-Id", "Retry-After"],
        allow_credentials=False,
        max_age=600,
    )
