"""What one shopper did, in order of time: moments of interest, what was shown, what was searched. And the arrays of it.

Everything is kept as the newest few of a sorted set, so whatever order events come in, and however often, the state is
that of a sorted replay: what falls out is always the oldest, and what falls out once would fall out again.
Cost: 500 stored steps become a state in .7 ms; an event is one bisection. Not for: who is in memory (`online`).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field, replace

import numpy as np

from bodega.protocols import Steps
from bodega.schema import ACTIVE, EVENT_CODES, TURNED_AWAY, ItemTable
from bodega.schema.arrays import NO_CODES, NO_DOUBLES, NO_INTS, Codes, Doubles, Flags, Ints

_ACTIVE_CODES = frozenset(EVENT_CODES[name] for name in ACTIVE)
_AWAY_CODES = frozenset(EVENT_CODES[name] for name in TURNED_AWAY)
_IS_ACTIVE = np.array([code in _ACTIVE_CODES for code in range(len(EVENT_CODES))], np.bool_)
_RATING = EVENT_CODES["rating"]
_SHOWN = EVENT_CODES["impression"]
_KEPT_CODES = _ACTIVE_CODES | _AWAY_CODES
IMPRESSIONS = 200
"""Newest impressions of a shopper that are kept: ten pages of twenty."""
SEARCHES = 20
"""Newest searches of a shopper that are told, words that stay the same being one."""
ASKED = 200
"""Newest events with words that those are made of."""
LIKED = 3.0
"""A rating below this many stars is not interest."""

Searches = tuple[tuple[float, str], ...]
"""(seconds, words as typed), oldest first; words that stay the same are one search."""

Moment = tuple[float, str, int]
"""(seconds, item id, event code): the same item, type and moment twice is once."""


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


class Doings:
    """One shopper's moments, and the arrays last made of them."""

    __slots__ = (
        "_asked",
        "_beside",
        "_history",
        "_known",
        "_looked",
        "_moments",
        "_shown",
        "_table",
        "_told",
        "version",
    )

    def __init__(self) -> None:
        self._moments: list[Moment] = []
        self._known: set[Moment] = set()
        self._shown: list[tuple[float, str]] = []
        """(time, item) of the newest impressions, sorted, each once."""
        self._asked: list[tuple[float, str]] = []
        """(time, words) of the newest events with words, sorted, each once."""
        self._table: ItemTable | None = None
        self._looked = False
        """Are the impressions in `_history`?"""
        self._told = False
        """Are the searches?"""
        self._history = History()
        self._beside: tuple[ItemTable, History] | None = None
        """The same against a second table: what came after the snapshot."""
        self.version = ""
        """What of this shopper was caught from the shared states; "" nothing."""

    def fill(self, steps: Steps, limit: int) -> None:
        """Many steps at once: what is read from a store."""
        if not steps.time:
            return
        wanted = [
            (time, item, code)
            for time, code, item, value in zip(steps.time, steps.code, steps.item, steps.value, strict=True)
            if code in _KEPT_CODES and item and (code != _RATING or value is None or value >= LIKED)
        ]
        self._known.update(wanted)
        self._moments = sorted(self._known)
        for gone in self._moments[:-limit]:
            self._known.discard(gone)
        self._moments = self._moments[-limit:]
        shown = {(time, item) for time, code, item in zip(steps.time, steps.code, steps.item, strict=True)
                 if code == _SHOWN and item}  # fmt: skip
        self._shown = sorted({*self._shown, *shown})[-IMPRESSIONS:]
        asked = {(time, words) for time, words in zip(steps.time, steps.query, strict=True) if words}
        self._asked = sorted({*self._asked, *asked})[-ASKED:]
        self._table, self._looked, self._told, self._beside = None, False, False, None

    def take(self, step: tuple[float, int, str, str, float | None], limit: int) -> None:
        """One step: (seconds, code, item, words, stars)."""
        time, code, item, words, value = step
        if words and _keep(self._asked, (time, words), ASKED):
            self._told = False
        if not item:
            return
        if code == _SHOWN:
            if _keep(self._shown, (time, item), IMPRESSIONS):
                self._looked = False
        elif code in _KEPT_CODES and (code != _RATING or value is None or value >= LIKED):
            self._add((time, item, code), limit)

    def _add(self, moment: Moment, limit: int) -> None:
        if moment in self._known:
            return
        self._known.add(moment)
        insort(self._moments, moment)
        if len(self._moments) > limit:
            self._known.discard(self._moments.pop(0))
        self._table = self._beside = None

    def beside(self, table: ItemTable) -> History:
        """Interest and dislike against a second, small table, kept until something changes."""
        held = self._beside
        if held is None or held[0] is not table:
            self._beside = held = (table, _resolve(self._moments, table))
        return held[1]

    def resolved(self, table: ItemTable) -> History:
        """Against this table; made again only where something changed."""
        if self._table is not table:
            self._history, self._table = _resolve(self._moments, table), table
            self._looked = self._told = False
        if not self._looked:
            self._history, self._looked = _looked(self._history, self._shown, table), True
        if not self._told:
            self._history, self._told = replace(self._history, searches=_searches(self._asked)), True
        return self._history


