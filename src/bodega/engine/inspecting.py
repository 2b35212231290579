"""How did this page come about? One request taken apart, and the same request under other dials beside it.

    reading    what the words were taken for: typed, corrected, searched, each meaning with its span, what was given up
    sources    each source's weight, how many it found, how long it took, how many of the first ten owe most to it
    rows       the items: their place after every stage, each source's rank and score, what made the score, why
    timings    milliseconds of every stage
    shifts     what stands elsewhere under the other dials

Every step is the engine's own (`Engine.worked`); asking changes no state, teaches nothing and is in no log.
Cost: three to four pages a look (each source is asked once more, for its 200 best). Not for: shoppers (it tells what
the shop knows of them: admin keys only); why one item is not there is `why_not`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from bodega.engine.answer import Engine, Worked
from bodega.engine.deadline import Clock, timed
from bodega.engine.dialling import Dials, under, weights_at
from bodega.engine.dials import asked as asked_by
from bodega.engine.explain import contributions, told
from bodega.engine.ranked import OnShelf
from bodega.engine.resolve import place_of
from bodega.engine.shelf import GONE
from bodega.ranking.rules import NO_RULES, RuleBook
from bodega.schema import Banner, Candidates, Contribution, Hit, Item, Meaning, Reason, Request
from bodega.schema.arrays import Ints

DEPTH = 200
"""How far down a source's own list ranks are told."""
FIRST = 10
"""Items that also are shown where they stood among the first after any stage."""
ROWS_LIMIT = 200


class InspectedQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a query was taken for."""

    typed: str = ""
    replaced: str = ""
    """What a rule put in its place."""
    corrected: str = ""
    searched: str = ""
    """The words that were searched, after all of it."""
    language: str = ""
    meanings: tuple[Meaning, ...] = ()
    """Spans are of `read`, the text that was taken apart."""
    read: str = ""
    alternatives: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(words, other ways to say them)."""
    relaxed: tuple[str, ...] = ()
    related: tuple[str, ...] = ()


class SeenBy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one source sees one item."""

    rank: int | None = None
    """Place in the source's own list, from 1; none beyond the first 200."""
    score: float | None = None
    part: float | None = None
    """What it adds to the weighted sum."""


class InspectedRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item on its way to the page."""

    item: str
    title: str = ""
    image: str = ""
    brand: str = ""
    price: float | None = None
    currency: str = ""
    position: int | None = None
    """Place on the list, from 1; none where it is not on it."""
    score: float | None = None
    places: dict[str, int] = {}
    """{stage: place after it, from 1}; stages in the order of `InspectedPage.stages`."""
    sources: dict[str, SeenBy] = {}
    owes: str = ""
    """The source that gave most of its score; `rule` for one that a rule put there."""
    contributions: tuple[Contribution, ...] = ()
    why: tuple[Reason, ...] = ()


class InspectedSource(msgspec.Struct, frozen=True, kw_only=True):
    """What one source gave to the page."""

    name: str
    weight: float
    found: int
    """Items in its own list (at most 200)."""
    scored: int
    """Of the items that were ranked closely, how many it knows."""
    first: int
    """Of the first ten of the page, how many owe most to it."""
    milliseconds: float


class InspectedPage(msgspec.Struct, frozen=True, kw_only=True):
    """One request under one setting."""

    place: str
    snapshot: str
    ranker: str
    """`sum` or `learned`."""
    reading: InspectedQuery
    stages: tuple[str, ...]
    """In order: found, fused, learned, stepped, ruled, mixed, listed (those that took part)."""
    sources: tuple[InspectedSource, ...]
    rows: tuple[InspectedRow, ...]
    total: int
    rules: tuple[str, ...] = ()
    redirect: str = ""
    banners: tuple[Banner, ...] = ()
    degraded: tuple[str, ...] = ()
    timings: dict[str, float] = {}
    """{stage: milliseconds}."""
    milliseconds: float = 0.0
    """The page alone, without what only the inspector asks."""


class InspectedShift(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item that stands elsewhere under the other dials; positions count from 1."""

    item: str
    title: str = ""
    one: int | None = None
    other: int | None = None


class InspectAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take this request apart, and beside it the same under other dials."""

    request: Request = Request()
    """As in `POST /v1/search` or `/v1/recommend`, with its `place` (words are searched)."""
    dials: Dials = Dials()
    beside: Dials | None = None
    rows: Annotated[int, Meta(ge=1, le=ROWS_LIMIT)] = 50
    """Items of the list that are told, at most."""


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """A page taken apart; `other` is the same request under `beside`."""

    one: InspectedPage
    other: InspectedPage | None = None
    shifts: tuple[InspectedShift, ...] = ()


def inspect(of: Callable[[str], Engine], book: RuleBook, request: Request, asked: InspectAsked) -> Inspection:
    """`request` is that of `asked` as the shop takes it; `of` gives the engine over a snapshot ("": the current one).

    Raises BadRequest as `Engine.answer` does.
    """
    one = look(of(asked.dials.snapshot), request, book, asked.dials, asked.rows)
    if asked.beside is None:
        return Inspection(one=one)
    other = look(of(asked.beside.snapshot), request, book, asked.beside, asked.rows)
    return Inspection(one=one, other=other, shifts=_shifts(one, other, request.k))


def wanted(asked: InspectAsked) -> Request:
    """The request of an inspection: words are searched, and the page is as long as what is told of it."""
    request = asked.request
    if request.query.strip() and request.place in ("home", "category"):
        request = msgspec.structs.replace(request, place="search")
    return msgspec.structs.replace(request, k=min(max(request.k, FIRST), asked.rows))


def look(engine: Engine, request: Request, book: RuleBook, dials: Dials, rows: int) -> InspectedPage:
    """One request under one setting. Raises BadRequest as `Engine.answer` does."""
    request = asked_by(msgspec.structs.replace(dials.asked(request), explain=False), engine.settings.dials)
    place = place_of(request, engine.settings)
    engine = under(engine, dials, place.name)
    book = book if dials.rules and engine.settings.dials.rules else NO_RULES
    clock = Clock()
    with timed(clock):
        work = engine.worked(request, book)
        hits = engine.hits(request, work)
        clock.lap("explain")
    taken = _Taken(engine, request, work)
    told_rows = taken.rows(rows, hits)
    first = [row.owes for row in told_rows if row.position is not None and row.position <= FIRST]
    stages = tuple(name for name, _ in taken.stages)
    timings = {name: round(seconds * 1000, 3) for name, seconds in clock.stages.items()}
    weights = weights_at(engine, place.name)
    said = taken.sources
    ranker = engine.stage(place)
    learned = isinstance(ranker, OnShelf) and ranker.serves(work.fused)
    return InspectedPage(
        place=place.name,
        snapshot=engine.learned.snapshot,
        ranker="learned" if learned else "sum",
        reading=_reading(engine, request, work),
        stages=stages,
        sources=tuple(
            InspectedSource(
                name=name,
                weight=weights.get(name, 0.0),
                found=len(said[name].items),
                scored=int(np.isfinite(work.fused.scores[:, at]).sum()),
                first=first.count(name),
                milliseconds=round(said[name].seconds * 1000, 3),
            )
            for at, name in enumerate(work.fused.sources)
        ),
        rows=told_rows,
        total=len(work.rows),
        rules=work.bound.rules(work.asked.found.rows),
        redirect=work.bound.plan.redirect,
        banners=work.bound.plan.banners,
        degraded=tuple(dict.fromkeys((*engine.learned.warnings, *work.notes, *work.pool.notes, *work.bound.notes))),
        timings=timings,
        milliseconds=round(sum(timings.values()), 3),
    )


@dataclass(frozen=True, slots=True)
class _Own:
    """A source's own list, as shelf rows, and how long it took."""

    items: Ints
    seconds: float


