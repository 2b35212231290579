"""Are two stores the same, and how does one become the other? Every table in the order of its key, row by row.

A table's digest is the SHA-256 of its rows, in key order, in one spelling that does not depend on the database: equal
digests mean equal content, whatever the files look like. Copying reads one consistent view and leaves out what the
target has already, so a copy that was cut short goes on where it stopped.
Cost, CPU: 1.5 s a million events to digest one store; a copy into SQLite 60k events/s, into PostgreSQL 28k/s.
Not for: choosing what may be copied where (`moving`), or files beside the store (`adapters.backup`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Boolean, Column, Connection, Table, delete, func, select

from bodega.adapters.sql.database import Database
from bodega.adapters.sql.tables import META, METADATA
from bodega.errors import BadRequest
from bodega.protocols import Progress
from bodega.schema.moves import TableCopy

TABLES: tuple[Table, ...] = (*(table for table in METADATA.sorted_tables if table is not META), META)
"""All of them; the counters come last, so that nobody is told of changes that are not there yet."""

CHUNK = 5_000
MARKS = ("moving_from",)
"""Lines of `meta` that belong to one store and not to what it holds."""

_encode = msgspec.msgpack.Encoder().encode
Row = tuple[Any, ...]


def digests(database: Database, progress: Progress) -> tuple[TableCopy, ...]:
    """Every table's rows and digest, all in one consistent view."""
    with database.reading() as connection:
        return tuple(_passed(database, connection, table, progress, None) for table in TABLES)


def counts(connection: Connection) -> dict[str, int]:
    """{table: rows}."""
    return {table.name: int(connection.scalar(select(func.count()).select_from(table)) or 0) for table in TABLES}


def copy_all(source: Database, reading: Connection, target: Database, progress: Progress) -> tuple[TableCopy, ...]:
    """Copy what `reading` sees into the target; returns what was read, with digests. Raises StoreError, BadRequest."""
    return tuple(_copied(source, reading, target, table, progress) for table in TABLES)


def clear(target: Database, names: Sequence[str]) -> None:
    """Remove every row of these tables."""
    with target.writing() as connection:
        for table in TABLES:
            if table.name in names and table is not META:
                connection.execute(delete(table))


def _copied(source: Database, reading: Connection, target: Database, table: Table, progress: Progress) -> TableCopy:
    last = _last_key(target, table) if table is not META else None
    if table is META:  # a new store has counters of its own
        target.write(lambda connection: connection.execute(delete(META).where(META.c.name.not_in(MARKS))))
    place = [list(table.columns).index(column) for column in table.primary_key.columns]

    def write(rows: list[Row]) -> None:
        if last is not None:
            rows = [row for row in rows if tuple(row[index] for index in place) > last]
        try:
            target.write(lambda connection: target.insert_new(connection, table, rows))
        except BadRequest as error:
            error.where = f"table {table.name}, {_named(rows, place)}"
            raise

    return _passed(source, reading, table, progress, write)


def _passed(
    database: Database,
    connection: Connection,
    table: Table,
    progress: Progress,
    write: Callable[[list[Row]], None] | None,
) -> TableCopy:
    """Read a table in key order, hash every row, hand each chunk on."""
    query = select(*table.columns).order_by(*table.primary_key.columns)
    if table is META:
        query = query.where(META.c.name.not_in(MARKS))
    progress.start(table.name, float(connection.scalar(select(func.count()).select_from(table)) or 0))
    digest, count, spelled = hashlib.sha256(), 0, _spelling(table)
    for chunk in database.stream_on(connection, query, CHUNK):
        rows = spelled(chunk)
        digest.update(b"".join(map(_encode, rows)))
        count += len(rows)
        if write is not None:
            write(rows)
        progress.advance(len(rows))
    progress.finish()
    return TableCopy(str(table.name), count, digest.hexdigest())


def _spelling(table: Table) -> Callable[[Sequence[Sequence[Any]]], list[Row]]:
    """Rows as plain tuples with the same types from both databases: SQLite has numbers for truth values."""
    truths = [index for index, column in enumerate(table.columns) if isinstance(column.type, Boolean)]

    def spelled(rows: Sequence[Sequence[Any]]) -> list[Row]:
        if not truths:
            return [tuple(row) for row in rows]
        return [tuple(bool(value) if index in truths else value for index, value in enumerate(row)) for row in rows]

    return spelled


def _last_key(target: Database, table: Table) -> tuple[Any, ...] | None:
    """The greatest key in the target: rows were copied in key order, so everything before it is there."""
    keys: list[Column[Any]] = list(table.primary_key.columns)
    query = select(*keys).order_by(*(key.desc() for key in keys)).limit(1)
    with target.reading() as connection:
        row = connection.execute(query).first()
    return None if row is None else tuple(row)


def _named(rows: Sequence[Row], place: Sequence[int]) -> str:
    """The keys between which the row lies that the target refused."""
    if not rows:
        return "no rows"
    keys = [tuple(row[index] for index in place) for row in (rows[0], rows[-1])]
    return f"a row between keys {keys[0]!r} and {keys[1]!r}"
