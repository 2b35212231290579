"""Which field of the shop is meant by an attribute, and the other way round?

    hierarchicalCategories.lvl0, .lvl1 ...   the category path cut at that depth: "Shoes", "Shoes > Trail"
    categories                               any single level by its name: "Trail"
    category                                 a path: everything at or below it
    _tags                                    tags
    anything else                            the field of that name; a filter on one that no item has keeps nothing

Flags are stored as texts (`True`), and asked for as Algolia writes them (`true`). Cost: a list of the shop's fields a
request; the names of all categories only where `categories` is asked. Not for: counting (the engine does).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from bodega.engine.expression import Between, Is
from bodega.engine.expression.tree import LARGEST
from bodega.schema import Facet
from bodega.schema.table import PATH_SEPARATOR
from bodega.service.algolia.conditions import Condition, opposite
from bodega.service.algolia.filters import TAGS

CATEGORY = "category"
CATEGORIES = "categories"
LEVELS = "hierarchicalCategories"
DEPTH = 8
"""Levels of categories that a shop can have (`catalog.categories.DEPTH`)."""
_LEVEL = re.compile(rf"{LEVELS}\.lvl(\d)")
_FLAGS = {"true": ("true", "True"), "false": ("false", "False")}
_SHOWN_FLAGS = {"True": "true", "False": "false"}


class Fielded(Protocol):
    """The part of a shop that knows its fields."""

    def fields(self) -> Sequence[str]: ...
    def values(self, field: str) -> Sequence[str]: ...


@dataclass(frozen=True)
class Attributes:
    """What attributes mean in this shop; makes the leaves of filters (see `filters.Maker`)."""

    shop: Fielded

    @cached_property
    def known(self) -> frozenset[str]:
        """The shop's fields."""
        return frozenset(self.shop.fields())

    def field(self, attribute: str) -> str:
        """The field that an attribute speaks of; "" where no item has it."""
        if attribute == CATEGORIES or level_of(attribute) >= 0:
            return CATEGORY
        name = "tags" if attribute == TAGS else attribute
        return name if name in self.known else ""

    def equal(self, attribute: str, value: str) -> Condition:
        """The attribute has this value."""
        field = self.field(attribute)
        level = level_of(attribute)
        if level >= 0:
            steps = path_of(value)
            return Is(CATEGORY, (PATH_SEPARATOR.join(steps),)) if len(steps) == level + 1 else False
        if attribute == CATEGORIES:
            paths = [path for path in self.shop.values(CATEGORY) if path.rpartition(PATH_SEPARATOR)[2] == value]
            return Is(CATEGORY, tuple(paths)) if paths else False
        if field == "available" and value.lower() not in _FLAGS:
            return False
        return Is(field, _FLAGS.get(value.lower(), (value,))) if field else False

    def compared(self, attribute: str, sign: str, number: float) -> Condition:
        """The attribute is a number that stands so to this one."""
        if sign == "!=":
            return opposite(self.compared(attribute, "=", number))
        low = number if sign in (">", ">=", "=") else None
        high = number if sign in ("<", "<=", "=") else None
        return self._range(attribute, low, high, strict=sign in ("<", ">"))

    def between(self, attribute: str, low: float, high: float) -> Condition:
        """The attribute is a number in [low, high]."""
        return self._range(attribute, low, high) if low <= high else False

    def _range(self, attribute: str, low: float | None, high: float | None, *, strict: bool = False) -> Condition:
        field = self.field(attribute)
        if not field:
            return False
        low, high = (None if end is None else min(max(end, -LARGEST), LARGEST) for end in (low, high))
        return Between(field, low, high, strict=strict)


def level_of(attribute: str) -> int:
    """2 for `hierarchicalCategories.lvl2`, -1 for anything else."""
    found = _LEVEL.fullmatch(attribute)
    return int(found[1]) if found else -1


def path_of(value: str) -> list[str]:
    """The steps of a path, whatever blanks stand around `>`."""
    return [step for part in value.split(">") if (step := part.strip())]


def levels(category: Sequence[str]) -> dict[str, str]:
    """("Shoes", "Trail") -> {"lvl0": "Shoes", "lvl1": "Shoes > Trail"}."""
    return {f"lvl{depth}": PATH_SEPARATOR.join(category[: depth + 1]) for depth in range(min(len(category), DEPTH))}


def shown(facet: Facet) -> dict[str, int]:
    """{value: count}; flags as Algolia writes them."""
    flags = all(each.value in _SHOWN_FLAGS for each in facet.values)
    return {_SHOWN_FLAGS[each.value] if flags else each.value: each.count for each in facet.values}
