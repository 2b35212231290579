"""A small shop whose right answers are known on paper: what the engine must show, and must never show."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import bodega
from bodega import Event, EventType, Filter, Item, Request, Shop, Sort
from bodega.engine.snapshot import Snapshots
from bodega.errors import BadRequest, NotLearned

Quick = Callable[[Path], Path]
NOW = datetime.now(UTC).replace(microsecond=0)


def catalog() -> list[Item]:
    """Three shelves: pasta and sauce are bought together, tea by others; a shoe with two sizes; one thing sold out."""
    items = [
        Item(id=f"pasta{n}", title=f"Pasta shape {n}", category=("Food", "Pasta"), brand="Molino", price=1.0 + n)
        for n in range(6)
    ]
    items += [
        Item(id=f"sauce{n}", title=f"Tomato sauce {n}", category=("Food", "Sauce"), brand="Rossa", price=2.0 + n)
        for n in range(6)
    ]
    items += [
        Item(id=f"tea{n}", title=f"Green tea {n}", category=("Drinks", "Tea"), brand="Leaf", price=5.0 + n)
        for n in range(6)
    ]
    items += [
        Item(
            id=f"shoe{size}", title="Trail shoe", category=("Shoes",), group="shoe", options={"size": size}, price=80.0
        )
        for size in ("41", "42")
    ]
    items.append(Item(id="gone", title="Tomato sauce deluxe", category=("Food", "Sauce"), stock=0, price=9.0))
    return items


def log() -> list[Event]:
    """40 cooks buy a pasta and its sauce on the same visit, weekly; 40 tea drinkers buy two teas."""
    events = []
    for shopper in range(80):
        for week in range(8):
            time = NOW - timedelta(days=56 - 7 * week, minutes=shopper)
            n = (shopper + week) % 6
            bought = [f"pasta{n}", f"sauce{n}"] if shopper < 40 else [f"tea{n}", f"tea{(n + 1) % 6}"]
            if shopper < 40 and week % 2:
                bought.append("gone")
            events += [
                Event(
                    id=f"{shopper}-{week}-{item}",
                    type=EventType.PURCHASE,
                    time=time,
                    user=f"u{shopper}",
                    session=f"s{shopper}-{week}",
                    item=item,
                )
                for item in bought
            ]
    return events


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("known") / "shop"
    with bodega.open(folder) as opened:
        opened.catalog.upsert(catalog())
        opened.events.record(log())
        assert opened.learn().published
        yield opened


def test_before_learning_the_error_says_what_to_do(tmp_path: Path) -> None:
    with bodega.open(tmp_path / "new") as shop, pytest.raises(NotLearned, match="bodega learn"):
        shop.search("anything")


def test_an_empty_catalog_is_not_published(tmp_path: Path) -> None:
    with bodega.open(tmp_path / "empty") as shop:
        report = shop.learn()
        assert not report.published
        assert "empty" in report.verdict


def test_a_catalog_without_events_answers_every_list(tmp_path: Path) -> None:
    with bodega.open(tmp_path / "quiet") as shop:
        shop.catalog.upsert(catalog())
        assert shop.learn().published
        assert shop.search("green tea").ids[0].startswith("tea")
        for place in ("home", "popular", "trending", "category"):
            assert len(shop.recommend(place)) > 0, place


def test_together_knows_the_sauce_of_the_pasta(shop: Shop) -> None:
    page = shop.together("pasta3", k=3)
    assert page.ids[0] == "sauce3"
    assert page[0].why
    assert "Pasta shape 3" in page[0].why[0].text


def test_the_two_tribes_do_not_mix(shop: Shop) -> None:
    cooks, drinkers = shop.recommend("home", user="u1", k=6), shop.recommend("home", user="u70", k=5)
    assert all(name.startswith(("pasta", "sauce")) for name in cooks.ids[:5])
    assert all(name.startswith("tea") for name in drinkers.ids)


def test_sold_out_items_are_in_no_recommendation_and_last_in_search(shop: Shop) -> None:
    for place in ("home", "popular", "trending", "repeat"):
        assert "gone" not in shop.recommend(place, user="u1", k=50).ids, place
    assert "gone" not in shop.complete(["pasta1"], k=50).ids
    found = shop.search("tomato sauce", k=50).ids
    assert found[-1] == "gone"


def test_the_next_request_knows_the_last_click(shop: Shop) -> None:
    before = shop.recommend("home", session="visitor", k=5)
    assert any("cold_shopper" in note for note in before.degraded)
    shop.events.record([Event(type=EventType.CLICK, time=datetime.now(UTC), session="visitor", item="tea2")])
    after = shop.recommend("home", session="visitor", k=5)
    assert after.degraded == ()
    assert after.ids != before.ids
    assert all(name.startswith("tea") for name in after.ids[:3])


def test_not_interested_is_obeyed_at_once(shop: Shop) -> None:
    first = shop.recommend("home", user="u2", k=5).ids[0]
    shop.events.record([Event(type=EventType.DISMISS, time=datetime.now(UTC), user="u2", item=first)])
    assert first not in shop.recommend("home", user="u2", k=50).ids


def test_the_page_item_and_the_basket_never_recommend_themselves(shop: Shop) -> None:
    assert "pasta1" not in shop.similar("pasta1", k=50).ids
    basket = ["pasta1", "sauce2"]
    assert not set(basket) & set(shop.complete(basket, k=50).ids)


def test_unknown_shoppers_and_items_get_a_list_and_the_fallback_is_named(shop: Shop) -> None:
    for page in (shop.similar("no such item"), shop.complete(["nope"]), shop.recommend("home", user="stranger")):
        assert len(page) > 0
        assert page.degraded


def test_personalisation_can_be_switched_off(shop: Shop) -> None:
    pages = [shop.answer(Request(place="home", user=user, personal=False, k=10)) for user in ("u1", "u70")]
    assert pages[0].ids == pages[1].ids
    assert any("not_personal" in note for note in pages[0].degraded)


def test_variants_of_a_group_take_one_place(shop: Shop) -> None:
    assert len([name for name in shop.search("trail shoe").ids if name.startswith("shoe")]) == 1


def test_filters_sort_and_facets_of_a_search(shop: Shop) -> None:
    page = shop.search(
        "", filters=(Filter(field="brand", values=("Rossa",)),), facets=("brand", "price"), sort=Sort.PRICE_DOWN, k=50
    )
    assert page.ids == [f"sauce{n}" for n in (5, 4, 3, 2, 1, 0)]
    brands = {value.value: value.count for value in page.facets[0].values}
    assert brands == {"Molino": 6, "Rossa": 6, "Leaf": 6}
    cheap = shop.search("", filters=(Filter(field="price", low=5, high=6),), k=50)
    assert sorted(cheap.ids) == ["pasta4", "pasta5", "sauce3", "sauce4", "tea0", "tea1"]


def test_pages_follow_each_other_without_gap_or_repeat(shop: Shop) -> None:
    whole = shop.search("tomato sauce", k=6).ids
    halves = shop.search("tomato sauce", k=3).ids + shop.search("tomato sauce", k=3, offset=3).ids
    assert halves == whole


def test_shares_of_the_reasons_add_up_to_one(shop: Shop) -> None:
    for hit in shop.recommend("home", user="u3", k=10):
        assert sum(reason.share for reason in hit.why) == pytest.approx(1, abs=0.01)


def test_reasons_are_told_in_chinese_too(shop: Shop) -> None:
    page = shop.answer(Request(place="home", user="u3", language="zh", k=3))
    assert any("选" in reason.text or "热门" in reason.text or "买" in reason.text for reason in page[0].why)


@pytest.mark.parametrize(
    "request_",
    [
        Request(place="nowhere"),
        Request(k=0),
        Request(k=-1),
        Request(k=10**9),
        Request(offset=-1),
        Request(place="search", query="tea", filters=(Filter(field="no such field", values=("x",)),)),
        Request(place="search", query="tea", facets=("no such field",)),
    ],
)
def test_impossible_requests_are_refused_with_what_is_allowed(shop: Shop, request_: Request) -> None:
    with pytest.raises(BadRequest) as error:
        shop.answer(request_)
    assert error.value.allowed


def test_changes_between_two_learns_show_in_the_next_answer(tmp_path: Path) -> None:
    with bodega.open(tmp_path / "live") as shop:
        shop.catalog.upsert(catalog())
        shop.events.record(log())
        shop.learn()
        shop.catalog.upsert([Item(id="mate", title="Yerba mate", category=("Drinks",), price=4.0)])
        assert shop.search("yerba mate").ids == ["mate"]
        shop.catalog.upsert([Item(id="tea0", title="Oolong tea", category=("Drinks", "Tea"), price=6.0)])
        assert shop.search("oolong").ids == ["tea0"]
        assert shop.search("oolong")[0].item.price == 6.0
        shop.catalog.delete(["sauce3"])
        assert "sauce3" not in shop.together("pasta3", k=50).ids
        assert "sauce3" not in shop.search("tomato sauce", k=50).ids
        shop.catalog.upsert([Item(id="sauce2", title="Tomato sauce 2", category=("Food", "Sauce"), stock=0)])
        assert "sauce2" not in shop.together("pasta2", k=50).ids


def test_learning_twice_gives_the_same_bytes_and_a_reopened_shop_the_same_answers(tmp_path: Path) -> None:
    def built(folder: Path) -> tuple[str, list[str], list[str]]:
        with bodega.open(folder) as shop:
            shop.catalog.upsert(catalog())
            shop.events.record(log())
            snapshot = shop.learn().snapshot
        with bodega.open(folder) as shop:
            return snapshot, shop.recommend("home", user="u5", k=10).ids, shop.search("green tea").ids

    assert built(tmp_path / "one") == built(tmp_path / "two")


def test_a_snapshot_without_a_source_of_today_asks_to_learn_again(tmp_path: Path, quick: Quick) -> None:
    folder = quick(tmp_path / "older")
    with bodega.open(folder) as shop:
        shop.catalog.upsert(catalog())
        snapshots = shop.snapshots
        shop.learn()
        (info,) = snapshots()

    def older(target: Path) -> dict[str, object]:
        shutil.copytree(folder / "snapshots" / info.id / "items", target / "items")
        return {**info.facts, "sources": ["lexical", "popular"]}

    Snapshots(folder / "snapshots").publish(older, code="0.0.1")
    with bodega.open(folder) as shop, pytest.raises(NotLearned, match="bodega learn") as error:
        shop.search("tea")
    assert "transition" in error.value.got
