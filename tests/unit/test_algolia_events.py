"""Insights events become events of the shop: kinds, people, positions, queries, and what is refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodega.schema import Event, Item
from bodega.service.algolia.insights import Queries, rows_of
from bodega.service.app import create_app
from bodega.testing.canned import CannedShop

ITEMS = [Item(id=str(number), title=f"Trail shoe {number}") for number in range(5)]
TOKEN = "anonymous-5f0c"


class Reporter:
    """Sends events as `search-insights` does: a beacon, that is a text body with the key in the address."""

    def __init__(self) -> None:
        self.shop = CannedShop(ITEMS)
        self.key = self.shop.keys.create("test", ["search", "events"])
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=create_app(self.shop), client=("127.0.0.1", 5), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7700")

    def send(self, path: str, body: Any) -> httpx.Response:
        asked = {"X-Algolia-Application-Id": "bodega", "X-Algolia-API-Key": self.key, "X-Algolia-Agent": "insights-js"}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "text/plain;charset=UTF-8"}
        return self.runner.run(self.http.post(f"{path}?{urlencode(asked)}", content=content, headers=headers))

    def report(self, *events: dict[str, Any]) -> httpx.Response:
        return self.send("/1/events", {"events": list(events)})

    def search(self, query: str) -> str:
        """The id of an answer."""
        got = self.send("/1/indexes/products/query", {"query": query, "clickAnalytics": True})
        query_id: str = got.json()["queryID"]
        return query_id

    def stored(self, user: str = "", session: str = "") -> list[Event]:
        return self.shop.stores.events.recent(user=user, session=session, limit=100)

    def close(self) -> None:
        self.runner.run(self.http.aclose())
        self.runner.close()


@pytest.fixture
def reporter() -> Iterator[Reporter]:
    with closing(Reporter()) as made:
        yield made


def event(**changed: Any) -> dict[str, Any]:
    return {"eventType": "click", "eventName": "Hit Clicked", "index": "products", "userToken": "u42", **changed}


def test_a_click_after_a_search_brings_its_query(reporter):
    query_id = reporter.search("shoe")
    when = int(time.time() * 1000) - 5_000
    clicked = event(
        objectIDs=["3"], positions=[2], queryID=query_id, timestamp=when, objectData=[{"queryID": query_id}]
    )
    assert reporter.report(clicked).json() == {"status": 200, "message": "OK"}
    search, click = sorted(reporter.stored(user="u42"), key=lambda each: each.type != "search")
    assert (click.type, click.item, click.position, click.query) == ("click", "3", 1, "shoe")
    assert (click.request_id, click.place) == (query_id, "search")
    assert click.time.timestamp() == pytest.approx(when / 1000)
    assert (search.type, search.query, search.user) == ("search", "shoe", "u42")


def test_the_same_batch_sent_twice_counts_once(reporter):
    query_id = reporter.search("shoe")
    clicked = event(objectIDs=["3"], positions=[2], queryID=query_id, timestamp=int(time.time() * 1000))
    assert reporter.report(clicked).status_code == reporter.report(clicked).status_code == 200
    assert [each.type.value for each in reporter.stored(user="u42")].count("click") == 1
    later = event(objectIDs=["4"], positions=[3], queryID=query_id)
    assert reporter.report(later).status_code == 200, "a second click after one answer is no conflict"
    assert [each.type.value for each in reporter.stored(user="u42")].count("search") == 1


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"eventType": "click"}, "click"),
        ({"eventType": "conversion", "eventSubtype": "addToCart"}, "cart"),
        ({"eventType": "conversion", "eventSubtype": "purchase"}, "purchase"),
        ({"eventType": "conversion", "eventName": "Product Purchased"}, "purchase"),
        ({"eventType": "conversion", "eventName": "Product favorited"}, "cart"),
        ({"eventType": "view", "eventName": "Product Detail Page Viewed"}, "view"),
        ({"eventType": "view", "eventName": "Hits Viewed"}, "impression"),
        ({"eventType": "view", "objectIDs": ["1", "2"]}, "impression"),
    ],
)
def test_each_kind_of_event(reporter, changed, kind):
    assert reporter.report(event(**{"objectIDs": ["1"], **changed})).status_code == 200
    assert {each.type.value for each in reporter.stored(user="u42")} == {kind}


def test_what_was_bought_keeps_price_and_quantity(reporter):
    bought = event(
        eventType="conversion",
        eventSubtype="purchase",
        objectIDs=["1", "2"],
        objectData=[{"price": 19.5, "quantity": 2}, {"price": "7.25", "discount": 1}],
        value=46.25,
        currency="EUR",
    )
    assert reporter.report(bought).status_code == 200
    first, second = sorted(reporter.stored(user="u42"), key=lambda each: each.item)
    assert (first.price, first.quantity, first.currency) == (19.5, 2.0, "EUR")
    assert (second.price, second.quantity) == (7.25, 1.0)


def test_who_it_was(reporter):
    reporter.report(event(objectIDs=["1"], userToken=TOKEN))
    (visit,) = reporter.stored(session=TOKEN)
    assert (visit.user, visit.session) == ("", TOKEN)
    reporter.report(event(objectIDs=["2"], userToken=TOKEN, authenticatedUserToken="u7"))
    (known,) = reporter.stored(user="u7")
    assert (known.user, known.session) == ("u7", TOKEN)


def test_events_that_name_no_item_are_taken_and_not_kept(reporter):
    filters = event(eventName="Filter Applied", filters=["brand%3AAcme"])
    usage = {"eventType": "instantsearch", "eventName": "__start__", "timestamp": 1, "sessionID": "x", "widgets": []}
    assert reporter.report(filters, usage).status_code == 200
    assert reporter.shop.stores.events.count() == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"eventType": "buy", "objectIDs": ["1"]},
        {"objectIDs": []},
        {"objectIDs": [5]},
        {"objectIDs": "1"},
        {"objectIDs": [str(number) for number in range(300)]},
        {"objectIDs": ["1"], "userToken": ""},
        {"objectIDs": ["1"], "userToken": "x" * 200},
        {"objectIDs": ["1"], "userToken": {"a": 1}},
        {"objectIDs": ["1"], "positions": [0]},
        {"objectIDs": ["1"], "positions": ["1"]},
        {"objectIDs": ["1"], "timestamp": "yesterday"},
        {"objectIDs": ["1"], "timestamp": int(time.time() * 1000) + 3_600_000},
    ],
)
def test_a_bad_event_is_refused_and_named(reporter, bad):
    got = reporter.report(event(**bad))
    assert got.status_code in (400, 422)
    assert set(got.json()) == {"message", "status"}
    assert reporter.shop.stores.events.count() == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b'{"events": 5}', b'{"events": [5]}', b"\xff"])
def test_a_body_without_events_is_refused(reporter, body):
    got = reporter.send("/1/events", body)
    assert got.status_code == 400
    assert set(got.json()) == {"message", "status"}


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(["1", "click"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=5,
)
NAMES = [
    "eventType",
    "eventName",
    "userToken",
    "authenticatedUserToken",
    "objectIDs",
    "positions",
    "queryID",
    "timestamp",
]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changed=st.dictionaries(st.sampled_from([*NAMES, "objectData", "filters", "currency"]), VALUES, max_size=4))
def test_no_event_makes_it_fail(reporter, changed):
    got = reporter.report(event(**{"objectIDs": ["1"], **changed}))
    assert got.status_code < 500, got.text


def test_a_query_is_recorded_as_a_search_once():
    queries = Queries()
    queries.remember("q1", "shoe")
    body = {"events": [event(objectIDs=["1", "2"], queryID="q1"), event(objectIDs=["3"], queryID="q1")]}
    rows = [*rows_of(body, queries, 1e9), *rows_of(body, queries, 2e9)]
    assert [row["type"] for row in rows] == ["search", *["click"] * 6]
    seen = {"events": [event(eventType="view", eventName="Hits Viewed", objectIDs=["1"], queryID="q2")]}
    queries.remember("q2", "sho")
    assert [row["type"] for row in rows_of(seen, queries, 1e9)] == ["impression"], "half a word is no search yet"


def test_only_the_newest_queries_are_remembered():
    queries = Queries(most=2)
    for number in range(3):
        queries.remember(f"id{number}", f" query {number} ")
    queries.remember("empty", "  ")
    assert [queries.words(f"id{number}") for number in range(3)] == ["", "query 1", "query 2"]
    assert queries.words("empty") == ""
    assert queries.first("id2")
    assert not queries.first("id2")
