"""What is compared on shoppers, and who started, stopped or finished it? Experiments as JSON, with an audit trail.

A change and its line in the trail are one transaction, and the number of that line becomes the experiment's version.
Starting looks, in the same transaction, at what else runs: two people who press the button at once cannot give one
shopper two arms of one layer. Cost: a millisecond a change. Not for: who saw which arm; the log of answers says that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, or_, select, update

from bodega.adapters.sql.answers import answered
from bodega.adapters.sql.database import AT_ONCE, Database
from bodega.adapters.sql.tables import ANSWERS, EVENTS, EXPERIMENT_CHANGES, EXPERIMENTS, META
from bodega.evaluation.experiments.conducting import VERBS, Step, drafted, expect, moved, note_exposures, room
from bodega.schema import EVENT_CODES, EventType
from bodega.schema.experiments import Doing, Experiment, ExperimentChange, Exposure, KeptExperiment, State

LINES = 1_000
"""Pages of one shopper that are looked at for what was seen first."""
_TYPES = tuple(EventType)
_PAID = (EVENT_CODES["purchase"], EVENT_CODES["return"])
_decode = msgspec.json.Decoder(KeptExperiment).decode
_encode = msgspec.json.Encoder().encode


class SqlExperiments:
    """Implements `protocols.ExperimentStore`. Every write is durable when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[KeptExperiment]:
        """All of them, by id."""
        with self._database.reading(AT_ONCE) as connection:
            return _all(connection)

    def get(self, experiment: str) -> KeptExperiment | None:
        with self._database.reading(AT_ONCE) as connection:
            return _held(connection, experiment)

    def put(self, experiment: Experiment, *, who: str, expected: int | None = None) -> KeptExperiment:
        """Add or replace a draft. Raises Stale, Conflict, LimitError."""
        with self._database.writing() as connection:
            held = _held(connection, experiment.id)
            expect(experiment.id, held, expected)
            if held is not None and held.experiment == experiment:
                return held
            if held is None:
                room(connection.scalar(select(func.count()).select_from(EXPERIMENTS)) or 0)
            step = Step(_newest(connection) + 1, time.time())
            kept = drafted(held, experiment, step)
            _write(connection, (who, "create" if held is None else "change", step), held, kept)
        return kept

    def move(self, experiment: str, state: State, *, who: str, why: str = "", promoted: str = "") -> KeptExperiment:
        """Start, stop or finish. Raises BadRequest, Conflict."""
        with self._database.writing() as connection:
            held = _held(connection, experiment)
            step = Step(_newest(connection) + 1, time.time(), why, promoted)
            kept = moved(experiment, held, state, _all(connection), step)
            _write(connection, (who, VERBS[state], step), held, kept)
        return kept

    def delete(self, experiment: str, *, who: str) -> bool:
        """Remove a draft; False where there is none. Raises Conflict."""
        with self._database.writing() as connection:
            held = _held(connection, experiment)
            if held is None:
                return False
            step = Step(_newest(connection) + 1, time.time())
            drafted(held, held.experiment, step)  # raises where it is no draft
            _write(connection, (who, "delete", step), held, None)
        return True

    def history(self, *, experiment: str = "", limit: int = 50, before: int = 0) -> Sequence[ExperimentChange]:
        """The newest changes first."""
        query = select(EXPERIMENT_CHANGES).order_by(EXPERIMENT_CHANGES.c.id.desc()).limit(max(limit, 0))
        if experiment:
            query = query.where(EXPERIMENT_CHANGES.c.experiment == experiment)
        if before:
            query = query.where(EXPERIMENT_CHANGES.c.id < before)
        with self._database.reading(AT_ONCE) as connection:
            return [_change(row) for row in connection.execute(query)]

    def cursor(self) -> int:
        """The number of the newest change; 0 before the first."""
        with self._database.reading(AT_ONCE) as connection:
            return _newest(connection)

    def exposures(self, users: Sequence[str], sessions: Sequence[str], since: float) -> Sequence[Exposure]:
        """What these people saw first since then, by experiment and unit: the log of answers, by its indexes."""
        found: dict[tuple[str, str], Exposure] = {}
        of = ANSWERS.c
        whose = or_(
            of.user_id.in_([name for name in users if name]), of.session_id.in_([each for each in sessions if each])
        )
        query = select(ANSWERS).where(whose, of.time >= int(since * 1e6)).order_by(of.time).limit(LINES)
        with self._database.reading(AT_ONCE) as connection:
            for row in connection.execute(query):
                note_exposures(answered(row), found)
        return list(found.values())

    def doings(self, since: float) -> Iterator[Doing]:
        """All events since then in order of time, streamed."""
        of = EVENTS.c
        query = (
            select(
                of.time,
                of.type,
                of.user_id,
                of.session_id,
                of.item_id,
                of.request_id,
                of.price,
                of.quantity,
                of.channel,
            )
            .where(of.time >= int(since * 1e6))
            .order_by(of.time, of.id)
        )
        for rows in self._database.stream(query, 20_000):
            for time_, kind, user, session, item, request, price, quantity, channel in rows:
                amount = (price or 0.0) * quantity if kind in _PAID else 0.0
                yield Doing(time_ / 1e6, _TYPES[kind], user, session, item, request, amount, channel)


def _write(
    connection: Connection, line: tuple[str, str, Step], before: KeptExperiment | None, after: KeptExperiment | None
) -> None:
    """`line`: (who, what, step)."""
    who, what, step = line
    name = next(each.id for each in (after, before) if each is not None)
    connection.execute(EXPERIMENTS.delete().where(EXPERIMENTS.c.id == name))
    if after is not None:
        row = {"id": name, "state": after.state, "version": after.version, "payload": _encode(after)}
        connection.execute(EXPERIMENTS.insert(), [row])
    connection.execute(
        EXPERIMENT_CHANGES.insert(),
        [
            {
                "id": step.number,
                "time": int(step.time * 1e6),
                "who": who,
                "what": what,
                "experiment": name,
                "why": step.why,
                "before": b"" if before is None else _encode(before),
                "after": b"" if after is None else _encode(after),
            }
        ],
    )
    connection.execute(update(META).where(META.c.name == "experiment_seq").values(value=step.number))


def _all(connection: Connection) -> list[KeptExperiment]:
    rows = connection.execute(select(EXPERIMENTS.c.payload).order_by(EXPERIMENTS.c.id))
    return [_decode(payload) for (payload,) in rows]


def _held(connection: Connection, experiment: str) -> KeptExperiment | None:
    payload = connection.scalar(select(EXPERIMENTS.c.payload).where(EXPERIMENTS.c.id == experiment))
    return None if payload is None else _decode(payload)


def _newest(connection: Connection) -> int:
    return int(connection.scalar(select(META.c.value).where(META.c.name == "experiment_seq")) or 0)


def _change(row: Row[Any]) -> ExperimentChange:
    return ExperimentChange(
        id=row.id,
        time=row.time / 1e6,
        who=row.who,
        what=row.what,
        experiment=row.experiment,
        why=row.why,
        before=_decode(row.before) if row.before else None,
        after=_decode(row.after) if row.after else None,
    )
