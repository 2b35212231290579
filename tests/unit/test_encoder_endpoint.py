"""The endpoint encoder against a small local server that speaks OpenAI's embeddings API, and misbehaves on demand."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from bodega.errors import BadSettings, EndpointFailed, MissingExtra
from bodega.settings import Understand
from bodega.testing.checks import check_encoder
from bodega.testing.fakes import FakeEncoder
from bodega.understanding.text import endpoint
from bodega.understanding.text.endpoint import EndpointEncoder
from bodega.understanding.text.pretrained import open_encoder

pytest.importorskip("openai", reason="the extra 'llm' is not installed")

SECRET = "sk-very-secret-4711"
Answer = tuple[int, Any]


class Server:
    """Answers with the vectors of a FakeEncoder, five times as long as they should be and in reverse order."""

    def __init__(self) -> None:
        self.encoder = FakeEncoder(24)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.first: list[Callable[[], Answer]] = []
        """What the next requests get instead."""
        self.always: Callable[[], Answer] | None = None
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, body: dict[str, Any]) -> Answer:
        if self.first:
            return self.first.pop(0)()
        if self.always:
            return self.always()
        rows = self.encoder.encode(body["input"]) * 5
        data = [{"object": "embedding", "index": place, "embedding": row.tolist()} for place, row in enumerate(rows)]
        return 200, {"object": "list", "data": data[::-1], "model": body["model"], "usage": {}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append({"path": self.path, **body})
                server.keys.append(self.headers["Authorization"])
                status, told = server.answer(body)
                data = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.send_header("retry-after-ms", "1")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                del format, args

        return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv(endpoint.KEY, SECRET)
    one = Server()
    yield one
    one.http.shutdown()
    one.http.server_close()


def test_it_keeps_the_contract_of_encoders(server: Server) -> None:
    check_encoder(EndpointEncoder("small", server.url))


def test_it_is_opened_by_name_and_learns_the_dimensions(server: Server) -> None:
    encoder = open_encoder("endpoint:small", Understand(endpoint=server.url))
    assert (encoder.info.name, encoder.info.dimensions, encoder.info.digest) == ("endpoint:small", 24, "")
    assert "small at http://127.0.0.1" in encoder.info.origin
    assert server.requests[0]["path"] == "/v1/embeddings"
    assert server.requests[0]["model"] == "small"
    assert server.keys == [f"Bearer {SECRET}"]


def test_rows_come_in_the_order_of_the_texts_and_in_batches(server: Server) -> None:
    encoder = EndpointEncoder("small", server.url)
    texts = [f"thing {number}" for number in range(150)]
    rows = encoder.encode(texts)
    assert np.allclose(rows, FakeEncoder(24).encode(texts), atol=1e-6)
    assert sorted(len(request["input"]) for request in server.requests[1:]) == [22, 64, 64]


def test_without_our_key_no_other_key_is_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(endpoint.KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    EndpointEncoder("small", server.url)
    assert server.keys == ["Bearer none"]


def test_a_busy_server_is_asked_again(server: Server) -> None:
    server.first = [lambda: (429, {"error": {"message": "slow down"}}), lambda: (503, {"error": {"message": "wait"}})]
    assert EndpointEncoder("small", server.url).info.dimensions == 24
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "told",
    [
        (500, {"error": {"message": "broken"}}),
        (401, {"error": {"message": f"Incorrect API key provided: {SECRET}"}}),
        (404, {"error": {"message": "no such model"}}),
        (200, b"<html>welcome</html>"),
        (200, b'{"data": [{"index": 0, "embed'),
        (200, []),
        (200, {}),
        (200, {"data": []}),
        (200, {"data": None}),
        (200, {"data": [{"index": 0, "embedding": []}]}),
        (200, {"data": [{"index": 0, "embedding": "text"}]}),
        (200, {"data": [{"index": 0, "embedding": [1.0] * 23}]}),
        (200, {"data": [{"index": 0, "embedding": [float("nan")] * 24}]}),
        (200, {"data": [{"index": 0, "embedding": [1.0] * 24}, {"index": 1, "embedding": [1.0] * 24}]}),
    ],
    ids=str,
)  # fmt: skip
def test_a_failing_server_is_an_error_that_keeps_the_secret(
    server: Server, told: Answer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(endpoint, "BATCH_RETRIES", 0)
    encoder = EndpointEncoder("small", server.url)
    server.always = lambda: told
    with caplog.at_level(logging.DEBUG), pytest.raises(EndpointFailed) as caught:
        encoder.encode(["red scarf"])
    error = caught.value
    assert "small at http://127.0.0.1" in str(error)
    assert SECRET not in str(error)
    assert SECRET not in "".join(traceback.format_exception(error)), "nor under ours, in the server's own words"
    assert SECRET not in caplog.text


def test_the_first_answer_may_be_nonsense_too(server: Server) -> None:
    server.always = lambda: (200, {"data": [{"index": 0, "embedding": [[1.0]]}]})
    with pytest.raises(EndpointFailed, match="nonsense"):
        EndpointEncoder("small", server.url)


def test_a_query_does_not_wait_for_a_slow_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = EndpointEncoder("small", server.url)
    monkeypatch.setattr(endpoint, "QUERY_SECONDS", 0.1)

    def slow() -> Answer:
        time.sleep(0.6)
        return 200, {}

    server.always = slow
    began = time.perf_counter()
    with pytest.raises(EndpointFailed, match="Timeout"):
        encoder.encode(["red scarf"], query=True)
    assert time.perf_counter() - began < 2.5, "two tries of .1 s and a pause"


@pytest.mark.parametrize(
    "base", ["", "localhost:8000", "ftp://a.example/v1", "http://", f"https://me:{SECRET}@a.example"]
)
def test_an_endpoint_that_is_no_address_is_refused(base: str) -> None:
    with pytest.raises(BadSettings) as caught:
        EndpointEncoder("small", base)
    assert SECRET not in str(caught.value)
    assert endpoint.KEY in caught.value.next


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "BATCH_RETRIES", 0)
    with pytest.raises(EndpointFailed, match="APIConnectionError"):
        EndpointEncoder("small", "http://127.0.0.1:9/v1")


def test_without_the_client_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"pip install 'bodega\[llm\]'"):
        EndpointEncoder("small", "http://127.0.0.1:9/v1")
