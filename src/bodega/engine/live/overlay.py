"""Everything counted since one snapshot: events come in, requests read, a restart counts the same again.

`Numbers` gives every item one number: the row of the snapshot's table, or for what came later (or has not come yet:
events may run ahead of the catalog) the next free one. `Overlay` sorts events to the shoppers' tails;
`View` reads it for one shelf.
Cost: see the package. Not for: events before the snapshot's newest one; they are in it, or wait for the next learn.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from bodega.engine.live.shoppers import Counts, Seen, Shoppers
from bodega.engine.live.votes import Votes
from bodega.engine.live.wanted import Wanted
from bodega.engine.live.words import Words
from bodega.protocols import EventRows, Source
from bodega.retrieval.asked import Asked
from bodega.retrieval.popular import Popular
from bodega.retrieval.transition import BOUGHT, Transition, TransitionOptions
from bodega.schema import EVENT_CODES, Event, ItemTable
from bodega.schema.said import Said
from bodega.settings import Settings

AT_ONCE = 5_000
"""Events that wait for a look at most, .1 s of work."""
NEWER = 20_000
"""Items that the snapshot does not know and that are counted; more wait for the next learn."""

STRENGTH = {"view": 0.2, "click": 0.3, "cart": 0.6, "purchase": 1.0, "rating": 1.0}
LIKED = 3.0

_STRENGTH = {EVENT_CODES[name]: value for name, value in STRENGTH.items()}
_RATING = EVENT_CODES["rating"]
_PAID = frozenset(EVENT_CODES[name] for name in ("purchase", "return"))
_SHOWN = EVENT_CODES["impression"]
_UNCOUNTED = _PAID | {_SHOWN}
_BASKET = frozenset(EVENT_CODES[name] for name in BOUGHT)


class Numbers:
    """One number an item: its row in the snapshot, or a later one."""

    def __init__(self, table: ItemTable) -> None:
        self._rows: Mapping[str, int] = table.index
        self.base = len(table)
        self.newer: dict[str, int] = {}

    def __call__(self, name: str) -> int:
        """The number of an item, -1 where there are too many new ones."""
        row = self._rows.get(name)
        if row is not None:
            return row
        number = self.newer.get(name)
        if number is None:
            if len(self.newer) >= NEWER:
                return -1
            number = self.newer[name] = self.base + len(self.newer)
        return number


Row = tuple[float, int, str, str, str, str, float]
"""(time, event code, user, session, item, query, stars)."""


class Overlay:
    """The counts since one snapshot. Safe to write from one thread and read from others.

    `until`: seconds since 1970 of the snapshot's newest event, None where it holds none. Nothing is allocated until
    something happens but two numbers an item.
    """

    def __init__(
        self, sources: Mapping[str, Source], table: ItemTable, until: float | None, settings: Settings
    ) -> None:
        self._made_of = (sources, table, until, settings)
        self.lock = threading.RLock()
        self.numbers = Numbers(table)
        self.until = -math.inf if until is None else until
        self.since = None if until is None else int((until - 3_600 * settings.updates.hours_before) * 1e6)
        """Stored events from here on are to be replayed (microseconds since 1970; None: all)."""
        self.limit = settings.updates.events
        popular, transition, asked = (sources.get(name) for name in ("popular", "transition", "asked"))
        pairs = settings.updates.pairs
        reference = time.time() if until is None else until
        self.wanted = Wanted(popular, NEWER, reference) if isinstance(popular, Popular) else None
        votes = _votes(transition, pairs) if isinstance(transition, Transition) else {}
        self.follows, self.together = votes.get("follows"), votes.get("together")
        self.words = Words(asked if isinstance(asked, Asked) else None, settings.understand.people)
        everything = frozenset(_STRENGTH)
        bought = _BASKET if self.together is None or self.together.sums.bought else everything
        counts = Counts(self.follows, self.together, self.wanted, self.words, bought, _PAID)
        self.shoppers = Shoppers(counts, counted_after=self.until, per_minute=settings.ingest.bot_events_per_minute)
        self.counted = 0
        """Events of interest taken in since the snapshot."""
        self.newest = self.until
        """Seconds since 1970 of the newest event taken in."""
        self._heard: list[Event] = []
        self.kinds: Counter[int] = Counter()
        """{event code: events since the snapshot}"""

    def anew(self) -> Overlay:
        """The same with nothing counted yet."""
        return Overlay(*self._made_of)

    # -- writing --------------------------------------------------------------------------------------------------

    def observe(self, events: Iterable[Event]) -> None:
        """Take in events that are durable, in any order, each at least once."""
        self._take(
            (
                event.time.timestamp(),
                EVENT_CODES[event.type],
                event.user,
                event.session,
                event.item,
                event.query,
                float("nan") if event.value is None else event.value,
            )
            for event in events
        )

    def heard(self, events: Sequence[Event]) -> None:
        """`observe`, at the latest before anybody looks: what comes in bursts costs less when taken in at once."""
        with self.lock:
            self._heard.extend(events)
            if len(self._heard) >= AT_ONCE:
                self.settle()

    def settle(self) -> None:
        """Take in what was heard; called before every look."""
        if self._heard:
            with self.lock:
                events, self._heard = self._heard, []
                self.observe(events)

    def replay(self, chunks: Iterable[EventRows]) -> None:
        """Take in stored events: those of the hours before the snapshot's end, and everything since."""
        for chunk in chunks:
            self._take(_rows(chunk))
            if self.full:
                return

    @property
    def full(self) -> bool:
        """Have so many events come in since the snapshot that no more are counted?"""
        return self.counted >= self.limit

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should know: bounds that were reached."""
        return tuple(each.text for each in self.said)

    @property
    def said(self) -> tuple[Said, ...]:
        """The same with their codes."""
        self.settle()
        if self.full:
            text = (
                f"updates: {self.counted:,} events since the snapshot are counted, later ones wait; next: bodega learn"
            )
            return (Said("updates.full", text, {"count": self.counted}),)
        if any(votes is not None and votes.full for votes in (self.follows, self.together)):
            return (Said("updates.pairs", "updates: no more new pairs of items are counted; next: bodega learn"),)
        return ()

    def forget(self, user: str = "", sessions: Sequence[str] = ()) -> None:
        """Take back what these shoppers added, as far as it is still known who added it."""
        self.settle()
        with self.lock:
            for person in [user] * bool(user) + [f"\0{session}" for session in sessions]:
                self.shoppers.forget(person)
                self.words.forget(person)

    def _take(self, rows: Iterable[Row]) -> None:
        with self.lock:
            people: dict[str, list[Seen]] = {}
            for row in rows:
                if self.full:
                    break
                self._sort(row, people)
            for person, seen in people.items():
                self.shoppers.take(person, seen)

    def _sort(self, row: Row, people: dict[str, list[Seen]]) -> None:
        """Put one event where it belongs."""
        moment, code, user, session, item, query, stars = row
        person = user or f"\0{session}"
        since = moment > self.until
        if since:
            self.newest = max(self.newest, moment)
            self.kinds[code] += 1
            if code not in _UNCOUNTED:
                self.shoppers.act(person, moment)
            if query:
                self.words.ask(query, person)
        if not item or code == _SHOWN:
            return
        strength = _STRENGTH.get(code, 0.0)
        if not strength or (code == _RATING and not stars >= LIKED):
            return
        number = self.numbers(item)
        if number >= 0:
            self.counted += since
            people.setdefault(person, []).append(Seen(moment, session, number, code, self.words.key(query), strength))

    # -- reading --------------------------------------------------------------------------------------------------

    def suggested(self, beginning: str, k: int) -> list[tuple[str, int]]:
        """Queries that enough different people asked since the snapshot, and that led somewhere: see `Words`."""
        self.settle()
        with self.lock:
            return list(islice(self.words.popular(beginning), k))


def _votes(transition: Transition, pairs: int) -> dict[str, Votes]:
    """What can be counted on from this snapshot."""
    options = transition.options
    damped = {
        "follows": options,
        "together": TransitionOptions(within=options.within, row=options.together_row, column=options.together_column),
    }
    return {name: Votes(sums, damped[name], pairs=pairs) for name, sums in transition.votes.items() if name in damped}


def _rows(chunk: EventRows) -> Iterator[Row]:
    times, codes, stars = chunk.time.tolist(), chunk.type.tolist(), chunk.value.tolist()
    return zip(
        times,
        codes,
        chunk.user,
        chunk.session,
        chunk.item,
        chunk.query,
        stars,
        strict=True,
    )
