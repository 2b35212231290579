"""How does one worker process know what another one took in? It is told before the acknowledgement, and listens first.

    worker A   event durable -> A's states -> told -> acknowledged
    worker B   request -> anything told? -> B's states -> answer

So a shopper whose click went to A finds it in the next list of B: whoever was acknowledged is heard. Hearing the same
event twice changes nothing (`Shop.observe`). Whoever was told too much to hear all of it forgets the shoppers it holds
and reads them from the store again when they come.
Cost: .2 us a request while nothing is told; 2 us an event heard. Not for: events that nobody acknowledged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import Protocol

import msgspec

from bodega.protocols import News
from bodega.schema import Event

PART = 500
"""Events of one record: about 100 kB."""


class Kind(IntEnum):
    """What may be told."""

    EVENTS = 1
    """These events are durable."""
    RESTOCK = 2
    """The catalog or the rules changed."""
    FORGET = 3
    """What is known of shoppers may be stale: read it again (events were imported, people were erased)."""
    STEPS = 4
    """The ranking took small steps (`correcting`)."""


class Listens(Protocol):
    """What is done about news; `Shop` fits."""

    def observe(self, events: Sequence[Event]) -> None: ...
    def restock(self) -> None: ...
    def forget(self) -> None: ...
    def stepped(self, told: bytes) -> None: ...


class Hearing:
    """The news of the shop's other processes, told and heard."""

    def __init__(self, news: News, shop: Listens) -> None:
        self._news = news
        self._shop = shop
        self._lock = threading.RLock()  # states are complete before anybody answers from them
        self._decode: Callable[[bytes], list[Event]] = msgspec.msgpack.Decoder(list[Event]).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self.lost = 0
        """How often more was told than could be heard."""

    def catch_up(self) -> None:
        """Take in what was told since the last time; called before every answer."""
        if not self._news.waiting():
            return
        with self._lock:
            heard = self._news.read()
            if heard is None:
                self.lost += 1
                self._shop.forget()
                self._shop.restock()
                return
            events = [event for told in heard if told.kind == Kind.EVENTS for event in self._decode(told.body)]
            kinds = {told.kind for told in heard}
            if Kind.FORGET in kinds:
                self._shop.forget()
            if events:
                self._shop.observe(events)
            if Kind.RESTOCK in kinds:
                self._shop.restock()
            for told in heard:
                if told.kind == Kind.STEPS:
                    self._shop.stepped(told.body)

    def tell_events(self, events: Sequence[Event]) -> None:
        """These are durable and known here."""
        for part in _parts(events):
            self._news.tell(Kind.EVENTS, self._encode(part))

    def tell(self, kind: Kind, body: bytes = b"") -> None:
        """Something else changed."""
        self._news.tell(kind, body)

    def close(self) -> None:
        self._news.close()


def _parts(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    for start in range(0, len(events), PART):
        yield events[start : start + PART]
