"""What may be suggested while somebody types? Popular queries, categories, brands and titles, each with its evidence.

Idea: everything that can be suggested stands in one list, best first: queries that many people asked, then categories
and brands by size, then titles by how often they were looked at. Each entry keeps the items that prove it leads
somewhere (those a query finds, those in a category, those that bear a title), so that whoever serves can leave out what
has nothing to show now. A query enters only when the word index finds something for it as it is spelled: a misspelt
query that many make is not repeated to others.

Cost: about 15 microseconds a title, 1 ms a query. Not for: matching what is typed (`completion`).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodega.schema import ItemTable, Texts
from bodega.understanding import language
from bodega.understanding.query.habits import Asked

KINDS = ("query", "category", "brand", "title")
LONGEST = 80
"""Longer titles are cut at a word: nobody reads a suggestion of two lines."""
MOST_QUERIES = 50_000
MOST_WORDS = 24
"""Words of a text that can be found by typing."""
PROOFS = 20
"""Items kept as evidence of a query."""
HAN_RUN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]{2,}")

Finds = Callable[[str], NDArray[np.int32]]
"""Query -> the best items it finds as it is spelled; empty where it finds nothing or is corrected."""


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Suggestions, best first. Entry e has the items `items[item_starts[e]:item_starts[e+1]]` as evidence, best first,
    and the words `words[word_starts[e]:word_starts[e+1]]` (rows of `vocabulary`, sorted) in the order of its text."""

    texts: Texts
    kind: NDArray[np.int8]
    weight: NDArray[np.float32]
    """Logarithm of how popular it is."""
    item_starts: NDArray[np.int64]
    items: NDArray[np.int32]
    word_starts: NDArray[np.int64]
    words: NDArray[np.int32]
    vocabulary: Texts

    def __len__(self) -> int:
        return len(self.kind)


def popularity(item: NDArray[np.int32], n_items: int) -> NDArray[np.float32]:
    """log(1 + how often each item occurs in the log): (n_items,)."""
    return np.log1p(np.bincount(item[item >= 0], minlength=n_items)[:n_items]).astype(np.float32)


def entries(table: ItemTable, seen: NDArray[np.float32], queries: Sequence[Asked], finds: Finds | None) -> Entries:
    """All that may be suggested of a catalog; `seen` is the popularity of its items."""
    order = np.lexsort((np.diff(table.titles.offsets), ~table.available, -seen)).astype(np.int32)
    parts = [_queries(queries, finds)] if finds is not None else []
    parts += [_column(table, "category", order), _column(table, "brand", order), _titles(table, seen, order)]
    return _indexed(entry for part in parts for entry in part)


_Entry = tuple[str, str, float, Sequence[int]]
"""(text, kind, weight, evidence)."""


def _queries(queries: Sequence[Asked], finds: Finds | None) -> Iterator[_Entry]:
    assert finds is not None
    for query in queries[:MOST_QUERIES]:
        found = finds(query.text)
        if len(found):
            yield query.text, "query", float(np.log1p(query.people)), found[:PROOFS].tolist()


def _column(table: ItemTable, field: str, order: NDArray[np.int32]) -> Iterator[_Entry]:
    """The values of a coded field by how many items carry them; a path by its last part."""
    column = table.coded.get(field)
    if column is None:
        return
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    by_code = np.lexsort((place[column.owner], column.codes))
    owner = column.owner[by_code]
    ends = np.searchsorted(column.codes[by_code], np.arange(len(column.vocabulary) + 1))
    counts = np.diff(ends)
    names = list(column.vocabulary)
    for code in np.argsort(-counts, kind="stable").tolist():
        if counts[code]:
            name = names[code].rpartition(" > ")[2]
            yield name, field, float(np.log1p(counts[code])), owner[ends[code] : ends[code + 1]].tolist()


def _titles(table: ItemTable, seen: NDArray[np.float32], order: NDArray[np.int32]) -> Iterator[_Entry]:
    """Titles; of equal popularity the available and shorter ones come first: they are the more general ones."""
    for row in order.tolist():
        yield shortened(table.titles[row]), "title", float(seen[row]), (row,)


def _indexed(rows: Iterable[_Entry]) -> Entries:
    """Entries without repeats (a text that two kinds share is listed once, by the better kind) and their words."""
    texts: list[str] = []
    kinds, weights = array("b"), array("f")
    number: dict[str, int] = {}
    once: dict[tuple[int, ...], int] = {}
    held: list[array[int]] = []
    words, word_ends = array("i"), array("q", [0])
    for text, kind, weight, proof in rows:
        said = [number.setdefault(word, len(number)) for word in spoken(text)]
        if not said:
            continue
        entry = once.setdefault(tuple(said), len(texts))
        code = KINDS.index(kind)
        if entry < len(texts):
            if kinds[entry] == code:
                held[entry].extend(proof)
            continue
        texts.append(text)
        kinds.append(code)
        weights.append(weight)
        held.append(array("i", proof))
        words.extend(said)
        word_ends.append(len(words))
    names = sorted(number)
    place = np.empty(len(number), np.int32)
    place[np.fromiter((number[name] for name in names), np.int64, len(names))] = np.arange(len(names), dtype=np.int32)
    item_starts = np.zeros(len(held) + 1, np.int64)
    np.cumsum([len(proof) for proof in held], out=item_starts[1:])
    return Entries(
        texts=Texts.of(texts),
        kind=np.array(kinds, np.int8),
        weight=np.array(weights, np.float32),
        item_starts=item_starts,
        items=np.concatenate([np.empty(0, np.int32), *(np.frombuffer(proof, np.int32) for proof in held)]),
        word_starts=np.array(word_ends, np.int64),
        words=place[np.array(words, np.int64)],
        vocabulary=Texts.of(names),
    )


def spoken(text: str) -> list[str]:
    """The words by which a text is found while typing, in its order, without repeats: parts, compounds, and Chinese
    runs as a whole (so that their first characters are a beginning)."""
    found = [word for whole, parts in language.chunks(text) for word in (whole, *parts) if word]
    if not text.isascii():
        found += HAN_RUN.findall(language.fold(text))
    return list(dict.fromkeys(found))[:MOST_WORDS]


def shortened(title: str) -> str:
    """The title, cut at a word where it is longer than `LONGEST` characters."""
    title = " ".join(title[: 4 * LONGEST].split())
    if len(title) <= LONGEST:
        return title
    return title[:LONGEST].rsplit(" ", 1)[0].rstrip(" ,-/")
