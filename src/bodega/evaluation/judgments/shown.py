"""What was shown, and what was clicked: pages of results as columns, from a log of impressions and clicks.

A page is what one shopper saw for one query within a visit; an item's place in it is the impression's. Repeated
impressions of one item on one page count once. Clicks without an impression are left out: nobody knows what they stood
beside. Cost: a sort of the log. Not for: bots (`events.bots` took them out before).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodega.schema import EVENT_CODES, Log
from bodega.schema.arrays import Doubles, Flags, Ints, Longs

DEEPEST = 50
"""Places below this are not looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """n things shown, ordered by page and place. All arrays (n,)."""

    page: Longs
    query: Ints
    item: Ints
    place: Ints
    """0-based."""
    clicked: Flags

    def __len__(self) -> int:
        return len(self.page)

    @property
    def pair(self) -> tuple[Longs, Longs]:
        """(distinct query-item pairs as query * 2^32 + item, the pair of each thing shown)."""
        keys = self.query.astype(np.int64) << 32 | self.item.astype(np.int64)
        pairs, row = np.unique(keys, return_inverse=True)
        return pairs, row.astype(np.int64)

    @property
    def last_click(self) -> Ints:
        """(n,) the place of the last click on the page of each, -1 where nothing was clicked."""
        pages, row = np.unique(self.page, return_inverse=True)
        last = np.full(len(pages), -1, np.int32)
        np.maximum.at(last, row[self.clicked], self.place[self.clicked])
        return last[row]


def shown_in(log: Log, *, searches: bool = True) -> Shown:
    """Pages of the log: those of searches, or (with `searches` False) of all lists, whose query is -1."""
    wanted = (log.item >= 0) & ((log.query >= 0) == searches)
    seen = wanted & (log.type == EVENT_CODES["impression"]) & (log.position >= 0) & (log.position < DEEPEST)
    rows = np.flatnonzero(seen)
    whole = _key(log, rows)
    _, first = np.unique(whole, return_index=True, axis=0)
    rows = rows[first]
    clicks = np.flatnonzero(wanted & (log.type == EVENT_CODES["click"]))
    clicked = _among(_key(log, rows), _key(log, clicks))
    pages = np.unique(_key(log, rows)[:, :2], axis=0, return_inverse=True)[1].reshape(-1)
    order = np.lexsort((log.position[rows], pages))
    kept = rows[order]
    return Shown(pages[order].astype(np.int64), log.query[kept], log.item[kept], log.position[kept], clicked[order])


def _key(log: Log, rows: Longs) -> Longs:
    """(session, query, item) of each row."""
    return np.column_stack([log.session[rows], log.query[rows], log.item[rows]]).astype(np.int64)


def _among(keys: Longs, others: Longs) -> Flags:
    """Which rows of `keys` are rows of `others`?"""
    both, row = np.unique(np.concatenate([keys, others]), axis=0, return_inverse=True)
    there = np.zeros(len(both), np.bool_)
    row = row.reshape(-1)
    there[row[len(keys) :]] = True
    return np.asarray(there[row[: len(keys)]])


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What clicks say of query-item pairs. All arrays (m,)."""

    query: Ints
    item: Ints
    relevance: Doubles
    """0 to 1: the chance that who looks at it for this query wants it."""
    evidence: Doubles
    """How many looks that rests on."""

    def grades(self, levels: int = 4) -> Ints:
        """(m,) 0 to levels - 1, in even steps of relevance up to the best of the log."""
        best = float(self.relevance.max(initial=0.0))
        if best == 0:
            return np.zeros(len(self.relevance), np.int32)
        return np.minimum(levels * self.relevance / best, levels - 1).astype(np.int32)
