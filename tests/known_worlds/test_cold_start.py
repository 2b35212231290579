"""The three cold starts through the whole shop: each gets a full list, the right items first, and a named path."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

import bodega
from bodega.engine.shop import Shop
from bodega.schema import Item, Page, Request
from bodega.settings import Settings, Understand
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world
from bodega.wiring import init_shop

LATER = datetime(2025, 3, 1, tzinfo=UTC)
PLACES = ("home", "popular", "trending", "category")
CHOSEN = Settings(understand=Understand(teacher="none"))


@pytest.fixture(scope="module")
def town() -> GeneratedWorld:
    return make_world(WorldSpec(n_items=90, n_shoppers=50, days=25))


def opened(folder: Path, town: GeneratedWorld, *, events: bool, chosen: Settings = CHOSEN) -> Shop:
    init_shop(folder, chosen)
    shop = bodega.open(folder)
    shop.catalog.upsert(town.items)
    if events:
        shop.events.record(town.events)
    shop.learn()
    return shop


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory, town: GeneratedWorld) -> Iterator[Shop]:
    with opened(tmp_path_factory.mktemp("cold") / "first", town, events=False) as shop:
        yield shop


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, town: GeneratedWorld) -> Iterator[Shop]:
    """A shop that has learned, into which three new items of a kind that it has came afterwards."""
    with opened(tmp_path_factory.mktemp("cold") / "running", town, events=True) as shop:
        base = town.items[0]
        new = [
            msgspec.structs.replace(base, id=f"new{number}", title=f"{base.title} no {number}", group="", created=LATER)
            for number in range(3)
        ]
        shop.catalog.upsert(new)
        yield shop


def kind_of(town: GeneratedWorld, name: str) -> str:
    return town.truth.kinds[town.truth.items.index(name)] if name in town.truth.items else town.truth.kinds[0]


def paths(page: Page) -> set[str]:
    return {note.partition(":")[0] for note in page.degraded}


# -- a shop's first day ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_on_the_first_day_every_list_is_full_and_says_why(first_day: Shop, town: GeneratedWorld, place: str) -> None:
    page = first_day.recommend(place=place, user="nobody", k=10)
    assert len(page) == 10
    assert "first_day" in paths(page)
    assert any("newest items first" in note for note in page.degraded)
    newest = sorted(town.items, key=lambda item: item.created or LATER, reverse=True)
    best = {item.created for item in newest[:10]}
    assert {town.items[town.truth.items.index(name)].created for name in page.ids} <= best
    assert all(hit.why[0].source == "catalog" for hit in page.hits), "nothing is popular on the first day"


def test_on_the_first_day_a_product_page_shows_what_reads_alike(first_day: Shop, town: GeneratedWorld) -> None:
    anchor = town.items[0].id
    page = first_day.similar(anchor, k=3)
    alike = [name for name in town.truth.of_kind(kind_of(town, anchor)) if name != anchor]
    assert len(page) == 3
    assert "first_day" in paths(page)
    assert page.ids[0] in alike
    assert page.hits[0].why[0].source in {"content", "dense"}
    assert page.hits[0].why[0].because == (anchor,)


def test_on_the_first_day_search_and_the_basket_work(first_day: Shop, town: GeneratedWorld) -> None:
    item = town.items[7]
    assert item.id in first_day.search(item.title, k=5, user="nobody").ids
    basket = first_day.complete([item.id], k=5)
    assert len(basket) == 5
    assert item.id not in basket.ids
    assert "first_day" in paths(basket)


def test_lists_of_what_somebody_did_stay_empty_without_an_excuse(first_day: Shop) -> None:
    for place in ("repeat", "recent"):
        page = first_day.recommend(place=place, user="nobody", k=5)
        assert len(page) == 0
        assert paths(page) == {"cold_shopper"}


def test_without_dates_the_best_described_come_first(tmp_path: Path) -> None:
    init_shop(tmp_path / "shop", CHOSEN)
    with bodega.open(tmp_path / "shop") as shop:
        shop.catalog.upsert(
            [
                Item(id="bare", title="Mug"),
                Item(id="full", title="Mug of clay", brand="Oak", category=("Kitchen",), price=9.0, tags=("blue",)),
                Item(id="some", title="Plate", brand="Oak"),
            ]
        )
        shop.learn()
        page = shop.recommend(place="popular", k=3)
    assert page.ids == ["full", "some", "bare"]
    assert any("best described" in note for note in page.degraded)


# -- somebody new ---------------------------------------------------------------------------------------------------


def test_somebody_unknown_gets_what_is_popular_and_is_told(running: Shop) -> None:
    page = running.recommend(place="home", user="a stranger", k=10)
    assert page.ids == running.recommend(place="popular", k=10).ids
    assert paths(page) == {"cold_shopper"}
    assert any("popular items first" in note for note in page.degraded)
    assert {hit.why[0].source for hit in page.hits} == {"popular"}


def test_one_click_is_enough_to_be_known(running: Shop, town: GeneratedWorld) -> None:
    clicked = town.items[0]
    before = running.recommend(place="home", session="visit", k=10)
    running.events.add(
        [{"id": "c1", "time": LATER.isoformat(), "type": "click", "session": "visit", "item": clicked.id}]
    )
    page = running.recommend(place="home", session="visit", k=10)
    assert paths(before) == {"cold_shopper"}
    assert paths(page) == set()
    assert page.ids != before.ids
    assert any(clicked.id in reason.because for hit in page.hits for reason in hit.why)


def test_somebody_unknown_who_stands_before_an_item_gets_what_goes_with_it(running: Shop, town: GeneratedWorld) -> None:
    page = running.answer(Request(place="home", items=(town.items[0].id,), user="a stranger", k=5))
    assert paths(page) == {"cold_shopper"}
    assert any("around the items asked" in note for note in page.degraded)
    assert page.ids != running.recommend(place="home", user="a stranger", k=5).ids


# -- something new --------------------------------------------------------------------------------------------------


def test_a_new_item_has_a_product_page_at_once(running: Shop, town: GeneratedWorld) -> None:
    page = running.similar("new0", k=5)
    assert len(page) == 5
    assert "new0" not in page.ids
    assert paths(page) == {"cold_item"}
    assert any("what reads like it" in note for note in page.degraded)
    assert set(page.ids[:3]) >= {"new1", "new2", town.items[0].id} - {page.ids[3], page.ids[4]}
    assert {"new1", "new2"} & set(page.ids), "new items are found around new items"
    assert page.hits[0].why[0].source == "dense"


def test_a_new_item_joins_the_pages_of_what_it_is_like(running: Shop, town: GeneratedWorld) -> None:
    page = running.similar(town.items[0].id, k=10)
    assert {"new0", "new1", "new2"} & set(page.ids)
    assert paths(page) == set()


def test_a_new_item_joins_the_home_page_of_who_wants_its_kind(running: Shop, town: GeneratedWorld) -> None:
    running.events.add(
        [{"id": "c2", "time": LATER.isoformat(), "type": "click", "session": "keen", "item": town.items[0].id}]
    )
    ids = running.recommend(place="home", session="keen", k=60).ids
    assert {"new0", "new1", "new2"} & set(ids)


def test_a_visit_to_new_items_only_is_followed(running: Shop) -> None:
    running.events.add([{"id": "c3", "time": LATER.isoformat(), "type": "click", "session": "new", "item": "new2"}])
    page = running.recommend(place="home", session="new", k=5)
    assert paths(page) == {"cold_shopper"}
    assert any("what reads like them" in note for note in page.degraded)
    assert page.hits[0].why[0].source == "dense"


def test_without_an_encoder_the_path_is_another_and_is_named(tmp_path: Path, town: GeneratedWorld) -> None:
    plain = Settings(understand=Understand(teacher="none", encoder="none"))
    init_shop(tmp_path / "shop", plain)
    (tmp_path / "shop" / "bodega.toml").write_text('[understand]\nencoder = "none"\n', "utf-8")
    with bodega.open(tmp_path / "shop") as shop:
        shop.catalog.upsert(town.items[:20])
        shop.learn()
        shop.catalog.upsert([msgspec.structs.replace(town.items[0], id="new0", group="")])
        page = shop.similar("new0", k=5)
    assert len(page) == 5
    assert "cold_item" in paths(page)
    assert any("nothing is known yet about the items asked around" in note for note in page.degraded)


def test_an_item_that_does_not_exist_is_no_error(running: Shop) -> None:
    page = running.similar("no such item", k=5)
    assert len(page) == 5
    assert any("nothing is known yet" in note for note in page.degraded)
