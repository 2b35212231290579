"""A shop with half-filled columns: it learns, its facets and filters know what texts say, a merchant decides, and new
items are known at once. Over the API, HTTP and the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

import bodega
from bodega.cli import app
from bodega.engine.shop import Shop
from bodega.errors import BadRequest
from bodega.schema import Filter, Item
from bodega.schema.facts import FactQuery
from bodega.service.app import create_app

COLOURS, NOUNS = ("Red", "Blue", "Green"), ("Lamp", "Chair", "Desk", "Shelf")


def catalog(n: int = 240) -> Iterator[Item]:
    for row in range(n):
        colour = COLOURS[row * 7 % 3]
        attributes = {"color": colour} if row % 2 else {}
        yield Item(id=f"item-{row}", title=f"{NOUNS[row % 4]} {row} {colour}", price=9.0, attributes=attributes)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("knowing") / "shop"
    folder.mkdir()
    (folder / "bodega.toml").write_text('[understand]\nencoder = "none"\nteacher = "none"\n')
    with bodega.open(folder) as made:
        made.catalog.upsert(list(catalog()))
        assert made.learn().published
        yield made


def red(shop: Shop) -> set[str]:
    page = shop.search("", k=200, filters=(Filter(field="color", values=("Red",)),))
    return {hit.id for hit in page.hits}


def test_filters_facets_and_queries_know_what_titles_say(shop: Shop) -> None:
    truly = {item.id for item in catalog() if item.title.endswith("Red")}
    assert red(shop) == truly
    page = shop.search("", facets=("color",))
    counted = {value.value: value.count for facet in page.facets for value in facet.values}
    assert counted == dict.fromkeys(COLOURS, 80)
    understood = shop.search("red desk").understood
    assert [one.field for one in understood if one.kind == "colour"] == ["color"]
    assert shop.catalog.get("item-0").attributes == {}, "documents stay what the shop sent"


def test_a_new_item_is_known_at_once(shop: Shop) -> None:
    shop.catalog.upsert([Item(id="new-1", title="Desk 999 Red", price=3.0)])
    try:
        assert "new-1" in red(shop)
    finally:
        shop.catalog.delete(["new-1"])
    assert "new-1" not in red(shop)


def test_a_rejected_fact_is_gone_at_once_and_stays_gone(shop: Shop) -> None:
    fact = shop.knowledge.facts(FactQuery(attribute="color", value="Red", limit=1))[0]
    assert fact.item in red(shop)
    shop.knowledge.decide([fact.key], False, who="kim")
    shop.restock()
    assert fact.item not in red(shop)
    shop.knowledge.mine(anew=True)
    assert [one.status for one in shop.knowledge.facts(FactQuery(item=fact.item))] == ["rejected"]
    shop.learn()
    assert fact.item not in red(shop)
    shop.knowledge.decide([fact.key], None, who="kim")
    shop.restock()
    assert fact.item in red(shop)


def test_only_what_changed_is_mined_again(shop: Shop) -> None:
    shop.knowledge.mine()
    assert shop.knowledge.mine().items == 0
    shop.catalog.upsert([Item(id="new-2", title="Desk 998 Blue")])
    report = shop.knowledge.mine()
    assert (report.items, report.anew) == (1, False)
    assert [one.value for one in shop.knowledge.facts(FactQuery(item="new-2"))] == ["Blue"]
    shop.catalog.delete(["new-2"])
    shop.knowledge.mine()
    assert shop.knowledge.facts(FactQuery(item="new-2")) == []
    shop.catalog.upsert([Item(id=f"many-{n}", title=f"Chair {n} Green") for n in range(40)])
    assert shop.knowledge.mine().anew, "a good part of the catalog changed"
    shop.catalog.delete([f"many-{n}" for n in range(40)])
    shop.knowledge.mine(anew=True)


def test_learning_twice_gives_the_same_snapshot(shop: Shop) -> None:
    assert shop.learn().snapshot == shop.learn().snapshot


def test_the_doctor_tells(shop: Shop) -> None:
    shop.catalog.upsert([Item(id="wrong", title="Desk 997 Red", attributes={"color": "Blue"})])
    shop.knowledge.mine()
    found = {one.code: one for one in shop.catalog.doctor().findings}
    assert found["missing_colour_minable"].count == 120
    assert [example.id for example in found["conflict"].examples] == ["wrong"]
    assert "wrong" not in red(shop), "what the shop says stands"
    (fact,) = shop.knowledge.facts(FactQuery(item="wrong"))
    shop.knowledge.decide([fact.key], True, who="kim")
    shop.restock()
    assert "wrong" in red(shop), "unless somebody says otherwise"
    shop.catalog.delete(["wrong"])
    shop.knowledge.mine()


def test_a_decision_for_every_item_needs_a_value(shop: Shop) -> None:
    with pytest.raises(BadRequest, match="needs a value"):
        shop.knowledge.decide_all(FactQuery(attribute="color"), True, who="kim", every_item=True)


def test_over_http(shop: Shop) -> None:
    keys = {scope: shop.keys.create(scope, [scope]) for scope in ("search", "admin")}

    async def talk() -> None:
        transport = httpx.ASGITransport(app=create_app(shop), client=("9.9.9.9", 5), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7700") as http:
            refused = await http.get("/v1/knowledge", headers={"X-API-Key": keys["search"]})
            assert refused.status_code == 403
            http.headers["X-API-Key"] = keys["admin"]
            first = (await http.get("/v1/knowledge", params={"attribute": "color", "limit": 100})).json()
            rest = (
                await http.get("/v1/knowledge", params={"attribute": "color", "limit": 100, "after": first["next"]})
            ).json()
            assert (len(first["facts"]), len(rest["facts"]), rest["next"]) == (100, 20, "")
            assert first["facts"][0]["evidence"][0]["field"] == "title"
            counts = (await http.get("/v1/knowledge/counts")).json()["counts"]
            assert [one["facts"] for one in counts if one["attribute"] == "color"] == [120]
            every = {"accepted": False, "attribute": "color", "value": "Green", "every_item": True}
            assert (await http.post("/v1/knowledge/decide", json=every)).json() == {"changed": 1}
            green = (await http.get("/v1/knowledge", params={"value": "Green", "status": "rejected"})).json()["facts"]
            assert len(green) == 40
            assert shop.search("", filters=(Filter(field="color", values=("Green",)),)).total == 40
            await http.post("/v1/knowledge/decide", json=every | {"accepted": None})
            assert shop.search("", filters=(Filter(field="color", values=("Green",)),)).total == 80
            for bad in ({"status": "maybe"}, {"least": "2"}, {"after": "!"}, {"conflicts": "1"}, {"colour": "red"}):
                answer = await http.get("/v1/knowledge", params=bad)
                assert answer.status_code == 400, bad
            for body in ({"accepted": True}, {"accepted": "yes", "value": "x"}, {"accepted": True, "facts": [{}]}):
                answer = await http.post("/v1/knowledge/decide", json=body)
                assert answer.status_code == 400, body

    asyncio.run(talk())


def test_on_the_command_line(shop: Shop) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(app, ["knowledge", *words, "--shop", str(shop.folder)])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert json.loads(run("mine", "--json"))["anew"] is False
    assert len(json.loads(run("list", "-a", "color", "-v", "Blue", "--json"))["facts"]) == 40
    assert "Red" in run("list", "--limit", "3")
    assert "title" in run("show", "item-0")
    assert json.loads(run("accept", "-i", "item-0", "--json")) == {"changed": 1}
    assert json.loads(run("reject", "-i", "item-0", "--json")) == {"changed": 1}
    assert json.loads(run("reopen", "-i", "item-0", "--json")) == {"changed": 1}
    lines = [json.loads(line) for line in run("export", "-a", "color").splitlines()]
    assert len(lines) == 120
    nothing = CliRunner().invoke(app, ["knowledge", "accept", "--shop", str(shop.folder)])
    assert isinstance(nothing.exception, BadRequest)


def test_switched_off_it_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "bodega.toml").write_text(
        '[understand]\nencoder = "none"\nteacher = "none"\n[knowledge]\nmine = false\n'
    )
    with bodega.open(tmp_path) as made:
        made.catalog.upsert(list(catalog(60)))
        assert made.learn().published
        assert made.knowledge.facts() == []
        assert not (tmp_path / "knowledge").exists()
        assert made.search("", filters=(Filter(field="color", values=("Red",)),)).total == 10
