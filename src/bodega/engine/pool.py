"""What could be right, and what may be shown? The candidates of a request before anything is ranked.

A pool is a list of shelf rows, best first by a first, coarse score: the matches of the words, the whole shelf by
popularity, or the union of what the place's sources retrieve. Filters, stock, dismissals and the anchors cut it;
where too little is left, popular items fill it and the answer says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bodega.engine import browse
from bodega.engine.places import FALLBACK, Place
from bodega.engine.shelf import GONE, Shelf
from bodega.engine.words import Words
from bodega.protocols import Source
from bodega.schema import Context, Filter, Request
from bodega.schema.arrays import NO_INTS, Flags, Floats, Ints


@dataclass(frozen=True, slots=True)
class Pool:
    """Shelf rows, best first, with the score that `source` gave them ("" where several did)."""

    rows: Ints
    score: Floats
    source: str = ""
    corrected: str = ""
    notes: tuple[str, ...] = ()

    def only(self, keep: Flags) -> Pool:
        """The rows that may be shown, in the same order; `keep` covers the shelf."""
        kept = keep[self.rows]
        return replace(self, rows=self.rows[kept], score=self.score[kept])


@dataclass(frozen=True, slots=True)
class Pooling:
    """What pools are made from."""

    sources: Mapping[str, Source]
    shelf: Shelf
    words: Words
    per_source: int
    """Candidates asked of each source."""

    def pool(self, place: Place, context: Context) -> Pool:
        """Everything that could be right for this context."""
        if context.query:
            return self._matches(context.query)
        if place.whole:
            return self._by_popularity(context, self.shelf.all_rows())
        return self._union(place, context)

    def filled(self, pool: Pool, context: Context, keep: Flags, wanted: int) -> Pool:
        """The pool, topped up to `wanted` rows with popular ones that may be shown."""
        missing = wanted - len(pool.rows)
        if missing <= 0:
            return pool
        spare = keep.copy()
        spare[pool.rows] = False
        more = self._by_popularity(context, np.flatnonzero(spare).astype(np.int32)).rows[:missing]
        if len(more) == 0:
            return pool
        return replace(
            pool,
            rows=np.concatenate([pool.rows, more]),
            score=np.concatenate([pool.score, np.full(len(more), np.nan, np.float32)]),
            notes=(*pool.notes, f"filled: {len(more)} popular items where the sources gave too few"),
        )

    def _union(self, place: Place, context: Context) -> Pool:
        """What any source of the place retrieves; scores are given later, by every source for every row."""
        lists = [self.sources[name].retrieve(context, self.per_source).items for name in place.sources]
        rows = self.shelf.current(np.unique(np.concatenate(lists)))
        rows = rows[rows != GONE]
        return Pool(rows, np.full(len(rows), np.nan, np.float32))

    def _matches(self, query: str) -> Pool:
        rows, score, corrected = self.words.match(query)
        return Pool(rows, score, self.words.name, corrected)

    def _by_popularity(self, context: Context, rows: Ints) -> Pool:
        """The rows by the fallback's score; what it does not know comes last, in the order of the shelf."""
        score = self.scores(FALLBACK, context, rows)
        order = np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")
        return Pool(rows[order], score[order], FALLBACK)

    def scores(self, name: str, context: Context, rows: Ints) -> Floats:
        """One source's score of shelf rows; NaN where it has no opinion."""
        known_as = self.shelf.known_as[rows]
        known = known_as != GONE
        score = np.full(len(rows), np.nan, np.float32)
        score[known] = self.sources[name].score(context, known_as[known])
        return score


def showable(shelf: Shelf, request: Request, place: Place, context: Context, *, seen_too: bool) -> Flags:
    """Which shelf rows this page may show: bool, (len(shelf),)."""
    keep = shelf.is_current if place.sold_out else shelf.is_current & shelf.available
    if request.filters:
        keep = keep & passing(shelf, request.filters)
    hidden = [context.disliked, context.items if place.anchored else NO_INTS]
    if place.fresh and not seen_too:
        hidden.append(context.history)
    shown = shelf.current(np.concatenate(hidden))
    keep = keep.copy()
    keep[shown[shown != GONE]] = False
    return keep


def passing(shelf: Shelf, filters: tuple[Filter, ...]) -> Flags:
    """Which shelf rows pass all filters: bool, (len(shelf),). BadRequest for a field that no item has."""
    browse.check((shelf.base, shelf.delta), [rule.field for rule in filters])
    return np.concatenate([browse.keep(table, filters) for table in (shelf.base, shelf.delta)])
