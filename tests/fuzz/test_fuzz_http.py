"""Whatever the API's own document allows or forbids: no answer is 5xx, and every answer is what the document says.

Cases are drawn by schemathesis from the OpenAPI document, half of them valid, half of them not; ids are often those of
things that exist, because a 404 tests little. `slow` draws 10,000 cases, the default run some hundreds.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from litestar import get
from litestar.response.base import ASGIResponse
from litestar.testing import TestClient
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

from bodega.service.app import create_app
from bodega.testing.canned import CannedShop

ORIGIN = "http://127.0.0.1:7700"
load_all_checks()
AS_DOCUMENTED = CHECKS.get_by_names(
    ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]
)
OURS = {"authorization", "x-api-key", "host", "content-length", "transfer-encoding", "connection"}
"""Headers that a case may not choose: they decide who is asked, not what."""
REAL: dict[str, list[str]] = {
    "item_id": ["p0001", "p0002"],
    "index": ["products", "products_newest", "*"],
    "facet": ["brand"],
    "object": ["p0003"],
}


def send(client: TestClient, case: Any) -> Any:
    """The answer to a case."""
    asked = case.as_transport_kwargs(base_url=ORIGIN)
    asked.pop("cookies", None)
    headers = {name: value for name, value in dict(asked.pop("headers", {})).items() if name.lower() not in OURS}
    data = asked.pop("data", None)
    if isinstance(data, (bytes, str)):
        asked["content"] = data
    if isinstance(asked.get("files"), list):
        asked["files"] = [(name, sendable(file)) for name, file in asked["files"]]
    return client.request(asked.pop("method"), asked.pop("url"), headers=headers, **asked)


def sendable(file: object) -> Any:
    """A part of a form as it can be sent: a number, which the client would try to read like a file, as its digits."""
    if isinstance(file, tuple):
        return tuple(sendable(each) if at == 1 else each for at, each in enumerate(file))
    return file if file is None or isinstance(file, (bytes, str)) or hasattr(file, "read") else str(file)


def fuzz(client: TestClient, examples: int) -> tuple[Counter[int], list[str]]:
    """(answers by status, what was wrong) of so many cases an operation and mode."""
    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    document = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    for found in document.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:

            @seed(7)
            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans(), which=st.integers(0, 59))
            def check(case: Any, real: bool, which: int) -> None:
                for name, values in REAL.items():
                    if real and name in (case.path_parameters or {}):
                        case.path_parameters[name] = values[which % len(values)]
                answer = send(client, case)
                statuses[answer.status_code] += 1
                fault = judged(case, answer)
                if fault:
                    wrong.append(f"{case.method} {answer.request.url}: {fault}")

            with contextlib.suppress(Unsatisfiable):  # an operation without parameters has no invalid cases
                check()
    return statuses, wrong


def judged(case: Any, answer: Any) -> str:
    """What is wrong with an answer; "" for nothing."""
    if answer.status_code >= 500:
        return f"{answer.status_code}: {answer.text[:500]}"
    if answer.headers.get("x-request-id", "") == "":
        return "no request id"
    if answer.status_code >= 400 and case.method != "HEAD" and not isinstance(answer.json(), dict):
        return f"an error that is no document: {answer.text[:200]}"
    try:
        case.validate_response(answer, checks=AS_DOCUMENTED)
    except Exception as error:  # schemathesis raises groups of its own classes
        return f"{type(error).__name__}: {str(error)[:500]}"
    return ""


def test_no_answer_is_an_error_of_ours(client: TestClient) -> None:
    statuses, wrong = fuzz(client, 4)
    assert not wrong, "\n".join(wrong[:10])
    assert sum(statuses.values()) >= 500
    assert statuses[200] >= 100, f"too few cases reach an answer to test much: {statuses}"


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_no_answer_is_an_error_of_ours_in_ten_thousand(client: TestClient) -> None:
    statuses, wrong = fuzz(client, 170)
    assert sum(statuses.values()) >= 10_000
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:20])


@pytest.fixture
def broken_client() -> Iterator[TestClient]:
    """A twin with one route that fails, and one that answers what its document does not say."""

    @get("/v1/extra", opt={"public": True})
    async def fails() -> ASGIResponse:
        raise RuntimeError("planted")

    shop = CannedShop()
    with TestClient(create_app(shop, handlers=[fails]), base_url=ORIGIN, raise_server_exceptions=False) as made:
        made.headers["X-API-Key"] = shop.keys.create("fuzz", ["search", "events", "admin"])
        yield made


def test_the_guard_catches_a_route_that_fails(broken_client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    document = broken_client.get("/openapi.json").json()
    only = {"/v1/extra": {"get": document["paths"]["/v1/suggest"]["get"]}}
    schema = schemathesis.openapi.from_dict({**document, "paths": only})
    monkeypatch.setattr(schemathesis.openapi, "from_dict", lambda _: schema)
    statuses, wrong = fuzz(broken_client, 2)
    assert statuses[500] > 0
    assert wrong


BODIES = (
    "/v1/events",
    "/v1/items",
    "/v1/search",
    "/v1/recommend",
    "/v1/rules",
    "/v1/rules/preview",
    "/v1/why-not",
    "/v1/inspect",
    "/v1/fixes",
    "/v1/fixes/preview",
)
PIECES = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"1e999", b"-0", b"\\ud800", b"\xff", b"\x00", b'"events"',
     b'"id"', b'"time"', b'"items"', b'"query"', b'"k"', b'"then"', b"NaN", b"[[[[", b'{"a":', b"true",
     b"99999999999999999999"]
)  # fmt: skip


@given(
    path=st.sampled_from(BODIES),
    body=st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=40).map(b"".join)),
    kind=st.sampled_from(["application/json", "application/json; charset=utf-16", "text/plain", ""]),
)
@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
def test_bytes_that_are_no_json_are_refused_in_words(client: TestClient, path: str, body: bytes, kind: str) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": kind})
    assert answer.status_code < 500
    if answer.status_code >= 400:
        assert msgspec.json.decode(answer.content)["request_id"]


def test_deep_nesting_is_refused(client: TestClient) -> None:
    for path in BODIES:
        answer = client.post(
            path, content=b"[" * 100_000 + b"]" * 100_000, headers={"Content-Type": "application/json"}
        )
        assert 400 <= answer.status_code < 500
