"""How does an error look over HTTP? As a problem document (RFC 9457) with the facts that our errors carry.

`type` is `urn:bodega:<class>`, `title` the status in words, `detail` what happened; `where`, `allowed`, `got`, `next`
teach; `id` names the error and `request_id` the request in the log. What only an operator should see (paths of files,
texts of foreign exceptions) stays in the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from litestar.exceptions import HTTPException

from bodega.errors import AccessError, BodegaError, LimitError, Unauthenticated, UsageError
from bodega.service.desk import Visit, as_json
from bodega.service.telemetry import LOGGER

MEDIA_TYPE = "application/problem+json"

TAUGHT: dict[int, tuple[str, str]] = {
    404: ("there is nothing at this address", "the addresses are listed in /openapi.json"),
    405: ("this address does not take that method", "see the header Allow"),
    413: ("the request's body is too large", "send fewer or smaller items at a time"),
    400: ("the request cannot be understood", "compare it with /openapi.json"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that says what went wrong."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = MEDIA_TYPE


def problem_of(error: Exception, visit: Visit, *, extra: dict[str, Any] | None = None) -> Problem:
    """The problem document for an error; unexpected ones are logged and answered with an id only."""
    if isinstance(error, HTTPException) and error.status_code < 500:
        status, facts, headers = _foreign(error)
    elif isinstance(error, BodegaError):
        if error.status >= 500 and not isinstance(error, LimitError):
            LOGGER.error("%s", error.what, extra={"facts": {**error.as_dict(), "error": error.id, "id": visit.id}})
        status, facts, headers = _ours(error)
    else:
        hidden = BodegaError(
            "the server failed to answer this", code="server.failed", next="report the id: the log names the cause"
        )
        LOGGER.error("unexpected error", exc_info=error, extra={"facts": {"id": visit.id, "error": hidden.id}})
        status, facts, headers = _ours(hidden)
    visit.error = f"{facts['type']} {facts['id']}".strip()
    document = {
        "type": f"urn:bodega:{facts.pop('type')}",
        "title": HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error",
        "status": status,
        **{key: value for key, value in facts.items() if value not in ("", None)},
        "request_id": visit.id,
        **(extra or {}),
    }
    return Problem(status, as_json(document), headers)


def _ours(error: BodegaError) -> tuple[int, dict[str, Any], dict[str, str]]:
    facts = error.as_dict()
    status = error.status
    headers: dict[str, str] = {}
    if isinstance(error, LimitError) and error.retry_after:
        headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="bodega"'
    if status >= 500 and not isinstance(error, LimitError):
        facts.update(where="", got="", allowed="")
        if not isinstance(error, UsageError | AccessError):
            headers.setdefault("Retry-After", "5")
    return status, {"type": facts["type"], "detail": facts.pop("what"), **facts}, headers


def _foreign(error: HTTPException) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Errors of the web framework and of handlers that were handed in."""
    status = error.status_code
    phrase = HTTPStatus(status).phrase
    what, following = TAUGHT.get(status, (error.detail or phrase, ""))
    if status in (400, 404) and error.detail and error.detail != phrase:
        what = error.detail
    facts = {"type": phrase.title().replace(" ", "").replace("-", ""), "detail": what, "next": following, "id": ""}
    return status, facts, {key.title(): value for key, value in (error.headers or {}).items()}
