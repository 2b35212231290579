"""What did merchandisers decide, and who changed what when? Rules as JSON, with an audit trail beside them.

A change and its line in the trail are one transaction, and the number of that line becomes the rule's version: an
editor that says which version it saw can never write over a change that it did not see. The newest number of all is one
row of `meta`: whoever remembers it can ask for .1 ms whether anything happened. Undoing adds a line, it removes none.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select, update

from bodega.adapters.sql.database import AT_ONCE, Database
from bodega.adapters.sql.tables import META, RULE_CHANGES, RULES
from bodega.errors import BadRequest, LimitError, Stale
from bodega.protocols import RuleChange
from bodega.schema import Rule, rule_json
from bodega.schema.rules import RULES_LIMIT

_decode = msgspec.json.Decoder(Rule).decode


@dataclass(slots=True)
class _Writing:
    """One transaction: what is held of the rules it touches, and the lines it adds to the trail."""

    who: str
    number: int
    """Newest number of a change."""
    held: dict[str, Rule]
    lines: list[dict[str, Any]] = field(default_factory=list)
    moment: int = field(default_factory=lambda: time.time_ns() // 1000)

    def change(self, rule: str, after: Rule | None, what: str, undoes: int = 0) -> Rule | None:
        """Note the change; returns the rule as it will be stored."""
        before = self.held.pop(rule, None)
        self.number += 1
        if after is not None:
            when = datetime.fromtimestamp(self.moment / 1e6, UTC)
            after = msgspec.structs.replace(after, id=rule, version=self.number, updated=when)
            self.held[rule] = after
        line = {"id": self.number, "time": self.moment, "who": self.who, "what": what, "rule": rule, "undoes": undoes}
        self.lines.append(line | {"before": _payload(before), "after": _payload(after)})
        return after


class SqlRules:
    """Implements `protocols.RuleStore`. Every write is durable when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, rule: str) -> Rule | None:
        with self._database.reading(AT_ONCE) as connection:
            payload = connection.scalar(select(RULES.c.payload).where(RULES.c.id == rule))
        return None if payload is None else _decode(payload)

    def put(self, rules: Sequence[Rule], *, who: str, expected: int | None = None) -> Sequence[Rule]:
        """Add or replace, all or none; a rule without an id gets one. Raises Stale, LimitError."""
        named = [rule if rule.id else msgspec.structs.replace(rule, id=secrets.token_hex(4)) for rule in rules]
        with self._database.writing() as connection:
            writing = self._begun(connection, who, [rule.id for rule in named])
            count = connection.scalar(select(func.count()).select_from(RULES)) or 0
            for rule in named:
                held = writing.held.get(rule.id)
                expect(rule.id, held, expected)
                if held is None or not same(held, rule):
                    count += held is None
                    writing.change(rule.id, rule, "create" if held is None else "change")
            if count > RULES_LIMIT:
                raise too_many(count)
            self._finish(connection, writing)
        return [writing.held[rule.id] for rule in named]

    def delete(self, rule: str, *, who: str, expected: int | None = None) -> bool:
        with self._database.writing() as connection:
            writing = self._begun(connection, who, [rule])
            held = writing.held.get(rule)
            if held is None:
                return False
            expect(rule, held, expected)
            writing.change(rule, None, "delete")
            self._finish(connection, writing)
        return True

    def undo(self, change: int, *, who: str) -> RuleChange:
        """Make the rule what it was before that change. Raises Stale, BadRequest for a change that is not there."""
        with self._database.writing() as connection:
            row = connection.execute(select(RULE_CHANGES).where(RULE_CHANGES.c.id == change)).first()
            if row is None:
                raise no_change(change)
            wanted = _change(row)
            newest = select(func.max(RULE_CHANGES.c.id)).where(RULE_CHANGES.c.rule == wanted.rule)
            if (last := connection.scalar(newest)) != change:
                raise changed_since(wanted, int(last or 0))
            writing = self._begun(connection, who, [wanted.rule])
            writing.change(wanted.rule, wanted.before, "undo", undoes=change)
            self._finish(connection, writing)
        return self.history(limit=1, before=writing.number + 1)[0]

    def history(self, *, rule: str = "", limit: int = 50, before: int = 0) -> Sequence[RuleChange]:
        """The newest changes first."""
        query = select(RULE_CHANGES).order_by(RULE_CHANGES.c.id.desc()).limit(max(limit, 0))
        if rule:
            query = query.where(RULE_CHANGES.c.rule == rule)
        if before:
            query = query.where(RULE_CHANGES.c.id < before)
        with self._database.reading(AT_ONCE) as connection:
            return [_change(row) for row in connection.execute(query)]

    def cursor(self) -> int:
        """The number of the newest change; 0 before the first."""
        with self._database.reading(AT_ONCE) as connection:
            return _newest(connection)

    def list(self) -> list[Rule]:
        """All rules, by id."""
        with self._database.reading(AT_ONCE) as connection:
            return [_decode(payload) for (payload,) in connection.execute(select(RULES.c.payload).order_by(RULES.c.id))]

    def _begun(self, connection: Connection, who: str, ids: Sequence[str]) -> _Writing:
        rows = self._database.look_up(connection, (RULES.c.id, RULES.c.payload), RULES.c.id, list(dict.fromkeys(ids)))
        return _Writing(who, _newest(connection), {name: _decode(payload) for name, payload in rows})

    def _finish(self, connection: Connection, writing: _Writing) -> None:
        if not writing.lines:
            return
        touched = list(dict.fromkeys(line["rule"] for line in writing.lines))
        for start in range(0, len(touched), 500):
            connection.execute(RULES.delete().where(RULES.c.id.in_(touched[start : start + 500])))
        kept = [rule for name in touched if (rule := writing.held.get(name)) is not None]
        if kept:
            rows = [{"id": rule.id, "payload": rule_json(rule), "version": rule.version} for rule in kept]
            connection.execute(RULES.insert(), rows)
        connection.execute(RULE_CHANGES.insert(), writing.lines)
        connection.execute(update(META).where(META.c.name == "rule_seq").values(value=writing.number))


