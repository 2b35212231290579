"""What happens to every request, whatever its route: the outermost layer of the application.

It gives the request an id, checks whom it is addressed to (a page that rebinds its name to 127.0.0.1 must not reach the
shop), brings item ids with slashes into one path segment, adds the security headers, answers every error as a problem
document, counts, and writes one log line. Plain ASGI, because it wraps the router itself. Cost: about 40 us a request.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from bodega.errors import BadRequest, TooLarge
from bodega.service.border import adopt, shaped, spoken
from bodega.service.desk import Desk, Visit, as_json
from bodega.service.guard import is_loopback
from bodega.service.problems import Problem, problem_of
from bodega.service.telemetry import LOGGER
from bodega.service.tracing import HEADER, Finished, recorder, trace_of

ADDRESS_LIMIT = 8_192
"""Bytes of path and query string."""
CALLERS_ID = re.compile(rb"[A-Za-z0-9._\-]{1,64}")
MILLISECONDS = re.compile(rb"[0-9]{1,6}(\.[0-9]{1,3})?")
ITEMS = b"/v1/items/"
SHOPPERS = b"/v1/shoppers/"
SEEN = (b"state", b"timeline", b"lists", b"looks")
"""What is asked of a shopper."""
VERBS = (b"similar", b"together", b"relations", b"reviews", b"variants")
UNMATCHED = "unmatched"
REFUSALS = frozenset({429, 503, 504, 507})
"""Answers that say: not now."""
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
CLOSED_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
PAGE_POLICY = (
    b"content-security-policy",
    b"default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
)
NO_STORE = (b"cache-control", b"no-store")


REFUSAL = as_json(
    {
        "type": "urn:bodega:Overloaded",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "the shop is asked more than it can answer in time",
        "where": "queue",
        "next": "ask again after Retry-After seconds; start more workers or servers if this lasts",
    }
)
REFUSAL_HEADERS = [
    (b"content-type", b"application/problem+json"),
    (b"content-length", str(len(REFUSAL)).encode()),
    (b"retry-after", b"1"),
    NO_STORE,
]


class MisdirectedRequest(BadRequest):
    """The Host header names somebody else."""

    status = 421


class Gate:
    """Wraps an ASGI application; one per application."""

    def __init__(self, app: ASGIApp, desk: Desk, host: str) -> None:
        self._app = app
        self._desk = desk
        self._hosts = allowed_hosts(host, desk.settings.serve.hosts)
        self._cross_origin = bool(desk.settings.serve.origins)
        self._record = recorder(otel=desk.settings.telemetry.otel)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        if self._desk.waiting.full and is_list(scope["path"]):
            await self._refuse(send)
            return
        visit = arrived(scope)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._dressed(message["headers"], visit)
            await send(message)

        try:
            self._checked(scope)
            await self._app(scope, receive, sending)
        except Exception as error:
            problem = shaped(problem_of(error, visit), scope["path"])
            if status:
                raise  # half an answer is out: only closing the connection is honest
            await answer(problem, sending)
        finally:
            self._log(scope, visit, status)

    async def _refuse(self, send: Send) -> None:
        """503 with as little work as can be (40 us): at four times the capacity it is said three times of four."""
        await send({"type": "http.response.start", "status": 503, "headers": REFUSAL_HEADERS})
        await send({"type": "http.response.body", "body": REFUSAL, "more_body": False})
        self._desk.telemetry.refused("overload")

    def _checked(self, scope: Scope) -> None:
        """Whom is it addressed to, and is the address one? Raises BadRequest, TooLarge."""
        raw = scope.get("raw_path") or scope["path"].encode()
        length = len(raw) + len(scope["query_string"])
        if length > ADDRESS_LIMIT:
            error = TooLarge("the address is too long", allowed=f"{ADDRESS_LIMIT:,} bytes", got=f"{length:,}")
            error.status = 414
            raise error
        if self._hosts:
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or host_name(hosts[0]) not in self._hosts:
                raise MisdirectedRequest(
                    "this shop does not answer to that name",
                    where="header Host",
                    allowed=", ".join(sorted(self._hosts)),
                    got=b", ".join(hosts).decode("latin-1"),
                    next="add the name to serve.hosts in bodega.toml",
                )
        if raw.startswith(ITEMS):
            scope["path"] = one_segment(raw.partition(b"?")[0])
        elif raw.startswith(SHOPPERS):
            scope["path"] = one_segment(raw.partition(b"?")[0], SHOPPERS, SEEN)
        elif spoken(scope["path"]):
            adopt(scope, raw)

    def _dressed(self, headers: Iterable[tuple[bytes, bytes]], visit: Visit) -> list[tuple[bytes, bytes]]:
        """The answer's headers with ours added where the handler has not chosen."""
        dressed = list(headers)
        given = {name.lower(): value for name, value in dressed}
        dressed += [pair for pair in HEADERS if pair[0] not in given and not (self._cross_origin and pair[0] in _CROSS)]
        if b"content-security-policy" not in given:
            page = given.get(b"content-type", b"").startswith(b"text/html")
            dressed.append(PAGE_POLICY if page else CLOSED_POLICY)
        if b"cache-control" not in given:
            dressed.append(NO_STORE)
        dressed.append((b"x-request-id", visit.id.encode()))
        if visit.trace is not None:
            dressed.append((HEADER, visit.trace.header))
        return dressed

    def _log(self, scope: Scope, visit: Visit, status: int) -> None:
        seconds = time.perf_counter() - visit.started
        route = route_of(scope)
        self._desk.telemetry.finished(route, status, seconds)
        if status in REFUSALS:
            self._desk.telemetry.refused(visit.error.partition(" ")[0] or str(status))
        if self._record is not None:
            self._record(Finished(route, status, seconds, visit.place, visit.stages, visit.trace))
        facts: dict[str, Any] = {
            "id": visit.id,
            "trace": visit.trace.trace if visit.trace is not None else "",
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
            "engine_ms": round(visit.engine_seconds * 1000, 2),
            "key": visit.key,
            "place": visit.place,
            "error": visit.error,
        }
        LOGGER.info(
            "request", extra={"facts": {name: value for name, value in facts.items() if value not in ("", 0.0)}}
        )


