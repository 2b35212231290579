"""Who came since the snapshot, and what do their newest steps add to the counts? One tail a shopper.

A tail is a shopper's newest events of interest in order of time, with those of the last hours before the snapshot,
which add nothing themselves but lead to what comes after. What an event adds to the counts follows from it and what
lies before it, so a late event is simple: what the events from its moment on had added is taken back, it goes where its
time says, and what they add now is added. Events in order (nearly all) only add what they bring.
Shoppers that are too fast, and repeats within a second, are left out as `events.bots` leaves them out of a fit. The
same item, type, visit, words and moment twice is one event: told twice is counted once.
Cost: 10 to 20 us an event; at most `TAIL` events a shopper and `SHOPPERS` shoppers are kept, then the least recent are
let go (what they added stays). Not for: the list that this shopper sees next (`engine.online`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from bodega.engine.live.votes import ONE, Votes
from bodega.engine.live.wanted import Wanted
from bodega.engine.live.words import Key, Words
from bodega.events.bots import ECHO_SECONDS, WINDOW_SECONDS
from bodega.events.log import SESSION_GAP

TAIL = 160
"""Newest events of interest of a shopper that are kept; more than a bot's limit in a minute."""
SHOPPERS = 20_000
LONGEST = 200
"""A visit with more different items than this votes for no further pair."""


class Seen(NamedTuple):
    """One event of interest, ordered as `retrieval._index.Steps` orders them."""

    time: float
    session: str
    item: int
    code: int
    key: Key
    strength: float


@dataclass(slots=True)
class Tail:
    """One shopper."""

    seen: list[Seen] = field(default_factory=list)
    real: list[bool] = field(default_factory=list)
    """Which of them are no echo."""
    known: set[Seen] = field(default_factory=set)
    acts: list[float] = field(default_factory=list)
    """Times of what a bot would do too fast, sorted."""
    bot: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """Where tails are counted; what the snapshot cannot be counted on from is None."""

    follows: Votes | None
    together: Votes | None
    wanted: Wanted | None
    words: Words
    bought: frozenset[int]
    """Codes of the events that mean "put into one basket"."""
    paid: frozenset[int]
    """Codes of events that are never an echo."""


