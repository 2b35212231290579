"""How do the shoppers of this shop put things? What the query log teaches without telling on anybody.

Idea: a query counts when enough different people asked it (fewer could tell who did). Its words become words of the
shop, and which words stand side by side in it helps to choose a correction. Words of queries that only led to a click
are known too (they are not corrected), but never offered to others.
A trap: people repeat the same typing errors, the shop corrects them, and the log fills with wrong words that "worked".
So a word that only the log knows, and that is near a word of the catalog, is taken for a typing error unless clicks
speak for it: most of what was clicked after it does not hold the catalog's word.

Cost: one pass over the log's distinct queries, about 10 microseconds each.
Not for: synonyms (they are mined elsewhere), personal history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bodega.schema import ItemTable, Log
from bodega.schema.table import mapped
from bodega.understanding import language
from bodega.understanding.query.vocabulary import Words

PEOPLE = 20
"""Default of `settings.understand.people`."""
LONGEST_QUERY = 80
"""Characters of a query that count; longer ones are not typed by many."""
_SEEN = 50
"""Clicked items a word that are looked at."""
_MEANT = 0.5


class Asked(NamedTuple):
    """A query that people asked, in its most frequent spelling."""

    text: str
    words: tuple[str, ...]
    people: int
    """How many different ones (a guest counts once a visit)."""
    items: tuple[int, ...]
    """Items that were clicked, carted or bought after it, most often first, at most 50."""


def asked(log: Log, people: int = PEOPLE) -> list[Asked]:
    """Queries that at least `people` different users asked, most asked first (ties by words).

    Spellings that fold to the same words are one query.
    """
    return sorted(
        (query for query in _questions(log) if query.people >= people), key=lambda query: (-query.people, query.words)
    )


def _questions(log: Log) -> list[Asked]:
    """All queries of the log, grouped by their words."""
    rows = np.flatnonzero(log.query >= 0)
    if len(rows) == 0:
        return []
    keys: dict[tuple[str, ...], int] = {}
    key_of = np.full(len(log.queries), -1, np.int64)
    for number in np.unique(log.query[rows]).tolist():
        said = tuple(language.words(log.queries[number][:LONGEST_QUERY]))
        if said:
            key_of[number] = keys.setdefault(said, len(keys))
    rows = rows[key_of[log.query[rows]] >= 0]
    key = key_of[log.query[rows]]
    pairs = np.unique(key * (log.n_users + 1) + log.user[rows])
    people = np.bincount(pairs // (log.n_users + 1), minlength=len(keys))
    spelled = _most_frequent(key, log.query[rows].astype(np.int64), len(log.queries) + 1)
    clicks = rows[log.item[rows] >= 0]
    seen = _most_frequent(key_of[log.query[clicks]], log.item[clicks].astype(np.int64), int(log.item.max()) + 1)
    return [
        Asked(
            log.queries[spelled[number][0]].strip()[:LONGEST_QUERY],
            said,
            int(people[number]),
            tuple(seen.get(number, ())[:_SEEN]),
        )
        for said, number in keys.items()
        if number in spelled
    ]


def _most_frequent(keys: NDArray[np.int64], values: NDArray[np.int64], base: int) -> dict[int, list[int]]:
    """{key: its values, most frequent first (ties by value)}."""
    pairs, counts = np.unique(keys * base + values, return_counts=True)
    order = np.lexsort((pairs % base, -counts, pairs // base))
    out: dict[int, list[int]] = {}
    for pair in pairs[order].tolist():
        out.setdefault(pair // base, []).append(pair % base)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Which words stand in one query, as sorted hashes with the number of people."""

    keys: NDArray[np.uint64]
    people: NDArray[np.int32]

    @classmethod
    def of(cls, queries: Sequence[Asked]) -> Pairs:
        count: Counter[int] = Counter()
        for query in queries:
            said = sorted(set(query.words))
            for row, left in enumerate(said):
                for right in said[row + 1 :]:
                    count[_hash(left, right)] += query.people
        keys = sorted(count)
        return cls(np.array(keys, np.uint64), np.fromiter((count[key] for key in keys), np.int32, len(keys)))

    def count(self, candidates: Sequence[str], beside: Sequence[str]) -> NDArray[np.float64]:
        """How many people asked each candidate together with one of the other words: (len(candidates),)."""
        out = np.zeros(len(candidates))
        if len(self.keys) == 0 or not beside:
            return out
        wanted = np.array([[_hash(one, other) for other in beside] for one in candidates], np.uint64)
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        found: NDArray[np.float64] = np.where(self.keys[place] == wanted, self.people[place], 0).sum(axis=1) + out
        return found

    def save(self, folder: Path) -> None:
        np.save(folder / "pairs.keys.npy", self.keys)
        np.save(folder / "pairs.people.npy", self.people)

    @classmethod
    def load(cls, folder: Path) -> Pairs:
        return cls(mapped(folder / "pairs.keys.npy"), mapped(folder / "pairs.people.npy"))


NO_PAIRS = Pairs(np.empty(0, np.uint64), np.empty(0, np.int32))


@dataclass(frozen=True, slots=True)
class Habits:
    """What the log adds to the catalog's words."""

    words: Mapping[str, int] = field(default_factory=dict)
    """{word: people who asked it}; 0 for words that are known but never offered."""
    pairs: Pairs = field(default_factory=lambda: NO_PAIRS)


def habits(log: Log, items: ItemTable, catalog: Words, people: int = PEOPLE) -> Habits:
    """The words and pairs of words that the log adds; typing errors that many share are left out."""
    queries = _questions(log)
    if not queries:
        return Habits()
    often = [query for query in queries if query.people >= people]
    asked_by: Counter[str] = Counter()
    for query in often:
        for word in set(query.words):
            asked_by[word] += query.people
    clicked: dict[str, list[int]] = {}
    for query in queries:
        for word in set(query.words) if query.items else ():
            clicked.setdefault(word, []).extend(query.items)
    words: dict[str, int] = {}
    for word in sorted({*asked_by, *clicked}):
        if catalog.find(word) >= 0 or not _is_error(word, clicked.get(word, ()), items, catalog):
            words[word] = asked_by[word]
    return Habits({word: count for word, count in words.items() if count or catalog.find(word) < 0}, Pairs.of(often))


def _is_error(word: str, clicked: Sequence[int], items: ItemTable, catalog: Words) -> bool:
    """Is this word, which only the log knows, a typing error of one of the catalog's?"""
    near = {other for other, _, _ in catalog.near(word)}
    if not near:
        return False
    chosen = list(dict.fromkeys(clicked))[:_SEEN]
    holding = sum(not near.isdisjoint(language.words(items.titles[row])) for row in chosen)
    return holding >= _MEANT * len(chosen)


def _hash(one: str, two: str) -> int:
    left, right = sorted((one, two))
    return int.from_bytes(blake2b(f"{left} {right}".encode(), digest_size=8).digest(), "big")
