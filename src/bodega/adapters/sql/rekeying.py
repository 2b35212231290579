"""How do rows that are there already come under pseudonyms, or under a new key? Rewritten part by part, each once.

A row is moved on by its id alone (`Pseudonyms.of` turns a raw id or an older pseudonym into the newest), so no list of
raw ids is needed, and a run that was killed goes on where it stopped. An event's digest covers its ids and is made
anew; so is an id that was made of the content. Rows that would become the same as one that is there are that one.
Cost: 60 us an event. Not for: keeping the key.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Table, delete, insert, or_, select, update

from bodega.adapters.sql.database import Database
from bodega.adapters.sql.events import event_of, event_row
from bodega.adapters.sql.letters import SqlLetters
from bodega.adapters.sql.removing import removing
from bodega.adapters.sql.reviews import own_id
from bodega.adapters.sql.tables import (
    ANSWERS,
    CONSENTS,
    DECISIONS,
    EVENTS,
    IDENTITIES,
    IDENTITY_CHANGES,
    REVIEWS,
    TOMBSTONES,
)
from bodega.events.border import Border
from bodega.schema.people import Link

PART = 1_000
_SUBJECTS: tuple[tuple[Table, tuple[str, ...]], ...] = (
    (CONSENTS, ("subject",)),
    (TOMBSTONES, ("subject",)),
    (IDENTITIES, ("left", "right")),
    (IDENTITY_CHANGES, ("left", "right")),
)


def rekey(database: Database, border: Border) -> dict[str, int]:
    """Bring every row under the newest key; {table: rows that were rewritten}. Raises StoreError."""
    counts = {"events": _events(database, border), "dead_letters": _letters(database, border)}
    counts["decisions"] = _named(database, border, DECISIONS)
    counts["answers"] = _named(database, border, ANSWERS)
    counts["reviews"] = _reviews(database, border)
    for table, columns in _SUBJECTS:
        counts[table.name] = _subjects(database, border, table, columns)
    return counts


def _stale(column: Any, border: Border) -> Any:
    """Is the id of this column neither empty nor a pseudonym under the newest key?"""
    return (column != "") & ~column.startswith(f"~{border.pseudonyms.newest}.", autoescape=True)


def _events(database: Database, border: Border) -> int:
    columns, count, found = EVENTS.c, 0, PART
    stale = or_(_stale(columns.user_id, border), _stale(columns.session_id, border))
    while found == PART:
        with removing(database) as connection:
            rows = connection.execute(select(EVENTS).where(stale).limit(PART)).all()
            found = len(rows)
            fresh = [_renamed(row, border) for row in rows]
            for start in range(0, found, 250):
                ids = [row.id for row in rows[start : start + 250]]
                connection.execute(delete(EVENTS).where(columns.id.in_(ids)))
            database.insert_new(connection, EVENTS, sorted(fresh))
            count += found
    return count


def _renamed(row: Any, border: Border) -> tuple[Any, ...]:
    event = border.event(event_of(row))
    if row.id == f"{row.time:x}-{urlsafe_b64encode(bytes(row.digest)[:12]).decode()}":
        event = msgspec.structs.replace(event, id="")
    return event_row(event)


def _letters(database: Database, border: Border) -> int:
    box, count = SqlLetters(database), 0
    for letter in box.list(kind="event", limit=10_000_000):
        masked = border.letter(letter)
        if masked != letter:
            box.remove([letter])
            box.put([msgspec.structs.replace(masked, time=letter.time or datetime.now(UTC))])
            count += 1
    return count


def _named(database: Database, border: Border, table: Table) -> int:
    """Rows that differ in nothing but whose they are."""
    count = 0
    for kind, column in (("user", table.c.user_id), ("session", table.c.session_id)):
        with database.reading() as connection:
            names = [row[0] for row in connection.execute(select(column).where(_stale(column, border)).distinct())]
        for name in names:
            with database.writing() as connection:
                renamed = update(table).where(column == name).values({column: border.name(kind, name)})
                count += connection.execute(renamed).rowcount
    return count


def _reviews(database: Database, border: Border) -> int:
    """The writers of reviews; an id that was made of the content is made anew, so that another import finds it."""
    column, count, found = REVIEWS.c.user_id, 0, PART
    while found == PART:
        with removing(database) as connection:
            rows = connection.execute(select(REVIEWS).where(_stale(column, border)).limit(PART)).all()
            found = len(rows)
            for row in rows:
                user, name = border.name("user", row.user_id), row.id
                if name == own_id(row):
                    name = own_id(row, user)
                connection.execute(delete(REVIEWS).where(REVIEWS.c.id == row.id))
                kept = dict(row._mapping) | {"id": name, "user_id": user}
                database.insert_new(connection, REVIEWS, [tuple(kept.values())])
            count += found
    return count


def _subjects(database: Database, border: Border, table: Table, columns: Sequence[str]) -> int:
    """Small tables: read, renamed, written again in one transaction."""
    with removing(database) as connection:
        rows = [dict(row._mapping) for row in connection.execute(select(table))]
        fresh = [row | _moved(row, columns, lambda subject: _subject(subject, border)) for row in rows]
        changed = sum(one != other for one, other in zip(rows, fresh, strict=True))
        if changed:
            connection.execute(delete(table))
            connection.execute(insert(table), list({_key(table, row): row for row in fresh}.values()))
    return changed


def _moved(row: dict[str, Any], columns: Sequence[str], name: Callable[[str], str]) -> dict[str, str]:
    moved = [name(row[column]) for column in columns]
    if len(moved) == 2:
        link = Link.of(*moved)
        moved = [link.left, link.right]
    return dict(zip(columns, moved, strict=True))


def _subject(subject: str, border: Border) -> str:
    kind, _, name = subject.partition(":")
    return f"{kind}:{border.pseudonyms.of(kind, name)}"


def _key(table: Table, row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in table.primary_key.columns)


def stale_rows(database: Database, border: Border) -> int:
    """How many events still carry an id that is no pseudonym under the newest key (up to 1,000 are counted)."""
    stale = or_(_stale(EVENTS.c.user_id, border), _stale(EVENTS.c.session_id, border))
    with database.reading() as connection:
        return len(connection.execute(select(EVENTS.c.time).where(stale).limit(PART)).all())
