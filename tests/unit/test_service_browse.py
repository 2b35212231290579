"""Browsing over HTTP on a shop that has learned: what is asked is answered, what cannot be is refused; no failure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from bodega.engine.shop import Shop
from bodega.service.app import create_app
from bodega.testing.fakes import MemoryKeys


class Guest:
    """The small shop with keys of its own (nothing is written to it)."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.keys = MemoryKeys()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shop, name)


class Caller:
    def __init__(self, shop: Shop) -> None:
        guest = Guest(shop)
        key = guest.keys.create("test", ["search"])
        transport = httpx.ASGITransport(app=create_app(guest), client=("127.0.0.1", 5), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7700", headers={"X-API-Key": key})
        self.runner = asyncio.Runner()

    def __call__(self, address: str, **parameters: Any) -> httpx.Response:
        return self.runner.run(self.http.get(address, params=parameters))

    def post(self, **body: Any) -> httpx.Response:
        return self.runner.run(self.http.post("/v1/search", json=body))

    def close(self) -> None:
        self.runner.run(self.http.aclose())
        self.runner.close()


@pytest.fixture(scope="module")
def ask(small_shop: Shop) -> Iterator[Caller]:
    with closing(Caller(small_shop)) as caller:
        yield caller


def test_an_expression_means_over_http_what_it_means_in_the_engine(ask: Caller) -> None:
    everything = ask("/v1/search", k=1000, facets="brand,category").json()
    brand = everything["facets"][0]["values"][0]["value"]
    page = ask("/v1/search", where=f'brand = "{brand}" AND price < 5', k=1000).json()
    assert page["total"] == len(page["hits"]) > 0
    assert all(hit["document"]["brand"] == brand and hit["document"]["price"] < 5 for hit in page["hits"])
    same = ask.post(where=f'brand = "{brand}" AND price < 5', k=1000).json()
    assert [hit["id"] for hit in same["hits"]] == [hit["id"] for hit in page["hits"]]
    rest = ask("/v1/search", where=f'NOT (brand = "{brand}" AND price < 5)', k=1000).json()
    assert rest["total"] + page["total"] >= everything["total"]  # variants of one product may stand on both sides


def test_the_values_of_one_facet(ask: Caller) -> None:
    (facet,) = ask("/v1/search", facets="brand").json()["facets"]
    first = facet["values"][0]
    answer = ask("/v1/facets", field="brand").json()
    assert answer["facet"]["values"] == facet["values"][:20]
    typed = ask("/v1/facets", field="brand", text=first["value"][:3].lower(), k=5).json()
    assert first in typed["facet"]["values"]
    assert len(typed["facet"]["values"]) <= 5
    narrowed = ask("/v1/facets", field="brand", where="price < 2").json()
    assert narrowed["total"] < answer["total"]
    assert ask("/v1/facets", field="brand", text="zzzzzz").json()["facet"] == {"field": "brand"}
    own = ask("/v1/facets", field="brand", filter=f"brand:{first['value']}").json()
    assert own["facet"] == answer["facet"]  # its own filter does not narrow it


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({}, "field"),
        ({"field": "*"}, "field"),
        ({"field": "brand", "k": 0}, "k"),
        ({"field": "brand", "k": 101}, "k"),
        ({"field": "brand", "text": "x" * 257}, "facet_query"),
        ({"field": "brnad"}, "did you mean 'brand'"),
        ({"field": "title"}, "free text"),
        ({"field": "brand", "sort": "price_up"}, "parameter"),
    ],
)
def test_a_facet_that_cannot_be_asked_for(ask: Caller, parameters: dict[str, Any], names: str) -> None:
    answer = ask("/v1/facets", **parameters)
    assert answer.status_code == 400
    assert names in answer.text


