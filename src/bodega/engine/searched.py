"""What came of searches? The last weeks of the log, query by query: who asked, what they chose, what they asked next.

    own      chosen on the results of the query itself (the event names it, or the item was clicked there on this visit)
    later    chosen on the same visit within half an hour of a search that led to nothing: what was meant all the time

A search is one visit's asking of one query, however often it was typed. Texts are compared folded, as search does.
Cost: 1 s a million events of those weeks and about 200 bytes a search; kept for ten minutes (`SearchLogs`).
Not for: counting pages and clicks (`insight`), nor for what a single shopper typed: names are told from `people` on.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from bodega.protocols import EventRows
from bodega.schema import EVENT_CODES, INTEREST
from bodega.understanding.language import fold

DAYS = 28
FRESH = 600.0
"""Seconds for which the log is kept."""
LATER = 1_800.0
"""Seconds after a fruitless search within which a choice is taken to be what was meant."""
TRAIL = 5
"""Fruitless searches of one visit that a choice answers, at most."""
GAINS = {"view": 1, "click": 1, "cart": 2, "purchase": 3}
"""How much a choice says, as grades of relevance."""
_GAIN = {EVENT_CODES[name]: GAINS[name] for name in INTEREST}
_SEARCH, _PURCHASE = EVENT_CODES["search"], EVENT_CODES["purchase"]


@dataclass(slots=True)
class Choice:
    """An item that was chosen after a search."""

    item: str
    gain: int
    bought: float = 0.0
    """How many were bought."""
    own: bool = True


@dataclass(slots=True)
class Asked:
    """One query over those weeks."""

    query: str
    visits: dict[str, dict[str, Choice]] = field(default_factory=dict)
    """{visit: {item: choice}}; a visit that chose nothing is there, too."""
    people: set[str] = field(default_factory=set)
    next: Counter[str] = field(default_factory=Counter)
    """{what the same visit searched next: visits}."""

    @property
    def answered(self) -> int:
        """Visits that chose something on its results."""
        return sum(any(choice.own for choice in chosen.values()) for chosen in self.visits.values())

    def chosen(self) -> Counter[str]:
        """{item: visits that chose it}."""
        return Counter(item for chosen in self.visits.values() for item in chosen)


@dataclass(frozen=True, slots=True)
class SearchLog:
    """What came of the searches of some weeks."""

    queries: dict[str, Asked]
    days: int = DAYS

    def most(self) -> list[Asked]:
        """All queries, the most searched first."""
        return sorted(self.queries.values(), key=lambda each: (-len(each.visits), each.query))

    def of(self, query: str) -> Asked:
        """One query; an empty one where nobody asked it."""
        name = told(query)
        return self.queries.get(name) or Asked(name)


def told(query: str) -> str:
    """A query as the log files it."""
    return fold(query).strip()


@dataclass(slots=True)
class _Visit:
    """What one visit has done so far."""

    trail: list[tuple[float, str]] = field(default_factory=list)
    """Its last searches, oldest first."""
    fruitful: set[str] = field(default_factory=set)
    found_by: dict[str, str] = field(default_factory=dict)
    """{item: the query that it was last chosen by}."""


def read(chunks: Iterable[EventRows], days: int = DAYS) -> SearchLog:
    """The log of the searches in these events, which come in order of time."""
    queries: dict[str, Asked] = {}
    visits: defaultdict[str, _Visit] = defaultdict(_Visit)
    folded: dict[str, str] = {}
    for at, kind, person, session, item, text, quantity in _rows(chunks):
        name = session or person
        if not name:
            continue
        query = folded.get(text)
        if query is None:
            query = folded[text] = told(text)
        if not query and name not in visits:
            continue  # a visit that searched nothing
        visit = visits[name]
        if query:
            asked = queries.setdefault(query, Asked(query))
            asked.visits.setdefault(name, {})
            asked.people.add(person or session)
            _follow(visit, at, query, queries)
        if kind in _GAIN and item:
            choice = (_GAIN[kind], quantity if kind == _PURCHASE else 0.0)
            _choose(visit, name, at, (item, query or visit.found_by.get(item, "")), choice, queries)
    return SearchLog(queries, days)


def _rows(chunks: Iterable[EventRows]) -> Iterator[tuple[float, int, str, str, str, str, float]]:
    for rows in chunks:
        yield from zip(
            rows.time.tolist(),
            rows.type.tolist(),
            rows.user,
            rows.session,
            rows.item,
            rows.query,
            rows.quantity.tolist(),
            strict=True,
        )


def _follow(visit: _Visit, at: float, query: str, queries: dict[str, Asked]) -> None:
    """The visit asks this now: what it asked before led here."""
    if visit.trail and visit.trail[-1][1] == query:
        return
    if visit.trail and at - visit.trail[-1][0] <= LATER:
        queries[visit.trail[-1][1]].next[query] += 1
    visit.trail = [*visit.trail[-TRAIL + 1 :], (at, query)]


def _choose(
    visit: _Visit, name: str, at: float, what: tuple[str, str], choice: tuple[int, float], queries: dict[str, Asked]
) -> None:
    """The visit chose an item: an answer to its own query, and to the searches before that led to nothing."""
    (item, own), (gain, bought) = what, choice
    if own:
        visit.found_by[item] = own
        visit.fruitful.add(own)
        _add(queries[own].visits.setdefault(name, {}), item, gain, bought, own=True)
    for asked_at, query in visit.trail:
        if query != own and query not in visit.fruitful and asked_at <= at <= asked_at + LATER:
            _add(queries[query].visits[name], item, gain, bought, own=False)


def _add(chosen: dict[str, Choice], item: str, gain: int, bought: float, *, own: bool) -> None:
    held = chosen.get(item)
    if held is None:
        chosen[item] = Choice(item, gain, bought, own)
    else:
        held.gain, held.bought, held.own = max(held.gain, gain), held.bought + bought, held.own or own


class SearchLogs:
    """The log of searches, read when it is asked for and kept for ten minutes."""

    def __init__(self, chunks: Callable[[int], Iterable[EventRows]]) -> None:
        """`chunks` streams the events of so many last days."""
        self._chunks = chunks
        self._held: tuple[float, SearchLog] | None = None
        self._lock = threading.Lock()

    def log(self) -> SearchLog:
        """At most ten minutes old. Raises StoreError."""
        with self._lock:  # two pages of the console that open together read it once
            if self._held is None or time.monotonic() - self._held[0] > FRESH:
                self._held = (time.monotonic(), read(self._chunks(DAYS)))
            return self._held[1]

    def forget(self) -> None:
        """Read it anew the next time (somebody was erased, events were imported)."""
        self._held = None
