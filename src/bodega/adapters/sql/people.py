"""Who is the same shopper, what they agreed to, who was forgotten: `protocols.PeopleStore` in SQL.

Identities and consents are small tables beside the events; what events say themselves (a visit whose events carry a
user) is asked of the events' own indexes and kept nowhere else, so that it is erased with them.
Every change bumps a counter in `meta`, by which other processes notice it (one SELECT, .05 ms).
Not for: deciding what any of it means (`events.identity`, `events.consent`), nor removing rows (`erasing.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bodega.adapters.sql.database import Database
from bodega.adapters.sql.erasing import compact, erase, expire
from bodega.adapters.sql.rekeying import rekey, stale_rows
from bodega.adapters.sql.steps import steps_of
from bodega.adapters.sql.tables import (
    ANSWERS,
    CONSENTS,
    DECISIONS,
    ERASURES,
    EVENTS,
    IDENTITIES,
    IDENTITY_CHANGES,
    META,
    REVIEWS,
    TOMBSTONES,
)
from bodega.adapters.sql.words import write_words
from bodega.events.border import Border
from bodega.events.people import Erased, IdentityChange, PeopleState
from bodega.protocols import Steps
from bodega.schema.people import Link, Word

PART = 500
"""Values in one IN list."""
LATELY = 2_000
"""Newest events of a shopper whose visits are looked at."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SqlPeople:
    """Implements `protocols.PeopleStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def state(self) -> PeopleState:
        names = ("privacy_seq", "identity_seq", "forget_seq")
        with self._database.reading() as connection:
            counts = dict(connection.execute(select(META.c.name, META.c.value).where(META.c.name.in_(names))).all())
            held = [
                connection.execute(select(table.c[column]).limit(1)).first() is not None
                for table, column in ((IDENTITIES, "left"), (CONSENTS, "subject"), (TOMBSTONES, "subject"))
            ]
        changes, identities, erasures = (int(counts.get(name, 0)) for name in names)
        return PeopleState(changes, identities, erasures, *held)

    # -- identities -----------------------------------------------------------------------------------------------

    def link(self, links: Sequence[Link], *, who: str) -> int:
        """The newest word on each pair holds; of two at one moment `apart`."""
        changed = 0
        with self._database.writing() as connection:
            for link in sorted(links):
                changed += self._link(connection, link, who)
            if changed:
                _bump(connection, "privacy_seq")
        return changed

    def _link(self, connection: Connection, link: Link, who: str) -> bool:
        columns, time = IDENTITIES.c, _micro(link.time)
        same = and_(columns.left == link.left, columns.right == link.right)
        held = connection.execute(select(columns.apart, columns.time).where(same)).first()
        if held is not None and (held.time, held.apart) >= (time, link.apart):
            return False
        values = {"evidence": link.evidence, "apart": link.apart, "time": time}
        if held is None:
            connection.execute(IDENTITIES.insert().values(left=link.left, right=link.right, **values))
        else:
            connection.execute(update(IDENTITIES).where(same).values(**values))
        if held is not None and bool(held.apart) == link.apart:
            return False  # said again, later
        line = {"time": time, "who": who, "what": "apart" if link.apart else "link"}
        number = _bump(connection, "identity_seq")
        connection.execute(IDENTITY_CHANGES.insert().values(id=number, left=link.left, right=link.right, **line))
        return True

    def links_of(self, subjects: Sequence[str]) -> list[Link]:
        columns = IDENTITIES.c
        found: set[Link] = set()
        with self._database.reading() as connection:
            for part in _parts(subjects):
                for side in (columns.left, columns.right):
                    found.update(_link(row) for row in connection.execute(select(IDENTITIES).where(side.in_(part))))
        return sorted(found)

    def links(self) -> list[Link]:
        with self._database.reading() as connection:
            return sorted(_link(row) for row in connection.execute(select(IDENTITIES)))

    def trail(self, subjects: Sequence[str] = (), *, since: int = 0, limit: int = 100) -> list[IdentityChange]:
        columns = IDENTITY_CHANGES.c
        query = select(IDENTITY_CHANGES).where(columns.id > since).order_by(columns.id.desc()).limit(max(limit, 0))
        found: dict[int, Any] = {}
        with self._database.reading() as connection:
            for part in _parts(subjects) if subjects else [()]:
                touches = columns.left.in_(part) | columns.right.in_(part)
                rows = connection.execute(query.where(touches) if part else query)
                found.update((row.id, row) for row in rows)
        newest = sorted(found.values(), key=lambda row: -row.id)[: max(limit, 0)]
        return [IdentityChange(row.id, _date(row.time), row.who, row.what, row.left, row.right) for row in newest]

    # -- consents -------------------------------------------------------------------------------------------------

    def say(self, words: Sequence[Word]) -> None:
        with self._database.writing() as connection:
            write_words(connection, words)

    def said(self, subjects: Sequence[str]) -> list[Word]:
        with self._database.reading() as connection:
            return [
                _word(row)
                for part in _parts(subjects)
                for row in connection.execute(select(CONSENTS).where(CONSENTS.c.subject.in_(part)))
            ]

    def words(self) -> list[Word]:
        with self._database.reading() as connection:
            order = (CONSENTS.c.subject, CONSENTS.c.purpose)
            return [_word(row) for row in connection.execute(select(CONSENTS).order_by(*order))]

    # -- what events say ------------------------------------------------------------------------------------------

    def users_of(self, sessions: Sequence[str]) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        session, user = EVENTS.c.session_id, EVENTS.c.user_id
        with self._database.reading() as connection:
            for part in _parts([name for name in sessions if name]):
                query = select(session, user).where(session.in_(part), user != "").distinct()
                for row in connection.execute(query):
                    found.setdefault(row[0], set()).add(row[1])
        return {name: frozenset(users) for name, users in found.items()}

    def sessions_of(self, users: Sequence[str], *, limit: int, guests: bool = False) -> list[str]:
        session, user, named = EVENTS.c.session_id, EVENTS.c.user_id, [name for name in users if name]
        if not named:
            return []
        mine = select(session, EVENTS.c.time).where(user.in_(named), session != "")
        lately = mine.order_by(EVENTS.c.time.desc()).limit(LATELY).subquery()
        newest = func.max(lately.c.time)
        query = select(lately.c.session_id, newest).group_by(lately.c.session_id)
        if guests:
            other = EVENTS.alias()
            guest = exists().where(other.c.session_id == lately.c.session_id, other.c.user_id == "")
            query = query.where(guest)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(newest.desc(), lately.c.session_id).limit(max(limit, 0)))
            return [row[0] for row in rows]

    def guests_among(self, sessions: Sequence[str]) -> set[str]:
        found: set[str] = set()
        session = EVENTS.c.session_id
        with self._database.reading() as connection:
            for part in _parts([name for name in sessions if name]):
                query = select(session).where(session.in_(part), EVENTS.c.user_id == "").distinct()
                found.update(row[0] for row in connection.execute(query))
        return found

    def guest_steps(self, sessions: Sequence[str], *, limit: int) -> Steps:
        columns, named = EVENTS.c, [name for name in sessions if name]
        wanted = (columns.time, columns.type, columns.item_id, columns.query, columns.value, columns.id)
        query = select(*wanted).where(columns.session_id.in_(named), columns.user_id == "")
        with self._database.reading() as connection:
            return steps_of(connection.execute(query.order_by(columns.time.desc()).limit(3 * limit)).all())

    # -- erasures -------------------------------------------------------------------------------------------------

    def bury(self, subjects: Sequence[str], *, time: float, erasure: str) -> None:
        with self._database.writing() as connection:
            for subject in subjects:
                values = {"time": _micro(time), "erasure": erasure}
                _put(self._database, connection, TOMBSTONES, {"subject": subject}, values)
            _bump(connection, "privacy_seq")
            _bump(connection, "forget_seq")

    def buried(self, subjects: Sequence[str]) -> dict[str, float]:
        columns = TOMBSTONES.c
        with self._database.reading() as connection:
            return {
                row.subject: row.time / 1e6
                for part in _parts(subjects)
                for row in connection.execute(select(columns.subject, columns.time).where(columns.subject.in_(part)))
            }

    def names(self) -> tuple[list[str], list[str]]:
        found: tuple[set[str], set[str]] = (set(), set())
        subjects = (IDENTITIES.c.left, IDENTITIES.c.right, CONSENTS.c.subject)
        with self._database.reading() as connection:
            for table in (EVENTS, DECISIONS, ANSWERS):
                for names, column in zip(found, (table.c.user_id, table.c.session_id), strict=True):
                    names.update(row[0] for row in connection.execute(select(column).distinct()) if row[0])
            found[0].update(row[0] for row in connection.execute(select(REVIEWS.c.user_id).distinct()) if row[0])
            for column in subjects:
                for row in connection.execute(select(column).distinct()):
                    kind, _, name = row[0].partition(":")
                    found[kind == "session"].add(name)
        return sorted(found[0]), sorted(found[1])

    def erase(self, users: Sequence[str], sessions: Sequence[str]) -> Erased:
        return erase(self._database, users, sessions)

    def expire(self, before: float) -> Erased:
        return expire(self._database, _micro(before))

    def claim(self, name: str, now: float, every: float) -> bool:
        with self._database.writing() as connection:
            due = and_(META.c.name == name, META.c.value <= _micro(now - every))
            return connection.execute(update(META).where(due).values(value=_micro(now))).rowcount == 1

    def put_receipt(self, receipt: str, *, time: float, state: str, payload: bytes) -> None:
        with self._database.writing() as connection:
            values = {"time": _micro(time), "state": state, "payload": payload}
            _put(self._database, connection, ERASURES, {"id": receipt}, values)

    def receipts(self, *, state: str = "", limit: int = 100) -> list[tuple[str, bytes]]:
        query = select(ERASURES).order_by(ERASURES.c.time.desc(), ERASURES.c.id).limit(max(limit, 0))
        if state:
            query = query.where(ERASURES.c.state == state)
        with self._database.reading() as connection:
            return [(row.id, bytes(row.payload)) for row in connection.execute(query)]

    def receipt(self, receipt: str) -> bytes | None:
        with self._database.reading() as connection:
            found = connection.scalar(select(ERASURES.c.payload).where(ERASURES.c.id == receipt))
        return None if found is None else bytes(found)

    def rekey(self, border: Border) -> dict[str, int]:
        """Bring every row under the newest key; {table: rows that were rewritten}."""
        counts = rekey(self._database, border)
        with self._database.writing() as connection:
            _bump(connection, "privacy_seq")
            _bump(connection, "forget_seq")  # states in memory go by the old names
        return counts

    def stale(self, border: Border) -> int:
        """How many events carry an id that is not under the newest key (up to 1,000 are counted)."""
        return stale_rows(self._database, border)

    def compact(self) -> bool:
        """Rewrite the store, so that no page holds what was removed; False where the server does that itself."""
        return compact(self._database)

    # -- the key --------------------------------------------------------------------------------------------------

    def key_known(self, fingerprint: int) -> bool:
        """Is this the key that the store's digests were begun with? The first that asks is the one."""
        with self._database.reading() as connection:
            held = connection.scalar(select(META.c.value).where(META.c.name == "privacy_key"))
        if held is None:
            with self._database.writing() as connection:
                self._database.insert_new(connection, META, [("privacy_key", fingerprint)])
                held = connection.scalar(select(META.c.value).where(META.c.name == "privacy_key"))
        return held == fingerprint


def _put(database: Database, connection: Connection, table: Any, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Insert, or replace what the key holds."""
    insert = sqlite.insert if database.is_sqlite else postgresql.insert
    statement = insert(table).values(**key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


def _bump(connection: Connection, name: str) -> int:
    connection.execute(update(META).where(META.c.name == name).values(value=META.c.value + 1))
    return int(connection.scalar(select(META.c.value).where(META.c.name == name)) or 0)


def _parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + PART] for start in range(0, len(values), PART))


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)


def _date(micro: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micro)


def _link(row: Any) -> Link:
    return Link(row.left, row.right, row.evidence, bool(row.apart), row.time / 1e6)


def _word(row: Any) -> Word:
    return Word(row.subject, row.purpose, bool(row.granted), row.time / 1e6, row.source)
