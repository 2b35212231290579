"""The application over a shop that is only canned: addresses, acknowledgements, problem documents, the document."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing

import httpx
import msgspec
import pytest

from bodega.errors import NotLearned, StoreError
from bodega.schema import Item
from bodega.service.app import create_app
from bodega.service.openapi import OPERATIONS
from bodega.settings import Serve, Settings
from bodega.testing.canned import CannedShop

ODD = "sku/7/😀 %2F?#&.."
ITEMS = [Item(id=str(number), title=f"Trail shoe {number}", price=9.5) for number in range(30)]


class Caller:
    """An HTTP client in this process, with all scopes unless told otherwise."""

    def __init__(self, shop: CannedShop, address: str = "127.0.0.1") -> None:
        self.shop = shop
        self.key = shop.keys.create("test", ["search", "events", "admin"])
        self.app = create_app(shop)
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=self.app, client=(address, 5), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7700")

    def __call__(self, method: str, url: str, **how) -> httpx.Response:
        headers = {"X-API-Key": self.key} | how.pop("headers", {})
        return self.runner.run(self.http.request(method, url, headers=headers, **how))

    def close(self) -> None:
        self.runner.run(self.http.aclose())
        self.runner.close()


@pytest.fixture
def caller() -> Iterator[Caller]:
    shop = CannedShop([*ITEMS, Item(id=ODD, title="Odd one")])
    with closing(Caller(shop)) as made:
        yield made


def test_search_by_address_and_by_json_give_the_same_page(caller):
    by_get = caller("GET", "/v1/search?q=shoe&k=3&offset=2&filter=brand:On&price=5..&facets=brand&sort=newest").json()
    by_post = caller(
        "POST",
        "/v1/search",
        json={
            "query": "shoe",
            "k": 3,
            "offset": 2,
            "filters": [{"field": "brand", "values": ["On"]}, {"field": "price", "low": 5}],
            "facets": ["brand"],
            "sort": "newest",
        },
    ).json()
    assert caller.shop.asked[0] == caller.shop.asked[1]
    assert [hit["id"] for hit in by_get["hits"]] == [hit["id"] for hit in by_post["hits"]] == ["2", "3", "4"]


def test_every_hit_says_why_and_every_page_what_it_fell_back_on(caller):
    for url in ("/v1/search?q=shoe", "/v1/recommend", "/v1/items/1/similar", "/v1/items/1/together"):
        page = caller("GET", url).json()
        assert page["degraded"] == ["canned: this shop has no engine"]
        assert page["hits"]
        assert all(hit["why"][0]["text"] for hit in page["hits"])


def test_a_search_without_words_browses(caller):
    assert caller("GET", "/v1/search").json()["place"] == "category"
    assert caller("POST", "/v1/search", json={"query": "  "}).json()["place"] == "category"
    assert caller("POST", "/v1/search", json={"query": "a", "place": "basket"}).status_code == 400


def test_recommend_takes_place_and_anchors(caller):
    caller("GET", "/v1/recommend?place=basket&item=1&item=a%2Cb&user=u&personal=false")
    asked = caller.shop.asked[-1]
    assert (asked.place, asked.items, asked.user, asked.personal) == ("basket", ("1", "a,b"), "u", False)
    assert caller("POST", "/v1/recommend", json={"query": "x"}).status_code == 400


@pytest.mark.parametrize("verb", ["similar", "together"])
def test_an_item_id_may_be_anything(caller, verb):
    encoded = str(httpx.URL("http://x/", params={"i": ODD}).query.decode().removeprefix("i=").replace("+", "%20"))
    assert caller("GET", f"/v1/items/{encoded}").json()["id"] == ODD
    assert caller("GET", f"/v1/items/{encoded}/{verb}").status_code == 200
    assert caller.shop.asked[-1].items == (ODD,)
    assert caller.shop.asked[-1].place == verb
    caller("GET", f"/v1/items/a/b/{verb}?k=1")
    assert caller.shop.asked[-1].items == ("a/b",)
    caller("GET", f"/v1/items/a%2F{verb}/{verb}")
    assert caller.shop.asked[-1].items == (f"a/{verb}",)


def test_suggest(caller):
    found = caller("GET", "/v1/suggest?q=trail&k=2").json()["suggestions"]
    assert [each["text"] for each in found] == ["Trail shoe 0", "Trail shoe 1"]
    assert len(caller("GET", "/v1/suggest?q=trail").json()["suggestions"]) == 8
    assert caller("GET", "/v1/suggest?q=t&user=u4&session=s9&personal=false").status_code == 200
    last = caller.shop.completed[-1]
    assert (last.query, last.k, last.user, last.session, last.personal) == ("t", 8, "u4", "s9", False)


def test_events_good_ones_are_stored_and_bad_ones_named(caller):
    batch = [
        {"id": "e1", "type": "view", "item": "1", "user": "u", "time": "2026-01-01T00:00:00Z"},
        {"id": "e2", "type": "teleport", "item": "1", "user": "u"},
        {"id": "e3", "type": "click", "item": "2", "session": "s"},
    ]
    first = caller("POST", "/v1/events", json={"events": batch})
    assert first.status_code == 200
    body = first.json()
    assert (body["accepted"], body["duplicates"], body["conflicts"]) == (2, 0, [])
    assert [(dead["index"], dead["reason"]) for dead in body["dead"]] == [(1, "unknown_type")]
    assert caller.shop.stores.events.count() == 2
    letter = caller.shop.stores.dead.list()[0]
    assert (letter.source, letter.line, letter.reason) == ("http", 2, "unknown_type")


def test_an_event_sent_again_counts_once_even_when_the_server_stamped_it(caller):
    batch = [{"id": "e3", "type": "click", "item": "2", "session": "s"}]
    assert caller("POST", "/v1/events", json=batch).json()["accepted"] == 1
    again = caller("POST", "/v1/events", json=batch)
    assert again.status_code == 200
    assert (again.json()["accepted"], again.json()["duplicates"]) == (0, 1)


def test_the_same_id_with_another_payload_is_refused_and_the_rest_stored(caller):
    first = {"id": "e1", "type": "view", "item": "1", "user": "u", "time": "2026-01-01T00:00:00Z"}
    caller("POST", "/v1/events", json=[first])
    answer = caller("POST", "/v1/events", json=[{**first, "item": "2"}, {**first, "id": "e9"}])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["conflicts"] == ["e1"]
    assert answer.json()["accepted"] == 1
    assert caller.shop.stores.events.count() == 2


def test_a_batch_without_one_usable_row_is_refused(caller):
    answer = caller("POST", "/v1/events", json=[{"type": "view"}])
    assert answer.status_code == 422
    assert answer.json()["dead"][0]["reason"]
    assert caller("POST", "/v1/events", json=[]).json()["accepted"] == 0


def test_nothing_is_acknowledged_before_it_is_durable(caller):
    promise: Future = Future()
    caller.shop.events.submit = lambda events: promise

    async def scene() -> httpx.Response:
        body = [{"type": "view", "item": "1", "user": "u"}]
        sending = asyncio.create_task(caller.http.post("/v1/events", json=body, headers={"X-API-Key": caller.key}))
        await asyncio.sleep(0.05)
        assert not sending.done(), "acknowledged before the commit"
        promise.set_exception(StoreError("the disk is full"))
        return await sending

    answer = caller.runner.run(scene())
    assert answer.status_code == 507
    assert answer.json()["type"] == "urn:bodega:StoreError"


def test_items_come_and_go(caller):
    answer = caller(
        "POST",
        "/v1/items",
        json=[{"id": "n/1", "title": "New", "price": 3}, {"title": "no id"}, {"id": "x", "price": -1}],
    )
    assert answer.status_code == 200
    assert answer.json()["added"] == 1
    assert [dead["index"] for dead in answer.json()["dead"]] == [1, 2]
    assert caller("GET", "/v1/items/n%2F1").json()["title"] == "New"
    assert caller("DELETE", "/v1/items/n%2F1").json() == {"deleted": 1}
    missing = caller("DELETE", "/v1/items/n%2F1")
    assert missing.status_code == 404
    assert missing.json()["type"] == "urn:bodega:UnknownItem"
    assert caller("DELETE", "/v1/items", json={"ids": ["0", "1", "gone"]}).json() == {"deleted": 2}


def test_limits_answer_413(caller):
    assert caller("POST", "/v1/events", json=[{}] * 1001).status_code == 413
    big = caller("POST", "/v1/items", content=b" " * 5_000_001, headers={"Content-Type": "application/json"})
    assert big.status_code == 413
    assert big.headers["content-type"] == "application/problem+json"
    assert caller("GET", "/v1/search?q=" + "x" * 9000).status_code == 414


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/items/unknown", 404),
        ("PUT", "/v1/search", 405),
        ("GET", "/v1/events", 405),
        ("GET", "/v1/search?k=0", 400),
        ("POST", "/v1/search", 415),
    ],
)
def test_every_refusal_is_a_problem_document(caller, method, url, status):
    answer = caller(method, url, headers={"X-Request-Id": "mine-1"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:bodega:")
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"] == "mine-1"
    if status == 405:
        assert "OPTIONS" in answer.headers["allow"]


def test_an_unexpected_error_gives_an_id_and_no_more(caller, caplog):
    caller.shop.fails = RuntimeError("/etc/secret password=1")
    answer = caller("GET", "/v1/search?q=a")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    logged = [record for record in caplog.records if record.exc_info]
    assert logged[0].facts["id"] == answer.headers["x-request-id"]
    assert logged[0].facts["error"] == answer.json()["id"]


def test_paths_of_the_server_stay_in_the_log(caller):
    caller.shop.fails = NotLearned("this shop has not learned yet", where="/srv/shops/mine", next="run `bodega learn`")
    answer = caller("GET", "/v1/search?q=a")
    assert answer.status_code == 503
    assert "/srv" not in answer.text
    assert answer.json()["next"] == "run `bodega learn`"


def test_the_request_id_is_the_pages_own_or_the_callers(caller):
    answer = caller("GET", "/v1/search?q=shoe")
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert caller("GET", "/livez", headers={"X-Request-Id": "abc.1"}).headers["x-request-id"] == "abc.1"
    for bad in ("a b", "x" * 65, "é", "<script>"):
        assert caller("GET", "/livez", headers={"X-Request-Id": bad.encode()}).headers["x-request-id"] != bad


def test_the_document_lists_exactly_the_addresses_there_are(caller):
    document = caller("GET", "/openapi.json").json()
    listed = {(path, method) for path, methods in document["paths"].items() for method in methods}
    served = {
        (route.path.replace("{segment:str}", "{item_id}").replace(":str}", "}").replace(":path}", "}"), method.lower())
        for route in caller.app.routes
        for method in route.methods
        if method != "OPTIONS"
    }
    assert listed == served
    assert {each.name for each in OPERATIONS} == {
        handler.name for route in caller.app.routes for handler in route.route_handlers if handler.name
    }


def test_the_document_resolves_and_names_the_scope_that_is_enforced(caller):
    document = caller("GET", "/openapi.json").json()
    text = msgspec.json.encode(document).decode()
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]
    scopes = {
        handler.name: handler.opt.get("scope", "")
        for route in caller.app.routes
        for handler in route.route_handlers
        if handler.name
    }
    assert {each.name: each.scope for each in OPERATIONS} == scopes


def test_a_full_queue_is_refused_with_retry_after():
    shop = CannedShop(ITEMS, Settings(serve=Serve(waiting=0)))
    with closing(Caller(shop)) as caller:
        answer = caller("GET", "/v1/search?q=a")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["type"] == "urn:bodega:Overloaded"
