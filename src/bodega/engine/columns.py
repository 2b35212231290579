"""Who carries what, ready to be asked thousands of times? One index a field of a table, made at its first use and kept.

`Column` answers two questions about a coded field in one pass over flat arrays, without sorting anything:
- which rows carry a wanted code (a filter), and
- how many variant groups among some rows carry each code (a facet).
Three facts, found once, make that cheap. Most fields hold one code an item: counting is then one `bincount`. A path of
categories is known by its deepest code: the levels above are sums over a few thousand codes, not over all items. Where
variants share a page row, each distinct (group, code) has a number of its own, so that counting a group once is marking
a flag; and where all variants of every group agree (a brand does), counting their first rows is enough.
Cost: 4 bytes an entry a field; 10 ms to make at 100,000 items; then 0.1 to 0.5 ms a question over all of them.
Not for: what a filter or a facet means (`expression`, `browse`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bodega.schema import Coded, ItemTable, Texts
from bodega.schema.arrays import Flags, Floats, Ints, Longs

FEW = 100
"""Different numbers in a field that is also listed value by value: sizes, memory, stars."""
NEVER_LISTED = "price"
"""However few prices a shop has, a shopper asks for a range of them."""
PATHS = "category"
"""The field whose codes are steps of a path, from the root down."""

Levels = tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Where the variants of a group differ in a field: every distinct (group, code) has a number."""

    of: Ints
    """The number of each entry's pair; of a field with one code an item (and no paths): of each item's."""
    code: Ints
    """(n_pairs,): the code of each pair."""


@dataclass(frozen=True, eq=False)
class Column:
    """One coded field of one table."""

    coded: Coded
    single: Ints | None
    """(n_items,): the one code of each item (the deepest of its path), `size` where it has none; None where some item
    has several that are no path."""
    levels: Levels = ()
    """Of paths: (codes, the codes above them), the deepest level first."""

    @property
    def size(self) -> int:
        return len(self.coded.vocabulary)

    @classmethod
    def of(cls, name: str, coded: Coded) -> Column:
        single, levels = _single(coded, paths=name == PATHS)
        return cls(coded, single, levels)

    def pairs(self, group: Ints) -> Pairs | None:
        """The pairs of the variant groups (n_items,); None where all variants of every group carry the same codes."""
        _, dense = np.unique(group, return_inverse=True)
        if self.single is not None:
            first = np.zeros(int(dense.max(initial=-1)) + 1, np.int64)
            first[dense[::-1]] = np.arange(len(dense))[::-1]
            if bool((self.single == self.single[first[dense]]).all()):
                return None
        if self.single is not None and self._flat:
            owners, codes, size = dense, self.single, self.size + 1
        else:
            owners, codes, size = dense[self.coded.owner], self.coded.codes, max(self.size, 1)
        found, pair = np.unique(owners * size + codes, return_inverse=True)
        return Pairs(pair.astype(np.int32), (found % size).astype(np.int32))

    def codes_of(self, values: Iterable[str]) -> Flags:
        """Which codes are one of these texts: bool, (size,). A yes-or-no attribute may be written true or True."""
        wanted = np.zeros(self.size, np.bool_)
        for value in values:
            for text in (value, value.capitalize()) if value in ("true", "false") else (value,):
                code = self.coded.code_of.get(text)
                if code is not None:
                    wanted[code] = True
        return wanted

    def carrying(self, wanted: Flags) -> Flags:
        """Which rows carry a wanted code: bool, (n_items,)."""
        if not wanted.any():
            return np.zeros(len(self.coded.starts) - 1, np.bool_)
        if self.single is None:
            flags = np.zeros(len(self.coded.starts) - 1, np.bool_)
            flags[self.coded.owner[wanted[self.coded.codes]]] = True
            return flags
        below = np.append(wanted, False)
        for codes, above in reversed(self.levels):
            below[codes] |= below[above]
        return below[self.single]

    def counts(self, rows: Ints, heads: Ints, pairs: Pairs | None) -> Longs:
        """How many variant groups among `rows` carry each code: (size,). `heads` are the first rows of those groups."""
        if pairs is None or len(heads) == len(rows):  # or no group has a second row here
            return self._of(heads)
        seen = np.zeros(len(pairs.code), np.bool_)
        seen[pairs.of[rows if self._flat else self._entries(rows)]] = True
        return np.bincount(pairs.code[seen], minlength=self.size)[: self.size]

    @property
    def _flat(self) -> bool:
        """One code an item, and none above it."""
        return self.single is not None and not self.levels

    def _of(self, rows: Ints) -> Longs:
        """Rows that carry each code."""
        if self.single is None:
            return np.bincount(self.coded.codes[self._entries(rows)], minlength=self.size)[: self.size]
        counts = np.bincount(self.single[rows], minlength=self.size + 1)
        for codes, above in self.levels:
            counts[: self.size] += np.bincount(above, weights=counts[codes], minlength=self.size).astype(np.int64)
        return counts[: self.size]

    def _entries(self, rows: Ints) -> Flags | NDArray[np.int64]:
        """The places in `codes` of these rows' entries."""
        if self.coded.most(rows):
            inside = np.zeros(len(self.coded.starts) - 1, np.bool_)
            inside[rows] = True
            among: Flags = inside[self.coded.owner]
            return among
        first = self.coded.starts[rows].astype(np.int64)
        lengths = self.coded.starts[rows + 1] - first
        ends = np.cumsum(lengths)
        places: NDArray[np.int64] = np.arange(int(ends[-1]) if len(ends) else 0)
        places += np.repeat(first - (ends - lengths), lengths)
        return places


