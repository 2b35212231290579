"""What is handed out: the reports of `shop.insight`, as they stand in JSON. Times are ISO 8601, UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from bodega.errors import BadRequest
from bodega.insight.counting import DAY, MONEY, PLACE, Figures, added
from bodega.schema.said import Said


class Line(msgspec.Struct, frozen=True):
    """One line of a report: what it is of, and its figures."""

    key: str
    """A place ("" for what is unattributed), a position ("-1": the page itself, or not known), a source, an hour; ""
    for the whole."""
    figures: Figures


class DayLine(msgspec.Struct, frozen=True):
    day: str
    """YYYY-MM-DD, UTC."""
    whole: Figures
    lines: tuple[Line, ...] = ()
    """By what was asked for; none where nothing was."""


class DailyReport(msgspec.Struct, frozen=True, kw_only=True):
    """Day by day."""

    since: str
    until: str
    """The last day, included."""
    by: str
    place: str | None = None
    """Only this place; None: all."""
    days: tuple[DayLine, ...]
    """Oldest first; days on which nothing happened are there, too."""
    totals: tuple[Line, ...]
    """All days together, by the same."""
    whole: Figures
    newest: str = ""
    """When the newest page or event of the shop was; "" of none."""
    counting: bool = False
    """Is somebody counting at this moment? Then ask again soon."""
    share: float = 1.0
    """Part of the pages that is logged (`answers.share`)."""
    currency: str = ""


class MinuteLine(msgspec.Struct, frozen=True):
    time: str
    figures: Figures


class LiveReport(msgspec.Struct, frozen=True, kw_only=True):
    """The last minutes; the newest one is not over."""

    now: str
    held: str
    """Minutes before this one are not whole: nobody looked then, and a busy shop reads no further back."""
    minutes: tuple[MinuteLine, ...]
    """Oldest first, one line each minute."""
    whole: Figures
    places: tuple[Line, ...]
    units: dict[str, int]
    """{place: different shoppers}; "*": in all."""
    per_minute: dict[str, float]
    """{answers, wanted, purchases, revenue: a minute, over the last five whole ones}."""
    newest: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One query, as often as it was asked in the window."""

    query: str
    asked: int
    people: int
    """Different shoppers who asked it."""
    zero: int
    """Asked without finding anything."""
    clicked: int
    """Asked, and something found was wanted."""
    refined: int
    """Asked, nothing wanted, and another query within two minutes."""
    share: float
    """Of all that was asked."""
    click_low: float = 0.0
    click_high: float = 1.0
    """95 % interval of the clicked share."""
    before: int = 0
    """Rising: how often in the weeks before."""
    ratio: float | None = None
    """Rising: its share now over its share then; None where nobody asked it then."""
    p: float | None = None
    """Rising: chance of that without a cause, corrected for all queries that were looked at (Holm)."""
    why: tuple[str, ...] = ()
    """Failing: `zero`, `clicks`, `refined`."""
    lost: float = 0.0
    """Failing: how many asked in vain more than asked so of the usual query."""
    next: tuple[tuple[str, int], ...] = ()
    """What the same shoppers asked next within five minutes: (query, times), only what enough people ask."""


class QueriesReport(msgspec.Struct, frozen=True, kw_only=True):
    """What people search."""

    kind: str
    since: str
    until: str
    people: int
    """Queries that fewer different shoppers asked are not shown."""
    asked: int
    """How often anything was searched."""
    queries_asked: int
    """How many different queries that were."""
    hidden: int
    """How many of these fewer than `people` shoppers asked."""
    zero: int
    clicked: int
    refined: int
    queries: tuple[Asked, ...]
    counting: bool = False


class Change(msgspec.Struct, frozen=True):
    """Something that is other than when the snapshot was made."""

    what: str
    """`items`, `waiting`, `rules`, `settings`, `drift`, `events`, `warning`."""
    count: int
    text: str
    details: tuple[str, ...] = ()
    said: tuple[Said, ...] = ()
    """The details (of a warning: the text) with their codes."""


class ChangesReport(msgspec.Struct, frozen=True, kw_only=True):
    snapshot: str
    since: str
    """When the snapshot was made; "" without one."""
    changes: tuple[Change, ...]


class TodayReport(msgspec.Struct, frozen=True, kw_only=True):
    """One day so far."""

    day: str
    now: str
    counted: str
    """Up to here from the daily counts, from here on live."""
    whole: Figures
    places: tuple[Line, ...]
    hours: tuple[Line, ...]
    """Only hours in which anything happened."""
    before: Figures
    """The day before, whole."""
    usual: Figures
    """The seven days before, added up."""
    usual_days: int
    """How many of those had anything."""
    newest: str = ""
    counting: bool = False
    share: float = 1.0
    currency: str = ""
    changes: ChangesReport | None = None


def plain(report: Any) -> Any:
    """A report as plain dicts and lists."""
    return msgspec.to_builtins(report)


def iso(stamp: int) -> str:
    """Microseconds since 1970 UTC as ISO 8601, to the second."""
    return datetime.fromtimestamp(stamp / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def date_of(day: int) -> str:
    """Days since 1970 as YYYY-MM-DD."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def day_of(text: str, now: int) -> int:
    """YYYY-MM-DD as days since 1970; "" is today. Raises BadRequest."""
    if not text:
        return now // DAY
    try:
        day = (date.fromisoformat(text) - date(1970, 1, 1)).days
    except ValueError as error:
        raise BadRequest(
            "this is no day", code="insight.no_day", where="day", allowed="YYYY-MM-DD, in UTC", got=text
        ) from error
    if not 0 <= day <= now // DAY:
        raise BadRequest(
            "this day is not told",
            code="insight.day",
            where="day",
            allowed=f"1970-01-01 to {date_of(now // DAY)}",
            got=text,
        )
    return day


def as_lines(parts: Mapping[str, Figures]) -> tuple[Line, ...]:
    return tuple(Line(key, each) for key, each in parts.items())


def pace(minutes: Sequence[Sequence[Sequence[int]]]) -> dict[str, float]:
    """What happens a minute: the mean over these minutes, each given as the counts of its corners."""
    told = added([counts for corners in minutes for counts in corners])
    wanted = sum(told[PLACE[name]] for name in ("views", "clicks", "carts", "purchases"))
    parts = {
        "answers": told[PLACE["answers"]],
        "wanted": wanted,
        "purchases": told[PLACE["purchases"]],
        "revenue": told[PLACE["revenue"]] / MONEY,
    }
    return {name: round(number / max(len(minutes), 1), 3) for name, number in parts.items()}