class _Taken:
    """A worked request, taken apart."""

    def __init__(self, engine: Engine, request: Request, work: Worked) -> None:
        self.engine, self.request, self.work = engine, request, work
        self.sources = {name: self._own(name) for name in work.fused.sources}
        self.stages = self._stages()

    def _own(self, name: str) -> _Own:
        """What a source would have listed by itself."""
        engine = self.engine
        began = time.perf_counter()
        none = Candidates.none(name)
        found = engine.health.ask(
            name, lambda: engine.learned.sources[name].retrieve(self.work.asked.context, DEPTH), lambda: none
        )
        rows = engine.shelf.current(found.items)
        return _Own(rows[rows != GONE].astype(np.int32), time.perf_counter() - began)

    def _stages(self) -> list[tuple[str, Ints]]:
        """(stage, shelf rows in its order), from what was found to what is listed."""
        work, context = self.work, self.work.asked.context
        out = [("found", work.pool.rows)]
        # In the order of the pool, so that ties fall as they did for the page.
        head = work.fused.take(_order_of(work.fused.items, work.pool.rows))
        if len(head):
            out.append(("fused", self.engine.learned.ordering.fusion.rank(context, head).items))
            stage = self.engine.stage(work.place)
            if isinstance(stage, OnShelf) and stage.serves(head):
                out.append(("learned", stage.rank(context, head).items))
            if work.moved is not None and len(work.moved.x):
                out.append(("stepped", work.moved.ranked.items))
            if work.bound.weight is not None:
                out.append(("ruled", work.fused.items))
            if work.ranked is not work.fused:
                out.append(("mixed", work.ranked.items))
        return [*out, ("listed", work.rows)]

    def rows(self, limit: int, hits: tuple[Hit, ...]) -> tuple[InspectedRow, ...]:
        """The first rows of the list, then what stood among the first ten after a stage and fell out."""
        shown = dict.fromkeys(self.work.rows[self.request.offset :][:limit].tolist())
        once = dict.fromkeys(row for _, items in self.stages for row in items[:FIRST].tolist())
        chosen = np.array(list({**shown, **once})[: limit + FIRST * len(self.stages)], np.int32)
        at_stage = {name: _places(chosen, items) for name, items in self.stages}
        by_source = {name: _places(chosen, own.items) for name, own in self.sources.items()}
        head = _places(chosen, self.work.fused.items)
        parts, counted = self._parts(head), self._counted(head)
        why = {hit.id: hit.why for hit in hits}
        out = []
        for n, row in enumerate(chosen.tolist()):
            inside = int(head[n])
            seen = {
                name: _seen(rank=by_source[name][n], score=self.work.fused.scores[inside, at], part=parts[n, at])
                if inside >= 0
                else _seen(rank=by_source[name][n])
                for at, name in enumerate(self.work.fused.sources)
            }
            places = {name: int(found[n]) + 1 for name, found in at_stage.items() if found[n] >= 0}
            reasons = why.get(self.engine.shelf.id(row), ())
            out.append(
                msgspec.structs.replace(
                    _card(self.engine.shelf.document(row)),
                    position=places.get("listed"),
                    score=_short(self.work.fused.score[inside]) if inside >= 0 else None,
                    places=places,
                    sources={name: each for name, each in seen.items() if each != NOTHING},
                    owes=self._owes(reasons, n, parts) if inside >= 0 or reasons else "",
                    contributions=counted[n],
                    why=reasons,
                )
            )
        return tuple(out)

    def _parts(self, head: Ints) -> np.ndarray:
        """What each source adds to the weighted sum of each item: (n, n_sources), NaN where it was not ranked."""
        fused = self.work.fused
        out = np.full((len(head), len(fused.sources)), np.nan)
        if len(fused):
            own, weight = self.engine.learned.ordering.fusion.parts(self.work.asked.context, fused)
            out[head >= 0] = (own * weight)[head[head >= 0]]
        return out

    def _counted(self, head: Ints) -> list[tuple[Contribution, ...]]:
        """What made each item's score: features of a learned ranker, sources of a sum."""
        inside = np.flatnonzero(head >= 0)
        out: list[tuple[Contribution, ...]] = [()] * len(head)
        if len(inside):
            stage, fused = self.engine.stage(self.work.place), self.work.fused
            names, values, exact = contributions(stage, self.work.asked.context, fused, head[inside].astype(np.int32))
            for n, own in zip(inside.tolist(), values, strict=True):
                out[n] = told(names, own, exact=exact)
        return out

    def _owes(self, reasons: tuple[Reason, ...], n: int, parts: np.ndarray) -> str:
        """The source of the strongest reason; where an item is not on the page, of the largest part."""
        if reasons:
            return max(reasons, key=lambda each: each.share).source
        return "" if np.isnan(parts[n]).all() else self.work.fused.sources[int(np.nanargmax(parts[n]))]


