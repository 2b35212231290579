"""What is chosen after which words since the snapshot, and what do many people ask? `retrieval.asked`, going on.

A past query is its words in any order; what it led to is added to what the snapshot knew of the same words. The share
of an item is that of a fit over both; what is left out is how rare a word has become (its weight stays the snapshot's,
a word that is new weighs as much as its rarest).
A query that at least `people` different persons asked since the snapshot may be suggested to others: nobody's own words
are shown to anybody before. Persons are counted by a hash, and no longer than until there are enough of them.
Cost: a few microseconds an event with a query; a request reads the postings of its words. Memory: `QUERIES` different
queries, then only known ones are counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from bodega.engine.live.votes import ONE
from bodega.retrieval.asked import Asked
from bodega.schema.arrays import Doubles, Floats, Ints

QUERIES = 20_000
"""Different queries that are counted."""

Key = tuple[str, ...]
"""The words of a query, sorted."""


class Words:
    """Queries since the snapshot."""

    def __init__(self, asked: Asked | None, people: int) -> None:
        self.asked = asked
        self.people = people
        self.led: dict[Key, Counter[int]] = {}
        """{words: {live number of an item: interest in 2^-20}}"""
        self._holds: dict[str, dict[Key, None]] = {}
        """{word: the queries that hold it}"""
        self._who: dict[str, set[int]] = {}
        """{text: hashes of who asked}, while they are fewer than `people`"""
        self._many: dict[str, int] = {}
        """{text: times asked} of those that enough people asked"""
        self._terms: dict[str, Key] = {}

    def __bool__(self) -> bool:
        return bool(self.led)

    def key(self, query: str) -> Key:
        """The words of a query; () where nothing is learned from queries."""
        if self.asked is None or not query:
            return ()
        found = self._terms.get(query)
        if found is None:
            if len(self._terms) >= QUERIES:
                self._terms.clear()
            found = self._terms[query] = self.asked.key(query)
        return found

    def add(self, key: Key, item: int, interest: int) -> None:
        """Interest in an item after these words (negative: taken back)."""
        held = self.led.get(key)
        if held is None:
            if len(self.led) >= QUERIES:
                return
            held = self.led[key] = Counter()
            for word in key:
                self._holds.setdefault(word, {})[key] = None
        held[item] += interest
        if not held[item]:
            self._drop(key, item)

    def _drop(self, key: Key, item: int) -> None:
        """Nothing is left of this pair: keep no trace of who asked it."""
        held = self.led[key]
        del held[item]
        if not held:
            del self.led[key]
            for word in key:
                self._holds[word].pop(key, None)
                if not self._holds[word]:
                    del self._holds[word]

    def forget(self, person: str) -> None:
        """Do not count this person among those who asked; a query nobody else asked is gone."""
        known = _hash(person)
        for text in [text for text, who in self._who.items() if known in who]:
            self._who[text].discard(known)
            if not self._who[text]:
                del self._who[text]

    def ask(self, query: str, person: str) -> None:
        """Somebody searched for this."""
        text = " ".join(query.split()).casefold()[:100]
        if not text:
            return
        if text in self._many:
            self._many[text] += 1
            return
        who = self._who.get(text)
        if who is None:
            if len(self._who) >= QUERIES:
                return
            who = self._who[text] = set()
        who.add(_hash(person))
        if len(who) >= self.people:
            self._many[text] = len(who)
            del self._who[text]

    def popular(self, beginning: str) -> Iterator[tuple[str, int]]:
        """(query, times) of what enough people asked since the snapshot and begins like this, the most asked first;
        only what led somebody to an item."""
        typed = " ".join(beginning.split()).casefold()
        if not typed:
            return
        begun = ((text, times) for text, times in self._many.items() if text.startswith(typed))
        found = [(text, times) for text, times in begun if self.key(text) in self.led]
        yield from sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def near(self, query: str) -> list[tuple[Key, float]]:
        """Queries since the snapshot that share words with this one, with their cosines, the nearest first."""
        assert self.asked is not None
        words = self.key(query)
        counted: defaultdict[Key, float] = defaultdict(float)
        weight = dict(zip(words, self.asked.rarity(words), strict=True))
        for word in words:
            for key in self._holds.get(word, ()):
                counted[key] += weight[word] ** 2
        length = float(np.sqrt(sum(own * own for own in weight.values())))
        found = []
        for key, product in counted.items():
            other = float(np.sqrt(sum(own * own for own in self.asked.rarity(key))))
            found.append((key, product / (length * other)))
        found.sort(key=lambda pair: (-pair[1], pair[0]))
        return found[: self.asked.options.nearest]

    def found(self, query: str) -> tuple[Ints, Floats]:
        """(items ascending, score) of everything that near queries led to, before the snapshot and since."""
        assert self.asked is not None
        items, worth = [np.empty(0, np.int32)], [np.empty(0)]
        for row, nearness in self.asked.near(query):
            key = self.asked.words_of(row)
            self._listen(key, nearness, self.asked.counts(row), (items, worth))
        for key, nearness in self.near(query):
            if not self.asked.knows(key):
                self._listen(key, nearness, (np.empty(0, np.int32), np.empty(0)), (items, worth))
        held, place = np.unique(np.concatenate(items), return_inverse=True)
        score = np.bincount(place, weights=np.concatenate(worth)) if len(held) else np.empty(0)
        return held.astype(np.int32), score.astype(np.float32)

    def _listen(
        self, key: Key, nearness: float, before: tuple[Ints, Doubles], out: tuple[list[Ints], list[Doubles]]
    ) -> None:
        """What one past query led to, by the shares of a fit over both."""
        assert self.asked is not None
        items, count = before
        since = self.led.get(key)
        if since:
            new = np.fromiter(since.keys(), np.int32, len(since))
            counted = np.fromiter(since.values(), np.int64, len(since)) / ONE
            items, count = np.concatenate([items, new]), np.concatenate([count, counted])
        total = float(count.sum()) + self.asked.options.damping
        out[0].append(items)
        out[1].append(count / total * nearness**self.asked.options.sharp)


def _hash(person: str) -> int:
    return int.from_bytes(blake2b(person.encode("utf-8", "replace"), digest_size=8).digest())
