"""Inspections, fixes and effects over HTTP: admin keys only, bounds, and hostile input that stays data."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import httpx
import msgspec
import pytest

from bodega.engine.effect import Effect
from bodega.engine.fixing import Story
from bodega.engine.inspecting import Inspection
from bodega.schema import Item
from bodega.service.app import create_app
from bodega.testing.canned import CannedShop

PIN = {"then": [{"do": "pin", "item": "1", "position": 1}]}
GOOD = {
    "/v1/inspect": ({"request": {"query": "tv"}, "beside": {"weights": {"popular": 0.5}}}, Inspection),
    "/v1/fixes": ({"query": "tv"}, Story),
    "/v1/fixes/preview": ({"rule": PIN, "queries": ["tv"]}, Effect),
}
BAD = [
    ("/v1/inspect", {"request": {"query": "tv", "k": 10**9}}),
    ("/v1/inspect", {"request": {"query": "x" * 100_000}}),
    ("/v1/inspect", {"request": {"query": "tv"}, "dials": {"weights": {"popular": -1}}}),
    ("/v1/inspect", {"request": {"query": "tv"}, "dials": {"weights": {f"s{n}": 1 for n in range(99)}}}),
    ("/v1/inspect", {"request": {"query": "tv"}, "rows": 100_000}),
    ("/v1/inspect", {"request": {"query": "tv"}, "surprise": 1}),
    ("/v1/fixes", {"query": ""}),
    ("/v1/fixes", {"query": 7}),
    ("/v1/fixes", []),
    ("/v1/fixes/preview", {"rule": {"then": []}}),
    ("/v1/fixes/preview", {"rule": {"then": [{"do": "redirect", "url": "javascript:alert(1)"}]}}),
    ("/v1/fixes/preview", {"rule": PIN, "queries": ["x"] * 101}),
]


class Caller:
    def __init__(self) -> None:
        self.shop = CannedShop([Item(id="1", title="TV"), Item(id="2", title="Radio")])
        self.keys = {scope: self.shop.keys.create(f"{scope} key", [scope]) for scope in ("search", "events", "admin")}
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=create_app(self.shop), client=("9.9.9.9", 5), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7700")

    def __call__(self, address: str, body: object, *, scope: str = "admin") -> httpx.Response:
        headers = {"X-API-Key": self.keys[scope]} if scope else {}
        return self.runner.run(self.http.post(address, headers=headers, json=body))

    def close(self) -> None:
        self.runner.run(self.http.aclose())
        self.runner.close()


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    with closing(Caller()) as made:
        yield made


@pytest.mark.parametrize("address", sorted(GOOD))
def test_only_admin_keys_may_ask(caller: Caller, address: str) -> None:
    body, kind = GOOD[address]
    for scope, status in (("", 401), ("search", 403), ("events", 403), ("admin", 200)):
        answer = caller(address, body, scope=scope)
        assert answer.status_code == status
    msgspec.json.decode(answer.content, type=kind)


@pytest.mark.parametrize(("address", "body"), BAD)
def test_what_is_out_of_bounds_is_refused_with_a_reason(caller: Caller, address: str, body: object) -> None:
    answer = caller(address, body)
    assert answer.status_code in (400, 413, 422), answer.text
    assert answer.json()["detail"]


def test_words_of_a_home_page_are_searched(caller: Caller) -> None:
    caller("/v1/inspect", {"request": {"query": "tv"}})
    assert (caller.shop.asked[-1].place, caller.shop.asked[-1].query) == ("search", "tv")
