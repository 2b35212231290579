"""`shop.insight`: what happens in the shop, by day, live and by query, and what changed since the last learn.

    insight.today()            one day so far: daily counts up to a minute, live ones from there on
    insight.daily(28, "place") day by day, by place, position, source or hour
    insight.live(60)           the last minutes
    insight.queries("failing") what people search: top, rising, failing
    insight.changes()          what is other than when the snapshot was made

Whoever asks is answered from what is counted; days that are not (events were imported, the day goes on) are counted by
a thread beside, and the report says so (`counting`). Nothing runs while nobody asks. What shoppers do who did not agree
to statistics is in no figure. Cost: `insight.batch`, at most one twentieth of the time. Not for: pages (`answer`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bodega.engine.changed import Watched, changes_of
from bodega.errors import BadRequest
from bodega.insight import queries
from bodega.insight.attribution import Logbook, Rule, event_of
from bodega.insight.counting import (
    BY_HOUR,
    BY_PLACE,
    BY_POSITION,
    DAY,
    EMPTY,
    HOUR,
    MINUTE,
    WHOLE,
    By,
    Cell,
    added,
    figures,
)
from bodega.insight.daily import LEVEL_OF, Daily, Kept, lines, merged, totals
from bodega.insight.live import Live
from bodega.insight.queries import Ask, Kind
from bodega.insight.reports import (
    Change,
    ChangesReport,
    DailyReport,
    DayLine,
    Line,
    LiveReport,
    MinuteLine,
    QueriesReport,
    TodayReport,
    as_lines,
    date_of,
    day_of,
    iso,
    pace,
)
from bodega.protocols import EventRows
from bodega.schema import Event
from bodega.settings import Settings

MOST_DAYS = 731
MOST_MINUTES = 120
"""Live counts reach back this far."""
LOAD = 90 * MINUTE + HOUR // 2
"""Microseconds that are read from the store when somebody begins to look."""
LOADED = 60_000
"""About so many pages and events are read then (5 s): a busier shop begins with fewer minutes."""
OVERLAP = 5_000_000
"""Pages of other processes may come this late."""
LOOK_EVERY = 0.9
"""Seconds between two looks at the log of answers."""
ASLEEP = 900.0
"""Seconds without a look after which live counts are let go."""
COUNT_EVERY = 55.0
"""Seconds between two looks at whether days must be counted again."""
REST = 20
"""Counting takes at most one part in so many of the time."""
PATIENT = 0.25
"""Seconds that a report waits for the counting."""
QUERIES_KEPT = 60.0
"""Seconds for which searches that were read are used again."""
KINDS = ("top", "rising", "failing")
BYS = ("", "place", "position", "source", "hour")
NOTHING = figures(EMPTY)
LOGGER = logging.getLogger("bodega.insight")


@dataclass(frozen=True, slots=True)
class Sources:
    """What the insight of a shop is made of."""

    logbook: Logbook
    settings: Settings
    learnable: Callable[[Iterator[EventRows]], Iterator[EventRows]] | None = None
    """Keeps the rows that statistics may be made of; None: all."""
    changes: Callable[[], tuple[str, str, Sequence[Change]]] = lambda: ("", "", ())
    clock: Callable[[], float] = time.time


@dataclass
class _Counting:
    """The thread that counts days."""

    thread: threading.Thread | None = None
    due: float = -1e9
    """Monotonic time from which on it may run again."""
    failed: str = ""
    done: set[int] = field(default_factory=set)


class Insight:
    """One shop's reports. Calls are safe from several threads."""

    def __init__(self, sources: Sources) -> None:
        self._logbook = sources.logbook
        self._settings = sources.settings
        self._learnable = sources.learnable
        self._changes = sources.changes
        self._clock = sources.clock
        chosen = sources.settings.answers
        self.rule = Rule(int(chosen.session_minutes * MINUTE), sources.settings.currency)
        kept = Kept(int(chosen.keep_days * DAY), sources.settings.privacy.keep_days * DAY)
        self._daily = Daily(self._logbook, self.rule, kept, self._agreed)
        self._lock = threading.Lock()
        self._counting = _Counting()
        self._live: Live | None = None
        self._looked = self._read = 0.0
        self._since = 0
        """From here on (microseconds) pages have to be read."""
        self._held = 0
        """Minutes from here on are whole."""
        self._asks: tuple[float, int, int, list[Ask]] | None = None
        self._closed = False

    @classmethod
    def of(cls, shop: Watched) -> Insight:
        """The insight of an open shop."""
        logbook = shop.stores.logbook
        return cls(Sources(logbook, shop.settings, shop.privacy.learnable, lambda: changes_of(shop, logbook)))

    # -- what comes in --------------------------------------------------------------------------------------------

    def observe(self, events: Sequence[Event]) -> None:
        """These events are durable and may be counted: .1 us while nobody looks."""
        live = self._live
        if live is not None:
            live.observe(events)

    def forget(self) -> None:
        """Somebody was forgotten, or events were imported: hold nothing in memory."""
        with self._lock:
            self._live, self._asks = None, None
            self._counting.due = -1e9

    def close(self) -> None:
        self._closed = True
        thread = self._counting.thread
        if thread is not None:
            thread.join(timeout=10.0)

    # -- reports --------------------------------------------------------------------------------------------------

    def today(self, day: str = "", *, wait: bool = False) -> TodayReport:
        """One day (YYYY-MM-DD, default: today in UTC) so far. Raises BadRequest."""
        now = self._now()
        number = day_of(day, now)
        counting = self._count(number - 7, number, wait=wait)
        cells, counted = self._daily.cells(number - 7, number, (BY_HOUR, BY_PLACE, WHOLE), number)
        mine = [cell for cell in cells if cell.day == number]
        if number == now // DAY:
            mine = merged([*mine, *self._since_then(number, counted, now)])
        past = {cell.day: cell.counts for cell in cells if cell.level == WHOLE and cell.day < number}
        return TodayReport(
            day=date_of(number),
            now=iso(now),
            counted=iso(counted),
            whole=lines(mine, "").get(number, {}).get("", NOTHING),
            places=as_lines(lines(mine, "place").get(number, {})),
            hours=as_lines(lines(mine, "hour").get(number, {})),
            before=figures(past.get(number - 1, EMPTY)),
            usual=figures(added(list(past.values()))),
            usual_days=len(past),
            newest=self._newest(),
            counting=counting,
            share=self._settings.answers.share,
            currency=self._settings.currency,
            changes=self.changes(),
        )

    def daily(
        self, days: int = 28, by: By = "place", *, until: str = "", place: str | None = None, wait: bool = False
    ) -> DailyReport:
        """The last `days` days up to `until` (default: today, or the newest day that has anything, where that is longer
        ago than those days). Raises BadRequest."""
        if by not in BYS:
            raise BadRequest(
                "days are not parted so", code="insight.by", where="by", allowed=", ".join(BYS[1:]), got=by
            )
        if not 1 <= days <= MOST_DAYS:
            raise BadRequest(
                "so many days are not told", code="insight.days", where="days", allowed=f"1 to {MOST_DAYS}", got=days
            )
        now = self._now()
        newest = self._logbook.newest()
        last = day_of(until, now)
        if not until and newest and newest // DAY <= last - days:
            last = newest // DAY
        first = max(last - days + 1, 0)
        counting = self._count(first, last, wait=wait)
        levels = {WHOLE, LEVEL_OF[by], *((BY_PLACE,) if place is not None else ())}
        today = now // DAY
        cells, counted = self._daily.cells(first, last, sorted(levels), today)
        if first <= today <= last:
            cells = merged([*cells, *self._since_then(today, counted, now)])
        parts = lines(cells, by, place) if by else {}
        whole = lines(cells, "", place)
        return DailyReport(
            since=date_of(first),
            until=date_of(last),
            by=by,
            place=place,
            days=tuple(
                DayLine(date_of(day), next(iter(whole.get(day, {}).values()), NOTHING), as_lines(parts.get(day, {})))
                for day in range(first, last + 1)
            ),
            totals=as_lines(totals(cells, by, place)) if by else (),
            whole=next(iter(totals(cells, "", place).values()), NOTHING),
            newest=iso(newest) if newest else "",
            counting=counting,
            share=self._settings.answers.share,
            currency=self._settings.currency,
        )

    def live(self, minutes: int = 60) -> LiveReport:
        """The last minutes, as of now. Raises BadRequest."""
        if not 1 <= minutes <= MOST_MINUTES:
            raise BadRequest(
                "so many minutes are not held",
                code="insight.minutes",
                where="minutes",
                allowed=f"1 to {MOST_MINUTES}",
                got=minutes,
            )
        now = self._now()
        live = self._looking(now)
        last = now // MINUTE
        since = (last - minutes + 1) * MINUTE
        per = {
            minute: live.counts(minute * MINUTE, (minute + 1) * MINUTE)
            for minute in range(last - minutes + 1, last + 1)
        }
        every = [counts for corners in per.values() for counts in corners.values()]
        places: dict[str, list[list[int]]] = {}
        for corners in per.values():
            for (place, _, _), counts in corners.items():
                places.setdefault(place, []).append(counts)
        units = live.units(since, (last + 1) * MINUTE)
        return LiveReport(
            now=iso(now),
            held=iso(max(self._held, since)),
            minutes=tuple(
                MinuteLine(iso(minute * MINUTE), figures(added(list(corners.values()))))
                for minute, corners in per.items()
            ),
            whole=figures(added(every), units.get("*", 0)),
            places=tuple(
                Line(place, figures(added(counts), units.get(place, 0))) for place, counts in sorted(places.items())
            ),
            units=units,
            per_minute=pace([list(per[minute].values()) for minute in sorted(per)[-6:-1]]),
            newest=self._newest(),
        )

    def queries(self, kind: Kind = "top", days: int = 7, limit: int = 50) -> QueriesReport:
        """What people search, in the days before the newest search or page. Raises BadRequest."""
        if kind not in KINDS:
            raise BadRequest(
                "queries are not told so", code="insight.kind", where="kind", allowed=", ".join(KINDS), got=kind
            )
        if not 1 <= days <= 90:
            raise BadRequest(
                "so many days are not read", code="insight.query_days", where="days", allowed="1 to 90", got=days
            )
        if not 1 <= limit <= 1_000:
            raise BadRequest(
                "so many queries are not told", code="insight.queries", where="limit", allowed="1 to 1000", got=limit
            )
        people = self._settings.understand.people
        since, until = queries.window(days, self._logbook.newest())
        found = self._searches(since - queries.WEEKS_BEFORE * DAY if kind == "rising" else since, until)
        now = queries.tallied(ask for ask in found if ask.at >= since)
        if kind == "rising":
            told = queries.rising(now, queries.tallied(ask for ask in found if ask.at < since), people, limit)
        else:
            told = (queries.top if kind == "top" else queries.failing)(now, people, limit)
        whole = queries.total(now.values())
        return QueriesReport(
            kind=kind,
            since=iso(since),
            until=iso(until),
            people=people,
            asked=whole.asked,
            queries_asked=len(now),
            hidden=sum(len(held.people) < people for held in now.values()),
            zero=whole.zero,
            clicked=whole.clicked,
            refined=whole.refined,
            queries=tuple(told),
        )

    def changes(self) -> ChangesReport:
        """What is other than when the snapshot was made."""
        snapshot, since, found = self._changes()
        return ChangesReport(snapshot=snapshot, since=since, changes=tuple(found))

    # -- counting days --------------------------------------------------------------------------------------------

    def _count(self, first: int, last: int, *, wait: bool) -> bool:
        """See that these days are counted; is somebody still at it?"""
        first = max(first, 0)
        if wait:
            self._daily.refresh(first, last, self._now())
            return False
        with self._lock:
            at, thread = time.monotonic(), self._counting.thread
            wanted = set(range(first, last + 1))
            if thread is None and (at >= self._counting.due or not wanted <= self._counting.done):
                thread = threading.Thread(target=self._run, args=(first, last), name="bodega-counts", daemon=True)
                self._counting.thread = thread
                thread.start()
        if thread is not None:
            thread.join(PATIENT)
        return self._counting.thread is not None

    def _run(self, first: int, last: int) -> None:
        began = time.monotonic()
        try:
            self._daily.refresh(first, last, self._now(), stop=lambda: self._closed)
            self._counting.failed = ""
        except Exception as error:  # told at the next report; a thread has nobody to tell
            self._counting.failed = type(error).__name__
            LOGGER.exception("the days could not be counted")
        finally:
            took = time.monotonic() - began
            with self._lock:
                self._counting.thread = None
                self._counting.due = time.monotonic() + max(COUNT_EVERY, REST * took)
                self._counting.done = set(range(first, last + 1))

    def _since_then(self, day: int, counted: int, now: int) -> list[Cell]:
        """What happened since the day was counted, as cells of the daily kind."""
        since = max(counted, now - (MOST_MINUTES - 1) * MINUTE) // MINUTE * MINUTE
        live = self._looking(now)
        found: list[Cell] = []
        for start in range(since // HOUR * HOUR, now + 1, HOUR):
            corners = live.counts(max(start, since), min(start + HOUR, (day + 1) * DAY))
            for (place, position, source), counts in corners.items():
                hour = start % DAY // HOUR
                whole = tuple(counts)
                found.append(Cell(day, BY_HOUR, hour, place, -1, "", whole))
                found.append(Cell(day, BY_POSITION, -1, place, position, source, whole))
                found.append(Cell(day, BY_PLACE, -1, place, -1, "", whole))
                found.append(Cell(day, WHOLE, -1, "", -1, "", whole))
        return found

    def _agreed(self, users: Sequence[str], sessions: Sequence[str]) -> NDArray[np.bool_] | None:
        """Which of these rows statistics may be made of; None: all."""
        if self._learnable is None:
            return None
        count, blank = len(users), [""] * len(users)
        nothing = np.zeros(count, np.float32)
        rows = EventRows(
            np.arange(count, dtype=np.float64), np.zeros(count, np.int8), list(users), list(sessions), blank, blank,
            nothing, nothing, np.zeros(count, np.int32),
        )  # fmt: skip
        kept = np.zeros(count, bool)
        for chunk in self._learnable(iter([rows])):
            kept[chunk.time.astype(int)] = True
        return kept

    # -- looking --------------------------------------------------------------------------------------------------

    def _looking(self, now: int) -> Live:
        """The live counts, brought up to date; begun where nobody looked before."""
        with self._lock:
            at = time.monotonic()
            live = self._live
            if live is None or at - self._looked > ASLEEP:
                live = self._begun(now)
            elif at - self._read >= LOOK_EVERY:
                live.answered(self._logbook.pages(self._since, now + DAY))
                self._since, self._read = now - OVERLAP, at
                live.trim(now)
            self._looked = at
            return live

    def _begun(self, now: int) -> Live:
        """Read the last hours from the store; events that are acknowledged meanwhile are taken once."""
        live = self._live = Live(self.rule)
        live.trim(now)
        rows = sum(map(sum, self._logbook.rows(now - LOAD, now + DAY).values()))
        since = now - LOAD // max(1, -(-rows // LOADED))
        self._held = -(-since // MINUTE) * MINUTE
        live.answered(self._logbook.pages(since, now + DAY))
        for chunk in self._logbook.happened(since, now + DAY):
            may = self._agreed(chunk.user, chunk.session)
            live.observe(event_of(chunk, row) for row in range(len(chunk)) if may is None or may[row])
        self._since, self._read = now - OVERLAP, time.monotonic()
        return live

    def _searches(self, since: int, until: int) -> list[Ask]:
        """All searches of that time; those that were read just now are used again."""
        kept, at = self._asks, time.monotonic()
        if kept is not None and at - kept[0] < QUERIES_KEPT and kept[1] <= since and kept[2] >= until - OVERLAP:
            return [ask for ask in kept[3] if ask.at >= since]
        found = queries.asks(self._logbook, self.rule, since, until, self._agreed)
        self._asks = (at, since, until, found)
        return found

    def _now(self) -> int:
        return int(self._clock() * 1e6)

    def _newest(self) -> str:
        newest = self._logbook.newest()
        return iso(newest) if newest else ""
