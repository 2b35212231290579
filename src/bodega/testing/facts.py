"""A store of facts in memory: what a test hands to a shop instead of a database. Implements `protocols.FactStore`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from bodega.schema.facts import EVERY_ITEM, Fact, FactCount, FactDecision, FactKey, FactQuery
from bodega.schema.facts import Status as FactStatus

TOUCHED = 2_000


class MemoryFacts:
    """Keeps facts and decisions in two dictionaries; `touch` is told which items a decision concerns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._facts: dict[FactKey, Fact] = {}
        self._decisions: dict[FactKey, FactDecision] = {}
        self._cursor = 0
        self.touch: Callable[[Sequence[str]], None] | None = None

    def replace(self, items: Sequence[str] | None, facts: Sequence[Fact]) -> None:
        with self._lock:
            gone = None if items is None else set(items)
            kept = {} if gone is None else {key: fact for key, fact in self._facts.items() if key.item not in gone}
            for fact in facts:
                if "\0" not in "".join(fact.key) and fact.key not in kept:
                    kept[fact.key] = fact
            self._facts = kept

    def stream(self) -> Iterator[Fact]:
        with self._lock:
            held = [_with(self._facts[key], "mined") for key in sorted(self._facts)]
        return iter(held)

    def counts(self) -> Sequence[FactCount]:
        found = self.list(FactQuery(limit=10**9))
        out = []
        for name in sorted({fact.attribute for fact in found}):
            own = [fact for fact in found if fact.attribute == name]
            out.append(
                FactCount(
                    attribute=name,
                    kind=max(fact.kind for fact in own),
                    facts=len(own),
                    items=len({fact.item for fact in own}),
                    conflicts=sum(bool(fact.conflicts) for fact in own),
                    accepted=sum(fact.status == "accepted" for fact in own),
                    rejected=sum(fact.status == "rejected" for fact in own),
                )
            )
        return out

    def decide(self, keys: Sequence[FactKey], accepted: bool | None, *, who: str) -> int:
        now = datetime.now(UTC)
        with self._lock:
            changed = []
            for key in sorted(set(keys)):
                held = self._decisions.get(key)
                if (None if held is None else held.accepted) is accepted:
                    continue
                changed.append(key)
                self._decisions.pop(key, None)
                if accepted is not None:
                    self._decisions[key] = FactDecision(**key._asdict(), accepted=accepted, who=who, time=now)
            items = {key.item for key in changed if key.item != EVERY_ITEM}
            for key in changed:
                if key.item == EVERY_ITEM:
                    items |= {one.item for one in self._facts if (one.attribute, one.value) == key[1:]}
            if len(items) > TOUCHED:
                items = set()
            self._cursor += bool(changed) + len(items)
        if self.touch is not None:
            self.touch(sorted(items))
        return len(changed)

    def decisions(self) -> Sequence[FactDecision]:
        with self._lock:
            return [self._decisions[key] for key in sorted(self._decisions)]

    def cursor(self) -> int:
        with self._lock:
            return self._cursor

    def list(self, query: FactQuery) -> list[Fact]:
        with self._lock:
            found = [_with(self._facts[key], self._status(key)) for key in sorted(self._facts)]
        return [fact for fact in found if _asked(fact, query)][: max(0, query.limit)]

    def _status(self, key: FactKey) -> FactStatus:
        said = self._decisions.get(key) or self._decisions.get(FactKey(EVERY_ITEM, key.attribute, key.value))
        return "mined" if said is None else "accepted" if said.accepted else "rejected"


def _asked(fact: Fact, query: FactQuery) -> bool:
    wanted = ((query.item, fact.item), (query.attribute, fact.attribute), (query.value, fact.value))
    return (
        all(not asked or asked == held for asked, held in wanted)
        and query.least <= fact.confidence <= query.most
        and query.status in ("", fact.status)
        and (query.conflicts is None or query.conflicts == bool(fact.conflicts))
        and (query.after is None or fact.key > query.after)
    )


def _with(fact: Fact, status: FactStatus) -> Fact:
    return msgspec.structs.replace(fact, status=status)
