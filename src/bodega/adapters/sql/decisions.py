"""What was shown by chance, and what came of it: decisions and outcomes in SQL.

Written in groups by one thread a process (`engine.trials`), never by the thread that answers. Both are keyed, so a
second delivery changes nothing, whatever the order. Every row names the process that wrote it: others ask only for what
is not theirs. Cost: 30 us a decision in groups of 100; 1 to 2 KB each. Not for: learning from them (`ranking.explore`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, delete, func, select

from bodega.adapters.sql.database import Database
from bodega.adapters.sql.tables import DECISIONS, EVENTS, OUTCOMES
from bodega.schema import EVENT_CODES, INTEREST
from bodega.schema.trials import MARK, Decision, Outcome, Slot

_encode = msgspec.json.Encoder().encode
_slots = msgspec.json.Decoder(tuple[Slot, ...]).decode
_MICRO = 1_000_000
_PART = 500
_WANTED = frozenset(EVENT_CODES[name] for name in INTEREST)
_SEEN = EVENT_CODES["impression"]
_AFTER = MARK[:-1] + chr(ord(MARK[-1]) + 1)
"""The first text after all that begin with the mark."""


class SqlDecisions:
    """Implements `engine.trials.DecisionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, decisions: Sequence[Decision], outcomes: Sequence[Outcome]) -> None:
        """Keep both in one transaction, each once; on disk when this returns. Raises StoreError."""
        if not (decisions or outcomes):
            return
        with self._database.writing() as connection:
            self._database.insert_new(connection, DECISIONS, [_decision_row(each) for each in decisions])
            self._database.insert_new(connection, OUTCOMES, [_outcome_row(each) for each in outcomes])

    def newest(self, limit: int, since: float = 0.0, *, besides: str = "") -> list[Decision]:
        """The newest `limit` decisions made since then (seconds) by other processes than `besides`, oldest first."""
        columns = DECISIONS.c
        query = select(DECISIONS).where(columns.time >= _micro(since))
        if besides:
            query = query.where(columns.worker != besides)
        query = query.order_by(columns.time.desc(), columns.request_id.desc()).limit(max(limit, 0))
        with self._database.reading() as connection:
            return [_decision(row) for row in connection.execute(query)][::-1]

    def scan(self, since: float = 0.0, until: float | None = None) -> Iterator[Decision]:
        """All decisions in order of time, streamed."""
        columns = DECISIONS.c
        query = select(DECISIONS).where(columns.time >= _micro(since)).order_by(columns.time, columns.request_id)
        if until is not None:
            query = query.where(columns.time < _micro(until))
        with self._database.reading() as connection:
            result = connection.execution_options(stream_results=True).execute(query)
            for rows in result.partitions(_PART):
                yield from (_decision(row) for row in rows)

    def outcomes(self, since: float = 0.0, *, besides: str = "") -> list[Outcome]:
        """What was noted since then (seconds) by other processes than `besides`, in order of time."""
        columns = OUTCOMES.c
        query = select(OUTCOMES).where(columns.time >= _micro(since)).order_by(columns.time, columns.request_id)
        if besides:
            query = query.where(columns.worker != besides)
        with self._database.reading() as connection:
            return [_outcome(row) for row in connection.execute(query)]

    def outcomes_of(self, requests: Sequence[str]) -> list[Outcome]:
        """The outcomes of these pages."""
        found: list[Outcome] = []
        with self._database.reading() as connection:
            for part in _parts(requests):
                query = select(OUTCOMES).where(OUTCOMES.c.request_id.in_(part))
                found += [_outcome(row) for row in connection.execute(query)]
        return found

    def joined(
        self, since: float = 0.0, until: float | None = None
    ) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """({(request id, item) that was wanted}, {... that was reported as seen}) on decided pages: what was noted, and
        what all stored events of that time say (a click may have been imported, or outlived a crash that its note did
        not). Reads the events of that time once."""
        columns = EVENTS.c
        query = select(columns.request_id, columns.item_id, columns.type).where(
            columns.time >= _micro(since), columns.request_id >= MARK, columns.request_id < _AFTER
        )
        noted = select(OUTCOMES.c.request_id, OUTCOMES.c.item_id).where(OUTCOMES.c.time >= _micro(since))
        if until is not None:
            query = query.where(columns.time < _micro(until))
        wanted: set[tuple[str, str]] = set()
        seen: set[tuple[str, str]] = set()
        with self._database.reading() as connection:
            wanted.update((row[0], row[1]) for row in connection.execute(noted))
            for request, item, code in connection.execute(query):
                if code in _WANTED:
                    wanted.add((request, item))
                elif code == _SEEN:
                    seen.add((request, item))
        return wanted, seen

    def count(self) -> tuple[int, int]:
        """(decisions, outcomes) that are kept."""
        with self._database.reading() as connection:
            pages = connection.scalar(select(func.count()).select_from(DECISIONS)) or 0
            wanted = connection.scalar(select(func.count()).select_from(OUTCOMES)) or 0
        return int(pages), int(wanted)

    def prune(self, before: float) -> int:
        """Remove what was decided before then (seconds), and its outcomes; how many decisions that were."""
        removed = self._remove(select(DECISIONS.c.request_id).where(DECISIONS.c.time < _micro(before)))
        with self._database.writing() as connection:
            connection.execute(delete(OUTCOMES).where(OUTCOMES.c.time < _micro(before)))
        return removed

    def forget(self, users: Sequence[str] = (), sessions: Sequence[str] = ()) -> int:
        """Remove everything that was decided for these people, and its outcomes; how many decisions that were."""
        removed = 0
        for column, names in ((DECISIONS.c.user_id, users), (DECISIONS.c.session_id, sessions)):
            for part in _parts([name for name in names if name]):
                removed += self._remove(select(DECISIONS.c.request_id).where(column.in_(part)))
        return removed

    def _remove(self, query: Select[Any]) -> int:
        with self._database.writing() as connection:
            ids = [str(row[0]) for row in connection.execute(query)]
            for part in _parts(ids):
                connection.execute(delete(OUTCOMES).where(OUTCOMES.c.request_id.in_(part)))
                connection.execute(delete(DECISIONS).where(DECISIONS.c.request_id.in_(part)))
        return len(ids)


def _parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _PART] for start in range(0, len(values), _PART))


def _micro(seconds: float) -> int:
    return int(seconds * _MICRO)


def _decision_row(each: Decision) -> tuple[object, ...]:
    """In the order of `tables.DECISIONS`."""
    payload = _encode(each.slots)
    moment = _micro(each.time)
    return (each.request_id, moment, each.place, each.policy, each.user, each.session, each.worker, payload)


def _outcome_row(each: Outcome) -> tuple[object, ...]:
    return (each.request_id, each.item, _micro(each.time), each.worker)


def _decision(row: Any) -> Decision:
    request, moment, place, policy, user, session, worker, payload = row
    return Decision(
        request_id=request,
        time=moment / _MICRO,
        place=place,
        policy=policy,
        user=user,
        session=session,
        worker=worker,
        slots=_slots(payload),
    )


def _outcome(row: Any) -> Outcome:
    request, item, moment, worker = row
    return Outcome(request_id=request, item=item, time=moment / _MICRO, worker=worker)
