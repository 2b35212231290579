"""What do we know about this shopper right now? The newest events of every recent shopper, in memory.

An event is put here the moment it is durable, so the very next request sees it. A shopper who is not in memory is read
from the event store once (newest events only) and kept; the least recently seen are dropped first. Guests are known by
session; a signed-in shopper's list also takes in what the same session did before signing in.
Late events go where their time says: the state equals the one that a sorted replay would give.
What the shopper was shown is kept apart, the newest 200 impressions: many come with every page, and they must push no
click out of the history, nor make it be resolved anew.
Cost: about 60 bytes an event; a cached request costs one dictionary look-up, 200 new impressions .1 ms. Not for:
features with decay (the readers of a context decay what they read).
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from bodega import failpoints
from bodega.schema import ACTIVE, EVENT_CODES, TURNED_AWAY, Event, EventType, ItemTable
from bodega.schema.arrays import NO_CODES, NO_DOUBLES, NO_INTS, Codes, Doubles, Flags, Ints

Recent = Callable[[str, str, int], list[Event]]
"""(user, session, limit) -> newest events, oldest first: how a shopper who is not in memory is read."""

_ACTIVE_CODES = frozenset(EVENT_CODES[name] for name in ACTIVE)
_AWAY_CODES = frozenset(EVENT_CODES[name] for name in TURNED_AWAY)
_RATING = EVENT_CODES["rating"]
_SHOWN = EVENT_CODES["impression"]
_COUNTED_CODES = _ACTIVE_CODES | _AWAY_CODES | {_SHOWN}
IMPRESSIONS = 200
"""Newest impressions of a shopper that are kept: ten pages of twenty."""
SEARCHES = 20
"""Newest searches of a shopper that are kept."""
LIKED = 3.0
"""A rating below this many stars is not interest."""


@dataclass(frozen=True, slots=True)
class History:
    """A shopper's newest events resolved against one item table: see `Context` for the shapes."""

    items: Ints = field(default_factory=lambda: NO_INTS)
    times: Doubles = field(default_factory=lambda: NO_DOUBLES)
    actions: Codes = field(default_factory=lambda: NO_CODES)
    disliked: Ints = field(default_factory=lambda: NO_INTS)
    shown: Ints = field(default_factory=lambda: NO_INTS)
    shown_times: Doubles = field(default_factory=lambda: NO_DOUBLES)
    searches: Searches = ()

    @property
    def known(self) -> bool:
        """Is there anything in it?"""
        return bool(len(self.items) or len(self.disliked) or len(self.shown) or self.searches)


Searches = tuple[tuple[float, str], ...]
"""(seconds, words as typed), oldest first; words that stay the same are one search."""


@dataclass(order=True, frozen=True, slots=True)
class _Moment:
    """One event, as little as is needed, in time order; the same item, type and moment twice is once."""

    time: float
    item: str
    code: int


class _Shopper:
    """One shopper's moments, and the arrays last made of them."""

    __slots__ = ("history", "known", "looked", "moments", "searches", "shown", "table")

    def __init__(self) -> None:
        self.moments: list[_Moment] = []
        self.known: set[_Moment] = set()
        self.shown: list[tuple[float, str]] = []
        """(time, item) of the newest impressions, sorted, each once."""
        self.searches: list[tuple[float, str]] = []
        """(time, words) of the newest searches, sorted, each once."""
        self.table: ItemTable | None = None
        self.looked = False
        """Are the impressions in `history`?"""
        self.history = History()

    def add(self, moment: _Moment, limit: int) -> None:
        if moment.code == _SHOWN:
            self._see((moment.time, moment.item))
            return
        if moment in self.known:
            return
        self.known.add(moment)
        insort(self.moments, moment)
        if len(self.moments) > limit:
            self.known.discard(self.moments.pop(0))
        self.table = None

    def ask(self, time: float, words: str) -> None:
        """What was searched, or searched for what was then clicked."""
        place = bisect_right(self.searches, (time, words))
        if place and self.searches[place - 1][1] == words:
            return
        self.searches.insert(place, (time, words))
        if len(self.searches) > SEARCHES:
            self.searches.pop(0)

    def _see(self, seen: tuple[float, str]) -> None:
        place = bisect_right(self.shown, seen)
        if place and self.shown[place - 1] == seen:
            return
        self.shown.insert(place, seen)
        if len(self.shown) > IMPRESSIONS:
            self.shown.pop(0)
        self.looked = False

    def resolved(self, table: ItemTable) -> History:
        if self.table is not table:
            self.history, self.table, self.looked = _resolve(self.moments, table), table, False
        if not self.looked:
            self.history, self.looked = _looked(self.history, self.shown, table), True
        if len(self.searches) != len(self.history.searches) or self.searches[-1:] != [*self.history.searches[-1:]]:
            self.history = replace(self.history, searches=tuple(self.searches))
        return self.history

    def take(self, event: Event, limit: int) -> None:
        """Everything of an event that this state keeps."""
        if event.query:
            self.ask(event.time.timestamp(), event.query)
        if _counts(event):
            self.add(_moment(event), limit)


