"""Why is it not there? Every way of falling out is planted in a small shop, and named; asking changes no page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

import bodega
from bodega import Event, EventType, Filter, Item, Request, Shop, Sort
from bodega.cli import main
from bodega.engine.why_not import WhyNot
from bodega.errors import BadRequest
from bodega.ranking.diversify import Diversity
from bodega.schema import Boost, Bury, Hide, Narrow, Page, Rule, When

NOW = datetime.now(UTC).replace(microsecond=0)


def catalog() -> list[Item]:
    """Pasta and sauce are bought together, tea by others; a shoe in two sizes; one thing sold out, one nobody wants."""
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
    return [*items, Item(id="gone", title="Tomato sauce deluxe", category=("Food", "Sauce"), stock=0, price=9.0)]


def log() -> list[Event]:
    """40 cooks buy a pasta and its sauce on one visit; 40 tea drinkers two teas. Nobody buys the same thing twice."""

    def bought(shopper: int, week: int, item: str) -> Event:
        return Event(
            id=f"{shopper}-{week}-{item}",
            type=EventType.PURCHASE,
            time=NOW - timedelta(days=56 - 7 * week, minutes=shopper),
            user=f"u{shopper}",
            session=f"s{shopper}-{week}",
            item=item,
        )

    events = []
    for shopper in range(80):
        for week in range(3):
            n = (shopper + week) % 6
            pair = (f"pasta{n}", f"sauce{n}") if shopper < 40 else (f"tea{n}", f"tea{(n + 3) % 6}")
            events += [bought(shopper, week, item) for item in pair if shopper < 40 or week == 0]
    return events


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with bodega.open(tmp_path_factory.mktemp("why") / "shop") as shop:
        shop.catalog.upsert(catalog())
        shop.events.record(log())
        assert shop.learn().published
        yield shop


@pytest.fixture
def shop(learned: Shop) -> Iterator[Shop]:
    """The shop, put back after each test."""
    mixing = learned.engine.mixing
    yield learned
    for rule in learned.rules.list():
        learned.rules.delete(rule.id, who="test", expected=None)
    learned.engine.mixing = mixing
    learned.catalog.upsert(catalog())


def asked(shop: Shop, item: str, **request: object) -> WhyNot:
    """Ask, and see that asking changed nothing (at one moment: what is popular fades by the second)."""
    wanted = Request(time=NOW, **request)  # type: ignore[arg-type]
    before = _bytes(shop.answer(wanted))
    found = shop.why_not(wanted, item)
    assert _bytes(shop.answer(wanted)) == before
    assert found == shop.why_not(wanted, item)
    assert found.shown == (item in shop.answer(wanted).ids)
    assert found.text
    chinese = shop.why_not(msgspec.structs.replace(wanted, language="zh"), item)
    assert chinese.stage == found.stage
    assert any("\u4e00" <= sign <= "\u9fff" for sign in chinese.text), chinese.text
    return found


def _bytes(page: Page) -> bytes:
    return msgspec.structs.replace(page, request_id="", took_ms=0).json()


def rule(shop: Shop, **parts: object) -> str:
    made = Rule(id="planted", when=When(places=("*",)), **parts)  # type: ignore[arg-type]
    shop.rules.put(made, who="test", expected=None)
    return made.id


def test_an_item_that_is_shown_is_at_its_place(shop: Shop) -> None:
    found = asked(shop, "tea1", place="search", query="green tea")
    assert (found.stage, found.shown) == ("shown", True)
    page = shop.search("green tea")
    assert page.ids[found.position or 0] == "tea1"
    assert found.passed == (
        "catalog", "rules", "shopper", "filters", "conditions", "stock", "found", "variants", "ranked",
    )  # fmt: skip
    lexical = next(each for each in found.sources if each.name == "lexical")
    assert lexical.score
    assert lexical.rank
    assert lexical.part is not None


def test_an_item_nobody_ever_put_in(shop: Shop) -> None:
    found = asked(shop, "no-such", place="search", query="tea")
    assert (found.stage, found.passed, found.sources) == ("unknown_item", (), ())
    assert "no-such" in found.text


def test_an_item_that_was_deleted(shop: Shop) -> None:
    shop.catalog.delete(["tea2"])
    assert asked(shop, "tea2", place="search", query="tea").stage == "gone"


def test_an_item_that_a_rule_hides(shop: Shop) -> None:
    name = rule(shop, then=(Hide(items=("tea2",)),))
    found = asked(shop, "tea2", place="search", query="tea")
    assert (found.stage, found.details) == ("hidden_by_rule", (name,))
    assert name in found.text
    assert asked(shop, "tea3", place="search", query="tea").stage == "shown"


def test_an_item_that_a_rules_filter_leaves_out(shop: Shop) -> None:
    name = rule(shop, then=(Narrow(filters=(Filter(field="brand", values=("Rossa",)),)),))
    found = asked(shop, "tea2", place="popular")
    assert (found.stage, found.details) == ("filtered_by_rule", (name,))


def test_the_item_the_list_is_asked_around(shop: Shop) -> None:
    assert asked(shop, "pasta1", place="similar", items=("pasta1",)).stage == "anchor"


def test_an_item_that_the_shopper_dismissed(shop: Shop) -> None:
    event = Event(type=EventType.DISMISS, time=NOW, session="why-dismissed", item="tea2")
    shop.events.record([event])
    assert asked(shop, "tea2", place="popular", session="why-dismissed").stage == "dismissed"
    assert asked(shop, "tea2", place="popular", session="somebody-else").stage == "shown"


def test_an_item_that_the_shopper_already_has(shop: Shop) -> None:
    assert not shop.engine.learned.repeats
    bought = next(event.item for event in log() if event.user == "u1")
    assert asked(shop, bought, place="home", user="u1").stage == "already_has"


def test_an_item_that_the_shoppers_filters_leave_out(shop: Shop) -> None:
    filters = (Filter(field="brand", values=("Rossa",)), Filter(field="price", high=3.0))
    found = asked(shop, "tea2", place="category", filters=filters)
    assert (found.stage, found.details) == ("filtered", ("brand = Rossa", "price = ..3"))
    found = asked(shop, "tea2", place="category", where='brand = "Rossa"')
    assert (found.stage, found.details) == ("filtered", ('brand = "Rossa"',))


def test_an_item_that_the_query_itself_leaves_out(shop: Shop) -> None:
    found = asked(shop, "tea5", place="search", query="tea under 7")
    assert found.stage == "condition"
    assert "under 7" in found.text
    assert asked(shop, "sauce1", place="search", query="sauce without tomato").stage in ("condition", "not_found")


def test_an_item_that_is_sold_out(shop: Shop) -> None:
    assert asked(shop, "gone", place="popular").stage == "sold_out"


def test_a_sold_out_item_where_such_come_last(shop: Shop) -> None:
    found = asked(shop, "gone", place="search", query="tomato sauce", k=3)
    assert (found.stage, found.position) == ("sold_out_last", found.total - 1)


def test_an_item_that_the_words_do_not_find(shop: Shop) -> None:
    found = asked(shop, "shoe41", place="search", query="green tea")
    assert found.stage == "not_found"
    assert set(found.details) == {"green", "tea"}


def test_an_item_that_no_source_proposes(shop: Shop) -> None:
    found = asked(shop, "shoe41", place="repeat", user="u1")
    assert found.stage == "not_proposed"
    assert [each.rank for each in found.sources] == [None]


def test_a_variant_that_another_one_stands_for(shop: Shop) -> None:
    page = shop.search("trail shoe")
    hidden = "shoe42" if page.ids[0] == "shoe41" else "shoe41"
    found = asked(shop, hidden, place="search", query="trail shoe")
    assert (found.stage, found.instead, found.position) == ("variant", page.ids[0], 0)


def test_an_item_behind_the_page_and_what_it_lost_by(shop: Shop) -> None:
    page = shop.search("green tea", k=6)
    found = asked(shop, page.ids[5], place="search", query="green tea", k=2)
    assert (found.stage, found.position, found.instead) == ("outranked", 5, page.ids[1])
    gap = {each.name: (each.last or 0) - (each.part or 0) for each in found.sources}
    assert sum(gap.values()) == pytest.approx(page[1].score - page[5].score, abs=1e-3)
    assert max(gap, key=lambda name: gap[name]) in found.text or max(gap.values()) <= 0


def test_an_item_of_an_earlier_page(shop: Shop) -> None:
    page = shop.search("green tea", k=6)
    found = asked(shop, page.ids[0], place="search", query="green tea", k=2, offset=2)
    assert (found.stage, found.position) == ("other_page", 0)


def test_an_item_that_a_rule_holds_back(shop: Shop) -> None:
    first = shop.search("green tea").ids[0]
    name = rule(shop, then=(Bury(items=(first,), factor=50.0),))
    found = asked(shop, first, place="search", query="green tea", k=2)
    assert (found.stage, found.details) == ("outranked", (f"rule {name}",))
    rule(shop, then=(Boost(items=(first,), factor=5.0),))
    assert asked(shop, first, place="search", query="green tea", k=2).stage == "shown"


def test_an_item_behind_because_of_the_order_asked_for(shop: Shop) -> None:
    found = asked(shop, "tea5", place="search", query="green tea", sort=Sort.PRICE_UP, k=2)
    assert (found.stage, found.details, found.position) == ("sorted", ("price_up",), 5)


def test_an_item_that_mixing_moved_behind_the_page(shop: Shop) -> None:
    request = {"place": "popular", "k": 6}
    plain = shop.answer(Request(**request)).ids  # type: ignore[arg-type]
    shop.engine.mixing = replace(shop.engine.mixing, dials={"popular": Diversity(per_category=1, within=4)})
    mixed = shop.answer(Request(**request)).ids  # type: ignore[arg-type]
    moved = [item for item in plain if item not in mixed]
    assert moved
    found = asked(shop, moved[0], **request)
    assert found.stage == "demoted"
    assert found.details[0].startswith(f"{plain.index(moved[0]) + 1} -> ")
    assert "cap" in found.details


def test_an_item_that_was_shown_too_often(shop: Shop) -> None:
    first = shop.answer(Request(place="popular", session="weary")).ids[0]
    seen = [
        Event(type=EventType.IMPRESSION, time=NOW - timedelta(minutes=n), session="weary", item=first)
        for n in range(30)
    ]
    shop.events.record(seen)
    shop.engine.mixing = replace(shop.engine.mixing, dials={"popular": Diversity(fatigue=1.0)})
    found = asked(shop, first, place="popular", session="weary", k=3)
    assert found.stage == "demoted"
    assert "fatigue: shown" in found.details
    assert asked(shop, first, place="popular", session="fresh", k=3).stage == "shown"


def test_a_mixed_page_holds_the_same_items(shop: Shop) -> None:
    plain = shop.answer(Request(place="popular", k=100))
    shop.engine.mixing = replace(shop.engine.mixing, dials={"popular": Diversity(strength=0.7, method="dpp")})
    mixed = shop.answer(Request(place="popular", k=100))
    assert sorted(mixed.ids) == sorted(plain.ids)
    assert mixed.ids != plain.ids
    assert np.all(np.diff([hit.score for hit in mixed]) <= 1e-6)
    in_order = shop.answer(Request(place="popular", k=100, sort=Sort.PRICE_UP))
    assert [hit.item.price for hit in in_order] == sorted(hit.item.price for hit in in_order)


def test_a_request_that_makes_no_sense_is_refused_as_its_page_is(shop: Shop) -> None:
    with pytest.raises(BadRequest):
        shop.why_not(Request(place="nowhere"), "tea1")


def test_the_command_line_says_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["bodega", "why-not", *words, "--shop", str(shop.folder)])
        capsys.readouterr()
        with suppress(SystemExit):
            main()
        return capsys.readouterr().out

    page = shop.search("green tea", k=6)
    wanted = shop.why_not(Request(place="search", query="green tea", k=2), page.ids[5])
    assert msgspec.json.decode(run(page.ids[5], "-q", "green tea", "-k", "2", "--json"), type=WhyNot) == wanted
    told = run(page.ids[5], "-q", "green tea", "-k", "2")
    assert "outranked" in told
    assert "lexical" in told
    assert "filtered" in run("tea2", "--place", "category", "-f", "brand=Rossa")
    assert "unknown_item" in run("no-such")
    assert "搜索找不到它" in run("shoe41", "-q", "green tea", "--language", "zh")
