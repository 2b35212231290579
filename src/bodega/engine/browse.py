"""Which of the matches does the shopper want to see, and what can they choose from? Filters, facets, order, variants.

Pure functions on the columns of an `ItemTable`; `items` are always item indices without repeats, best first.
- A filter on a text field keeps items that carry one of its values (a category keeps everything below it); a filter on
  a number keeps the range, both ends included. Several filters must all hold; several of one field widen nothing.
- Facet counts are *disjunctive*: a field's own filter does not narrow its own counts, or choosing one brand would hide
  all others. They count variant groups, as the page shows one row a group.
- A table may lack a field that another table of the same shelf has: then none of its items carries it. `check` is what
  tells a caller that no table has it.

Cost: 10,000 matches x 4 facets about 2 ms.
Not for: deciding which items match (`retrieval`) or in what order (`ranking`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from bodega.errors import BadRequest
from bodega.schema import Coded, Facet, FacetValue, Filter, ItemTable, Sort
from bodega.schema.arrays import Doubles, Flags, Floats, Ints, Longs
from bodega.schema.table import PATH_SEPARATOR

AVAILABLE = "available"
USEFUL = "*"
"""Asked as a facet, it stands for the fields that `useful` picks."""
MOST_VALUES = 100
"""Values a facet lists; nobody scrolls further, and a page of 5,000 brands is 200 kB."""
_LOOKED_AT = 1_000
"""`useful` judges fields by the best so many matches."""
_SHOWN = 12
"""Values of a facet that a shopper sees without asking for more: usefulness counts these."""


def fields(*tables: ItemTable) -> list[str]:
    """What can be filtered and counted in these tables, sorted."""
    names = {AVAILABLE}
    for table in tables:
        names.update(table.coded, table.numbers)
    return sorted(names)


def check(tables: Sequence[ItemTable], asked: Iterable[str], *, where: str = "filters") -> None:
    """Raise BadRequest when a field is in none of the tables, or `*` outside facets."""
    known = fields(*tables)
    for name in asked:
        if name not in known and not (name == USEFUL and where == "facets"):
            raise BadRequest(
                "no item has this field",
                where=where,
                allowed=", ".join(known),
                got=name,
                next="use a field of the shop",
            )


def keep(table: ItemTable, filters: Sequence[Filter], available: Flags | None = None) -> Flags:
    """Which items pass all filters: bool, (n_items,). `available` replaces the table's own column (live stock)."""
    return _passing(table, np.arange(len(table), dtype=np.int32), filters, available)


def facets(table: ItemTable, items: Ints, names: Sequence[str], filters: Sequence[Filter] = ()) -> tuple[Facet, ...]:
    """The facets `names` over all matches `items` (not yet filtered), in the order asked.

    Text: values by count, at most `MOST_VALUES`. Numbers: the lowest and highest. `*` is replaced by `useful` fields.
    """
    wanted = list(dict.fromkeys(name for asked in names for name in _named(table, items, asked)))
    by_field: dict[str, Flags] = {}
    for rule in filters:
        flags = _passing(table, items, [rule])
        by_field[rule.field] = by_field[rule.field] & flags if rule.field in by_field else flags
    out = []
    for name in wanted:
        others = [flags for field, flags in by_field.items() if field != name]
        rows = items[np.logical_and.reduce(others)] if others else items
        chosen = [value for rule in filters if rule.field == name for value in rule.values]
        out.append(_facet(table, rows, name, chosen))
    return tuple(out)


def merged(parts: Sequence[Sequence[Facet]]) -> tuple[Facet, ...]:
    """Facets of several tables over one list: counts add up, ranges widen; the order of fields is kept."""
    by_field: dict[str, list[Facet]] = {}
    for part in parts:
        for facet in part:
            by_field.setdefault(facet.field, []).append(facet)
    return tuple(_sum(found) for found in by_field.values())


