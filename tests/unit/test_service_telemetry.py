"""Counters stay few, log lines stay clean."""

import io
import logging

import msgspec
import pytest

from bodega.service.telemetry import LOGGER, JsonLines, Telemetry, log_to, struck


def series(text: bytes) -> int:
    return sum(1 for line in text.decode().splitlines() if line and not line.startswith("#"))


def test_series_are_bounded_whatever_is_asked():
    telemetry = Telemetry()
    routes = [f"GET /v1/{number}" for number in range(30)]
    for route in routes:
        for status in (200, 400, 401, 403, 404, 413, 422, 429, 500, 503):
            telemetry.finished(route, status, 0.01)
    for place in (
        "home",
        "search",
        "similar",
        "together",
        "basket",
        "popular",
        "trending",
        "repeat",
        "recent",
        "category",
    ):
        telemetry.answered(place, 0.002, degraded=True)
    for outcome in ("accepted", "duplicate", "conflict", "dead"):
        telemetry.received(outcome, 5)
    assert series(telemetry.text()) <= 2_000
    assert b'bodega_events_total{outcome="dead"} 5.0' in telemetry.text()


def test_two_applications_do_not_share_counters():
    one, other = Telemetry(), Telemetry()
    one.received("dead", 3)
    assert b'outcome="dead"' not in other.text()


@pytest.mark.parametrize(
    "text",
    [
        "bodega_search_abcdefghijklmnop",
        "Authorization: Bearer abc.def.ghi",
        "bearer  s3cr3t-token",
        "x=bodega_search+events_Zm9vYmFyYmF6_-",
        "bodega_Zm9vYmFyYmF6Zm9vYmFyYmF6-Zm9vYmFyYmF6",
    ],
)
def test_what_looks_like_a_key_is_struck_out(text):
    clean = struck(f"before {text} after")
    assert "before" in clean
    assert "[key]" in clean
    for secret in ("abcdefghijklmnop", "abc.def", "s3cr3t", "Zm9vYmFy"):
        assert secret not in clean


def test_a_line_is_one_json_object_with_a_trace_but_without_values():
    stream = io.StringIO()
    handler = log_to(stream)
    try:
        secret_local = "bodega_admin_" + "s" * 30
        try:
            raise ValueError(f"refused {secret_local}\nsecond line")
        except ValueError as error:
            LOGGER.error("it broke", exc_info=error, extra={"facts": {"id": "r1"}})
    finally:
        for name in ("bodega", "uvicorn", "litestar"):
            logger = logging.getLogger(name)
            logger.removeHandler(handler)
            logger.propagate = True
            logger.setLevel(logging.NOTSET)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    facts = msgspec.json.decode(lines[0])
    assert facts["what"] == "it broke"
    assert facts["id"] == "r1"
    assert facts["exception"].startswith("ValueError: refused [key]")
    assert facts["trace"][-1].endswith("test_a_line_is_one_json_object_with_a_trace_but_without_values")
    assert "ssss" not in lines[0]


def test_the_formatter_survives_what_json_cannot_hold():
    record = logging.LogRecord("x", logging.INFO, "f", 1, "m", None, None)
    record.facts = {"odd": object()}
    assert msgspec.json.decode(JsonLines().format(record))["what"] == "m"
