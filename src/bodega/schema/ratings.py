"""The rating of an item in lists: what its reviews say, drawn to the shop's mean where they are few.

It is a field of numbers like any other: lists are filtered and sorted by it. What the shop itself says of an item (an
attribute `rating`) stays. Cost: nothing in a shop without reviews.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from bodega.schema.reviews import Ratings
from bodega.schema.table import ItemTable

RATING: Final = "rating"


def rated(items: ItemTable, ratings: Ratings, prior: float) -> ItemTable:
    """The catalog with a rating of every item that has stars; what the shop itself says of one stays."""
    if RATING in items.coded:
        return items
    rows = np.arange(len(items), dtype=np.int32)
    sums, _ = ratings.until(rows, math.inf)
    count, total = sums[:, 0], sums[:, 1]
    if not count.any():
        return items
    mean = total.sum() / count.sum()
    found = np.where(count > 0, (total + prior * mean) / (count + prior), np.nan).astype(np.float32)
    own = items.numbers.get(RATING)
    column = found if own is None else np.where(np.isfinite(own), own, found)
    return replace(items, numbers={**items.numbers, RATING: column})


def rated_like(delta: ItemTable, base: ItemTable) -> ItemTable:
    """Items that changed since the snapshot keep the rating that their reviews gave them."""
    held = base.numbers.get(RATING)
    if held is None or not len(delta) or RATING in delta.coded:
        return delta
    rows = [base.index.get(name, -1) for name in delta.ids]
    given = [row >= 0 and RATING not in base.item(row).attributes for row in rows]
    found = np.array([held[row] if fits else np.nan for row, fits in zip(rows, given, strict=True)], np.float32)
    own = delta.numbers.get(RATING)
    column = found if own is None else np.where(np.isfinite(own), own, found)
    return replace(delta, numbers={**delta.numbers, RATING: column})
