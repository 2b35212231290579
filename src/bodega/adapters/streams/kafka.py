"""How is a topic of the Kafka protocol read? As one member of a consumer group, starting where our own store says.

At every assignment the store is asked how far each partition is, and reading starts there: the broker's committed
offsets are written after ours (for its own tools) and never read. A partition the store has never seen starts at its
beginning. Where the store is further than the topic ends, the topic was made anew: reading starts at its beginning, and
the first offset that is stored is marked so (`Offset.anew`). Where the broker has deleted records that were never read,
`lost` counts them and the log says so.
Cost: librdkafka's own thread; 1,000 records a poll. Not for: transactions of producers beyond `read_committed`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Any

from bodega.adapters.streams._told import translated
from bodega.adapters.streams.address import Address
from bodega.errors import BadRequest, MissingExtra, StreamFailed
from bodega.protocols import Offset, Polled, Record

try:
    import confluent_kafka as kafka
except ImportError as error:  # pragma: no cover - the development environment has it
    raise MissingExtra.named("kafka", needed_for="a stream of the Kafka protocol") from error

LOGGER = logging.getLogger("bodega.streams")
ASKED_SECONDS = 10.0
"""How long a question to the broker (offsets, metadata) may take."""
SILENT_SECONDS = 60.0
"""How long a broker may be away before `poll` says so; librdkafka connects again by itself meanwhile."""


class KafkaStream:
    """Implements `protocols.Stream`."""

    def __init__(self, address: Address, stored: Callable[[str], Mapping[int, Offset]]) -> None:
        self.name = address.name
        self.lost = 0
        """Records that the broker deleted before they were read."""
        self._address = address
        self._stored = stored
        self._anew: set[int] = set()
        self._consumer = self._opened({"group.id": address.group, "enable.auto.commit": "false"})
        self._consumer.subscribe([address.topic], on_assign=self._assigned, on_revoke=self._revoked)

    def poll(self, limit: int, seconds: float) -> Polled:
        """At most `limit` new records of the partitions that are ours. Raises StreamFailed, StoreError."""
        messages = self._read(limit, seconds)
        reached: dict[int, int] = {}
        for message in messages:
            reached[message.partition()] = max(reached.get(message.partition(), 0), message.offset() + 1)
        offsets = [
            Offset(self.name, number, position, anew=number in self._anew)
            for number, position in sorted(reached.items())
        ]
        return Polled([_record(message) for message in messages], offsets)

    def commit(self, polled: Polled) -> None:
        """Tell the broker, without waiting; a refusal (the group has moved on) changes nothing for us."""
        self._anew.difference_update(offset.partition for offset in polled.offsets)
        places = [kafka.TopicPartition(self._address.topic, each.partition, each.position) for each in polled.offsets]
        if places:
            with suppress(kafka.KafkaException):
                self._consumer.commit(offsets=places, asynchronous=True)

    def lag(self) -> dict[int, int]:
        """Records between the store and the end of each partition that is ours."""
        with self._told("lag"):
            stored = self._stored(self.name)
            out: dict[int, int] = {}
            for place in self._consumer.assignment():
                low, high = self._ends(self._consumer, place.partition)
                done = stored[place.partition].position if place.partition in stored else low
                out[place.partition] = max(high - max(done, low), 0)
            return out

    def replay(self, start: str, *, limit: int = 1_000) -> Iterator[Sequence[Record]]:
        """Records from `start` to today's end, by a reader of its own that belongs to no working group.

        Where a partition ends is what its first fetch says: not every broker tells it truly when asked (`ListOffsets`).
        """
        more = {"group.id": f"{self._address.group}.replay", "enable.auto.commit": "false"}
        reader = self._opened({**more, "enable.partition.eof": "true", "auto.offset.reset": "latest"})
        try:
            with self._told("replay"):
                first = self._starts(reader, start)
                reader.assign([self._at(number, place) for number, place in sorted(first.items())])
                left, ends, heard = set(first), dict[int, int](), time.monotonic()
                while left:
                    messages = reader.consume(limit, 1.0)
                    heard = time.monotonic() if messages else heard
                    if time.monotonic() - heard > SILENT_SECONDS:
                        raise self._failed("replay", f"no record for {SILENT_SECONDS:.0f} s before the end was reached")
                    records = [each for each in messages if self._usable(each)]
                    told = [each for each in messages if each.error() is None or _is_end(each)]
                    for number in {each.partition() for each in told} - ends.keys():
                        ends[number] = reader.get_watermark_offsets(self._at(number), cached=True)[1]
                    inside = [each for each in records if each.offset() < ends[each.partition()]]
                    if inside:
                        yield [_record(each) for each in inside]
                    left -= {e.partition() for e in told if _is_end(e) or e.offset() + 1 >= ends[e.partition()]}
        finally:
            reader.close()

    def source(self, record: Record) -> str:
        return self._address.source(record.place)

    def close(self) -> None:
        """Leave the group: the others take over at once."""
        self._consumer.close()

    # -- partitions come and go ------------------------------------------------------------------------------------

    def _assigned(self, consumer: Any, places: list[Any]) -> None:
        """These partitions are ours now: start each where the store is."""
        stored = self._stored(self.name)
        self._anew.clear()
        for place in places:
            place.offset = self._start_of(consumer, place.partition, stored.get(place.partition))
        consumer.assign(places)
        LOGGER.info(
            "stream: partitions assigned",
            extra={"facts": {"stream": self.name, "from": {each.partition: each.offset for each in places}}},
        )

    def _start_of(self, consumer: Any, number: int, stored: Offset | None) -> int:
        low, high = self._ends(consumer, number)
        if stored is None:
            return low
        if stored.position > high:
            self._anew.add(number)
            LOGGER.warning(
                "stream: the topic was made anew", extra={"facts": {"stream": self.name, "partition": number}}
            )
            return low
        if stored.position < low:
            self.lost += low - stored.position
            facts = {"stream": self.name, "partition": number, "records": low - stored.position}
            LOGGER.error("stream: the broker deleted records before they were read", extra={"facts": facts})
            return low
        return stored.position

    def _revoked(self, consumer: Any, places: list[Any]) -> None:
        """They go to another member. Nothing is under way: what was polled is stored before the next poll."""
        del places
        with suppress(kafka.KafkaException):
            consumer.unassign()

    # -- talking to the broker -------------------------------------------------------------------------------------

    def _opened(self, more: dict[str, str]) -> Any:
        settings = {
            "bootstrap.servers": self._address.hosts,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "log_level": "0",
            **login(self._address),
            **self._address.options,
            **more,
        }
        try:
            return kafka.Consumer(settings)
        except kafka.KafkaException as error:
            raise self._failed("open", error) from error

    def _read(self, limit: int, seconds: float) -> list[Any]:
        with self._told("poll"):
            return [message for message in self._consumer.consume(limit, seconds) if self._usable(message)]

    def _usable(self, message: Any) -> bool:
        """Is it a record? Errors that librdkafka mends by itself are let pass."""
        error = message.error()
        if error is None:
            return message.value() is not None  # a record without a value says that a key was deleted
        codes = kafka.KafkaError
        if error.code() in (codes._PARTITION_EOF, codes._ALL_BROKERS_DOWN, codes._TRANSPORT) or error.retriable():
            return False
        raise self._failed("poll", error)

    def _partitions(self, consumer: Any) -> list[int]:
        topic = consumer.list_topics(self._address.topic, timeout=ASKED_SECONDS).topics[self._address.topic]
        if topic.error is not None:
            raise self._failed("replay", topic.error)
        return sorted(topic.partitions)

    def _at(self, number: int, offset: int = kafka.OFFSET_INVALID) -> Any:
        return kafka.TopicPartition(self._address.topic, number, offset)

    def _ends(self, consumer: Any, number: int) -> tuple[int, int]:
        low, high = consumer.get_watermark_offsets(self._at(number), timeout=ASKED_SECONDS, cached=False)
        return low, high

    def _starts(self, consumer: Any, start: str) -> dict[int, int]:
        """{partition: first offset} for `earliest`, a time, or `partition@offset`."""
        ends = {number: self._ends(consumer, number) for number in self._partitions(consumer)}
        if start == "earliest":
            return {number: low for number, (low, _) in ends.items()}
        number, _, offset = start.rpartition("/")[2].partition("@")
        if number.isdigit() and offset.isdigit() and int(number) in ends:
            return {int(number): max(int(offset), ends[int(number)][0])}
        moment = _moment(start)
        asked = [self._at(each, int(moment * 1000)) for each in ends]
        found = consumer.offsets_for_times(asked, timeout=ASKED_SECONDS)
        return {each.partition: each.offset if each.offset >= 0 else ends[each.partition][1] for each in found}

    def _told(self, doing: str) -> AbstractContextManager[None]:
        return translated((kafka.KafkaException, RuntimeError), lambda error: self._failed(doing, error))

    def _failed(self, doing: str, error: object) -> StreamFailed:
        return StreamFailed(
            "the broker of the stream did not answer, or refused",
            where=f"{self._address.server} {self.name} ({doing})",
            got=str(error),
            next="check streams.url and the broker; reading goes on where the store is once it answers",
        )


class KafkaPublisher:
    """Implements `protocols.Publisher`: idempotent, and acknowledged by all replicas."""

    def __init__(self, address: Address) -> None:
        self._address = address
        settings = {
            "bootstrap.servers": address.hosts,
            "acks": "all",
            "enable.idempotence": "true",
            "linger.ms": "5",
            "log_level": "0",
            **login(address),
            **address.options,
        }
        try:
            self._producer = kafka.Producer(settings)
        except kafka.KafkaException as error:
            raise self._failed(error) from error

    def publish(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """All of them are on the broker when this returns. Raises StreamFailed."""
        refused: list[object] = []

        def heard(error: object, _: object) -> None:
            if error is not None:
                refused.append(error)

        try:
            for key, value in rows:
                self._produce(key, value, heard)
            waiting = self._producer.flush(SILENT_SECONDS)
        except kafka.KafkaException as error:
            raise self._failed(error) from error
        if refused or waiting:
            raise self._failed(refused[0] if refused else f"{waiting} records were not acknowledged")

    def _produce(self, key: str, value: bytes, heard: Callable[[object, object], None]) -> None:
        while True:
            try:
                self._producer.produce(self._address.topic, value, key.encode(), on_delivery=heard)
                break
            except BufferError:
                self._producer.poll(1.0)
        self._producer.poll(0)

    def close(self) -> None:
        self._producer.flush(ASKED_SECONDS)

    def _failed(self, error: object) -> StreamFailed:
        return StreamFailed(
            "the broker of the stream did not take the records",
            where=f"{self._address.server} {self._address.topic}",
            got=str(error),
            next="check the address and the broker, then publish again: an event with an id counts once",
        )


def login(address: Address) -> dict[str, str]:
    """librdkafka's settings for a user and a password."""
    if not address.user:
        return {}
    return {
        "sasl.username": address.user,
        "sasl.password": address.password,
        "sasl.mechanisms": address.options.get("sasl.mechanisms", "PLAIN"),
        "security.protocol": address.options.get("security.protocol", "SASL_SSL"),
    }


def _is_end(message: Any) -> bool:
    """Is it no record, but the news that a partition was read to its end (a transaction's mark included)?"""
    error = message.error()
    return error is not None and error.code() == kafka.KafkaError._PARTITION_EOF


def _record(message: Any) -> Record:
    kind, stamp = message.timestamp()
    known = stamp / 1000 if kind != kafka.TIMESTAMP_NOT_AVAILABLE and stamp > 0 else time.time()
    return Record(message.value(), f"{message.partition()}@{message.offset()}", known)


def _moment(text: str) -> float:
    """Seconds since 1970. Raises BadRequest."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(
            "this is no place in the stream",
            where="replay from",
            allowed="earliest, a time (2026-11-22T10:00:00Z), or partition@offset",
            got=text,
            next="take the place from a dead letter's source, or name a time",
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
