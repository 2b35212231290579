"""What do the clicks of this shop say of its search? From the log of events to graded judgments.

Pages come from the impressions of searches where the shop sends them. A shop that sends clicks only is still judged:
the log of answers says what was shown. Only queries that at least `understand.people` different people asked are looked
at, so that no judgment tells of one shopper; who did not agree to learning is in none.
Cost: `build_log` (2 s a million events) and a second a million things shown. Not for: keeping the result (`judged`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import chain

import msgspec
import numpy as np

from bodega.engine.whose import rows_at
from bodega.evaluation.judgments import Graded, asked_enough, graded, shown_in
from bodega.evaluation.judgments.grading import Model
from bodega.events import build_log
from bodega.events.gathering import People
from bodega.protocols import EventRows, EventStore
from bodega.schema import EVENT_CODES, ItemTable, Log
from bodega.schema.answers import Answered
from bodega.schema.arrays import NO_INTS
from bodega.schema.judgments import Judgment, fold_query
from bodega.settings import Settings

IMPRESSION = EVENT_CODES["impression"]
ANSWERED = 50_000
"""Things shown that are handed on at once."""
FASTEST = 10_000
"""Events a minute that a log with impressions made of answers may hold: a page alone is twenty of them."""


@dataclass(frozen=True, slots=True)
class ClickReport:
    """What was found; `bodega judge clicks` prints it."""

    model: Model
    pages: int
    """Pages of searches."""
    shown: int
    queries: int
    """Queries that enough people asked."""
    pairs: int
    graded: int
    """Pairs with enough evidence for a grade."""
    by_grade: tuple[int, ...]
    from_answers: bool
    """Made of the log of answers, for want of impressions?"""
    people: int
    """So many people must have asked a query."""
    added: int = 0
    changed: int = 0
    removed: int = 0


def search_log(
    events: EventStore,
    items: ItemTable,
    settings: Settings,
    *,
    who: People | None,
    answers: Iterable[Answered] = (),
) -> tuple[Log, bool]:
    """(the log of what was searched, shown and clicked, whether its pages are those of `answers`)."""
    log, _ = build_log(events.scan(searched=True), items, settings.ingest, who)
    if bool(((log.type == IMPRESSION) & (log.query >= 0) & (log.position >= 0)).any()):
        return _folded(log), False
    pages = _shown(answers)
    first = next(pages, None)
    if first is None:
        return _folded(log), False
    ingest = msgspec.structs.replace(settings.ingest, bot_events_per_minute=FASTEST)
    both = _in_order(events.scan(searched=True), chain([first], pages))
    log, _ = build_log(both, items, ingest, who)
    return _folded(log), True


def judged_by_clicks(
    log: Log, items: ItemTable, people: int, model: Model, *, from_answers: bool = False
) -> tuple[list[Judgment], ClickReport]:
    """Judgments of the pairs whose evidence is good enough, and what was met."""
    enough = asked_enough(log.query, log.user, people)
    shown = shown_in(log.where(enough))
    found = graded(shown, model)
    rows = np.flatnonzero(found.sure)
    judgments = [
        Judgment(
            query=log.queries[found.query[row]],
            item=items.ids[found.item[row]],
            grade=int(found.grade[row]),
            origin="clicks",
            who=model,
            note=told(found, int(row)),
        )
        for row in rows
        if log.queries[found.query[row]]
    ]
    counts = np.bincount(found.grade[rows], minlength=4) if len(rows) else np.zeros(4, np.int64)
    report = ClickReport(
        model=model,
        pages=len(np.unique(shown.page)),
        shown=len(shown),
        queries=len(np.unique(log.query[enough])),
        pairs=len(found),
        graded=len(judgments),
        by_grade=tuple(int(count) for count in counts),
        from_answers=from_answers,
        people=people,
    )
    return judgments, report


def asked_by(log: Log, people: int) -> list[tuple[str, int]]:
    """(query, how many different people asked it), those that enough people asked, most people first."""
    asked = log.query >= 0
    pairs = np.unique(np.column_stack([log.query[asked], log.user[asked]]), axis=0)
    count = np.bincount(pairs[:, 0], minlength=len(log.queries)) if len(pairs) else np.zeros(0, np.int64)
    found = [(query, int(n)) for query, n in zip(log.queries, count, strict=False) if n >= people and query]
    return sorted(found, key=lambda each: (-each[1], each[0]))


def told(found: Graded, row: int) -> str:
    """The evidence in words, kept beside the grade."""
    return (
        f"wanted by {found.relevance[row]:.0%} of those who looked "
        f"({found.low[row]:.0%} to {found.high[row]:.0%}, {found.evidence[row]:.0f} looks)"
    )


def _shown(answers: Iterable[Answered]) -> Iterator[EventRows]:
    """Answered pages of searches as impressions, in chunks, in order of time."""
    held: list[Answered] = []
    size = 0
    for page in answers:
        if page.place == "search" and page.query and (page.user or page.session):
            held.append(page)
            size += len(page.items)
        if size >= ANSWERED:
            yield _impressions(held)
            held, size = [], 0
    if held:
        yield _impressions(held)


def _impressions(pages: Sequence[Answered]) -> EventRows:
    each = [(page, place, item) for page in pages for place, item in enumerate(page.items)]
    n = len(each)
    return EventRows(
        time=np.array([page.time for page, _, _ in each], np.float64),
        type=np.full(n, IMPRESSION, np.int8),
        user=[page.user for page, _, _ in each],
        session=[page.session for page, _, _ in each],
        item=[item for _, _, item in each],
        query=[page.query for page, _, _ in each],
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        position=np.array([place for _, place, _ in each], np.int32),
    )


def _in_order(one: Iterable[EventRows], other: Iterable[EventRows]) -> Iterator[EventRows]:
    """Both streams as one in order of time: cut into pieces that do not meet."""

    def pieces(chunks: Iterable[EventRows]) -> Iterator[tuple[float, EventRows]]:
        for rows in chunks:
            cuts = np.flatnonzero(np.diff(rows.time)) + 1
            for part in np.split(np.arange(len(rows.time)), cuts):
                if len(part):
                    yield float(rows.time[part[0]]), rows_at(rows, part)

    for _, rows in merge(pieces(one), pieces(other), key=lambda each: each[0]):
        yield rows


def _folded(log: Log) -> Log:
    """Queries that differ in case and spaces only become one."""
    codes: dict[str, int] = {}
    of = np.array([codes.setdefault(fold_query(query), len(codes)) for query in log.queries], np.int32)
    query = np.where(log.query >= 0, of[log.query] if len(of) else NO_INTS[:0], -1) if len(of) else log.query
    return replace(log, query=np.asarray(query, np.int32), queries=tuple(codes))
