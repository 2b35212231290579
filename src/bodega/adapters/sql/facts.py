"""What was mined of items, and what did merchants decide of it? Facts are replaced; decisions stay.

Both are keyed by item, attribute and value: a fact that is mined again finds the decision that was made on it. A
decision marks the items it touches as changed in the catalog, in the same transaction: every process that follows the
catalog's changes shows them anew. Cost: about 10 microseconds a fact. Not for: what acts (`catalog.knowledge`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Integer, and_, cast, delete, func, or_, select, tuple_, update

from bodega.adapters.sql.database import AT_ONCE, Database
from bodega.adapters.sql.tables import FACT_DECISIONS, FACTS, ITEMS, META
from bodega.schema.facts import EVERY_ITEM, Fact, FactCount, FactDecision, FactEvidence, FactKey, FactQuery

CHUNK = 5_000
LOOK_UP = 300
TOUCHED = 2_000
"""A decision on more items than this acts with the next `learn`."""


class _Payload(msgspec.Struct, omit_defaults=True):
    number: float | None = None
    evidence: tuple[FactEvidence, ...] = ()
    conflicts: tuple[str, ...] = ()


_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(_Payload).decode
_KEY = (FACTS.c.item_id, FACTS.c.attribute, FACTS.c.value)
_COLUMNS = (*_KEY, FACTS.c.kind, FACTS.c.confidence, FACTS.c.payload)


class SqlFacts:
    """Implements `protocols.FactStore`. Every write is durable when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def replace(self, items: Sequence[str] | None, facts: Sequence[Fact]) -> None:
        """These are now all the facts of these items (None: of the whole shop)."""
        rows = {fact.key: _row(fact) for fact in facts if "\0" not in "".join(fact.key)}

        def work(connection: Connection) -> None:
            if items is None:
                connection.execute(delete(FACTS))
            for start in range(0, len(items or ()), LOOK_UP):
                part = list((items or ())[start : start + LOOK_UP])
                connection.execute(delete(FACTS).where(FACTS.c.item_id.in_(part)))
            ordered = [rows[key] for key in sorted(rows)]
            for start in range(0, len(ordered), CHUNK):
                self._database.insert_new(connection, FACTS, ordered[start : start + CHUNK])

        self._database.write(work)

    def stream(self) -> Iterator[Fact]:
        """All facts in the order of their keys, without what was decided."""
        for chunk in self._database.stream(select(*_COLUMNS).order_by(*_KEY), CHUNK):
            yield from (_fact(row, None) for row in chunk)

    def counts(self) -> Sequence[FactCount]:
        """By attribute, in its order."""
        own, every, said = _said()
        query = (
            select(
                FACTS.c.attribute,
                func.max(FACTS.c.kind),
                func.count(),
                func.count(FACTS.c.item_id.distinct()),
                func.sum(cast(FACTS.c.conflict, Integer)),
                func.sum(cast(func.coalesce(said, False), Integer)),
                func.sum(1 - cast(func.coalesce(said, True), Integer)),
            )
            .select_from(FACTS.outerjoin(own, _same(own, FACTS.c.item_id)).outerjoin(every, _same(every, EVERY_ITEM)))
            .group_by(FACTS.c.attribute)
            .order_by(FACTS.c.attribute)
        )
        with self._database.reading(AT_ONCE) as connection:
            return [
                FactCount(
                    attribute=name,
                    kind=kind,
                    facts=int(facts),
                    items=int(items),
                    conflicts=int(conflicts or 0),
                    accepted=int(accepted or 0),
                    rejected=int(rejected or 0),
                )
                for name, kind, facts, items, conflicts, accepted, rejected in connection.execute(query)
            ]

    def decide(self, keys: Sequence[FactKey], accepted: bool | None, *, who: str) -> int:
        """Accept or reject (None: take it back); returns how many decisions changed."""
        wanted = sorted(set(keys))
        moment = time.time_ns() // 1000

        def work(connection: Connection) -> int:
            held = {
                FactKey(*row[:3]): bool(row[3])
                for start in range(0, len(wanted), LOOK_UP)
                for row in connection.execute(_decided(wanted[start : start + LOOK_UP]))
            }
            changed = [key for key in wanted if held.get(key) is not accepted]
            for start in range(0, len(changed), LOOK_UP):
                part = changed[start : start + LOOK_UP]
                connection.execute(delete(FACT_DECISIONS).where(_among(part)))
                if accepted is not None:
                    rows = [
                        dict(zip(("item_id", "attribute", "value"), key, strict=True))
                        | {"accepted": accepted, "who": who, "time": moment}
                        for key in part
                    ]
                    connection.execute(FACT_DECISIONS.insert(), rows)
            if changed:
                step = 1 + _touch(connection, changed)
                connection.execute(update(META).where(META.c.name == "fact_seq").values(value=META.c.value + step))
            return len(changed)

        return self._database.write(work)

    def decisions(self) -> Sequence[FactDecision]:
        """All decisions, in the order of their keys."""
        columns = FACT_DECISIONS.c
        query = select(FACT_DECISIONS).order_by(columns.item_id, columns.attribute, columns.value)
        with self._database.reading(AT_ONCE) as connection:
            return [
                FactDecision(
                    item=row.item_id,
                    attribute=row.attribute,
                    value=row.value,
                    accepted=bool(row.accepted),
                    who=row.who,
                    time=datetime.fromtimestamp(row.time / 1e6, UTC),
                )
                for row in connection.execute(query)
            ]

    def cursor(self) -> int:
        """Equal while no decision changed; it grows by one more than the items that were marked as changed."""
        with self._database.reading(AT_ONCE) as connection:
            return int(connection.scalar(select(META.c.value).where(META.c.name == "fact_seq")) or 0)

    def list(self, query: FactQuery) -> list[Fact]:
        """Facts with their status, in the order of their keys."""
        own, every, said = _said()
        found = (
            select(*_COLUMNS, said.label("said"))
            .select_from(FACTS.outerjoin(own, _same(own, FACTS.c.item_id)).outerjoin(every, _same(every, EVERY_ITEM)))
            .order_by(*_KEY)
            .limit(max(0, query.limit))
        )
        for column, wanted in zip(_KEY, (query.item, query.attribute, query.value), strict=True):
            if wanted:
                found = found.where(column == wanted)
        if query.least > 0:
            found = found.where(FACTS.c.confidence >= query.least)
        if query.most < 1:
            found = found.where(FACTS.c.confidence <= query.most)
        if query.conflicts is not None:
            found = found.where(FACTS.c.conflict.is_(query.conflicts))
        if query.status == "mined":
            found = found.where(said.is_(None))
        elif query.status:
            found = found.where(said.is_(query.status == "accepted"))
        if query.after is not None:
            found = found.where(_beyond(query.after))
        with self._database.reading(AT_ONCE) as connection:
            return [_fact(row, row.said) for row in connection.execute(found)]


