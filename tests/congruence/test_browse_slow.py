"""Filters and facets on columns give what a reader would do by hand, item by item, on random catalogs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bodega.engine import browse
from bodega.engine.shelf import Shelf
from bodega.schema import Filter, Item, ItemTable
from bodega.schema.table import PATH_SEPARATOR, category_paths

BRANDS = ("", "Acme", "Bolt", "Łódź")
PATHS = ((), ("Shoes",), ("Shoes", "Trail"), ("Shoes", "Road"), ("Hats",), ("Shoes", "Trail", "Men"))
COLOURS = ("red", "blue", "green")

items_strategy = st.lists(
    st.builds(
        lambda brand, path, price, tags, colour, weight, group, stock: Item(
            id="",
            brand=brand,
            category=path,
            price=price,
            tags=tuple(tags),
            attributes={**({"colour": colour} if colour else {}), **({"weight": weight} if weight is not None else {})},
            group=group,
            stock=stock,
        ),
        st.sampled_from(BRANDS),
        st.sampled_from(PATHS),
        st.one_of(st.none(), st.sampled_from([1.0, 9.99, 20.0])),
        st.lists(st.sampled_from(["new", "sale"]), max_size=2),
        st.one_of(st.none(), st.lists(st.sampled_from(COLOURS), min_size=1, max_size=2)),
        st.one_of(st.none(), st.sampled_from([1.0, 2.5])),
        st.sampled_from(["", "", "g1", "g2"]),
        st.sampled_from([None, 0, 3]),
    ),
    max_size=12,
).map(
    lambda rows: [
        Item(**{**{f: getattr(row, f) for f in Item.__struct_fields__}, "id": f"i{n}"}) for n, row in enumerate(rows)
    ]
)

filter_strategy = st.one_of(
    st.builds(lambda v: Filter(field="brand", values=tuple(v)), st.lists(st.sampled_from(BRANDS[1:]), min_size=1)),
    st.builds(
        lambda v: Filter(field="category", values=tuple(v)),
        st.lists(st.sampled_from([PATH_SEPARATOR.join(path) for path in PATHS if path]), min_size=1),
    ),
    st.builds(lambda v: Filter(field="colour", values=tuple(v)), st.lists(st.sampled_from(COLOURS), min_size=1)),
    st.builds(lambda v: Filter(field="tags", values=(v,)), st.sampled_from(["new", "sale", "none"])),
    st.builds(lambda v: Filter(field="available", values=(v,)), st.sampled_from(["true", "false"])),
    st.builds(
        lambda low, high: Filter(field="price", low=low, high=high),
        st.one_of(st.none(), st.sampled_from([0.0, 9.99, 10.0])),
        st.one_of(st.none(), st.sampled_from([9.99, 15.0])),
    ),
    st.builds(lambda low: Filter(field="weight", low=low), st.sampled_from([1.0, 2.0])),
    st.just(Filter(field="weight", values=("2.5",))),
)


def values_of(item: Item, field: str) -> set[str]:
    """The texts an item carries in a field."""
    if field == "available":
        return {"true" if item.available else "false"}
    if field == "category":
        return set(category_paths(item.category))
    if field == "tags":
        return set(item.tags)
    if field == "brand":
        return {item.brand} if item.brand else set()
    found = item.attributes.get(field)
    return set(found) if isinstance(found, list) else set()


def number_of(item: Item, field: str) -> float:
    found = item.price if field == "price" else item.attributes.get(field)
    return math.nan if found is None or isinstance(found, list) else float(found)


def passes(item: Item, rule: Filter) -> bool:
    if rule.values:
        number = number_of(item, rule.field) if rule.field == "weight" else math.nan
        if not (values_of(item, rule.field) & set(rule.values)) and str(number) not in rule.values:
            return False
    if rule.low is not None and not number_of(item, rule.field) >= rule.low:
        return False
    return rule.high is None or number_of(item, rule.field) <= rule.high


def slow_counts(items: Sequence[Item], rows: Sequence[int], field: str, filters: Sequence[Filter]) -> dict[str, int]:
    groups: dict[str, set[str]] = {}
    for row in rows:
        if all(passes(items[row], rule) for rule in filters if rule.field != field):
            for value in values_of(items[row], field):
                groups.setdefault(value, set()).add(items[row].group or f"only {row}")
    return {value: len(found) for value, found in groups.items()}


@settings(max_examples=150, deadline=None)
@given(items_strategy, st.lists(filter_strategy, max_size=3), st.randoms(use_true_random=False))
def test_filters_and_facets_agree_with_reading_every_item(items, filters, random):
    table = ItemTable.of(items)
    assert browse.keep(table, filters).tolist() == [all(passes(item, rule) for rule in filters) for item in items]
    rows = random.sample(range(len(items)), random.randint(0, len(items)))
    matches = np.array(rows, np.int32)
    shelf = Shelf.of(table)
    filters = [rule for rule in filters if rule.field in browse.fields(table)]
    chosen = browse.narrow(shelf, filters)
    for facet in browse.facets(shelf, matches, ["brand", "colour", "tags", "available"], chosen):
        expected = slow_counts(items, rows, facet.field, filters)
        assert {entry.value: entry.count for entry in facet.values} == expected
        assert [entry.count for entry in facet.values] == sorted(expected.values(), reverse=True)
    (category,) = browse.facets(shelf, matches, ["category"], chosen)
    expected = slow_counts(items, rows, "category", filters)
    assert {entry.value: entry.count for entry in category.values}.items() <= expected.items()
    assert {value for value in expected if PATH_SEPARATOR not in value} <= {entry.value for entry in category.values}
    (price,) = browse.facets(shelf, matches, ["price"], chosen)
    prices = [
        items[row].price
        for row in rows
        if items[row].price is not None and all(passes(items[row], r) for r in filters if r.field != "price")
    ]
    assert price.low == (min(prices) if prices else None)
    assert price.high == (max(prices) if prices else None)


@settings(max_examples=50, deadline=None)
@given(items_strategy, items_strategy, st.lists(filter_strategy, max_size=2))
def test_facets_of_two_tables_add_up(first, second, filters):
    second = [Item(id=f"x{item.id}", brand=item.brand, category=item.category, price=item.price) for item in second]
    first = [Item(id=item.id, brand=item.brand, category=item.category, price=item.price) for item in first]
    filters = [rule for rule in filters if rule.field in ("brand", "price")]
    names = ["brand", "price"]
    together, apart = (
        Shelf.of(ItemTable.of([*first, *second])),
        Shelf.of(ItemTable.of(first)).with_changes((item.id, item) for item in second),
    )
    found = [
        browse.facets(shelf, shelf.all_rows(), names, browse.narrow(shelf, filters)) for shelf in (together, apart)
    ]
    assert found[0] == found[1]
