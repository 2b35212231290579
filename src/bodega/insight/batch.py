"""What did a day come to? Counted by DuckDB over streamed rows, whichever database they come from.

Pages and events are read once, texts become numbers on the way (`_Codes`), and all that joins and groups is done by
DuckDB on columns of integers: each event finds its page (`attribution` states the rule), and the four levels of the
daily counts are the grouping sets of one query. A day looks a day back for pages that its events name, and one window
back for touches. Cost: a day of 30,000 pages of 20 items and 60,000 events takes 2.1 s of CPU and 140 MB
(docs/decisions/0046). Not for: the last minutes (`live`), which follows the same rule one row at a time; a test
compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodega.insight import counting
from bodega.insight.attribution import (
    AHEAD,
    CART,
    CLICK,
    IMPRESSION,
    NONE,
    OLDEST,
    PURCHASE,
    REQUEST,
    TOLD,
    TOUCH,
    VIEW,
    Happened,
    Logbook,
    Rule,
)
from bodega.insight.counting import DAY, HOUR, LAST_POSITION, MONEY, Cell
from bodega.schema.answers import Answered

Agreed = Callable[[Sequence[str], Sequence[str]], NDArray[np.bool_] | None]
"""(users, sessions) of events -> which of them statistics may be made of; None: all."""


def everybody(users: Sequence[str], sessions: Sequence[str]) -> None:
    """Everybody agreed."""
    del users, sessions


def count_day(logbook: Logbook, rule: Rule, since: int, until: int, agreed: Agreed = everybody) -> list[Cell]:
    """The counts of [since, until), which lie within one day, at all four levels."""
    events = _Events(rule)
    for chunk in logbook.happened(since, until):
        events.add(chunk, agreed)
    pages = _Pages(events.codes)
    named = events.named
    if named:
        pages.take(page for page in logbook.named(sorted(named)) if not since <= _micro(page) < until)
    window = (page for page in logbook.pages(since - rule.window, since) if page.request_id not in named)
    pages.take(window)
    pages.take(logbook.pages(since, until))
    return _asked(pages, events, since, until)


class _Codes:
    """Texts as small numbers; "" is -1."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {"": -1}

    def of(self, texts: Iterable[str]) -> list[int]:
        known = self.known
        return [known.setdefault(text, len(known) - 1) for text in texts]

    def texts(self) -> list[str]:
        """The text of each number, "" last, so that -1 finds it."""
        return [*list(self.known)[1:], ""]


@dataclass
class _Coded:
    items: _Codes = field(default_factory=_Codes)
    users: _Codes = field(default_factory=_Codes)
    sessions: _Codes = field(default_factory=_Codes)
    places: _Codes = field(default_factory=_Codes)
    sources: _Codes = field(default_factory=_Codes)


