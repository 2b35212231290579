"""The verbs of what keeps the catalog and what happened, durably and once.

They keep bytes and know no model. Not for: what people decide (`desks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bodega.protocols.states import Steps
from bodega.protocols.streams import Offset
from bodega.schema import DeadLetter, Event, Item
from bodega.schema.answers import Answered
from bodega.schema.people import Word


@dataclass(frozen=True, slots=True)
class Written:
    """What a store did with a batch. Everything counted here is durable: it survives kill -9 and power loss."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    """Delivered before with the same content: counted once."""
    conflicts: tuple[str, ...] = ()
    """Ids that were delivered before with *another* content: refused, not stored."""
    repeated: tuple[str, ...] = field(default=(), compare=False)
    """Ids of events that were stored before this batch with the same content (`unchanged`): counters hold them."""
    withheld: int = 0
    """Events that may not be kept: their shopper did not agree, or was forgotten since."""


class CatalogStore(Protocol):
    """What is for sale, durably. Order of first arrival is kept: it becomes the item index."""

    def upsert(self, items: Sequence[Item]) -> Written: ...

    def delete(self, ids: Sequence[str]) -> int:
        """Remove; returns how many were there."""
        ...

    def get(self, ids: Sequence[str]) -> dict[str, Item]: ...

    def scan(self) -> Iterator[Item]:
        """All items in order of first arrival, streamed."""
        ...

    def count(self) -> int: ...

    def changes(self, since: int) -> tuple[int, list[tuple[str, Item | None]]]:
        """(new cursor, [(id, item or None when deleted)]) after the cursor `since` (0 = from the start)."""
        ...

    def cursor(self) -> int:
        """The cursor of the newest change."""
        ...


@dataclass(frozen=True, slots=True)
class EventRows:
    """A chunk of stored events as plain columns (text ids), in (time, id) order. All lists have the same length."""

    time: NDArray[np.float64]
    type: NDArray[np.int8]
    user: list[str]
    session: list[str]
    item: list[str]
    query: list[str]
    quantity: NDArray[np.float32]
    value: NDArray[np.float32]
    position: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Along:
    """What a store keeps in the same transaction as a batch of events: all of it, or nothing of either."""

    offsets: Sequence[Offset] = ()
    letters: Sequence[DeadLetter] = ()
    conflict: Callable[[Event], DeadLetter] | None = None
    """Makes the dead letter of an event whose id was delivered before with another content."""
    said: Sequence[tuple[int, Sequence[Word]]] = ()
    """(events of the batch before it, what was said about consent then): kept like `PeopleStore.say` does."""


class EventStore(Protocol):
    """What happened, durably and once. When `append` returns, the batch is on disk (one transaction)."""

    def append(self, events: Sequence[Event], *, along: Along | None = None) -> Written: ...

    def scan(self, *, chunk: int = 100_000, since: int | None = None, searched: bool = False) -> Iterator[EventRows]:
        """All events in (time, id) order, streamed in chunks; only those from `since` on (microseconds since 1970),
        and with `searched` only those that name a query."""
        ...

    def recent(self, *, user: str, session: str, limit: int) -> list[Event]:
        """The newest `limit` events of this user or this session, oldest first."""
        ...

    def submit(self, events: Sequence[Event], *, along: Along | None = None) -> Future[Written]:
        """Like `append`, without waiting: many callers share one transaction (group commit)."""
        ...

    def steps(self, *, user: str, session: str, limit: int) -> Steps:
        """What this user did, or (without a user) this session as a guest: the newest `limit` of each of three kinds:
        what tells of interest, what was shown, what was searched for."""
        ...

    def since(self, time: float, *, chunk: int = 100_000) -> Iterator[EventRows]:
        """The events later than `time` (seconds since 1970), in (time, id) order, streamed in chunks."""
        ...

    def offsets(self, stream: str) -> dict[int, Offset]:
        """{partition: how far it is stored}. A place only moves on: an older one that comes late changes nothing."""
        ...

    def count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class EventSummary:
    """The shop in numbers, over the last `days` before the newest event."""

    events: int
    days: int
    per_day: tuple[tuple[str, str, int], ...]
    """(day, event type, events), oldest first."""
    top_items: tuple[tuple[str, int, int], ...]
    """(item id, views and clicks, purchases), most purchased first."""
    funnel: dict[str, int]
    """Visits that saw, put into the basket, bought: {"seen": ..., "cart": ..., "purchase": ...}."""
    top_queries: tuple[tuple[str, int], ...]
    """(query, visits that searched for it)."""
    unanswered: tuple[tuple[str, int], ...]
    """Queries after which no visit clicked, carted or bought anything found by them: what the shop does not have, or
    does not find. (Event feeds do not say how many results a search had.)"""


class Summarises(Protocol):
    """Questions over all events at once."""

    def summary(self, *, days: int = 30) -> EventSummary:
        """The last `days` days before the newest event."""
        ...


class DeadLetterBox(Protocol):
    """Rows that could not be used, with the reason, for mending."""

    def put(self, letters: Sequence[DeadLetter]) -> None: ...

    def remove(self, letters: Sequence[DeadLetter]) -> int:
        """Take letters out, once what they hold is mended; returns how many were there."""
        ...

    def list(self, *, kind: str = "", reason: str = "", limit: int = 50) -> list[DeadLetter]: ...

    def counts(self) -> dict[tuple[str, str], int]:
        """{(kind, reason): how many}."""
        ...


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did; printed by the command line, returned by `shop.catalog.add` and `shop.events.add`."""

    source: str
    kind: str
    """`items`, `events` or `reviews`."""
    format: str
    """What the file was taken for: `csv`, `jsonl`, `parquet`, `shopify`, ..."""
    rows: int
    added: int
    changed: int
    unchanged: int
    dead: int
    """Rows in the dead letter box."""
    reasons: dict[str, int] = field(default_factory=dict)
    """{reason code: rows}."""
    mapping: dict[str, str] = field(default_factory=dict)
    """{field of ours: column of theirs}, as inferred or told."""
    notes: tuple[str, ...] = ()
    """Cleaning in words: "312 prices in cents turned into units", "41 items without a category"."""
    seconds: float = 0.0


Rows = Iterable[dict[str, object]]
"""Raw rows as a feed gives them: column name -> value as read."""


class AnswerStore(Protocol):
    """What was answered, durably: one line a page, each once.

    Contract: a page that is put twice is kept as it was first; forgetting removes every line of a person; what is older
    than the settings keep is removed by `prune`. Losing the newest second in a crash is allowed: it is a log.
    """

    def put(self, answers: Sequence[Answered]) -> None:
        """On disk when this returns. Raises StoreError."""
        ...

    def scan(self, since: float = 0.0, until: float | None = None) -> Iterator[Answered]:
        """All lines in order of time, streamed."""
        ...

    def find(self, request_id: str) -> Answered | None: ...

    def prune(self, before: float) -> int:
        """Remove what is older (seconds); how many lines that were."""
        ...

    def forget(self, users: Sequence[str] = (), sessions: Sequence[str] = ()) -> int:
        """Remove everything that was answered to these people; how many lines that were."""
        ...
