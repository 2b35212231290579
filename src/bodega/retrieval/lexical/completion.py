"""What may the shopper be typing? Popular queries, categories, brands and titles that hold the words typed so far.

    typed -> constraints   each word: the rows of the vocabulary it may stand for               _beginnings
          -> entries       the constraint with the fewest postings is walked, best entries first, the others are
                           checked against each entry's own words; entries without anything to show are left out
          -> order         as typed before mended, beginning like it first, then by kind and popularity

Idea: entries are numbered best first (`_entries`), so the walk can stop when enough are found. Errors are only looked
for when no entry holds the words as typed, and only in words that lead nowhere, unless all do lead somewhere.
For a shopper with a history, entries of categories and brands seen there rise among those of nearly equal popularity.
Nothing here is random and nothing is remembered: the same question has the same answer for everybody without a taste.

Cost: .1 to 2 ms among 1,000,000 entries; about 250 bytes an entry, memory-mapped.
Not for: what to search when nothing matches (the speller), results.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.retrieval.lexical._beginnings import Letters, best_of_beginnings, letters_of, near
from bodega.retrieval.lexical._entries import HAN_RUN, KINDS, Entries, Finds, entries, popularity
from bodega.schema import ItemTable, World
from bodega.schema.table import mapped
from bodega.understanding import language
from bodega.understanding.query.habits import Asked, asked
from bodega.understanding.query.vocabulary import find, load_texts, save_texts, span

HEAD = 200
"""This many of the best entries compete for the first places."""
HEAVY = 8_000
"""A beginning that more postings share has its best entries stored."""
KEPT = 1_000
"""How many of them."""
WALKED = 20_000
"""Entries looked at before a walk gives up: about 1 ms."""
CHUNK = 2_000
MOST_WORDS = 8
MOST_CHARACTERS = 200
PROOFS = 8
"""Evidence that is looked at first, and that says what an entry is about."""
TASTE = 2.0
"""An entry that is all about what the shopper looked at counts exp(2) = 7 times as popular."""

Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]


class Suggestion(msgspec.Struct, frozen=True):
    """One completion: `kind` is `query`, `category`, `brand` or `title`; `item` is a title's item index, else -1."""

    text: str
    kind: str
    item: int = -1


class Ranked(NamedTuple):
    """A suggestion with its place in the order; suggestions of several completers compare."""

    mended: bool
    """Was something typed read as an error?"""
    elsewhere: bool
    """Do the words typed stand elsewhere than at its beginning?"""
    tier: int
    """Row of `KINDS`."""
    cost: float
    """Less is more popular."""
    place: int
    """Number of the entry: the last tie is broken by it."""
    text: str
    item: int

    @property
    def suggestion(self) -> Suggestion:
        return Suggestion(self.text, KINDS[self.tier], self.item)


@dataclass(frozen=True, slots=True, eq=False)
class Taste:
    """What a shopper looked at, in the codes of one catalog. The last place of `brands` and `categories` is False: it
    stands for an item without one (code -1)."""

    brand: NDArray[np.int32]
    """(n_items,) codes."""
    category: NDArray[np.int32]
    brands: Flags
    """(n_brands + 1,)"""
    categories: Flags
    own: NDArray[np.int32]
    """The items themselves."""

    def alike(self, items: NDArray[np.int32]) -> Flags:
        """Which items are of a brand or (deepest) category that was looked at, or were looked at: (len(items),)."""
        found: Flags = self.brands[self.brand[items]] | self.categories[self.category[items]]
        return found | np.isin(items, self.own)


