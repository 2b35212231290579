"""Does a row come back of somebody who was forgotten? Asked inside the transaction that would store it.

So it does not matter how long a batch waited, in this process or in another: what an erasure has ended is either
there before the erasure removes it, or finds the tombstone. Cost: one look (30 us a transaction) while nobody was ever
forgotten, else 2 us a row. Not for: telling the sender (`Privacy.admitted` does, before).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from bodega.adapters.sql.database import Database
from bodega.adapters.sql.tables import TOMBSTONES
from bodega.events.border import Border

_TIME, _USER, _SESSION = 0, 4, 5
"""Where these stand in a row of `tables.EVENTS`."""


def unburied(
    database: Database, connection: Connection, rows: list[tuple[Any, ...]], border: Border
) -> list[tuple[Any, ...]]:
    """The rows without those that were done before their shopper was forgotten."""
    if not rows or connection.execute(select(TOMBSTONES.c.time).limit(1)).first() is None:
        return rows
    subjects = [_subject(row, border) for row in rows]
    held = _times(database, connection, list(dict.fromkeys(subjects)))
    return [row for row, subject in zip(rows, subjects, strict=True) if row[_TIME] > held.get(subject, -1)]


def _subject(row: Sequence[Any], border: Border) -> str:
    return border.digest("user", row[_USER]) if row[_USER] else border.digest("session", row[_SESSION])


def _times(database: Database, connection: Connection, subjects: list[str]) -> dict[str, int]:
    columns = (TOMBSTONES.c.subject, TOMBSTONES.c.time)
    return {row[0]: row[1] for row in database.look_up(connection, columns, TOMBSTONES.c.subject, subjects)}
