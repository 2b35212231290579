"""Who says how well which item answers which query? One row an opinion, in the order of queries.

What clicks say is written anew as a whole (`replace`), what people say one by one. Cost: 20 microseconds an opinion.
Not for: which of several opinions counts (`evaluation.judgments.merging`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, select, tuple_

from bodega.adapters.sql.database import AT_ONCE, Database
from bodega.adapters.sql.tables import JUDGMENTS
from bodega.protocols import Written
from bodega.schema.judgments import Judgment, JudgmentCount, Origin

CHUNK = 5_000
LOOK_UP = 200
_KEY = (JUDGMENTS.c.query, JUDGMENTS.c.item_id, JUDGMENTS.c.origin, JUDGMENTS.c.who)
_COLUMNS = (*_KEY, JUDGMENTS.c.grade, JUDGMENTS.c.time, JUDGMENTS.c.note)
Key = tuple[str, str, str, str]


class SqlJudgments:
    """Implements `protocols.JudgmentStore`. Every write is durable when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, judgments: Sequence[Judgment]) -> Written:
        """Add or replace; an equal grade and note given again is no change."""
        named = storable(judgments)
        return self._database.write(lambda connection: self._put(connection, named))

    def replace(self, origin: Origin, who: str, judgments: Sequence[Judgment]) -> Written:
        """These are now all opinions of this judge, in one transaction."""
        named = {key: each for key, each in storable(judgments).items() if key[2:] == (origin, who)}
        own = and_(JUDGMENTS.c.origin == origin, JUDGMENTS.c.who == who)

        def work(connection: Connection) -> Written:
            held = [tuple(row) for row in connection.execute(select(*_KEY).where(own))]
            self._remove(connection, [key for key in held if key not in named])
            return self._put(connection, named)

        return self._database.write(work)

    def delete(self, keys: Sequence[Key]) -> int:
        """Remove by key; returns how many were there."""
        return self._database.write(lambda connection: self._remove(connection, sorted(set(keys))))

    def list(
        self, *, query: str = "", origin: str = "", who: str = "", limit: int = 100, offset: int = 0
    ) -> Sequence[Judgment]:
        """In the order of their keys."""
        wanted = select(*_COLUMNS).order_by(*_KEY).limit(limit).offset(offset)
        for column, value in ((JUDGMENTS.c.query, query), (JUDGMENTS.c.origin, origin), (JUDGMENTS.c.who, who)):
            if value:
                wanted = wanted.where(column == value)
        with self._database.reading(AT_ONCE) as connection:
            return [_judgment(row) for row in connection.execute(wanted)]

    def scan(self) -> Iterator[Judgment]:
        """All of them in the order of their keys, streamed."""
        for chunk in self._database.stream(select(*_COLUMNS).order_by(*_KEY), CHUNK):
            yield from (_judgment(row) for row in chunk)

    def counts(self) -> Sequence[JudgmentCount]:
        """By origin and judge, in that order."""
        judge = (JUDGMENTS.c.origin, JUDGMENTS.c.who)
        query = select(*judge, func.count(), func.count(JUDGMENTS.c.query.distinct())).group_by(*judge).order_by(*judge)
        with self._database.reading(AT_ONCE) as connection:
            return [
                JudgmentCount(origin=origin, who=who, judgments=int(count), queries=int(queries))
                for origin, who, count, queries in connection.execute(query)
            ]

    def _put(self, connection: Connection, named: dict[Key, Judgment]) -> Written:
        keys, now = sorted(named), time.time()
        held: dict[Key, tuple[int, str]] = {}
        for start in range(0, len(keys), LOOK_UP):
            part = select(*_KEY, JUDGMENTS.c.grade, JUDGMENTS.c.note).where(
                tuple_(*_KEY).in_(keys[start : start + LOOK_UP])
            )
            held |= {(a, b, c, d): (int(grade), note) for a, b, c, d, grade, note in connection.execute(part)}
        fresh = [key for key in keys if held.get(key) != (named[key].grade, named[key].note)]
        self._remove(connection, [key for key in fresh if key in held])
        rows = [(*key, named[key].grade, round((named[key].time or now) * 1e6), named[key].note) for key in fresh]
        for start in range(0, len(rows), CHUNK):
            self._database.insert_new(connection, JUDGMENTS, rows[start : start + CHUNK])
        changed = sum(key in held for key in fresh)
        return Written(added=len(fresh) - changed, changed=changed, unchanged=len(keys) - len(fresh))

    def _remove(self, connection: Connection, keys: Sequence[Any]) -> int:
        gone = 0
        for start in range(0, len(keys), LOOK_UP):
            part = delete(JUDGMENTS).where(tuple_(*_KEY).in_(keys[start : start + LOOK_UP]))
            gone += connection.execute(part).rowcount
        return gone


def storable(judgments: Sequence[Judgment]) -> dict[Key, Judgment]:
    """By key, of several with one key the last; a NUL can be in no text of PostgreSQL."""
    return {each.key: each for each in judgments if "\0" not in "".join((*each.key, each.note))}


def _judgment(row: Any) -> Judgment:
    query, item, origin, who, grade, moment, note = row
    return Judgment(query=query, item=item, origin=origin, who=who, grade=grade, time=moment / 1e6, note=note)
