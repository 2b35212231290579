"""What is understood is what is shown: conditions hold for every hit, and nothing that was refused comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bodega
from bodega.engine.shop import Shop
from bodega.schema import Item, Page, Request

GOODS = [
    ("Red silk dress", 30.0, {"color": "Red", "material": "Silk"}),
    ("Red cotton dress", 20.0, {"color": "Red", "material": "Cotton"}),
    ("Blue cotton dress", 25.0, {"color": "Blue", "material": "Cotton"}),
    ("Red linen dress", 80.0, {"color": "Red", "material": "Linen"}),
    ("Cola sugar free", 2.0, {}),
    ("Cola with sugar", 2.0, {}),
    ("蓝牙耳机 头戴式", 300.0, {}),
    ("蓝牙耳机 入耳式", 90.0, {}),
    ("红色连衣裙", 60.0, {"color": "红色"}),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("understood") / "shop"
    with bodega.open(folder) as shop:
        shop.catalog.upsert(
            [
                Item(id=str(at), title=title, price=price, category=("All",), attributes=dict(held))
                for at, (title, price, held) in enumerate(GOODS)
            ]
        )
        assert shop.learn().published
        yield shop


@pytest.fixture
def search(shop: Shop) -> Callable[[str], Page]:
    return shop.search


def titles(page: Page) -> list[str]:
    return [hit.item.title for hit in page]


def test_a_price_and_a_refusal_hold_for_every_hit(search):
    page = search("red dress under 50 not silk")
    assert titles(page)[0] == "Red cotton dress"
    assert all(hit.item.price <= 50 and hit.item.attributes.get("material") != "Silk" for hit in page)
    assert {meaning.kind for meaning in page.understood} >= {"price", "not", "colour"}


def test_verbatim_is_the_undo(shop):
    page = shop.answer(Request(place="search", query="red dress under 50 not silk", verbatim=True))
    assert "Red silk dress" in titles(page)
    assert page.understood == ()


def test_without_sugar_finds_sugar_free(search):
    assert titles(search("without sugar cola")) == ["Cola sugar free"]


def test_chinese_conditions_hold(search):
    assert titles(search("蓝牙耳机 不要头戴式")) == ["蓝牙耳机 入耳式"]
    assert titles(search("蓝牙耳机 100元以下")) == ["蓝牙耳机 入耳式"]
    assert "红色连衣裙" in titles(search("紅色連衣裙"))


def test_a_price_nobody_asks_is_given_up_and_named(search):
    page = search("red linen dress under $50")
    assert "Red linen dress" not in titles(page)
    dear = search("蓝牙耳机 under $3")
    assert "price" in dear.relaxed
    assert set(titles(dear)) == {"蓝牙耳机 头戴式", "蓝牙耳机 入耳式"}


def test_a_price_alone_shows_what_costs_less(search):
    assert sorted(titles(search("under $3"))) == ["Cola sugar free", "Cola with sugar"]
