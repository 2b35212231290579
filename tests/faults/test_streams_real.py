"""Events from real brokers, each once: members of a group are killed, the broker stops, delivers again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bodega.adapters.sql import SqlStore
from bodega.adapters.streams import open_publisher, open_stream
from bodega.errors import BadSettings, MissingExtra, StreamFailed
from bodega.events.consuming import Consumer
from bodega.settings import Settings, Streams
from bodega.testing._process import Process

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

CHILD = Path(__file__).with_name("stream_child.py")
PATIENCE = 180.0
KINDS = ["noida", "redis", pytest.param("tansu", marks=pytest.mark.slow)]  # tansu's first group join takes 20 s


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """address(topic) -> URL of a stream on a server of the test's own."""
    from bodega.testing.servers import kafka, valkey

    try:
        server = valkey() if request.param == "redis" else kafka(request.param)
    except MissingExtra as missing:
        pytest.skip(missing.what)
    with server:

        def url(topic: str) -> str:
            if request.param == "redis":
                return f"redis://127.0.0.1:{server.port}/{topic}?group=test"
            server.create_topic(topic, partitions=4)
            return f"kafka://{server.url}/{topic}?group=test&session.timeout.ms=6000&heartbeat.interval.ms=500"

        url.server = server
        yield url


def rows(first: int, count: int) -> list[tuple[str, bytes]]:
    now = time.time()
    return [
        (
            f"u{n % 17}",
            json.dumps(
                {"id": f"e{n}", "type": "view", "time": now - n, "user": f"u{n % 17}", "item": f"i{n}"}
            ).encode(),
        )
        for n in range(first, first + count)
    ]


def publish(url: str, records: list[tuple[str, bytes]]) -> None:
    publisher = open_publisher(url)
    publisher.publish(records)
    publisher.close()


def consumer(url: str, store: SqlStore) -> Consumer:
    return Consumer(
        lambda: open_stream(url, store.events.offsets),
        lambda events, along: store.events.submit(events, along=along),
        Settings(streams=Streams(batch=200)),
    )


def stored(store: SqlStore) -> Counter[str]:
    return Counter(name for chunk in store.events.scan() for name in chunk.item)


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_two_members_share_the_work_and_one_is_killed(address, tmp_path):
    """Two processes read one group; one is killed in the middle, another is stopped and joins again."""
    url, database = address("shared"), f"sqlite:///{tmp_path}/shop.db"
    with SqlStore.open(database) as store:
        publish(url, rows(0, 400))
        members = [start(url, database) for _ in range(2)]
        try:
            until(lambda: store.events.count() >= 100, "nothing was read")
            publish(url, rows(400, 400))
            members[0].send_signal(signal.SIGKILL)
            publish(url, rows(800, 200))
            expire(address.server)
            until(lambda: store.events.count() >= 1_000, f"{store.events.count()} of 1,000 events came")
        finally:
            for member in members:
                member.kill()
                member.wait()
                assert member.stdout is not None
                member.stdout.close()
        assert stored(store) == Counter(f"i{n}" for n in range(1_000))
        expire(address.server)
        publish(url, rows(1_000, 50))
        done = consumer(url, store).drain(quiet=2.0)
        assert stored(store) == Counter(f"i{n}" for n in range(1_050))
        assert done.dead == 0


def expire(server: Process) -> None:
    """noida never takes a dead member's partitions away by itself, as other brokers do; it forgets its groups."""
    if getattr(server, "broker", "") == "noida":
        server.restart()


def start(url: str, database: str) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, str(CHILD), url, database], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "reading"
    return child


def test_what_was_not_committed_comes_again_and_counts_once(address, tmp_path):
    url = address("again")
    publish(url, rows(0, 300))
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        reader = consumer(url, store)
        reader._opened().commit = lambda polled: None  # the broker never hears of it
        while not reader.step():
            pass
        first = store.events.count()
        assert first
        reader.close()
        consumer(url, store).drain(quiet=2.0)
        assert stored(store) == Counter(f"i{n}" for n in range(300))


def test_bad_records_are_kept_with_their_place_and_can_be_replayed(address, tmp_path):
    url = address("poison")
    bad = [("x", b"{"), ("x", b'{"type":"view"}'), ("x", b'{"pad":"' + b"x" * 500_000 + b'"}'), ("x", b"\xff\xfe")]
    publish(url, [*rows(0, 20), *bad, *rows(20, 20)])
    settings = Settings(streams=Streams(record_limit=100_000))
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        reader = consumer(url, store)
        reader._settings, reader._options = settings, settings.streams
        assert reader.drain(quiet=2.0).added == 40
        letters = store.dead.list()
        assert sorted(letter.reason for letter in letters) == ["nobody", "too_large", "unreadable", "unreadable"]
        large = next(letter for letter in letters if letter.reason == "too_large")
        again = consumer(url, store)
        done = again.replay(large.source)
        assert done.records >= 1
        assert done.added == 0
        whole = consumer(url, store).replay("earliest")
        assert (whole.records, whole.added, whole.unchanged) == (44, 0, 40)
        assert store.events.count() == 40


def test_a_broker_that_goes_away_is_waited_for(address, tmp_path):
    """Stopped while nothing is under way, started again with its data (Kafka) or without (Redis, in memory)."""
    import threading

    url = address("away")
    publish(url, rows(0, 100))
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        reader, stop = consumer(url, store), threading.Event()
        thread = threading.Thread(target=reader.run, args=(stop,), daemon=True)
        thread.start()
        try:
            until(lambda: store.events.count() == 100, "the first hundred did not come")
            address.server.restart()
            with suppress(StreamFailed):  # a broker in memory comes back without its topic
                publish(address("away"), rows(100, 100))
            until(lambda: store.events.count() == 200, f"{store.events.count()} of 200 events came")
        finally:
            stop.set()
            thread.join(30)
        assert stored(store) == Counter(f"i{n}" for n in range(200))


def test_a_new_store_reads_from_the_beginning_and_a_restored_one_what_it_lacks(address, tmp_path):
    """The truth is in the store: one without offsets starts over, whatever the group has committed."""
    url = address("restored")
    publish(url, rows(0, 120))
    for name in ("one", "two"):
        with SqlStore.open(f"sqlite:///{tmp_path}/{name}.db") as store:
            reader = consumer(url, store)
            if name == "two" and "redis" in url:
                pytest.skip("a Redis group that another store has read keeps its place: a replay fills a new store")
            reader.drain(quiet=2.0)
            assert stored(store) == Counter(f"i{n}" for n in range(120)), name


def test_addresses_are_checked_and_passwords_are_in_no_text(monkeypatch):
    from bodega.adapters.streams import address_of

    for wrong in ("", "kafka://host:1", "http://host/topic", "redis:///key", "redis://host/key?mode=x", "kafka:///t"):
        with pytest.raises(BadSettings):
            address_of(wrong)
    monkeypatch.setenv("BODEGA_STREAMS_PASSWORD", "canary-secret")
    found = address_of("kafka://me@a:1,b:2/clicks?security.protocol=SASL_SSL")
    assert (found.hosts, found.topic, found.user, found.password) == ("a:1,b:2", "clicks", "me", "canary-secret")
    assert found.name == "kafka:clicks?group=bodega"
    assert "canary" not in repr(found) + found.name + found.server
    with pytest.raises(BadSettings) as told:
        address_of("kafka://me:canary-secret@host/a/b/c")
    assert "canary" not in str(told.value)
