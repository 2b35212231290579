"""A store of people in memory: the twin of the one in SQL, kept to the same checks. Not for: real shops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from bodega.events.people import Erased, IdentityChange, PeopleState
from bodega.protocols import Steps
from bodega.schema import EVENT_CODES, Event
from bodega.schema.people import Link, Word
from bodega.testing.reviews import MemoryReviews


class MemoryPeople:
    """Implements `protocols.PeopleStore` over events that somebody else holds."""

    def __init__(self) -> None:
        self._events: Callable[[], Iterable[Event]] = tuple
        self._remove: Callable[[Callable[[Event], bool]], int] = lambda _: 0
        self._links: dict[tuple[str, str], Link] = {}
        self._trail: list[IdentityChange] = []
        self._words: dict[tuple[str, str], Word] = {}
        self._tombs: dict[str, float] = {}
        self._receipts: dict[str, tuple[float, str, bytes]] = {}
        self._claims: dict[str, float] = {}
        self._changes = self._identities = self._erasures = 0
        self._lock = threading.RLock()
        self.reviews = MemoryReviews()

    def over(self, events: Callable[[], Iterable[Event]], remove: Callable[[Callable[[Event], bool]], int]) -> None:
        """`events` gives all stored events; `remove` takes out those that are meant and says how many they were."""
        self._events, self._remove = events, remove

    def state(self) -> PeopleState:
        held = bool(self._links), bool(self._words), bool(self._tombs)
        return PeopleState(self._changes, self._identities, self._erasures, *held)

    def link(self, links: Sequence[Link], *, who: str) -> int:
        """The newest word on each pair holds; of two at one moment `apart`."""
        changed = 0
        with self._lock:
            for link in sorted(links):
                held = self._links.get((link.left, link.right))
                if held is not None and (held.time, held.apart) >= (link.time, link.apart):
                    continue
                self._links[link.left, link.right] = link
                if held is not None and held.apart == link.apart:
                    continue
                changed += 1
                self._identities += 1
                what, time = "apart" if link.apart else "link", datetime.fromtimestamp(link.time, UTC)
                self._trail.append(IdentityChange(self._identities, time, who, what, link.left, link.right))
            self._changes += bool(changed)
        return changed

    def links_of(self, subjects: Sequence[str]) -> list[Link]:
        wanted = set(subjects)
        return sorted(link for link in self._links.values() if {link.left, link.right} & wanted)

    def links(self) -> list[Link]:
        return sorted(self._links.values())

    def trail(self, subjects: Sequence[str] = (), *, since: int = 0, limit: int = 100) -> list[IdentityChange]:
        wanted = set(subjects)
        found = [line for line in reversed(self._trail) if line.id > since]
        return [line for line in found if not wanted or {line.left, line.right} & wanted][: max(limit, 0)]

    def say(self, words: Sequence[Word]) -> None:
        with self._lock:
            for word in words:
                held = self._words.get((word.subject, word.purpose))
                if held is None or (held.time, not held.granted) < (word.time, not word.granted):
                    self._words[word.subject, word.purpose] = word
                    self._changes += 1

    def said(self, subjects: Sequence[str]) -> list[Word]:
        return [word for word in self.words() if word.subject in set(subjects)]

    def words(self) -> list[Word]:
        return [self._words[key] for key in sorted(self._words)]

    def users_of(self, sessions: Sequence[str]) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for event in self._events():
            if event.user and event.session in set(sessions):
                found.setdefault(event.session, set()).add(event.user)
        return {name: frozenset(users) for name, users in found.items()}

    def sessions_of(self, users: Sequence[str], *, limit: int, guests: bool = False) -> list[str]:
        events = list(self._events())
        newest: dict[str, datetime] = {}
        for event in events:
            if event.user in users and event.session:
                newest[event.session] = max(event.time, newest.get(event.session, event.time))
        alone = {event.session for event in events if not event.user}
        names = [name for name in newest if not guests or name in alone]
        return sorted(names, key=lambda name: (-newest[name].timestamp(), name))[: max(limit, 0)]

    def guests_among(self, sessions: Sequence[str]) -> set[str]:
        return {event.session for event in self._events() if not event.user} & set(sessions)

    def guest_steps(self, sessions: Sequence[str], *, limit: int) -> Steps:
        named = set(sessions)
        found = [event for event in self._events() if not event.user and event.session in named]
        newest = sorted(found, key=lambda event: (event.time, event.id))[-3 * limit :]
        return Steps(
            [event.time.timestamp() for event in newest],
            [EVENT_CODES[event.type] for event in newest],
            [event.item for event in newest],
            [event.query for event in newest],
            [event.value for event in newest],
        )

    def bury(self, subjects: Sequence[str], *, time: float, erasure: str) -> None:
        del erasure
        with self._lock:
            self._tombs.update(dict.fromkeys(subjects, time))
            self._changes += 1
            self._erasures += 1

    def buried(self, subjects: Sequence[str]) -> dict[str, float]:
        return {subject: self._tombs[subject] for subject in subjects if subject in self._tombs}

    def names(self) -> tuple[list[str], list[str]]:
        subjects = [side for link in self._links.values() for side in (link.left, link.right)]
        subjects += [word.subject for word in self._words.values()]
        subjects += [f"user:{event.user}" for event in self._events() if event.user]
        subjects += [f"user:{kept.review.user}" for kept in self.reviews.scan() if kept.review.user]
        subjects += [f"session:{event.session}" for event in self._events() if event.session]
        users = {name.partition(":")[2] for name in subjects if name.startswith("user:")}
        sessions = {name.partition(":")[2] for name in subjects if name.startswith("session:")}
        return sorted(users), sorted(sessions)

    def erase(self, users: Sequence[str], sessions: Sequence[str]) -> Erased:
        named = {*(f"user:{name}" for name in users), *(f"session:{name}" for name in sessions)}
        gone = self._remove(lambda event: event.user in users or (not event.user and event.session in sessions))
        with self._lock:
            rows: dict[str, int] = {"events": gone}
            rows["identities"] = _dropped(self._links, lambda key: bool(set(key) & named))
            rows["consents"] = _dropped(self._words, lambda key: key[0] in named)
            kept = [line for line in self._trail if not {line.left, line.right} & named]
            rows["identity_changes"], self._trail = len(self._trail) - len(kept), kept
        rows["reviews"] = self.reviews.remove(lambda one: bool(one.review.user) and one.review.user in users)
        return Erased(rows)

    def expire(self, before: float) -> Erased:
        return Erased({"events": self._remove(lambda event: event.time.timestamp() < before)})

    def claim(self, name: str, now: float, every: float) -> bool:
        with self._lock:
            due = self._claims.get(name, 0.0) <= now - every
            if due:
                self._claims[name] = now
            return due

    def put_receipt(self, receipt: str, *, time: float, state: str, payload: bytes) -> None:
        self._receipts[receipt] = (time, state, payload)

    def receipts(self, *, state: str = "", limit: int = 100) -> list[tuple[str, bytes]]:
        newest = sorted(self._receipts.items(), key=lambda each: (-each[1][0], each[0]))
        return [(name, held[2]) for name, held in newest if not state or held[1] == state][: max(limit, 0)]

    def receipt(self, receipt: str) -> bytes | None:
        held = self._receipts.get(receipt)
        return None if held is None else held[2]


def _dropped(held: dict[Any, Any], wanted: Callable[[Any], bool]) -> int:
    gone = [key for key in held if wanted(key)]
    for key in gone:
        del held[key]
    return len(gone)
