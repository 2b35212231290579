"""Plans bound to a shelf: segments, what cannot be asked, reasons, and what a change of the catalog does to them."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.engine.merchandise import Merchandise, facts_of
from bodega.engine.preview import most_asked
from bodega.engine.rulebooks import Rules
from bodega.engine.shelf import Shelf
from bodega.errors import BadRequest, Stale, StoreError
from bodega.ranking.rules import Facts, RuleBook
from bodega.schema import (
    Boost,
    Bury,
    Candidates,
    Context,
    Event,
    EventType,
    Filter,
    Hide,
    Item,
    ItemTable,
    Narrow,
    Page,
    Phrase,
    Pin,
    Reason,
    Redirect,
    Request,
    Rule,
    Segment,
    SegmentKind,
    Sort,
    When,
)
from bodega.testing.fakes import MemoryEvents, MemoryRules

TABLE = ItemTable.of(
    [
        Item(id="a", title="Red shoe", brand="Acme", category=("Shoes", "Trail"), price=50.0),
        Item(id="b", title="Blue shoe", brand="Bolt", category=("Shoes",), price=70.0),
        Item(id="c", title="Old shoe", brand="Acme", category=("Shoes",), price=20.0, stock=0),
        Item(id="d", title="Hat", brand="Cap", category=("Hats",), price=10.0),
    ]
)
SHELF = Shelf.of(TABLE)
ALL = np.arange(4, dtype=np.int32)
WHY = [(Reason(source="lexical", share=0.75, text="Matches"), Reason(source="popular", share=0.25, text="Popular"))] * 4


def bound(*actions, shelf: Shelf = SHELF):
    return Merchandise(shelf).bound(RuleBook([Rule(id="r", then=actions)]).plan(Facts(query="shoe")))


def ids(rows) -> str:
    return "".join(SHELF.id(row) for row in rows.tolist())


def facts(request: Request, *rules: Rule, history: tuple[int, ...] = ()) -> Facts:
    return facts_of(request, Context(history=np.asarray(history, np.int32), language="en"), TABLE, RuleBook(rules))


def test_segments_come_from_the_history_and_from_the_request():
    likes = [
        Segment(SegmentKind.LIKES, field="brand", value="Acme", at_least=2),
        Segment(SegmentKind.LIKES, field="category", value="Shoes", at_least=3),
        Segment(SegmentKind.LIKES, field="category", value="Shoes > Trail"),
        Segment(SegmentKind.LIKES, field="nothing", value="x"),
    ]
    rule = Rule(id="r", when=When(segments=tuple(likes)), then=(Hide(items=("a",)),))
    request = Request(place="search", query="x", user="u", segments=("vip",))
    assert facts(request, rule).segments == {"new", "named:vip"}
    assert facts(request, rule, history=(0, 2)).segments == {"returning", "named:vip", likes[0].key, likes[2].key}
    assert facts(request, rule, history=(1, 1, 1)).segments == {"returning", "named:vip", likes[1].key}


def test_nobody_is_in_a_segment_where_personalisation_is_off():
    rule = Rule(id="r", when=When(segments=(Segment(SegmentKind.NEW), Segment(SegmentKind.NAMED, name="vip"))), then=())
    request = Request(place="search", query="x", user="u", segments=("vip",), personal=False)
    assert facts(request, rule, history=(0,)).segments == frozenset()


def test_the_category_of_a_browse_page_is_its_filter():
    request = Request(place="category", filters=(Filter(field="category", values=("Shoes > Trail",)),))
    assert facts(request).categories == ("Shoes > Trail",)


def test_hidden_rows_leave_and_pinned_rows_join():
    rules = bound(Pin("d", 1), Pin("gone", 2), Hide(filters=(Filter(field="brand", values=("Acme",)),)))
    rows, score = rules.entered(ALL[:3], np.asarray([3, 2, 1], np.float32))
    assert ids(rows) == "bd"
    assert np.isnan(score[1])
    assert rules.allowed(np.ones(4, bool)).tolist() == [False, True, False, True]
    assert ids(rules.placed(rows, np.ones(4, bool))) == "db"


def test_hide_beats_pin():
    rules = bound(Pin("a", 1), Hide(items=("a",)))
    rows, _ = rules.entered(ALL, np.zeros(4, np.float32))
    assert ids(rows) == "bcd"
    assert ids(rules.placed(rows, np.ones(4, bool))) == "bcd"


def test_a_pin_passes_the_rules_filters_but_never_the_shoppers():
    rules = bound(Pin("d", 1), Narrow((Filter(field="category", values=("Shoes",)),)))
    rows, _ = rules.entered(ALL, np.zeros(4, np.float32))
    assert ids(rows) == "abcd"
    assert rules.allowed(np.asarray([True, True, True, False])).tolist() == [True, True, True, False]
    assert ids(rules.placed(ALL[:3], np.asarray([True, True, True, False]))) == "abc"


def test_what_is_sold_out_does_not_take_its_position_nor_any_pin_in_another_order():
    assert ids(bound(Pin("c", 1)).placed(ALL, np.ones(4, bool))) == "abcd"
    assert ids(bound(Pin("d", 1)).placed(ALL, np.ones(4, bool), Sort.PRICE_UP)) == "abcd"
    assert ids(bound(Pin("d", 1)).placed(ALL, np.ones(4, bool))) == "dabc"


def test_a_boost_is_its_log_times_the_spread_of_the_list():
    rules = bound(Boost(items=("b",), factor=3), Bury(filters=(Filter(field="brand", values=("Acme",)),), factor=2))
    score = np.asarray([4, 3, 2, 1], np.float32)
    lifted = rules.lifted(ALL, score) - score
    assert np.allclose(lifted, np.asarray([-np.log(2), np.log(3), -np.log(2), 0]) * score.std(), atol=1e-5)
    ranked = rules.ranked(Candidates.of("s", ALL, score))
    assert ids(ranked.items) == "badc"[:1] + ids(ranked.items)[1:]
    assert ranked.score.tolist() == sorted(ranked.score.tolist(), reverse=True)


def test_what_is_boosted_far_down_reaches_the_head_that_is_ranked():
    table = ItemTable.of(Item(id=str(n), brand="Acme" if n >= 90 else "Bolt") for n in range(100))
    shelf, rows = Shelf.of(table), np.arange(100, dtype=np.int32)
    acme = (Filter(field="brand", values=("Acme",)),)
    score = np.linspace(10, 1, 100).astype(np.float32)
    moved, kept = bound(Boost(filters=acme, factor=50), shelf=shelf).headed(rows, score, 10)
    assert moved.tolist() == [*range(5), *range(90, 95), *range(5, 90), *range(95, 100)]
    assert kept.tolist() == score[moved].tolist(), "a score goes with its row and is not lifted twice"
    for rules in (
        bound(Boost(filters=acme, factor=1.01), shelf=shelf),
        bound(Bury(filters=acme, factor=50), shelf=shelf),
        bound(Boost(items=("3",), factor=50), shelf=shelf),
    ):
        assert rules.headed(rows, score, 10)[0].tolist() == rows.tolist()
    assert bound(Boost(filters=acme, factor=50), shelf=shelf).headed(rows, score, 100)[0] is rows


def test_boosts_add_up_to_a_hundred_at_most_and_equal_scores_still_part():
    rules = bound(*[Boost(items=("d",), factor=100)] * 3)
    lifted = rules.lifted(ALL, np.zeros(4, np.float32))
    assert lifted[3] == pytest.approx(np.log(100))
    assert np.isnan(rules.lifted(ALL, np.asarray([1, 2, 3, np.nan], np.float32))[3]), "unknown stays unknown"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (Filter(field="colour", values=("red",)), "colour"),
        (Filter(field="brand", low=1.0), "brand"),
        (Filter(field="available", values=("maybe",)), "maybe"),
    ],
)
def test_a_filter_that_cannot_be_asked_of_this_shop_changes_nothing_and_is_named(where, said):
    for action in (Hide(filters=(where,)), Boost(filters=(where,)), Narrow((where,))):
        rules = bound(action)
        rows, score = rules.entered(ALL, np.asarray([4, 3, 2, 1], np.float32))
        assert ids(rows) == "abcd"
        assert rules.lifted(rows, score).tolist() == score.tolist()
        assert rules.allowed(np.ones(4, bool)).all()
        assert said in rules.notes[0]
        assert "rule r" in rules.notes[0]


def test_a_filter_that_leaves_nothing_leaves_nothing():
    rows, _ = bound(Narrow((Filter(field="brand", values=("Nobody",)),))).entered(ALL, np.zeros(4, np.float32))
    assert len(rows) == 0


def test_reasons_say_what_a_rule_did_in_both_languages_and_shares_add_up():
    rules = bound(Pin("a", 1), Boost(items=("b",), factor=4), Bury(items=("d",), factor=4))
    for language, words in (("en", ("Placed", "Preferred", "Held back")), ("zh", ("置顶", "优先", "降低"))):
        why = rules.explained(ALL, WHY, language)
        for reasons, word in zip([why[0], why[1], why[3]], words, strict=True):
            (own,) = [each for each in reasons if each.source == "rule"]
            assert word in own.text
            assert sum(each.share for each in reasons) == pytest.approx(1)
        assert why[2] == WHY[2]
    assert why[0][0].share == 1.0
    assert why[1][0].share == pytest.approx(0.75)
    assert rules.explained(ALL, WHY, "en", Sort.NEWEST) == WHY, "in another order no rule placed anything"


def test_only_rules_that_had_something_to_act_on_are_named():
    book = RuleBook(
        [
            Rule(id="pins-gone", then=(Pin("sold", 1),)),
            Rule(id="lifts-others", then=(Boost(items=("d",)),)),
            Rule(id="lifts", then=(Boost(items=("b",)),)),
            Rule(id="sends", then=(Redirect("/x"), Pin("sold", 3))),
        ]
    )
    rules = Merchandise(SHELF).bound(book.plan(Facts(query="q")))
    assert set(rules.rules(ALL[:3])) == {"lifts", "sends"}


def test_a_plan_follows_the_catalog():
    book = RuleBook([Rule(id="r", then=(Hide(filters=(Filter(field="brand", values=("Acme",)),)), Pin("new", 1)))])
    shelf = SHELF.with_changes([("b", Item(id="b", brand="Acme")), ("new", Item(id="new")), ("a", None)])
    plan = book.plan(Facts(query="q"))
    rows, _ = Merchandise(shelf).bound(plan).entered(shelf.all_rows(), np.zeros(4, np.float32))
    assert sorted(shelf.id(row) for row in rows.tolist()) == ["d", "new"]
    assert Merchandise(SHELF).bound(plan).pins == ()


def test_actions_are_remembered_by_what_they_are_not_by_the_id_of_their_rule():
    merchandise = Merchandise(SHELF)
    for name in "abcd":
        plan = RuleBook([Rule(id="draft", then=(Hide(items=(name,)),))]).plan(Facts(query="q"))
        rows, _ = merchandise.bound(plan).entered(ALL, np.zeros(4, np.float32))
        assert ids(rows) == "abcd".replace(name, "")


# -- shop.rules --------------------------------------------------------------------------------------------------------


def page(hits: str, **more) -> Page:
    del hits
    return Page(request_id="1", place="search", hits=(), total=0, **more)


def test_a_change_is_in_the_next_book_and_another_process_change_soon_after(monkeypatch):
    store = MemoryRules()
    here, there = Rules(store, ask=lambda *_: page("")), Rules(store, ask=lambda *_: page(""))
    assert len(there.book) == 0
    here.put(Rule(id="r", then=(Pin("a", 1),)), who="ann")
    assert len(here.book) == 1
    assert here.get("r").author == "ann"
    monkeypatch.setattr("bodega.engine.rulebooks.LOOK_EVERY", 0.0)
    assert len(there.book) == 1
    assert there.refresh() is False
    here.enable("r", False, who="bob")
    assert len(there.book) == 0
    with pytest.raises(Stale):
        here.put(Rule(id="r", then=(Pin("b", 1),)), who="bob", expected=1)
    here.undo(2, who="bob")
    assert len(here.book) == 1
    here.delete("r", who="bob")
    assert [line.what for line in here.history()] == ["delete", "undo", "change", "create"]
    for call in (lambda: here.get("r"), lambda: here.delete("r", who="x"), lambda: here.enable("r", True, who="x")):
        with pytest.raises(BadRequest) as caught:
            call()
        assert caught.value.status == 404


def test_a_broken_store_does_not_break_an_answer(monkeypatch):
    store = MemoryRules()
    rules = Rules(store, ask=lambda *_: page(""))
    rules.put(Rule(id="r", then=(Pin("a", 1),)), who="ann")
    monkeypatch.setattr("bodega.engine.rulebooks.LOOK_EVERY", 0.0)

    def broken() -> int:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(store, "cursor", broken)
    assert len(rules.book) == 1
    with pytest.raises(StoreError):
        rules.refresh()


def test_a_bad_rule_is_not_stored():
    store = MemoryRules()
    with pytest.raises(BadRequest):
        Rules(store, ask=lambda *_: page("")).put(
            Rule(id="good", then=(Pin("a", 1),)), Rule(id="bad", then=(Redirect("javascript:1"),)), who="ann"
        )
    assert store.list() == []


def test_a_preview_looks_as_the_rule_would_be_seen():
    asked: list[Request] = []

    def ask(request: Request, book: RuleBook) -> Page:
        asked.append(request)
        moment = request.time.timestamp() if request.time else 0.0
        plan = book.plan(Facts(place=request.place, query=request.query, now=moment, language=request.language))
        return page("", redirect=plan.redirect, rules=plan.rules)

    rules = Rules(MemoryRules(), ask=ask, asked=lambda: ("radio", "tv"))
    when = When(queries=(Phrase("TV"),), segments=(Segment(SegmentKind.NEW),), languages=("zh",))
    found = rules.preview(Rule(id="r", enabled=False, when=when, then=(Redirect("/tv"),)))
    assert [(row.query, row.changed, row.redirect) for row in found.rows] == [
        ("TV", True, "/tv"), ("radio", False, ""), ("tv", True, "/tv"),
    ]  # fmt: skip
    assert found.changed == 2
    assert len(found.notes) == 2, "as a member of the segment, and as if it were on"
    assert not any(request.personal for request in asked), "a preview asks as nobody"
    assert rules.list() == [], "nothing is stored"
    assert [row.query for row in rules.preview(Rule(then=(Redirect("/x"),)), queries=["a", "b"]).rows] == ["a", "b"]
    with pytest.raises(BadRequest):
        rules.preview(Rule(then=(Redirect("/x"),)), queries=["a"] * 201)


def test_only_queries_of_enough_people_are_shown():
    from datetime import UTC, datetime

    store = MemoryEvents()
    log = [("TV", f"u{n}") for n in range(3)] + [("secret", "u1")] * 5 + [("radio", f"u{n}") for n in range(5)]
    events = [
        Event(id=str(n), type=EventType.SEARCH, time=datetime(2026, 1, 1, tzinfo=UTC), user=user, query=query)
        for n, (query, user) in enumerate([*log, ("tv", "u9")])
    ]
    store.append(events)
    assert most_asked(store, people=3) == ["radio", "tv"]
    assert most_asked(store, people=2, limit=1) == ["radio"]
