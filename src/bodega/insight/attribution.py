"""From which page did somebody want this? One rule, stated once, followed by the daily and by the live counts.

An event on an item is put down to

    request   the page that it names (`request_id`), where that page is in the log and not older than a day; its
              position and source are those of the item on that page (of an item that is not on it: the event's own
              position, and no source)
    touch     else the newest page in the last `answers.session_minutes` that showed the item to the same user id, or
              on the same visit; where the event names a place, only pages of that place (last touch)
    told      else the place and the position that the event itself says
    none      else nothing: `unattributed`, place ""

Clocks of browsers differ: a page that is named may be up to five minutes later than its event. Of two pages of one
moment the one with the greater id counts, so the order of arrival decides nothing.
Not for: proving that a page caused anything. Last touch counts what came after; only an experiment tells what came of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any, Protocol

from numpy.typing import NDArray

from bodega.insight.counting import DAY, MINUTE, Cell
from bodega.schema import EVENT_CODES, Event, EventType
from bodega.schema.answers import Answered

OLDEST = DAY
"""A page that is named may lie this far back, microseconds."""
AHEAD = 5 * MINUTE
"""And this far ahead: clocks differ."""
REQUEST, TOUCH, TOLD, NONE = range(4)
IMPRESSION, VIEW, CLICK, CART, PURCHASE = (
    EVENT_CODES[name] for name in ("impression", "view", "click", "cart", "purchase")
)
COUNTED = (IMPRESSION, VIEW, CLICK, CART, PURCHASE)
"""Codes of the events that are counted; all name an item."""
WANTED = (VIEW, CLICK, CART, PURCHASE)


@dataclass(frozen=True, slots=True)
class Rule:
    """What the shop's settings say of it."""

    window: int = 30 * MINUTE
    """How far back a page may lie that an event does not name, microseconds."""
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Happened:
    """Stored events that count, as columns of one length, in (time, id) order."""

    time: NDArray[Any]
    """(n,) int64 microseconds since 1970 UTC."""
    type: NDArray[Any]
    """(n,) int8 codes."""
    position: NDArray[Any]
    """(n,) int32; -1 where not given."""
    price: NDArray[Any]
    """(n,) float64 of one unit; NaN where not given."""
    quantity: NDArray[Any]
    """(n,) float64."""
    id: list[str]
    user: list[str]
    session: list[str]
    item: list[str]
    place: list[str]
    request: list[str]
    currency: list[str]
    query: list[str]

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a day is counted, and of how many rows of the store."""

    day: int
    until: int
    """Microseconds; the end of the day where it is over."""
    answers: int
    events: int


class Logbook(Protocol):
    """What this room reads and writes: pages and events as they are stored, and the daily counts. Times in
    microseconds since 1970 UTC; `since` included, `until` not."""

    def pages(self, since: int, until: int) -> Iterator[Answered]:
        """Pages in (time, request) order, streamed."""
        ...

    def named(self, requests: Sequence[str]) -> list[Answered]:
        """The pages of these requests that are in the log, in (time, request) order."""
        ...

    def happened(self, since: int, until: int, types: Sequence[int] = COUNTED) -> Iterator[Happened]:
        """Events of these types in (time, id) order, in chunks."""
        ...

    def rows(self, since: int, until: int) -> dict[int, tuple[int, int]]:
        """{day: (pages, events of any type)} of the days that have any."""
        ...

    def newest(self) -> int:
        """Time of the newest page or event; 0 of none."""
        ...

    def marks(self, first: int, last: int) -> dict[int, Mark]:
        """{day: mark} of the counted days from `first` to `last`."""
        ...

    def cells(self, first: int, last: int, levels: Sequence[int]) -> list[Cell]:
        """The counts of these days at these levels, in key order."""
        ...

    def keep(self, mark: Mark, cells: Sequence[Cell]) -> None:
        """Put these counts in the place of what was counted of that day, in one transaction."""
        ...


def event_of(rows: Happened, row: int) -> Event:
    """One of the rows as an event, as far as it is counted."""
    price, position = float(rows.price[row]), int(rows.position[row])
    return Event(
        type=_TYPES[int(rows.type[row])],
        time=_EPOCH + int(rows.time[row]) * _MICROSECOND,
        id=rows.id[row],
        user=rows.user[row],
        session=rows.session[row],
        item=rows.item[row],
        query=rows.query[row],
        place=rows.place[row],
        position=None if position < 0 else position,
        request_id=rows.request[row],
        price=None if isnan(price) else price,
        quantity=float(rows.quantity[row]),
        currency=rows.currency[row],
    )


_TYPES = dict(enumerate(EventType))
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)
