"""What can be filtered, counted and sorted by here, and what is said of anything else?

A field that no table has is refused with the fields there are, the most alike first; free text (titles, descriptions,
attributes that are sentences) is told apart, because it is searched and not counted.
Cost: 20 microseconds a request that is right. Not for: whether a value occurs; one that does not matches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bodega.engine.expression import AVAILABLE, Between, Expression, Is, conditions, pointed
from bodega.errors import BadRequest
from bodega.schema import ItemTable

USEFUL = "*"
"""Asked as a facet, it stands for the fields that `useful` picks."""
FREE_TEXT = frozenset({"title", "description", "url", "images"})
"""Fields of an item that hold words to search."""
FIXED = frozenset({"brand", "category", "seller", "kind", "tags"})
"""Fields of every item: never taken for free text."""
_SENTENCE = 80
"""Bytes that the values of an attribute have on average where they are sentences."""
_JUDGED = 20
"""An attribute with fewer different values is offered whatever its length."""
_NAMED = 50
"""Fields that an error names."""


def fields(*tables: ItemTable) -> list[str]:
    """What can be filtered and counted in these tables, sorted."""
    names = {AVAILABLE}
    for table in tables:
        names.update(table.coded, table.numbers)
    return sorted(names)


def numeric(tables: Sequence[ItemTable]) -> list[str]:
    """The fields of numbers, sorted: what ranges and `sort_by` take."""
    return sorted({name for table in tables for name in table.numbers})


def is_prose(tables: Sequence[ItemTable], name: str) -> bool:
    """Is this attribute free text (many values, as long as sentences)?"""
    if name in FIXED or any(name in table.numbers for table in tables):
        return False
    vocabularies = [table.coded[name].vocabulary for table in tables if name in table.coded]
    words = max(vocabularies, key=len, default=None)
    return words is not None and len(words) >= _JUDGED and len(words.blob) > _SENTENCE * len(words)


def check(tables: Sequence[ItemTable], asked: Iterable[str], *, where: str = "filters") -> None:
    """Raise BadRequest when a field is in none of the tables, or `*` or free text outside where it has a meaning.

    `where` says what the fields are asked for: filters, facets.
    """
    for name in asked:
        if name == AVAILABLE or any(name in table.coded or name in table.numbers for table in tables):
            if where == "facets" and is_prose(tables, name):
                raise BadRequest(
                    "this field is free text: every item has its own, so there is nothing to count",
                    where=where,
                    allowed=named(tables, name),
                    got=name,
                    next="search for its words instead",
                )
        elif not (name == USEFUL and where == "facets"):
            raise BadRequest(_what(name), where=where, allowed=named(tables, name), got=name, next=advice(tables, name))


def check_where(tables: Sequence[ItemTable], expression: Expression, text: str = "") -> None:
    """Raise BadRequest for a condition on a field that no table has, or of the wrong kind, at its place in the text."""
    for each in conditions(expression):
        name = each.field
        counted = any(name in table.numbers for table in tables)
        worded = any(name in table.coded for table in tables)
        if name != AVAILABLE and not counted and not worded:
            what, allowed, further = _what(name), named(tables, name), advice(tables, name)
        elif isinstance(each, Between) and not counted:
            what, allowed = "a range needs a field of numbers", ", ".join(numeric(tables))
            further = "filter this field by values"
        elif isinstance(each, Is) and counted and not worded and not all(map(_is_number, each.values)):
            what, allowed, further = "this field holds numbers", "a number, or a range such as 10..50", ""
        else:
            continue
        if each.at >= 0 and text:
            raise pointed(text, each.at, what, allowed=allowed, advice=further)
        raise BadRequest(what, where="filter expression", allowed=allowed, got=name, next=further)


def named(tables: Sequence[ItemTable], like: str) -> str:
    """The fields there are, those most like `like` first; of very many only the first."""
    known = [name for name in fields(*tables) if not is_prose(tables, name)]
    order = _alike(known, like)
    more = f" and {len(order) - _NAMED} more" if len(order) > _NAMED else ""
    return ", ".join(order[:_NAMED]) + more


def advice(tables: Sequence[ItemTable], like: str) -> str:
    """A field that may have been meant."""
    from rapidfuzz.distance import OSA

    best = _alike(fields(*tables), like)[0]
    near = OSA.normalized_similarity(best.lower(), like.lower()) >= 0.5
    return f"did you mean '{best}'?" if near else "use a field of the shop"


def _alike(names: Sequence[str], like: str) -> list[str]:
    from rapidfuzz.distance import OSA

    low = like.lower()
    return sorted(names, key=lambda name: (-round(OSA.normalized_similarity(name.lower(), low), 3), name))


def _what(name: str) -> str:
    if name in FREE_TEXT:
        return "this field is free text, which is searched and cannot be filtered or counted"
    return "no item has this field"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