class _Events:
    """The events of a day as columns of numbers."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.codes = _Coded()
        self.columns: list[dict[str, Any]] = []
        self.requests: list[str] = []

    @property
    def named(self) -> set[str]:
        return set(self.requests) - {""}

    def add(self, rows: Happened, agreed: Agreed) -> None:
        """Those of the events whose shoppers agreed that they are counted."""
        may = agreed(rows.user, rows.session)
        kept = np.arange(len(rows)) if may is None else np.flatnonzero(may)

        def of(texts: list[str]) -> list[str]:
            return texts if len(kept) == len(texts) else [texts[row] for row in kept.tolist()]

        codes, shop = self.codes, self.rule.currency
        foreign = np.fromiter((name not in ("", shop) for name in of(rows.currency)), bool, len(kept))
        with np.errstate(invalid="ignore", over="ignore"):
            earned = np.rint(rows.price[kept] * rows.quantity[kept] * MONEY)
        lost = foreign | ~np.isfinite(earned) | (np.abs(earned) >= 1e12 * MONEY) | (rows.type[kept] != PURCHASE)
        self.columns.append(
            {
                "stamp": rows.time[kept],
                "type": rows.type[kept],
                "position": np.minimum(rows.position[kept], LAST_POSITION),
                "revenue": np.where(lost, 0, earned).astype(np.int64),
                "person": np.array(codes.users.of(of(rows.user)), np.int32),
                "visit": np.array(codes.sessions.of(of(rows.session)), np.int32),
                "item": np.array(codes.items.of(of(rows.item)), np.int32),
                "place": np.array(codes.places.of(of(rows.place)), np.int32),
            }
        )
        self.requests += of(rows.request)

    def table(self, pages: _Pages) -> dict[str, Any]:
        """All of them, with the number of the page that each names (-1: none in the log, or none that may count)."""
        joined = {name: np.concatenate([part[name] for part in self.columns]) for name in self.columns[0]}
        request = np.fromiter((pages.number.get(name, -1) for name in self.requests), np.int64, len(self.requests))
        at = np.array(pages.at, np.int64)
        if len(at):
            gap = joined["stamp"] - at[request]
            request[(gap > OLDEST) | (gap < -AHEAD)] = -1
        return joined | {"e": np.arange(len(request)), "request": request}


class _Pages:
    """Pages as columns of numbers, and their items one a row; a page's number orders pages by (time, request)."""

    def __init__(self, codes: _Coded) -> None:
        self.codes = codes
        self.held: list[tuple[int, str, int, int, int, int, int, int]] = []
        self.items: list[list[int]] = []
        self.sources: list[list[int]] = []
        self.number: dict[str, int] = {}
        self.at: list[int] = []

    def take(self, pages: Iterable[Answered]) -> None:
        codes = self.codes
        for page in pages:
            (user,), (session,), (place,) = (
                codes.users.of([page.user]),
                codes.sessions.of([page.session]),
                codes.places.of([page.place]),
            )
            self.held.append(
                (
                    _micro(page), page.request_id, place, user, session, page.offset, int(not page.items),
                    int(bool(page.degraded)),
                )
            )  # fmt: skip
            self.items.append(codes.items.of(page.items))
            self.sources.append(codes.sources.of(page.sources))

    def tables(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """(one row a page, one row an item on a page)."""
        order = sorted(range(len(self.held)), key=lambda row: self.held[row][:2])
        rows = [self.held[row] for row in order]
        self.number = {row[1]: place for place, row in enumerate(rows)}
        self.at = [row[0] for row in rows]
        names = ("stamp", "place", "person", "visit", "offset", "zero", "degraded")
        columns = list(zip(*((row[0], *row[2:]) for row in rows), strict=True)) or [()] * len(names)
        pages = {name: np.array(column, np.int64) for name, column in zip(names, columns, strict=True)}
        pages["p"] = np.arange(len(rows))
        lengths = np.array([len(self.items[row]) for row in order], np.int64)
        total = int(lengths.sum())
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        within = np.arange(total) - starts + np.repeat(pages["offset"], lengths)
        shown = {
            "p": np.repeat(pages["p"], lengths),
            "item": np.fromiter(chain.from_iterable(self.items[row] for row in order), np.int32, total),
            "source": np.fromiter(chain.from_iterable(self._sourced(row) for row in order), np.int32, total),
            "position": np.minimum(within, LAST_POSITION),
        }
        return pages, shown

    def _sourced(self, row: int) -> Iterator[int]:
        """One source an item, whatever the line says."""
        items, sources = len(self.items[row]), self.sources[row]
        yield from sources[:items]
        yield from (-1 for _ in range(items - len(sources)))


def _micro(page: Answered) -> int:
    return round(page.time * 1e6)


def _asked(pages: _Pages, events: _Events, since: int, until: int) -> list[Cell]:
    """Let DuckDB join and group; only here are there tables."""
    import duckdb  # 60 ms; nobody who only answers pages loads it

    page_table, shown_table = pages.tables()
    if not events.columns and not page_table["p"].size:
        return []
    empty = {name: np.zeros(0, np.int64) for name in _EVENT_COLUMNS}
    happened = events.table(pages) if events.columns else empty
    codes = events.codes
    with duckdb.connect(":memory:", config={"threads": 1, "autoinstall_known_extensions": "false"}) as connection:
        for name, table in (("page", page_table), ("shown", shown_table), ("happened", happened)):
            connection.register(f"given_{name}", table)
            connection.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM given_{name}")  # noqa: S608 - our names
        connection.execute(_ATTRIBUTED, {"window": events.rule.window})
        rows = connection.execute(_COUNTED, {"since": since, "until": until}).fetchall()
    places, sources = codes.places.texts(), codes.sources.texts()
    day = since // DAY
    found = []
    for grouping, hour, place, position, source, units, *counts in rows:
        if counts[0] is None:  # the whole of nothing: pages from before the day, and none in it
            continue
        level = _LEVELS[grouping]
        by_place = level != counting.WHOLE
        by_position = level == counting.BY_POSITION
        found.append(
            Cell(
                day,
                level,
                hour if level == counting.BY_HOUR else -1,
                places[place] if by_place else "",
                position if by_position else -1,
                sources[source] if by_position else "",
                tuple(int(count) for count in counts),
                units,
            )
        )
    return sorted(found, key=lambda cell: (cell.level, cell.hour, cell.place, cell.position, cell.source))


_EVENT_COLUMNS = ("e", "stamp", "type", "position", "revenue", "person", "visit", "item", "place", "request")

_LEVELS = {0b0011: counting.BY_HOUR, 0b1000: counting.BY_POSITION, 0b1011: counting.BY_PLACE, 0b1111: counting.WHOLE}
"""What DuckDB's `grouping(hour, place, position, source)` says of each set: a bit is set for what is not grouped by."""

_ATTRIBUTED = f"""
CREATE TEMP TABLE attributed AS
WITH direct AS (
    SELECT e, request AS p, min(shown.position) AS position, arg_min(shown.source, shown.position) AS source
    FROM happened LEFT JOIN shown ON shown.p = happened.request AND shown.item = happened.item
    WHERE request >= 0 GROUP BY e, request
),
wanting AS (
    SELECT e, stamp, item, place, unnest([person, -2 - visit]) AS who FROM happened WHERE request < 0
),
showing AS (
    SELECT page.p, page.stamp, page.place, shown.item, shown.position, shown.source, unnest([person, -2 - visit]) AS who
    FROM shown JOIN page USING (p) WHERE shown.item IN (SELECT item FROM happened WHERE request < 0)
),
touched AS (
    SELECT e, max(p) AS p, arg_max(position, p) AS position, arg_max(source, p) AS source
    FROM wanting JOIN showing USING (who, item)
    WHERE who <> -1 AND showing.stamp <= wanting.stamp AND showing.stamp >= wanting.stamp - $window
      AND (wanting.place = -1 OR wanting.place = showing.place)
    GROUP BY e
)
SELECT happened.e, happened.stamp, happened.type, happened.person, happened.visit, happened.revenue,
    coalesce(direct.p, touched.p, -1) AS p,
    CASE WHEN direct.p IS NOT NULL THEN {REQUEST} WHEN touched.p IS NOT NULL THEN {TOUCH}
         WHEN happened.place >= 0 THEN {TOLD} ELSE {NONE} END AS how,
    CASE WHEN direct.p IS NOT NULL THEN (SELECT place FROM page WHERE page.p = direct.p)
         WHEN touched.p IS NOT NULL THEN (SELECT place FROM page WHERE page.p = touched.p)
         ELSE happened.place END AS place,
    CASE WHEN direct.p IS NOT NULL THEN coalesce(direct.position, happened.position)
         WHEN touched.p IS NOT NULL THEN touched.position
         WHEN happened.place >= 0 THEN happened.position ELSE -1 END AS position,
    CASE WHEN direct.p IS NOT NULL THEN coalesce(direct.source, -1) ELSE coalesce(touched.source, -1) END AS source
FROM happened LEFT JOIN direct USING (e) LEFT JOIN touched USING (e)
"""  # noqa: S608 - only our own constants

_COUNTED = f"""
WITH wanted AS (
    SELECT min(e) AS first_wanted, min(e) FILTER (type = {PURCHASE}) AS first_bought
    FROM attributed WHERE p >= 0 AND type <> {IMPRESSION} GROUP BY p
),
lines AS (
    SELECT stamp, place, -1 AS position, -1 AS source, CASE WHEN person >= 0 THEN person ELSE -2 - visit END AS unit,
        1 AS answers, zero, degraded, 0 AS shown, 0 AS impressions, 0 AS views, 0 AS clicks, 0 AS carts,
        0 AS purchases, 0 AS revenue, 0 AS clicked, 0 AS bought, 0 AS by_request, 0 AS by_touch, 0 AS told,
        0 AS unattributed
    FROM page WHERE stamp >= $since AND stamp < $until
    UNION ALL
    SELECT page.stamp, page.place, shown.position, shown.source, -1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM shown JOIN page USING (p) WHERE page.stamp >= $since AND page.stamp < $until
    UNION ALL
    SELECT stamp, place, position, source, CASE WHEN person >= 0 THEN person ELSE -2 - visit END, 0, 0, 0, 0,
        (type = {IMPRESSION})::INT, (type = {VIEW})::INT, (type = {CLICK})::INT, (type = {CART})::INT,
        (type = {PURCHASE})::INT, revenue, (e IN (SELECT first_wanted FROM wanted))::INT,
        (e IN (SELECT first_bought FROM wanted WHERE first_bought IS NOT NULL))::INT,
        (type <> {IMPRESSION} AND how = {REQUEST})::INT, (type <> {IMPRESSION} AND how = {TOUCH})::INT,
        (type <> {IMPRESSION} AND how = {TOLD})::INT, (type <> {IMPRESSION} AND how = {NONE})::INT
    FROM attributed
),
hourly AS (SELECT (stamp - $since // {DAY} * {DAY}) // {HOUR} AS hour, * FROM lines)
SELECT grouping(hour, place, position, source), hour, place, position, source,
    count(DISTINCT unit) FILTER (unit <> -1), {", ".join(f"sum({name})" for name in counting.FIELDS)}
FROM hourly
GROUP BY GROUPING SETS ((hour, place), (place, position, source), (place), ())
"""  # noqa: S608 - only our own constants
