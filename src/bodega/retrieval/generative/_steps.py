"""What did the shopper do, one thing after the other? Items wanted and words searched, as one row of integers.

A step is an item (its index) or a search (n_items + its number among the *known bags*: sets of words that enough people
have searched). Both stand in the order of time; a search that led to a click carries its query on the click as well
and counts once. A shop without searches has rows of items only, and nothing else changes.
Known words and queries are those of at least `people` different shoppers: a model must not remember what one person
typed. Cost: one sort of the log. Not for: vectors of steps (`_network`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from bodega.retrieval._index import strength
from bodega.retrieval._neural.sequences import Sequences, collapsed
from bodega.schema import EVENT_CODES, Context, Log, World
from bodega.schema.arrays import Codes, Doubles, Ints
from bodega.understanding import language

LONGEST = 80
"""Characters of a query that are read."""
WORDS_READ = 8
"""Words of a query that are read."""
MOST_WORDS = 8_192
MOST_QUERIES = 4_096

SEARCH = EVENT_CODES["search"]
VIEW = EVENT_CODES["view"]


class _Held(msgspec.Struct):
    words: tuple[str, ...]
    queries: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Language:
    """What is known of searches: `words` (row = word id), `queries` as they are typed most (row = query id)."""

    words: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()

    @classmethod
    def of(cls, log: Log, people: int) -> Language:
        """The words and queries that at least `people` different shoppers searched, the most searched first."""
        asked = np.flatnonzero(log.query >= 0)
        pairs = np.unique(np.stack([log.query[asked], log.user[asked]], axis=1), axis=0) if len(asked) else None
        if pairs is None:
            return cls()
        by_word: dict[str, set[int]] = {}
        by_key: dict[str, set[int]] = {}
        typed: dict[str, Counter[str]] = {}
        times = np.bincount(log.query[asked], minlength=len(log.queries))
        read = [words_of(query) for query in log.queries]
        for query, user in pairs.tolist():
            for word in read[query]:
                by_word.setdefault(word, set()).add(user)
            text = log.queries[query].strip()
            if read[query] and len(text) <= LONGEST:
                by_key.setdefault(" ".join(read[query]), set()).add(user)
        for text, words, count in zip(log.queries, read, times.tolist(), strict=True):
            typed.setdefault(" ".join(words), Counter())[text.strip()] += count
        keys = _most(by_key, people, MOST_QUERIES)
        shown = (min(typed[key].items(), key=lambda pair: (-pair[1], pair[0]))[0] for key in keys)
        return cls(tuple(_most(by_word, people, MOST_WORDS)), tuple(shown))

    def bag(self, query: str) -> tuple[int, ...]:
        """The ids of the known words of a query, in order; empty where it says nothing that is known."""
        ids = self.ids
        return tuple(ids[word] for word in words_of(query) if word in ids)[:WORDS_READ]

    @cached_property
    def ids(self) -> dict[str, int]:
        """{word: its id}."""
        return {word: row for row, word in enumerate(self.words)}

    @cached_property
    def known(self) -> dict[str, int]:
        """{what the spellings of one query share: its number}."""
        return {" ".join(words_of(text)): row for row, text in enumerate(self.queries)}

    @cached_property
    def bags(self) -> Ints:
        """The known queries as word ids: (n_queries, WORDS_READ), -1 padded."""
        return padded([self.bag(text) for text in self.queries])

    def save(self, folder: Path) -> None:
        (folder / "language.json").write_bytes(msgspec.json.encode(_Held(self.words, self.queries), order="sorted"))

    @classmethod
    def load(cls, folder: Path) -> Language:
        held = msgspec.json.decode((folder / "language.json").read_bytes(), type=_Held)
        return cls(held.words, held.queries)


def words_of(query: str) -> tuple[str, ...]:
    """The words of a query as its key holds them."""
    return tuple(language.words(query[:LONGEST]))


@dataclass(frozen=True, eq=False)
class Steps:
    """All shoppers' rows (`rows.items` holds steps), and the words of the searches among them."""

    rows: Sequences
    bags: Ints
    """(n_bags, WORDS_READ) word ids, -1 padded; step n_items + b is bag b."""
    query: Ints
    """(n_bags,): the known query that bag is, -1 where it is none."""

    @classmethod
    def of(cls, world: World, spoken: Language, *, seed: int) -> Steps:
        """Every shopper's interest and searches, in order of time; what happened at one moment has a drawn order."""
        log, n_items = world.log, len(world.items)
        if not spoken.words:
            none = np.empty((0, WORDS_READ), np.int32)
            return cls(Sequences.of(log, seed=seed), none, np.empty(0, np.int32))
        bag_of, bags, query = _bags(log, spoken)
        liked = (log.item >= 0) & (strength(log.type) > 0)
        liked &= (log.type != EVENT_CODES["rating"]) | (log.value >= 3.0)
        searched = (log.query >= 0) & (bag_of[log.query] >= 0)
        wanted, asked = np.flatnonzero(liked), np.flatnonzero(searched)
        rows = np.concatenate([asked, wanted])
        step = np.concatenate([n_items + bag_of[log.query[asked]], log.item[wanted]]).astype(np.int32)
        action = np.concatenate([np.full(len(asked), SEARCH, np.int8), log.type[wanted]])
        is_item = np.arange(len(rows)) >= len(asked)
        tie = np.random.default_rng(seed).permutation(len(rows))
        order = np.lexsort((tie, is_item, log.time[rows], log.user[rows]))
        user, step, time, action = log.user[rows][order], step[order], log.time[rows][order], action[order]
        keep = _distinct(user, step, time, n_items)
        user, step, time, action = user[keep], step[keep], time[keep], action[keep]
        first = np.flatnonzero(np.append(True, user[1:] != user[:-1])) if len(user) else np.empty(0, np.int64)
        starts = np.append(first, len(user)).astype(np.int64)
        return cls(Sequences(starts, step, action, time, user[first]), bags, query)


