"""What the counts are made of, and where they are kept: pages and events in order of time, daily counts, marks.

Scans go straight through the driver in one consistent view, 500 pages or 20,000 events at a time. How many rows a day
has comes from the order in which both tables lie: 1 us a row. Cost of the scans: 3 us a page of 20 items, 3 us an
event. Not for: what is counted (`insight`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import delete, func, select

from bodega.adapters.sql.answers import answered
from bodega.adapters.sql.database import Database
from bodega.adapters.sql.tables import ANSWERS, EVENTS, METRICS_DAILY, METRICS_DAYS
from bodega.insight.attribution import COUNTED, Happened, Mark
from bodega.insight.counting import DAY, FIELDS, Cell
from bodega.schema.answers import Answered

_PAGES = 500
_EVENTS = 20_000
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode


class SqlLogbook:
    """Implements `insight.attribution.Logbook`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pages(self, since: int, until: int) -> Iterator[Answered]:
        """Pages in (time, request) order, streamed."""
        time = ANSWERS.c.time
        query = select(ANSWERS).where(time >= since, time < until).order_by(time, ANSWERS.c.request_id)
        for rows in self._database.stream(query, _PAGES):
            for row in rows:
                yield answered(row)

    def named(self, requests: Sequence[str]) -> list[Answered]:
        """The pages of these requests that are in the log, in (time, request) order."""
        with self._database.reading() as connection:
            names = [name for name in requests if "\0" not in name]
            rows = self._database.look_up(connection, list(ANSWERS.columns), ANSWERS.c.request_id, names)
            found = [answered(row) for row in rows]
        return sorted(found, key=lambda page: (page.time, page.request_id))

    def happened(self, since: int, until: int, types: Sequence[int] = COUNTED) -> Iterator[Happened]:
        """Events of these types in (time, id) order, in chunks."""
        columns = EVENTS.c
        query = (
            select(
                columns.time, columns.type, func.coalesce(columns.position, -1), columns.price, columns.quantity,
                columns.id, columns.user_id, columns.session_id, columns.item_id, columns.place, columns.request_id,
                columns.currency, columns.query,
            )
            .where(columns.time >= since, columns.time < until, columns.type.in_(types))
            .order_by(columns.time, columns.id)
        )  # fmt: skip
        for rows in self._database.stream(query, _EVENTS):
            time, code, position, price, quantity, *texts = zip(*rows, strict=True)
            yield Happened(
                np.array(time, np.int64),
                np.array(code, np.int8),
                np.array(position, np.int32),
                np.array(price, np.float64),  # None becomes NaN
                np.array(quantity, np.float64),
                *(list(column) for column in texts),
            )

    def rows(self, since: int, until: int) -> dict[int, tuple[int, int]]:
        """{day: (pages, events of any type)} of the days that have any."""
        found: dict[int, list[int]] = {}
        with self._database.reading() as connection:
            for place, table in enumerate((ANSWERS, EVENTS)):
                day = table.c.time // DAY
                query = select(day, func.count()).where(table.c.time >= since, table.c.time < until).group_by(day)
                for number, count in connection.execute(query):
                    found.setdefault(int(number), [0, 0])[place] = int(count)
        return {day: (pages, events) for day, (pages, events) in found.items()}

    def newest(self) -> int:
        """Time of the newest page or event; 0 of none."""
        with self._database.reading() as connection:
            times = [connection.scalar(select(func.max(table.c.time))) for table in (ANSWERS, EVENTS)]
        return max((int(time) for time in times if time is not None), default=0)

    def marks(self, first: int, last: int) -> dict[int, Mark]:
        """{day: mark} of the counted days from `first` to `last`."""
        query = select(METRICS_DAYS).where(METRICS_DAYS.c.day.between(first, last))
        with self._database.reading() as connection:
            return {row.day: Mark(row.day, row.until, row.answers, row.events) for row in connection.execute(query)}

    def cells(self, first: int, last: int, levels: Sequence[int]) -> list[Cell]:
        """The counts of these days at these levels, in key order."""
        keys = METRICS_DAILY.primary_key.columns
        query = select(METRICS_DAILY).where(METRICS_DAILY.c.day.between(first, last), METRICS_DAILY.c.level.in_(levels))
        with self._database.reading() as connection:
            return [_cell(row) for row in connection.execute(query.order_by(*keys))]

    def keep(self, mark: Mark, cells: Sequence[Cell]) -> None:
        """Put these counts in the place of what was counted of that day, in one transaction."""
        rows = [
            (
                cell.day, cell.hour, cell.place.replace("\0", ""), cell.position, cell.source.replace("\0", ""),
                cell.level, _encode([cell.units, *cell.counts]),
            )
            for cell in cells
        ]  # fmt: skip
        with self._database.writing() as connection:
            connection.execute(delete(METRICS_DAILY).where(METRICS_DAILY.c.day == mark.day))
            connection.execute(delete(METRICS_DAYS).where(METRICS_DAYS.c.day == mark.day))
            self._database.insert_new(connection, METRICS_DAILY, rows)
            self._database.insert_new(connection, METRICS_DAYS, [(mark.day, mark.until, mark.answers, mark.events)])


def _cell(row: Any) -> Cell:
    """A later version counts more: what an older row does not hold is 0."""
    day, hour, place, position, source, level, payload = row
    units, *counts = _decode(payload)
    counts = [*counts, *([0] * (len(FIELDS) - len(counts)))][: len(FIELDS)]
    return Cell(day, level, hour, place, position, source, tuple(counts), units)
