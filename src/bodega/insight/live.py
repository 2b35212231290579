"""What is happening now? The same counts as the daily ones, of the last hours, one row at a time and in any order.

Nothing is counted while nobody looks. The first look reads the last two hours from the store; from then on events come
in as they are acknowledged in any process of the shop, and pages are read from the log once a second, whichever
process answered them. Each row is taken once (by request, by event id); an event that comes before its page waits for
it: when a page arrives, what it may change is taken back and counted anew, so the figures after any arrival are those
of the whole set. After a quarter of an hour without a look everything is let go.
Bounds: the newest 50,000 pages and 200,000 events; what is pushed out keeps the counts that it has.
Cost: 65 us a page of 20 items, 25 us an event (docs/decisions/0046). Not for: more than three hours (`daily`).
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bodega.insight.attribution import (
    AHEAD,
    CART,
    CLICK,
    COUNTED,
    IMPRESSION,
    NONE,
    OLDEST,
    PURCHASE,
    REQUEST,
    TOLD,
    TOUCH,
    VIEW,
    Rule,
)
from bodega.insight.counting import DAY, FIELDS, MINUTE, PLACE, bounded, money
from bodega.schema import EVENT_CODES, Event
from bodega.schema.answers import Answered

PAGES = 50_000
EVENTS = 200_000
KEPT_MINUTES = 180
"""Minutes whose counts are held."""
WIDTH = len(FIELDS)

Corner = tuple[str, int, str]
"""(place, position, source)."""
Attribution = tuple["_Page | None", int, Corner]
"""(page, how, corner)."""
_NAMES = {IMPRESSION: "impressions", VIEW: "views", CLICK: "clicks", CART: "carts", PURCHASE: "purchases"}
_COLUMN = {code: PLACE[name] for code, name in _NAMES.items()}
_HOW = {REQUEST: PLACE["by_request"], TOUCH: PLACE["by_touch"], TOLD: PLACE["told"], NONE: PLACE["unattributed"]}
_REVENUE, _CLICKED, _BOUGHT = PLACE["revenue"], PLACE["clicked"], PLACE["bought"]


@dataclass(slots=True)
class _Page:
    at: int
    request: str
    place: str
    whose: tuple[str, ...]
    offset: int
    items: tuple[str, ...]
    sources: tuple[str, ...]
    led: list[tuple[int, str]] = field(default_factory=list)
    """(time, id) of the events on what it led to, in order; of purchases in `sold`."""
    sold: list[tuple[int, str]] = field(default_factory=list)

    def corner(self, item: str, otherwise: int) -> Corner:
        try:
            number = self.items.index(item)
        except ValueError:
            return self.place, otherwise, ""
        return self.place, bounded(self.offset + number), self.sources[number] if number < len(self.sources) else ""


@dataclass(slots=True)
class _Event:
    at: int
    id: str
    type: int
    item: str
    place: str
    position: int
    request: str
    revenue: int
    whose: tuple[str, ...]
    now: Attribution | None = None
    """What it is put down to."""


class Minute:
    """The counts of one minute, by corner, and who was there."""

    __slots__ = ("corners", "units")

    def __init__(self) -> None:
        self.corners: dict[Corner, list[int]] = {}
        self.units: dict[str, dict[str, int]] = {}
        """{place: {shopper: rows}}."""


def _whose(user: str, session: str) -> tuple[str, ...]:
    return tuple(name for name in (user and f"u:{user}", session and f"s:{session}") if name)


class Live:
    """Counts of the last hours. Calls are safe from several threads."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._lock = threading.Lock()
        self._pages: OrderedDict[str, _Page] = OrderedDict()
        self._shown_to: dict[str, list[tuple[int, str]]] = {}
        """{shopper: (time, request) of the pages, in order}."""
        self._events: OrderedDict[str, _Event] = OrderedDict()
        self._by_request: dict[str, list[str]] = {}
        self._by_touch: dict[tuple[str, str], list[str]] = {}
        """{(shopper, item): ids of events that name no page in the log}."""
        self.minutes: dict[int, Minute] = {}
        self._oldest = 0

    # -- what comes in --------------------------------------------------------------------------------------------

    def answered(self, pages: Iterable[Answered]) -> int:
        """Take in pages; how many were new."""
        with self._lock:
            return sum(self._take_page(page) for page in pages)

    def observe(self, events: Iterable[Event]) -> int:
        """Take in events; how many were new and count."""
        with self._lock:
            return sum(self._take_event(event) for event in events)

    def trim(self, now: int) -> None:
        """Let go of minutes that are too old."""
        with self._lock:
            self._oldest = now // MINUTE - KEPT_MINUTES
            for minute in [minute for minute in self.minutes if minute < self._oldest]:
                del self.minutes[minute]

    def _take_page(self, told: Answered) -> bool:
        if told.request_id in self._pages:
            return False
        at = round(told.time * 1e6)
        page = _Page(
            at, told.request_id, told.place, _whose(told.user, told.session), told.offset, told.items, told.sources
        )
        self._pages[page.request] = page
        for name in page.whose:
            insort(self._shown_to.setdefault(name, []), (at, page.request))
        self._add(at, (page.place, -1, ""), PLACE["answers"], 1)
        self._add(at, (page.place, -1, ""), PLACE["zero"], int(not page.items))
        self._add(at, (page.place, -1, ""), PLACE["degraded"], int(bool(told.degraded)))
        for number in range(len(page.items)):
            source = page.sources[number] if number < len(page.sources) else ""
            self._add(at, (page.place, bounded(page.offset + number), source), PLACE["shown"], 1)
        self._present(at, page.place, page.whose, 1)
        waiting = list(self._by_request.get(page.request, ()))
        for name in page.whose:
            for item in page.items:
                waiting += self._by_touch.get((name, item), ())
        for event in dict.fromkeys(waiting):
            self._put(self._events[event])
        while len(self._pages) > PAGES:
            self._drop_page()
        return True

    def _take_event(self, told: Event) -> bool:
        code = EVENT_CODES[told.type]
        if code not in COUNTED:
            return False
        at = _micro(told)
        name = _name(told, at)
        if name in self._events:
            return False
        event = _Event(
            at, name, code, told.item, told.place, bounded(told.position), told.request_id,
            money(told.price, told.quantity, told.currency, self._rule.currency) if code == PURCHASE else 0,
            _whose(told.user, told.session),
        )  # fmt: skip
        self._events[name] = event
        if event.request:
            self._by_request.setdefault(event.request, []).append(name)
        for who in event.whose:
            self._by_touch.setdefault((who, event.item), []).append(name)
        self._put(event)
        while len(self._events) > EVENTS:
            self._drop_event()
        return True

    # -- the rule -------------------------------------------------------------------------------------------------

    def _put(self, event: _Event) -> None:
        """Count an event where it belongs as of now, and no longer where it was."""
        found = self._attributed(event)
        if found == event.now:
            return
        if event.now is not None:
            self._count(event, event.now, -1)
        event.now = found
        self._count(event, found, 1)

    def _attributed(self, event: _Event) -> Attribution:
        page = self._pages.get(event.request) if event.request else None
        if page is not None and -AHEAD <= event.at - page.at <= OLDEST:
            return page, REQUEST, page.corner(event.item, event.position)
        page = self._touched(event)
        if page is not None:
            return page, TOUCH, page.corner(event.item, -1)
        return (None, TOLD, (event.place, event.position, "")) if event.place else (None, NONE, ("", -1, ""))

    def _touched(self, event: _Event) -> _Page | None:
        """The newest page in the window that showed the item to the same shopper."""
        best: _Page | None = None
        for name in event.whose:
            shown = self._shown_to.get(name, ())
            for at, request in reversed(shown[: bisect_left(shown, (event.at + 1, ""))]):
                if at < event.at - self._rule.window or (best is not None and (at, request) <= (best.at, best.request)):
                    break
                page = self._pages[request]
                if event.item in page.items and event.place in ("", page.place):
                    best = page
                    break
        return best

    # -- counts ---------------------------------------------------------------------------------------------------

    def _count(self, event: _Event, found: Attribution, step: int) -> None:
        page, how, corner = found
        self._add(event.at, corner, _COLUMN[event.type], step)
        self._add(event.at, corner, _REVENUE, step * event.revenue)
        self._present(event.at, corner[0], event.whose, step)
        if event.type == IMPRESSION:
            return
        self._add(event.at, corner, _HOW[how], step)
        if page is not None:
            self._first(page.led, event, step, _CLICKED)
            if event.type == PURCHASE:
                self._first(page.sold, event, step, _BOUGHT)

    def _first(self, of: list[tuple[int, str]], event: _Event, step: int, column: int) -> None:
        """A page counts once a day, where the first of its events counts: move that when an earlier one comes."""
        day = event.at // DAY
        before = self._leader(of, day)
        if step > 0:
            insort(of, (event.at, event.id))
        else:
            of.remove((event.at, event.id))
        after = self._leader(of, day)
        if before == after:
            return
        for leader, way in ((before, -1), (after, 1)):
            if leader is not None:
                led = self._events.get(leader[1])
                if led is not None and led.now is not None:
                    self._add(leader[0], led.now[2], column, way)

    @staticmethod
    def _leader(of: list[tuple[int, str]], day: int) -> tuple[int, str] | None:
        at = bisect_left(of, (day * DAY, ""))
        return of[at] if at < len(of) and of[at][0] // DAY == day else None

    def _add(self, at: int, corner: Corner, column: int, by: int) -> None:
        if not by:
            return
        minute = at // MINUTE
        if minute < self._oldest:
            return
        held = self.minutes.get(minute)
        if held is None:
            held = self.minutes[minute] = Minute()
        counts = held.corners.get(corner)
        if counts is None:
            counts = held.corners[corner] = [0] * WIDTH
        counts[column] += by

    def _present(self, at: int, place: str, whose: Sequence[str], step: int) -> None:
        if whose and (held := self.minutes.get(at // MINUTE)) is not None:
            there = held.units.setdefault(place, {})
            there[whose[0]] = there.get(whose[0], 0) + step

    # -- bounds ---------------------------------------------------------------------------------------------------

    def _drop_page(self) -> None:
        _, page = self._pages.popitem(last=False)
        for name in page.whose:
            shown = self._shown_to[name]
            shown.remove((page.at, page.request))
            if not shown:
                del self._shown_to[name]

    def _drop_event(self) -> None:
        _, event = self._events.popitem(last=False)
        for held, key in (
            (self._by_request, event.request),
            *((self._by_touch, (who, event.item)) for who in event.whose),
        ):
            ids = held.get(key)  # type: ignore[attr-defined]
            if ids:
                ids.remove(event.id)
                if not ids:
                    del held[key]  # type: ignore[attr-defined]

    # -- what is asked --------------------------------------------------------------------------------------------

    def counts(self, since: int, until: int) -> dict[Corner, list[int]]:
        """{(place, position, source): counts} of whole minutes in [since, until), microseconds."""
        total: dict[Corner, list[int]] = {}
        with self._lock:
            for minute, held in self.minutes.items():
                if since <= minute * MINUTE < until:
                    for corner, counts in held.corners.items():
                        into = total.setdefault(corner, [0] * WIDTH)
                        for column, number in enumerate(counts):
                            into[column] += number
        return {corner: counts for corner, counts in total.items() if any(counts)}

    def units(self, since: int, until: int) -> dict[str, int]:
        """{place: different shoppers}; "*": in all."""
        there: dict[str, set[str]] = {"*": set()}
        with self._lock:
            for minute, held in self.minutes.items():
                if since <= minute * MINUTE < until:
                    for place, rows in held.units.items():
                        present = {name for name, count in rows.items() if count > 0}
                        there.setdefault(place, set()).update(present)
                        there["*"] |= present
        return {place: len(names) for place, names in there.items()}

    def __len__(self) -> int:
        """Pages and events that are held."""
        return len(self._pages) + len(self._events)


def _name(event: Event, at: int) -> str:
    """The event's id; of one that was given none, what it says: the id that a store makes for it is another one."""
    if event.id and not event.id.startswith(f"{at:x}-"):
        return event.id
    said = (event.type, event.user, event.session, event.item, event.query, event.place, event.position)
    return f"{at:x}-{hash((*said, event.request_id, event.price, event.quantity)):x}"


def _micro(event: Event) -> int:
    return round(event.time.timestamp() * 1e6)
