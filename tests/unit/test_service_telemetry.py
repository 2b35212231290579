"""Log lines stay clean: no key, no password, one JSON object each."""

import io
import logging

import msgspec
import pytest

from bodega.service.telemetry import LOGGER, JsonLines, log_to, struck


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


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql+psycopg://bodega:hunter2@127.0.0.1/shop does not answer", "hunter2"),
        ("postgresql://bodega:p@ss@w0rd@db/shop", "w0rd"),
        ("redis://:s3cret@cache:6379/0", "s3cret"),
        ("connection failed: password='hunter2' host=db", "hunter2"),
        ('{"api_key": "abcdef"}', "abcdef"),
        ("token: abcdef", "abcdef"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("endpoint says: sk-proj-0123456789 is wrong", "0123456789"),
    ],
)
def test_passwords_of_stores_brokers_and_endpoints_are_struck_out(text, secret):
    assert secret not in struck(text)
    assert "[key]" in struck(text)


def test_ordinary_words_are_left_alone():
    line = "GET http://127.0.0.1:7700/v1/search, key 3f9a of 10:20, token bucket empty"
    assert struck(line) == line
