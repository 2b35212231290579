"""A shop with a knowledge graph: learned, asked in Python, over HTTP and on the command line; and one without."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest
from litestar.testing import TestClient
from typer.testing import CliRunner

import bodega
from bodega.cli import app
from bodega.engine.shop import Shop
from bodega.errors import BadRequest, UnknownItem
from bodega.schema import Request
from bodega.service.app import create_app
from bodega.testing.world import GeneratedWorld
from bodega.wiring import init_shop

runner = CliRunner()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, small_world: GeneratedWorld) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("graph")
    file = init_shop(folder)
    file.write_text(
        file.read_text("utf-8") + '\n[learn]\nknowledge = true\n\n[understand]\nteacher = "none"\n', "utf-8"
    )
    items = [
        msgspec.structs.replace(item, links={"crosssell": (small_world.items[1].id,)}) if row == 0 else item
        for row, item in enumerate(small_world.items)
    ]
    with bodega.open(folder) as opened:
        opened.catalog.upsert(items)
        opened.events.record(small_world.events)
        assert opened.learn().published
        yield opened


@pytest.fixture(scope="module")
def client(shop: Shop) -> Iterator[tuple[TestClient, dict[str, str]]]:
    key = shop.keys.create("page", ["search"])
    with TestClient(create_app(shop), base_url="http://127.0.0.1") as made:
        yield made, {"Authorization": f"Bearer {key}"}


def linked(shop: Shop, relation: str) -> tuple[str, str]:
    """An item and another that the relation leads to."""
    for item in shop.stores.catalog.scan():
        found = shop.relations(item.id, relation=relation).relations[relation]
        if found:
            return item.id, found[0].item
    pytest.fail(f"nothing is linked by {relation}")


def test_what_an_item_is_to_others(shop: Shop) -> None:
    first, second = (shop.catalog.get(name) for name in linked(shop, "complement"))
    assert first.id != second.id
    found = shop.relations(first.id)
    assert set(found.relations) >= {"variant", "substitute", "upgrade", "complement", "accessory", "crosssell"}
    assert {trait.name for trait in found.traits if trait.relation == "has_brand"} == {first.brand}
    ways = shop.connections(first.id, second.id)
    assert any(way.steps == [first.id, "complement>", second.id] for way in ways)
    assert any(
        first.title in way.text and "搭配" in way.text for way in shop.connections(first.id, second.id, language="zh")
    )


def test_what_the_shop_says_is_told_as_such(shop: Shop, small_world: GeneratedWorld) -> None:
    first, second = (item.id for item in small_world.items[:2])
    assert [each.item for each in shop.relations(first, relation="crosssell").relations["crosssell"]] == [second]


def test_reasons_on_a_page(shop: Shop) -> None:
    """The source takes part in the lists around a basket, and says what it saw."""
    said = set()
    for item in list(shop.stores.catalog.scan())[:40]:
        for language in ("en", "zh"):
            page = shop.answer(Request(place="basket", items=(item.id,), language=language, k=10))
            reasons = [why for hit in page for why in hit.why if why.source == "knowledge" and why.because]
            said |= {why.text.replace(item.title, "*") for why in reasons}
            assert all(why.because == (item.id,) for why in reasons)
    assert "Goes with * in your basket" in said
    assert "与您购物车中的*搭配" in said


def test_sold_out_and_deleted_items_are_not_shown(shop: Shop) -> None:
    first, second = linked(shop, "complement")
    kept = shop.catalog.get(second)
    shop.catalog.upsert([msgspec.structs.replace(kept, stock=0)])
    assert second not in {each.item for each in shop.relations(first).relations["complement"]}
    shop.catalog.upsert([kept])
    assert second in {each.item for each in shop.relations(first, k=100).relations["complement"]}


def test_over_http(shop: Shop, client: tuple[TestClient, dict[str, str]]) -> None:
    http, key = client
    first, second = linked(shop, "complement")
    told = http.get(f"/v1/items/{first}/relations?relation=complement&k=3", headers=key)
    assert told.status_code == 200
    (hit, *_) = told.json()["relations"]["complement"]
    assert hit["document"]["id"] == hit["item"] == second
    ways = http.get(f"/v1/items/{first}/relations?to={second}&language=zh", headers=key).json()
    assert ways["to"] == second
    assert ways["connections"]
    assert http.get(f"/v1/items/{first}/relations").status_code == 401
    for address, status in (("nobody/relations", 404), (f"{first}/relations?relation=cousin", 400)):
        assert http.get(f"/v1/items/{address}", headers=key).status_code == status
    for bad in ("k=0", "k=1001", "k=x", "user=1", "relation=complement&relation=upgrade"):
        assert http.get(f"/v1/items/{first}/relations?{bad}", headers=key).status_code == 400


def test_on_the_command_line(shop: Shop) -> None:
    first, second = linked(shop, "complement")
    where = ["--shop", str(shop.folder)]
    shown = runner.invoke(app, ["graph", "show", first, *where])
    assert shown.exit_code == 0, shown.output
    assert "goes with it" in shown.output
    found = json.loads(
        runner.invoke(app, ["graph", "show", first, "--relation", "complement", "--json", *where]).output
    )
    assert found["relations"]["complement"][0]["item"] == second
    ways = json.loads(runner.invoke(app, ["graph", "paths", first, second, "--json", *where]).output)
    assert ways["connections"]
    assert "goes with" in runner.invoke(app, ["graph", "paths", first, second, *where]).output


def test_errors_teach(shop: Shop, small_shop: Shop) -> None:
    with pytest.raises(UnknownItem):
        shop.relations("nobody")
    with pytest.raises(BadRequest, match="no such relation"):
        shop.relations(shop.catalog.get(linked(shop, "complement")[0]).id, relation="cousin")
    some = next(iter(small_shop.stores.catalog.scan())).id
    with pytest.raises(BadRequest, match="no knowledge graph") as error:
        small_shop.relations(some)
    assert "bodega learn" in error.value.next
