"""Where did the time of this request go, across services? W3C trace context, and spans where OpenTelemetry is there.

A request that brings `traceparent` gets one back with the same trace and a span id of ours, and its log line carries
the trace's id: that costs nothing and needs nothing. With `[telemetry] otel = true` and the extra `otel`, every request
becomes a span with one child a stage of its list, exported by whatever SDK the process has configured (environment
variables of OpenTelemetry are honoured by `opentelemetry-instrument`). Nothing of it is imported otherwise.
Spans are made when the request is over, from times that were taken anyway. Cost: 2 us with a header, about 95 us a
request with spans. Not for: bodies, queries, ids of shoppers; spans carry the route's pattern, place and status only.
W3C Trace Context, Level 1: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bodega.errors import MissingExtra

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

HEADER = b"traceparent"
GIVEN = re.compile(rb"(?!ff)[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(-.*)?")
NAME = "bodega"


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a request belongs."""

    trace: str
    """Trace id, 32 hex digits."""
    parent: str
    """The caller's span id, 16 hex digits."""
    span: str
    """Ours."""
    flags: str
    """`01`: the caller records it."""

    @property
    def header(self) -> bytes:
        """The `traceparent` that is answered."""
        return f"00-{self.trace}-{self.span}-{self.flags}".encode()


def trace_of(header: bytes) -> Trace | None:
    """What the caller's `traceparent` says; None for one that is none (it is ignored, as the standard asks).

    >>> trace_of(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").trace
    '4bf92f3577b34da6a3ce929d0e0e4736'
    >>> trace_of(b"00-00000000000000000000000000000000-00f067aa0ba902b7-01") is None
    True
    """
    found = GIVEN.fullmatch(header.strip())
    if found is None:
        return None
    trace, span = found["trace"].decode(), found["span"].decode()
    if not (trace.strip("0") and span.strip("0")) or (header.startswith(b"00") and found[4] is not None):
        return None
    return Trace(trace, span, secrets.token_hex(8), found["flags"].decode())


@dataclass(frozen=True, slots=True)
class Finished:
    """One request, when it is over."""

    route: str
    status: int
    seconds: float
    place: str
    stages: Mapping[str, float]
    """Seconds of each stage, in the order in which they ran."""
    trace: Trace | None


Record = Callable[[Finished], None]


def recorder(*, otel: bool) -> Record | None:
    """What records requests as spans; None where that is off. Raises MissingExtra."""
    if not otel:
        return None
    try:
        from opentelemetry import trace as api
    except ImportError as error:
        raise MissingExtra.named("otel", needed_for="[telemetry] otel = true") from error
    tracer = api.get_tracer(NAME)
    return lambda done: _spans(tracer, done)


def _spans(tracer: Tracer, done: Finished) -> None:
    """One span for the request and one for each stage, with the times that they had."""
    from opentelemetry import trace as api

    end = time.time_ns()
    begin = end - int(done.seconds * 1e9)
    facts: dict[str, Any] = {"http.route": done.route, "http.response.status_code": done.status}
    if done.place:
        facts["bodega.place"] = done.place
    parent = _parent(done.trace)
    span = tracer.start_span(done.route, parent, kind=api.SpanKind.SERVER, attributes=facts, start_time=begin)
    if span.is_recording():
        if done.status >= 500:
            span.set_status(api.Status(api.StatusCode.ERROR))
        inside, at = api.set_span_in_context(span), end - int(sum(done.stages.values()) * 1e9)
        for stage, seconds in done.stages.items():
            until = at + int(seconds * 1e9)
            tracer.start_span(f"stage {stage}", inside, start_time=at).end(until)
            at = until
    span.end(end)


def _parent(trace: Trace | None) -> Any:
    """The context of the caller's span."""
    from opentelemetry import trace as api

    if trace is None:
        return None
    flags = api.TraceFlags(int(trace.flags, 16))
    above = api.SpanContext(int(trace.trace, 16), int(trace.parent, 16), is_remote=True, trace_flags=flags)
    return api.set_span_in_context(api.NonRecordingSpan(above))
