"""Totals, counts, ranges and order are what a patient reader finds, item by item, on random shelves.

The slow side below knows nothing of columns: it reads `Item`s with loops and sets. The fast side is what pages use:
pins join the matches, `narrow` and `facets` over both tables of a shelf, order, collapse, pins at their places.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodega.engine import browse
from bodega.engine.answer import Engine
from bodega.engine.expression import And, Between, Expression, Is, Not, Or
from bodega.engine.merchandise import Bound
from bodega.engine.shelf import Shelf
from bodega.engine.shop import Shop
from bodega.ranking.rules import NOTHING
from bodega.schema import Facet, Filter, Item, ItemTable, Request, Sort
from bodega.schema.table import PATH_SEPARATOR, category_paths

# -- random shelves ---------------------------------------------------------------------------------------------------

IDS = [f"i{number}" for number in range(14)]
BRANDS = ("", "Acme", "Bolt", "Łódź")
PATHS = ((), ("Shoes",), ("Shoes", "Trail"), ("Shoes", "Road"), ("Hats",), ("Shoes", "Trail", "Men"))
COLOURS = ("red", "blue", "green")
FIELDS = ["brand", "category", "colour", "tags", "available", "price", "weight", "waterproof"]


def items(of: Sequence[str]) -> st.SearchStrategy[Item]:
    return st.builds(
        lambda name, brand, path, price, tags, group, stock, attributes: Item(
            id=name,
            brand=brand,
            category=path,
            price=price,
            tags=tuple(tags),
            group=group,
            stock=stock,
            attributes={key: value for key, value in attributes.items() if value is not None},
        ),
        st.sampled_from(of),
        st.sampled_from(BRANDS),
        st.sampled_from(PATHS),
        st.sampled_from([None, 1.0, 9.99, 19.99, 20.0, 250.0]),
        st.lists(st.sampled_from(["new", "sale", "used"]), max_size=2),
        st.sampled_from(["", "g1", "g2", "g3"]),
        st.sampled_from([None, 0, 3]),
        st.fixed_dictionaries(
            {
                "colour": st.one_of(st.none(), st.lists(st.sampled_from(COLOURS), min_size=1, max_size=2)),
                "weight": st.sampled_from([None, 1.0, 2.5, 0.1]),
                "waterproof": st.sampled_from([None, True, False]),
            }
        ),
    )


@dataclass
class Stocked:
    """A shelf, and the items that are for sale by their ids."""

    shelf: Shelf
    items: dict[str, Item]

    def rows(self, names: Sequence[str]) -> np.ndarray:
        return np.array([self.shelf.row(name) for name in names], np.int32)


@st.composite
def stocked(draw: st.DrawFn) -> Stocked:
    """A snapshot with items changed, deleted and added since."""
    base = {item.id: item for item in draw(st.lists(items(IDS[:9]), min_size=1, max_size=9))}
    base["all"] = Item(  # every field exists
        id="all", brand="Acme", category=("Hats",), price=5.0, tags=("new",),
        attributes={"colour": ["red"], "weight": 1.0, "waterproof": True},
    )  # fmt: skip
    changed: dict[str, Item | None] = {item.id: item for item in draw(st.lists(items(IDS), max_size=8))}
    changed |= dict.fromkeys(draw(st.lists(st.sampled_from(sorted(base)), max_size=2)), None)
    now = {name: item for name, item in {**base, **changed}.items() if item is not None}
    return Stocked(Shelf.of(ItemTable.of(base.values())).with_changes(changed.items()), now)


numbers = st.sampled_from([0.0, 0.1, 1.0, 9.99, 10.0, 19.99, 250.0])
conditions = st.one_of(
    st.builds(Is, st.just("brand"), st.lists(st.sampled_from(BRANDS[1:]), min_size=1, max_size=2).map(tuple)),
    st.builds(Is, st.just("category"), st.sampled_from([(PATH_SEPARATOR.join(path),) for path in PATHS if path])),
    st.builds(Is, st.just("colour"), st.sampled_from([("red",), ("blue", "green"), ("mauve",)])),
    st.builds(Is, st.just("tags"), st.sampled_from([("used",), ("new", "sale")])),
    st.builds(Is, st.sampled_from(["available", "waterproof"]), st.sampled_from([("true",), ("false",)])),
    st.builds(Is, st.just("weight"), st.sampled_from([("2.5",), ("0.1", "7")])),
    st.builds(
        lambda field, low, far: Between(field, low, max(low, far)),
        st.sampled_from(["price", "weight"]),
        numbers,
        numbers,
    ),
    st.builds(lambda end, strict: Between("price", low=end, strict=strict), numbers, st.booleans()),
    st.builds(lambda end, strict: Between("price", high=end, strict=strict), numbers, st.booleans()),
)
expressions = st.recursive(
    conditions,
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.builds(And, st.lists(parts, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(parts, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)
filters = st.one_of(
    st.builds(lambda v: Filter(field="brand", values=tuple(v)), st.lists(st.sampled_from(BRANDS[1:]), min_size=1)),
    st.builds(lambda path: Filter(field="category", values=(PATH_SEPARATOR.join(path),)), st.sampled_from(PATHS[1:])),
    st.builds(lambda v: Filter(field="colour", values=tuple(v)), st.lists(st.sampled_from(COLOURS), min_size=1)),
    st.builds(lambda v: Filter(field="available", values=(v,)), st.sampled_from(["true", "false"])),
    st.builds(lambda low, high: Filter(field="price", low=low, high=high), numbers, st.one_of(st.none(), numbers)),
)


@dataclass
class Question:
    pool: list[str]
    pins: list[str]
    filters: list[Filter]
    where: Expression | None
    sort: Sort


@st.composite
def questions(draw: st.DrawFn) -> tuple[Stocked, Question]:
    shop = draw(stocked())
    known = sorted(shop.items)
    some = st.lists(st.sampled_from(known), unique=True) if known else st.just([])
    return shop, Question(
        pool=draw(some.flatmap(st.permutations)),
        pins=draw(some)[:2],
        filters=draw(st.lists(filters, max_size=2)),
        where=draw(st.one_of(st.none(), expressions)),
        sort=draw(st.sampled_from(Sort)),
    )


# -- the slow side ----------------------------------------------------------------------------------------------------


def f32(number: float) -> float:
    """As the shelf holds it."""
    return float(struct.unpack("f", struct.pack("f", number))[0])


def texts_of(item: Item, field: str) -> set[str]:
    if field == "available":
        return {"true" if item.available else "false"}
    if field == "category":
        return set(category_paths(item.category))
    if field == "tags":
        return set(item.tags)
    if field == "brand":
        return {item.brand} - {""}
    found = item.attributes.get(field)
    if isinstance(found, list):
        return set(found)
    if isinstance(found, float):  # few numbers are listed as they are written
        return {f"{found:g}"}
    return {str(found)} if isinstance(found, bool) else set()


def number_of(item: Item, field: str) -> float | None:
    found = item.price if field == "price" else item.attributes.get(field)
    return f32(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def fits(item: Item, asked: Expression) -> bool:
    if isinstance(asked, And):
        return all(fits(item, part) for part in asked.parts)
    if isinstance(asked, Or):
        return any(fits(item, part) for part in asked.parts)
    if isinstance(asked, Not):
        return not fits(item, asked.part)
    number = number_of(item, asked.field)
    if isinstance(asked, Is):
        meant = {*asked.values, *(value.capitalize() for value in asked.values if value in ("true", "false"))}
        if texts_of(item, asked.field) & meant:
            return True
        return number is not None and any(number == f32(float(value)) for value in asked.values)
    if number is None:
        return False
    if asked.low is not None and (number < f32(asked.low) or (asked.strict and number == f32(asked.low))):
        return False
    return asked.high is None or number < f32(asked.high) or (not asked.strict and number == f32(asked.high))


def passes(item: Item, rule: Filter) -> bool:
    if rule.values and not fits(item, Is(rule.field, rule.values)):
        return False
    number = number_of(item, rule.field)
    if rule.low is not None and (number is None or number < f32(rule.low)):
        return False
    return rule.high is None or (number is not None and number <= f32(rule.high))


def group_of(item: Item) -> str:
    return item.group or f"only {item.id}"


class Reader:
    """Answers a question by reading every item."""

    def __init__(self, shop: Stocked, asked: Question) -> None:
        self.asked, self.items = asked, shop.items
        self.matches = [shop.items[name] for name in dict.fromkeys([*asked.pool, *asked.pins])]

    def left(self, without: str = "") -> list[Item]:
        """The matches that pass everything, but for the filters of one field."""
        rules = [rule for rule in self.asked.filters if rule.field != without]
        return [
            item
            for item in self.matches
            if all(passes(item, rule) for rule in rules) and (self.asked.where is None or fits(item, self.asked.where))
        ]

    def hits(self) -> list[str]:
        """Ids of the page: sorted, one a group, pins at their places."""
        found = self.left()
        keys = {
            Sort.RELEVANCE: lambda item: 0.0,
            Sort.PRICE_UP: lambda item: float("inf") if item.price is None else item.price,
            Sort.PRICE_DOWN: lambda item: float("inf") if item.price is None else -item.price,
            Sort.NEWEST: lambda item: 0.0,
        }
        shown: list[Item] = []
        for item in sorted(found, key=keys[self.asked.sort]):
            if group_of(item) not in {group_of(other) for other in shown}:
                shown.append(item)
        if self.asked.sort is not Sort.RELEVANCE:
            return [item.id for item in shown]
        pinned: dict[int, Item] = {}
        for at, name in enumerate(self.asked.pins):
            item = self.items[name]
            if item in found and item.available and group_of(item) not in map(group_of, pinned.values()):
                pinned[at] = item
        page = [item.id for item in shown if group_of(item) not in map(group_of, pinned.values())]
        for at, item in sorted(pinned.items()):
            page.insert(at, item.id)
        return page

    def counts(self, field: str) -> dict[str, int]:
        groups: dict[str, set[str]] = {}
        for item in self.left(without=field):
            for text in texts_of(item, field):
                groups.setdefault(text, set()).add(group_of(item))
        return {text: len(found) for text, found in groups.items()}

    def tree(self) -> set[str]:
        """The categories that are offered: the top, below each step of what was chosen, and down a lone branch."""
        counts = self.counts("category")
        above = {path: path.rpartition(PATH_SEPARATOR)[0] for path in counts}
        chosen = {value for rule in self.asked.filters if rule.field == "category" for value in rule.values}
        where = self.asked.where
        for part in where.parts if isinstance(where, And) else (where,):
            chosen |= set(part.values) if isinstance(part, Is) and part.field == "category" else set()
        opened = {"", *(step for path in chosen for step in category_paths(tuple(path.split(PATH_SEPARATOR))))}
        branch = [path for path in counts if not above[path]]
        while len(branch) == 1:
            opened.add(branch[0])
            branch = [path for path in counts if above[path] == branch[0]]
        return {path for path in counts if above[path] in opened}

    def numbers(self, field: str) -> list[tuple[float, str]]:
        found = ((number_of(item, field), group_of(item)) for item in self.left(without=field))
        return [(number, group) for number, group in found if number is not None]


# -- both agree -------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(questions())
def test_total_order_and_every_count_are_what_a_reader_finds(asked: tuple[Stocked, Question]) -> None:
    check_answer(*asked)


@pytest.mark.slow
@settings(max_examples=2_000, deadline=None)
@given(questions())
def test_they_are_on_thousands_of_shelves(asked: tuple[Stocked, Question]) -> None:
    check_answer(*asked)


def check_answer(shop: Stocked, question: Question) -> None:
    shelf, reader = shop.shelf, Reader(shop, question)
    pins = tuple((int(row), at, "rule") for at, row in enumerate(shop.rows(question.pins), start=1))
    bound = Bound(NOTHING, shelf, pins)
    chosen = browse.narrow(shelf, question.filters, question.where)

    rows, _ = bound.entered(shop.rows(question.pool), np.zeros(len(question.pool), np.float32))
    shown = browse.ordered(rows[chosen.all[rows]], question.sort, shelf.price, shelf.created)
    page = bound.placed(browse.collapsed(shown, shelf.group), chosen.all, question.sort)
    assert [shelf.id(row) for row in page.tolist()] == reader.hits()

    assert browse.narrow(shelf, question.filters, str(question.where or "")).all.tolist() == chosen.all.tolist()
    for facet in browse.facets(shelf, rows, FIELDS, chosen):
        check_facet(facet, reader)


def check_facet(facet: Facet, reader: Reader) -> None:
    counts = reader.counts(facet.field)
    offered = {text: counts[text] for text in reader.tree()} if facet.field == "category" else counts
    assert {each.value: each.count for each in facet.values} == offered, facet.field
    listed = [(-each.count, each.value) for each in facet.values]
    assert facet.field == "available" or listed == sorted(listed)
    if facet.field == "category":
        for each in facet.values:
            assert (each.parent, each.depth) == (
                each.value.rpartition(PATH_SEPARATOR)[0],
                each.value.count(PATH_SEPARATOR),
            )
    found = reader.numbers(facet.field) if facet.field in ("price", "weight") else []
    assert facet.count == len(found)
    if not found:
        assert (facet.low, facet.high, facet.mean, facet.ranges) == (None, None, None, ())
        return
    values = [number for number, _ in found]
    assert (f32(facet.low), f32(facet.high)) == (min(values), max(values))
    assert abs(facet.sum - sum(values)) < 1e-4
    assert abs(facet.mean - sum(values) / len(values)) < 1e-4
    ends = [facet.ranges[0].low, *(each.high for each in facet.ranges)]
    assert ends == sorted(ends)
    assert [each.low for each in facet.ranges] == ends[:-1]
    assert ends[0] <= facet.low <= facet.high <= ends[-1]
    for each in facet.ranges:
        last = each is facet.ranges[-1]
        inside = {g for number, g in found if f32(each.low) <= number and (number < f32(each.high) or last)}
        assert each.count == len(inside), each


# -- the whole engine keeps what its facets promise -------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "two oaks", "tomatoes fresh milk"])
@pytest.mark.parametrize("where", ["", "price < 6", 'NOT category = "Produce"'])
def test_a_value_that_promises_so_many_hits_gives_so_many(small_shop: Shop, query: str, where: str) -> None:
    """Through retrieval, fusion, understanding and collapse: each count is the total once that value is chosen."""
    engine = restocked(small_shop)
    asked = Request(place="search" if query else "category", query=query, where=where, k=1000)
    for chosen in ((), (Filter(field="price", high=5.0),)):
        request = msgspec.structs.replace(
            asked, filters=chosen, facets=("brand", "category", "available", "price", "*")
        )
        page = engine.answer(request)
        assert page.total == len(page)
        assert page.total or chosen or where
        for facet in page.facets:
            others = tuple(rule for rule in chosen if rule.field != facet.field)
            for value in facet.values[:6]:
                rule = Filter(field=facet.field, values=(value.value,))
                total = engine.answer(msgspec.structs.replace(asked, filters=(*others, rule), k=1)).total
                assert total == value.count, (facet.field, value)
            for bar in facet.ranges:
                sign = "<=" if bar is facet.ranges[-1] else "<"
                inside = f"{facet.field} >= {bar.low!r} AND {facet.field} {sign} {bar.high!r}"
                narrowed = f"({where}) AND {inside}" if where else inside
                total = engine.answer(msgspec.structs.replace(asked, filters=others, where=narrowed, k=1)).total
                assert total == bar.count, (facet.field, bar)


def restocked(shop: Shop) -> Engine:
    """The shop's engine over a shelf with changed, deleted and new variants; the shop itself stays as it is."""
    shelf = shop.engine.shelf
    known = [shelf.base.item(row) for row in range(0, len(shelf.base), 7)]
    changed: dict[str, Item | None] = {known[0].id: None}
    for number, item in enumerate(known[1:]):
        price = None if number % 3 == 0 else (item.price or 1.0) + 1.0
        changed[item.id] = msgspec.structs.replace(item, price=price, stock=number % 2)
        changed[f"{item.id}-new"] = msgspec.structs.replace(item, id=f"{item.id}-new", brand="Newcomer")
    return shop.engine.restocked(shelf.with_changes(changed.items()))
