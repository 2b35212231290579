"""What did each day come to, and is that still so? Keeps the daily counts equal to the rows that the store holds.

A day is counted again when its rows are others by now: events came late or were imported, somebody was forgotten, the
day was not over. How many rows a day has is asked of the store (1 us a row); what is removed because it is old
(`keep_days`) changes nothing: those days stay as they were counted. Today is counted up to the last whole minute.
Cost: `batch`. Not for: choosing when (`engine.insights` does that, beside the requests).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bodega.insight import batch
from bodega.insight.attribution import Logbook, Mark, Rule
from bodega.insight.counting import (
    BY_HOUR,
    BY_PLACE,
    BY_POSITION,
    DAY,
    MINUTE,
    WHOLE,
    By,
    Cell,
    Figures,
    added,
    figures,
)

LATE = 5_000_000
"""Microseconds that a page or event may take to the store: the newest of them are left to the live counts."""


@dataclass(frozen=True, slots=True)
class Kept:
    """For how long rows are kept, microseconds; 0: for good."""

    answers: int = 0
    events: int = 0


class Daily:
    """The daily counts of one shop."""

    def __init__(
        self, logbook: Logbook, rule: Rule, kept: Kept | None = None, agreed: batch.Agreed = batch.everybody
    ) -> None:
        self._logbook = logbook
        self._rule = rule
        self._kept = kept or Kept()
        self._agreed = agreed

    def stale(self, first: int, last: int, now: int) -> list[tuple[Mark, int]]:
        """Days from `first` to `last` that must be counted again: [(mark as it will be, from when)], newest first."""
        marks = self._logbook.marks(first, last)
        upto = (now - LATE) // MINUTE * MINUTE
        found = []
        for day, (answers, events) in self._rows(first, last, upto, marks).items():
            mark = Mark(day, min((day + 1) * DAY, upto), answers, events)
            held = marks.get(day)
            same = held is not None and (held.answers, held.events) == (answers, events)
            if mark.until > day * DAY and not same and not self._fades(day, mark, held, now):
                found.append((mark, day * DAY))
        return sorted(found, key=lambda each: -each[0].day)

    def _rows(self, first: int, last: int, upto: int, marks: dict[int, Mark]) -> dict[int, tuple[int, int]]:
        """Rows of each day that has any, or had."""
        rows = self._logbook.rows(first * DAY, min((last + 1) * DAY, upto))
        return dict.fromkeys(marks, (0, 0)) | rows

    def _fades(self, day: int, mark: Mark, held: Mark | None, now: int) -> bool:
        """Is it only that old rows were removed? Then the day stays as it was counted."""
        if held is None:
            return False
        faded = [
            bool(kept) and day * DAY < now - kept and mine < before
            for kept, mine, before in (
                (self._kept.answers, mark.answers, held.answers),
                (self._kept.events, mark.events, held.events),
            )
        ]
        return any(faded)

    def refresh(self, first: int, last: int, now: int, *, stop: Callable[[], bool] = lambda: False) -> int:
        """Count again what must be, newest first; how many days that were. `stop` is asked between two days."""
        count = 0
        for mark, since in self.stale(first, last, now):
            if stop():
                break
            cells = batch.count_day(self._logbook, self._rule, since, mark.until, self._agreed)
            self._logbook.keep(mark, cells)
            count += 1
        return count

    def until(self, day: int) -> int:
        """How far this day is counted (microseconds); its beginning where it is not."""
        mark = self._logbook.marks(day, day).get(day)
        return mark.until if mark is not None else day * DAY

    def cells(self, first: int, last: int, levels: Sequence[int], today: int) -> tuple[list[Cell], int]:
        """(the counts of these days, how far today is counted in them): both of one moment, though another process may
        be counting."""
        while True:
            until = self.until(today)
            found = self._logbook.cells(first, last, levels)
            if self.until(today) == until:
                return found, until


LEVEL_OF: dict[By, int] = {
    "": WHOLE,
    "place": BY_PLACE,
    "hour": BY_HOUR,
    "position": BY_POSITION,
    "source": BY_POSITION,
}


def key_of(cell: Cell, by: By) -> str:
    """What a line of this cell is called."""
    named = {"place": cell.place, "hour": f"{cell.hour:02}", "position": str(cell.position), "source": cell.source}
    return named.get(by, "")


def lines(cells: Sequence[Cell], by: By, place: str | None = None) -> dict[int, dict[str, Figures]]:
    """{day: {key: figures}}; `place` keeps one place only. Units are those of a cell, and 0 where cells were added."""
    held: dict[int, dict[str, list[Cell]]] = {}
    level = BY_PLACE if by == "" and place is not None else LEVEL_OF[by]
    for cell in cells:
        if cell.level == level and (place is None or cell.place == place):
            held.setdefault(cell.day, {}).setdefault(key_of(cell, by), []).append(cell)
    return {
        day: {
            key: figures(added([cell.counts for cell in same]), same[0].units if len(same) == 1 else 0)
            for key, same in sorted(parts.items())
        }
        for day, parts in sorted(held.items())
    }


def totals(cells: Sequence[Cell], by: By, place: str | None = None) -> dict[str, Figures]:
    """{key: figures of all days together}; units are not known."""
    held: dict[str, list[Cell]] = {}
    level = BY_PLACE if by == "" and place is not None else LEVEL_OF[by]
    for cell in cells:
        if cell.level == level and (place is None or cell.place == place):
            held.setdefault(key_of(cell, by), []).append(cell)
    return {key: figures(added([cell.counts for cell in same])) for key, same in sorted(held.items())}


def merged(cells: Sequence[Cell]) -> list[Cell]:
    """Cells of the same corner as one; their shoppers are at least those of the larger."""
    held: dict[tuple[int, int, int, str, int, str], list[Cell]] = {}
    for cell in cells:
        held.setdefault((cell.day, cell.level, cell.hour, cell.place, cell.position, cell.source), []).append(cell)
    return [
        Cell(*key, added([cell.counts for cell in same]), max(cell.units for cell in same))
        for key, same in sorted(held.items())
    ]