def _distinct(user: Ints, step: Ints, time: np.ndarray, n_items: int) -> np.ndarray:
    """Which steps count: an item seen again at once is one wish, and a search is not told again by its clicks."""
    is_search = step >= n_items
    keep = collapsed(step, time) | is_search
    keep[:-1] |= user[1:] != user[:-1]
    place = np.arange(len(step))
    last = np.maximum.accumulate(np.where(is_search, place, -1))
    before = np.concatenate([[-1], last[:-1]])
    told = is_search & (before >= 0)
    told[told] = (step[before[told]] == step[told]) & (user[before[told]] == user[told])
    told[told] = (time[told] - time[before[told]]) < 3_600.0
    return keep & ~told


def _bags(log: Log, spoken: Language) -> tuple[Ints, Ints, Ints]:
    """(bag of each query of the log or -1, the bags, the known query of each bag or -1)."""
    number: dict[str, int] = {}
    bags: list[tuple[int, ...]] = []
    query: list[int] = []
    bag_of = np.full(len(log.queries), -1, np.int32)
    for row, text in enumerate(log.queries):
        bag, key = spoken.bag(text), " ".join(words_of(text))
        if bag and key not in number:
            number[key] = len(bags)
            bags.append(bag)
            query.append(spoken.known.get(key, -1))
        bag_of[row] = number.get(key, -1)
    return bag_of, padded(bags), np.array(query, np.int32)


def padded(bags: Sequence[tuple[int, ...]]) -> Ints:
    """(n_bags, WORDS_READ) int32, -1 after the last word."""
    out = np.full((len(bags), WORDS_READ), -1, np.int32)
    for row, bag in enumerate(bags):
        out[row, : len(bag)] = bag
    return out


@dataclass(frozen=True, eq=False)
class Read:
    """One request as steps, oldest first: `items` (-1 where the step is a search) and `actions`, (n_steps,)."""

    items: Ints
    actions: Codes
    bags: tuple[tuple[int, tuple[int, ...]], ...]
    """(place among the steps, word ids) of each search."""

    def __len__(self) -> int:
        return len(self.items)


def read(context: Context, spoken: Language, length: int) -> Read:
    """The newest `length` steps of a request: history and searches by time, then its anchors, then its query."""
    items, actions = context.history, context.actions
    times: Doubles = context.times
    if len(times) != len(items) or len(actions) != len(items):  # a caller that knows no times: all are apart
        times, actions = (
            np.arange(len(items), dtype=np.float64) * 7_200,
            np.full(len(items), EVENT_CODES["purchase"], np.int8),
        )
    newest = slice(max(0, len(items) - 4 * length), None)  # nobody reads 10,000 steps to keep 50
    items, times, actions = items[newest], times[newest], actions[newest]
    keep = collapsed(items, times)
    items, times, actions = items[keep], times[keep], actions[keep]
    said = [(time, bag) for time, text in context.searches if (bag := spoken.bag(text))]
    order = np.argsort(np.concatenate([times, [time for time, _ in said]]), kind="stable")
    anchors = np.unique(context.items)
    asked = spoken.bag(context.query) if context.query else ()
    row = np.concatenate([items, np.full(len(said), -1, np.int32)])[order]
    kind = np.concatenate([actions, np.full(len(said), SEARCH, np.int8)])[order]
    row = np.concatenate([row, anchors, [-1] if asked else []]).astype(np.int32)
    kind = np.concatenate([kind, np.full(len(anchors), VIEW), [SEARCH] if asked else []]).astype(np.int8)
    bags = {int(np.flatnonzero(order == len(items) + number)[0]): bag for number, (_, bag) in enumerate(said)}
    if asked:
        bags[len(row) - 1] = asked
    first = max(0, len(row) - length)
    return Read(row[first:], kind[first:], tuple((at - first, bag) for at, bag in sorted(bags.items()) if at >= first))


def _most(people: dict[str, set[int]], least: int, most: int) -> list[str]:
    """The entries that enough people made, those of most people first."""
    kept = [(name, len(who)) for name, who in people.items() if len(who) >= least]
    return [name for name, _ in sorted(kept, key=lambda pair: (-pair[1], pair[0]))[:most]]
