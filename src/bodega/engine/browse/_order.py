"""In what order, and which variant stands for its product?

Both keep the order they are given among equals, so that a list sorted by price is by relevance within a price.
Cost: 1 ms at 100,000 rows; collapsing marks flags and sorts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bodega.engine.browse._fields import numeric
from bodega.engine.columns import heads_of
from bodega.engine.shelf import Shelf
from bodega.errors import BadRequest
from bodega.schema import ItemTable, Sort
from bodega.schema.arrays import Doubles, Floats, Ints


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


def ordered_by(shelf: Shelf, rows: Ints, sort_by: str) -> Ints:
    """The shelf's rows by a field of numbers: `rating` upwards, `-rating` downwards; rows without one come last.

    Raises BadRequest where no item has such a field of numbers.
    """
    name = check_sort((shelf.base, shelf.delta), sort_by)
    key = np.concatenate([_numbers(table, name) for table in (shelf.base, shelf.delta)])[rows]
    return rows[np.argsort(-key if sort_by.startswith("-") else key, kind="stable")]


def check_sort(tables: Sequence[ItemTable], sort_by: str) -> str:
    """The field that `sort_by` names. Raises BadRequest where no table holds numbers under it."""
    name = sort_by.removeprefix("-")
    known = numeric(tables)
    if name not in known:
        raise BadRequest(
            "lists are sorted by fields of numbers",
            where="sort_by",
            allowed=", ".join(known) + ", each also with - before it for the highest first",
            got=sort_by,
            next="use sort for relevance, prices and novelty",
        )
    return name


def collapsed(items: Ints, group: Ints) -> Ints:
    """One item a variant group, the first (best) one, in the same order; `group` covers all items."""
    return heads_of(items, group)


def _numbers(table: ItemTable, name: str) -> Floats:
    found = table.numbers.get(name)
    return np.full(len(table), np.nan, np.float32) if found is None else found
