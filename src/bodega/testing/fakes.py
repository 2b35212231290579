"""Stores that live in memory: the whole promise of `bodega.protocols` except durability. And an encoder of words.

They hold plain dicts and lists behind one lock, and give the same answers as the SQL stores, call by call (a test
compares them). Cost: everything in memory, `scan` sorts. Not for: keeping anything.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.errors import BadRequest, LimitError, Stale
from bodega.protocols import Along, EncoderInfo, EventRows, KeyInfo, Offset, RuleChange, Steps, Written
from bodega.schema import ACTIVE, EVENT_CODES, TURNED_AWAY, DeadLetter, Event, Item, Rule
from bodega.schema.rules import RULES_LIMIT
from bodega.testing.answers import MemoryAnswers
from bodega.testing.experiments import MemoryExperiments
from bodega.testing.facts import MemoryFacts
from bodega.testing.judgments import MemoryJudgments
from bodega.testing.logbook import Counted, MemoryLogbook
from bodega.testing.people import MemoryPeople
from bodega.testing.reviews import MemoryReviews

_encode = msgspec.json.Encoder(order="sorted").encode


class MemoryCatalog:
    """Implements `protocols.CatalogStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: dict[str, Item | None] = {}
        """In order of first arrival; None where the item was deleted (its place is kept for a return)."""
        self._changed: dict[str, int] = {}
        self._cursor = 0

    def upsert(self, items: Sequence[Item]) -> Written:
        """Add or replace; of several with one id the last counts. Raises BadRequest for an item without an id."""
        nameless = next((item for item in items if not item.id), None)
        if nameless is not None:
            raise BadRequest("this item cannot be kept", allowed="an id that is not empty", got=nameless.title)
        added = changed = 0
        with self._lock:
            for item in {item.id: item for item in items}.values():
                held = self._items.get(item.id)
                if held is not None and _encode(held) == _encode(item):
                    continue
                added, changed = added + (held is None), changed + (held is not None)
                self._set(item.id, item)
        return Written(added=added, changed=changed, unchanged=len(items) - added - changed)

    def delete(self, ids: Sequence[str]) -> int:
        """Remove; returns how many were there."""
        with self._lock:
            gone = [name for name in dict.fromkeys(ids) if self._items.get(name) is not None]
            for name in gone:
                self._set(name, None)
        return len(gone)

    def get(self, ids: Sequence[str]) -> dict[str, Item]:
        with self._lock:
            return {name: item for name in ids if (item := self._items.get(name)) is not None}

    def scan(self) -> Iterator[Item]:
        """All items in order of first arrival, as they were when the scan began."""
        with self._lock:
            items = [item for item in self._items.values() if item is not None]
        return iter(items)

    def count(self) -> int:
        with self._lock:
            return sum(item is not None for item in self._items.values())

    def changes(self, since: int) -> tuple[int, list[tuple[str, Item | None]]]:
        with self._lock:
            later = sorted((number, name) for name, number in self._changed.items() if number > since)
            return max(self._cursor, since), [(name, self._items[name]) for _, name in later]

    def cursor(self) -> int:
        with self._lock:
            return self._cursor

    def touch(self, names: Sequence[str]) -> None:
        """Count these as changed, though nothing of them did."""
        with self._lock:
            for name in sorted(set(names)):
                if name in self._items:
                    self._set(name, self._items[name])

    def _set(self, name: str, item: Item | None) -> None:
        self._cursor += 1
        self._items[name] = item
        self._changed[name] = self._cursor


class MemoryEvents:
    """Implements `protocols.EventStore`."""

    def __init__(self, letters: MemoryLetters | None = None) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, Event] = {}
        self._offsets: dict[tuple[str, int], Offset] = {}
        self._letters = letters
        """Where the letters that come along with a batch are put; None: nowhere."""
        self._people: MemoryPeople | None = None
        """Where words about consent are kept; None: nowhere."""

    def append(self, events: Sequence[Event], *, along: Along | None = None) -> Written:
        """Keep a batch. Raises BadRequest for an event that cannot be kept; then nothing of the batch is."""
        added = unchanged = 0
        conflicts: dict[str, None] = {}
        rejected: list[Event] = []
        rows = sorted((_normal(event) for event in events), key=_order)
        with self._lock:
            for event in rows:
                held = self._events.setdefault(event.id, event)
                if held is event:
                    added += 1
                elif held == event:
                    unchanged += 1
                else:
                    conflicts[event.id] = None
                    rejected.append(event)
            for offset in along.offsets if along is not None else ():
                held_offset = self._offsets.get((offset.stream, offset.partition), offset)
                self._offsets[offset.stream, offset.partition] = offset if offset.anew else max(held_offset, offset)
        if along is not None and self._people is not None:
            self._people.say([word for _, words in along.said for word in words])
        if along is not None and self._letters is not None:
            refused = [along.conflict(event) for event in rejected] if along.conflict is not None else []
            self._letters.put([*along.letters, *refused])
        return Written(added=added, unchanged=unchanged, conflicts=tuple(conflicts))

    def remove(self, wanted: Callable[[Event], bool]) -> int:
        """Take events out; how many that were."""
        with self._lock:
            gone = [name for name, event in self._events.items() if wanted(event)]
            for name in gone:
                del self._events[name]
        return len(gone)

    def submit(self, events: Sequence[Event], *, along: Along | None = None) -> Future[Written]:
        """Like `append`; the future is done when it is returned. Raises BadRequest at once."""
        future: Future[Written] = Future()
        future.set_result(self.append(events, along=along))
        return future

    def steps(self, *, user: str, session: str, limit: int) -> Steps:
        """The newest `limit` of each kind of a user, or of a session as a guest, oldest first."""
        with self._lock:
            events = sorted(self._events.values(), key=_order)
        mine = [
            one
            for one in events
            if (one.user == user if user else session and (one.user, one.session) == ("", session))
        ]
        wanted = [one for one in mine if one.type in (*ACTIVE, *TURNED_AWAY) and (one.value is None or one.value >= 3)]
        shown = [one for one in mine if one.type == "impression"]
        asked = [one for one in mine if one.query]
        kept = {one.id for kind in (wanted, shown, asked) for one in kind[-limit:]} if limit > 0 else set()
        rows = [one for one in mine if one.id in kept]
        return Steps(
            [one.time.timestamp() for one in rows],
            [EVENT_CODES[one.type] for one in rows],
            [one.item for one in rows],
            [one.query for one in rows],
            [one.value for one in rows],
        )

    def since(self, time: float, *, chunk: int = 100_000) -> Iterator[EventRows]:
        """The events later than `time`, in (time, id) order."""
        with self._lock:
            rows = sorted((one for one in self._events.values() if one.time.timestamp() > time), key=_order)
        for start in range(0, len(rows), chunk):
            yield event_rows(rows[start : start + chunk])

    def offsets(self, stream: str) -> dict[int, Offset]:
        """{partition: how far it is stored}."""
        with self._lock:
            return {number: offset for (name, number), offset in self._offsets.items() if name == stream}

    def scan(self, *, chunk: int = 100_000, since: int | None = None, searched: bool = False) -> Iterator[EventRows]:
        """All events in (time, id) order, as they were when the scan began."""
        with self._lock:
            rows = sorted(self._events.values(), key=_order)
        if since is not None:
            rows = [event for event in rows if event.time.timestamp() * 1e6 >= since - 0.5]
        if searched:
            rows = [event for event in rows if event.query]
        for start in range(0, len(rows), chunk):
            yield event_rows(rows[start : start + chunk])

    def recent(self, *, user: str, session: str, limit: int) -> list[Event]:
        """The newest `limit` events of this user or this session, oldest first; [] when both are empty."""
        with self._lock:
            events = list(self._events.values())
        mine = [event for event in events if (user and event.user == user) or (session and event.session == session)]
        return sorted(mine, key=_order)[-limit:] if limit > 0 else []

    def count(self) -> int:
        with self._lock:
            return len(self._events)


class MemoryLetters:
    """Implements `protocols.DeadLetterBox`; the same row is kept once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._letters: dict[tuple[str, str, str, int, str], DeadLetter] = {}

    def put(self, letters: Sequence[DeadLetter]) -> None:
        with self._lock:
            for letter in letters:
                key = (letter.kind, letter.reason, letter.source, letter.line, letter.raw)
                dated = letter if letter.time else msgspec.structs.replace(letter, time=datetime.now(UTC))
                self._letters.setdefault(key, dated)

    def remove(self, letters: Sequence[DeadLetter]) -> int:
        """Take letters out; returns how many were there."""
        keys = [(one.kind, one.reason, one.source, one.line, one.raw) for one in letters]
        with self._lock:
            return sum(self._letters.pop(key, None) is not None for key in keys)

    def list(self, *, kind: str = "", reason: str = "", limit: int = 50) -> list[DeadLetter]:
        """The newest letters first, of this kind and reason where given."""
        with self._lock:
            letters = list(self._letters.values())
        wanted = [one for one in letters if one.kind == (kind or one.kind) and one.reason == (reason or one.reason)]
        wanted.sort(key=lambda one: (one.time, one.line), reverse=True)
        return wanted[: max(limit, 0)]

    def counts(self) -> dict[tuple[str, str], int]:
        """{(kind, reason): how many}."""
        with self._lock:
            return dict(Counter((letter.kind, letter.reason) for letter in self._letters.values()))


class MemoryKeys:
    """Implements `protocols.KeyStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, KeyInfo] = {}

    def create(self, label: str, scopes: Sequence[str]) -> str:
        key = f"bodega_{secrets.token_urlsafe(24)}"
        info = KeyInfo(secrets.token_hex(4), label, tuple(scopes), datetime.now(UTC))
        with self._lock:
            self._keys[_hash(key)] = info
        return key

    def find(self, key: str) -> KeyInfo | None:
        with self._lock:
            info = self._keys.get(_hash(key))
        return None if info is None or info.revoked else info

    def list(self) -> list[KeyInfo]:
        with self._lock:
            return list(self._keys.values())

    def revoke(self, id: str) -> bool:  # noqa: A002 - the noun of the protocol
        with self._lock:
            for digest, info in self._keys.items():
                if info.id == id and not info.revoked:
                    self._keys[digest] = replace(info, revoked=True)
                    return True
        return False


