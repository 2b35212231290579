"""How many hits have which value? The engine's facets in Algolia's shape.

    facets        {"brand": {"Acme": 12, "Bolt": 3}, "hierarchicalCategories.lvl0": {"Shoes": 15}}
    facets_stats  {"price": {"min": 5, "max": 89, "avg": 31.2, "sum": 468}}

One field of ours may answer several facets of theirs (all levels of the categories). A facet of a field that no item
has is left out, as it is there. Not for: counting (`engine.browse`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from bodega.schema import Facet, FacetValue
from bodega.schema.table import PATH_SEPARATOR
from bodega.service.algolia.fields import CATEGORIES, CATEGORY, DEPTH, LEVELS, Attributes, level_of, shown
from bodega.service.algolia.filters import TAGS
from bodega.service.algolia.highlight import Marks, Wanted
from bodega.service.algolia.parameters import EVERY

MOST = 100
"""`maxFacetHits` at most."""
_MODIFIED = re.compile(r"(?:searchable|filterOnly|afterDistinct)\((.+)\)")


def facet_fields(names: Iterable[str], attributes: Attributes) -> tuple[str, ...]:
    """The fields to count for these facets; unknown ones are left out."""
    fields = (EVERY if name == EVERY else attributes.field(modified(name)) for name in names)
    return tuple(dict.fromkeys(field for field in fields if field))


def modified(name: str) -> str:
    """`searchable(brand)`, `filterOnly(brand)` -> `brand`: what a setting may say, a query may repeat."""
    head, bracket, rest = name.partition("(")
    return (
        rest[:-1] if bracket and rest.endswith(")") and head in ("searchable", "filterOnly", "afterDistinct") else name
    )


def counted(names: Sequence[str], found: Sequence[Facet], most: int) -> dict[str, dict[str, int]]:
    """The counts of each facet, most frequent first."""
    by_field = {facet.field: facet for facet in found}
    wanted = list(names) if EVERY not in names else [*_offered(found), *(name for name in names if name != EVERY)]
    made = {name: _values(modified(name), by_field) for name in dict.fromkeys(wanted)}
    numbers = {name for name in made if (facet := by_field.get(name)) is not None and facet.low is not None}
    # A client looks for the span of a field only where the field is listed, so numbers are, without values.
    return {name: dict(list(values.items())[:most]) for name, values in made.items() if values or name in numbers}


def _offered(found: Sequence[Facet]) -> list[str]:
    """The facets behind `*`: of categories, the levels."""
    names: list[str] = []
    for facet in found:
        if facet.field == CATEGORY:
            depth = max((value.value.count(PATH_SEPARATOR) for value in facet.values), default=-1)
            names += [f"{LEVELS}.lvl{level}" for level in range(min(depth + 1, DEPTH))]
        else:
            names.append(facet.field)
    return names


def _values(name: str, by_field: dict[str, Facet]) -> dict[str, int]:
    """One facet's values."""
    level = level_of(name)
    if name == CATEGORIES or level >= 0:
        values = by_field[CATEGORY].values if CATEGORY in by_field else ()
        return _leaves(values) if level < 0 else _at_level(values, level)
    facet = by_field.get("tags" if name == TAGS else name)
    return shown(facet) if facet is not None else {}


def _at_level(values: Iterable[FacetValue], level: int) -> dict[str, int]:
    return {each.value: each.count for each in values if each.value.count(PATH_SEPARATOR) == level}


def _leaves(values: Iterable[FacetValue]) -> dict[str, int]:
    """Levels by their own names; two paths that end alike count together."""
    counts: dict[str, int] = {}
    for each in values:
        name = each.value.rpartition(PATH_SEPARATOR)[2]
        counts[name] = counts.get(name, 0) + each.count
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))


def statistics(found: Iterable[Facet]) -> dict[str, dict[str, float]]:
    """`facets_stats` of the fields that hold numbers."""
    made = {}
    for facet in found:
        told = {"min": facet.low, "max": facet.high, "avg": facet.mean, "sum": facet.sum}
        if facet.low is not None and facet.high is not None:
            made[facet.field] = {name: _rounded(value) for name, value in told.items() if value is not None}
    return made


def _rounded(value: float) -> float:
    """Numbers are held as float32, of which seven digits say something: 2.37, not 2.369999885559082."""
    return float(f"{value:.7g}")


def facet_hits(values: dict[str, int], query: str, marks: Marks) -> list[dict[str, Any]]:
    """The values that a shopper's words name, as the engine ordered them, the words marked in them."""
    wanted = Wanted.of(query)
    return [
        {"value": value, "highlighted": marks.over(value, wanted.spans(value)[0]), "count": count}
        for value, count in values.items()
    ]