def _keep(kept: list[tuple[float, str]], one: tuple[float, str], most: int) -> bool:
    """Put it where it belongs, once; False where nothing changed."""
    place = bisect_left(kept, one)
    if place < len(kept) and kept[place] == one:
        return False
    if place == 0 and len(kept) >= most:
        return False
    kept.insert(place, one)
    if len(kept) > most:
        kept.pop(0)
    return True


def _searches(asked: list[tuple[float, str]]) -> Searches:
    """Words that stay the same are one search, at its first moment."""
    first = [one for at, one in enumerate(asked) if not at or asked[at - 1][1] != one[1]]
    return tuple(first[-SEARCHES:])


def _resolve(moments: list[Moment], table: ItemTable) -> History:
    if not moments:
        return History()
    row_of = table.index.get
    when, names, kinds = zip(*moments, strict=True)
    rows = np.array([row_of(name, -1) for name in names], np.int32)
    times, codes = np.array(when, np.float64), np.array(kinds, np.int8)
    known = rows >= 0
    liked = known & _IS_ACTIVE[codes]
    away = known & ~_IS_ACTIVE[codes]
    return History(rows[liked], times[liked], codes[liked], _disliked(rows, times, (liked, away)))


def _disliked(rows: Ints, times: Doubles, kinds: tuple[Flags, Flags]) -> Ints:
    """Items turned away and not wanted again since."""
    liked, away = kinds
    if not away.any():
        return NO_INTS
    newest = dict(zip(rows[away].tolist(), times[away].tolist(), strict=True))
    for row, time in zip(rows[liked].tolist(), times[liked].tolist(), strict=True):
        if row in newest and time > newest[row]:
            del newest[row]
    return np.asarray(sorted(newest), np.int32)


def _looked(history: History, seen: list[tuple[float, str]], table: ItemTable) -> History:
    """The history with what was shown and neither clicked, put into the cart nor bought at that moment or since."""
    if not seen and not len(history.shown):
        return history
    rows = [(row, time) for time, item in seen if (row := table.index.get(item, -1)) >= 0]
    shown, times = np.asarray([row for row, _ in rows], np.int32), np.asarray([time for _, time in rows], np.float64)
    left = unanswered(shown, times, history)
    return replace(history, shown=shown[left], shown_times=times[left])


def unanswered(shown: Ints, times: Doubles, history: History) -> Flags:
    """Which impressions no interest in the same item followed: bool, (n,)."""
    newest = dict(zip(history.items.tolist(), history.times.tolist(), strict=True))
    keep = [time > newest.get(row, -math.inf) for row, time in zip(shown.tolist(), times.tolist(), strict=True)]
    return np.asarray(keep, np.bool_)
