"""What is for sale at this moment? The snapshot's catalog with everything that changed since.

Items that are new or changed since the snapshot stand in a small second table, the *delta*; a row number below
`len(base)` is the snapshot's, from there on the delta's. A changed item keeps its old row for the models, which know it
by that row, and is shown from its new one; a deleted item is shown from nowhere.
A shelf is immutable: a change gives a new one, so that a request in flight sees one catalog from start to end.
Cost: some numbers an item, rebuilt at a change (about 1 ms per 100,000 items). Not for: millions of changes, that is
what `learn` is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodega.schema import Item, ItemTable
from bodega.schema.arrays import Doubles, Flags, Floats, Ints
from bodega.schema.ratings import rated_like

GONE = -1
Fill = Callable[[ItemTable, ItemTable], ItemTable]
"""(what came in, the snapshot's catalog) -> what came in, with what its texts say."""


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """One consistent view of the catalog; arrays cover base rows, then delta rows."""

    base: ItemTable
    delta: ItemTable
    changed: dict[str, Item | None]
    """Everything changed since the snapshot: id -> item, or None when deleted."""
    shown_from: Ints
    """(n_base + n_delta,): the row an item is shown from; GONE where it was deleted."""
    known_as: Ints
    """(n_base + n_delta,): the base row that the models know an item by; GONE where they do not know it."""
    is_current: Flags
    """(n_base + n_delta,): is an item shown from this very row?"""
    available: Flags
    price: Floats
    created: Doubles
    group: Ints
    """Variant group of each row."""
    has_variants: bool
    """Is there a group with more than one row that is shown? (Else nothing needs to be collapsed.)"""

    @classmethod
    def of(cls, base: ItemTable, changed: dict[str, Item | None] | None = None, fill: Fill | None = None) -> Shelf:
        if not changed:
            plain: Shelf | None = base.__dict__.get("_shelf")
            if plain is None:  # kept with its table: processes that were forked share it, and what is made of it
                plain = base.__dict__["_shelf"] = cls._of(base, {})
            return plain
        return cls._of(base, changed, fill)

    @classmethod
    def _of(cls, base: ItemTable, changed: dict[str, Item | None], fill: Fill | None = None) -> Shelf:
        delta = rated_like(ItemTable.of(item for item in changed.values() if item is not None), base)
        if fill is not None:
            delta = fill(delta, base)
        n_base = len(base)
        shown_from = np.arange(n_base + len(delta), dtype=np.int32)
        known_as = np.where(np.arange(len(shown_from)) < n_base, shown_from, GONE).astype(np.int32)
        for name, item in changed.items():
            row = base.index.get(name)
            if row is not None:
                shown_from[row] = GONE if item is None else n_base + delta.index[name]
                if item is not None:
                    known_as[shown_from[row]] = row
        group = np.concatenate([base.group, _groups(base, delta)])
        is_current = shown_from == np.arange(len(shown_from))
        shown = group[is_current]
        return cls(
            base,
            delta,
            changed,
            shown_from,
            known_as,
            is_current,
            available=np.concatenate([base.available, delta.available]),
            price=np.concatenate([base.numbers["price"], delta.numbers["price"]]),
            created=np.concatenate([base.created, delta.created]),
            group=group,
            has_variants=len(np.unique(shown)) < len(shown),
        )

    def with_changes(self, changes: Iterable[tuple[str, Item | None]], fill: Fill | None = None) -> Shelf:
        """A new shelf with these changes (id, item or None) on top; `fill` adds to all that came in."""
        return Shelf.of(self.base, {**self.changed, **dict(changes)}, fill)

    def __len__(self) -> int:
        """Rows of both tables; a changed item counts in both."""
        return len(self.shown_from)

    def current(self, rows: NDArray[np.integer]) -> Ints:
        """Where these rows are shown from now; GONE where deleted. Same shape."""
        shown: Ints = self.shown_from[rows]
        return shown

    def row(self, name: str) -> int:
        """The row this id is shown from, or GONE."""
        inside = self.delta.index.get(name)
        if inside is not None:
            return len(self.base) + inside
        row = self.base.index.get(name)
        return GONE if row is None else int(self.shown_from[row])

    def all_rows(self) -> Ints:
        """Every row that shows something now: (n_current,)."""
        return np.flatnonzero(self.is_current).astype(np.int32)

    def document(self, row: int) -> bytes:
        """The item as JSON."""
        inside = row - len(self.base)
        return self.delta.documents.raw(inside) if inside >= 0 else self.base.documents.raw(row)

    def shown(self, rows: Ints) -> list[tuple[str, bytes]]:
        """(id, the item as JSON) of each of these rows."""
        if len(self.delta) and (rows >= len(self.base)).any():
            return [(self.id(row), self.document(row)) for row in rows.tolist()]
        own = rows.tolist()
        return list(zip(map(bytes.decode, self.base.ids.some(own)), self.base.documents.some(own), strict=True))

    def id(self, row: int) -> str:
        inside = row - len(self.base)
        return self.delta.ids[inside] if inside >= 0 else self.base.ids[row]

    def title(self, row: int) -> str:
        inside = row - len(self.base)
        return self.delta.titles[inside] if inside >= 0 else self.base.titles[row]

    def split(self, rows: Ints) -> list[tuple[ItemTable, Ints]]:
        """The rows table by table, each with that table's own row numbers; tables without rows are left out."""
        old = rows < len(self.base)
        parts = [(self.base, rows[old]), (self.delta, rows[~old] - len(self.base))]
        return [(table, np.asarray(own, np.int32)) for table, own in parts if len(own)]


def _groups(base: ItemTable, delta: ItemTable) -> Ints:
    """Variant groups of the delta's rows: those of the base where it knows the group by name, else their own."""
    own = np.asarray(delta.group + len(base), np.int32)
    for name, group in delta.named_groups.items():
        known = base.named_groups.get(name)
        if known is not None:
            own[delta.group == group] = known
    return own
