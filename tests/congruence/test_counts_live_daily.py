"""Live counts plus daily counts are what a batch over the stored rows counts, in whatever order rows arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from bodega.insight.attribution import Rule
from bodega.insight.batch import count_day
from bodega.insight.counting import BY_HOUR, BY_PLACE, BY_POSITION, DAY, FIELDS, MINUTE, WHOLE, Cell, added
from bodega.insight.live import Live
from bodega.schema import Event, EventType
from bodega.schema.answers import Answered
from bodega.testing.answers import MemoryAnswers
from bodega.testing.logbook import MemoryLogbook

START = 20_000 * DAY + 9 * 60 * MINUTE
PLACES = ("home", "search", "similar")
SOURCES = ("popular", "lexical", "rule", "")
RULE = Rule(window=30 * MINUTE, currency="EUR")


@dataclass(frozen=True)
class Morning:
    """Two hours of a small shop."""

    pages: tuple[Answered, ...]
    events: tuple[Event, ...]

    @property
    def logbook(self) -> MemoryLogbook:
        store = MemoryAnswers()
        store.put(self.pages)
        return MemoryLogbook(store, lambda: self.events)


def morning(seed: int, pages: int = 300, events: int = 900) -> Morning:
    rng = np.random.default_rng(seed)
    items = [f"i{number}" for number in range(25)]

    def whose() -> dict[str, str]:
        who = int(rng.integers(0, 12))
        return {"user": f"u{who}" if who < 8 else "", "session": f"s{who}" if who % 2 or who >= 8 else ""}

    shown = []
    for number in range(pages):
        size = int(rng.choice([0, 5, 8]))
        shown.append(
            Answered(
                request_id=f"r{number}",
                time=(START + int(rng.integers(0, 120 * MINUTE))) / 1e6,
                place=PLACES[int(rng.integers(0, 3))],
                **whose(),
                items=tuple(rng.choice(items, size, replace=False)),
                sources=tuple(rng.choice(SOURCES, size)),
                offset=int(rng.choice([0, 0, 8])),
                degraded=("slow",) if rng.random() < 0.1 else (),
            )
        )
    happened = []
    kinds = [
        EventType.IMPRESSION,
        EventType.VIEW,
        EventType.CLICK,
        EventType.CART,
        EventType.PURCHASE,
        EventType.SEARCH,
    ]
    for number in range(events):
        page = shown[int(rng.integers(0, pages))]
        named = rng.random() < 0.5
        at = round(page.time * 1e6) + int(rng.integers(-2 * MINUTE, 50 * MINUTE))
        item = page.items[int(rng.integers(0, len(page.items)))] if page.items else str(rng.choice(items))
        happened.append(
            Event(
                type=kinds[int(rng.integers(0, 6))],
                time=datetime.fromtimestamp(at / 1e6, UTC),
                id=f"e{number}",
                user=page.user or ("u99" if not page.session else ""),
                session=page.session,
                item=item if rng.random() < 0.9 else str(rng.choice(items)),
                place=str(rng.choice(["", "", page.place, "elsewhere"])),
                position=None if rng.random() < 0.5 else int(rng.integers(0, 300)),
                request_id=(page.request_id if rng.random() < 0.95 else "gone") if named else "",
                price=None if rng.random() < 0.2 else round(float(rng.uniform(1, 90)), 2),
                quantity=float(rng.integers(1, 4)),
                currency=str(rng.choice(["", "EUR", "USD"])),
            )
        )
    return Morning(tuple(shown), tuple(happened))


def batch(world: Morning, since: int = START - START % DAY, until: int = START - START % DAY + DAY) -> list[Cell]:
    return count_day(world.logbook, RULE, since, until)


def corners(cells: Sequence[Cell]) -> dict[tuple[str, int, str], tuple[int, ...]]:
    return {(cell.place, cell.position, cell.source): cell.counts for cell in cells if cell.level == BY_POSITION}


def replayed(world: Morning, seed: int, live: Live, *, twice: float = 0.3) -> Live:
    """Every row at least once, some twice, in shuffled order."""
    rng = np.random.default_rng(seed)
    rows: list[Any] = [*world.pages, *world.events]
    rows += [row for row in rows if rng.random() < twice]
    for place in rng.permutation(len(rows)):
        row = rows[int(place)]
        if isinstance(row, Answered):
            live.answered([row])
        else:
            live.observe([row])
    return live


def both(live: Live, table: Sequence[Cell], until: int) -> dict[tuple[str, int, str], tuple[int, ...]]:
    """The daily counts up to a minute and the live ones from there on."""
    told = corners(table)
    for corner, counts in live.counts(until, START + DAY).items():
        told[corner] = added([told.get(corner, (0,) * len(FIELDS)), counts])
    return {corner: counts for corner, counts in told.items() if any(counts)}


@pytest.mark.parametrize("seed", range(6))
def test_live_and_daily_are_the_batch_in_any_order(seed: int) -> None:
    world = morning(seed)
    whole = corners(batch(world))
    assert sum(counts[FIELDS.index("by_touch")] for counts in whole.values()) > 20
    live = replayed(world, seed + 100, Live(RULE))
    until = START + 47 * MINUTE
    assert both(live, (), START - 5 * MINUTE) == whole
    assert both(live, batch(world, until=until), until) == whole


class Forgetful(Live):
    """A broken twin: it never looks again at what came before its page."""

    def _take_page(self, told: Answered) -> bool:
        held, self._by_request = self._by_request, {}
        try:
            return super()._take_page(told)
        finally:
            self._by_request = held


class CountsTwice(Live):
    """A broken twin: it takes what was delivered twice for two."""

    def _take_event(self, told: Event) -> bool:
        return super()._take_event(msgspec.structs.replace(told, id=f"{told.id}-{len(self)}"))


@pytest.mark.parametrize("twin", [Forgetful, CountsTwice])
def test_the_comparison_catches_broken_counts(twin: Callable[[Rule], Live]) -> None:
    world = morning(1)
    assert both(replayed(world, 7, twin(RULE)), (), START - 5 * MINUTE) != corners(batch(world))


def test_the_levels_of_a_day_add_up_and_units_are_counted_anew() -> None:
    world = morning(3)
    cells = batch(world)
    by_level = {level: [cell.counts for cell in cells if cell.level == level] for level in range(4)}
    (whole,) = by_level[WHOLE]
    assert added(by_level[BY_HOUR]) == added(by_level[BY_PLACE]) == added(by_level[BY_POSITION]) == whole
    (day,) = [cell for cell in cells if cell.level == WHOLE]
    counted = (EventType.SEARCH,)
    named = {page.unit for page in world.pages}
    named |= {f"u:{one.user}" if one.user else f"s:{one.session}" for one in world.events if one.type not in counted}
    assert day.units == len(named - {"", "s:"})
    assert day.day == 20_000


def test_a_day_after_the_pages_is_empty_and_not_an_error() -> None:
    world = morning(4)
    last = max(round(page.time * 1e6) for page in world.pages)
    quiet = Morning(world.pages, ())
    assert batch(quiet, last + 1, last + MINUTE) == []