@dataclass(frozen=True, slots=True, eq=False)
class _Constraint:
    """The rows of the vocabulary that a typed word may stand for: a span, or a set of rows."""

    low: int
    high: int
    rows: Rows | None = None

    @property
    def empty(self) -> bool:
        return self.low == self.high

    def holds(self, words: NDArray[np.int32]) -> Flags:
        if self.rows is None:
            return (words >= self.low) & (words < self.high)
        place = np.minimum(np.searchsorted(self.rows, words), len(self.rows) - 1)
        found: Flags = self.rows[place] == words
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Completer:
    """The entries, their words turned round, and the best entries of frequent beginnings."""

    entries: Entries
    seen: NDArray[np.float32]
    """log(1 + events) of each item of the catalog: what changed items take over."""
    letters: Letters
    starts: NDArray[np.int64]
    postings: NDArray[np.int32]
    """Word w stands in the entries `postings[starts[w]:starts[w+1]]`, best first."""
    heavy: NDArray[np.int64]
    """(n, 2) spans of the vocabulary, sorted."""
    heavy_starts: NDArray[np.int64]
    heavy_best: NDArray[np.int32]
    spans: list[tuple[int, int]]
    """`heavy` as a list."""

    @classmethod
    def fit(cls, world: World, finds: Finds, people: int) -> Self:
        """Learn what to suggest: titles and names of the catalog, queries that `people` asked and that find items."""
        return cls.of(world.items, popularity(world.log.item, len(world.items)), asked(world.log, people), finds)

    @classmethod
    def of(
        cls, table: ItemTable, seen: NDArray[np.float32], queries: Sequence[Asked] = (), finds: Finds | None = None
    ) -> Self:
        """The completer of a catalog whose items are that popular."""
        held = entries(table, seen, queries, finds)
        letters = letters_of(held.vocabulary)
        owner = np.repeat(np.arange(len(held), dtype=np.int32), np.diff(held.word_starts))
        order = np.argsort(held.words, kind="stable")
        starts = np.searchsorted(held.words[order], np.arange(letters.shape[1] + 1)).astype(np.int64)
        postings = owner[order]
        heavy = best_of_beginnings(letters, starts, postings, HEAVY, KEPT)
        return cls(held, seen, letters, starts, postings, *heavy, _pairs(heavy[0]))

    def __len__(self) -> int:
        return len(self.entries)

    def complete(self, typed: str, k: int, *, shown: Flags | None = None, taste: Taste | None = None) -> list[Ranked]:
        """The best k, best first. `shown` (n_items,) says which items can be bought now: an entry without one of
        them is left out."""
        if k < 1 or len(self) == 0:
            return []
        asked_for = _Asked(k, shown, taste)
        found: list[Ranked] = []
        for words, complete in _readings(typed):
            exact = [self._exact(word, complete=complete or at < len(words) - 1) for at, word in enumerate(words)]
            rows = self._walk(exact, shown)
            found += self._ranked(rows, exact, asked_for, mended=False)
            if len(rows) == 0:
                loose = self._loose(words, exact, complete=complete)
                if loose is not None:
                    rows = self._walk(loose, shown)
                    found += self._ranked(rows, loose, asked_for, mended=True)
            if len(found) >= k:
                break
        once: dict[int, Ranked] = {}
        for entry in sorted(found):
            once.setdefault(entry.place, entry)
        return list(once.values())[:k]

    def _exact(self, word: str, *, complete: bool) -> _Constraint:
        if complete:
            row = find(self.entries.vocabulary, word)
            return _Constraint(max(row, 0), row + 1)
        return _Constraint(*span(self.entries.vocabulary, word))

    def _loose(self, words: Sequence[str], exact: list[_Constraint], *, complete: bool) -> list[_Constraint] | None:
        """The constraints with an error forgiven where a word leads nowhere, or in any word where all lead somewhere;
        None where that changes nothing."""
        nowhere = any(constraint.empty for constraint in exact)
        out, changed = [], False
        for place, (word, known) in enumerate(zip(words, exact, strict=True)):
            if nowhere and not known.empty:
                out.append(known)
                continue
            rows = near(self.letters, word, complete=complete or place < len(words) - 1)
            if len(rows) == 0:
                out.append(known)
                continue
            if not known.empty:
                rows = np.union1d(rows, np.arange(known.low, known.high))
            low, high = int(rows[0]), int(rows[-1]) + 1
            out.append(_Constraint(low, high, None if high - low == len(rows) else rows))
            changed = True
        return out if changed else None

    def _walk(self, constraints: list[_Constraint], shown: Flags | None) -> Rows:
        """The best `HEAD` entries that meet all constraints and have something to show; ascending, so best first."""
        if not constraints or any(constraint.empty for constraint in constraints):
            return np.empty(0, np.int64)
        sizes = [self._size(constraint) for constraint in constraints]
        broad = [
            size > HEAVY and constraint.high - constraint.low > 1
            for size, constraint in zip(sizes, constraints, strict=True)
        ]
        driver = min(range(len(constraints)), key=lambda place: (broad[place], sizes[place], place))
        candidates = self._entries_of(constraints[driver], alone=len(constraints) == 1)
        others = [constraint for place, constraint in enumerate(constraints) if place != driver]
        found: list[Rows] = []
        total = 0
        for start in range(0, min(len(candidates), WALKED), CHUNK if others else HEAD):
            rows = candidates[start : start + (CHUNK if others else HEAD)].astype(np.int64)
            rows = rows[self._meets(rows, others)] if others else rows
            rows = rows[self._has_items(rows, shown)][: HEAD - total]
            found.append(rows)
            total += len(rows)
            if total >= HEAD:
                break
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _size(self, constraint: _Constraint) -> int:
        if constraint.rows is None:
            return int(self.starts[constraint.high] - self.starts[constraint.low])
        return int((self.starts[constraint.rows + 1] - self.starts[constraint.rows]).sum())

    def _entries_of(self, constraint: _Constraint, *, alone: bool) -> NDArray[np.int32]:
        """The entries that hold a word of the constraint, best first; of very many only the best."""
        low, high, rows = constraint.low, constraint.high, constraint.rows
        if rows is None:
            whole = self.postings[self.starts[low] : self.starts[high]]
            if high - low == 1:
                return whole
            if len(whole) <= HEAVY:
                return np.unique(whole)
            place = bisect_left(self.spans, (low, high))
            if place < len(self.spans) and self.spans[place] == (low, high):
                return self.heavy_best[self.heavy_starts[place] : self.heavy_starts[place + 1]]
            rows = np.arange(low, high)
        first = self.starts[rows]
        lengths = self.starts[rows + 1] - first
        if int(lengths.sum()) > HEAVY:
            lengths = np.minimum(lengths, 5 * HEAD if alone else max(5 * HEAD, 3 * HEAVY // len(rows)))
        return np.unique(self.postings[_flat(first, lengths)])

    def _meets(self, rows: Rows, constraints: list[_Constraint]) -> Flags:
        """Which entries hold a word of every constraint?"""
        keep = np.ones(len(rows), np.bool_)
        if len(rows) == 0:
            return keep
        first = self.entries.word_starts[rows]
        lengths = self.entries.word_starts[rows + 1] - first
        words = self.entries.words[_flat(first, lengths)]
        for constraint in constraints:
            keep &= np.logical_or.reduceat(constraint.holds(words), np.cumsum(lengths) - lengths)
        return keep

    def _begins(self, rows: Rows, constraints: list[_Constraint]) -> Flags:
        """Which entries begin with the words typed, in their order?"""
        first, last = self.entries.word_starts[rows], self.entries.word_starts[rows + 1] - 1
        keep: Flags = first + len(constraints) - 1 <= last
        for place, constraint in enumerate(constraints):
            keep &= constraint.holds(self.entries.words[np.minimum(first + place, last)])
        return keep

    def _proofs(self, rows: Rows, limit: int | None) -> tuple[NDArray[np.int32], Rows]:
        """(items, where each entry's begin) of the first evidence of these entries."""
        first = self.entries.item_starts[rows]
        lengths = self.entries.item_starts[rows + 1] - first
        if limit is not None:
            lengths = np.minimum(lengths, limit)
        return self.entries.items[_flat(first, lengths)], np.cumsum(lengths) - lengths

    def _has_items(self, rows: Rows, shown: Flags | None) -> Flags:
        """Which entries have an item that is shown? The first evidence decides for most."""
        if shown is None or len(rows) == 0:
            return np.ones(len(rows), np.bool_)
        items, begin = self._proofs(rows, PROOFS)
        alive: Flags = np.logical_or.reduceat(shown[items], begin)
        doubtful = np.flatnonzero(~alive)
        if len(doubtful):
            items, begin = self._proofs(rows[doubtful], None)
            alive[doubtful] = np.logical_or.reduceat(shown[items], begin)
        return alive

    def _ranked(self, rows: Rows, constraints: list[_Constraint], asked: _Asked, *, mended: bool) -> list[Ranked]:
        if len(rows) == 0:
            return []
        held = self.entries
        cost = -held.weight[rows].astype(np.float64)
        if asked.taste is not None:
            items, begin = self._proofs(rows, PROOFS)
            sizes = np.diff(np.append(begin, len(items)))
            cost -= TASTE * np.add.reduceat(asked.taste.alike(items).astype(np.float64), begin) / sizes
        elsewhere = ~self._begins(rows, constraints)
        order = np.lexsort((rows, cost, held.kind[rows], elsewhere))
        return [
            Ranked(
                mended,
                bool(elsewhere[place]),
                int(held.kind[rows[place]]),
                float(cost[place]),
                int(rows[place]),
                held.texts[int(rows[place])],
                self._item(int(rows[place]), asked.shown),
            )
            for place in order[: asked.k].tolist()
        ]

    def _item(self, row: int, shown: Flags | None) -> int:
        """The item that a title names: the best of those shown."""
        if KINDS[self.entries.kind[row]] != "title":
            return -1
        items = self.entries.items[self.entries.item_starts[row] : self.entries.item_starts[row + 1]]
        return int(items[0] if shown is None else items[np.argmax(shown[items])])

    def save(self, folder: Path) -> None:
        save_texts(folder, "suggest.texts", self.entries.texts)
        save_texts(folder, "suggest.words", self.entries.vocabulary)
        for name in _OF_ENTRIES:
            np.save(folder / f"suggest.entry_{name}.npy", getattr(self.entries, name))
        for name in _OWN:
            np.save(folder / f"suggest.{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Memory-map what `save` wrote."""
        parts = {name: mapped(folder / f"suggest.entry_{name}.npy") for name in _OF_ENTRIES}
        texts, words = load_texts(folder, "suggest.texts"), load_texts(folder, "suggest.words")
        own = {name: mapped(folder / f"suggest.{name}.npy") for name in _OWN}
        return cls(Entries(texts=texts, vocabulary=words, **parts), **own, spans=_pairs(own["heavy"]))


_OF_ENTRIES = ("kind", "weight", "item_starts", "items", "word_starts", "words")
_OWN = ("seen", "letters", "starts", "postings", "heavy", "heavy_starts", "heavy_best")


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    k: int
    shown: Flags | None
    taste: Taste | None


def _readings(typed: str) -> list[tuple[list[str], bool]]:
    """(words, is the last one complete?) of what was typed; Chinese also with its last characters as one beginning."""
    typed = typed[:MOST_CHARACTERS]
    words = language.words(typed)[:MOST_WORDS]
    if not words:
        return []
    complete = not typed[-1:].isalnum()
    readings = [(words, complete)]
    run = HAN_RUN.search(language.fold(typed))
    if run and run.end() == len(language.fold(typed)):
        readings.append(([*language.words(language.fold(typed)[: run.start()]), run.group()], complete))
    return readings


def _flat(first: Rows, lengths: Rows) -> Rows:
    """The places first, first + 1, ... of slices, one after the other."""
    ends = np.cumsum(lengths)
    out: Rows = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(first - (ends - lengths), lengths)
    return out


def _pairs(spans: NDArray[np.int64]) -> list[tuple[int, int]]:
    return [(low, high) for low, high in spans.tolist()]