def test_facets_carry_spans_and_the_tree(ask: Caller) -> None:
    price, category = ask("/v1/search", facets="price,category").json()["facets"]
    assert price["low"] <= price["mean"] <= price["high"]
    assert sum(bar["count"] for bar in price["ranges"]) > 0
    assert all("parent" not in entry for entry in category["values"] if " > " not in entry["value"])
    top = category["values"][0]["value"]
    (inside,) = ask("/v1/search", facets="category", filter=f"category:{top}").json()["facets"]
    assert {(entry["parent"], entry["depth"]) for entry in inside["values"] if " > " in entry["value"]} == {(top, 1)}


def test_any_number_sorts(ask: Caller) -> None:
    page = ask("/v1/search", sort_by="-price", where="available = true", k=50).json()
    prices = [hit["document"]["price"] for hit in page["hits"]]
    assert prices == sorted(prices, reverse=True)
    wrong = ask("/v1/search", sort_by="brand")
    assert wrong.status_code == 400
    assert "price" in wrong.json()["allowed"]


ODD = [
    "", " ", "x" * 10_000, "\x00\x01\x02\x1b[31m", "שלום עולם", "\u202eevil", "😀👨‍👩‍👧 shoes", "red 红色 κόκκινο أحمر",
    "' OR 1=1 --", '"; DROP TABLE items; --', "brand = x OR 1=1", "brand IN (", "NOT " * 400, "(" * 1_000, "\\", '"',
    "price < 1e999", "price < NaN", "price 5..1", "brand:" * 50, "%00", "../../etc/passwd", "{{7*7}}", "${jndi:ldap://x}",
    "<script>alert(1)</script>", "nosuchfield = 1", "title = shoe", "price = cheap", "tags..", "\ufeffbrand = x",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD, ids=lambda text: ascii(text[:20]))
def test_odd_texts_give_a_page_or_a_problem_that_teaches(ask: Caller, text: str) -> None:
    for answer in (
        ask("/v1/search", q=text),
        ask("/v1/search", where=text),
        ask("/v1/search", filter=f"brand:{text}"),
        ask("/v1/search", filter=text),
        ask("/v1/search", facets=text),
        ask("/v1/search", facets="brand", facet_query=text),
        ask("/v1/search", sort_by=text),
        ask("/v1/search", price=text),
        ask("/v1/facets", field="brand", text=text),
        ask("/v1/facets", field=text),
        ask("/v1/facets", field="brand", where=text, q=text),
        ask.post(query=text, where=text),
        ask.post(query=text, filters=[{"field": text, "values": [text]}], facets=[text]),
        ask.post(filters=[{"field": "brand", "values": [text]}, {"field": "price", "low": -1e308, "high": 1e308}]),
    ):
        assert answer.status_code in (200, 400, 413, 414), answer.text[:300]
        told = answer.json()
        if answer.status_code == 200:
            assert "hits" in told or "facet" in told
        else:
            assert answer.headers["content-type"].startswith("application/problem+json")
            assert told["detail"]
            assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"k": 0}, "1 to"),
        ({"k": -1}, "1 to"),
        ({"offset": 200_000}, "10,000"),
        ({"k": "ten"}, "int"),
        ({"where": "colour = red"}, "brand"),
        ({"where": "brand ="}, "character 8"),
        ({"filter": "colour:red"}, "brand"),
        ({"filter": "brand:1..5"}, "numbers"),
        ({"facets": "description"}, "free text"),
        ({"facets": ",".join("abcdefghijklmnopqrstuvwxyz")}, "facets"),
        ({"where": "x" * 4_001}, "where"),
    ],
)
def test_bad_questions_are_refused_with_what_is_allowed(ask: Caller, parameters: dict[str, Any], names: str) -> None:
    answer = ask("/v1/search", **parameters)
    assert answer.status_code == 400
    assert names in answer.text


def test_the_last_page_that_may_be_asked_is_empty_and_counts(ask: Caller) -> None:
    page = ask("/v1/search", offset=10_000, facets="brand").json()
    assert page["hits"] == []
    assert page["total"] > 0
    assert page["facets"][0]["values"]
