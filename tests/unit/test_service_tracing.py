"""A caller's trace is taken up, answered and logged; spans are made only where they were asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from litestar.testing import TestClient
from opentelemetry import trace as api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bodega.schema import Item
from bodega.service import tracing
from bodega.service.app import create_app
from bodega.service.tracing import Finished, recorder, trace_of
from bodega.settings import Settings, Telemetry
from bodega.testing.canned import CannedShop

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"
HOST = "http://127.0.0.1:7700"


@pytest.mark.parametrize(
    "header",
    ["", "00", f"00-{TRACE}-{SPAN}",
     f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE.upper()}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01",
     f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}-01-more", f"00-{TRACE}x-{SPAN}-01", "é" * 55],
)  # fmt: skip
def test_what_is_no_trace_is_ignored(header: str) -> None:
    assert trace_of(header.encode("latin-1")) is None


def test_later_versions_of_the_header_are_understood() -> None:
    found = trace_of(f"01-{TRACE}-{SPAN}-01-later".encode())
    assert found is not None
    assert (found.trace, found.parent) == (TRACE, SPAN)


def test_a_trace_is_answered_with_a_span_of_ours() -> None:
    shop = CannedShop([Item(id="1", title="Trail shoe")])
    with TestClient(create_app(shop), base_url=HOST) as client:
        answered = client.get("/livez", headers={"traceparent": GIVEN}).headers["traceparent"]
        assert "traceparent" not in client.get("/livez").headers
        assert "traceparent" not in client.get("/livez", headers={"traceparent": "00-zz"}).headers
    version, trace, span, flags = answered.split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert span != SPAN


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(api, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def test_a_request_becomes_a_span_with_its_stages_inside(spans: InMemorySpanExporter) -> None:
    record = recorder(otel=True)
    assert record is not None
    record(Finished("GET /v1/search", 200, 0.010, "search", {"find": 0.004, "rank": 0.002}, trace_of(GIVEN.encode())))
    found = {span.name: span for span in spans.get_finished_spans()}
    assert set(found) == {"GET /v1/search", "stage find", "stage rank"}
    whole, find, rank = (found[name] for name in ("GET /v1/search", "stage find", "stage rank"))
    assert whole.parent is not None
    assert (whole.context.trace_id, whole.parent.span_id) == (int(TRACE, 16), int(SPAN, 16))
    assert find.parent is not None
    assert find.parent.span_id == whole.context.span_id
    assert whole.end_time - whole.start_time == pytest.approx(10e6, rel=0.01)
    assert find.end_time - find.start_time == pytest.approx(4e6, rel=0.01)
    assert whole.start_time <= find.start_time <= find.end_time <= rank.start_time <= rank.end_time <= whole.end_time
    assert whole.attributes["bodega.place"] == "search"


def test_a_page_over_http_leaves_spans(spans: InMemorySpanExporter) -> None:
    shop = CannedShop([Item(id="1", title="Trail shoe")], Settings(telemetry=Telemetry(otel=True)))
    key = shop.keys.create("t", ["search"])
    with TestClient(create_app(shop), base_url=HOST) as client:
        client.get("/v1/search?q=secret+words", headers={"X-API-Key": key, "traceparent": GIVEN})
    (whole,) = (span for span in spans.get_finished_spans() if span.name == "GET /v1/search")
    assert whole.attributes["http.response.status_code"] == 200
    assert "secret" not in str(whole.to_json())


def test_nothing_of_it_is_imported_while_it_is_off() -> None:
    code = "import sys, bodega.service.app, bodega.wiring; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert recorder(otel=False) is None
    assert tracing.trace_of(b"") is None
