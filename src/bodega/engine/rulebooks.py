"""`shop.rules`: what merchandisers decided, and the book of it that the next answer uses.

A change made here is durable, is in the audit trail, and is part of the next answer of this process: no learning, no
restart. Changes made by other processes on the same store are noticed by comparing one number (the cursor), at most
once a second while requests come in, and whenever the service looks after the catalog. A store that does not answer
leaves the book as it was: a list is never refused for its rules.

Cost: looking at the cursor .1 ms, compiling 1,000 rules 60 ms. Not for: what rules mean (`ranking.rules`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from bodega import failpoints
from bodega.engine.deadline import TooLate
from bodega.engine.deadline import now as clock
from bodega.engine.patience import STORE, Line
from bodega.engine.preview import Ask, Looking, Preview, preview
from bodega.errors import BadRequest, BodegaError
from bodega.protocols import RuleChange, RuleStore
from bodega.ranking.rules import RuleBook
from bodega.schema import Rule, checked_rule

LOOK_EVERY = 1.0
"""Seconds between two looks at what other processes changed."""
ASKED_FRESH = 600.0
"""Seconds for which the most asked queries are remembered."""
QUERIES_LIMIT = 200
"""Queries of one preview."""
LOGGER = logging.getLogger("bodega.rules")


class Rules:
    """The rules of one shop. `ask` answers a request under another book, `asked` names the most asked queries."""

    def __init__(self, store: RuleStore, ask: Ask, asked: Callable[[], Sequence[str]] = tuple) -> None:
        self._store = store
        self._ask = ask
        self._asked = asked
        self._book = RuleBook()
        self._cursor = -1
        self._looked = -LOOK_EVERY
        self.line: Line | None = None
        """The way to a store on another machine."""
        self._often: tuple[float, tuple[str, ...]] = (-ASKED_FRESH, ())
        self._lock = threading.Lock()

    @property
    def book(self) -> RuleBook:
        """The rules in force, compiled; a second behind other processes (two, where the store is on another machine),
        never behind this one."""
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY and self.line is not None and self._cursor >= 0:
            self._looked = now
            self.line.behind("rules", self.refresh)  # on another machine: no page waits for a look
        elif now - self._looked >= LOOK_EVERY:
            try:
                clock().remotely(STORE, self.refresh)
            except TooLate:
                self._looked = now
            except BodegaError as error:
                self._looked = now
                LOGGER.error("%s", error.what, extra={"facts": error.as_dict()})
            except Exception as error:
                self._looked = now
                LOGGER.error("the rules could not be read", exc_info=error)
        return self._book

    def refresh(self) -> bool:
        """Take over what changed in the store; was there anything? Raises StoreError."""
        with self._lock:
            self._looked = time.monotonic()
            if failpoints.ON:
                failpoints.reach("rules.read")
            cursor = self._store.cursor()
            if cursor == self._cursor:
                return False
            # The cursor was read first: a change in between is seen now and once more at the next look.
            self._book = RuleBook(self._store.list())
            self._cursor = cursor
            return True

    def list(self) -> list[Rule]:
        """All rules by id, switched off ones too."""
        return self._store.list()

    def changes(self) -> int:
        """The number of the newest change: equal while nothing changed."""
        return self._store.cursor()

    def get(self, rule: str) -> Rule:
        """Raises BadRequest (404) when there is none."""
        found = self._store.get(rule)
        if found is None:
            raise unknown(rule)
        return found

    def put(self, *rules: Rule, who: str, expected: int | None = None) -> Sequence[Rule]:
        """Add or replace rules, all or none; returns them as stored. `expected` is the version they replace (0: none).

        Raises BadRequest for one that cannot be meant, Stale when it was changed meanwhile, LimitError.
        """
        signed = [rule if rule.author else msgspec.structs.replace(rule, author=who) for rule in rules]
        stored = self._store.put([checked_rule(rule) for rule in signed], who=who, expected=expected)
        self.refresh()
        return stored

    def enable(self, rule: str, enabled: bool, *, who: str) -> Rule:
        """Switch a rule on or off."""
        held = self.get(rule)
        return self.put(msgspec.structs.replace(held, enabled=enabled), who=who, expected=held.version)[0]

    def delete(self, rule: str, *, who: str, expected: int | None = None) -> None:
        """Raises BadRequest (404) when there is none, Stale."""
        if not self._store.delete(rule, who=who, expected=expected):
            raise unknown(rule)
        self.refresh()

    def undo(self, change: int, *, who: str) -> RuleChange:
        """Take one change back. Raises BadRequest for an unknown change, Stale when the rule changed again since."""
        done = self._store.undo(change, who=who)
        self.refresh()
        return done

    def history(self, *, rule: str = "", limit: int = 50, before: int = 0) -> Sequence[RuleChange]:
        """The audit trail, newest first."""
        return self._store.history(rule=rule, limit=limit, before=before)

    def preview(self, rule: Rule, *, queries: Sequence[str] = (), k: int = 20) -> Preview:
        """What the rule would change; without queries: its own phrases and the most asked. Raises BadRequest."""
        if len(queries) > QUERIES_LIMIT:
            raise BadRequest(
                "too many queries",
                code="rules.too_many_queries",
                where="preview",
                allowed=f"{QUERIES_LIMIT}",
                got=len(queries),
                next="send fewer",
            )
        draft = checked_rule(rule)
        if not draft.id:
            draft = msgspec.structs.replace(draft, id="draft")
        chosen = tuple(queries) or (*(phrase.text for phrase in draft.when.queries), *self._most_asked())
        looking = Looking(tuple(dict.fromkeys(chosen))[:QUERIES_LIMIT], k)
        return preview(self._ask, self.book, draft, looking)

    def _most_asked(self) -> tuple[str, ...]:
        if time.monotonic() - self._often[0] > ASKED_FRESH:
            self._often = (time.monotonic(), tuple(self._asked()))
        return self._often[1]


def unknown(rule: str) -> BadRequest:
    """There is no such rule: 404."""
    error = BadRequest("there is no such rule", code="rules.unknown", where="rules", got=rule, next="bodega rules list")
    error.status = 404
    return error
