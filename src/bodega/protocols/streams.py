"""The verbs of what is on its way: streams of a broker, and news between the processes of one shop.

Not for: what is kept once it has arrived (`stores`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Told:
    """One record of `News`."""

    kind: int
    """See `bodega.engine.hearing`."""
    body: bytes


class News(Protocol):
    """What other processes of the same shop did a moment ago. Everything told is durable before it is told.

    Contract: what one process told before an answer is seen by every other one before its next answer; a record is
    never read twice, in part, or by who told it; whoever cannot be given everything any more is told so.
    """

    def tell(self, kind: int, body: bytes) -> None:
        """When this returns, every other process finds it `waiting`."""
        ...

    def waiting(self) -> bool:
        """Is there anything that was not read yet? Asked before every answer: some tenths of a microsecond."""
        ...

    def read(self) -> Sequence[Told] | None:
        """What others told since the last call, oldest first; None where some of it is lost."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, order=True)
class Offset:
    """How far a stream is stored: everything in this partition before (`position`, `minor`) is."""

    stream: str
    """Which stream, for which group: `kafka:clicks?group=bodega`."""
    partition: int
    """0 where the stream has none (Redis)."""
    position: int
    """Kafka: the offset to read next. Redis: the milliseconds of the id to read next."""
    minor: int = 0
    """Redis: the number of that id inside its millisecond."""
    anew: bool = False
    """Written even where it lies before what is stored: the stream was made anew and counts from its beginning."""


@dataclass(frozen=True, slots=True)
class Record:
    """One message of a stream, as it came."""

    value: bytes
    place: str
    """Where it lies: `3@1047` (Kafka: partition, offset), `1795344824503-0` (Redis)."""
    time: float
    """When the broker took it, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What one look at a stream brought."""

    records: Sequence[Record]
    offsets: Sequence[Offset]
    """How far the stream is stored once these records are."""


class Stream(Protocol):
    """A log of events that others write, read by one member of a group.

    Contract: every record is polled by some member of the group at least once, whatever member dies when; a record that
    was polled and not committed is polled again, by this or another member; a member starts where the *store* says it
    is (`EventStore.offsets`), not where the broker believes. Calls come from one thread.
    """

    name: str
    """What the store knows it by: `kafka:clicks?group=bodega`."""

    def poll(self, limit: int, seconds: float) -> Polled:
        """At most `limit` new records; waits up to `seconds` for the first. Raises StreamFailed."""
        ...

    def commit(self, polled: Polled) -> None:
        """These are stored: tell the broker. Losing this call loses nothing."""
        ...

    def lag(self) -> dict[int, int]:
        """{partition: records that are not stored yet}, of the partitions this member reads. Raises StreamFailed."""
        ...

    def replay(self, start: str, *, limit: int = 1_000) -> Iterator[Sequence[Record]]:
        """Records from `start` to where the stream ends now, outside of the group: nobody's place changes.

        `start`: `earliest`, a time (ISO 8601), or a place as dead letters name it. Raises BadRequest, StreamFailed.
        """
        ...

    def source(self, record: Record) -> str:
        """What a dead letter says of where a record lies."""
        ...

    def close(self) -> None: ...


class Publisher(Protocol):
    """Writes into a stream."""

    def publish(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """(key, value) each; on the broker when this returns. One key keeps its order. Raises StreamFailed."""
        ...

    def close(self) -> None: ...
