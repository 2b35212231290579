"""What did people see, place by place, and what did they choose of it? Pages as flat arrays.

Pages come from the log of answers; where there is none (a shop that only imports events), impressions of one shopper at
one moment are one page, in the order of their positions. A choice (click, cart, purchase; a view where nobody reports
clicks) belongs to the newest page of the same shopper, at most half an hour before, that held the item: pages and
events need no common id for that. Ids become numbers here and do not come out again.
Cost: 1 us an item shown; 24 bytes each. Not for: revenue or causes (a choice is not owed to the page it came from).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from bodega.protocols import EventRows
from bodega.schema import EVENT_CODES
from bodega.schema.answers import Answered
from bodega.schema.arrays import Doubles, Flags, Ints, Longs

CHOSEN = ("click", "cart", "purchase")
WITHIN = 1_800.0
"""Seconds after a page in which what was chosen belongs to it."""
_SHOWN, _VIEW, _BOUGHT = EVENT_CODES["impression"], EVENT_CODES["view"], EVENT_CODES["purchase"]


@dataclass(frozen=True, slots=True, eq=False)
class Pages:
    """n pages with m places in all; a page's places are next to each other, best first."""

    time: Doubles
    """(n,) seconds since 1970."""
    unit: Longs
    """(n,) number of the shopper or guest, -1 for nobody."""
    known: Flags
    """(n,) was it a shopper with an id? (Else a guest, or nobody.)"""
    words: tuple[str, ...]
    """(n,) what was searched, "" for other lists."""
    starts: Longs
    """(n + 1,)"""
    item: Ints
    """(m,) row of the catalog, -1 for what is gone."""
    place: Ints
    """(m,) from 0."""
    chosen: Flags
    """(m,)"""
    bought: Flags
    """(m,)"""
    first: Doubles
    """(n_units,) when each unit was first heard of, as far as the events that were read go back."""
    of: str = "answers"
    """`answers` or `impressions`: what the pages were made of."""

    @property
    def page(self) -> Longs:
        """(m,) the page of each place."""
        return np.repeat(np.arange(len(self.time)), np.diff(self.starts))


@dataclass(slots=True)
class _Builder:
    """Pages in the making."""

    index: Mapping[str, int]
    of: str
    time: list[float] = field(default_factory=list)
    unit: list[int] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=lambda: [0])
    item: list[int] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    units: dict[str, int] = field(default_factory=dict)
    where: dict[tuple[int, int], list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    """{(unit, item): [(time, row of the place)]}."""

    def add(self, time: float, unit: str, words: str, items: Iterable[tuple[int, str]]) -> None:
        number = self.units.setdefault(unit, len(self.units)) if unit else -1
        for place, name in items:
            row = self.index.get(name, -1)
            if row >= 0 and number >= 0:
                self.where[number, row].append((time, len(self.item)))
            self.item.append(row)
            self.place.append(place)
        self.time.append(time)
        self.unit.append(number)
        self.known.append(unit.startswith("u:"))
        self.words.append(words)
        self.starts.append(len(self.item))

    def close(self, events: Iterable[EventRows]) -> Pages:
        chosen, bought = np.zeros(len(self.item), np.bool_), np.zeros(len(self.item), np.bool_)
        first = np.full(len(self.units), np.inf)
        for time, unit in zip(self.time, self.unit, strict=True):
            if unit >= 0:
                first[unit] = min(first[unit], time)
        self._mark(events, chosen, bought, first)
        return Pages(
            np.array(self.time, np.float64),
            np.array(self.unit, np.int64),
            np.array(self.known, np.bool_),
            tuple(self.words),
            np.array(self.starts, np.int64),
            np.array(self.item, np.int32),
            np.array(self.place, np.int32),
            chosen,
            bought,
            first,
            self.of,
        )

    def _mark(self, events: Iterable[EventRows], chosen: Flags, bought: Flags, first: Doubles) -> None:
        for held in self.where.values():
            held.sort()
        wanted = {EVENT_CODES[name] for name in CHOSEN}
        looked: list[int] = []
        for rows in events:
            for at, code, user, session, name in zip(
                rows.time.tolist(), rows.type.tolist(), rows.user, rows.session, rows.item, strict=True
            ):
                number = self.units.get(f"u:{user}" if user else f"s:{session}", -1)
                if number >= 0 and at < first[number]:
                    first[number] = at
                if code not in wanted and code != _VIEW:
                    continue
                row = self._row(at, user, session, name)
                if row < 0:
                    continue
                if code == _VIEW:
                    looked.append(row)
                    continue
                chosen[row] = True
                bought[row] |= code == _BOUGHT
        if not chosen.any():
            chosen[looked] = True

    def _row(self, at: float, user: str, session: str, name: str) -> int:
        """The place that this choice came from, -1 for none."""
        row = self.index.get(name, -1)
        for unit in (f"u:{user}" if user else "", f"s:{session}" if session else ""):
            held = self.where.get((self.units.get(unit, -1), row), ()) if row >= 0 and unit else ()
            place = bisect_right(held, (at, 2**62)) - 1 if held else -1
            if place >= 0 and at - held[place][0] <= WITHIN:
                return held[place][1]
        return -1


def pages_of(answers: Iterable[Answered], events: Iterable[EventRows], index: Mapping[str, int]) -> Pages:
    """Pages of the log of answers, in order of time. `index`: {item id: row of the catalog}. The events may begin
    earlier than the pages: who is new is told by them."""
    built = _Builder(index, "answers")
    for one in answers:
        built.add(one.time, one.unit, one.query, enumerate(one.items, one.offset))
    return built.close(events)


def pages_shown(events: Iterable[EventRows], choices: Iterable[EventRows], index: Mapping[str, int]) -> Pages:
    """Pages made of impressions: those of one shopper at one moment with the same words. (Events are read twice.)"""
    built = _Builder(index, "impressions")
    held: dict[tuple[float, str, str], list[tuple[int, str]]] = {}
    last = -1.0
    for rows in events:
        for at, code, user, session, name, words, place in zip(
            rows.time.tolist(), rows.type.tolist(), rows.user, rows.session, rows.item, rows.query,
            rows.position.tolist(), strict=True,
        ):  # fmt: skip
            if code != _SHOWN:
                continue
            if at != last:
                _flush(built, held)
                last = at
            unit = f"u:{user}" if user else f"s:{session}" if session else ""
            own = held.setdefault((at, unit, words), [])
            own.append((place if place >= 0 else len(own), name))
    _flush(built, held)
    return built.close(choices)


def _flush(built: _Builder, held: dict[tuple[float, str, str], list[tuple[int, str]]]) -> None:
    for (time, unit, words), items in held.items():
        built.add(time, unit, words, sorted(items))
    held.clear()
