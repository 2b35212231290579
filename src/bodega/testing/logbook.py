"""What counts are made of, in memory: `insight.attribution.Logbook` over the stores of `testing.fakes`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bodega.insight.attribution import COUNTED, Happened, Mark
from bodega.insight.counting import DAY, Cell
from bodega.schema import EVENT_CODES, Event
from bodega.schema.answers import Answered
from bodega.testing.answers import MemoryAnswers

Counted = dict[int, tuple[Mark, list[Cell]]]
"""{day: its mark and counts}."""


def micro(event: Event) -> int:
    """Microseconds since 1970 UTC."""
    return round(event.time.timestamp() * 1e6)


def happened(events: Sequence[Event]) -> Happened:
    """Events as columns, in the order given."""
    return Happened(
        np.array([micro(event) for event in events], np.int64),
        np.array([EVENT_CODES[event.type] for event in events], np.int8),
        np.array([-1 if event.position is None else event.position for event in events], np.int32),
        np.array([event.price for event in events], np.float64),
        np.array([event.quantity for event in events], np.float64),
        [event.id for event in events],
        [event.user for event in events],
        [event.session for event in events],
        [event.item for event in events],
        [event.place for event in events],
        [event.request_id for event in events],
        [event.currency for event in events],
        [event.query for event in events],
    )


class MemoryLogbook:
    """Implements `insight.attribution.Logbook`. `events` gives all that are stored."""

    def __init__(
        self, answers: MemoryAnswers, events: Callable[[], Sequence[Event]], kept: Counted | None = None
    ) -> None:
        self._answers = answers
        self._events = events
        self._kept: Counted = {} if kept is None else kept

    def pages(self, since: int, until: int) -> Iterator[Answered]:
        return self._answers.scan(since / 1e6, until / 1e6)

    def named(self, requests: Sequence[str]) -> list[Answered]:
        found = [page for name in requests if (page := self._answers.find(name)) is not None]
        return sorted(found, key=lambda page: (page.time, page.request_id))

    def happened(self, since: int, until: int, types: Sequence[int] = COUNTED) -> Iterator[Happened]:
        held = [event for event in self._events() if EVENT_CODES[event.type] in types]
        inside = [event for event in held if since <= micro(event) < until]
        if inside:
            yield happened(sorted(inside, key=lambda event: (micro(event), event.id)))

    def rows(self, since: int, until: int) -> dict[int, tuple[int, int]]:
        pages = Counter(round(page.time * 1e6) // DAY for page in self.pages(since, until))
        events = Counter(micro(event) // DAY for event in self._events() if since <= micro(event) < until)
        return {day: (pages[day], events[day]) for day in pages.keys() | events.keys()}

    def newest(self) -> int:
        times = [micro(event) for event in self._events()]
        times += [round(page.time * 1e6) for page in self._answers.scan()]
        return max(times, default=0)

    def marks(self, first: int, last: int) -> dict[int, Mark]:
        return {day: mark for day, (mark, _) in self._kept.items() if first <= day <= last}

    def cells(self, first: int, last: int, levels: Sequence[int]) -> list[Cell]:
        held = [cell for day, (_, cells) in self._kept.items() if first <= day <= last for cell in cells]
        return sorted(
            (cell for cell in held if cell.level in levels),
            key=lambda cell: (cell.day, cell.level, cell.hour, cell.place, cell.position, cell.source),
        )

    def keep(self, mark: Mark, cells: Sequence[Cell]) -> None:
        self._kept[mark.day] = (mark, list(cells))
