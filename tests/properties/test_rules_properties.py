"""What rules do to a page, against a slow version in plain Python: nothing counted twice, nothing shown twice."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from statistics import pstdev
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bodega.engine import browse
from bodega.engine.merchandise import Merchandise
from bodega.engine.shelf import Shelf
from bodega.errors import BadRequest
from bodega.ranking import placing
from bodega.ranking.rules import Facts, RuleBook, shown_at
from bodega.schema import (
    Boost,
    Bury,
    Candidates,
    Filter,
    Hide,
    Item,
    ItemTable,
    Narrow,
    Pin,
    Rule,
    Sort,
    read_rule,
    rule_json,
)

NAMES = [f"i{n}" for n in range(12)]
BRANDS = ["A", "B", "C"]
ids = st.sampled_from([*NAMES, "unknown"])
filters = st.sampled_from(BRANDS).map(lambda brand: (Filter(field="brand", values=(brand,)),))


@dataclass(frozen=True)
class Case:
    """A shelf, what words found in it, what the shopper's own filters leave, and rules."""

    items: dict[str, Item]
    changed: dict[str, Item | None]
    found: list[str]
    scores: list[float]
    kept: set[str]
    rules: list[Rule]


def item(draw: Any, name: str) -> Item:
    group = draw(st.sampled_from(["", "", "g1", "g2"]))
    return Item(id=name, title=name, brand=draw(st.sampled_from(BRANDS)), group=group, stock=draw(st.integers(0, 2)))


@st.composite
def actions(draw: Any) -> Any:
    kind = draw(st.sampled_from(["pin", "pin", "pin", "hide", "boost", "bury", "narrow"]))
    some = tuple(draw(st.lists(ids, min_size=1, max_size=3)))
    if kind == "pin":
        return Pin(some[0], draw(st.integers(1, 15)))
    factor = draw(st.sampled_from([1.5, 3.0, 100.0]))
    if kind == "narrow":
        return Narrow(draw(filters))
    by_filter = draw(filters) if draw(st.booleans()) else ()
    if kind == "hide":
        return Hide(items=some, filters=by_filter)
    return (Boost if kind == "boost" else Bury)(items=some, filters=by_filter, factor=factor)


lists_of_actions = st.lists(actions(), min_size=1, max_size=4).map(tuple)


@st.composite
def cases(draw: Any) -> Case:
    base = {name: item(draw, name) for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))}
    changed: dict[str, Item | None] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True)):
        changed[name] = item(draw, name) if draw(st.booleans()) else None
    there = {**base, **changed}
    now = [name for name, held in there.items() if held is not None]
    found = draw(st.lists(st.sampled_from(now), unique=True)) if now else []
    scores = sorted(
        draw(st.lists(st.integers(0, 8).map(float), min_size=len(found), max_size=len(found))), reverse=True
    )
    kept = set(draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=6)))
    rules = [
        Rule(
            id=f"r{n}", priority=draw(st.integers(-1, 1)), then=tuple(draw(st.lists(actions(), min_size=1, max_size=4)))
        )
        for n in range(draw(st.integers(0, 3)))
    ]
    return Case(base, changed, found, scores, kept, rules)


def fast(case: Case, sort: Sort = Sort.RELEVANCE) -> tuple[list[str], list[str]]:
    """(the whole ordered list, everything that was found) as the engine does it."""
    shelf = Shelf.of(ItemTable.of(case.items.values()), case.changed)
    bound = Merchandise(shelf).bound(RuleBook(case.rules).plan(Facts(query="q")))
    rows = np.asarray([shelf.row(name) for name in case.found], np.int32)
    found, score = bound.entered(rows, np.asarray(case.scores, np.float32))
    keep = np.zeros(len(shelf), np.bool_)
    keep[[row for name in case.kept if (row := shelf.row(name)) >= 0]] = True
    keep = bound.allowed(keep)
    kept = keep[found]
    ranked = bound.ranked(Candidates.of("s", found[kept], score[kept]))
    rows = ranked.items[np.argsort(~shelf.available[ranked.items], kind="stable")]
    rows = browse.ordered(rows, sort, shelf.price, shelf.created)
    rows = bound.placed(browse.collapsed(rows, shelf.group), keep, sort)
    return [shelf.id(row) for row in rows.tolist()], sorted(shelf.id(row) for row in found.tolist())


