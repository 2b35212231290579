"""What happens in the shop? Questions over *all* events, answered by DuckDB over Parquet; read-only.

The event store is made for writing one row durably and for reading one shopper; a question over millions of rows wants
columns. `refresh` copies the events into one Parquet file for each 30 days, in the shop's folder, and only those spans
whose number of events has changed since (events are only ever added, so the count tells; late events are caught too).
The files are a cache: delete them at will.
Cost (CPU, 1.46 million events): the first copy 8 s and 6 bytes an event; a summary of 30 days 0.5 s. One of its
questions costs 0.25 s here and 1.2 s in SQLite.
Not for: training (`events.build_log`), nor for the state of one shopper (`EventStore.recent`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from bodega import failpoints
from bodega.adapters.sql.events import SqlEvents
from bodega.errors import StoreError
from bodega.protocols import EventRows, EventSummary
from bodega.schema import EVENT_CODES

SPAN = 30 * 86_400 * 1_000_000
"""Microseconds in one file: 30 days."""

_TOP = 20


class Analytics:
    """Answers over the events of one store; its Parquet files live in `folder`."""

    def __init__(self, events: SqlEvents, folder: Path) -> None:
        self._events = events
        self._folder = folder

    def refresh(self) -> int:
        """Copy what is new; returns the number of files written. Raises StoreError."""
        wanted = {f"{span}-{count}.parquet": span for span, count in self._events.spans(SPAN).items()}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if failpoints.ON:
                failpoints.reach("analytics.refresh")
            there = {path.name for path in self._folder.glob("*.parquet")}
            for name in wanted.keys() - there:
                self._copy(wanted[name], self._folder / name)
            for name in there - wanted.keys():
                (self._folder / name).unlink(missing_ok=True)
        except (OSError, duckdb.IOException) as error:
            raise StoreError(
                "the copy of the events for analytics cannot be written",
                where=str(self._folder),
                got=str(error),
                next="free space or give write access; the events themselves are safe",
            ) from error
        return len(wanted.keys() - there)

    def summary(self, *, days: int = 30) -> EventSummary:
        """The last `days` days, after bringing the files up to date."""
        self.refresh()
        files = sorted(str(path) for path in self._folder.glob("*.parquet"))
        with duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            if not files:
                return EventSummary(0, days, (), (), {"seen": 0, "cart": 0, "purchase": 0}, (), ())
            connection.execute("CREATE TEMP TABLE names AS SELECT * FROM (SELECT unnest(?) AS type, unnest(?) AS name)",
                               [list(EVENT_CODES.values()), list(EVENT_CODES)])  # fmt: skip
            connection.execute(_RECENT, [files, files, days * 86_400.0])
            return _asked(connection, days)

    def _copy(self, span: int, path: Path) -> None:
        """One span into one file, which appears whole or not at all."""
        part = path.with_suffix(".part")
        with duckdb.connect(":memory:") as connection:
            for number, rows in enumerate(self._events.scan(since=span * SPAN, until=(span + 1) * SPAN)):
                chunk = _columns(rows)
                connection.register("chunk", chunk)
                if number == 0:
                    connection.execute("CREATE TABLE events AS SELECT * FROM chunk LIMIT 0")
                connection.execute("INSERT INTO events SELECT * FROM chunk")
                connection.unregister("chunk")
            target = str(part).replace("'", "''")
            connection.execute(f"COPY events TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        part.replace(path)


def _columns(rows: EventRows) -> dict[str, Any]:
    """The columns that questions are asked about, as DuckDB reads them."""
    texts = {"user_id": rows.user, "session_id": rows.session, "item": rows.item, "query": rows.query}
    return {"time": rows.time, "type": rows.type, "quantity": rows.quantity} | {
        name: np.array(column, object) for name, column in texts.items()
    }


_RECENT = """
CREATE TEMP TABLE events AS
SELECT time, name AS type, item, query, coalesce(nullif(session_id, ''), 'user ' || user_id) AS visit
FROM read_parquet(?) JOIN names USING (type)
WHERE time > (SELECT max(time) FROM read_parquet(?)) - ?
"""

_PER_DAY = """
SELECT strftime(make_timestamp((time * 1000000)::BIGINT), '%Y-%m-%d') AS day, type, count(*)
FROM events GROUP BY ALL ORDER BY day, type
"""

_TOP_ITEMS = """
SELECT item, count(*) FILTER (type IN ('view', 'click')) AS seen, count(*) FILTER (type = 'purchase') AS bought
FROM events WHERE item <> '' AND type IN ('view', 'click', 'purchase')
GROUP BY item ORDER BY bought DESC, seen DESC, item LIMIT ?
"""

_FUNNEL = """
SELECT count(DISTINCT visit) FILTER (type IN ('view', 'click')), count(DISTINCT visit) FILTER (type = 'cart'),
       count(DISTINCT visit) FILTER (type = 'purchase')
FROM events
"""

_QUERIES = """
WITH asked AS (SELECT query, count(DISTINCT visit) AS visits FROM events WHERE type = 'search' GROUP BY query),
     answered AS (SELECT DISTINCT query FROM events WHERE type IN ('view', 'click', 'cart', 'purchase') AND query <> '')
SELECT asked.query, visits FROM asked LEFT JOIN answered USING (query)
WHERE answered.query IS NULL OR NOT ? ORDER BY visits DESC, asked.query LIMIT ?
"""


def _asked(connection: duckdb.DuckDBPyConnection, days: int) -> EventSummary:
    def rows(sql: str, *values: object) -> tuple[Any, ...]:
        return tuple(connection.execute(sql, list(values)).fetchall())

    per_day = rows(_PER_DAY)
    (seen, cart, purchase), *_ = rows(_FUNNEL)
    return EventSummary(
        events=sum(count for _, _, count in per_day),
        days=days,
        per_day=per_day,
        top_items=rows(_TOP_ITEMS, _TOP),
        funnel={"seen": seen, "cart": cart, "purchase": purchase},
        top_queries=rows(_QUERIES, False, _TOP),
        unanswered=rows(_QUERIES, True, _TOP),
    )
