"""From a stream into the store: each event once whatever dies when, and what cannot be used with its place and reason.

The consumer is killed (an exception at a random one of its steps) again and again until the stream is drained. The same
run on a consumer that commits before it stores, and on a store that writes the offsets in a transaction of their own,
must lose events: else this test sees nothing.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from bodega.adapters.sql import SqlStore
from bodega.engine.retrying import retry
from bodega.errors import StoreError
from bodega.events.clock import Clock
from bodega.events.consuming import Consumer, Records
from bodega.protocols import Along, Polled, Record, Written
from bodega.schema import Event
from bodega.settings import Ingest, Settings, Streams
from bodega.testing.fakes import MemoryStores
from bodega.testing.streams import MemoryBroker, MemoryStream

NOW = 1_795_344_000.0
SMALL = Settings(streams=Streams(batch=40))


def row(number: int, **more: object) -> bytes:
    known = {
        "id": f"e{number}",
        "type": "click",
        "time": NOW - number,
        "user": f"u{number % 13}",
        "item": f"i{number % 7}",
    }
    return json.dumps(known | more).encode()


def rows(count: int) -> list[tuple[str, bytes]]:
    return [(f"u{number % 13}", row(number)) for number in range(count)]


class Killed(Exception):
    """The process is gone."""


class Mortal(MemoryStream):
    """A stream whose consumer may die before or after it commits."""

    def die_with(self, rng: random.Random) -> Mortal:
        self.rng = rng
        return self

    def poll(self, limit: int, seconds: float) -> Polled:
        polled = super().poll(limit, seconds)
        perhaps(self.rng)
        return polled

    def commit(self, polled: Polled) -> None:
        perhaps(self.rng)
        super().commit(polled)
        perhaps(self.rng)


def perhaps(rng: random.Random) -> None:
    if rng.random() < 0.2:
        raise Killed


class EarlyCommit(Consumer):
    """The twin that tells the broker before the store has the events, and starts where the broker believes."""

    def _stored(self, parsed, polled, stop):
        assert self._stream is not None
        self._stream.commit(polled)
        return super()._stored(parsed, polled, stop)


def drained(broker: MemoryBroker, store: SqlStore | MemoryStores, rng: random.Random, twin: str = "") -> list[str]:
    """Consume until nothing is left, dying on the way; returns the ids that are stored."""

    def submit(events: Sequence[Event], along: Along) -> Future[Written]:
        perhaps(rng)
        if twin == "offsets apart":
            store.events.append([], along=Along(along.offsets))
            perhaps(rng)
            along = Along((), along.letters, along.conflict)
        done = store.events.submit(events, along=along)
        perhaps(rng)
        return done

    def opened() -> Mortal:
        stream = broker.stream(None if twin == "early commit" else store.events.offsets)
        return Mortal(broker, dict(enumerate(stream._at))).die_with(rng)

    kind = EarlyCommit if twin == "early commit" else Consumer
    for _ in range(10_000):
        consumer = kind(opened, submit, SMALL)
        try:
            while consumer.step():
                pass
            break
        except Killed:
            continue
    return [event.id for user in range(13) for event in store.events.recent(user=f"u{user}", session="", limit=10**6)]


@pytest.fixture
def store(tmp_path: Path):
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as opened:
        yield opened


def lost_and_doubled(found: list[str], wanted: int) -> tuple[int, int]:
    counts = Counter(found)
    return sum(f"e{n}" not in counts for n in range(wanted)), sum(count - 1 for count in counts.values())


@pytest.mark.parametrize("seed", range(4))
def test_whatever_dies_when_each_event_is_stored_once(store, seed):
    broker = MemoryBroker()
    broker.publish(rows(1_500))
    assert lost_and_doubled(drained(broker, store, random.Random(seed)), 1_500) == (0, 0)
    assert {number: offset.position for number, offset in store.events.offsets(broker.name).items()} == {
        number: len(part) for number, part in enumerate(broker.rows)
    }


@pytest.mark.parametrize("twin", ["early commit", "offsets apart"])
def test_the_twins_that_lose_events_are_caught(store, twin):
    broker = MemoryBroker()
    broker.publish(rows(1_500))
    lost, _ = lost_and_doubled(drained(broker, store, random.Random(1), twin), 1_500)
    assert lost > 0


def consumer(broker: MemoryBroker, store, settings: Settings = SMALL) -> Consumer:
    return Consumer(
        lambda: broker.stream(store.events.offsets),
        lambda events, along: store.events.submit(events, along=along),
        settings,
    )


def test_a_broker_that_delivers_everything_again_changes_nothing(store):
    broker = MemoryBroker()
    broker.publish(rows(400))
    first = consumer(broker, store).drain(quiet=0)
    broker.redeliver()
    again = consumer(broker, store).drain(quiet=0)
    assert (first.added, again.added, again.unchanged, again.dead) == (400, 0, 400, 0)
    replayed = consumer(broker, store).replay("earliest")
    assert (replayed.added, replayed.unchanged, store.events.count()) == (0, 800, 400)


def test_r2_a_hundred_thousand_deliveries_with_duplicates_count_exactly(store):
    rng = random.Random(2)
    once = rows(70_000)
    deliveries = once + rng.choices(once, k=30_000)
    rng.shuffle(deliveries)
    broker = MemoryBroker()
    broker.publish(deliveries)
    done = consumer(broker, store, Settings(streams=Streams(batch=2_000))).drain(quiet=0)
    assert (done.records, done.added, done.unchanged, done.dead) == (100_000, 70_000, 30_000, 0)
    assert store.events.count() == 70_000
    items = Counter(name for chunk in store.events.scan() for name in chunk.item)
    assert items == Counter(f"i{number % 7}" for number in range(70_000))


POISON: dict[str, bytes] = {
    "unreadable": b'{"id": "x", ',
    "too_large": b'{"pad": "' + b"x" * 2_000_000 + b'"}',
    "unknown_type": row(0, id="odd", type="yawn"),
    "future_time": row(0, id="early", time=NOW + 10**9),
    "absurd_time": row(0, id="ancient", time="1970-02-01T00:00:00Z"),
    "no_item": row(0, id="nothing", item=""),
    "nobody": row(0, id="ghost", user=""),
    "bad_quantity": row(0, id="none", type="purchase", quantity=0),
    "bad_text": row(0, id="y" * 600),
    "conflict": row(1, item="another"),
}


def poisoned(count: int, bad: int, rng: random.Random) -> tuple[list[tuple[str, bytes]], Counter[str]]:
    """(deliveries, reasons of the bad ones): bad records among good ones, no two of them equal."""
    reasons = sorted(POISON)
    told: Counter[str] = Counter()
    stream = rows(count - bad)
    for number in range(bad):
        reason = reasons[number % len(reasons)]
        if reason == "too_large" and told[reason] >= 5:
            reason = "unreadable"
        value = POISON[reason]
        if reason == "unreadable":
            value += str(number).encode()
        told[reason] += 1
        stream.insert(
            rng.randrange(count // 2, len(stream)), ("u1" if reason == "conflict" else f"u{number % 13}", value)
        )
    return stream, told  # conflicts lie in the partition of what they are in conflict with, after it


@pytest.mark.parametrize(
    ("count", "bad"),
    [(50_000, 500), pytest.param(1_000_000, 10_000, marks=[pytest.mark.slow, pytest.mark.timeout(3_000)])],
)
def test_r9_every_bad_record_is_kept_with_its_reason_and_no_good_one_is_lost(store, count, bad):
    stream, told = poisoned(count, bad, random.Random(9))
    broker = MemoryBroker()
    broker.publish(stream)
    done = consumer(broker, store, Settings(streams=Streams(batch=2_000))).drain(quiet=0)
    assert store.dead.counts() == {("event", reason): number for reason, number in told.items()}
    assert (store.events.count(), done.dead) == (count - bad, bad)
    letters = store.dead.list(limit=bad)
    assert len({letter.source for letter in letters}) == bad
    assert all(letter.source.startswith("memory:events/") and "@" in letter.source for letter in letters)
    again = consumer(broker, store, Settings(streams=Streams(batch=2_000))).replay("earliest")
    assert (again.added, sum(store.dead.counts().values())) == (0, bad)


def test_a_consumer_that_forgets_its_letters_is_caught(store):
    """The twin of R9: letters that are not part of the batch's transaction are lost where the process dies after it."""
    stream, told = poisoned(2_000, 40, random.Random(3))
    broker = MemoryBroker()
    broker.publish(stream)
    Consumer(
        lambda: broker.stream(store.events.offsets),
        lambda events, along: store.events.submit(events, along=Along(along.offsets)),
        SMALL,
    ).drain(quiet=0)
    assert sum(store.dead.counts().values()) != sum(told.values())


