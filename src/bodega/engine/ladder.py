"""Never empty, never an error: what does a page stand on, and what when that breaks?

    personal     what this shopper did
    session      what this visit did
    words        what the query finds (searches only)
    item-item    what goes with the items asked around
    segment      what is popular in the categories concerned
    popular      what is popular with everybody
    curated      what the shop chose (`answer.curated`), then the catalog from its beginning

An answer stands on the highest rung that holds. Where something broke on the way, `degraded` names what is missing and
then the rung that the answer stands on: "popular: the rest failed". The three lowest rungs ask no source: their rows
are chosen when the engine is made and lie in memory, so they hold while everything else is broken. What the shopper
filters and what the shop hides stays out on every rung; only what nobody can compute any more is given up, and named.
An honest "nothing found" is no failure: a search without matches stays empty while its parts work.
Cost: one retrieval of popular items when the engine is made. Not for: who may be asked (`health`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import numpy as np

from bodega.engine import browse
from bodega.engine.health import Losses, is_callers
from bodega.engine.places import FALLBACK, Place
from bodega.engine.shelf import GONE, Shelf
from bodega.errors import BodegaError
from bodega.protocols import Source
from bodega.schema import Completion, Context, Hit, Page, Reason, Request, Sort
from bodega.schema.arrays import NO_INTS, Flags, Ints

STANDING = 500
"""Popular items that are always in memory."""
TEXTS = {
    "en": {"popular": "Popular right now", "curated": "Chosen by the shop", "segment": "Popular in this category"},
    "zh": {"popular": "当前热门", "curated": "店铺精选", "segment": "该分类热门"},
}
"""{language: {rung: reason of a hit that stands on it}}."""


class Rung(StrEnum):
    """What an answer stands on, the best first."""

    PERSONAL = "personal"
    SESSION = "session"
    WORDS = "words"
    ITEM_ITEM = "item-item"
    SEGMENT = "segment"
    POPULAR = "popular"
    CURATED = "curated"


LOWEST = (Rung.SEGMENT, Rung.POPULAR, Rung.CURATED)
ESSENTIAL = frozenset({"engine", "understanding", "history", "rules", "lexical"})
"""Parts without which an empty page is nobody's honest answer, beside the sources of the place."""


def rung_of(degraded: Sequence[str]) -> Rung | None:
    """The rung that an answer says it stands on; None where nothing broke. For metrics."""
    named = {note.partition(":")[0] for note in degraded}
    return next((rung for rung in reversed(Rung) if rung in named), None)


def stands_on(request: Request, place: Place, context: Context, sources: Collection[str], lost: Losses) -> Rung:
    """The rung of a page that its sources made, with those that are lost left out."""
    alive = [name for name in place.among(sources) if name not in lost.named]
    knowing = [name for name in alive if name != FALLBACK]
    if len(context.history) and knowing and place.personal and not place.anchored:
        return Rung.PERSONAL if request.user and "history" not in lost.named else Rung.SESSION
    if context.query and "lexical" not in lost.named:
        return Rung.WORDS
    if knowing and (len(context.items) or context.like or context.query):
        return Rung.ITEM_ITEM if not context.query else Rung.WORDS
    if FALLBACK not in alive:
        return Rung.CURATED
    return Rung.SEGMENT if request.filters or len(context.items) or len(context.history) else Rung.POPULAR


def told(rung: Rung, lost: Losses) -> str:
    """What `degraded` says of the rung: "session: without history"."""
    return f"{rung}: without {', '.join(lost.named)}"


def is_honest(page: Page, place: Place, sources: Collection[str], lost: Losses) -> bool:
    """May this page be empty? Yes where nothing that could have filled it was lost."""
    return page.total > 0 or not any(name in ESSENTIAL or name in place.among(sources) for name in lost.named)


@dataclass(frozen=True, slots=True)
class Ground:
    """What the lower rungs know of a request beside the request itself."""

    hides: Callable[[Request], Flags | None]
    """Which shelf rows rules hide, and which this shopper dismissed: (len(shelf),)."""
    history: Callable[[Request], Ints]
    """Base rows of what this shopper did."""


