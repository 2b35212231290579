"""What did people choose who asked something like this? Past queries near the present one, and what was clicked.

Every query that led to a click, cart or purchase is kept as the tf-idf vector of its words. A new query finds the past
ones that share its words (cosine, sharpened), and what they led to is added up: an item counts by how sure the crowd
was (the share of that query's interest), damped so that one click is weak evidence. A query that was asked before finds
itself, whatever its words' order.
Cost: fit one pass over the log; a request touches the postings of its words and 50 past queries (.1 to .3 ms).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from scipy import sparse

from bodega.retrieval._index import interest, load_facts, save_arrays, save_facts, strength, top_k
from bodega.schema import Candidates, Context, ItemTable, Log, Texts, World
from bodega.schema.arrays import NO_INTS, Doubles, Floats, Ints, Longs
from bodega.schema.table import mapped
from bodega.understanding import language


class AskedOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The few numbers."""

    nearest: int = 50
    """Past queries that are listened to."""
    sharp: float = 3.0
    """Power of the cosine: a query that shares half of the words counts an eighth of one that shares all."""
    damping: float = 3.0
    """Events that a past query needs before its shares are believed by half."""
    longest: int = 12
    """Words of a query that are looked at."""


class Asked:
    """Clicks of past queries, carried over to queries like them.

    Answers: search. Needs: a log whose events name the query that led to them. Good for: queries that were asked
    before, in these words or others that share most of them; items whose title lacks the words people use.
    Not for: a shop without a search log (it stays silent), new items. Cost: see above; 12 bytes a (query, item) pair.
    Relations: `retrieve` gives the k best of `score`, which is NaN for items nobody chose after such a query.
    Paper: Craswell & Szummer 2007 (random walks on the click graph, of which this is one step).
    """

    name = "asked"

    def __init__(self, options: AskedOptions | None = None) -> None:
        self.options = options or AskedOptions()
        self._terms: Texts = Texts.of(())
        self._row: dict[str, int] = {}
        self._idf = np.empty(0, np.float32)
        self._starts: Longs = np.zeros(1, np.int64)
        """Postings: term t stands in the queries `_queries[_starts[t]:_starts[t + 1]]`, with the weight there."""
        self._queries: Ints = NO_INTS
        self._weight = np.empty(0, np.float32)
        self._led: Longs = np.zeros(1, np.int64)
        """Query q led to the items `_items[_led[q]:_led[q + 1]]`, each with its share."""
        self._items: Ints = NO_INTS
        self._share = np.empty(0, np.float32)
        self._last: tuple[str, Ints, Floats] = ("", NO_INTS, np.empty(0, np.float32))

    def fit(self, world: World) -> Self:
        log = interest(world.log)
        asked = log.where(log.query >= 0)
        keys, led = _pairs(asked, self.options)
        self._terms, self._idf, postings = _postings(keys)
        self._starts, self._queries = postings.indptr.astype(np.int64), postings.indices.astype(np.int32)
        self._weight = postings.data.astype(np.float32)
        self._led, self._items = led.indptr.astype(np.int64), led.indices.astype(np.int32)
        total = np.asarray(led.sum(axis=1)).ravel()
        self._share = (led.data / np.repeat(total + self.options.damping, np.diff(led.indptr))).astype(np.float32)
        self._settle()
        return self

    def retrieve(self, context: Context, k: int) -> Candidates:
        """The k items most chosen after queries like this one."""
        items, score = self._found(context.query)
        best = top_k(score, k)
        return Candidates.of(self.name, items[best], score[best])

    def score(self, context: Context, items: Ints) -> Floats:
        """How much the given items were chosen after queries like this one; NaN where never."""
        held, score = self._found(context.query)
        out = np.full(len(items), np.nan, np.float32)
        if len(held):
            at = np.minimum(np.searchsorted(held, items), len(held) - 1)
            same = held[at] == items
            out[same] = score[at[same]]
        return out

    # What is counted on from here, between two learns (`engine.live`).

    def key(self, query: str) -> tuple[str, ...]:
        """The words by which a query is known, in any order; () without any."""
        return tuple(sorted(_terms_of(query, self.options.longest)))

    def rarity(self, words: Sequence[str]) -> list[float]:
        """How much each word weighs; one that no past query holds as much as the rarest."""
        rarest = float(self._idf.max(initial=1))
        return [float(self._idf[row]) if (row := self._row.get(word)) is not None else rarest for word in words]

    def near(self, query: str) -> list[tuple[int, float]]:
        """(row, cosine) of the nearest past queries."""
        rows, nearness = self._near(query)
        return list(zip(rows.tolist(), nearness.tolist(), strict=True))

    def words_of(self, row: int) -> tuple[str, ...]:
        """The words of a past query."""
        return self._keys[row]

    def knows(self, key: tuple[str, ...]) -> bool:
        """Is this the key of a past query?"""
        return key in self._known

    def counts(self, row: int) -> tuple[Ints, Doubles]:
        """(items, interest) that a past query led to: its shares, undamped."""
        here = slice(int(self._led[row]), int(self._led[row + 1]))
        share = self._share[here].astype(np.float64)
        sure = min(float(share.sum()), 1 - 1e-9)
        return self._items[here], share * (self.options.damping / (1 - sure))

    @cached_property
    def _keys(self) -> list[tuple[str, ...]]:
        """The words of every past query: the postings turned round."""
        found: list[list[str]] = [[] for _ in range(len(self._led) - 1)]
        for row, term in enumerate(self._terms):
            for query in self._queries[int(self._starts[row]) : int(self._starts[row + 1])].tolist():
                found[query].append(term)
        return [tuple(sorted(words)) for words in found]

    @cached_property
    def _known(self) -> frozenset[tuple[str, ...]]:
        return frozenset(self._keys)

    def save(self, folder: Path) -> None:
        save_arrays(
            folder,
            {
                "terms.blob": self._terms.blob,
                "terms.offsets": self._terms.offsets,
                "idf": self._idf,
                "starts": self._starts,
                "queries": self._queries,
                "weight": self._weight,
                "led": self._led,
                "items": self._items,
                "share": self._share,
            },
        )
        save_facts(folder, self.options)

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        del items
        found = cls(load_facts(folder, AskedOptions))
        found._terms = Texts(mapped(folder / "terms.blob.npy"), mapped(folder / "terms.offsets.npy"))
        found._idf, found._weight = mapped(folder / "idf.npy"), mapped(folder / "weight.npy")
        found._starts, found._queries = mapped(folder / "starts.npy"), mapped(folder / "queries.npy")
        found._led, found._items = mapped(folder / "led.npy"), mapped(folder / "items.npy")
        found._share = mapped(folder / "share.npy")
        found._settle()
        return found

    def _settle(self) -> None:
        self._row = {term: row for row, term in enumerate(self._terms)}
        for held in ("_keys", "_known"):
            self.__dict__.pop(held, None)
        self._last = ("", NO_INTS, np.empty(0, np.float32))

    def _found(self, query: str) -> tuple[Ints, Floats]:
        """(items ascending, score) of everything that near queries led to; the last question is remembered."""
        last = self._last
        if last[0] != query:
            near, nearness = self._near(query)
            last = (query, *self._led_to(near, nearness))
            self._last = last  # one reference swapped at once: threads see the old answer or the new one
        return last[1], last[2]

    def _near(self, query: str) -> tuple[Ints, Floats]:
        """The nearest past queries and their cosines."""
        terms = _terms_of(query, self.options.longest)
        idf = [
            self._idf[row] if (row := self._row.get(term)) is not None else self._idf.max(initial=1) for term in terms
        ]
        length = float(np.sqrt(sum(weight * weight for weight in idf)))
        near = np.zeros(len(self._led) - 1, np.float32)
        for term, weight in zip(terms, idf, strict=True):
            row = self._row.get(term)
            if row is not None:
                here = slice(int(self._starts[row]), int(self._starts[row + 1]))
                near[self._queries[here]] += self._weight[here] * np.float32(weight / length)
        best = top_k(near, self.options.nearest)
        best = best[near[best] > 0]
        return best, near[best]

    def _led_to(self, near: Ints, nearness: Floats) -> tuple[Ints, Floats]:
        if len(near) == 0:
            return NO_INTS, np.empty(0, np.float32)
        spans = [slice(int(self._led[row]), int(self._led[row + 1])) for row in near.tolist()]
        items = np.concatenate([self._items[span] for span in spans])
        power = nearness**self.options.sharp
        worth = np.concatenate([self._share[span] * times for span, times in zip(spans, power.tolist(), strict=True)])
        held, place = np.unique(items, return_inverse=True)
        score = np.bincount(place, weights=worth.astype(np.float64))
        return held.astype(np.int32), score.astype(np.float32)


