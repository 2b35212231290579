"""How far has each stream been stored? One row a partition, written in the transaction of the events it speaks of.

A place only moves on: a consumer that lost its partition and writes late (it was paused, the group gave the partition
to another one) stores events that are there already, and must not send its successor back. On both databases that is
one statement, an upsert with a condition on the pair (position, minor).
Not for: positions that a broker keeps; those are for its own tools to look at.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Connection, and_, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from bodega.adapters.sql.database import Database
from bodega.adapters.sql.tables import STREAM_OFFSETS
from bodega.protocols import Offset


def write_offsets(database: Database, connection: Connection, offsets: Sequence[Offset]) -> None:
    """Move each partition on to its offset, inside somebody's transaction."""
    columns, now = STREAM_OFFSETS.c, time.time_ns() // 1_000
    for offset in offsets:
        values = {
            "stream": offset.stream,
            "partition": offset.partition,
            "position": offset.position,
            "minor": offset.minor,
            "time": now,
        }
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        statement = insert(STREAM_OFFSETS).values(values)
        later = or_(
            columns.position < offset.position,
            and_(columns.position == offset.position, columns.minor < offset.minor),
        )
        moved = {name: values[name] for name in ("position", "minor", "time")}
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["stream", "partition"], set_=moved, where=None if offset.anew else later
            )
        )


def read_offsets(database: Database, stream: str) -> dict[int, Offset]:
    """{partition: how far it is stored}."""
    columns = STREAM_OFFSETS.c
    query = select(columns.partition, columns.position, columns.minor).where(columns.stream == stream)
    with database.reading() as connection:
        return {number: Offset(stream, number, place, minor) for number, place, minor in connection.execute(query)}
