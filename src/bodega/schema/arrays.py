"""The arrays the engine computes with: one struct of arrays a thing, no lists of dicts in the hot path.

`ItemTable` is the catalog as columns, `Log` the events as columns, `World` both: all that a source may learn from.
`Context` is one request with every id resolved to an index; `Candidates` is what flows through every stage.
An *item index* (int32) is a row of the snapshot's `ItemTable`; ids are only looked up at the border.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bodega.schema.nouns import Meaning
from bodega.schema.reviews import Ratings
from bodega.schema.table import ItemTable

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]

NO_INTS: Ints = np.empty(0, np.int32)
NO_FLOATS: Floats = np.empty(0, np.float32)
NO_DOUBLES: Doubles = np.empty(0, np.float64)
NO_CODES: Codes = np.empty(0, np.int8)


@dataclass(frozen=True, slots=True)
class Log:
    """Events as columns, sorted by (time, event id). All arrays have shape (n_events,).

    `item` is -1 where the item is not in the table (events of unknown items are kept, and linked when the item
    arrives). `user` codes a person; a guest is coded by the session. `session` codes one visit or basket.
    """

    time: Doubles
    """Seconds since 1970 UTC."""
    type: Codes
    """Code of the event type, see `schema.EVENT_CODES`."""
    user: Ints
    session: Ints
    item: Ints
    quantity: Floats
    value: Floats
    """Stars of a rating; NaN elsewhere."""
    query: Ints
    """Row of `queries`; -1 without a query."""
    position: Ints
    """0-based place in the list where it happened; -1 unknown."""
    n_users: int
    n_sessions: int
    queries: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.time)

    def where(self, keep: Flags) -> Log:
        """The events where `keep` (bool, (n_events,)) holds; codes and order stay."""
        columns = ("time", "type", "user", "session", "item", "quantity", "value", "query", "position")
        return replace(self, **{name: getattr(self, name)[keep] for name in columns})

    def before(self, time: float) -> Log:
        """The events strictly before `time`: what was known then."""
        return self.where(self.time < time)


@dataclass(frozen=True, slots=True)
class World:
    """All that a source may learn from: the catalog, and the log up to (not including) `until`."""

    items: ItemTable
    log: Log
    until: float
    """Seconds since 1970 UTC; "now" for everything that decays."""
    ratings: Ratings | None = None
    """What reviews say of the items, each as of its own time; None in a shop without any."""


@dataclass(frozen=True, slots=True)
class Newer:
    """What a request and its shopper have to do with items that came after the snapshot: rows of the shelf, which no
    source of the snapshot knows. Shapes as in `Context`."""

    history: Ints = field(default_factory=lambda: NO_INTS)
    times: Doubles = field(default_factory=lambda: NO_DOUBLES)
    actions: Codes = field(default_factory=lambda: NO_CODES)
    items: Ints = field(default_factory=lambda: NO_INTS)
    """The anchors among them."""
    disliked: Ints = field(default_factory=lambda: NO_INTS)


@dataclass(frozen=True, slots=True)
class Context:
    """One request, resolved: what a source sees. Unknown items are already gone; everything may be empty.

    `history` holds what the shopper showed interest in (see `schema.ACTIVE`), oldest first, repeats included,
    with `times` (seconds) and `actions` (event codes) of the same shape. `items` are the anchors (the product
    on the page, the basket). `disliked` are items the shopper dismissed or returned.
    """

    place: str = "home"
    now: float = 0.0
    history: Ints = field(default_factory=lambda: NO_INTS)
    times: Doubles = field(default_factory=lambda: NO_DOUBLES)
    actions: Codes = field(default_factory=lambda: NO_CODES)
    items: Ints = field(default_factory=lambda: NO_INTS)
    disliked: Ints = field(default_factory=lambda: NO_INTS)
    shown: Ints = field(default_factory=lambda: NO_INTS)
    """What the shopper was lately shown and showed no interest in since, oldest first, repeats included."""
    shown_times: Doubles = field(default_factory=lambda: NO_DOUBLES)
    """When (seconds), in the shape of `shown`."""
    query: str = ""
    """What to search: the words that are left when the query was understood, spelling corrected."""
    language: str = ""
    searches: tuple[tuple[float, str], ...] = ()
    """What the shopper searched before this request, oldest first: (seconds, words as typed)."""
    meanings: tuple[Meaning, ...] = ()
    """What else the query says (prices, brands, categories, exclusions), and how sure that is."""
    like: tuple[str, ...] = ()
    """Texts that stand for items which the models do not know yet, the newest last: what reads like them is meant."""
    alternatives: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Synonyms: (words of `query`, other ways to say them), words folded."""
    traits: tuple[str, ...] = ()
    """What kind of query it is (see `ranking.per_query`): decides how much meaning may count beside words."""
    picture: Floats = field(default_factory=lambda: NO_FLOATS)
    """What the photo of the request shows: its vector by the shop's image encoder, (d,); empty without a photo."""
    newer: Newer | None = None
    """Items that came after the snapshot; None where the request has nothing to do with any."""

    @property
    def seeds(self) -> Ints:
        """What item-to-item sources start from, oldest first: the anchors where there are any, else the history."""
        return self.items if len(self.items) else self.history


@dataclass(slots=True)
class Candidates:
    """n items with one score column a source: the struct of arrays that flows through every stage.

    `items` (n,) int32 without repeats; `scores` (n, n_sources) float32, NaN where a source does not know the item;
    `score` (n,) float32 is the order so far, higher is better; `sources` names the columns.
    """

    items: Ints
    scores: Floats
    score: Floats
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def of(cls, source: str, items: Ints, score: Floats) -> Candidates:
        """What one source returns: its items, best first."""
        return cls(items, score.reshape(-1, 1), score, (source,))

    @classmethod
    def none(cls, source: str) -> Candidates:
        empty = np.empty(0, np.float32)
        return cls.of(source, NO_INTS, empty)

    def take(self, rows: NDArray[np.integer] | Flags) -> Candidates:
        """The rows in this order (indices) or where true (flags)."""
        return Candidates(self.items[rows], self.scores[rows], self.score[rows], self.sources)

    def column(self, source: str) -> Floats:
        """One source's scores, shape (n,)."""
        return self.scores[:, self.sources.index(source)]
