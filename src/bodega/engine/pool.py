"""What could be right, and what may be shown? The candidates of a request before anything is ranked.

A pool is a list of shelf rows, best first by a first, coarse score: what the words find (`finding`), the whole shelf by
popularity, or the union of what the place's sources retrieve. Filters, stock, dismissals and the anchors cut it;
where too little is left, popular items fill it and the answer says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from bodega import failpoints
from bodega.engine.cold import rare_rows
from bodega.engine.finding import Found
from bodega.engine.health import Health, is_lost, rows_of, scores_of
from bodega.engine.leaning import Lean
from bodega.engine.places import FALLBACK, Place
from bodega.engine.shelf import GONE, Shelf
from bodega.protocols import Source
from bodega.retrieval._index import distinct
from bodega.retrieval.lexical import Lexical
from bodega.schema import Context
from bodega.schema.arrays import NO_INTS, Flags, Floats, Ints


@dataclass(frozen=True, slots=True)
class Pool:
    """Shelf rows, best first, with the score that `source` gave them ("" where several did; NaN unknown)."""

    rows: Ints
    score: Floats
    source: str = ""
    corrected: str = ""
    relaxed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    """The sources that were asked for it (`leaning`); empty: all of the place."""

    @classmethod
    def of(cls, found: Found, given_up: tuple[str, ...] = ()) -> Pool:
        """What the words found."""
        relaxed = (*given_up, *((found.level,) if found.level else ()))
        return cls(found.rows, found.score, Lexical.name, found.corrected, relaxed)

    def only(self, keep: Flags | None) -> Pool:
        """The rows that may be shown, in the same order; `keep` covers the shelf (None: all)."""
        if keep is None:
            return self
        kept = keep[self.rows]
        return replace(self, rows=self.rows[kept], score=self.score[kept])

    def headed(self, size: int, prior: Floats, own: Flags) -> Pool:
        """The same rows, so ordered that the right ones are among the first `size`, which are ranked closely.

        Where equal scores straddle that border (thousands of products share one title) the more popular ones come
        first (`prior`, (len(shelf),)); what the shopper knows (`own`, (len(shelf),)) always does.
        """
        if len(self.rows) <= size:
            return self
        rank = np.arange(len(self.rows), dtype=np.float64)
        tied = np.flatnonzero(self.score == self.score[size - 1])
        if len(tied) > 1 and tied[-1] >= size:
            better = tied[np.argsort(-prior[self.rows[tied]], kind="stable")]
            rank[better] = tied
        rank[own[self.rows]] -= len(rank)
        order = np.argsort(rank, kind="stable")
        return replace(self, rows=self.rows[order], score=self.score[order])


@dataclass(frozen=True)
class Pooling:
    """What pools are made from. `newer` holds sources fitted beside the snapshot, over the shelf's delta."""

    sources: Mapping[str, Source]
    newer: Mapping[str, Source]
    shelf: Shelf
    per_source: int
    """Candidates asked of each source."""
    health: Health = field(default_factory=Health)
    """Which sources fail at the moment."""
    standing: Ints = field(default_factory=lambda: NO_INTS)
    """Popular rows that are known whatever fails (`ladder`)."""
    lean: Mapping[str, Lean] = field(default_factory=dict)
    """{place: the few sources that are enough there}."""

    def pool(self, place: Place, context: Context, keep: Flags) -> Pool:
        """Everything that could be right for this context, where no words are searched; `keep`: what may be shown."""
        return self.whole(context) if place.whole else self._union(place, context, keep)

    def whole(self, context: Context) -> Pool:
        """Everything on the shelf, the most popular first."""
        return self._by_popularity(context, self.shelf.all_rows())

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

    @property
    def prior(self) -> Floats:
        """How popular each shelf row is with everybody: (len(shelf),), unknown = lowest."""
        known: Floats | None = self.__dict__.get("_prior")
        if known is not None:
            return known
        score = self.scores(FALLBACK, Context(place=FALLBACK), np.arange(len(self.shelf), dtype=np.int32))
        if is_lost(FALLBACK):  # only for this page: the source may be back at the next
            score[self.standing] = -np.arange(len(self.standing), dtype=np.float32)
        known = np.nan_to_num(score, nan=-np.inf)
        if not is_lost(FALLBACK):
            self.__dict__["_prior"] = known
        return known

    @property
    def rare(self) -> Flags:
        """Which shelf rows hardly anybody has touched: (len(shelf),)."""
        found: Flags | None = self.__dict__.get("_rare")
        if found is None:
            found = self.__dict__["_rare"] = rare_rows(self.sources, self.shelf)
        return found

    def known(self, context: Context) -> Flags:
        """Which shelf rows the shopper has had to do with: (len(shelf),)."""
        flags = np.zeros(len(self.shelf), np.bool_)
        rows = self.shelf.current(context.history)
        flags[rows[rows != GONE]] = True
        return flags

    def _union(self, place: Place, context: Context, keep: Flags) -> Pool:
        """What any source of the place retrieves; scores are given later, by every source for every row."""
        names, lists = self._proposed(place, context, keep)
        rows = self.shelf.current(distinct(np.concatenate([NO_INTS, *lists])))
        n_delta = len(self.shelf.delta)
        beside = [self._retrieved(name, self.newer[name], context, n_delta) for name in names if name in self.newer]
        if beside or self.shelf.changed:
            rows = distinct(np.concatenate([rows[rows != GONE], *(found + len(self.shelf.base) for found in beside)]))
        rows = rows[self.shelf.is_current[rows]].astype(np.int32)
        return Pool(rows, np.full(len(rows), np.nan, np.float32), asked=names)

    def _proposed(self, place: Place, context: Context, keep: Flags) -> tuple[tuple[str, ...], list[Ints]]:
        """(the sources that are asked, what each proposes): few, where those know something that may be shown."""
        lean, n_base = self.lean.get(place.name), len(self.shelf.base)
        found: dict[str, Ints] = {}
        for names in (() if lean is None else lean.names, place.among(self.sources)):
            for name in names:
                if name not in found:
                    found[name] = self._retrieved(name, self.sources[name], context, n_base)
            if lean is not None and names is lean.names:
                rows = self.shelf.current(np.concatenate([found[name] for name in lean.weighted]))
                if keep[rows[rows != GONE]].any():
                    break
        return names, [found[name] for name in names]

    def _retrieved(self, name: str, source: Source, context: Context, size: int) -> Ints:
        """What one source retrieves, rows of a table of this size; nothing where it fails."""

        def asked() -> Ints:
            found = source.retrieve(context, self.per_source).items
            if failpoints.ON and failpoints.reach("answer.retrieve"):
                found = found + np.int32(size)
            return rows_of(found, size)

        return self.health.ask(name, asked, lambda: NO_INTS)

    def _by_popularity(self, context: Context, rows: Ints) -> Pool:
        """The rows by the fallback's score; what it does not know comes last, in the order of the shelf."""
        score = self.scores(FALLBACK, context, rows)
        if is_lost(FALLBACK):
            place = np.full(len(self.shelf), np.nan, np.float32)
            place[self.standing] = -np.arange(len(self.standing), dtype=np.float32)
            score = place[rows]
        order = np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")
        return Pool(rows[order], score[order], FALLBACK)

    def scores(self, name: str, context: Context, rows: Ints) -> Floats:
        """One source's score of shelf rows; NaN where it has no opinion, or fails."""

        def asked() -> Floats:
            found = self._scores(name, context, rows)
            if failpoints.ON and failpoints.reach("answer.score"):
                found = np.full(len(rows), np.inf, np.float32)
            return scores_of(found, len(rows))

        return self.health.ask(name, asked, lambda: np.full(len(rows), np.nan, np.float32))

    def _scores(self, name: str, context: Context, rows: Ints) -> Floats:
        """The same of a source that works. Newer rows are asked of the newer part."""
        n_base = len(self.shelf.base)
        newer = self.newer.get(name)
        known_as = rows if newer is not None else self.shelf.known_as[rows]
        known = (rows < n_base) if newer is not None else (known_as != GONE)
        if known.all():
            return self.sources[name].score(context, known_as)
        score = np.full(len(rows), np.nan, np.float32)
        score[known] = self.sources[name].score(context, known_as[known])
        if newer is not None:
            score[~known] = newer.score(context, (rows[~known] - n_base).astype(np.int32))
            old = self.shelf.known_as[rows]
            changed = ~known & np.isnan(score) & (old != GONE)  # a changed item that only its older self is known as
            score[changed] = self.sources[name].score(context, old[changed])
        return score


def showable(shelf: Shelf, place: Place, context: Context, *, seen_too: bool) -> Flags:
    """Which shelf rows this page may show, before the shopper's filters: bool, (len(shelf),)."""
    keep = shelf.is_current.copy() if place.sold_out else shelf.is_current & shelf.available
    hidden = [context.disliked, context.items if place.anchored else NO_INTS]
    if place.fresh and not seen_too:
        hidden.append(context.history)
    shown = shelf.current(np.concatenate(hidden))
    keep[shown[shown != GONE]] = False
    newer = context.newer
    if newer is not None:
        keep[newer.disliked] = False
        keep[newer.items if place.anchored else NO_INTS] = False
        keep[newer.history if place.fresh and not seen_too else NO_INTS] = False
    return keep
