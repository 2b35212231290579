"""What a program sees of search over HTTP: what was understood, who it is for, and an answer to anything sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

import bodega
from bodega.engine import served
from bodega.engine.shop import Shop
from bodega.schema import Event, EventType, Item, Match, Phrase, Redirect, Rule, Segment, SegmentKind, ShowBanner, When
from bodega.service.app import create_app

START = datetime(2026, 9, 1, tzinfo=UTC)
SETTINGS = """
name = "Surface"
currency = "EUR"
[understand]
people = 3
teacher = "none"
"""
Ask = Callable[..., httpx.Response]


def goods() -> list[Item]:
    return [
        Item(
            id=f"{kind}-{colour}-{material}-{brand}".lower(),
            title=f"{brand} {colour} {material} {kind}",
            description="A long text about how it was made and how it should be washed.",
            brand=brand,
            category=("Clothes", kind.title()),
            price=float(10 + 7 * (number % 11)),
            currency="EUR",
            attributes={"color": colour, "material": material},
        )
        for number, (kind, colour, material, brand) in enumerate(
            (kind, colour, material, brand)
            for kind in ("dress", "shirt")
            for colour in ("Red", "Blue")
            for material in ("Silk", "Cotton", "Linen")
            for brand in ("Acme", "Bolt")
        )
    ]


def visits() -> list[Event]:
    """Thirty people search dresses; half of them only ever buy Acme, the others Bolt; then they look for shirts."""
    events = []
    for number in range(30):
        brand = ("acme", "bolt")[number % 2]
        person = {"user": f"{brand}-{number}", "session": f"v{number}"}
        moment = START + timedelta(hours=7 * number)
        for step, colour in enumerate(("red", "blue", "red")):
            item = f"dress-{colour}-cotton-{brand}"
            for kind in (EventType.CLICK, EventType.PURCHASE):
                events.append(
                    Event(
                        id=f"{number}-{step}-{kind}",
                        type=kind,
                        time=moment + timedelta(minutes=3 * step + (kind is EventType.PURCHASE)),
                        item=item,
                        query=f"{colour} dress",
                        **person,
                    )
                )
        events.append(
            Event(id=f"{number}-s", type=EventType.SEARCH, time=moment + timedelta(minutes=20), query="shirt", **person)
        )
    return events


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("surface") / "shop"
    folder.mkdir()
    (folder / "bodega.toml").write_text(SETTINGS, "utf-8")
    with bodega.open(folder) as opened:
        opened.catalog.upsert(goods())
        opened.events.record(visits())
        assert opened.learn().published
        opened.rules.put(
            Rule(
                id="vip-dresses",
                when=When(
                    queries=(Phrase("dress", Match.CONTAINS),), segments=(Segment(SegmentKind.NAMED, name="vip"),)
                ),
                then=(ShowBanner("For you: <b>first choice</b>", "/vip"),),
            ),
            Rule(id="help", when=When(queries=(Phrase("return policy"),)), then=(Redirect("/help/returns"),)),
            who="test",
        )
        yield opened


@pytest.fixture(scope="module")
def ask(shop: Shop) -> Iterator[Ask]:
    """GET with query parameters, or POST with `json`."""
    key = shop.keys.create("test", ["search", "admin"])
    with TestClient(create_app(shop), base_url="http://127.0.0.1:7700", raise_server_exceptions=False) as client:

        def asks(path: str = "/v1/search", body: object = None, **query: object) -> httpx.Response:
            headers = {"X-API-Key": key}
            if body is not None:
                return client.post(
                    path, content=json.dumps(body), headers=headers | {"Content-Type": "application/json"}
                )
            return client.get(path, params=query, headers=headers)

        yield asks


def ids(answer: httpx.Response) -> list[str]:
    return [hit["id"] for hit in answer.json()["hits"]]


def plain(answer: httpx.Response) -> bytes:
    """The page without what names this very answer."""
    page = answer.json()
    assert page.pop("request_id")
    assert page.pop("took_ms") >= 0
    return json.dumps(page).encode()


def test_a_page_says_what_was_understood_and_keeps_to_it(ask: Ask) -> None:
    page = ask(q="red dress under 50 not silk", facets="brand,price", k=100).json()
    said = {meaning["kind"]: meaning for meaning in page["understood"]}
    assert {"colour", "price", "not"} <= set(said)
    assert said["price"]["high"] == 50
    assert said["price"]["hard"]
    assert "red dress under 50 not silk"[said["price"]["start"] : said["price"]["end"]] == "under 50"
    assert page["hits"]
    for hit in page["hits"]:
        assert hit["document"]["price"] <= 50
        assert hit["document"]["attributes"]["material"] != "Silk"
    (price,) = [facet for facet in page["facets"] if facet["field"] == "price"]
    assert price["high"] <= 50


def test_a_correction_is_told_and_verbatim_takes_it_back(ask: Ask) -> None:
    mended = ask(q="blue dreses").json()
    assert mended["corrected"] == "blue dress"
    as_typed = ask(q="blue dreses", verbatim="true").json()
    assert as_typed["corrected"] == ""
    assert as_typed["understood"] == []
    by_post = ask(body={"query": "blue dreses", "verbatim": True})
    assert ids(by_post) == [hit["id"] for hit in as_typed["hits"]]


def test_what_is_given_up_is_named(ask: Ask) -> None:
    met = ask(q="cotton dress under 40 euro", k=5).json()
    assert met["hits"]
    assert "price" not in met["relaxed"]
    given_up = ask(q="cotton dress under 9 euro", k=5).json()
    assert given_up["hits"]
    assert given_up["relaxed"][0] == "price"
    assert "price" not in {meaning["kind"] for meaning in given_up["understood"]}


def test_banners_redirects_and_segments(ask: Ask) -> None:
    assert ask(q="return policy").json()["redirect"] == "/help/returns"
    assert ask(q="dress").json()["banners"] == []
    told = ask(q="dress", segment=["early", "vip"]).json()
    assert told["banners"] == [{"text": "For you: <b>first choice</b>", "url": "/vip", "rule": "vip-dresses"}]
    assert told["rules"] == ["vip-dresses"]
    assert ask(body={"query": "dress", "segments": ["vip"]}).json()["rules"] == ["vip-dresses"]


def test_next_queries_come_with_the_page(ask: Ask) -> None:
    assert "shirt" in ask(q="red dress").json()["related"]


def test_people_get_their_own_order_and_without_it_the_same_bytes(ask: Ask, shop: Shop) -> None:
    for query in ("dress", "red dress", "shirt", "red dress under 60 not silk", "dreses", ""):
        common = {"q": query, "facets": "brand,color,price", "personal": "false", "k": 24}
        everybody = [plain(ask(user=user, **common)) for user in ("acme-0", "bolt-1", "nobody-yet")]
        everybody.append(plain(ask(session="v1", **common)))
        everybody.append(plain(ask(**common)))
        assert len(set(everybody)) == 1, query
    acme, bolt = (ask(q="dress", user=user) for user in ("acme-0", "bolt-1"))
    assert ids(acme) != ids(bolt)
    assert sorted(ids(acme)) == sorted(ids(bolt)), "the order is personal, the matches are not"
    assert ids(acme)[0].endswith("acme")
    assert ids(bolt)[0].endswith("bolt")
    assert shop.search("dress", user="acme-0").ids == ids(acme)
    assert shop.search("dress", user="acme-0", personal=False).ids == shop.search("dress").ids


def test_completions_follow_the_shopper_unless_told_not_to(ask: Ask, shop: Shop) -> None:
    def texts(**who: str) -> list[str]:
        answer = ask("/v1/suggest", q="bl", k=20, **who)
        assert answer.status_code == 200, answer.text
        return [each["text"] for each in answer.json()["suggestions"]]

    assert texts() == texts(user="bolt-1", personal="false") == [each.text for each in shop.suggest("bl", 20)]
    assert texts(user="acme-0") != texts(user="bolt-1")
    assert sorted(texts(user="acme-0")) == sorted(texts())
    assert ask("/v1/suggest", q="bl", sort="price_up").status_code == 400


ODD = {
    "empty": "",
    "blanks": " \t\u3000 ",
    "control": "red\x00dress\x07\x1b[31m\r\n",
    "right to left": "\u202efilm ssserd \u0641\u0633\u062a\u0627\u0646",
    "emoji": "👗🧵👩‍👩‍👧‍👦",
    "mixed": "红色 dress платье ドレス ÄÖß",
    "sql": "'; DROP TABLE items; -- ",
    "sql or": '" OR 1=1 UNION SELECT * FROM keys --',
    "markup": "<script>alert(1)</script> {{7*7}} ${jndi:ldap://x}",
    "operators": 'title:* AND (((( "unclosed ~5 ^2 [a TO b] \\',
    "marks": "!?*&%$#@-_=+",
    "no end": "a" * 2_000,
    "many words": "red " * 500,
    "combining": "e" + "\u0301" * 500,
    "zero width": "d\u200br\u200be\u200bs\u200bs",
    "alone": "\ufffe\uffff",
    "number": "9" * 400,
    "negations": "not " * 100 + "-" * 50,
    "prices": "under 1e309 over -5 between 50 and 10 $ € ¥ under under",
}


@pytest.mark.parametrize("query", ODD.values(), ids=ODD)
def test_any_text_gets_a_page(ask: Ask, query: str) -> None:
    for answer in (ask(q=query), ask(body={"query": query}), ask(q=query, verbatim="true", facets="*")):
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["query"] == query
        assert page["total"] >= len(page["hits"])
    assert ask("/v1/suggest", q=query).status_code == 200
    assert ask("/v1/facets", q=query, field="brand").status_code == 200


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "10 kB": ({"q": "dress " * 1_700}, "8,192 bytes"),
    "3 kB": ({"q": "dress " * 500}, "2,000"),
    "page 10,000": ({"q": "dress", "k": 20, "offset": 200_000}, "offset"),
    "no hits": ({"q": "dress", "k": 0}, "k"),
    "unknown field": ({"q": "dress", "where": "colr = red"}, "color"),
    "broken expression": ({"q": "dress", "where": "brand = AND ("}, "where"),
    "sql in where": ({"q": "dress", "where": "1=1; DROP TABLE items"}, "filter expression"),
    "code in where": ({"q": "dress", "where": "__import__('os').system('ls')"}, "filter expression"),
    "unknown filter": ({"q": "dress", "filter": "colr:red"}, "brand"),
    "facet on free text": ({"q": "dress", "facets": "description"}, "facet"),
    "unknown facet": ({"q": "dress", "facets": "nothing"}, "facet"),
    "sort by text": ({"q": "dress", "sort_by": "brand"}, "sort"),
    "verbatim maybe": ({"q": "dress", "verbatim": "perhaps"}, "bool"),
    "unknown parameter": ({"q": "dress", "limit": 5}, "limit"),
}


@pytest.mark.parametrize(("query", "names"), BAD.values(), ids=BAD)
def test_what_cannot_be_meant_is_refused_and_says_what_could(ask: Ask, query: dict[str, Any], names: str) -> None:
    answer = ask(**query)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["detail"]
    assert problem.get("allowed") or problem.get("next")
    assert names in answer.text


def test_a_body_of_10_kb_is_refused_like_an_address(ask: Ask) -> None:
    answer = ask(body={"query": "dress " * 1_700})
    assert answer.status_code == 400
    assert "characters" in answer.json()["where"]


def test_the_encoder_is_named_wherever_the_shop_describes_itself(ask: Ask, shop: Shop) -> None:
    health = shop.health()
    assert health["encoders"]["dense"]["name"] == "static"
    assert health["encoders"]["dense"]["digest"]
    assert ask("/readyz").json()["encoders"] == {"dense": "static"}
    assert shop.snapshots()[-1].facts["encoders"]["dense"] == {
        name: list(value) if isinstance(value, tuple) else value for name, value in health["encoders"]["dense"].items()
    }


def test_the_document_describes_what_may_be_asked_and_what_a_page_says(ask: Ask) -> None:
    document = ask("/openapi.json").json()
    page = document["components"]["schemas"]["Page"]["properties"]
    for name in ("understood", "relaxed", "corrected", "redirect", "banners", "rules", "related"):
        assert page[name]["description"], name
    assert document["components"]["schemas"]["Meaning"]["properties"]["excludes"]["description"]

    def asked(path: str) -> set[str]:
        return {each["name"] for each in document["paths"][path]["get"]["parameters"]}

    assert {"verbatim", "where", "sort_by", "facet_query", "segment", "personal"} <= asked("/v1/search")
    assert {"user", "session", "personal"} <= asked("/v1/suggest")


def test_changes_that_wait_for_the_next_learn_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "DELTA_LIMIT", 3)
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "bodega.toml").write_text(SETTINGS, "utf-8")
    with bodega.open(folder) as opened:
        opened.catalog.upsert(goods()[:5])
        opened.learn()
        new = [Item(id=f"new-{number}", title=f"New hat {number}") for number in range(4)]
        opened.catalog.upsert(new[:2])
        assert opened.health()["changes_waiting"] == 0
        assert len(opened.search("new hat")) == 2
        opened.catalog.upsert(new)
        assert opened.health()["changes_waiting"] == 2
        (warning,) = opened.health()["warnings"]
        assert "2 changed items wait" in warning
        assert "bodega learn" in warning
        assert warning in opened.search("new hat").degraded
        opened.catalog.delete(["new-3"])
        assert any("1 changed items wait" in note for note in opened.search("hat").degraded)
        opened.learn()
        assert opened.health()["changes_waiting"] == 0
        page = opened.search("new hat")
        assert not any("wait" in note for note in page.degraded)
        assert sorted(page.ids) == ["new-0", "new-1", "new-2"]