def _terms_of(query: str, longest: int) -> list[str]:
    return list(dict.fromkeys(language.tokens(query[:500])))[:longest]


def _pairs(log: Log, options: AskedOptions) -> tuple[list[tuple[str, ...]], sparse.csr_matrix]:
    """The distinct queries as sorted words, and how much interest each led to in each item: (queries x items)."""
    key_of: dict[tuple[str, ...], int] = {}
    code = np.full(len(log.queries), -1, np.int64)
    for query in np.unique(log.query).tolist():
        key = tuple(sorted(_terms_of(log.queries[query], options.longest)))
        if key:
            code[query] = key_of.setdefault(key, len(key_of))
    rows = code[log.query]
    keep = rows >= 0
    n_items = int(log.item.max(initial=-1)) + 1
    held = sparse.csr_matrix(
        (strength(log.type[keep]).astype(np.float64), (rows[keep], log.item[keep])), shape=(len(key_of), n_items)
    )
    held.sum_duplicates()
    held.sort_indices()
    return list(key_of), held


def _postings(keys: list[tuple[str, ...]]) -> tuple[Texts, Floats, sparse.csc_matrix]:
    """(terms sorted, idf of each, tf-idf of the queries by term with rows of length 1)."""
    count = Counter(term for key in keys for term in key)
    terms = sorted(count)
    row = {term: number for number, term in enumerate(terms)}
    idf = np.array([np.log(1 + len(keys) / count[term]) for term in terms], np.float32)
    lengths = [float(np.sqrt(sum(float(idf[row[term]]) ** 2 for term in key))) for key in keys]
    values = [float(idf[row[term]]) / lengths[at] for at, key in enumerate(keys) for term in key]
    where = [row[term] for key in keys for term in key]
    of = np.repeat(np.arange(len(keys)), [len(key) for key in keys])
    matrix = sparse.csc_matrix((np.array(values, np.float64), (of, where)), shape=(len(keys), len(terms)))
    matrix.sort_indices()
    return Texts.of(terms), idf, matrix
