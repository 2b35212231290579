"""Answers of Algolia's addresses over a learned shop, asked as InstantSearch and the client libraries ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodega.schema import Banner, Item, Page, Request
from bodega.service.app import create_app
from bodega.settings import Algolia, Serve, Settings
from bodega.testing.canned import CannedShop
from bodega.testing.fakes import MemoryKeys

MARKS = {"highlightPreTag": "__ais-highlight__", "highlightPostTag": "__/ais-highlight__"}
LEVELS = [f"hierarchicalCategories.lvl{level}" for level in range(3)]


class Caller:
    """Asks an application as a browser page of another origin does: a text body, the key in the address."""

    def __init__(self, shop: Any, scopes: tuple[str, ...] = ("search", "events")) -> None:
        self.key = shop.keys.create("test", scopes)
        self.runner = asyncio.Runner()
        app = create_app(shop)
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 5), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7700")

    def send(self, method: str, path: str, **how: Any) -> httpx.Response:
        return self.runner.run(self.http.request(method, path, **how))

    def raw(self, path: str, body: bytes, kind: str = "text/plain") -> httpx.Response:
        asked = {"x-algolia-api-key": self.key, "x-algolia-application-id": "bodega", "x-algolia-agent": "test"}
        return self.send("POST", f"{path}?{urlencode(asked)}", content=body, headers={"content-type": kind})

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.raw(path, json.dumps(body).encode())

    def many(self, *requests: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.post(
            "/1/indexes/*/queries", {"requests": [{"indexName": "products", **each} for each in requests]}
        )
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        assert len(results) == len(requests)
        return results

    def one(self, **parameters: Any) -> dict[str, Any]:
        return self.many(parameters)[0]

    def close(self) -> None:
        self.runner.run(self.http.aclose())
        self.runner.close()


def front(shop: Any, **changed: Any) -> Any:
    """The learned shop with keys of its own: it is shared, and must not be written to."""
    own = (
        "folder",
        "catalog",
        "events",
        "stores",
        "answer",
        "suggest",
        "fields",
        "values",
        "health",
        "reload",
        "privacy",
    )
    names = (
        *own,
        "restock",
        "snapshots",
        "rules",
        "published",
        "knowledge",
        "reviews",
        "relations",
        "connections",
        "front",
        "experiments",
        "steering",
        "insight",
        "judgments",
        "loop",
        "office",
        "answering",
    )
    held = {name: getattr(shop, name) for name in names if hasattr(shop, name)}
    held["settings"] = msgspec.structs.replace(shop.settings, serve=Serve(burst=100_000, requests_per_second=100_000))
    return SimpleNamespace(**held, keys=MemoryKeys(), **changed)


@pytest.fixture(scope="module")
def ask(small_shop: Any) -> Iterator[Caller]:
    with closing(Caller(front(small_shop))) as made:
        yield made


@pytest.fixture(scope="module")
def word(small_world: Any) -> str:
    kind: str = small_world.truth.kinds[0]
    return kind


def products(items: list[Item]) -> int:
    return len({item.group or item.id for item in items})


def test_what_instantsearch_sends_for_a_word(ask, small_shop, word):
    asked = {
        "clickAnalytics": True,
        "facets": ["brand", *LEVELS, "price"],
        **MARKS,
        "hitsPerPage": 12,
        "maxValuesPerFacet": 20,
        "page": 0,
        "query": word,
        "userToken": "anonymous-4f1c",
    }
    got = ask.one(**asked)
    page = small_shop.answer(Request(place="search", query=word, session="anonymous-4f1c", k=12))
    assert [hit["objectID"] for hit in got["hits"]] == page.ids
    assert (got["nbHits"], got["page"], got["hitsPerPage"]) == (page.total, 0, 12)
    assert got["nbPages"] == -(-page.total // 12)
    assert (got["query"], got["index"]) == (word, "products")
    assert isinstance(got["processingTimeMS"], int)
    assert len(got["queryID"]) == 16
    assert {hit["queryID"] for hit in got["hits"]} == {got["queryID"]}
    assert got["exhaustiveNbHits"] is got["exhaustiveFacetsCount"] is True
    assert got["renderingContent"] == {}
    first = got["hits"][0]
    item = small_shop.catalog.get(first["objectID"])
    assert (first["title"], first["name"], first["brand"], first["price"]) == (
        item.title,
        item.title,
        item.brand,
        item.price,
    )
    assert first["categories"] == list(item.category)
    assert first["hierarchicalCategories"]["lvl0"] == item.category[0]
    assert first["hierarchicalCategories"]["lvl1"] == " > ".join(item.category[:2])
    assert first["in_stock"] is item.available
    assert all(first[name] == value for name, value in item.attributes.items())
    title = first["_highlightResult"]["title"]
    assert title["matchLevel"] == "full"
    assert title["value"].count("__ais-highlight__") == 1
    prices = got["facets_stats"]["price"]
    assert prices["min"] <= prices["avg"] <= prices["max"]
    assert got["facets"]["price"] == {}


def test_old_clients_send_one_string_and_get_the_same(ask, word):
    facets = ["brand", "price"]
    new = ask.one(query=word, hitsPerPage=3, facets=facets, facetFilters=[["brand:-Nobody"]], page=1)
    text = urlencode(
        {
            "query": word,
            "hitsPerPage": 3,
            "facets": json.dumps(facets),
            "facetFilters": '[["brand:-Nobody"]]',
            "page": 1,
        }
    )
    for parameters in (
        {"params": text},
        {"params": {"query": word, "hitsPerPage": "3", "facets": "brand,price", "page": 1}},
    ):
        old = ask.one(**parameters)
        assert [hit["objectID"] for hit in old["hits"]] == [hit["objectID"] for hit in new["hits"]]
        assert old["facets"] == new["facets"]
    assert ask.one(params=text)["params"].startswith(f"query={word}")
    body = json.dumps({"params": text}).encode()
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain;charset=UTF-8"):
        single = ask.raw("/1/indexes/products/query", body, kind).json()
        assert [hit["objectID"] for hit in single["hits"]] == [hit["objectID"] for hit in new["hits"]]
    headers = {"X-Algolia-API-Key": ask.key, "X-Algolia-Application-Id": "bodega"}
    by_address = ask.send("GET", f"/1/indexes/products?{text}", headers=headers).json()
    assert by_address["facets"] == new["facets"]


def test_facets_are_counted_among_what_meets_every_condition(ask, word):
    """The three requests of a page with a ticked brand: the list, and each ticked list without its own tick."""
    free = ask.one(query=word, facets=["brand", "price"], hitsPerPage=0)
    brand, count = next(iter(free["facets"]["brand"].items()))
    ticked, without = ask.many(
        {"query": word, "facets": ["brand", "price"], "facetFilters": [[f"brand:{brand}"]]},
        {"query": word, "facets": "brand", "hitsPerPage": 0, "page": 0, "analytics": False, "clickAnalytics": False},
    )
    assert ticked["facets"]["brand"] == {brand: count}
    assert ticked["nbHits"] == count
    assert {hit["brand"] for hit in ticked["hits"]} == {brand}
    assert without["facets"]["brand"] == free["facets"]["brand"]
    assert without["hits"] == []
    assert without["hitsPerPage"] == without["nbPages"] == 0
    assert "queryID" not in without


@pytest.mark.parametrize("query", ["", "WORD", "fresh food for breakfast"])
def test_every_count_is_the_number_of_hits_it_leads_to(ask, word, query):
    query = query.replace("WORD", word)
    names = ["brand", "hierarchicalCategories.lvl0", "kind", "seller", "available", "grams"]
    free = ask.one(query=query, facets=names, hitsPerPage=0)
    asked, promised = [], []
    for name in names:
        for value, count in list(free["facets"].get(name, {}).items())[:6]:
            asked.append({"query": query, "facetFilters": [f"{name}:{value}"], "hitsPerPage": 0})
            promised.append((name, value, count))
    results = [each for start in range(0, len(asked), 50) for each in ask.many(*asked[start : start + 50])]
    assert [each["nbHits"] for each in results] == [count for _, _, count in promised], promised
    assert promised


def test_the_tree_is_asked_level_by_level(ask, small_world):
    """What InstantSearch sends for a chosen path of two levels: the list, then each level above it."""
    items = [item for item in small_world.items if len(item.category) > 1]
    root, leaf = items[0].category[:2]
    path = f"{root} > {leaf}"
    main, roots, parents = ask.many(
        {"query": "", "facets": LEVELS, "facetFilters": [[f"hierarchicalCategories.lvl1:{path}"]]},
        {"query": "", "facets": LEVELS[:1], "hitsPerPage": 0},
        {"query": "", "facets": LEVELS[:2], "facetFilters": [f"hierarchicalCategories.lvl0:{root}"], "hitsPerPage": 0},
    )
    below = [item for item in items if item.category[0] == root]
    assert main["nbHits"] == products([item for item in items if item.category[:2] == (root, leaf)])
    assert main["facets"]["hierarchicalCategories.lvl1"] == {path: main["nbHits"]}
    assert roots["facets"]["hierarchicalCategories.lvl0"][root] == products(below)
    assert set(roots["facets"]["hierarchicalCategories.lvl0"]) == {item.category[0] for item in items}
    assert parents["facets"]["hierarchicalCategories.lvl1"] == {
        f"{root} > {name}": products([item for item in below if item.category[1] == name])
        for name in {item.category[1] for item in below}
    }
    by_step = ask.one(query="", facetFilters=[f"categories:{leaf}"], hitsPerPage=0)
    assert by_step["nbHits"] == products([item for item in items if leaf in item.category])


def test_spans_of_numbers_are_those_of_the_items(ask, small_world):
    prices = np.array([item.price for item in small_world.items], float)
    stats = ask.one(query="", facets=["price"], hitsPerPage=0)["facets_stats"]["price"]
    assert stats["min"] == pytest.approx(prices.min())
    assert stats["max"] == pytest.approx(prices.max())
    assert stats["avg"] == pytest.approx(prices.mean(), rel=1e-5)
    assert stats["sum"] == pytest.approx(prices.sum(), rel=1e-5)
    middle = float(np.median(prices))
    cut = ask.one(query="", numericFilters=[f"price>={middle}", "price<=1000000"], hitsPerPage=1_000)
    assert {hit["objectID"] for hit in cut["hits"]} <= {item.id for item in small_world.items if item.price >= middle}
    assert cut["nbHits"] == products([item for item in small_world.items if item.price >= middle])


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("brand:'BRAND' AND price < 5", lambda item, brand: item.brand == brand and item.price < 5),
        ("NOT brand:'BRAND' AND (price < 2 OR price >= 5)",
         lambda item, brand: item.brand != brand and (item.price < 2 or item.price >= 5)),
        ("price:2 TO 5 OR brand:'BRAND'", lambda item, brand: 2 <= item.price <= 5 or item.brand == brand),
        ("nobody:x OR brand:'BRAND'", lambda item, brand: item.brand == brand),
        ("NOT nobody:x", lambda item, brand: True),
        ("nobody:x", lambda item, brand: False),
    ],
)  # fmt: skip
def test_filter_strings_keep_what_they_say(ask, small_world, text, keep):
    brand = small_world.items[0].brand
    got = ask.one(query="", filters=text.replace("BRAND", brand), hitsPerPage=1_000)
    kept = [item for item in small_world.items if keep(item, brand)]
    assert got["nbHits"] == products(kept)
    assert {hit["objectID"] for hit in got["hits"]} <= {item.id for item in kept}


def test_paging_ends_where_it_says(ask, small_world):
    total = products(small_world.items)
    pages = ask.many(*({"query": "", "page": page, "hitsPerPage": 50} for page in range(4)))
    seen = [hit["objectID"] for page in pages for hit in page["hits"]]
    assert len(seen) == len(set(seen)) == total
    assert [page["nbPages"] for page in pages] == [-(-total // 50)] * 4
    assert pages[3]["hits"] == []
    cut = ask.one(query="", offset=10, length=5)
    assert [hit["objectID"] for hit in cut["hits"]] == seen[10:15]
    assert (cut["offset"], cut["length"]) == (10, 5)
    far = ask.one(query="", page=10_000, hitsPerPage=1_000)
    assert (far["hits"], far["nbHits"], far["page"]) == ([], total, 10_000)
    assert ask.post("/1/indexes/products/query", {"hitsPerPage": 1_001}).status_code == 400
    assert ask.post("/1/indexes/products/query", {"page": -1}).status_code == 400


def test_replicas_are_the_same_index_in_another_order(ask):
    by_name = {
        name: ask.many({"indexName": name, "query": "", "hitsPerPage": 1_000})[0]
        for name in ("products", "products_price_asc", "products_price_desc", "products_newest")
    }
    assert len({each["nbHits"] for each in by_name.values()}) == 1
    for name, direction in (("products_price_asc", 1), ("products_price_desc", -1)):
        prices = [hit["price"] * direction for hit in by_name[name]["hits"] if hit["in_stock"]]
        assert prices == sorted(prices)
    made = [hit["created_at"] for hit in by_name["products_newest"]["hits"] if hit["in_stock"]]
    assert made == sorted(made, reverse=True)


def test_indexes_are_named_by_settings():
    shop = CannedShop(
        [Item(id="1", title="Shoe")], Settings(algolia=Algolia(index="prod, old", price_asc="{index}_cheap,x"))
    )
    with closing(Caller(shop)) as ask:
        for name, order in (("prod", "relevance"), ("old", "relevance"), ("prod_cheap", "price_up"), ("x", "price_up")):
            assert ask.post(f"/1/indexes/{name}/query", {"query": "shoe"}).json()["nbHits"] == 1
            assert shop.asked[-1].sort == order
        missing = ask.post("/1/indexes/products/query", {})
    assert missing.status_code == 404
    assert missing.json()["message"].startswith("Index products does not exist")


def test_values_of_a_facet_can_be_searched(ask, small_world):
    brand = small_world.items[0].brand
    typed = brand[:4].lower()
    found = ask.post("/1/indexes/products/facets/brand/query", {"facetQuery": typed}).json()
    hit = next(each for each in found["facetHits"] if each["value"] == brand)
    assert hit["count"] == products([item for item in small_world.items if item.brand == brand])
    assert hit["highlighted"].lower().startswith(f"<em>{typed.split()[0]}")
    assert found["exhaustiveFacetsCount"] is True
    within = ask.one(type="facet", facet="brand", facetQuery=typed, facetFilters=[f"brand:-{brand}"])
    assert brand not in [each["value"] for each in within["facetHits"]]
    string = ask.one(type="facet", facet="brand", params=urlencode({"facetQuery": typed, "maxFacetHits": 1}))
    assert len(string["facetHits"]) == 1
    misspelt = brand[:2] + brand[3] + brand[2] + brand[4:]
    assert brand in [each["value"] for each in ask.one(type="facet", facet="brand", facetQuery=misspelt)["facetHits"]]
    everything = ask.one(type="facet", facet="brand", facetQuery="", maxFacetHits=100)["facetHits"]
    assert {each["value"] for each in everything} == {item.brand for item in small_world.items if item.brand}
    assert ask.one(type="facet", facet="nobody", facetQuery="x")["facetHits"] == []


def test_unknown_facets_are_left_out_and_a_star_offers_the_useful_ones(ask):
    got = ask.one(query="", facets=["nobody", "brand", "searchable(kind)"])
    assert list(got["facets"]) == ["brand", "searchable(kind)"]
    star = ask.one(query="", facets=["*"])
    order = star["renderingContent"]["facetOrdering"]["facets"]["order"]
    assert list(star["facets"]) == order
    assert {"brand", "price", "hierarchicalCategories.lvl0"} <= set(order)


def test_only_what_was_asked_is_in_a_hit_and_in_an_answer(ask, word):
    hit = ask.one(query=word, attributesToRetrieve=["title", "-brand"], attributesToHighlight=["brand"])["hits"][0]
    assert set(hit) == {"objectID", "title", "_highlightResult"}
    assert set(hit["_highlightResult"]) == {"brand"}
    hit = ask.one(query=word, attributesToRetrieve=["*", "-description"], attributesToHighlight=[])["hits"][0]
    assert "description" not in hit
    assert "_highlightResult" not in hit
    hit = ask.one(query=word, attributesToSnippet=["description:2"], snippetEllipsisText="..", getRankingInfo=True)[
        "hits"
    ][0]
    assert len(hit["_snippetResult"]["description"]["value"].replace("<em>", "").split()) <= 4
    assert hit["_rankingInfo"]["why"][0]["source"]
    assert set(ask.one(query=word, responseFields=["nbHits", "query"])) == {"nbHits", "query"}


def test_one_record_by_its_id(ask, small_shop, small_world):
    item = small_world.items[0]
    headers = {"x-algolia-api-key": ask.key}
    whole = ask.send("GET", f"/1/indexes/products/{item.id}", headers=headers).json()
    assert (whole["objectID"], whole["title"]) == (item.id, item.title)
    part = ask.send("GET", f"/1/indexes/products/{item.id}?attributesToRetrieve=brand", headers=headers).json()
    assert part == {"objectID": item.id, "brand": item.brand}
    missing = ask.send("GET", "/1/indexes/products/nothing", headers=headers)
    assert missing.status_code == 404
    assert missing.json()["message"].startswith("ObjectID does not exist")


def test_an_odd_id_is_one_segment():
    odd = "sku/7/😀 %2F?#&.."
    with closing(Caller(CannedShop([Item(id=odd, title="Odd")]))) as ask:
        address = httpx.URL("http://x").copy_with(raw_path=f"/1/indexes/products/{_quoted(odd)}".encode())
        got = ask.send("GET", f"/1/indexes/products/{_quoted(odd)}", headers={"x-algolia-api-key": ask.key})
    assert address.raw_path.count(b"/") == 4
    assert got.json()["objectID"] == odd


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def test_enough_matches_stop_the_batch(ask, word):
    body = {
        "strategy": "stopIfEnoughMatches",
        "requests": [{"indexName": "products", "query": text, "hitsPerPage": 2} for text in ("zzqqxx", word, word)],
    }
    none, enough, spared = ask.post("/1/indexes/*/queries", body).json()["results"]
    assert (none["nbHits"], enough["nbHits"] >= 2) == (0, True)
    assert spared["processed"] is False
    assert spared["hits"] == []
    assert "processed" not in enough


def test_rules_speak_through_algolias_own_fields():
    shop = CannedShop([Item(id="1", title="Shoe")])
    plain = shop.answer(Request(place="search", query="shoe"))
    page: Page = msgspec.structs.replace(
        plain, redirect="/sale", banners=(Banner(text="Sale", url="/sale", rule="r1"),), rules=("r1",), corrected="shoe"
    )
    shop.answer = lambda request: page  # type: ignore[method-assign]
    with closing(Caller(shop)) as ask:
        got = ask.one(query="sheo")
    assert got["renderingContent"] == {"redirect": {"url": "/sale"}}
    assert got["userData"] == [{"text": "Sale", "url": "/sale", "rule": "r1"}]
    assert got["appliedRules"] == [{"objectID": "r1"}]
    assert got["bodega"]["corrected"] == "shoe"
    assert got["hits"][0]["_highlightResult"]["title"]["value"] == "<em>Shoe</em>"


def test_who_asks_reaches_the_engine():
    shop = CannedShop([Item(id="1", title="Shoe")])
    with closing(Caller(shop)) as ask:
        ask.many(
            {"query": "shoe", "userToken": "anonymous-1"},
            {"query": "shoe", "userToken": "u42", "enablePersonalization": False, "ruleContexts": ["vip"]},
            {"query": "shoe", "typoTolerance": False, "queryLanguages": ["zh", "en"]},
        )
    first, second, third = shop.asked
    assert (first.user, first.session, first.personal) == ("", "anonymous-1", True)
    assert (second.user, second.session, second.personal, second.segments) == ("u42", "", False, ("vip",))
    assert (third.verbatim, third.language) == (True, "zh")


def test_errors_are_algolias_with_or_without_a_key(ask):
    for got in (
        ask.send("POST", "/1/indexes/products/query", json={}),
        ask.send("POST", "/1/indexes/products/query", json={}, headers={"x-algolia-api-key": "bodega_" + "x" * 43}),
        ask.send("GET", "/1/keys", headers={"x-algolia-api-key": ask.key}),
        ask.send("DELETE", "/1/indexes/products", headers={"x-algolia-api-key": ask.key}),
        ask.send("GET", "/1/indexes/products?" + "x" * 9_000, headers={"x-algolia-api-key": ask.key}),
        ask.raw("/1/indexes/products/query", b"{"),
        ask.raw("/1/indexes/products/query", b"{}", "application/xml"),
        ask.post("/1/indexes/other/queries", {"requests": []}),
    ):
        assert 400 <= got.status_code < 500
        assert set(got.json()) == {"message", "status"}
        assert got.json()["status"] == got.status_code
        assert got.headers["content-type"] == "application/json"
    for scopes, path, status in (
        (("events",), "/1/indexes/products/query", 403),
        (("search",), "/1/events", 403),
    ):
        with closing(Caller(CannedShop([]), scopes)) as other:
            assert other.post(path, {}).status_code == status


def test_pages_of_named_origins_may_ask_and_others_may_not():
    origin = "http://shop.example:8000"
    shop = CannedShop([Item(id="1", title="Shoe")], Settings(serve=Serve(origins=origin)))
    with closing(Caller(shop)) as ask:
        wanted = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-algolia-api-key,x-algolia-application-id,x-algolia-agent,content-type",
        }
        preflight = ask.send("OPTIONS", "/1/indexes/*/queries", headers=wanted)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == origin
        allowed = preflight.headers["access-control-allow-headers"].lower()
        assert all(name in allowed for name in wanted["Access-Control-Request-Headers"].split(","))
        body = {"requests": [{"indexName": "products"}]}
        for key, status in ((ask.key, 200), ("bodega_wrong", 401)):
            got = ask.send(
                "POST", f"/1/indexes/*/queries?x-algolia-api-key={key}", json=body, headers={"Origin": origin}
            )
            assert got.status_code == status
            assert got.headers["access-control-allow-origin"] == origin, "an error must be readable too"
        other = {**wanted, "Origin": "http://evil.example"}
        assert "access-control-allow-origin" not in ask.send("OPTIONS", "/1/indexes/*/queries", headers=other).headers


def test_a_keyless_loopback_shop_answers_its_own_machine_but_no_foreign_page():
    shop = CannedShop([Item(id="1", title="Shoe")], Settings(serve=Serve(keyless_loopback=True)))
    with closing(Caller(shop)) as ask:
        plain = {"content-type": "text/plain"}
        body = b'{"requests":[{"indexName":"products"}]}'
        assert ask.send("POST", "/1/indexes/*/queries", content=body, headers=plain).status_code == 200
        foreign = {**plain, "Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert ask.send("POST", "/1/indexes/*/queries", content=body, headers=foreign).status_code == 401


BAD_BODIES = [
    [], "x", 5, None, {"requests": 5}, {"requests": [5]}, {"requests": [{}]}, {"requests": [{"indexName": 5}]},
    {"requests": [{"indexName": "products", "params": 5}]}, {"requests": [{"indexName": "products"}] * 51},
    {"requests": [{"indexName": "products", "type": "facet"}]},
    {"requests": [{"indexName": "products", "type": "facet", "facet": "brand", "facetQuery": {}}]},
    *({"requests": [{"indexName": "products", name: value}]} for name, value in (
        ("query", {}), ("query", "x" * 3_000), ("page", "one"), ("page", []), ("hitsPerPage", 1e9), ("hitsPerPage", -1),
        ("facets", {"a": 1}), ("facets", [5]), ("facets", ["x"] * 101), ("filters", "(" * 500),
        ("facetFilters", {"a": 1}), ("numericFilters", ["price~5"]), ("numericFilters", ["brand>5"]),
        ("tagFilters", {}), ("clickAnalytics", "perhaps"), ("userToken", "x" * 300),
        ("attributesToRetrieve", 5), ("highlightPreTag", []), ("maxValuesPerFacet", 100_000), ("length", None),
    )),
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: json.dumps(body)[:60])
def test_a_bad_body_is_refused_in_algolias_words(ask, body):
    got = ask.post("/1/indexes/*/queries", body)
    if got.status_code == 200:  # `length` alone asks nothing: ignored, as at Algolia
        assert body["requests"][0].get("length", 1) is None
        return
    assert got.status_code == 400, got.text
    assert set(got.json()) == {"message", "status"}


NAMES = st.sampled_from(
    [
        "query", "page", "hitsPerPage", "offset", "length", "facets", "filters", "facetFilters", "numericFilters",
        "tagFilters", "maxValuesPerFacet", "attributesToRetrieve", "attributesToHighlight", "attributesToSnippet",
        "highlightPreTag", "getRankingInfo", "clickAnalytics", "userToken", "responseFields", "ruleContexts",
        "queryLanguages", "typoTolerance", "enablePersonalization", "facetQuery", "maxFacetHits", "type", "facet",
        "params", "aroundLatLng", "distinct", "optionalFilters", "snippetEllipsisText",
    ]
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["brand:x", "price>5", "price:1 TO 5", "*", "-brand", "brand", "price", "hierarchicalCategories.lvl0", "[",
         '["brand"]', "NOT brand:x AND (price < 5 OR tags:a)", "categories:Dairy", "\x00", "\u202e", "1e400", "🥛",
         "true", "facet"]
    ),
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parameters=st.dictionaries(NAMES, VALUES, max_size=6), raw=st.booleans())
def test_no_parameters_make_it_fail(ask, parameters, raw):
    request: dict[str, Any] = {"indexName": "products", **({"params": urlencode(parameters)} if raw else parameters)}
    body = msgspec.json.encode({"requests": [request]})
    for path in ("/1/indexes/*/queries", "/1/indexes/products/query", "/1/indexes/products/facets/brand/query"):
        got = ask.raw(path, body if "*" in path else msgspec.json.encode(request))
        assert got.status_code < 500, got.text
        assert got.status_code == 200 or set(got.json()) == {"message", "status"}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=80), path=st.text(max_size=20))
def test_no_bytes_make_it_fail(ask, body, path):
    for address in (
        "/1/indexes/*/queries",
        f"/1/indexes/{_quoted(path)}/query",
        f"/1/indexes/products/facets/{_quoted(path)}/query",
    ):
        assert ask.raw(address, body).status_code < 500
    got = ask.send("GET", f"/1/indexes/products/{_quoted(path)}", headers={"x-algolia-api-key": ask.key})
    assert got.status_code < 500
