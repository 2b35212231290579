"""What must hold of a hit, where some of it is known to hold always or never.

Algolia answers a filter on a field that nobody has with no hits, and an empty list of filters with all of them. So a
condition is an expression of the shop's own filter language, or a plain truth: True holds for every item, False for
none. Truths melt away while conditions are joined.

What is left is either *ticked* (lists of values and ranges that must all hold: what a shopper picks in a page), which
a request carries as filters, so that it does not change what the words find and a count of 12 leads to 12 hits; or it
is anything else, which a request carries as `where`.
"""

from __future__ import annotations

from collections.abc import Iterable

from bodega.engine.expression import And, Between, Expression, Is, Not, Or, bounded
from bodega.schema import Filter
from bodega.service.asking import FILTERS_LIMIT, VALUES_LIMIT

Condition = Expression | bool


def every(parts: Iterable[Condition]) -> Condition:
    """All must hold; of none: True. Parts said twice count once.

    >>> every([]), every([True, Is("brand", ("Acme",))]) == Is("brand", ("Acme",)), every([Is("a", ("1",)), False])
    (True, True, False)
    """
    kept: list[Expression] = []
    for part in parts:
        if isinstance(part, bool):
            if not part:
                return False
        else:
            kept += part.parts if isinstance(part, And) else (part,)
    kept = list(dict.fromkeys(kept))
    return And(tuple(kept)) if len(kept) > 1 else (kept[0] if kept else True)


def either(parts: Iterable[Condition]) -> Condition:
    """One must hold; of none: False. Values of one field become one list.

    >>> print(either([Is("brand", ("Acme",)), False, Is("brand", ("Bolt",))]))
    brand IN ("Acme", "Bolt")
    """
    values: dict[str, dict[str, None]] = {}
    others: dict[Expression, None] = {}
    for part in parts:
        if isinstance(part, bool):
            if part:
                return True
            continue
        for one in part.parts if isinstance(part, Or) else (part,):
            if isinstance(one, Is):
                values.setdefault(one.field, {}).update(dict.fromkeys(one.values))
            else:
                others[one] = None
    kept: list[Expression] = [*(Is(field, tuple(found)) for field, found in values.items()), *others]
    return Or(tuple(kept)) if len(kept) > 1 else (kept[0] if kept else False)


def opposite(condition: Condition) -> Condition:
    """The opposite; twice is none."""
    if isinstance(condition, bool):
        return not condition
    return condition.part if isinstance(condition, Not) else Not(condition)


def ticked(condition: Condition) -> tuple[tuple[Filter, ...], Condition]:
    """(what can be said as filters, the rest)."""
    filters: list[Filter] = []
    rest: list[Condition] = []
    for part in condition.parts if isinstance(condition, And) else (condition,):
        if isinstance(part, Is) and len(filters) < FILTERS_LIMIT and len(part.values) <= VALUES_LIMIT:
            filters.append(Filter(field=part.field, values=part.values))
        elif isinstance(part, Between) and not part.strict and len(filters) < FILTERS_LIMIT:
            filters.append(Filter(field=part.field, low=part.low, high=part.high))
        else:
            rest.append(part)
    return tuple(filters), every(rest)


def where(condition: Condition) -> str:
    """As text for `Request.where`; "" for what always holds. Raises BadRequest when too deep or too long.

    (What never holds needs no request: test for `False` before.)
    """
    return "" if isinstance(condition, bool) else str(bounded(condition))
