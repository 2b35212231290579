"""A language model may reword lost queries: through a real local server, and never without having proved itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from bodega import Request, Shop
from bodega.engine.answer import Engine
from bodega.engine.rewriting import FEWEST, judge
from bodega.errors import BadSettings
from bodega.evaluation import Case
from bodega.schema import Candidates, Context
from bodega.settings import Understand
from bodega.understanding.query import rewriter
from bodega.understanding.query.rewriter import LlmRewriter

pytest.importorskip("openai", reason="the extra 'llm' is not installed")

SECRET = "sk-not-for-logs-0815"


class Server:
    """Speaks the chat part of OpenAI's API and answers what it is told to."""

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, object]], tuple[int, bytes]] = lambda body: (200, self.says(["red couch"]))
        self.asked: list[dict[str, object]] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    @staticmethod
    def says(queries: object, content: str | None = None) -> bytes:
        told = json.dumps({"queries": queries}) if content is None else content
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": told}}
        return json.dumps(
            {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        ).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append(body)
                status, data = server.answer(body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                del format, args

        return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv(rewriter.KEY, SECRET)
    one = Server()
    yield one
    one.http.shutdown()
    one.http.server_close()


def opened(server: Server) -> LlmRewriter:
    return LlmRewriter(Understand(llm="tiny", endpoint=server.url))


def test_wordings_are_asked_for_once_and_cleaned(server: Server) -> None:
    server.answer = lambda body: (200, server.says(["  red   couch ", "comfy sofa", "red couch", "sofa bed", "divan"]))
    model = opened(server)
    assert model.wordings("Comfy Sofa") == ("red couch", "sofa bed", "divan")
    assert model.wordings("Comfy  Sofa") == ("red couch", "sofa bed", "divan")
    assert len(server.asked) == 1
    assert "Comfy Sofa" in json.dumps(server.asked[0]["messages"])


@pytest.mark.parametrize(
    "told",
    [(500, b"{}"), (200, b"not json"), (200, Server.says([1, 2])), (200, Server.says(None, "Sure! Try red couch."))],
    ids=["error", "not json", "numbers", "prose"],
)
def test_a_server_that_fails_is_left_alone_for_a_while_and_that_is_told(
    server: Server, told: tuple[int, bytes]
) -> None:
    server.answer = lambda body: told
    model = opened(server)
    assert model.wordings("lost query") == ()
    assert "tiny" in model.trouble
    assert SECRET not in model.trouble
    assert model.wordings("another") == ()
    assert len(server.asked) == 1


def test_an_address_is_needed() -> None:
    with pytest.raises(BadSettings, match="address"):
        LlmRewriter(Understand(llm="tiny"))


def cases(count: int) -> list[Case]:
    return [Case(Context(place="search", query=f"lost {n}"), np.array([n], np.int32)) for n in range(count)]


def ranked(context: Context) -> Candidates:
    """Knows "item N" and finds it first; everything else is lost."""
    word, _, number = context.query.partition(" ")
    if word != "item":
        return Candidates.none("lexical")
    return Candidates.of("lexical", np.array([int(number)], np.int32), np.ones(1, np.float32))


def test_a_model_that_finds_what_was_meant_stays_on() -> None:
    verdict = judge("good", lambda query: [f"item {query.split()[1]}"], ranked, cases(30))
    assert verdict.kept
    assert verdict.gain == pytest.approx(1.0)


def test_a_model_that_finds_other_things_or_nothing_is_switched_off() -> None:
    assert not judge("wrong", lambda query: ["item 999"], ranked, cases(30)).kept
    assert not judge("silent", lambda query: [], ranked, cases(30)).kept


def test_too_few_lost_searches_prove_nothing() -> None:
    verdict = judge("good", lambda query: [f"item {query.split()[1]}"], ranked, cases(FEWEST - 1))
    assert not verdict.kept
    assert "only" in str(verdict)


class Silent:
    """A language model that is away."""

    trouble = "llm: tiny did not answer; searched without it"

    def wordings(self, query: str) -> tuple[str, ...]:
        del query
        return ()


def test_a_page_without_an_answer_names_the_model_that_is_away_and_only_that_page(small_shop: Shop) -> None:
    served = small_shop.engine
    engine = Engine(replace(served.learned, rewords=Silent()), served.shelf, served.shoppers, served.settings)
    lost = engine.answer(Request(place="search", query="zzzzqqq xxyyzz"))
    assert not lost.hits
    assert Silent.trouble in lost.degraded
    assert Silent.trouble not in served.answer(Request(place="search", query="zzzzqqq xxyyzz")).degraded
    title = served.shelf.title(0)
    found = engine.answer(Request(place="search", query=title))
    assert found.hits
    assert Silent.trouble not in found.degraded