NOTHING = SeenBy()


def _seen(*, rank: int, score: float = np.nan, part: float = np.nan) -> SeenBy:
    known = np.isfinite(score)
    return SeenBy(
        rank=int(rank) + 1 if rank >= 0 else None,
        score=_short(score) if known else None,
        part=_short(part) if known and np.isfinite(part) else None,
    )


def _reading(engine: Engine, request: Request, work: Worked) -> InspectedQuery:
    context, plan = work.asked.context, work.bound.plan
    query = plan.query or request.query
    if not query.strip():
        return InspectedQuery(language=context.language, relaxed=work.pool.relaxed)
    said = engine.finder.read(query, context.language, verbatim=request.verbatim)
    return InspectedQuery(
        typed=request.query,
        replaced=plan.query,
        corrected=said.corrected or work.pool.corrected,
        searched=context.query,
        language=said.language or context.language,
        meanings=said.meanings,
        read=said.typed,
        alternatives=context.alternatives,
        relaxed=work.pool.relaxed,
        related=tuple(engine.finder.related(request.query, context)) if context.query else (),
    )


def _shifts(one: InspectedPage, other: InspectedPage, k: int) -> tuple[InspectedShift, ...]:
    """What changed its place among the first k of either, the largest move first."""
    mine = {row.item: row for row in one.rows if row.position is not None}
    theirs = {row.item: row for row in other.rows if row.position is not None}
    out = []
    for item in dict.fromkeys((*mine, *theirs)):
        row = mine.get(item) or theirs[item]
        a, b = (held[item].position if item in held else None for held in (mine, theirs))
        if a != b and min(a or k + 1, b or k + 1) <= k:
            out.append(InspectedShift(item=item, title=row.title, one=a, other=b))
    far = len(mine) + len(theirs) + 1
    return tuple(sorted(out, key=lambda each: (-abs((each.one or far) - (each.other or far)), each.one or far)))


def _card(document: bytes) -> InspectedRow:
    item = msgspec.json.decode(document, type=Item)
    return InspectedRow(
        item=item.id,
        title=item.title,
        image=item.images[0] if item.images else "",
        brand=item.brand,
        price=item.price,
        currency=item.currency,
    )


def _places(rows: Ints, items: Ints) -> np.ndarray:
    """Where each row stands among the items, -1 where it does not: (len(rows),)."""
    at = {row: place for place, row in enumerate(items.tolist())}
    return np.array([at.get(row, -1) for row in rows.tolist()], np.int64)


def _order_of(items: Ints, pool: Ints) -> np.ndarray:
    """The places of these items, ordered as the pool has them."""
    return np.argsort(_places(items, pool), kind="stable")


def _short(value: float) -> float:
    return float(f"{value:.5g}")
