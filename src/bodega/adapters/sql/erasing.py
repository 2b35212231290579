"""How are rows removed for good? In small transactions that a nearly full disk can take, overwritten where they lay.

A user's rows go whoever delivered them; rows of a visit go where nobody was signed in. On SQLite `secure_delete` writes
zeros over what is removed and the log is emptied afterwards: the id is not merely unlinked. (Copies that SQLite made
while it moved rows between pages earlier are only rewritten by `compact`.) PostgreSQL rewrites its pages at VACUUM.
Cost: 150 us a row. Not for: who is meant (`engine.erasure`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, Text, delete, func, or_, select, update

from bodega.adapters.sql.answers import SqlAnswers
from bodega.adapters.sql.database import Database
from bodega.adapters.sql.decisions import SqlDecisions
from bodega.adapters.sql.removing import removing
from bodega.adapters.sql.tables import CONSENTS, DEAD_LETTERS, EVENTS, IDENTITIES, IDENTITY_CHANGES, REVIEWS
from bodega.errors import StoreError
from bodega.events.people import Erased

ROWS = 250
"""Rows a transaction: at most 4 MB of log, when each lies on pages of its own."""
PART = 500


def erase(database: Database, users: Sequence[str], sessions: Sequence[str]) -> Erased:
    """Every row of these users, and of these visits where nobody was signed in. Raises StoreError."""
    whose: list[ColumnElement[bool]] = [EVENTS.c.user_id.in_(part) for part in _parts(users)]
    whose += [EVENTS.c.session_id.in_(part) & (EVENTS.c.user_id == "") for part in _parts(sessions)]
    subjects = [f"user:{name}" for name in users] + [f"session:{name}" for name in sessions]
    count, first, last = _events(database, whose)
    rows = {"events": count, "dead_letters": _letters(database, {*users, *sessions})}
    rows |= {"decisions": SqlDecisions(database).forget(users, sessions)}
    rows |= {"answers": SqlAnswers(database).forget(users, sessions)}
    with removing(database) as connection:
        rows["identities"] = _touching(connection, IDENTITIES.c.left, IDENTITIES.c.right, subjects)
        changes = IDENTITY_CHANGES.c
        rows["identity_changes"] = _touching(connection, changes.left, changes.right, subjects)
        rows["consents"] = _touching(connection, CONSENTS.c.subject, None, subjects)
        rows["reviews"] = _touching(connection, REVIEWS.c.user_id, None, [name for name in users if name])
    _emptied(database, "TRUNCATE")
    return Erased(rows, first, last)


def expire(database: Database, before: int) -> Erased:
    """Events, letters, decisions and answers older than `before` (microseconds since 1970).

    A review is a statement that its author made public: it stays, and nothing says any more whose it was.
    """
    count, first, last = _events(database, [EVENTS.c.time < before])
    rows = {"events": count, "decisions": SqlDecisions(database).prune(before / 1e6)}
    rows |= {"answers": SqlAnswers(database).prune(before / 1e6)}
    with removing(database) as connection:
        rows["dead_letters"] = connection.execute(delete(DEAD_LETTERS).where(DEAD_LETTERS.c.time < before)).rowcount
        old = (REVIEWS.c.time < before) & (REVIEWS.c.user_id != "")
        rows["reviews"] = connection.execute(update(REVIEWS).where(old).values(user_id="")).rowcount
    _emptied(database, "TRUNCATE")
    return Erased(rows, first, last)


def compact(database: Database) -> bool:
    """Rewrite the whole store, so that no page holds what was removed; False on PostgreSQL, whose VACUUM does that.

    Needs as much free disk as the store is large, and lets nobody write meanwhile (1 s for 200 MB).
    """
    if database.is_sqlite:
        _outside(database, "VACUUM")
        _emptied(database, "TRUNCATE")
    return database.is_sqlite


def _emptied(database: Database, how: str) -> None:
    """Copy SQLite's log back and empty it. A reader that is still busy leaves that to the next writer."""
    if database.is_sqlite:
        with contextlib.suppress(StoreError):
            _outside(database, f"PRAGMA wal_checkpoint({how})")


def _outside(database: Database, statement: str) -> None:
    """Run a statement of SQLite's that must not stand in a transaction (a reading one has been begun for us)."""
    with database.reading() as connection:
        connection.exec_driver_sql("COMMIT")
        try:
            connection.exec_driver_sql(statement)
        finally:
            connection.exec_driver_sql("BEGIN")


def _events(database: Database, whose: Sequence[ColumnElement[bool]]) -> tuple[int, float | None, float | None]:
    """(rows removed, time of the first, of the last)."""
    columns, count = EVENTS.c, 0
    times: list[int] = []
    for where in whose:
        with database.reading() as connection:
            found = connection.execute(select(func.min(columns.time), func.max(columns.time)).where(where)).one()
        times += [time for time in found if time is not None]
        gone = ROWS
        while gone == ROWS:
            with removing(database) as connection:
                ids = [row[0] for row in connection.execute(select(columns.id).where(where).limit(ROWS))]
                gone = len(ids)
                # by the unique id: SQLite scans the whole table for pairs of (time, id), 70 times slower
                for part in _parts(ids):
                    connection.execute(delete(EVENTS).where(columns.id.in_(part)))
            count += gone
            if gone == ROWS:
                _emptied(database, "PASSIVE")
    return count, min(times) / 1e6 if times else None, max(times) / 1e6 if times else None


def _letters(database: Database, names: set[str]) -> int:
    """Letters in whose row one of the names stands as a whole value."""
    columns = DEAD_LETTERS.c
    found: list[bytes] = []
    with database.reading() as connection:
        for name in names:
            part = msgspec.json.encode(name).decode()[1:-1]
            like = or_(*(columns.raw.contains(text, autoescape=True) for text in {part, name}))
            rows = connection.execute(select(columns.id, columns.raw).where(like))
            found += [row.id for row in rows if _holds(row.raw, name)]
    keys = list(dict.fromkeys(bytes(key) for key in found))
    with removing(database) as connection:
        for batch in _parts(keys):
            connection.execute(delete(DEAD_LETTERS).where(columns.id.in_(batch)))
    return len(keys)


_APART = re.compile(r"[,;|\t\r\n\"'{}\[\]:= ]+")


def _holds(raw: str, name: str) -> bool:
    """Does the name stand in the row as a whole value?"""
    try:
        row = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return name in _APART.split(raw) or f'"{name}"' in raw
    return _among(row, name)


def _among(value: Any, name: str) -> bool:
    if isinstance(value, dict):
        return any(_among(each, name) for each in value.values())
    if isinstance(value, list):
        return any(_among(each, name) for each in value)
    return isinstance(value, str | int | float) and str(value).strip() == name


def _touching(connection: Connection, one: Column[Text], other: Column[Text] | None, subjects: Sequence[str]) -> int:
    """Remove the rows where either column is one of the subjects."""
    table, count = one.table, 0
    for part in _parts(subjects):
        where = one.in_(part) if other is None else one.in_(part) | other.in_(part)
        count += connection.execute(delete(table).where(where)).rowcount
    return count


def _parts(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[start : start + PART] for start in range(0, len(values), PART)]
