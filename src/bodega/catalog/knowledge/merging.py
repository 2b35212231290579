"""Which facts are in force, and how do they become columns of the catalog?

A fact that a merchant rejected is never in force, one that was accepted always is. One that nobody looked at is in
force from the threshold on, unless it contradicts the shop: structured data wins, the contradiction is a finding.
The documents of items stay what the shop sent; only the coded columns (filters, facets, what queries mean, what models
learn from) get the values, and only where an item has none. A column that the shop never had is made when enough items
would have it: a facet of three items helps nobody.
Cost: about 1 microsecond a fact, and as much an item for each column touched. Not for: where facts come from.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

import msgspec
import numpy as np

from bodega.schema import Coded, ItemTable
from bodega.schema.facts import EVERY_ITEM, Fact, FactKey

FEWEST = 20
"""Items that a new column needs."""
SHARE = 0.01
"""Share of the catalog that a new column needs."""

Verdicts = Mapping[FactKey, bool]
"""What was decided: {fact: accepted}."""


def verdict(fact: Fact, verdicts: Verdicts) -> bool | None:
    """The decision on this fact, else that on its value for every item, else None."""
    own = verdicts.get(fact.key)
    return own if own is not None else verdicts.get(FactKey(EVERY_ITEM, fact.attribute, fact.value))


def with_status(facts: Iterable[Fact], verdicts: Verdicts) -> list[Fact]:
    """The facts with what was decided of them."""
    out = []
    for fact in facts:
        said = verdict(fact, verdicts) if verdicts else None
        status = "mined" if said is None else "accepted" if said else "rejected"
        out.append(fact if fact.status == status else msgspec.structs.replace(fact, status=status))
    return out


def in_force(fact: Fact, verdicts: Verdicts, threshold: float) -> bool:
    """Does the shop act on it?"""
    said = verdict(fact, verdicts) if verdicts else None
    if said is not None:
        return said
    return fact.confidence >= threshold and not fact.conflicts


def merged(
    items: ItemTable, facts: Iterable[Fact], known: Container[str] = (), *, least: float | None = None
) -> ItemTable:
    """The table with these facts (all in force) in its columns; of unknown items nothing is taken.

    `known`: columns that exist elsewhere (a snapshot's), which need no number of items to exist here; any other new
    column needs `least` items.
    """
    words: dict[str, dict[int, list[Fact]]] = {}
    numbers: dict[str, dict[int, float]] = {}
    for fact in facts:
        row = items.index.get(fact.item)
        if row is None:
            continue
        if fact.number is not None:
            numbers.setdefault(fact.attribute, {}).setdefault(row, fact.number)
        else:
            words.setdefault(fact.attribute, {}).setdefault(row, []).append(fact)
    needed = max(FEWEST, SHARE * len(items)) if least is None else least
    coded, numeric = dict(items.coded), dict(items.numbers)
    for name, held in sorted(words.items()):
        if name not in numeric and (len(held) >= needed or name in coded or name in known):
            coded[name] = _filled(coded.get(name), held, len(items))
    for name, values in sorted(numbers.items()):
        if name not in coded and (len(values) >= needed or name in numeric or name in known):
            column = numeric.get(name)
            column = np.full(len(items), np.nan, np.float32) if column is None else np.array(column, np.float32)
            for row, number in values.items():
                if np.isnan(column[row]):
                    column[row] = number
            numeric[name] = column
    if coded == dict(items.coded) and numeric.keys() == items.numbers.keys() and not numbers:
        return items
    return replace(items, coded=coded, numbers=numeric)


def _filled(column: Coded | None, held: Mapping[int, list[Fact]], size: int) -> Coded:
    """The column with the facts' values where an item has none, or where an accepted fact contradicts what it has."""
    values: list[list[str]] = [[] for _ in range(size)]
    if column is not None:
        names = list(column.vocabulary)
        codes, starts = column.codes.tolist(), column.starts.tolist()
        for row in range(size):
            if starts[row] < starts[row + 1]:
                values[row] = [names[code] for code in codes[starts[row] : starts[row + 1]]]
    for row, facts in held.items():
        if not values[row] or any(fact.conflicts for fact in facts):
            wanted = [fact for fact in facts if fact.conflicts] or facts
            values[row] = sorted({fact.value for fact in wanted})
    return Coded.of(values)
