"""What may this shopper be typing, given what is for sale now? The snapshot's completer, and a small one beside it.

    typed -> entries of the snapshot with an item that is shown   retrieval/lexical/completion
          -> entries of items that are new or changed since       the same, over the shelf's delta
          -> one list: merged by rank, a text once

An entry whose items are all gone, sold out or changed is left out of the first list; a changed item completes from the
second, with the popularity it had. Without a context (or with an empty history) the list is the same for everybody.

Cost: that of the completer; the small one is built at the first completion after a change, 50 microseconds an item.
Not for: results.
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np

from bodega.engine.shelf import GONE, Shelf
from bodega.retrieval.lexical import Lexical
from bodega.retrieval.lexical.completion import MOST_CHARACTERS, MOST_WORDS, Completer, Ranked, Taste
from bodega.schema import Completion, Context, ItemTable
from bodega.schema.arrays import Flags, Ints
from bodega.understanding import language

NEWEST = 50
"""Items of the history that make the taste."""


QUERY = 0
"""The kind of a query among the completer's: the first (`retrieval.lexical.completion`)."""
LAST = 1 << 40
"""Numbers of entries that are newer than the snapshot's: of equals, those come first."""


class New(Protocol):
    """What many people have asked since the snapshot."""

    def suggested(self, beginning: str, k: int) -> list[tuple[str, int]]:
        """(query, people) of what begins like this, the most asked first."""
        ...


class Completing:
    """Completions over one shelf."""

    def __init__(self, words: Lexical, shelf: Shelf, new: New | None = None) -> None:
        self._new = new
        self._main = words.completer
        self._speller = words.speller
        self._shelf = shelf

    def complete(self, typed: str, k: int, *, context: Context | None = None) -> list[Completion]:
        """The best k completions, best first; those near the history of the context rise among near-equals."""
        if self._main is None or k < 1:
            return []
        history = context.history[-NEWEST:] if context is not None else np.empty(0, np.int32)
        found = self._found(typed, k, history)
        if not found:  # more than one error in a word: what a search would be corrected to
            mended = self._speller.correct(language.words(typed[:MOST_CHARACTERS])[:MOST_WORDS])
            found = self._found(" ".join(mended.words), k, history) if mended.changed else []
        return [self._completion(entry, first) for first, entry in found]

    def _found(self, typed: str, k: int, history: Ints) -> list[tuple[int, Ranked]]:
        """(first shelf row of its table, entry), best first."""
        assert self._main is not None
        table, n_base = self._shelf.base, len(self._shelf.base)
        found = [
            (0, entry)
            for entry in self._main.complete(
                typed, k, shown=self._shown[:n_base], taste=self._taste(table, history) if len(history) else None
            )
        ]
        if self._new is not None:
            found += [
                (0, Ranked(False, False, QUERY, -float(np.log1p(people)), LAST + place, text, -1))
                for place, (text, people) in enumerate(self._new.suggested(typed, k))
            ]
        if self._beside is not None:
            taste = self._taste(self._shelf.delta, history) if len(history) else None
            found += [
                (n_base, entry) for entry in self._beside.complete(typed, k, shown=self._shown[n_base:], taste=taste)
            ]
        return _once(found)[:k]

    @cached_property
    def _shown(self) -> Flags:
        """Which shelf rows can be bought."""
        return self._shelf.is_current & self._shelf.available

    @cached_property
    def _beside(self) -> Completer | None:
        """The completer of what is new or changed, as popular as it was before."""
        shelf = self._shelf
        if self._main is None or len(shelf.delta) == 0:
            return None
        known = shelf.known_as[len(shelf.base) :]
        seen = np.zeros(len(shelf.delta), np.float32)
        seen[known != GONE] = self._main.seen[known[known != GONE]]
        return Completer.of(shelf.delta, seen)

    def _taste(self, table: ItemTable, history: Ints) -> Taste:
        """What the history says about the items of a table, by the names of brands and categories."""
        base = self._shelf.base
        brands = _names(base, "brand", self._codes["brand"][history])
        categories = _names(base, "category", self._codes["category"][history])
        here = table is base
        brand = self._codes["brand"] if here else _first(table, "brand")
        category = self._codes["category"] if here else _deepest(table)
        own = history if here else self._shelf.shown_from[history] - len(base)
        return Taste(
            brand=brand,
            category=category,
            brands=_flags(table, "brand", brands),
            categories=_flags(table, "category", categories),
            own=np.unique(own[own >= 0]),
        )

    @cached_property
    def _codes(self) -> dict[str, Ints]:
        base = self._shelf.base
        return {"brand": _first(base, "brand"), "category": _deepest(base)}

    def _completion(self, entry: Ranked, first: int) -> Completion:
        found = entry.suggestion
        item = self._shelf.id(first + found.item) if found.item >= 0 else ""
        return Completion(text=found.text, kind=found.kind, item=item)


def _once(found: list[tuple[int, Ranked]]) -> list[tuple[int, Ranked]]:
    """In order of rank, each text once, whatever its case."""
    kept: dict[str, tuple[int, Ranked]] = {}
    for first, entry in sorted(found, key=lambda pair: (pair[1], pair[0])):
        kept.setdefault(" ".join(language.fold(entry.text).split()), (first, entry))
    return list(kept.values())


def _first(table: ItemTable, field: str) -> Ints:
    column = table.coded.get(field)
    return np.full(len(table), -1, np.int32) if column is None else column.first()


def _deepest(table: ItemTable) -> Ints:
    return table.leaf_category if "category" in table.coded else np.full(len(table), -1, np.int32)


def _names(table: ItemTable, field: str, codes: Ints) -> list[str]:
    column = table.coded.get(field)
    return [] if column is None else [column.vocabulary[code] for code in np.unique(codes[codes >= 0]).tolist()]


def _flags(table: ItemTable, field: str, names: list[str]) -> Flags:
    """Which codes of the column have these names; one place more, always False."""
    column = table.coded.get(field)
    flags = np.zeros(1 if column is None else len(column.vocabulary) + 1, np.bool_)
    if column is not None:
        codes = [column.code_of[name] for name in names if name in column.code_of]
        flags[codes] = True
    return flags
