"""Which rows of a table fit an expression? One pass over a column a condition, joined as flags.

Fields mean what they mean in filters: a text field is compared whole and exactly, a category keeps everything below it,
a number is compared as float32 (in which the table holds it), `available` is true or false. A field that the table
lacks is carried by none of its rows: the other table of the same shelf may have it, and `engine.browse.check` has made
sure that one does.
Cost: about 0.1 ms a condition at 100,000 rows; several values of one field, in one IN or joined by OR, are one pass.
Not for: errors in names (`engine.browse.check`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from bodega.engine.columns import PATHS, column_of
from bodega.engine.expression.tree import And, Between, Expression, Is, Not, Or
from bodega.errors import BadRequest
from bodega.schema import Filter, ItemTable
from bodega.schema.arrays import Flags
from bodega.schema.table import PATH_SEPARATOR

AVAILABLE = "available"
_STEP = re.compile(r"\s*>\s*")


def keep(table: ItemTable, expression: Expression, available: Flags | None = None) -> Flags:
    """Which rows fit: bool, (n_items,). `available` replaces the table's own column (live stock).

    Raises BadRequest where `available` is compared with anything but true and false.
    """
    if isinstance(expression, Is):
        return _is(table, expression, available)
    if isinstance(expression, Between):
        return _between(table, expression)
    if isinstance(expression, Not):
        refused: Flags = ~keep(table, expression.part, available)
        return refused
    flags = [keep(table, part, available) for part in _gathered(expression)]
    both: Flags = np.logical_and.reduce(flags) if isinstance(expression, And) else np.logical_or.reduce(flags)
    return both


def of_filter(rule: Filter) -> list[Expression]:
    """The conditions of a filter, all of which must hold."""
    found: list[Expression] = []
    if rule.values or rule.field == AVAILABLE:
        found.append(Is(rule.field, rule.values or ("",)))
    if rule.low is not None or rule.high is not None:
        found.append(Between(rule.field, _inside(rule.low), _inside(rule.high)))
    return found


def _inside(end: float | None) -> float | None:
    return None if end is None else float(np.clip(end, -_LARGEST, _LARGEST))


_LARGEST = float(np.finfo(np.float32).max)


def _gathered(expression: And | Or) -> Iterable[Expression]:
    """The parts; of an OR, all values of one field together."""
    if isinstance(expression, And):
        return expression.parts
    values: dict[str, list[str]] = {}
    others: list[Expression] = []
    for part in expression.parts:
        if isinstance(part, Is):
            values.setdefault(part.field, []).extend(part.values)
        else:
            others.append(part)
    return [*(Is(name, tuple(found)) for name, found in values.items()), *others]


def _is(table: ItemTable, wanted: Is, available: Flags | None) -> Flags:
    if wanted.field == AVAILABLE:
        stock = table.available if available is None else available
        return np.isin(stock, _switches(wanted))
    flags = np.zeros(len(table), np.bool_)
    column = column_of(table, wanted.field) if wanted.field in table.coded else None
    if column is not None:
        texts = wanted.values
        if wanted.field == PATHS:
            texts = (*texts, *(_STEP.sub(PATH_SEPARATOR, text.strip()) for text in texts))
        flags = column.carrying(column.codes_of(texts))
    numbers = table.numbers.get(wanted.field)
    if numbers is not None:
        exactly = [number for value in wanted.values if (number := _number(value)) is not None]
        if exactly:
            with np.errstate(over="ignore"):
                flags = flags | np.isin(numbers, np.array(exactly, np.float32))
    return flags


def _between(table: ItemTable, wanted: Between) -> Flags:
    numbers = table.numbers.get(wanted.field)
    flags = np.ones(len(table), np.bool_)
    if numbers is None:
        return ~flags
    # compared as float32, in which the table holds numbers: 19.99 must lie in [19.99, 19.99]
    if wanted.low is not None:
        low = np.float32(wanted.low)
        flags &= numbers > low if wanted.strict else numbers >= low
    if wanted.high is not None:
        high = np.float32(wanted.high)
        flags &= numbers < high if wanted.strict else numbers <= high
    return flags


def _switches(wanted: Is) -> list[bool]:
    meaning = {"true": True, "false": False}
    unknown = [value for value in wanted.values if value.lower() not in meaning]
    if unknown:
        raise BadRequest(
            "a yes-or-no field is filtered by true or false",
            where=f"filter on {wanted.field}",
            allowed="true, false",
            got=", ".join(unknown),
            next=f"{wanted.field}=true",
        )
    return [meaning[value.lower()] for value in wanted.values]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