_CROSS = (b"cross-origin-resource-policy",)
LISTS = ("/v1/search", "/v1/recommend", "/v1/facets", "/v1/suggest")


def is_list(path: str) -> bool:
    """Does this address wait for the engine?"""
    return path in LISTS or (path.startswith("/v1/items/") and path.endswith(("/similar", "/together")))


def arrived(scope: Scope) -> Visit:
    """Open the request's facts and leave them in the scope."""
    named = deadline = b""
    trace = None
    gpc = False
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            named = value
        elif name == b"x-deadline-ms":
            deadline = value
        elif name == HEADER:
            trace = trace_of(value)
        elif name == b"sec-gpc":
            gpc = value.strip() == b"1"
    good = bool(CALLERS_ID.fullmatch(named))
    client = scope.get("client")
    visit = Visit(id=named.decode() if good else secrets.token_hex(8), named=good, address=client[0] if client else "")
    if MILLISECONDS.fullmatch(deadline):  # anything else is no deadline: the list is worth more than the header
        visit.deadline_ms = float(deadline)
    visit.trace = trace
    visit.gpc = gpc
    scope.setdefault("state", {})["visit"] = visit
    return visit


def one_segment(raw: bytes, prefix: bytes = ITEMS, verbs: Sequence[bytes] = VERBS) -> str:
    """/v1/items/<id>[/similar] with the id as one path segment, whatever it holds; the same of shoppers.

    An id is best sent percent-encoded; unescaped slashes are taken as part of it. The last segment is a verb when it is
    one of ours, so the item `a/similar` itself must be sent as `a%2Fsimilar`.

    >>> one_segment(b"/v1/items/sku/7/similar"), one_segment(b"/v1/items/sku%2Fsimilar")
    ('/v1/items/sku%2F7/similar', '/v1/items/sku%2Fsimilar')
    """
    rest = raw[len(prefix) :]
    name, slash, verb = rest.rpartition(b"/")
    if not (slash and verb in verbs):
        name, verb = rest, b""
    encoded = quote(_decoded(name), safe="")
    return f"{prefix.decode()}{encoded}" + (f"/{verb.decode()}" if verb else "")


def _decoded(name: bytes) -> str:
    try:
        return unquote(name.decode("ascii"), errors="strict")
    except UnicodeDecodeError as error:
        raise BadRequest("the id is not UTF-8", where="address", allowed="percent-encoded UTF-8") from error


def item_id(scope: Mapping[str, Any]) -> str:
    """The id that `one_segment` wrapped, of a routed request."""
    return unquote(scope["path_params"]["segment"], errors="strict")


def allowed_hosts(bound: str, named: str) -> frozenset[str]:
    """Names a request may be addressed to; empty means any."""
    names = {name.strip().lower() for name in named.split(",") if name.strip()}
    if not names and not (is_loopback(bound) or bound == "localhost"):
        return frozenset()
    return LOCAL_NAMES | names


def host_name(header: bytes) -> str:
    """The name in a Host header, without the port."""
    text = header.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0]


def route_of(scope: Scope) -> str:
    """The route's pattern, e.g. `GET /v1/items/{item_id}`: what may be counted and logged."""
    template = scope.get("path_template")
    if not isinstance(template, str) or scope.get("route_handler") is None:
        return UNMATCHED
    return f"{scope.get('method')} {_pattern(template)}"


@lru_cache(256)
def _pattern(template: str) -> str:
    """Litestar's `{segment:str}` as the document says it: `{item_id}`."""
    return re.sub(r":[a-z]+}", "}", template).replace("{segment}", "{item_id}") or "/"


async def answer(problem: Problem, send: Send) -> None:
    """Send a problem document over bare ASGI."""
    headers = [
        (b"content-type", problem.media_type.encode()),
        (b"content-length", str(len(problem.body)).encode()),
        *((name.lower().encode(), value.encode("latin-1")) for name, value in problem.headers.items()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": problem.body, "more_body": False})
