"""Reviews over HTTP: written by visitors and by the shop, read by anybody, judged by the merchant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from litestar.testing import TestClient

from bodega.schema import Event, EventType, Item, Review
from bodega.service.app import create_app
from bodega.testing.canned import CannedShop

Client = TestClient[Any]


@pytest.fixture
def shop() -> CannedShop:
    return CannedShop([Item(id="tent", title="Tent"), Item(id="a/b c", title="Slash")])


@pytest.fixture
def client(shop: CannedShop) -> Iterator[Client]:
    with TestClient(create_app(shop), base_url="http://127.0.0.1") as found:
        yield found


def key(shop: CannedShop, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {shop.keys.create('test', scopes)}"}


def test_what_is_accepted_is_on_the_next_page(shop, client):
    events, search = key(shop, "events"), key(shop, "search")
    row = {"item": "tent", "user": "ann", "stars": 4, "title": "Dry", "text": "Stood a storm.", "helpful": 7}
    answer = client.post("/v1/reviews", json={"reviews": [row]}, headers=events)
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == 1
    page = client.get("/v1/items/tent/reviews", headers=search).json()
    assert page["stats"]["count"] == page["total"] == 1
    assert page["reviews"][0]["text"] == "Stood a storm."
    assert page["reviews"][0]["helpful"] == 0  # a visitor's page cannot vote
    assert not page["reviews"][0]["verified"]
    assert "user" not in page["reviews"][0]
    assert client.post("/v1/reviews", json=[row], headers=events).json()["duplicates"] in (0, 1)


def test_a_purchase_that_the_shop_knows_of_verifies(shop, client):
    bought = Event(id="p", type=EventType.PURCHASE, user="ann", item="tent", time=datetime.now(UTC) - timedelta(days=3))
    shop.stores.events.append([bought])
    rows = [{"item": "tent", "user": name, "stars": 5, "text": f"by {name}"} for name in ("ann", "bob")]
    client.post("/v1/reviews", json=rows, headers=key(shop, "events"))
    held = {kept.review.user: kept.review.verified for kept in shop.stores.reviews.scan()}
    assert held == {"ann": True, "bob": False}


def test_the_shops_own_server_is_believed(shop, client):
    row = {"id": "r1", "item": "tent", "user": "ann", "stars": 5, "verified": True, "helpful": 9}
    client.post("/v1/reviews", json=[row], headers=key(shop, "admin"))
    kept = shop.stores.reviews.get(["r1"])["r1"].review
    assert (kept.verified, kept.helpful) == (True, 9)
    eve = client.post("/v1/reviews", json=[row | {"user": "eve", "stars": 1}], headers=key(shop, "events"))
    assert eve.status_code == 422
    assert eve.json()["conflicts"] == ["r1"]
    assert shop.stores.reviews.get(["r1"])["r1"].review.stars == 5


def test_rows_that_are_no_reviews_are_named_and_kept_aside(shop, client):
    ahead = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    rows = [
        {"item": "tent", "stars": 5},
        {"stars": 5},
        {"item": "tent"},
        {"item": "tent", "stars": 9},
        {"item": "tent", "stars": "five"},
        {"item": "tent", "stars": 5, "time": ahead},
        {"item": "x" * 600, "stars": 5},
        {"item": "tent", "stars": 5, "helpful": -3},
        {"item": "tent", "text": {"not": "text"}, "stars": [1]},
    ]
    answer = client.post("/v1/reviews", json=rows, headers=key(shop, "events"))
    assert answer.status_code == 200
    told = answer.json()
    assert told["accepted"] == 1
    reasons = [each["reason"] for each in told["dead"]]
    assert reasons == [
        *("no_item", "empty", "bad_stars", "bad_stars", "future_time", "bad_text", "bad_helpful", "bad_stars"),
    ]
    assert {letter.kind for letter in shop.stores.dead.list()} == {"review"}


@pytest.mark.parametrize(
    "asked", ["order=best", "stars=6", "k=0", "k=101", "offset=-1", "k=x", "why=1", "stars=1&stars=2"]
)
def test_unclear_addresses_are_refused(shop, client, asked):
    answer = client.get(f"/v1/items/tent/reviews?{asked}", headers=key(shop, "search"))
    assert answer.status_code == 400
    assert answer.json()["allowed"]


def test_pages_and_ids_with_slashes(shop, client):
    shop.stores.reviews.upsert([Review(id=f"r{n}", item="a/b c", stars=1 + n % 5, text=f"No. {n}") for n in range(12)])
    search = key(shop, "search")
    first = client.get("/v1/items/a%2Fb%20c/reviews?k=5&order=highest", headers=search).json()
    rest = client.get("/v1/items/a%2Fb%20c/reviews?k=100&offset=5&order=highest", headers=search).json()
    assert first["total"] == rest["total"] == 12
    ids = [each["id"] for each in (*first["reviews"], *rest["reviews"])]
    assert len(ids) == len(set(ids)) == 12
    only = client.get("/v1/items/a%2Fb%20c/reviews?stars=2", headers=search).json()
    assert {each["stars"] for each in only["reviews"]} == {2}


def test_only_the_merchant_sees_and_judges_what_is_flagged(shop, client):
    rows = [{"id": "ad", "item": "tent", "stars": 5, "text": "Buy at http://evil.example now"}]
    client.post("/v1/reviews", json=rows, headers=key(shop, "events"))
    search, admin = key(shop, "search", "events"), key(shop, "admin")
    page = client.get("/v1/items/tent/reviews", headers=search).json()
    assert page["stats"] == {"count": 0, "rated": 0, "mean": None, "histogram": [0, 0, 0, 0, 0], "flagged": 1}
    assert client.get("/v1/reviews/flagged", headers=search).status_code == 403
    (suspect,) = client.get("/v1/reviews/flagged", headers=admin).json()["reviews"]
    assert suspect["flags"] == ["links"]
    decided = {"ids": ["ad"], "verdict": "keep"}
    assert client.post("/v1/reviews/decide", json=decided, headers=search).status_code == 403
    assert client.post("/v1/reviews/decide", json=decided, headers=admin).json() == {"changed": 1}
    assert client.get("/v1/items/tent/reviews", headers=search).json()["total"] == 1
    for bad in ({"ids": ["none"], "verdict": "hide"}, {"ids": [], "verdict": "hide"}, {"ids": ["ad"], "verdict": "x"}):
        assert client.post("/v1/reviews/decide", json=bad, headers=admin).status_code == 400


def test_a_scope_is_needed(shop, client):
    assert client.post("/v1/reviews", json=[], headers=key(shop, "search")).status_code == 403
    assert client.get("/v1/items/tent/reviews", headers=key(shop, "events")).status_code == 403


def test_everything_kept_of_a_shopper_holds_the_reviews(shop, client):
    client.post("/v1/reviews", json=[{"item": "tent", "user": "ann", "text": "Mine."}], headers=key(shop, "events"))
    admin = key(shop, "admin")
    kept = client.get("/v1/shoppers/ann", headers=admin).json()
    assert [review["text"] for review in kept["reviews"]] == ["Mine."]
    receipt = client.delete("/v1/shoppers/ann", headers=admin).json()
    assert receipt["removed"]["reviews"] == 1
    assert shop.stores.reviews.count() == 0