def slow(case: Case) -> tuple[list[str], list[str]]:  # noqa: C901 - slow and straight on purpose
    """The same, one item at a time."""
    shop = {name: held for name, held in {**case.items, **case.changed}.items() if held is not None}
    order = sorted(case.rules, key=lambda rule: (-rule.priority, rule.id))

    def means(act: Any, name: str) -> bool:
        by_name = name in getattr(act, "items", ())
        return by_name or any(shop[name].brand in each.values for each in act.filters)

    hidden, pins, weight = set(), {}, dict.fromkeys(shop, 0.0)
    passing = set(shop)
    for rule in order:
        for act in rule.then:
            if isinstance(act, Pin):
                pins.setdefault(act.item, act.position)
            elif isinstance(act, Hide):
                hidden |= {name for name in shop if means(act, name)}
            elif isinstance(act, Narrow):
                passing &= {name for name in shop if means(act, name)}
            else:
                sign = 1 if isinstance(act, Boost) else -1
                for name in shop:
                    weight[name] += sign * float(np.log(act.factor)) * means(act, name)
    pins = {name: at for name, at in pins.items() if name in shop and name not in hidden}
    found = [name for name in case.found if name not in hidden and (name in passing or name in pins)]
    found += [name for name in pins if name not in found]
    scores = dict(zip(case.found, case.scores, strict=True))
    shown = [name for name in found if name in case.kept]
    spread = pstdev([scores[name] for name in shown if name in scores] or [0.0]) or 1.0
    lifted = {
        name: scores[name] + spread * min(max(weight[name], -float(np.log(100))), float(np.log(100)))
        for name in shown
        if name in scores
    }
    shown.sort(key=lambda name: -round(lifted[name], 4) if name in lifted else np.inf)
    shown.sort(key=lambda name: not shop[name].available)
    group_of = groups(case)
    first: dict[object, str] = {}
    for name in shown:
        first.setdefault(group_of[name], name)
    rest = list(first.values())
    at: dict[int, str] = {}
    for name, position in pins.items():
        if name in shown and shop[name].available and group_of[name] not in {group_of[other] for other in at.values()}:
            while position in at:
                position += 1
            at[position] = name
    rest = [name for name in rest if group_of[name] not in {group_of[other] for other in at.values()}]
    page: list[str] = []
    while rest or at:
        if len(page) + 1 in at:
            page.append(at.pop(len(page) + 1))
        elif rest:
            page.append(rest.pop(0))
        else:
            page.append(at.pop(min(at)))
    return page, sorted(found)


def groups(case: Case) -> dict[str, object]:
    """Variant groups as the shelf has them: an item that was there before keeps its old group."""
    shelf = Shelf.of(ItemTable.of(case.items.values()), case.changed)
    return {name: int(shelf.group[shelf.row(name)]) for name in NAMES if shelf.row(name) >= 0}


@settings(max_examples=250)
@given(cases())
def test_the_page_is_that_of_the_slow_version(case: Case) -> None:
    assert fast(case) == slow(case)


@settings(max_examples=80)
@given(cases())
def test_nothing_twice_and_the_total_is_the_same_in_every_order(case: Case) -> None:
    page, found = fast(case)
    assert len(page) == len(set(page)) <= len(found) == len(set(found))
    group_of = groups(case)
    assert len({group_of[name] for name in page}) == len(page), "one row a group"
    cheap, found_too = fast(case, Sort.PRICE_UP)
    assert (len(cheap), found_too) == (len(page), found), "the order changes neither total nor counts"


@settings(max_examples=60)
@given(cases())
def test_without_rules_nothing_changes(case: Case) -> None:
    bare = Case(case.items, case.changed, case.found, case.scores, case.kept, [])
    page, found = fast(bare)
    assert found == sorted(case.found)
    assert set(page) <= set(case.found) & case.kept


