"""How does a shop move from one database to another, and who believes that it arrived?

`move` locks the writers of the source out (readers go on), copies every table in key order, then reads both sides and
compares the digests of every table. Only when all are equal does the target become a store that can be opened; until
then its layout is marked, and opening it is refused. Cut short, the same command goes on where it stopped. A target
that holds anything of its own is refused: two shops are never mixed.
Cost: see `copying`; a shop of 1.5 million events moves to PostgreSQL in about two minutes.
Not for: moving while events come in. They are refused meanwhile, not lost: an acknowledged event is in the source.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import closing

from sqlalchemy import Connection, delete, insert, inspect, select, text

from bodega.adapters.sql.copying import MARKS, TABLES, clear, copy_all, counts, digests
from bodega.adapters.sql.database import Database
from bodega.adapters.sql.migrate import HEAD, MOVING, migrate, revision
from bodega.adapters.sql.tables import META
from bodega.errors import BadSettings, StoreError, UsageError
from bodega.protocols import Progress
from bodega.schema.moves import MoveReport, TableCopy

(MARK,) = MARKS


def move(source_url: str, target_url: str, progress: Progress) -> MoveReport:
    """Copy everything and compare. Raises UsageError (a target that is not empty), StoreError (digests differ)."""
    started = time.perf_counter()
    with closing(Database(source_url)) as source, closing(Database(target_url)) as target:
        if source.url == target.url:
            raise BadSettings("source and target are the same store", where="migrate", got=source.name)
        _known(source)
        migrate(source)
        with source.writing(within=None) as reading:
            resumed = _marked(source, target)
            told = copy_all(source, reading, target, progress)
            wrong = _different(told, digests(target, progress))
            if wrong and resumed:  # the source changed since the first attempt: begin those tables anew
                clear(target, wrong)
                told = copy_all(source, reading, target, progress)
                wrong = _different(told, digests(target, progress))
        if wrong:
            raise StoreError(
                "the target does not hold what the source holds; it was not made a store",
                where=target.name,
                got=f"other digests of {', '.join(wrong)}",
                next="the source is as it was; empty the target and try again, and report it if it stays",
            )
        _arrived(target)
        return MoveReport(source.name, target.name, told, resumed, time.perf_counter() - started)


def _known(source: Database) -> None:
    """An empty database is no shop: refuse to move nothing, e.g. after a slip in the path."""
    if revision(source) is None:
        raise UsageError(
            "the source holds no shop",
            where=source.name,
            allowed="a store that a shop has used",
            next="check the URL; for SQLite it names the file: sqlite:////path/to/shop/shop.db",
        )


def _marked(source: Database, target: Database) -> bool:
    """Make the target ready and mark it as filling up; True when an earlier move from this source is continued."""
    origin, mark = _origin(source), f"{MOVING}{HEAD}"
    found = revision(target)
    if found is not None and found.startswith(MOVING):
        with target.reading() as connection:
            of = connection.scalar(select(META.c.value).where(META.c.name == MARK))
        if found == mark and of == origin:
            return True
        raise _not_empty(target, "half of another shop (or of this one, by another version of Bodega)")
    if found is None and (names := _others(target)):
        raise _not_empty(target, f"tables of another program: {', '.join(names)}")
    migrate(target)
    with target.writing() as connection:
        rows = {name: count for name, count in counts(connection).items() if count and name != META.name}
        if rows:
            raise _not_empty(target, ", ".join(f"{count:,} {name}" for name, count in rows.items()))
        connection.execute(text("UPDATE alembic_version SET version_num = :mark"), {"mark": mark})
        connection.execute(insert(META).values(name=MARK, value=origin))
    return False


def _others(target: Database) -> list[str]:
    """Tables in the way: named like ours, in a database that never was a store."""
    with target.reading() as connection:
        return sorted({table.name for table in TABLES} & set(inspect(connection).get_table_names()))


def _not_empty(target: Database, got: str) -> UsageError:
    return UsageError(
        "the target is not empty: two shops are never mixed",
        where=target.name,
        allowed="an empty database, or one that the same move was filling",
        got=got,
        next="make a new database and name that one",
    )


def _origin(source: Database) -> int:
    return int.from_bytes(hashlib.sha256(source.name.encode()).digest()[:7], "big")


def _different(told: tuple[TableCopy, ...], found: tuple[TableCopy, ...]) -> list[str]:
    there = {table.name: table for table in found}
    return [table.name for table in told if there.get(table.name) != table]


def _arrived(target: Database) -> None:
    """From now on the target is a store like any other."""

    def arrive(connection: Connection) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": HEAD})
        connection.execute(delete(META).where(META.c.name == MARK))
        if not target.is_sqlite:
            for table in TABLES:
                connection.execute(text(f'ANALYZE "{table.name}"'))  # else the first questions are planned for nothing

    target.write(arrive)
