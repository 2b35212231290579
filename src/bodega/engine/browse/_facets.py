"""What can the shopper choose from? Values with their counts, ranges with their spans, the most useful fields.

Cost: 92,000 matches x 5 facets about 2 ms; see `Column` for why.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bodega.engine.browse._fields import USEFUL, is_prose
from bodega.engine.browse._numbers import span
from bodega.engine.browse._tally import Joint, joint_of, tally
from bodega.engine.browse._values import reading_like
from bodega.engine.browse._view import Matches, Narrowing
from bodega.engine.columns import PATHS
from bodega.engine.expression import AVAILABLE
from bodega.engine.shelf import Shelf
from bodega.schema import Facet, FacetValue
from bodega.schema.arrays import Ints, Longs
from bodega.schema.table import PATH_SEPARATOR

MOST_VALUES = 100
"""Values a facet lists; nobody scrolls further, and a page of 5,000 brands is 200 kB."""
_LOOKED_AT = 1_000
"""`useful` judges fields by the best so many matches."""
_SHOWN = 12
"""Values of a facet that a shopper sees without asking for more: usefulness counts these."""


def facets(
    shelf: Shelf, rows: Ints, names: Sequence[str], chosen: Narrowing | None = None, text: str = ""
) -> tuple[Facet, ...]:
    """The facets `names` over the matches `rows` of the shelf, in the order asked.

    `rows`: everything that may be shown, before the shopper's filters, pinned items included, each row once. `chosen`:
    those filters; a field's own filter does not narrow its own counts. Text fields: values by count, at most
    `MOST_VALUES`, with `text` only those that read like it. Numbers: their span, and their values
    where a table has few of them. `*` is replaced by `useful` fields.
    """
    chosen = chosen or Narrowing(len(shelf))
    narrowed: dict[str, Matches] = {}
    all_rows = rows[chosen.all[rows]] if USEFUL in names else rows
    wanted = [each for name in names for each in (useful(shelf, all_rows) if name == USEFUL else [name])]
    out = []
    for name in dict.fromkeys(wanted):
        own = name if name in chosen.by_field else ""
        if own not in narrowed:
            left = rows[chosen.but(own)[rows]] if chosen.by_field or chosen.where is not None else rows
            narrowed[own] = Matches(shelf, left)
        out.append(_facet(narrowed[own], name, chosen.chosen.get(name, ()), text))
    return tuple(out)


def useful(shelf: Shelf, rows: Ints, most: int = 6) -> list[str]:
    """The fields worth offering: price, and text fields that many matches have and that divide them well.

    Usefulness = share of the matches that carry one of the 12 most frequent values x the entropy of those values.
    """
    looked = Matches(shelf, rows[:_LOOKED_AT])
    tables = (shelf.base, shelf.delta)
    groups = looked.groups()
    worth = []
    for name in sorted({*shelf.base.coded, *shelf.delta.coded, *shelf.base.numbers, *shelf.delta.numbers}):
        joint = joint_of(shelf, name)
        if joint is None or is_prose(tables, name):
            continue
        counts = tally(looked, name, joint)
        best = np.sort(counts[counts > 0])[::-1][:_SHOWN]
        if len(best) > 1:
            share = best / best.sum()
            entropy = -float((share * np.log2(share)).sum())
            worth.append((min(1.0, float(best.sum()) / groups) * entropy, name))
    best_names = [name for _, name in sorted(worth, key=lambda entry: (-entry[0], entry[1]))]
    prices = shelf.price[looked.rows]
    priced = len(np.unique(prices[np.isfinite(prices)])) > 1
    return [*best_names[: most - priced], *(["price"] if priced else [])]


def _facet(matches: Matches, name: str, chosen: Sequence[str], text: str) -> Facet:
    if name == AVAILABLE:
        return _switch(matches)
    found = span(matches, name)
    joint = joint_of(matches.shelf, name)
    return Facet(
        field=name,
        values=() if joint is None else _values(matches, name, joint, chosen, text),
        low=found.low,
        high=found.high,
        mean=found.mean,
        sum=found.sum,
        count=found.count,
        ranges=found.ranges,
    )


def _values(matches: Matches, name: str, joint: Joint, chosen: Sequence[str], text: str) -> tuple[FacetValue, ...]:
    counts = tally(matches, name, joint)
    shown = np.flatnonzero(counts)
    best: list[int] = []
    if text.strip():
        for step in reading_like(joint, name, shown, text):
            best += joint.ranked(step, counts, MOST_VALUES - len(best)) if len(best) < MOST_VALUES else []
    else:
        if name == PATHS:
            shown = _on_path(joint, counts, chosen)
        best = joint.ranked(shown, counts, MOST_VALUES)
    if name != PATHS:
        return tuple(FacetValue(value=joint.text(number), count=int(counts[number])) for number in best)
    above = joint.parents
    return tuple(
        FacetValue(
            value=joint.text(number),
            count=int(counts[number]),
            parent=joint.text(int(above[number])) if above[number] >= 0 else "",
            depth=int(joint.depths[number]),
        )
        for number in best
    )


def _on_path(joint: Joint, counts: Longs, chosen: Sequence[str]) -> NDArray[np.int64]:
    """The categories to offer: the top ones, what lies directly below each step of a chosen path, and, while all
    matches lie in one branch, the next step of that branch. (Decoding all names to see this took 10 ms.)"""
    parent = np.where(counts > 0, joint.parents, -2)
    branch = np.flatnonzero(parent == -1)
    shown = [branch]
    for path in chosen:
        steps = path.split(PATH_SEPARATOR)
        for depth in range(1, len(steps) + 1):
            step = joint.number_of(PATH_SEPARATOR.join(steps[:depth]))
            if step >= 0:
                shown.append(np.flatnonzero(parent == step))
    while len(branch) == 1:
        branch = np.flatnonzero(parent == branch[0])
        shown.append(branch)
    return np.unique(np.concatenate(shown))


def _switch(matches: Matches) -> Facet:
    on = matches.shelf.available[matches.rows]
    counts = (("true", matches.groups(on)), ("false", matches.groups(~on)))
    found = sorted(((label, count) for label, count in counts if count), key=lambda entry: -entry[1])
    return Facet(field=AVAILABLE, values=tuple(FacetValue(value=label, count=count) for label, count in found))
