"""How do other programs ask? The shop over HTTP: lists, events, items, and what an operator needs.

    gate        every request: its id, the host it asks for, headers, one log line, the last word on errors
    guard       may this key do that, and not too often?      (keys, limits)
    asking      parameters or JSON -> Request, with bounds
    lists       search, recommend, similar, together, suggest, one item
    algolia     the same shop in Algolia's protocol    (border: its keys, paths and errors)
    intake      events and items in: durable before they are acknowledged
    rules       merchandising: rules, their preview, audit trail and undo
    operate     livez, readyz, metrics, the OpenAPI document   (openapi)
    problems    errors as problem documents (RFC 9457)
    telemetry   counters and JSON log lines, without secrets
    app         create_app: all of it over one shop            server: run, on one port

Useful for: shops, pages, tests. Not for: deciding anything; every answer comes from the engine, unchanged.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bodega.service.app import create_app
    from bodega.service.server import run

_WHERE = {"create_app": "bodega.service.app", "run": "bodega.service.server"}

__all__ = ["create_app", "run"]


def __getattr__(name: str) -> Any:
    """At first use: the supervisor of worker processes lives in this room and must stay small."""
    if name not in _WHERE:
        raise AttributeError(f"module 'bodega.service' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
