"""What do we know about this shopper right now? The newest events of every recent shopper, in memory.

An event is put here the moment it is durable, so the very next request sees it. A shopper who is not in memory is read
from the event store once (newest steps only) and kept; the least recently seen are dropped first. Guests are known by
session; a signed-in shopper's list also takes in what the same session did before signing in.
Late events go where their time says: the state equals the one that a sorted replay would give (`doings`).
Where several servers share their states (`StateStore`), each request asks there what is new: one round trip. Where that
server does not answer in time, the store is read instead, and the page says so.
Cost: about 60 bytes an event; a cached request costs two dictionary look-ups, 200 new impressions .1 ms; a first
request 1-3 ms. Not for: features with decay (the readers of a context decay what they read).
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from bodega import failpoints
from bodega.engine.doings import ASKED, IMPRESSIONS, Doings, History, unanswered
from bodega.engine.health import lose
from bodega.protocols import Caught, Person, StateLost, StateStore, Steps
from bodega.schema import EVENT_CODES, Event, ItemTable

__all__ = ["History", "Recent", "Shoppers"]

Recent = Callable[[str, str, int], Steps]
"""(user, session, limit) -> newest steps of the user, or of the session as a guest: how one not in memory is read."""

READ_SECONDS = 10.0
"""How long one request waits for another one that reads the same shopper."""


class _Held:
    """A shopper in memory; `ready` is set once what is stored has been read."""

    __slots__ = ("doings", "ready")

    def __init__(self) -> None:
        self.doings = Doings()
        self.ready = threading.Event()


class Shoppers:
    """The states of the most recent shoppers.

    >>> shoppers = Shoppers(lambda user, session, limit: Steps(), limit=100)
    >>> shoppers.history("nobody", "", ItemTable.of([])).items.tolist()
    []
    """

    def __init__(self, recent: Recent, *, limit: int, capacity: int = 50_000) -> None:
        self._recent = recent
        self._limit = limit
        self._capacity = capacity
        self._shared: StateStore | None = None
        """Where several servers share their states; None: each keeps its own."""
        self._known: OrderedDict[Person, _Held] = OrderedDict()
        self._lock = threading.RLock()  # events arrive on the store's thread, requests on the caller's

    def join(self, shared: StateStore) -> None:
        """From now on states are shared with other servers."""
        self._shared = shared

    def close(self) -> None:
        if self._shared is not None:
            self._shared.close()

    def __len__(self) -> int:
        """Shoppers in memory."""
        return len(self._known)

    @property
    def shared(self) -> bool:
        """Do several servers share their states?"""
        return self._shared is not None

    @property
    def trouble(self) -> str:
        """What is wrong with the shared states at the moment; "" for nothing."""
        return str(getattr(self._shared, "trouble", ""))

    def observe(self, events: Iterable[Event]) -> None:
        """Take in events that are durable. Only shoppers in memory are updated; others are read when they come."""
        with self._lock:
            for event in events:
                held = self._known.get(_person(event))
                if held is not None:
                    held.doings.take(_step(event), self._limit)

    def share(self, events: Sequence[Event]) -> None:
        """Let the other servers know of events that are durable; nothing where there are none. Never raises."""
        if self._shared is None or not events:
            return
        people: dict[Person, list[Event]] = {}
        for event in events:
            people.setdefault(_person(event), []).append(event)
        self._shared.tell({person: Steps.of(theirs) for person, theirs in people.items()})

    def history(self, user: str, session: str, table: ItemTable) -> History:
        """What this shopper did, newest last, as indices of `table`; empty for nobody."""
        return self._both(user, session, lambda doings: doings.resolved(table))

    def beside(self, user: str, session: str, table: ItemTable) -> History:
        """`history` against a second, small table (what came after the snapshot): interest and dislike only."""
        return self._both(user, session, lambda doings: doings.beside(table))

    def _both(self, user: str, session: str, read: Callable[[Doings], History]) -> History:
        """What is read of the shopper and of this visit, as one."""
        people = [("user", user)] * bool(user) + [("session", session)] * bool(session)
        found = self._present(people)
        with self._lock:
            histories = {person[0]: read(doings) for person, doings in found.items()}
        own, guest = histories.get("user"), histories.get("session")
        if own is None or guest is None or not guest.known:
            return own or guest or History()
        return _merged(own, guest)

    def forget_all(self) -> None:
        """Drop every state, here and where states are shared; they are read again from the store when needed."""
        with self._lock:
            self._known.clear()
        if self._shared is not None:
            self._shared.forget()

    def forget(self, *, users: Sequence[str] = (), sessions: Sequence[str] = ()) -> None:
        """Drop the states of these shoppers, here and where states are shared."""
        people = [*(("user", name) for name in users), *(("session", name) for name in sessions)]
        with self._lock:
            for person in people:
                self._known.pop(person, None)
        if self._shared is not None and people:
            self._shared.forget(people)

    # -- who is in memory ------------------------------------------------------------------------------------------

    def _present(self, people: Sequence[Person]) -> dict[Person, Doings]:
        """The shoppers, read where they are not in memory."""
        if self._shared is None:
            return {person: self._held(person) for person in people}
        try:
            return self._shared_by_all(self._shared, people)
        except StateLost as lost:
            lose("state", f"shared states are not read ({lost}); the event store is")
            return {person: self._read(person) for person in people}

    def _held(self, person: Person) -> Doings:
        """From memory; else from the store, read once however many ask, and without holding the others up."""
        with self._lock:
            held = self._known.get(person)
            ours = held is None
            if held is None:
                held = self._entered(person)
            else:
                self._known.move_to_end(person)
        if not ours:
            if held.ready.is_set() or held.ready.wait(READ_SECONDS):
                return held.doings
            return self._read(person)
        try:
            steps = self._steps(person)
            with self._lock:  # events observed since it was entered are in it already
                held.doings.fill(steps, self._limit)
        except BaseException:
            with self._lock:
                if self._known.get(person) is held:
                    del self._known[person]
            raise
        held.ready.set()
        return held.doings

    def _entered(self, person: Person) -> _Held:
        held = self._known[person] = _Held()
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return held

    def _read(self, person: Person) -> Doings:
        """From the store, for this request alone."""
        doings = Doings()
        doings.fill(self._steps(person), self._limit)
        return doings

    def _steps(self, person: Person) -> Steps:
        if failpoints.ON:
            failpoints.reach("history.read")
        kind, name = person
        # A quarter more than is kept: what is stored twice under two ids is one moment.
        most = max(self._limit + self._limit // 4, ASKED, IMPRESSIONS)
        return self._recent(name if kind == "user" else "", name if kind == "session" else "", most)

    # -- states that several servers share -------------------------------------------------------------------------

    def _shared_by_all(self, shared: StateStore, people: Sequence[Person]) -> dict[Person, Doings]:
        """What is held here, with what others have taken in since."""
        with self._lock:
            versions = {person: held.doings.version if (held := self._known.get(person)) else "" for person in people}
        caught = shared.catch(versions)
        for person, found in caught.items():
            if found.missing:
                caught[person] = shared.keep(person, self._steps(person), found.version)
        with self._lock:
            return {person: self._caught(person, found) for person, found in caught.items()}

    def _caught(self, person: Person, found: Caught) -> Doings:
        held = self._known.get(person)
        if held is None:
            held = self._entered(person)
        else:
            self._known.move_to_end(person)
        held.ready.set()
        if found.whole:  # not added to what is held: who was forgotten elsewhere must be forgotten here
            held.doings = Doings()
        for steps in found.steps:
            held.doings.fill(steps, self._limit)
        held.doings.version = found.version
        return held.doings


def _person(event: Event) -> Person:
    return ("user", event.user) if event.user else ("session", event.session)


def _step(event: Event) -> tuple[float, int, str, str, float | None]:
    return (event.time.timestamp(), EVENT_CODES[event.type], event.item, event.query, event.value)


def _merged(own: History, guest: History) -> History:
    """Both lists in time order; on equal times the shopper's own come first."""
    places = np.asarray([bisect_right(own.times, time) for time in guest.times], np.intp)
    both = History(
        np.insert(own.items, places, guest.items),
        np.insert(own.times, places, guest.times),
        np.insert(own.actions, places, guest.actions),
        np.union1d(own.disliked, guest.disliked).astype(np.int32),
        searches=tuple(sorted({*own.searches, *guest.searches})),
    )
    if not (len(own.shown) or len(guest.shown)):
        return both
    times = np.concatenate([own.shown_times, guest.shown_times])
    order = np.argsort(times, kind="stable")
    shown, times = np.concatenate([own.shown, guest.shown])[order], times[order]
    left = unanswered(shown, times, both)
    return replace(both, shown=shown[left], shown_times=times[left])