def parsed(*values: bytes, settings: Settings = SMALL, clock: Clock | None = None):
    records = [Record(value, f"0@{n}", NOW) for n, value in enumerate(values)]
    return Records(settings, lambda record: f"s/{record.place}", clock or Clock(wall=lambda: NOW)).read(records)


def test_records_are_read_as_the_http_api_reads_bodies():
    both = parsed(row(1), b"[" + row(2) + b"," + row(3) + b"]", b'{"events": [' + row(4) + b', {"no": 1}, 7]}')
    assert [event.id for event in both.events] == ["e1", "e2", "e3", "e4"]
    assert [(letter.source, letter.line) for letter in both.letters] == [("s/0@2", 2), ("s/0@2", 3)]


def test_an_event_without_a_time_happened_when_the_broker_took_it():
    bare = json.dumps({"event": "add_to_cart", "sku": 5, "customer_id": "u"}).encode()
    one, again = parsed(bare), parsed(bare)
    assert one.events[0].time.timestamp() == NOW
    assert one.events == again.events


def test_times_are_taken_or_put_aside_as_the_settings_say():
    old, ahead, near = row(0, time=NOW - 3_650 * 86_400), row(0, time=NOW + 600), row(0, time=NOW + 200)
    found = parsed(old, ahead, near)
    assert [letter.reason for letter in found.letters] == ["future_time"]
    assert len(found.events) == 2
    strict = parsed(old, near, settings=Settings(ingest=Ingest(oldest_days=365, future_seconds=60)))
    assert [letter.reason for letter in strict.letters] == ["old_time", "future_time"]