def same(held: Rule, rule: Rule) -> bool:
    """Do both say the same, whatever their versions?"""
    return msgspec.structs.replace(held, version=0, updated=None) == msgspec.structs.replace(
        rule, version=0, updated=None
    )


def expect(rule: str, held: Rule | None, expected: int | None) -> None:
    """Raises Stale when the rule is not the version that the writer has seen."""
    version = held.version if held else 0
    if expected is None or expected == version:
        return
    raise Stale(
        "there is such a rule already" if expected == 0 else "the rule was changed since it was read",
        where=f"rule {rule!r}",
        allowed=f"version {version}" if held else "a rule that is there",
        got=f"version {expected}",
        next="read it again, make the change again, send it with that version",
    )


def too_many(count: int) -> LimitError:
    """A shop has only so many rules."""
    error = LimitError(
        "too many rules", where="rules", allowed=f"{RULES_LIMIT:,}", got=f"{count:,}", next="delete some"
    )
    error.status, error.retry_after = 422, 0
    return error


def no_change(change: int) -> BadRequest:
    """There is no such line in the trail: 404."""
    error = BadRequest("there is no such change", where="rules undo", got=change, next="bodega rules audit")
    error.status = 404
    return error


def changed_since(wanted: RuleChange, last: int) -> Stale:
    """Only the newest change of a rule can be taken back."""
    return Stale(
        "the rule was changed again since",
        where=f"rule {wanted.rule!r}",
        allowed=f"change {last}, its newest",
        got=f"change {wanted.id}",
        next=f"undo change {last} first",
    )


def _newest(connection: Connection) -> int:
    return int(connection.scalar(select(META.c.value).where(META.c.name == "rule_seq")) or 0)


def _payload(rule: Rule | None) -> bytes:
    return b"" if rule is None else rule_json(rule)


def _change(row: Row[Any]) -> RuleChange:
    return RuleChange(
        id=row.id,
        time=datetime.fromtimestamp(row.time / 1e6, UTC),
        who=row.who,
        what=row.what,
        rule=row.rule,
        before=_decode(row.before) if row.before else None,
        after=_decode(row.after) if row.after else None,
        undoes=row.undoes,
    )
