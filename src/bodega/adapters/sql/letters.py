"""Which rows could not be used, and why? Kept until somebody mends them; the same row is kept once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import msgspec
from sqlalchemy import Connection, delete, func, select

from bodega import failpoints
from bodega.adapters.sql.database import Database
from bodega.adapters.sql.tables import DEAD_LETTERS
from bodega.events.border import Border
from bodega.schema import DeadLetter

RAW_LIMIT = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SqlLetters:
    """Implements `protocols.DeadLetterBox`. `put` is durable when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.border: Border | None = None
        """What lets no raw id through; None: everything is kept as it comes."""

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Keep the letters; a letter without a time gets the time of keeping."""
        if failpoints.ON:
            failpoints.reach("letters.put")
        kept = letters if self.border is None else [self.border.letter(letter) for letter in letters]
        self._database.write(lambda connection: put_letters(self._database, connection, kept))

    def remove(self, letters: Sequence[DeadLetter]) -> int:
        """Take letters out, once what they hold is mended; returns how many were there."""
        now = datetime.now(UTC)
        keys = [_row(letter, now)[0] for letter in letters]
        with self._database.writing() as connection:
            return sum(
                connection.execute(
                    delete(DEAD_LETTERS).where(DEAD_LETTERS.c.id.in_(keys[start : start + 500]))
                ).rowcount
                for start in range(0, len(keys), 500)
            )

    def list(self, *, kind: str = "", reason: str = "", limit: int = 50) -> list[DeadLetter]:
        """The newest letters first, of this kind and reason where given."""
        table = DEAD_LETTERS.c
        query = select(DEAD_LETTERS).order_by(table.time.desc(), table.line.desc(), table.id).limit(max(limit, 0))
        if kind:
            query = query.where(table.kind == kind)
        if reason:
            query = query.where(table.reason == reason)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [
            DeadLetter(
                kind=row.kind,
                reason=row.reason,
                message=row.message,
                source=row.source,
                line=row.line,
                raw=row.raw,
                time=_EPOCH + row.time * _MICROSECOND,
            )
            for row in rows
        ]

    def counts(self) -> dict[tuple[str, str], int]:
        """{(kind, reason): letters}."""
        table = DEAD_LETTERS.c
        query = select(table.kind, table.reason, func.count()).group_by(table.kind, table.reason)
        with self._database.reading() as connection:
            return {(kind, reason): count for kind, reason, count in connection.execute(query.order_by(None))}


def put_letters(database: Database, connection: Connection, letters: Sequence[DeadLetter]) -> None:
    """Keep letters inside somebody's transaction."""
    now = datetime.now(UTC)
    database.insert_new(connection, DEAD_LETTERS, [_row(letter, now) for letter in letters])


def _row(letter: DeadLetter, now: datetime) -> tuple[object, ...]:
    raw = _storable(letter.raw)[:RAW_LIMIT]
    message, source = _storable(letter.message), _storable(letter.source)
    identity = msgspec.msgpack.encode((letter.kind, letter.reason, source, letter.line, raw))
    key = blake2b(identity, digest_size=16).digest()
    time = ((letter.time or now) - _EPOCH) // _MICROSECOND
    return (key, letter.kind, letter.reason, message, source, letter.line, raw, time)


def _storable(text: str) -> str:
    """The text without what UTF-8 and PostgreSQL cannot hold: a bad row must always find its place in the box."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
