"""One request, one page: the file to read to know the system.

    request -> context    who asks, around what: ids become rows, the history is read from memory     resolve.py
            -> pool       what could be right: matches of the words, the shelf, or the sources' union  pool.py
            -> showable   filters, stock, dismissals, the anchors themselves; topped up if too little  pool.py
            -> ranked     every source of the place scores the head of the pool, the fusion orders it  ranking/fuse.py
            -> page       variants collapsed, sorted, cut, explained; every fallback named             explain.py

No step asks for a model's name: a place names its sources (`places.py`) and the fusion knows their weights.
Cost: printed by `bodega bench serve`. Not for: learning (`learn.py`) or keeping bytes (`adapters`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from bodega.engine import browse
from bodega.engine.explain import Explainer
from bodega.engine.online import Shoppers
from bodega.engine.places import Place
from bodega.engine.pool import Pool, Pooling, showable
from bodega.engine.resolve import context_of, place_of
from bodega.engine.shelf import Shelf
from bodega.engine.words import Words
from bodega.protocols import Source
from bodega.ranking.fuse import Fusion
from bodega.schema import Candidates, Context, Facet, Hit, Page, Request
from bodega.schema.arrays import Ints
from bodega.settings import Settings


@dataclass(frozen=True, slots=True)
class Learned:
    """What an open snapshot holds: the models, their weights, and what the log says of the shop."""

    sources: Mapping[str, Source]
    fusion: Fusion
    repeats: bool
    """Do people here buy the same item again? Then `home` may show what the shopper already has."""
    snapshot: str = ""
    warnings: tuple[str, ...] = ()


class Engine:
    """Answers requests from one snapshot, one shelf and the shoppers' states. Immutable but for the states."""

    def __init__(self, learned: Learned, shelf: Shelf, shoppers: Shoppers, settings: Settings) -> None:
        self.learned = learned
        self.shelf = shelf
        self.shoppers = shoppers
        self.settings = settings
        self.words = Words(learned.sources, shelf)
        self._pooling = Pooling(learned.sources, shelf, self.words, settings.answer.candidates)
        self._explainer = Explainer(learned.sources, shelf)

    def restocked(self, shelf: Shelf) -> Engine:
        """The same engine over a newer shelf."""
        return Engine(self.learned, shelf, self.shoppers, self.settings)

    def answer(self, request: Request) -> Page:
        """The page for a request. Raises BadRequest for an unknown place or field, or a page out of range."""
        started = time.perf_counter()
        place = place_of(request, self.settings)
        tables = (self.shelf.base, self.shelf.delta)
        browse.check(tables, [rule.field for rule in request.filters])
        browse.check(tables, request.facets, where="facets")
        context, notes = context_of(request, place, self.shelf.base, self.shoppers, self.settings)
        found = self._pooling.pool(place, context)
        keep = showable(self.shelf, request, place, context, seen_too=self.learned.repeats)
        pool = found.only(keep)
        if place.fill and not context.query:
            pool = self._pooling.filled(pool, context, keep, request.offset + request.k)
        ranked = self._ranked(place, context, pool)
        rows = self._ordered(request, place, np.concatenate([ranked.items, pool.rows[len(ranked) :]]))
        return Page(
            request_id=secrets.token_hex(8),
            place=request.place,
            hits=self._hits(context, ranked, rows[request.offset : request.offset + request.k], request.offset),
            total=len(rows),
            query=request.query,
            corrected=pool.corrected,
            facets=self._facets(request, found),
            degraded=(*self.learned.warnings, *notes, *pool.notes),
            snapshot=self.learned.snapshot,
            took_ms=round((time.perf_counter() - started) * 1000, 3),
        )

    def _ranked(self, place: Place, context: Context, pool: Pool) -> Candidates:
        """The head of the pool with every source's score, in the fusion's order; the tail keeps the pool's order."""
        head = self.settings.answer.candidates * (1 if pool.source else len(place.sources))
        rows, score = pool.rows[:head], pool.score[:head]
        columns = [
            score if name == pool.source else self._pooling.scores(name, context, rows) for name in place.sources
        ]
        scores = np.column_stack(columns).astype(np.float32, copy=False)
        return self.learned.fusion.rank(context, Candidates(rows, scores, score, place.sources))

    def _ordered(self, request: Request, place: Place, rows: Ints) -> Ints:
        """Sorted as asked, what is sold out last, one row a variant group."""
        shelf = self.shelf
        rows = browse.ordered(rows, request.sort, shelf.price, shelf.created)
        if place.sold_out:
            rows = rows[np.argsort(~shelf.available[rows], kind="stable")]
        return browse.collapsed(rows, shelf.group) if shelf.has_variants else rows

    def _hits(self, context: Context, ranked: Candidates, rows: Ints, offset: int) -> tuple[Hit, ...]:
        """The rows of one page as hits with their reasons."""
        place = {int(row): number for number, row in enumerate(ranked.items.tolist())}
        places = np.asarray([place.get(int(row), -1) for row in rows], np.int64)
        inside = places >= 0
        shares = np.zeros((len(rows), len(ranked.sources)), np.float32)
        shares[inside] = self.learned.fusion.shares(context, ranked)[places[inside]]
        score = np.zeros(len(rows), np.float32)
        score[inside] = ranked.score[places[inside]]
        why = self._explainer.why(context, rows, ranked.sources, shares)
        return tuple(
            Hit(
                id=self.shelf.id(row),
                position=offset + number,
                score=round(float(score[number]), 6),
                document=msgspec.Raw(self.shelf.document(row)),
                why=why[number],
            )
            for number, row in enumerate(rows.tolist())
        )

    def _facets(self, request: Request, found: Pool) -> tuple[Facet, ...]:
        """Counts over everything that was found (not only the page); a facet's own filter does not narrow it."""
        if not request.facets:
            return ()
        browse.check((self.shelf.base, self.shelf.delta), request.facets, where="facets")
        rows = found.rows[self.shelf.is_current[found.rows]]
        parts = [browse.facets(table, own, request.facets, request.filters) for table, own in self.shelf.split(rows)]
        return browse.merged(parts) if len(parts) > 1 else (parts[0] if parts else ())
