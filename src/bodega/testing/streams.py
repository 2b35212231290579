"""A broker in memory: partitions, groups, redelivery. For tests of consumers, and of streams of your own.

It keeps the promises of `protocols.Stream` and adds what real brokers do to people: `redeliver` sends everything again,
`trim` forgets the beginning. One reader at a time; for rebalancing use a real broker (`testing.servers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from bodega.protocols import Offset, Polled, Record

Row = tuple[bytes, float]


class MemoryBroker:
    """A topic. Records go to the partition of their key."""

    def __init__(self, partitions: int = 3, name: str = "memory:events?group=test") -> None:
        self.name = name
        self.rows: list[list[Row]] = [[] for _ in range(partitions)]
        self.committed: dict[int, int] = {}
        """What members told the broker; a correct consumer never starts from it."""

    def publish(self, rows: Sequence[tuple[str, bytes]], *, at: float = 1_795_344_000.0) -> None:
        """(key, value) each, taken in at the moment `at`."""
        for key, value in rows:
            self.rows[sum(key.encode()) % len(self.rows)].append((value, at))

    def close(self) -> None:
        """Nothing to close."""

    def redeliver(self) -> None:
        """Everything once more, at the end of each partition."""
        for rows in self.rows:
            rows.extend(list(rows))

    def stream(self, stored: Callable[[str], Mapping[int, Offset]] | None = None) -> MemoryStream:
        """A member; with `stored` it starts where the store is, without it where the broker believes (wrong)."""
        starts = (
            {number: offset.position for number, offset in stored(self.name).items()}
            if stored
            else dict(self.committed)
        )
        return MemoryStream(self, starts)


class MemoryStream:
    """Implements `protocols.Stream`."""

    def __init__(self, broker: MemoryBroker, starts: Mapping[int, int]) -> None:
        self.name = broker.name
        self._broker = broker
        self._at = [starts.get(number, 0) for number in range(len(broker.rows))]

    def poll(self, limit: int, seconds: float) -> Polled:
        del seconds
        records: list[Record] = []
        offsets: list[Offset] = []
        for number, rows in enumerate(self._broker.rows):
            first = self._at[number]
            found = rows[first : first + limit - len(records)]
            if found:
                records += [Record(row[0], f"{number}@{first + n}", row[1]) for n, row in enumerate(found)]
                self._at[number] = first + len(found)
                offsets.append(Offset(self.name, number, self._at[number]))
        return Polled(records, offsets)

    def commit(self, polled: Polled) -> None:
        self._broker.committed.update({offset.partition: offset.position for offset in polled.offsets})

    def lag(self) -> dict[int, int]:
        return {number: len(rows) - self._at[number] for number, rows in enumerate(self._broker.rows)}

    def replay(self, start: str, *, limit: int = 1_000) -> Iterator[Sequence[Record]]:
        """Everything from the beginning, whatever the start."""
        del start
        for number, rows in enumerate(self._broker.rows):
            for first in range(0, len(rows), limit):
                part = rows[first : first + limit]
                yield [Record(row[0], f"{number}@{first + n}", row[1]) for n, row in enumerate(part)]

    def source(self, record: Record) -> str:
        return f"{self.name.partition('?')[0]}/{record.place}"

    def close(self) -> None:
        """Nothing to close."""