def test_a_clock_set_back_puts_no_event_aside():
    wall, passed = [NOW], [100.0]
    clock = Clock(wall=lambda: wall[0], passed=lambda: passed[0])
    wall[0], passed[0] = NOW - 3_600, 160.0
    assert clock.now() == NOW + 60
    assert not parsed(row(0, time=NOW + 330), clock=clock).letters
    assert parsed(row(0, time=NOW + 330), clock=Clock(wall=lambda: NOW - 3_600)).letters, (
        "the twin that believes the wall"
    )
    wall[0] = NOW + 10_000
    assert clock.now() == NOW + 10_000


def test_a_store_that_is_away_is_asked_again_with_the_same_batch():
    stores, broker, away = MemoryStores(), MemoryBroker(1), [3]
    broker.publish(rows(100))

    def submit(events, along):
        if away[0]:
            away[0] -= 1
            raise StoreError("the disk is full")
        return stores.events.submit(events, along=along)

    reader = Consumer(lambda: broker.stream(stores.events.offsets), submit, SMALL)
    done = reader.drain(quiet=0)
    assert (done.added, done.retries, done.trouble) == (100, 3, "")


def test_a_consumer_that_is_told_to_stop_leaves_its_batch_to_the_next():
    stores, broker, stop = MemoryStores(), MemoryBroker(1), threading.Event()
    broker.publish(rows(30))

    def full(events, along):
        stop.set()
        raise StoreError("the disk is full")

    Consumer(lambda: broker.stream(stores.events.offsets), full, SMALL).run(stop)
    assert (stores.events.count(), broker.committed) == (0, {})
    assert consumer(broker, stores).drain(quiet=0).added == 30


def test_ten_thousand_events_of_one_shopper_in_a_second(store):
    broker = MemoryBroker()
    broker.publish([("u", row(n, time=NOW - n / 10_000, user="u")) for n in range(10_000)])
    assert consumer(broker, store, Settings(streams=Streams(batch=2_000))).drain(quiet=0).added == 10_000
    steps = store.events.steps(user="u", session="", limit=1_000)
    assert len(steps.time) == 1_000
    assert steps.time == sorted(steps.time)


def test_what_was_put_aside_is_stored_once_its_time_has_come(store):
    broker = MemoryBroker()
    soon = 4_000.0
    import time

    broker.publish([("u", row(1, time=time.time() + soon)), ("u", row(2, type="yawn")), ("u", row(3))])
    consumer(broker, store).drain(quiet=0)
    assert store.dead.counts() == {("event", "future_time"): 1, ("event", "unknown_type"): 1}
    assert retry(store.events, store.dead, SMALL).stored == 0
    later = Settings(ingest=Ingest(future_seconds=10_000))
    done = retry(store.events, store.dead, later)
    assert (done.tried, done.stored, done.left) == (2, 1, 1)
    assert store.dead.counts() == {("event", "unknown_type"): 1}
    assert store.events.count() == 2
