"""What was answered: one line a page in SQL, in order of time, as events are kept.

Written in groups by one thread a process (`engine.answering_log`), never by the thread that answers. The unique index
on the request lets a second delivery change nothing. What is asked for by column stands in one; the rest is one
MessagePack array whose first fields never change their place (a later version appends). Sources come few a page and
often: a page names each once and numbers it for every item.
Cost: 55 us and 550 bytes a page of 20 items, in groups of 100. Not for: joining with events (`insight`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, func, select

from bodega.adapters.sql.database import Database
from bodega.adapters.sql.removing import removing
from bodega.adapters.sql.tables import ANSWERS
from bodega.schema.answers import Answered

_MICRO = 1_000_000
_PART = 500


class _Payload(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a page beside its columns; append only."""

    total: int
    items: tuple[str, ...]
    names: tuple[str, ...]
    """The sources of this page, each once."""
    codes: bytes
    """One a item: the number of its source."""
    snapshot: str = ""
    arms: dict[str, str] = {}
    teams: tuple[int, ...] = ()
    degraded: tuple[str, ...] = ()
    milliseconds: float = 0.0
    offset: int = 0
    credit: tuple[float, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Payload).decode


class SqlAnswers:
    """Implements `protocols.AnswerStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, answers: Sequence[Answered]) -> None:
        """Keep them in one transaction, each once; on disk when this returns. Raises StoreError."""
        if answers:
            rows = [answer_row(each) for each in answers]
            with self._database.writing() as connection:
                self._database.insert_new(connection, ANSWERS, rows)

    def scan(self, since: float = 0.0, until: float | None = None) -> Iterator[Answered]:
        """All lines in order of time, streamed; `since` (included) and `until` (not included) in seconds."""
        columns = ANSWERS.c
        query = select(ANSWERS).where(columns.time >= _micro(since)).order_by(columns.time, columns.request_id)
        if until is not None:
            query = query.where(columns.time < _micro(until))
        for rows in self._database.stream(query, _PART):
            for row in rows:
                yield answered(row)

    def find(self, request_id: str) -> Answered | None:
        """The line of one page."""
        with self._database.reading() as connection:
            row = connection.execute(select(ANSWERS).where(ANSWERS.c.request_id == request_id)).first()
        return None if row is None else answered(row)

    def count(self) -> int:
        with self._database.reading() as connection:
            return int(connection.scalar(select(func.count()).select_from(ANSWERS)) or 0)

    def prune(self, before: float) -> int:
        """Remove what is older (seconds); how many lines that were."""
        return self._remove(ANSWERS.c.time < _micro(before))

    def forget(self, users: Sequence[str] = (), sessions: Sequence[str] = ()) -> int:
        """Remove everything that was answered to these people; how many lines that were."""
        removed = 0
        for column, names in ((ANSWERS.c.user_id, users), (ANSWERS.c.session_id, sessions)):
            wanted = [name for name in names if name]
            for start in range(0, len(wanted), _PART):
                removed += self._remove(column.in_(wanted[start : start + _PART]))
        return removed

    def _remove(self, where: ColumnElement[bool]) -> int:
        """Some at a time, overwritten where they lay."""
        removed, gone = 0, _PART
        while gone == _PART:
            with removing(self._database) as connection:
                found = connection.execute(select(ANSWERS.c.request_id).where(where).limit(_PART))
                ids = [row[0] for row in found]
                gone = len(ids)
                if ids:
                    connection.execute(delete(ANSWERS).where(ANSWERS.c.request_id.in_(ids)))
            removed += gone
        return removed


def answer_row(each: Answered) -> tuple[object, ...]:
    """In the order of `tables.ANSWERS`."""
    names = tuple(dict.fromkeys(each.sources))[:256]
    place = {name: number for number, name in enumerate(names)}
    payload = _Payload(
        each.total,
        each.items,
        names,
        bytes([place.get(name, 0) for name in each.sources]),
        each.snapshot,
        each.arms,
        each.teams,
        each.degraded,
        each.milliseconds,
        each.offset,
        each.credit,
    )
    return (
        _micro(each.time),
        _plain(each.request_id),
        _plain(each.place),
        _plain(each.user),
        _plain(each.session),
        _plain(each.query),
        _encode(payload),
    )


def answered(row: Sequence[Any]) -> Answered:
    """The line of a row in the order of `tables.ANSWERS`."""
    time, request, place, user, session, query, payload = row
    kept = _decode(payload)
    names = kept.names
    return Answered(
        request_id=request,
        time=time / _MICRO,
        place=place,
        user=user,
        session=session,
        query=query,
        total=kept.total,
        items=kept.items,
        offset=kept.offset,
        sources=tuple([names[code] for code in kept.codes]),
        snapshot=kept.snapshot,
        arms=kept.arms,
        teams=kept.teams,
        credit=kept.credit,
        degraded=kept.degraded,
        milliseconds=kept.milliseconds,
    )


def _plain(text: str) -> str:
    """PostgreSQL holds no NUL character."""
    return text.replace("\0", "") if "\0" in text else text


def _micro(seconds: float) -> int:
    return round(seconds * _MICRO)
