"""What is the service doing? Prometheus series whose number is bounded, and one JSON line a request.

Labels are routes, places, statuses and outcomes, all from closed lists: never an item, a key or a query. A log line
carries the route's pattern, not the address, and everything that looks like a key is struck out before it is written.
Cost: about 15 us a request.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from typing import Any, TextIO

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

LOGGER = logging.getLogger("bodega.service")
SECRET = re.compile(r"bodega_[A-Za-z0-9_\-+.]{16,}|(?i:bearer)\s+\S+")
STRUCK_OUT = "[key]"
SECONDS = (0.001, 0.002, 0.003, 0.005, 0.008, 0.012, 0.025, 0.05, 0.1, 0.25, 1.0)


class Telemetry:
    """The counters of one application, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "bodega_http_requests", "Requests answered", ["route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "bodega_http_seconds", "Server time of a request", ["route"], registry=self.registry, buckets=SECONDS
        )
        self._answers = Histogram(
            "bodega_answer_seconds", "Engine time of a list", ["place"], registry=self.registry, buckets=SECONDS
        )
        self._degraded = Counter(
            "bodega_answers_degraded", "Lists that used a fallback", ["place"], registry=self.registry
        )
        self._events = Counter("bodega_events", "Events received", ["outcome"], registry=self.registry)
        self.waiting = Gauge("bodega_waiting", "Requests waiting for the engine", registry=self.registry)

    def answered(self, place: str, seconds: float, *, degraded: bool) -> None:
        """One list was computed. `place` is one the engine knows: it has answered."""
        self._answers.labels(place).observe(seconds)
        if degraded:
            self._degraded.labels(place).inc()

    def received(self, outcome: str, count: int) -> None:
        """`accepted`, `duplicate`, `conflict` or `dead` events."""
        if count:
            self._events.labels(outcome).inc(count)

    def finished(self, route: str, status: int, seconds: float) -> None:
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All series in Prometheus' text format."""
        return generate_latest(self.registry)


def struck(text: str) -> str:
    """The text without anything that looks like a key."""
    return SECRET.sub(STRUCK_OUT, text)


def traced(error: BaseException) -> list[str]:
    """Where an error came from, as "file:line function", innermost last; no values of variables."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    return [f"{frame.filename.rsplit('/src/')[-1]}:{frame.lineno} {frame.name}" for frame in frames]


class JsonLines(logging.Formatter):
    """One JSON object a record: time, level, message, and the `facts` the record was given."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "what": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            facts["exception"] = f"{type(error).__name__}: {str(error)[:500]}"
            facts["trace"] = traced(error)
        return struck(msgspec.json.encode(facts, enc_hook=str).decode())


def log_to(stream: TextIO | None = None, level: int = logging.INFO) -> logging.Handler:
    """Write the service's and the server's log lines to a stream (default: stderr) as JSON; returns the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("bodega", "uvicorn", "litestar"):
        logger = logging.getLogger(name)
        for old in [each for each in logger.handlers if isinstance(each.formatter, JsonLines)]:
            logger.removeHandler(old)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
    return handler