class Shoppers:
    """The tails, and what they add."""

    def __init__(self, counts: Counts, *, counted_after: float, per_minute: int) -> None:
        self.counts = counts
        self.counted_after = counted_after
        """Seconds since 1970: the snapshot's newest event. What is not later is in it, or waits for the next learn."""
        self.per_minute = per_minute
        self._tails: OrderedDict[str, Tail] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tails)

    def take(self, person: str, batch: Sequence[Seen]) -> None:
        """New events of one shopper, in any order."""
        tail = self._tails.get(person)
        if tail is None:
            tail = self._tails[person] = Tail()
            if len(self._tails) > SHOPPERS:
                self._tails.popitem(last=False)
        else:
            self._tails.move_to_end(person)
        fresh = sorted({event for event in batch if event not in tail.known})
        if not fresh or tail.bot:
            return
        if not tail.seen or fresh[0].time > tail.seen[-1].time:
            first = len(tail.seen)
            tail.seen += fresh
            tail.real += _without_echoes(tail.seen, first, self.counts.paid)
            self._count(tail, first, 1)
        else:
            first = bisect_left(tail.seen, fresh[0].time, key=attrgetter("time"))
            self._count(tail, first, -1)
            for event in fresh:
                insort(tail.seen, event)
            tail.real[first:] = _without_echoes(tail.seen, first, self.counts.paid)
            self._count(tail, first, 1)
        tail.known.update(fresh)
        if len(tail.seen) > TAIL:
            tail.known.difference_update(tail.seen[:-TAIL])
            del tail.seen[:-TAIL], tail.real[:-TAIL]

    def act(self, person: str, time: float) -> None:
        """Somebody did something that takes a person a moment: too much of it in a minute is a bot's."""
        tail = self._tails.get(person)
        if tail is None:
            tail = self._tails[person] = Tail()
        acts = tail.acts
        if not acts or time > acts[-1]:
            acts.append(time)
        else:
            insort(acts, time)
        if len(acts) > 2 * self.per_minute:
            del acts[: self.per_minute // 2]
        low = bisect_right(acts, time - WINDOW_SECONDS)
        high = bisect_left(acts, time + WINDOW_SECONDS)
        if high - low > self.per_minute and not tail.bot and _crowded(acts[low:high], self.per_minute):
            self._out(tail)

    def forget(self, person: str) -> None:
        """Take back all that a shopper's tail added."""
        tail = self._tails.pop(person, None)
        if tail is not None and not tail.bot:
            self._count(tail, 0, -1)

    def _out(self, tail: Tail) -> None:
        """A bot adds nothing."""
        self._count(tail, 0, -1)
        tail.bot = True
        tail.seen, tail.real, tail.known = [], [], set()

    def _count(self, tail: Tail, first: int, sign: int) -> None:
        """Add (or take back) what the events from `first` on bring, after all before them."""
        counts, after = self.counts, self.counted_after
        fresh = any(event.time > after for event in tail.seen[first:])
        if not fresh:
            return
        for event, real in zip(tail.seen[first:], tail.real[first:], strict=True):
            if not real or event.time <= after:
                continue
            if counts.wanted is not None:
                counts.wanted.add(event.item, event.strength, event.time, sign)
            if event.key:
                counts.words.add(event.key, event.item, sign * round(event.strength * ONE))
        if counts.follows is not None:
            _steps(counts.follows, tail, (first, after, sign))
        if counts.together is not None:
            _visits(counts.together, tail, (first, after, sign), counts.bought)


def _crowded(times: Sequence[float], per_minute: int) -> bool:
    return any(times[at + per_minute] - times[at] < WINDOW_SECONDS for at in range(len(times) - per_minute))


def _without_echoes(seen: Sequence[Seen], first: int, paid: frozenset[int]) -> list[bool]:
    """Which events from `first` on are no repeat of the same within a second."""
    out: list[bool] = []
    for at in range(first, len(seen)):
        event, real = seen[at], True
        if event.code not in paid:
            for back in range(at - 1, -1, -1):
                before = seen[back]
                if event.time - before.time >= ECHO_SECONDS:
                    break
                if before.item == event.item and before.code == event.code and before.key == event.key:
                    real = False
                    break
        out.append(real)
    return out


Window = tuple[int, float, int]
"""(first new event, what is counted lies after this moment, sign)."""


def _steps(votes: Votes, tail: Tail, window: Window) -> None:
    """What the events from the first new one on lead to, and come from: see `transition.related`."""
    first, after, sign = window
    reach = len(votes.forward) - 1
    steps, new = _steps_of(tail, first, reach)
    for at in range(new, len(steps)):
        time, items = steps[at]
        if time <= after:
            continue
        if len(items) > 1:
            within = sign * votes.forward[0]
            for source in items:
                for target in items:
                    if source != target:
                        votes.add(source, target, within)
        for gap in range(1, min(reach, at) + 1):
            ahead, back = sign * votes.forward[gap], sign * votes.backward[gap]
            for source in steps[at - gap][1]:
                for target in items:
                    votes.add(source, target, ahead)
                    votes.add(target, source, back)


def _steps_of(tail: Tail, first: int, reach: int) -> tuple[list[tuple[float, list[int]]], int]:
    """(steps as (time, items), of which so many lie before the first new event): from `reach` steps before it on."""
    seen, real = tail.seen, tail.real
    low = first
    earlier: set[tuple[float, str]] = set()
    later: Seen | None = None
    while low > 0 and len(earlier) <= reach:  # the earliest of them may be cut: it is one more than is needed
        low -= 1
        if not real[low]:
            continue
        event = seen[low]
        if later is not None and (later.session, later.item) != (event.session, event.item):
            earlier.add((later.time, later.session))
        later = event
    steps: list[tuple[float, list[int]]] = []
    new, before, key = 0, ("", -1), (-1.0, "")
    for at in range(low, len(seen)):
        event = seen[at]
        if at == first:
            new = len(steps)
        if not real[at]:
            continue
        if (event.session, event.item) != before:
            if (event.time, event.session) != key:
                key = (event.time, event.session)
                steps.append((event.time, [event.item]))
            elif event.item not in steps[-1][1]:
                steps[-1][1].append(event.item)
        before = (event.session, event.item)
    return steps, new


def _visits(votes: Votes, tail: Tail, window: Window, bought: frozenset[int]) -> None:
    """What is bought within one visit, in pairs."""
    first, after, sign = window
    new = {event.session for event in tail.seen[first:] if event.code in bought}
    if not new:
        return
    within = sign * votes.forward[0]
    visits: dict[str, set[int]] = {}
    cut, last = 0, -SESSION_GAP
    for at, event in enumerate(tail.seen):
        if not event.session:
            cut += event.time - last > SESSION_GAP
            last = event.time
        if event.session not in new or event.code not in bought or not tail.real[at]:
            continue
        held = visits.setdefault(event.session or f"\0{cut}", set())
        if event.item in held or len(held) >= LONGEST:
            continue
        if at >= first and event.time > after:
            for other in held:
                votes.add(other, event.item, within)
                votes.add(event.item, other, within)
        held.add(event.item)
