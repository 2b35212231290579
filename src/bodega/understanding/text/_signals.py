"""What can an encoder learn from in a shop? Pairs (something a shopper might type, an item it should find).

From the catalog: parts of the item's own text, its labels (brand, category, attributes), sentences of its description.
From the log: queries and what people clicked, put into the basket or bought for them, counted by how many people did.
Not for: sampling and training (`training`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bodega.schema import EVENT_CODES, Item, Log, World
from bodega.schema.arrays import Floats
from bodega.understanding.text._bag import Bags, number
from bodega.understanding.text.passages import passage

SENTENCES = 3
"""Sentences of a description that are learned from."""
LONGEST_SENTENCE = 200
STRENGTH = {"click": 1.0, "view": 1.0, "cart": 2.0, "purchase": 3.0}
"""What one person's act says about (query, item); the strongest act of a person counts."""
_SENTENCE = re.compile(r"(?<=[.!?。！？\n;；])\s*")
_STRENGTHS = np.array([STRENGTH.get(name, 0.0) for name in EVENT_CODES], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Clicks:
    """(query, item) pairs: `query` are rows of `texts`, `item` item indices, `weight` summed over people."""

    texts: list[str]
    query: NDArray[np.int64]
    item: NDArray[np.int64]
    weight: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """All that training draws from. `words` are the different words, in order of first sight."""

    words: list[str]
    texts: list[str]
    """The passage of each item."""
    passages: Bags
    """Row i is item i."""
    views: Bags
    """Labels and sentences; `of` says of which item, (n_views,)."""
    of: NDArray[np.int64]
    queries: Bags
    """The queries of `clicks`."""
    clicks: Clicks
    twin: NDArray[np.int64]
    """The first item with the same words, (n_items,): variants and namesakes are no contrast to each other."""

    @property
    def different(self) -> int:
        """How many items differ in words."""
        return int(np.count_nonzero(self.twin == np.arange(len(self.twin))))

    @property
    def count(self) -> NDArray[np.int64]:
        """How many items have each word, and how many times people chose something by it: (n_words,)."""
        chosen = np.bincount(self.clicks.query, self.clicks.weight, len(self.queries))
        typed = np.bincount(self.queries.words, chosen[self.queries.owner], len(self.words))
        return np.bincount(self.passages.words, minlength=len(self.words)) + typed.astype(np.int64)

    @property
    def weight(self) -> Floats:
        """How much each word says by how rare it is, 0 to 1: log(1 + n / count) / log(1 + n), (n_words,)."""
        texts = len(self.passages) + int(self.clicks.weight.sum())
        rare = np.log1p(texts / np.maximum(self.count, 1)) / np.log1p(max(texts, 1))
        return np.asarray(rare, np.float32)


def gather(world: World) -> Signals:
    """Read the catalog and the log once."""
    code: dict[str, int] = {}
    texts: list[str] = []
    views: list[str] = []
    of: list[int] = []
    for row in range(len(world.items)):
        item = world.items.item(row)
        texts.append(passage(item))
        fresh = list(_views(item))
        views += fresh
        of += [row] * len(fresh)
    clicks = clicks_of(world.log)
    passages, others, queries = (number(part, code) for part in (texts, views, clicks.texts))
    return Signals(list(code), texts, passages, others, np.asarray(of, np.int64), queries, clicks, _twins(passages))


def clicks_of(log: Log) -> Clicks:
    """Queries and the items chosen for them; a later act on the same item in the same visit belongs to the query."""
    chose = (log.item >= 0) & (_STRENGTHS[log.type] > 0)
    asked = np.flatnonzero(chose & (log.query >= 0))
    visit = log.session[asked].astype(np.int64) * (int(log.item.max(initial=0)) + 1) + log.item[asked]
    later = log.where(chose)
    key = later.session.astype(np.int64) * (int(log.item.max(initial=0)) + 1) + later.item
    visits, first = np.unique(visit, return_index=True)
    place = np.searchsorted(visits, key)
    known = place < len(visits)
    known[known] = visits[place[known]] == key[known]
    query = np.full(len(later), -1, np.int64)
    query[known] = log.query[asked[first[place[known]]]]
    query = np.where(later.query >= 0, later.query, query)
    keep = query >= 0
    return _counted(query[keep], later.item[keep], later.user[keep], _STRENGTHS[later.type[keep]], log.queries)


def _counted(
    query: NDArray[np.int64], item: NDArray[np.int32], user: NDArray[np.int32], strength: Floats, texts: tuple[str, ...]
) -> Clicks:
    """One row a (query, item): the strongest act of each person, summed over people."""
    order = np.lexsort((-strength, user, item, query))
    query, item, user, strength = query[order], item[order].astype(np.int64), user[order], strength[order]
    new_pair = np.ones(len(order), np.bool_)
    new_pair[1:] = (query[1:] != query[:-1]) | (item[1:] != item[:-1])
    new_person = new_pair.copy()
    new_person[1:] |= user[1:] != user[:-1]
    starts = np.flatnonzero(new_pair)
    weight = np.add.reduceat(np.where(new_person, strength, 0), starts) if len(starts) else np.empty(0)
    kept, rows = np.unique(query[starts], return_inverse=True)
    rows = rows.ravel().astype(np.int64)
    return Clicks([texts[row] for row in kept.tolist()], rows, item[starts].astype(np.int64), weight.astype(np.float32))


def _twins(bags: Bags) -> NDArray[np.int64]:
    first: dict[bytes, int] = {}
    ends = bags.starts.tolist()
    held = (np.sort(bags.words[low:high]).tobytes() for low, high in pairwise(ends))
    return np.fromiter((first.setdefault(words, row) for row, words in enumerate(held)), np.int64, len(bags))


def _views(item: Item) -> Iterator[str]:
    labels = " ".join([item.brand, *item.category, *item.tags])
    if labels.strip():
        yield labels
    sentences = (part.strip() for part in _SENTENCE.split(item.description[:2_000]))
    for _, sentence in zip(range(SENTENCES), (part for part in sentences if len(part) > 10), strict=False):
        yield sentence[:LONGEST_SENTENCE]
