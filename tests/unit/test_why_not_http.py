"""Why it is not there, over HTTP: admin keys only, bounds as for pages, and the steps of the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import httpx
import msgspec
import pytest

from bodega.engine.why_not import WhyNot
from bodega.engine.why_not_texts import TEXTS, said
from bodega.schema import Item
from bodega.service.app import create_app
from bodega.testing.canned import CannedShop

ASKED = {"item": "1", "request": {"place": "search", "query": "tv"}}


class Caller:
    def __init__(self) -> None:
        self.shop = CannedShop([Item(id="1", title="TV"), Item(id="2", title="Radio")])
        self.keys = {scope: self.shop.keys.create(f"{scope} key", [scope]) for scope in ("search", "events", "admin")}
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=create_app(self.shop), client=("9.9.9.9", 5), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7700")

    def __call__(self, body: object, *, scope: str = "admin") -> httpx.Response:
        headers = {"X-API-Key": self.keys[scope]} if scope else {}
        return self.runner.run(self.http.post("/v1/why-not", headers=headers, json=body))

    def close(self) -> None:
        self.runner.run(self.http.aclose())
        self.runner.close()


@pytest.fixture
def caller() -> Iterator[Caller]:
    with closing(Caller()) as made:
        yield made


def test_only_admin_keys_may_ask(caller: Caller) -> None:
    for scope, status in (("", 401), ("search", 403), ("events", 403), ("admin", 200)):
        assert caller(ASKED, scope=scope).status_code == status
    assert len(caller.shop.asked) == 1


def test_the_answer_is_what_the_shop_says(caller: Caller) -> None:
    found = msgspec.json.decode(caller(ASKED).content, type=WhyNot)
    assert (found.item, found.stage, found.shown) == ("1", "shown", True)
    missing = msgspec.json.decode(caller({**ASKED, "item": "2"}).content, type=WhyNot)
    assert (missing.stage, missing.shown) == ("not_proposed", False)


def test_words_without_a_place_are_searched(caller: Caller) -> None:
    caller({"item": "1", "request": {"query": "tv"}})
    caller({"item": "1"})
    assert [request.place for request in caller.shop.asked] == ["search", "home"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"item": ""},
        {"item": "x" * 2_000},
        {"item": "1", "request": {"k": 100_000}},
        {"item": "1", "request": {"query": "x" * 5_000}},
        {"item": "1", "request": {"nothing": 1}},
        {"item": "1", "extra": 1},
        {"item": 1},
        [],
        "why",
    ],
)
def test_what_makes_no_sense_is_refused(caller: Caller, body: object) -> None:
    answer = caller(body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"]


def test_both_languages_have_every_sentence_with_the_same_gaps() -> None:
    assert set(TEXTS["en"]) == set(TEXTS["zh"])
    facts = {name: f"<{name}>" for name in ("title", "details", "instead", "position", "total", "by", "depth")}
    for stage, text in TEXTS["en"].items():
        filled = {name for name in facts if f"<{name}>" in text.format_map(facts)}
        assert {name for name in facts if f"<{name}>" in TEXTS["zh"][stage].format_map(facts)} == filled, stage
    assert said("gone", "fr", facts) == said("gone", "en", facts)
