"""What may the shopper be typing? Completions from the shop's categories, brands and titles, and from popular queries.

Idea: all suggestions stand in one list, best first (a query that many people asked, then categories and brands by
size, then titles by how often they were looked at). A typed word selects the suggestions that hold a word beginning
like it; because the list is sorted, the first k that pass are the answer.
A query is only ever suggested when at least `ENOUGH_PEOPLE` different people asked it: fewer could tell who did.

Cost: under 1 ms among 100,000 suggestions. Not for: correcting (the caller does, when nothing is found).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.schema import ItemTable, Log, Texts, World
from bodega.schema.table import mapped
from bodega.understanding import language
from bodega.understanding.query.vocabulary import load_texts, save_texts, span

ENOUGH_PEOPLE = 20
LONGEST = 80
"""Longer titles are cut at a word: nobody reads a suggestion of two lines."""
HEAD = 300
"""This many of the best suggestions compete for the first places."""
KINDS = ("query", "category", "brand", "title")


class Suggestion(msgspec.Struct, frozen=True):
    """One completion: `kind` is `query`, `category`, `brand` or `title`; `item` is a title's item index, else -1."""

    text: str
    kind: str
    item: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Suggester:
    """Suggestions best first, and for each word (sorted) the suggestions that hold it."""

    texts: Texts
    kind: NDArray[np.int8]
    item: NDArray[np.int32]
    words: Texts
    starts: NDArray[np.int64]
    postings: NDArray[np.int32]

    @classmethod
    def of(cls, world: World) -> Suggester:
        entries = _entries(world)
        held: dict[str, list[int]] = {}
        for row, (text, _, _) in enumerate(entries):
            for word in dict.fromkeys(word for whole, parts in language.chunks(text) for word in (whole, *parts)):
                held.setdefault(word, []).append(row)
        held.pop("", None)
        words = sorted(held)
        starts = np.zeros(len(words) + 1, np.int64)
        np.cumsum([len(held[word]) for word in words], out=starts[1:])
        postings = np.fromiter((row for word in words for row in held[word]), np.int32, int(starts[-1]))
        kind = np.array([KINDS.index(kind) for _, kind, _ in entries], np.int8)
        item = np.array([item for _, _, item in entries], np.int32)
        return cls(Texts.of(text for text, _, _ in entries), kind, item, Texts.of(words), starts, postings)

    def suggest(self, typed: Sequence[str], k: int, *, complete: bool) -> list[Suggestion]:
        """The best k for these words; the last one is a beginning unless it is `complete`. Texts do not repeat."""
        if not typed or k < 1 or len(self.texts) == 0:
            return []
        passing = np.ones(len(self.texts), np.bool_)
        for place, word in enumerate(typed):
            low, high = span(self.words, word)
            if complete or place < len(typed) - 1:
                high = low + 1 if low < high and self.words[low] == word else low
            here = np.zeros(len(self.texts), np.bool_)
            here[self.postings[self.starts[low] : self.starts[high]]] = True
            passing &= here
        best = np.flatnonzero(passing)[: max(HEAD, k)].tolist()
        texts = [self.texts[row] for row in best]
        beginning = " ".join(typed)
        order = sorted(range(len(best)), key=lambda place: not language.fold(texts[place]).startswith(beginning))
        return [
            Suggestion(texts[place], KINDS[self.kind[best[place]]], int(self.item[best[place]])) for place in order[:k]
        ]

    def save(self, folder: Path) -> None:
        save_texts(folder, "suggest.texts", self.texts)
        save_texts(folder, "suggest.words", self.words)
        for name in ("kind", "item", "starts", "postings"):
            np.save(folder / f"suggest.{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Suggester:
        kind, item, starts, postings = (
            mapped(folder / f"suggest.{name}.npy") for name in ("kind", "item", "starts", "postings")
        )
        return cls(
            load_texts(folder, "suggest.texts"), kind, item, load_texts(folder, "suggest.words"), starts, postings
        )


def _entries(world: World) -> list[tuple[str, str, int]]:
    """(text, kind, item), best first; a text that two kinds share is listed once, by the better kind."""
    table = world.items
    rows = [(query, "query", -1) for query in popular_queries(world.log)]
    rows += [(name.rpartition(" > ")[2], "category", -1) for name in _by_size(table, "category")]
    rows += [(name, "brand", -1) for name in _by_size(table, "brand")]
    seen = np.bincount(world.log.item[world.log.item >= 0], minlength=len(table))[: len(table)]
    # without clicks the shorter title comes first: it is the more general one
    order = np.lexsort((np.diff(table.titles.offsets), ~table.available, -seen))
    titles = list(table.titles)
    rows += [(shortened(titles[row]), "title", int(row)) for row in order]
    once: dict[str, tuple[str, str, int]] = {}
    for text, kind, item in rows:
        key = " ".join(language.words(text))
        if key:
            once.setdefault(key, (text, kind, item))
    return list(once.values())


def popular_queries(log: Log) -> list[str]:
    """Queries that at least `ENOUGH_PEOPLE` different users asked (guests count once a session), most asked first.

    Spellings that fold to the same words are one query, shown in its most frequent spelling.
    """
    if not log.queries:
        return []
    asked = log.query >= 0
    pairs = np.unique(log.query[asked].astype(np.int64) * (log.n_users + 1) + log.user[asked])
    people: dict[str, set[int]] = {}
    spelled: dict[str, Counter[str]] = {}
    for pair in pairs.tolist():
        query, user = log.queries[pair // (log.n_users + 1)], pair % (log.n_users + 1)
        key = " ".join(language.words(query[:LONGEST]))
        people.setdefault(key, set()).add(user)
        spelled.setdefault(key, Counter())[query.strip()] += 1
    enough = sorted((-len(users), key) for key, users in people.items() if key and len(users) >= ENOUGH_PEOPLE)
    return [min(spelled[key].items(), key=lambda entry: (-entry[1], entry[0]))[0] for _, key in enough]


def shortened(title: str) -> str:
    """The title, cut at a word where it is longer than `LONGEST` characters."""
    title = " ".join(title[: 4 * LONGEST].split())
    if len(title) <= LONGEST:
        return title
    return title[:LONGEST].rsplit(" ", 1)[0].rstrip(" ,-/")


def _by_size(table: ItemTable, field: str) -> list[str]:
    column = table.coded.get(field)
    if column is None:
        return []
    counts = np.bincount(column.codes, minlength=len(column.vocabulary))
    names = list(column.vocabulary)
    return [names[row] for row in np.argsort(-counts, kind="stable")]