def useful(table: ItemTable, items: Ints, most: int = 6) -> list[str]:
    """The fields worth offering: price, and text fields that many matches have and that divide them well.

    Usefulness = share of the matches that carry one of the 12 most frequent values x the entropy of those values.
    """
    looked = items[:_LOOKED_AT]
    worth = []
    for name, column in table.coded.items():
        counts = -np.sort(-_counts(table, looked, column))[:_SHOWN]
        total = int(counts.sum())
        if total and np.count_nonzero(counts) > 1:
            share = counts[counts > 0] / total
            entropy = -float((share * np.log2(share)).sum())
            worth.append((min(1.0, total / len(looked)) * entropy, name))
    best = [name for _, name in sorted(worth, key=lambda entry: (-entry[0], entry[1]))]
    price = table.numbers.get("price")
    priced = price is not None and len(np.unique(price[looked][np.isfinite(price[looked])])) > 1
    return [*best[: most - priced], *(["price"] if priced else [])]


def ordered(items: Ints, sort: Sort, price: Floats, created: Doubles) -> Ints:
    """The items in another order; equal ones keep theirs, and what has no price or date comes last.

    `price` and `created` cover all items: (n_items,).
    """
    if sort is Sort.RELEVANCE:
        return items
    keys: dict[Sort, NDArray[np.floating]] = {
        Sort.PRICE_UP: price[items],
        Sort.PRICE_DOWN: -price[items],
        Sort.NEWEST: -created[items],
    }
    return items[np.argsort(keys[sort], kind="stable")]


def collapsed(items: Ints, group: Ints) -> Ints:
    """One item a variant group, the first (best) one, in the same order; `group` covers all items."""
    _, first = np.unique(group[items], return_index=True)
    return items[np.sort(first)]


def _passing(table: ItemTable, items: Ints, filters: Sequence[Filter], available: Flags | None = None) -> Flags:
    flags = np.ones(len(items), np.bool_)
    for rule in filters:
        if rule.field == AVAILABLE:
            column = table.available if available is None else available
            flags &= np.isin(column[items], _switches(rule))
            continue
        if rule.values:
            flags &= _carries(table, items, rule)
        if rule.low is not None or rule.high is not None:
            flags &= _within(table, items, rule)
    return flags


def _carries(table: ItemTable, items: Ints, rule: Filter) -> Flags:
    """Which items have one of the values, as text or as a number."""
    flags = np.zeros(len(items), np.bool_)
    column = table.coded.get(rule.field)
    if column is not None:
        wanted = np.zeros(len(column.vocabulary), np.bool_)
        wanted[[code for value in rule.values if (code := column.code_of.get(value)) is not None]] = True
        flags = column.having(wanted, items)
    numbers = table.numbers.get(rule.field)
    if numbers is not None:
        exactly = [number for value in rule.values if (number := _number(value)) is not None]
        flags |= np.isin(numbers[items], np.array(exactly, np.float32))
    return flags


def _within(table: ItemTable, items: Ints, rule: Filter) -> Flags:
    numbers = table.numbers.get(rule.field)
    if numbers is None:
        if rule.field in table.coded and len(table.coded[rule.field].vocabulary):
            raise BadRequest(
                "a range needs a field of numbers",
                where=f"filter on {rule.field}",
                allowed=", ".join(sorted(table.numbers)),
                got=rule.field,
                next="filter this field by values",
            )
        return np.zeros(len(items), np.bool_)
    # compared as float32, in which the table holds numbers: 19.99 must lie in [19.99, 19.99]
    low = np.float32(-np.inf if rule.low is None else rule.low)
    high = np.float32(np.inf if rule.high is None else rule.high)
    found = numbers[items]
    return np.asarray((found >= low) & (found <= high), np.bool_)


