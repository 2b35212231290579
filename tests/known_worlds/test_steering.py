"""A page taken apart, a query's story, and a rule measured: in a shop whose log is written by hand, so that every
figure is known on paper."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

import bodega
from bodega import Event, EventType, Item, Request, Shop
from bodega.engine.answer import Engine
from bodega.engine.dialling import Dials, under, weights_at
from bodega.engine.inspecting import InspectAsked
from bodega.engine.searched import LATER, read
from bodega.errors import BadRequest
from bodega.protocols import EventRows
from bodega.schema import (
    EVENT_CODES,
    Boost,
    Filter,
    Hide,
    Phrase,
    Pin,
    Redirect,
    Replace,
    Rule,
    Segment,
    SegmentKind,
    When,
)

NOW = datetime.now(UTC).replace(microsecond=0)
PEOPLE = 3
SOFA = tuple(f"sofa{n}" for n in range(4))


def catalog() -> list[Item]:
    """Sofas that differ in one word each, tables, and a lamp that is always bought after "light"."""
    items = [
        Item(id=name, title=f"Sofa {word}", category=("Home", "Sofas"), brand="Nord", price=100.0)
        for name, word in zip(SOFA, ("oak", "elm", "ash", "fir"), strict=True)
    ]
    items += [
        Item(id=f"table{n}", title=f"Table {n}", category=("Home", "Tables"), brand="Nord", price=50.0)
        for n in range(4)
    ]
    return [*items, Item(id="lamp", title="Lamp", category=("Home", "Lamps"), brand="Lux", price=20.0)]


def visits() -> list[Event]:
    """Twelve visits ask "couch", take nothing, ask "sofa" and click sofa3 (every second one buys it); nine ask "table"
    and click table1; two (too few to be named) ask "secret" and click the lamp."""
    out = []

    def note(number: int, name: str, after: int, kind: EventType, query: str = "", item: str = "") -> None:
        at = NOW - timedelta(days=3, minutes=30 * number) + timedelta(seconds=after)
        out.append(
            Event(
                id=f"{name}{number}-{after}",
                type=kind,
                time=at,
                user=f"{name}{number}",
                session=f"s{name}{number}",
                query=query,
                item=item,
                place="search" if query else "",
            )
        )

    for number in range(12):
        note(number, "c", 0, EventType.SEARCH, "couch")
        note(number, "c", 30, EventType.SEARCH, "Sofa")
        note(number, "c", 60, EventType.CLICK, "sofa", "sofa3")
        if number % 2:
            note(number, "c", 90, EventType.PURCHASE, "", "sofa3")
    for number in range(9):
        note(number, "t", 0, EventType.SEARCH, "table")
        note(number, "t", 20, EventType.CLICK, "table", "table1")
    for number in range(2):
        note(number, "x", 0, EventType.SEARCH, "secret")
        note(number, "x", 20, EventType.CLICK, "secret", "lamp")
    return sorted(out, key=lambda event: event.time)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = Path(tmp_path_factory.mktemp("steering"))
    (folder / "bodega.toml").write_text(
        f'[understand]\nteacher = "none"\npeople = {PEOPLE}\n\n[learn]\ntaught_cases = 0\n', "utf-8"
    )
    with bodega.open(folder) as opened:
        opened.catalog.upsert(catalog())
        opened.events.record(visits())
        assert opened.learn().published
        yield opened


def rule(*then: object, query: str = "couch", **more: object) -> Rule:
    return Rule(id="draft", when=When(queries=(Phrase(query),), **more), then=then)  # type: ignore[arg-type]


# -- one page taken apart -------------------------------------------------------------------------------------------


def test_the_inspected_list_is_the_page_that_is_served(shop: Shop) -> None:
    for request in (Request(place="search", query="sofa"), Request(place="home", user="c1"), Request(place="category")):
        seen = shop.steering.inspect(InspectAsked(request=request)).one
        page = shop.answer(msgspec.structs.replace(request, k=50))
        listed = [row.item for row in seen.rows if row.position is not None]
        assert listed == page.ids[: len(listed)]
        assert seen.total == page.total
        for row in seen.rows:
            assert row.places.get("listed") == row.position


def test_every_part_adds_up_to_the_score_of_a_weighted_sum(shop: Shop) -> None:
    seen = shop.steering.inspect(InspectAsked(request=Request(place="search", query="sofa"))).one
    assert seen.ranker == "sum"
    assert seen.rows
    for row in seen.rows:
        if row.score is not None:
            told = sum(each.value for each in row.contributions)
            assert told == pytest.approx(row.score, abs=2e-3)


def test_what_each_source_found_is_its_own_list(shop: Shop) -> None:
    seen = shop.steering.inspect(InspectAsked(request=Request(place="search", query="sofa"))).one
    words = next(each for each in seen.sources if each.name == "lexical")
    assert words.found == len(SOFA)
    ranks = sorted(row.sources["lexical"].rank or 0 for row in seen.rows if row.sources.get("lexical"))
    assert ranks[:4] == [1, 2, 3, 4]
    assert sum(each.first for each in seen.sources) == min(10, seen.total)


def test_asking_changes_nothing_and_is_repeated_alike(shop: Shop) -> None:
    asked = InspectAsked(request=Request(place="search", query="sofa", user="c1"), beside=Dials(rules=False))
    first, again = shop.steering.inspect(asked), shop.steering.inspect(asked)

    def still(found):
        sides = [found.one, found.other]
        return [
            (side.rows, side.reading, side.total, [(each.name, each.first, each.found) for each in side.sources])
            for side in sides
        ]

    assert still(first) == still(again)
    assert first.shifts == ()


def test_the_other_side_obeys_its_dials(shop: Shop) -> None:
    pinned = rule(Pin("table3", 1), query="sofa")
    shop.rules.put(pinned, who="test")
    try:
        request = Request(place="search", query="sofa")
        found = shop.steering.inspect(InspectAsked(request=request, beside=Dials(rules=False)))
        assert found.other is not None
        assert found.one.rows[0].item == "table3"
        assert (found.one.rows[0].owes, found.one.rules) == ("rule", ("draft",))
        assert found.other.rules == ()
        assert "table3" not in [row.item for row in found.other.rows if row.position]
        assert found.shifts[0].item == "table3"
        assert (found.shifts[0].one, found.shifts[0].other) == (1, None)
    finally:
        shop.rules.delete("draft", who="test")


def test_weights_order_the_list_and_the_shop_keeps_its_own(shop: Shop) -> None:
    engine = shop.engine
    before = dict(engine.learned.ordering.fusion.weights.get("search", {}))
    turned = under(engine, Dials(weights={"lexical": 0.0, "popular": 5.0}), "search")
    request = Request(place="search", query="sofa")
    assert turned.answer(request).ids[0] == "sofa3"  # the one that is clicked
    assert dict(engine.learned.ordering.fusion.weights.get("search", {})) == before
    assert under(engine, Dials(rules=False), "search") is engine


def test_a_source_that_the_place_has_not_is_refused(shop: Shop) -> None:
    with pytest.raises(BadRequest, match="no such source"):
        under(shop.engine, Dials(weights={"nonsense": 1.0}), "search")


def test_another_snapshot_answers_beside_the_current_one(shop: Shop) -> None:
    current = shop.engine.learned.snapshot
    beside = shop.steering.around.beside(current)  # opened once more, as any other would be
    assert beside is not shop.engine
    asked = Request(place="search", query="sofa", personal=False)
    assert beside.answer(asked).ids == shop.answer(asked).ids
    with pytest.raises(BadRequest, match="no such snapshot"):
        shop.steering.inspect(InspectAsked(request=asked, beside=Dials(snapshot="../../etc")))
    assert shop.steering.inspect(InspectAsked(request=asked, beside=Dials(snapshot=current))).shifts == ()


def test_a_part_that_is_slow_while_measuring_is_not_taken_from_shoppers(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("too much at once")

    popular = shop.engine.learned.sources["popular"]
    with monkeypatch.context() as patch:
        patch.setattr(type(popular), "score", broken)
        shop.steering.inspect(InspectAsked(request=Request(place="search", query="sofa")))
    assert shop.engine.health.resting() == ()
    assert not [note for note in shop.answer(Request(place="search", query="sofa")).degraded if "popular" in note]


def test_the_dials_of_the_settings_are_not_turned_twice(shop: Shop) -> None:
    engine = shop.engine
    halved = msgspec.structs.replace(
        engine.settings, dials=msgspec.structs.replace(engine.settings.dials, weights={"lexical": 0.5})
    )
    served = Engine(engine.whole, engine.shelf, engine.shoppers, halved)
    assert weights_at(under(served, Dials(steps=False), "search"), "search") == weights_at(served, "search")
    assert weights_at(served, "search")["lexical"] == weights_at(engine, "search")["lexical"] / 2


def test_words_are_told_as_they_were_read(shop: Shop) -> None:
    seen = shop.steering.inspect(InspectAsked(request=Request(query="sofa under 70"))).one
    assert seen.place == "search"
    price = next(each for each in seen.reading.meanings if each.kind == "price")
    assert seen.reading.read[price.start : price.end] == "under 70"
    assert seen.reading.searched == "sofa"
    assert seen.reading.relaxed == ("price",)  # no sofa is that cheap


# -- the log of searches --------------------------------------------------------------------------------------------


def rows(*events: tuple[float, str, str, str, str]) -> EventRows:
    """(seconds, type, session, item, query)."""
    n = len(events)
    return EventRows(
        time=np.array([each[0] for each in events], np.float64),
        type=np.array([EVENT_CODES[each[1]] for each in events], np.int8),
        user=[""] * n,
        session=[each[2] for each in events],
        item=[each[3] for each in events],
        query=[each[4] for each in events],
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        position=np.full(n, -1, np.int32),
    )


def test_a_choice_answers_its_own_query_and_the_fruitless_ones_before() -> None:
    log = read([rows((0, "search", "a", "", "Couch"), (9, "search", "a", "", "sofa"), (20, "click", "a", "i", "sofa"))])
    couch, sofa = log.of("couch"), log.of("SOFA")
    assert [(choice.item, choice.own) for choice in couch.visits["a"].values()] == [("i", False)]
    assert [(choice.item, choice.own) for choice in sofa.visits["a"].values()] == [("i", True)]
    assert (couch.answered, sofa.answered, couch.next["sofa"]) == (0, 1, 1)


def test_what_comes_much_later_answers_nothing() -> None:
    late = LATER + 10
    log = read([rows((0, "search", "a", "", "couch"), (late, "search", "a", "", "x"), (late, "click", "a", "i", "x"))])
    assert log.of("couch").visits["a"] == {}
    assert not log.of("couch").next


def test_a_purchase_without_words_belongs_to_the_query_that_found_the_item() -> None:
    log = read([rows((0, "click", "a", "i", "sofa"), (9, "purchase", "a", "i", ""), (9, "purchase", "b", "i", ""))])
    choice = log.of("sofa").visits["a"]["i"]
    assert (choice.gain, choice.bought, choice.own) == (3, 1.0, True)
    assert set(log.of("sofa").visits) == {"a"}


def test_chunks_change_nothing() -> None:
    events = [(0.0, "search", "a", "", "couch"), (9.0, "search", "a", "", "sofa"), (20.0, "click", "a", "i", "sofa")]
    whole, parts = read([rows(*events)]), read([rows(each) for each in events])
    assert whole == parts


# -- what may mend a query ------------------------------------------------------------------------------------------


def test_the_story_of_a_lost_query_names_what_they_meant(shop: Shop) -> None:
    told = shop.steering.story("couch")
    assert (told.searches, told.answered, told.withheld) == (12, 0, False)
    assert [(each.query, each.visits, each.answered) for each in told.next] == [("sofa", 12, 1.0)]
    assert [(each.item, each.visits, each.later) for each in told.chosen] == [("sofa3", 12, 12)]
    assert (told.bought, told.revenue) == (6.0, 600.0)
    best = told.fixes[0]
    assert (best.kind, best.rule.then, best.share) == ("instead", (Replace("sofa"),), 1.0)
    assert best.rule.when.queries == (Phrase("couch"),)


def test_what_few_people_did_is_not_told(shop: Shop) -> None:
    told = shop.steering.story("secret")
    assert told.withheld
    assert (told.searches, told.chosen, told.next, told.fixes) == (0, (), (), ())
    assert shop.steering.story("never asked").withheld is False


def test_a_slip_of_the_keyboard_is_near_a_known_query(shop: Shop) -> None:
    near = [each for each in shop.steering.story("sofaa").fixes if each.kind == "alike"]
    corrected = shop.steering.story("sofaa").corrected
    assert corrected or near[0].rule.then == (Replace("sofa"),)


# -- measured before it is published ----------------------------------------------------------------------------------


def test_the_effect_of_searching_the_right_word_is_what_paper_says(shop: Shop) -> None:
    place = shop.answer(Request(place="search", query="sofa", personal=False)).ids.index("sofa3") + 1
    found = shop.steering.effect(rule(Replace("sofa")))
    assert (found.queries, found.touched, found.cases) == (1, 12, 12)
    mrr = found.measures["mrr"]
    assert (mrr.before, mrr.after) == (0.0, pytest.approx(1 / place, abs=1e-4))
    assert (mrr.low, mrr.high) == (pytest.approx(1 / place, abs=1e-4),) * 2  # every case is alike
    assert found.measures["found@10"].difference == 1.0
    assert (found.orders.bought, found.orders.up, found.orders.entered, found.orders.left) == (6, 6, 6, 0)
    assert found.expected_orders is not None
    assert found.expected_orders.total == 0.0  # nobody bought it through this very query


def test_hiding_what_is_bought_costs_all_of_it(shop: Shop) -> None:
    found = shop.steering.effect(rule(Hide(items=("sofa3",)), query="sofa"))
    assert found.expected_orders is not None
    assert found.expected_revenue is not None
    assert found.expected_orders.total == -6.0
    assert found.expected_revenue.total == -600.0
    assert found.measures["found@10"].difference == -1.0
    assert found.measures["mrr"].high < 0
    assert (found.orders.down, found.orders.left) == (6, 6)


def test_a_pin_gains_what_attention_says(shop: Shop) -> None:
    ids = shop.answer(Request(place="search", query="sofa", personal=False)).ids
    shop.rules.put(Rule(id="low", when=When(queries=(Phrase("sofa"),)), then=(Pin("sofa3", 4),)), who="test")
    try:
        assert len(ids) == 4
        found = shop.steering.effect(
            Rule(id="low", when=When(queries=(Phrase("sofa"),)), then=(Pin("sofa3", 1),)), ["sofa"]
        )
        gained = 6 * (math.log2(5) / math.log2(2) - 1)
        assert found.expected_orders is not None
        assert found.expected_orders.total == pytest.approx(gained, abs=1e-3)
        assert (found.measures["mrr"].before, found.measures["mrr"].after) == (0.25, 1.0)
    finally:
        shop.rules.delete("low", who="test")


def test_who_is_sent_away_is_counted_and_not_scored(shop: Shop) -> None:
    found = shop.steering.effect(rule(Redirect("/sale"), query="sofa"))
    assert (found.orders.redirected, found.orders.bought, found.cases, found.changed) == (6, 6, 0, 12)
    assert found.rows[0].redirect == "/sale"
    assert found.measures == {}


def test_a_rule_that_touches_nothing_says_so(shop: Shop) -> None:
    found = shop.steering.effect(rule(Pin("sofa0", 1), query="piano"))
    assert (found.touched, found.cases, found.rows) == (0, 0, ())
    assert found.expected_orders is None


def test_schedules_and_segments_are_looked_at_as_if_they_held(shop: Shop) -> None:
    later = rule(
        Replace("sofa"), start=NOW + timedelta(days=9), segments=(Segment(kind=SegmentKind.NAMED, name="vip"),)
    )
    found = shop.steering.effect(later)
    assert found.measures["found@10"].after == 1.0
    assert len(found.notes) == 2


def test_queries_of_few_people_count_but_are_not_named(shop: Shop) -> None:
    found = shop.steering.effect(Rule(id="draft", then=(Boost(filters=(Filter(field="brand", values=("Lux",)),)),)))
    assert found.touched == found.searches == 35  # 12 couch, 12 sofa, 9 table, 2 secret
    assert "secret" not in {row.query for row in found.rows}
    asked = shop.steering.effect(rule(Pin("lamp", 1), query="secret"), ["secret"])
    assert [(row.query, row.searches, row.cases) for row in asked.rows] == [("secret", 0, 0)]  # typed by the asker


def test_the_effect_is_the_same_each_time(shop: Shop) -> None:
    draft = rule(Boost(items=("sofa3",)), query="sofa")
    assert shop.steering.effect(draft) == shop.steering.effect(draft)


def test_bounds(shop: Shop) -> None:
    with pytest.raises(BadRequest):
        shop.steering.effect(rule(Replace("sofa")), ["x"] * 101)
    with pytest.raises(BadRequest):
        shop.steering.story("  ")
    with pytest.raises(BadRequest):
        shop.steering.effect(rule(Redirect("javascript:alert(1)")))


def test_who_was_forgotten_is_in_no_story(shop: Shop) -> None:
    shop.steering.story("couch")
    shop.steering.forget()
    kept = shop.steering.around
    shop.steering.around = replace(kept, events=lambda since: iter(()))
    try:
        assert shop.steering.story("couch").searches == 0
    finally:
        shop.steering.around = kept
        shop.steering.forget()