texts = st.text(max_size=20) | st.sampled_from(["tv", "/x", "https://a.b", "2027-01-01T00:00:00Z", "", "*", "pin"])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
ONE_OF_ALL = msgspec.json.decode("""
{"id": "r", "name": "n", "priority": 1, "enabled": true, "note": "x", "author": "a",
 "when": {"queries": [{"text": "tv", "match": "contains"}], "categories": ["A > B"], "below": true, "places": ["*"],
          "segments": [{"kind": "likes", "field": "brand", "value": "A", "at_least": 1}], "languages": ["en"],
          "start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z", "weekdays": ["mon"]},
 "then": [{"do": "pin", "item": "a", "position": 1}, {"do": "boost", "items": ["b"], "factor": 3},
          {"do": "hide", "filters": [{"field": "brand", "values": ["A"]}]}, {"do": "redirect", "url": "/x"},
          {"do": "banner", "text": "t", "url": "/y"}, {"do": "replace", "words": "tele", "by": "tv"},
          {"do": "synonyms", "words": ["tv", "set"]}, {"do": "filter", "filters": [{"field": "price", "high": 9}]}]}
""")


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in plain data."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, held in inner for found in paths(held, (*path, key)))]


@st.composite
def broken_rules(draw: Any) -> bytes:
    """A rule with everything in it, some parts of which are something else."""
    rule = deepcopy(ONE_OF_ALL)
    for _ in range(draw(st.integers(0, 3))):
        *way, last = draw(st.sampled_from(paths(rule)[1:]))
        part = rule
        for key in way:
            part = part[key]
        part[last] = draw(anything)
    return msgspec.json.encode(rule)


@settings(max_examples=400)
@given(st.binary(max_size=60) | anything.map(msgspec.json.encode) | broken_rules(), st.text(max_size=40))
def test_whatever_is_sent_is_a_rule_that_works_or_is_refused(data: bytes, query: str) -> None:
    try:
        rule = read_rule(data)
    except BadRequest:
        return
    assert read_rule(rule_json(rule)) == rule
    book = RuleBook([rule])
    shelf = Shelf.of(ItemTable.of([Item(id="a", brand="A"), Item(id="b", price=3.0)]))
    for place, text in (("search", "tele"), ("search", query), ("category", ""), ("home", "")):
        facts = Facts(place=place, query=text, categories=("A > B",), now=shown_at(rule, 1.8e9), language="en")
        bound = Merchandise(shelf).bound(book.plan(facts))
        rows, _ = bound.entered(shelf.all_rows(), np.asarray([2, 1], np.float32))
        assert len(rows) == len(set(rows.tolist())) <= 2


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 30), unique=True, max_size=20),
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 40)), max_size=8),
)
def test_pins_keep_the_order_of_all_others(rows: list[int], pins: list[tuple[int, int]]) -> None:
    group = np.arange(31, dtype=np.int32)
    placed = placing.placed(np.asarray(rows, np.int32), pins, group).tolist()
    assert sorted(placed) == sorted(rows), "nothing is added, nothing lost"
    pinned = {row for row, _ in pins}
    assert [row for row in placed if row not in pinned] == [row for row in rows if row not in pinned]
    strongest = next(((row, at) for row, at in pins if row in rows), None)
    if strongest is not None:
        row, at = strongest
        others = len({other for other, _ in pins if other in rows})
        assert placed.index(row) + 1 == at or (at > len(rows) - others and placed.index(row) >= len(rows) - others)


@settings(max_examples=60)
@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=30), st.floats(0.125, 1_000, width=32))
def test_a_boost_means_the_same_on_every_scale(scores: list[float], scale: float) -> None:
    """Scores that are ten times as large give the same order: the spread is the unit."""
    score = np.asarray(scores, np.float64)
    weight = np.zeros(len(score), np.float32)
    weight[::2] = np.log(3)
    if score.std() < 1e-3:
        return
    one = placing.lifted(score.astype(np.float32), weight).astype(np.float64)
    other = placing.lifted((score * scale).astype(np.float32), weight).astype(np.float64) / scale
    assert np.allclose(one, other, atol=1e-3 * max(1.0, float(np.abs(score).max())))
