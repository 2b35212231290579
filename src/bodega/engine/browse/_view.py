"""The shelf as browsing sees it: rows, their variant groups, and the flags of every filter kept apart.

A shelf is two tables, the snapshot's and the newer items beside it. `narrow` turns a request's filters and its
expression into flags over both; `Matches` are rows of both, with what counting needs to know of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bodega.engine.browse._fields import check, check_where
from bodega.engine.columns import heads_of
from bodega.engine.expression import AVAILABLE, And, Expression, Is, of_filter, parse
from bodega.engine.expression import keep as _keep
from bodega.engine.shelf import Shelf
from bodega.errors import BadRequest
from bodega.schema import Filter, ItemTable
from bodega.schema.arrays import Flags, Ints


def keep(
    table: ItemTable,
    filters: Sequence[Filter],
    available: Flags | None = None,
    where: Expression | str | None = None,
) -> Flags:
    """Which items of one table pass all filters and the expression: bool, (n_items,).

    `available` replaces the table's own column (live stock). Raises BadRequest for a filter that makes no sense; a
    field that the table lacks is carried by none of its items (`check` says whether any table has it).
    """
    _check_ranges([table], filters)
    flags = np.ones(len(table), np.bool_)
    for rule in filters:
        for condition in of_filter(rule):
            flags &= _keep(table, condition, available)
    tree = tree_of(where)
    return flags if tree is None else flags & _keep(table, tree, available)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What the shopper chose, as flags over a shelf: (len(shelf),) each. Facets leave a field's own filter out."""

    size: int
    by_field: dict[str, Flags] = field(default_factory=dict)
    """The filters of each field joined."""
    where: Flags | None = None
    chosen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The values asked of each field."""

    @property
    def all(self) -> Flags:
        """Which rows pass everything."""
        return self.but("")

    def but(self, name: str) -> Flags:
        """Which rows pass everything but the filters of this field."""
        parts = [flags for own, flags in self.by_field.items() if own != name]
        if self.where is not None:
            parts.append(self.where)
        if not parts:
            return np.ones(self.size, np.bool_)
        return parts[0] if len(parts) == 1 else np.logical_and.reduce(parts)


def narrow(shelf: Shelf, filters: Sequence[Filter], where: Expression | str | None = None) -> Narrowing:
    """The flags of a request's filters and of its filter expression (as text or as a tree; empty: none).

    Raises BadRequest for a field that no item has, a range of texts, an expression that cannot be read.
    """
    tables = (shelf.base, shelf.delta)
    check(tables, [rule.field for rule in filters])
    _check_ranges(tables, filters)
    tree = tree_of(where)
    if tree is not None:
        check_where(tables, tree, where if isinstance(where, str) else "")
    by_field: dict[str, Flags] = {}
    chosen: dict[str, tuple[str, ...]] = {}
    for rule in filters:
        for condition in of_filter(rule):
            flags = _over(shelf, condition)
            by_field[rule.field] = by_field[rule.field] & flags if rule.field in by_field else flags
        chosen[rule.field] = (*chosen.get(rule.field, ()), *rule.values)
    if tree is None:
        return Narrowing(len(shelf), by_field, None, chosen)
    for part in tree.parts if isinstance(tree, And) else (tree,):
        if isinstance(part, Is):
            chosen[part.field] = (*chosen.get(part.field, ()), *part.values)
    return Narrowing(len(shelf), by_field, _over(shelf, tree), chosen)


def tree_of(where: Expression | str | None) -> Expression | None:
    """An expression from what may be text; blank text is none."""
    if isinstance(where, str):
        return parse(where) if where.strip() else None
    return where


def _over(shelf: Shelf, condition: Expression) -> Flags:
    split = len(shelf.base)
    first = _keep(shelf.base, condition, shelf.available[:split])
    if not len(shelf.delta):
        return first
    return np.concatenate([first, _keep(shelf.delta, condition, shelf.available[split:])])


def _check_ranges(tables: Sequence[ItemTable], filters: Sequence[Filter]) -> None:
    """A range of a field that has words and no numbers is a mistake; one of a field nobody has keeps nothing."""
    for rule in filters:
        ranged = rule.low is not None or rule.high is not None
        if not ranged or rule.field == AVAILABLE or any(rule.field in table.numbers for table in tables):
            continue
        if any(rule.field in table.coded and len(table.coded[rule.field].vocabulary) for table in tables):
            raise BadRequest(
                "a range needs a field of numbers",
                where=f"filter on {rule.field}",
                allowed=", ".join(sorted({name for table in tables for name in table.numbers})),
                got=rule.field,
                next="filter this field by values",
            )


@dataclass(frozen=True, eq=False)
class Matches:
    """Rows of a shelf without repeats, best first, taken apart as counting needs them."""

    shelf: Shelf
    rows: Ints

    @cached_property
    def old(self) -> Ints:
        """The rows of the snapshot's table."""
        if not len(self.shelf.delta):
            return self.rows
        return self.rows[self.rows < len(self.shelf.base)]

    @cached_property
    def new(self) -> Ints:
        """The rows of the table of newer items, as that table numbers them."""
        split = len(self.shelf.base)
        if not len(self.shelf.delta):
            return self.rows[:0]
        return np.asarray(self.rows[self.rows >= split] - split, np.int32)

    @cached_property
    def old_heads(self) -> Ints:
        """One of `old` a variant group."""
        return heads_of(self.old, self.shelf.base.group) if self.shelf.has_variants else self.old

    @cached_property
    def new_heads(self) -> Ints:
        return heads_of(self.new, self.shelf.group[len(self.shelf.base) :]) if self.shelf.has_variants else self.new

    @cached_property
    def torn(self) -> tuple[Ints, Ints]:
        """The rows of either table whose variant group also has rows in the other one."""
        shelf, split = self.shelf, len(self.shelf.base)
        if not shelf.has_variants or not len(self.new) or not len(self.old):
            return self.old[:0], self.new[:0]
        seen = np.zeros(len(shelf), np.bool_)
        seen[shelf.group[self.old]] = True
        new = self.new[seen[shelf.group[self.new + split]]]
        seen[:] = False
        seen[shelf.group[new + split]] = True
        return self.old[seen[shelf.group[self.old]]], new

    def groups(self, flags: Flags | None = None) -> int:
        """How many variant groups the rows (those where `flags`, (len(rows),), holds) belong to."""
        rows = self.rows if flags is None else self.rows[flags]
        if not self.shelf.has_variants:
            return len(rows)
        seen = np.zeros(len(self.shelf), np.bool_)
        seen[self.shelf.group[rows]] = True
        return int(np.count_nonzero(seen))