def _switches(rule: Filter) -> list[bool]:
    meaning = {"true": True, "false": False}
    unknown = [value for value in rule.values if value.lower() not in meaning]
    if unknown or not rule.values:
        raise BadRequest(
            "a yes-or-no field is filtered by true or false",
            where=f"filter on {rule.field}",
            allowed="true, false",
            got=", ".join(unknown),
            next=f"{rule.field}=true",
        )
    return [meaning[value.lower()] for value in rule.values]


def _named(table: ItemTable, items: Ints, asked: str) -> list[str]:
    return useful(table, items) if asked == USEFUL else [asked]


def _facet(table: ItemTable, rows: Ints, name: str, chosen: Sequence[str]) -> Facet:
    if name == AVAILABLE:
        return _flag_facet(table, rows)
    low = high = None
    numbers = table.numbers.get(name)
    if numbers is not None:
        found = numbers[rows]
        found = found[np.isfinite(found)]
        if len(found):
            low, high = float(found.min()), float(found.max())
    column = table.coded.get(name)
    values: tuple[FacetValue, ...] = ()
    if column is not None:
        counts = _counts(table, rows, column)
        shown = np.flatnonzero(counts)
        if name == "category":
            shown = _on_path(column, counts, chosen)
        best = shown[np.argsort(-counts[shown], kind="stable")][:MOST_VALUES]
        values = tuple(FacetValue(value=column.vocabulary[code], count=int(counts[code])) for code in best.tolist())
    return Facet(field=name, values=values, low=low, high=high)


def _flag_facet(table: ItemTable, rows: Ints) -> Facet:
    flags = table.available[rows]
    groups = [
        (label, len(np.unique(table.group[rows[flags == on]]))) for label, on in (("true", True), ("false", False))
    ]
    found = sorted(((label, count) for label, count in groups if count), key=lambda entry: -entry[1])
    return Facet(field=AVAILABLE, values=tuple(FacetValue(value=label, count=count) for label, count in found))


def _counts(table: ItemTable, items: Ints, column: Coded) -> Longs:
    """How many variant groups among the items carry each code: (n_codes,)."""
    size = len(column.vocabulary)
    groups = table.group[items]
    seen = np.zeros(len(table), np.bool_)  # ten times as fast as sorting the groups
    seen[groups] = True
    if np.count_nonzero(seen) == len(items):
        return column.count(items)
    owner, codes = column.flat(items)
    pairs = np.unique(groups[owner].astype(np.int64) * size + codes)
    return np.bincount(pairs % size, minlength=size) if size else np.zeros(0, np.int64)


def _on_path(column: Coded, counts: Longs, chosen: Sequence[str]) -> NDArray[np.int64]:
    """The categories to offer: the top ones, what lies directly below each step of a chosen path, and, while all
    matches lie in one branch, the next step of that branch. (Decoding all names to see this took 10 ms.)"""
    parent = np.where(counts > 0, column.parents, -2)
    branch = np.flatnonzero(parent == -1)
    shown = [branch]
    for path in chosen:
        steps = path.split(PATH_SEPARATOR)
        for depth in range(1, len(steps) + 1):
            step = column.code_of.get(PATH_SEPARATOR.join(steps[:depth]), -3)
            shown.append(np.flatnonzero(parent == step))
    while len(branch) == 1:
        branch = np.flatnonzero(parent == branch[0])
        shown.append(branch)
    return np.unique(np.concatenate(shown))


def _sum(found: Sequence[Facet]) -> Facet:
    counts: dict[str, int] = {}
    for facet in found:
        for entry in facet.values:
            counts[entry.value] = counts.get(entry.value, 0) + entry.count
    best = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:MOST_VALUES]
    lows = [facet.low for facet in found if facet.low is not None]
    highs = [facet.high for facet in found if facet.high is not None]
    return Facet(
        field=found[0].field,
        values=tuple(FacetValue(value=value, count=count) for value, count in best),
        low=min(lows, default=None),
        high=max(highs, default=None),
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
