"""What one shopper did, in order of time: moments of interest, what was shown, what was searched. And the arrays of it.

Everything is kept as the newest few of a sorted set, so whatever order events come in, and however often, the state is
that of a sorted replay: what falls out is always the oldest, and what falls out once would fall out again.
Kept as columns, names shared: 24 bytes a moment instead of 250 as tuples in a list and a set.
Cost: 500 stored steps become a state in .7 ms; an event is one bisection, and the next page's arrays 30 us.
Not for: who is in memory (`online`).
"""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable
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


class Moments:
    """The newest few of a sorted set of moments, as columns.

    The rows of the names in the table that they were last asked of go along: 500 look-ups in a dictionary of 100,000
    names take .3 ms, and whoever clicks five times a second is answered anew after each click.
    """

    __slots__ = ("_rows", "_table", "codes", "names", "times")

    def __init__(self) -> None:
        self.times = array("d")
        self.names: list[str] = []
        self.codes = bytearray()
        self._table: ItemTable | None = None
        self._rows = array("i")

    def __len__(self) -> int:
        return len(self.times)

    def put(self, time: float, name: str, code: int, most: int) -> bool:
        """Where it belongs, once; False where nothing changed."""
        at, size = bisect_left(self.times, time), len(self.times)
        while at < size and self.times[at] == time and (self.names[at], self.codes[at]) < (name, code):
            at += 1
        if at < size and (self.times[at], self.names[at], self.codes[at]) == (time, name, code):
            return False
        if at == 0 and size >= most:
            return False
        self.times.insert(at, time)
        self.names.insert(at, sys.intern(name))
        self.codes.insert(at, code)
        if self._table is not None:
            self._rows.insert(at, self._table.index.get(name, -1))
        if size >= most:
            del self.times[0], self.names[0], self.codes[0], self._rows[:1]
        return True

    def fill(self, moments: Iterable[Moment], most: int) -> None:
        """Many at once."""
        both = sorted({*zip(self.times, self.names, self.codes, strict=True), *moments})[-most:]
        self.times = array("d", [time for time, _, _ in both])
        self.names = [sys.intern(name) for _, name, _ in both]
        self.codes = bytearray(code for _, _, code in both)
        self._table, self._rows = None, array("i")

    def rows(self, table: ItemTable) -> Ints:
        """(n,) the row of each name in this table, -1 where it has none."""
        if self._table is not table:
            row_of = table.index.get
            self._rows = array("i", [row_of(name, -1) for name in self.names])
            self._table = table
        return np.array(self._rows, np.int32)


class Doings:
    """One shopper's moments, and the arrays last made of them."""

    __slots__ = (
        "_asked",
        "_beside",
        "_history",
        "_looked",
        "_moments",
        "_shown",
        "_table",
        "_told",
        "version",
    )

    def __init__(self) -> None:
        self._moments = Moments()
        self._shown = Moments()
        """The newest impressions."""
        self._asked = Moments()
        """Words of the newest events that have some, as names."""
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
        rows = list(zip(steps.time, steps.code, steps.item, steps.value, strict=True))
        self._moments.fill(
            ((time, item, code) for time, code, item, value in rows if item and _is_kept(code, value)),
            limit,
        )
        self._shown.fill(((time, item, 0) for time, code, item, _ in rows if code == _SHOWN and item), IMPRESSIONS)
        self._asked.fill(
            ((time, words, 0) for time, words in zip(steps.time, steps.query, strict=True) if words), ASKED
        )
        self._table, self._looked, self._told, self._beside = None, False, False, None

    def take(self, step: tuple[float, int, str, str, float | None], limit: int) -> None:
        """One step: (seconds, code, item, words, stars)."""
        time, code, item, words, value = step
        if words and self._asked.put(time, words, 0, ASKED):
            self._told = False
        if not item:
            return
        if code == _SHOWN:
            if self._shown.put(time, item, 0, IMPRESSIONS):
                self._looked = False
        elif _is_kept(code, value) and self._moments.put(time, item, code, limit):
            self._table = self._beside = None

    def beside(self, table: ItemTable) -> History:
        """Interest and dislike against a second, small table, kept until something changes."""
        held = self._beside
        if held is None or held[0] is not table:
            row_of = table.index.get
            rows = np.array([row_of(name, -1) for name in self._moments.names], np.int32)
            self._beside = held = (table, _resolve(self._moments, rows))
        return held[1]

    def resolved(self, table: ItemTable) -> History:
        """Against this table; made again only where something changed."""
        if self._table is not table:
            self._history, self._table = _resolve(self._moments, self._moments.rows(table)), table
            self._looked = self._told = False
        if not self._looked:
            self._history, self._looked = _looked(self._history, self._shown, table), True
        if not self._told:
            self._history, self._told = replace(self._history, searches=_searches(self._asked)), True
        return self._history


def _is_kept(code: int, value: float | None) -> bool:
    return code in _KEPT_CODES and (code != _RATING or value is None or value >= LIKED)


def _searches(asked: Moments) -> Searches:
    """Words that stay the same are one search, at its first moment."""
    words = asked.names
    first = [at for at in range(len(words)) if not at or words[at - 1] != words[at]]
    return tuple((asked.times[at], words[at]) for at in first[-SEARCHES:])


def _resolve(moments: Moments, rows: Ints) -> History:
    """The history of these moments; `rows` (n,) are those of a table, -1 for what it does not hold."""
    if not len(moments):
        return History()
    times, codes = np.array(moments.times, np.float64), np.frombuffer(bytes(moments.codes), np.int8)
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


def _looked(history: History, seen: Moments, table: ItemTable) -> History:
    """The history with what was shown and neither clicked, put into the cart nor bought at that moment or since."""
    if not len(seen) and not len(history.shown):
        return history
    rows = np.array([table.index.get(item, -1) for item in seen.names], np.int32)
    known = rows >= 0
    shown, times = rows[known], np.array(seen.times, np.float64)[known]
    left = unanswered(shown, times, history)
    return replace(history, shown=shown[left], shown_times=times[left])


def unanswered(shown: Ints, times: Doubles, history: History) -> Flags:
    """Which impressions no interest in the same item followed: bool, (n,)."""
    newest = dict(zip(history.items.tolist(), history.times.tolist(), strict=True))
    keep = [time > newest.get(row, -math.inf) for row, time in zip(shown.tolist(), times.tolist(), strict=True)]
    return np.asarray(keep, np.bool_)