class Shoppers:
    """The states of the most recent shoppers.

    >>> shoppers = Shoppers(lambda user, session, limit: [], limit=100)
    >>> shoppers.history("nobody", "", ItemTable.of([])).items.tolist()
    []
    """

    def __init__(self, recent: Recent, *, limit: int, capacity: int = 50_000) -> None:
        self._recent = recent
        self._limit = limit
        self._capacity = capacity
        self._known: OrderedDict[tuple[str, str], _Shopper] = OrderedDict()
        self._lock = threading.RLock()  # events arrive on the store's thread, requests on the caller's

    def observe(self, events: Iterable[Event]) -> None:
        """Take in events that are durable. Only shoppers in memory are updated; others are read when they come."""
        with self._lock:
            for event in events:
                shopper = self._known.get(_key(event.user, event.session))
                if shopper is not None:
                    shopper.take(event, self._limit)

    def history(self, user: str, session: str, table: ItemTable) -> History:
        """What this shopper did, newest last, as indices of `table`; empty for nobody."""
        with self._lock:
            own = self._shopper("user", user).resolved(table) if user else None
            guest = self._shopper("session", session).resolved(table) if session else None
        if own is None or guest is None or not guest.known:
            return own or guest or History()
        return _merged(own, guest)

    def forget_all(self) -> None:
        """Drop every state; they are read again from the store when needed."""
        with self._lock:
            self._known.clear()

    def _shopper(self, kind: str, name: str) -> _Shopper:
        key = (kind, name)
        shopper = self._known.get(key)
        if shopper is None:
            shopper = self._known[key] = self._read(kind, name)
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return shopper

    def _read(self, kind: str, name: str) -> _Shopper:
        shopper = _Shopper()
        user, session = (name, "") if kind == "user" else ("", name)
        if failpoints.ON:
            failpoints.reach("history.read")
        for event in self._recent(user, session, self._limit):
            if _key(event.user, event.session) == (kind, name):
                shopper.take(event, self._limit)
        return shopper


def _key(user: str, session: str) -> tuple[str, str]:
    return ("user", user) if user else ("session", session)


def _counts(event: Event) -> bool:
    if event.type is EventType.RATING:
        return bool(event.item) and (event.value is None or event.value >= LIKED)
    return bool(event.item) and EVENT_CODES[event.type] in _COUNTED_CODES


def _moment(event: Event) -> _Moment:
    return _Moment(event.time.timestamp(), event.item, EVENT_CODES[event.type])


def _resolve(moments: list[_Moment], table: ItemTable) -> History:
    rows = [(table.index.get(moment.item, -1), moment) for moment in moments]
    known = [(row, moment) for row, moment in rows if row >= 0]
    liked = [(row, moment) for row, moment in known if moment.code in _ACTIVE_CODES]
    away = {row: moment.time for row, moment in known if moment.code in _AWAY_CODES}
    bought_again = {row for row, moment in liked if row in away and moment.time > away[row]}
    return History(
        np.asarray([row for row, _ in liked], np.int32),
        np.asarray([moment.time for _, moment in liked], np.float64),
        np.asarray([moment.code for _, moment in liked], np.int8),
        np.asarray(sorted(set(away) - bought_again), np.int32),
    )


def _looked(history: History, seen: list[tuple[float, str]], table: ItemTable) -> History:
    """The history with what was shown and neither clicked, put into the cart nor bought at that moment or since."""
    if not seen and not len(history.shown):
        return history
    rows = [(row, time) for time, item in seen if (row := table.index.get(item, -1)) >= 0]
    shown, times = np.asarray([row for row, _ in rows], np.int32), np.asarray([time for _, time in rows], np.float64)
    left = _unanswered(shown, times, history)
    return replace(history, shown=shown[left], shown_times=times[left])


def _unanswered(shown: Ints, times: Doubles, history: History) -> Flags:
    """Which impressions no interest in the same item followed: bool, (n,)."""
    newest = dict(zip(history.items.tolist(), history.times.tolist(), strict=True))
    keep = [time > newest.get(row, -math.inf) for row, time in zip(shown.tolist(), times.tolist(), strict=True)]
    return np.asarray(keep, np.bool_)


def _merged(own: History, guest: History) -> History:
    """Both lists in time order; on equal times the shopper's own come first."""
    places = np.asarray([bisect_right(own.times, time) for time in guest.times], np.intp)
    both = History(
        np.insert(own.items, places, guest.items),
        np.insert(own.times, places, guest.times),
        np.insert(own.actions, places, guest.actions),
        np.union1d(own.disliked, guest.disliked).astype(np.int32),
        searches=tuple(sorted({*own.searches, *guest.searches})),
    )
    if not (len(own.shown) or len(guest.shown)):
        return both
    times = np.concatenate([own.shown_times, guest.shown_times])
    order = np.argsort(times, kind="stable")
    shown, times = np.concatenate([own.shown, guest.shown])[order], times[order]
    left = _unanswered(shown, times, both)
    return replace(both, shown=shown[left], shown_times=times[left])