class MemoryRules:
    """Implements `protocols.RuleStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[str, Rule] = {}
        self._trail: list[RuleChange] = []

    def get(self, rule: str) -> Rule | None:
        with self._lock:
            return self._rules.get(rule)

    def put(self, rules: Sequence[Rule], *, who: str, expected: int | None = None) -> Sequence[Rule]:
        """Add or replace, all or none; a rule without an id gets one. Raises Stale, LimitError."""
        named = [rule if rule.id else msgspec.structs.replace(rule, id=secrets.token_hex(4)) for rule in rules]
        with self._lock:
            count = len(self._rules.keys() | {rule.id for rule in named})
            if count > RULES_LIMIT:
                raise LimitError("too many rules", allowed=f"{RULES_LIMIT:,}", got=f"{count:,}")
            for rule in named:
                self._expect(rule.id, expected)
            for rule in named:
                held = self._rules.get(rule.id)
                if held is None or _plain(held) != _plain(rule):
                    self._change(rule.id, rule, who, "create" if held is None else "change")
            return [self._rules[rule.id] for rule in named]

    def delete(self, rule: str, *, who: str, expected: int | None = None) -> bool:
        with self._lock:
            if rule not in self._rules:
                return False
            self._expect(rule, expected)
            self._change(rule, None, who, "delete")
            return True

    def undo(self, change: int, *, who: str) -> RuleChange:
        """Make the rule what it was before that change. Raises Stale, BadRequest for a change that is not there."""
        with self._lock:
            if not 1 <= change <= len(self._trail):
                error = BadRequest("there is no such change", where="rules undo", got=change)
                error.status = 404
                raise error
            wanted = self._trail[change - 1]
            if any(later.rule == wanted.rule for later in self._trail[change:]):
                raise Stale("the rule was changed again since", where=wanted.rule, got=change)
            self._change(wanted.rule, wanted.before, who, "undo", undoes=change)
            return self._trail[-1]

    def history(self, *, rule: str = "", limit: int = 50, before: int = 0) -> Sequence[RuleChange]:
        """The newest changes first."""
        with self._lock:
            lines = [line for line in reversed(self._trail) if not before or line.id < before]
        return [line for line in lines if line.rule == (rule or line.rule)][: max(limit, 0)]

    def cursor(self) -> int:
        with self._lock:
            return len(self._trail)

    def list(self) -> list[Rule]:
        """All rules, by id."""
        with self._lock:
            return [self._rules[name] for name in sorted(self._rules)]

    def _expect(self, rule: str, expected: int | None) -> None:
        version = self._rules[rule].version if rule in self._rules else 0
        if expected is not None and expected != version:
            raise Stale("the rule is another version", where=rule, allowed=str(version), got=expected)

    def _change(self, rule: str, after: Rule | None, who: str, what: str, undoes: int = 0) -> None:
        number, now = len(self._trail) + 1, datetime.now(UTC)
        before = self._rules.pop(rule, None)
        if after is not None:
            after = self._rules[rule] = msgspec.structs.replace(after, version=number, updated=now)
        self._trail.append(RuleChange(number, now, who, what, rule, before, after, undoes))


@dataclass(frozen=True, slots=True)
class MemoryStores:
    """All the stores of a shop, in memory: what `Shop` takes instead of a `SqlStore`."""

    catalog: MemoryCatalog = field(default_factory=MemoryCatalog)
    dead: MemoryLetters = field(default_factory=MemoryLetters)
    events: MemoryEvents = field(default_factory=MemoryEvents)
    keys: MemoryKeys = field(default_factory=MemoryKeys)
    rules: MemoryRules = field(default_factory=MemoryRules)
    people: MemoryPeople = field(default_factory=MemoryPeople)
    reviews: MemoryReviews = field(default_factory=MemoryReviews)
    facts: MemoryFacts = field(default_factory=MemoryFacts)
    answers: MemoryAnswers = field(default_factory=MemoryAnswers)
    counted: Counted = field(default_factory=dict)
    experiments: MemoryExperiments = field(default_factory=MemoryExperiments)
    judgments: MemoryJudgments = field(default_factory=MemoryJudgments)

    def __post_init__(self) -> None:
        self.events._letters = self.events._letters or self.dead
        self.events._people = self.people
        self.people.over(lambda: list(self.events._events.values()), self.events.remove)
        self.people.reviews = self.reviews
        self.facts.touch = self.catalog.touch
        self.experiments.answers = self.answers.scan
        self.experiments.events = lambda: list(self.events._events.values())

    @property
    def logbook(self) -> MemoryLogbook:
        """What counts are made of."""
        return MemoryLogbook(self.answers, lambda: list(self.events._events.values()), self.counted)

    def close(self) -> None:
        """Nothing to close."""


class FakeEncoder:
    """Implements `protocols.Encoder` without learning: a word is a direction drawn from its hash, a text their sum."""

    def __init__(self, dimensions: int = 32, name: str = "fake") -> None:
        self.info = EncoderInfo(name, dimensions, _hash(f"{name} {dimensions}")[:16], ("en", "zh"), "hashes of words")
        self.asked: list[str] = []
        """Every text it was ever asked for, in order."""

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        del query
        self.asked += texts
        rows = np.zeros((len(texts), self.info.dimensions), np.float32)
        for place, text in enumerate(texts):
            for word in re.findall(r"\w+", text[:1_000].casefold()):
                rows[place] += self._direction(word)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)

    def _direction(self, word: str) -> NDArray[np.float32]:
        seed = int(_hash(word), 16)
        drawn = np.random.default_rng(seed).standard_normal(self.info.dimensions)
        return drawn.astype(np.float32)


def event_rows(events: Sequence[Event]) -> EventRows:
    """Events as the columns that a store hands to training, in the order given."""
    return EventRows(
        time=np.array([event.time.timestamp() for event in events], np.float64),
        type=np.array([EVENT_CODES[event.type] for event in events], np.int8),
        user=[event.user for event in events],
        session=[event.session for event in events],
        item=[event.item for event in events],
        query=[event.query for event in events],
        quantity=np.array([event.quantity for event in events], np.float32),
        value=np.array([event.value for event in events], np.float32),  # None becomes NaN
        position=np.array([-1 if event.position is None else event.position for event in events], np.int32),
    )


def _normal(event: Event) -> Event:
    """The event in UTC and with an id; NaN means the same as nothing, as in the SQL store."""
    if event.time.tzinfo is None:
        raise BadRequest(
            "this event cannot be kept", where=f"event {event.id or '(no id)'}", allowed="a time with its zone"
        )
    if not np.isfinite(event.quantity):
        raise BadRequest("this event cannot be kept", allowed="a finite quantity", got=event.quantity)
    known = msgspec.structs.replace(
        event,
        time=event.time.astimezone(UTC),
        price=None if event.price is None or event.price != event.price else event.price,
        value=None if event.value is None or event.value != event.value else event.value,
    )
    return known if known.id else msgspec.structs.replace(known, id=_hash(_encode(known).decode()))


def _plain(rule: Rule) -> Rule:
    """The rule without what the store adds."""
    return msgspec.structs.replace(rule, version=0, updated=None)


def _order(event: Event) -> tuple[datetime, str]:
    return event.time, event.id


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