_COLUMNS: WeakKeyDictionary[ItemTable, dict[str, Column]] = WeakKeyDictionary()
_LISTED: WeakKeyDictionary[ItemTable, dict[str, Coded | None]] = WeakKeyDictionary()
_PAIRS: WeakKeyDictionary[ItemTable, dict[tuple[str, bool], Pairs | None]] = WeakKeyDictionary()


def column_of(table: ItemTable, name: str) -> Column | None:
    """The index of a field that can be listed, made at its first use; None where the table has no such field."""
    kept = _COLUMNS.setdefault(table, {})
    found = kept.get(name)
    if found is None:
        coded = listed(table, name)
        if coded is None:
            return None
        found = kept[name] = Column.of(name, coded)
    return found


def listed(table: ItemTable, name: str) -> Coded | None:
    """A field whose values can be listed: words, or numbers of which there are few ("42", "8.5"); else None."""
    if name in table.coded or name not in table.numbers or name == NEVER_LISTED:
        return table.coded.get(name)
    kept = _LISTED.setdefault(table, {})
    if name not in kept:
        kept[name] = _few(table.numbers[name])
    return kept[name]


def _few(numbers: Floats) -> Coded | None:
    """Numbers as texts that a filter reads back as the same numbers; None where there are too many."""
    known = np.isfinite(numbers)
    found, codes = np.unique(numbers[known], return_inverse=True)
    if len(found) > FEW:
        return None
    texts = [f"{number:.0f}" if float(number).is_integer() and abs(number) < 1e7 else str(number) for number in found]
    order = sorted(range(len(texts)), key=texts.__getitem__)
    place = np.empty(len(texts), np.int32)
    place[order] = np.arange(len(texts), dtype=np.int32)
    starts = np.zeros(len(numbers) + 1, np.int32)
    np.cumsum(known, out=starts[1:])
    return Coded(starts, place[codes], Texts.of(texts[each] for each in order))


def pairs_of(table: ItemTable, name: str, group: Ints) -> Pairs | None:
    """The pairs of a field the table has, made at their first use.

    `group` are the table's own groups, or those that its rows have on a shelf: a table lies on one shelf only.
    """
    kept = _PAIRS.setdefault(table, {})
    key = (name, group is table.group)
    if key not in kept:
        kept[key] = _column(table, name).pairs(group)
    return kept[key]


def _column(table: ItemTable, name: str) -> Column:
    found = column_of(table, name)
    assert found is not None
    return found


def heads_of(rows: Ints, group: Ints) -> Ints:
    """The first row of every variant group, in the order of `rows`; `group` covers all rows. No sorting."""
    if len(rows) < 2:
        return rows
    owners = group[rows]
    first = np.empty(int(owners.max()) + 1, np.int32)
    places = np.arange(len(rows), dtype=np.int32)
    first[owners[::-1]] = places[::-1]  # of several assignments to one place the last one stays
    heads: Ints = rows[first[owners] == places]
    return heads


def _single(coded: Coded, *, paths: bool) -> tuple[Ints | None, Levels]:
    """(the one code of each item, levels of its paths), see `Column`."""
    size = len(coded.vocabulary)
    lengths = np.diff(coded.starts)
    some = lengths > 0
    one = np.full(len(lengths), size, np.int32)
    if not paths:
        if lengths.max(initial=0) > 1:
            return None, ()
        one[some] = coded.codes
        return one, ()
    one[some] = coded.codes[coded.starts[1:][some] - 1]
    parents = coded.parents
    nested = coded.owner[1:] == coded.owner[:-1]
    above = np.full(len(coded.codes), -1, np.int64)
    above[1:][nested] = coded.codes[:-1][nested]
    if not bool((parents[coded.codes] == above).all()):  # two paths that are written alike and cut differently
        return None, ()
    depth = depths_of(parents)
    deepest = range(int(depth.max(initial=0)), 0, -1)
    levels = ((codes, parents[codes]) for codes in (np.flatnonzero(depth == each) for each in deepest))
    return one, tuple(levels)


def depths_of(parents: NDArray[np.int64]) -> Longs:
    """How far below the root each code lies: 0 for a root. `parents` as in `Coded.parents`."""
    depth = np.zeros(len(parents), np.int64)
    above = parents
    for _ in range(len(parents)):
        inside = above >= 0
        if not inside.any():
            break
        depth += inside
        above = np.where(inside, parents[above], -1)
    return depth