def _row(fact: Fact) -> tuple[Any, ...]:
    payload = _encode(_Payload(fact.number, fact.evidence, fact.conflicts))
    return (*fact.key, fact.kind, fact.confidence, bool(fact.conflicts), payload)


def _fact(row: Sequence[Any], said: object) -> Fact:
    item, attribute, value, kind, confidence, payload = row[:6]
    held = _decode(payload)
    return Fact(
        item=item,
        attribute=attribute,
        value=value,
        kind=kind,
        number=held.number,
        confidence=float(confidence),
        evidence=held.evidence,
        conflicts=held.conflicts,
        status="mined" if said is None else "accepted" if said else "rejected",
    )


def _said() -> tuple[Any, Any, Any]:
    """The decision on a fact itself, that on its value for every item, and which of them holds."""
    own, every = FACT_DECISIONS.alias("own"), FACT_DECISIONS.alias("every")
    return own, every, func.coalesce(own.c.accepted, every.c.accepted)


def _same(decision: Any, item: Any) -> Any:
    return and_(
        decision.c.item_id == item,
        decision.c.attribute == FACTS.c.attribute,
        decision.c.value == FACTS.c.value,
    )


def _beyond(key: tuple[str, str, str]) -> Any:
    item, attribute, value = _KEY
    return or_(
        item > key[0],
        and_(item == key[0], attribute > key[1]),
        and_(item == key[0], attribute == key[1], value > key[2]),
    )


def _among(keys: Sequence[FactKey]) -> Any:
    columns = FACT_DECISIONS.c
    return tuple_(columns.item_id, columns.attribute, columns.value).in_([tuple(key) for key in keys])


def _decided(keys: Sequence[FactKey]) -> Any:
    columns = FACT_DECISIONS.c
    return select(columns.item_id, columns.attribute, columns.value, columns.accepted).where(_among(keys))


def _touch(connection: Connection, keys: Sequence[FactKey]) -> int:
    """Mark the items of these decisions as changed, at most `TOUCHED` of them; returns how many were."""
    items = {key.item for key in keys if key.item != EVERY_ITEM}
    for key in keys:
        if key.item == EVERY_ITEM and len(items) <= TOUCHED:
            query = select(FACTS.c.item_id).where(FACTS.c.attribute == key.attribute, FACTS.c.value == key.value)
            items.update(connection.scalars(query.limit(TOUCHED + 1)))
    if not items or len(items) > TOUCHED:
        return 0
    ids = sorted(items)
    counter = update(META).where(META.c.name == "item_seq").values(value=META.c.value + len(ids))
    connection.execute(counter)
    newest = int(connection.scalar(select(META.c.value).where(META.c.name == "item_seq")) or 0)
    for number, name in enumerate(ids, newest - len(ids) + 1):
        connection.execute(update(ITEMS).where(ITEMS.c.id == name).values(change_seq=number))
    return len(ids)
