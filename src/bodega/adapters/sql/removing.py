"""A transaction that leaves nothing of what it removes: SQLite writes zeros over it, PostgreSQL rewrites its pages at
VACUUM. Cost: each page that held a removed row is written once more. Not for: choosing what goes (`erasing`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from bodega.adapters.sql.database import Database


@contextmanager
def removing(database: Database) -> Iterator[Connection]:
    """A transaction that writes zeros over what it removes (SQLite)."""
    with database.writing() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        try:
            yield connection
        finally:
            if database.is_sqlite:
                connection.exec_driver_sql("PRAGMA secure_delete = OFF")