class Ladder:
    """The three lowest rungs over one shelf. Immutable."""

    def __init__(self, sources: Mapping[str, Source], shelf: Shelf, curated: str = "") -> None:
        self._shelf = shelf
        chosen = [shelf.row(name.strip()) for name in curated.split(",") if name.strip()]
        self._curated = np.asarray(list(dict.fromkeys(row for row in chosen if row != GONE)), np.int32)
        self._popular = _popular(sources, shelf)

    @property
    def popular(self) -> Ints:
        """Shelf rows that are popular with everybody, the most popular first: at most `STANDING`."""
        return self._popular

    def rank(self, rows: Ints) -> Ints:
        """The rows, those that are popular first in their order, the others as they stand on the shelf."""
        place = np.full(len(self._shelf), len(self._popular), np.int32)
        place[self._popular] = np.arange(len(self._popular), dtype=np.int32)
        return np.asarray(rows[np.argsort(place[rows], kind="stable")], np.int32)

    def page(self, request: Request, lost: Losses, ground: Ground, *, snapshot: str = "") -> Page:
        """The best page that needs no source; empty only where nothing may be shown."""
        started = time.perf_counter()
        notes: list[str] = []
        keep = self._keep(request, ground, notes)
        wanted = request.offset + request.k
        rung, rows = Rung.CURATED, NO_INTS
        for rung, rows in self._rungs(request, ground):  # noqa: B007 - the rung that held is told
            rows = self._shown(rows[keep[rows]])
            if len(rows):
                break
        more = self._shown(np.concatenate([rows, self.rank(np.flatnonzero(keep).astype(np.int32))]))
        rows = rows if len(rows) >= wanted else more
        rows = _sorted(self._shelf, rows, request)
        return Page(
            request_id=secrets.token_hex(8),
            place=request.place,
            hits=self._hits(request, rows[request.offset : wanted], rung),
            total=len(rows),
            query=request.query,
            degraded=(*lost.notes, *notes, f"{rung}: the rungs above failed"),
            snapshot=snapshot,
            took_ms=round((time.perf_counter() - started) * 1000, 3),
        )

    def complete(self, prefix: str, k: int) -> list[Completion]:
        """Titles of popular items that begin like this (any, where none does not): suggestions without an index."""
        typed = prefix.strip().casefold()
        rows = [*self._popular.tolist(), *self._curated.tolist()]
        titles = {self._shelf.title(row): self._shelf.id(row) for row in rows}
        near = [title for title in titles if typed in title.casefold()]
        near.sort(key=lambda title: not title.casefold().startswith(typed))
        return [Completion(text=title, kind="title", item=titles[title]) for title in near[:k]]

    def _rungs(self, request: Request, ground: Ground) -> Iterator[tuple[Rung, Ints]]:
        with suppress(Exception):  # the next rung holds, and the page names it
            yield Rung.SEGMENT, self._segment(request, ground)
        yield Rung.POPULAR, self._popular
        yield Rung.CURATED, np.concatenate([self._curated, self._shelf.all_rows()])

    def _segment(self, request: Request, ground: Ground) -> Ints:
        """What is popular in the categories of the items asked around, else of what the shopper did."""
        base = self._shelf.base
        around = base.rows(request.items)
        if not len(around) and request.personal:
            around = ground.history(request)
        leaf = np.asarray(base.leaf_category)
        leaves = np.unique(leaf[around])
        rows = self._shelf.current(np.flatnonzero(np.isin(leaf, leaves[leaves >= 0])))
        rows = np.asarray(rows[rows != GONE], np.int32)
        mine = self._shelf.current(around)
        return self.rank(rows[~np.isin(rows, mine)])

    def _keep(self, request: Request, ground: Ground, notes: list[str]) -> Flags:
        """Which shelf rows may be shown: (len(shelf),)."""
        shelf = self._shelf
        keep = shelf.is_current & shelf.available
        try:
            keep = keep & browse.narrow(shelf, request.filters, request.where).all
        except Exception as error:
            if is_callers(error):
                raise
            notes.append(f"filters: left out, they failed ({type(error).__name__})")
        try:
            hidden = ground.hides(request)
            keep = keep if hidden is None else keep & ~hidden
        except Exception as error:
            notes.append(f"rules: left out, they failed ({type(error).__name__})")
        return keep

    def _shown(self, rows: Ints) -> Ints:
        """Each row once, one a variant group."""
        if not len(rows):
            return rows
        _, first = np.unique(rows, return_index=True)
        rows = np.asarray(rows[np.sort(first)], np.int32)
        return browse.collapsed(rows, self._shelf.group) if self._shelf.has_variants else rows

    def _hits(self, request: Request, rows: Ints, rung: Rung) -> tuple[Hit, ...]:
        text = TEXTS.get(request.language[:2], TEXTS["en"])[rung]
        why = (Reason(source=FALLBACK if rung is not Rung.CURATED else "catalog", share=1.0, text=text),)
        return tuple(
            Hit(
                id=self._shelf.id(row),
                position=request.offset + number,
                score=0.0,
                document=msgspec.Raw(self._shelf.document(row)),
                why=why,
            )
            for number, row in enumerate(rows.tolist())
        )


def _popular(sources: Mapping[str, Source], shelf: Shelf) -> Ints:
    """The most popular rows that are on the shelf; none where the source fails: the curated rung holds."""
    source = sources.get(FALLBACK)
    if source is None:
        return NO_INTS
    try:
        found = source.retrieve(Context(place=FALLBACK), STANDING).items
        rows = shelf.current(found[(found >= 0) & (found < len(shelf.base))])
    except Exception:
        return NO_INTS
    return np.asarray(rows[rows != GONE], np.int32)


def _sorted(shelf: Shelf, rows: Ints, request: Request) -> Ints:
    if request.sort is Sort.RELEVANCE or request.sort_by:
        return rows
    try:
        return browse.ordered(rows, request.sort, shelf.price, shelf.created)
    except (BodegaError, ValueError, IndexError):
        return rows
