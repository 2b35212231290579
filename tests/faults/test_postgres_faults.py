"""PostgreSQL restarts, dies, falls silent, is locked or read-only: nothing acknowledged is lost, nothing hangs, and the
error says what to do."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bodega.adapters.sql import SqlStore, database, problems
from bodega.adapters.sql.database import Database
from bodega.errors import BadRequest, MissingExtra, StoreError, StoreUnavailable
from bodega.protocols import Written
from bodega.schema import Event, EventType, Item
from bodega.testing import servers

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Postgres]:
    """One to hurt."""
    pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    try:
        made = servers.postgres(options={"max_connections": "20"})
    except MissingExtra as missing:
        pytest.skip(missing.what)
    with made:
        yield made


@pytest.fixture
def store(server) -> Iterator[SqlStore]:
    server.start()
    with SqlStore.open(server.database()) as opened:
        yield opened


def batch(number: int, size: int = 5) -> list[Event]:
    return [
        Event(type=EventType.VIEW, time=NOON + timedelta(seconds=number), id=f"{number}-{n}", user="u", item="i")
        for n in range(size)
    ]


class Till:
    """Sells without end in a thread of its own, and remembers which batches were acknowledged."""

    def __init__(self, store: SqlStore, start: int = 0) -> None:
        self.store = store
        self.acknowledged: list[int] = []
        self.refused: list[StoreError] = []
        self.longest = 0.0
        self._start = start
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sell)

    def __enter__(self) -> Till:
        self._thread.start()
        self.sold(self._start + 3)
        return self

    def sold(self, upto: int) -> None:
        """Wait until so many batches are in."""
        deadline = time.monotonic() + 60
        while len(self.acknowledged) < upto - self._start:
            assert time.monotonic() < deadline, "no event was taken for a minute"
            time.sleep(0.005)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(90)
        assert not self._thread.is_alive(), "an append never came back"

    def _sell(self) -> None:
        number = self._start
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self.store.events.append(batch(number))
                self.acknowledged.append(number)
            except StoreError as error:
                self.refused.append(error)
            self.longest = max(self.longest, time.monotonic() - began)
            number += 1


def lost_or_doubled(store: SqlStore, till: Till) -> list[str]:
    """What the promise forbids: an acknowledged batch that is not there whole, an event that is there twice."""
    with store.database.reading() as connection:
        ids = Counter(name for (name,) in connection.exec_driver_sql("SELECT id FROM events"))
    wanted = [event.id for number in till.acknowledged for event in batch(number)]
    return [name for name in wanted if ids[name] != 1] + [name for name, count in ids.items() if count > 1]


def healed(store: SqlStore) -> None:
    """Wait until the database is used again."""
    deadline = time.monotonic() + 10
    while store.database.trouble:
        assert time.monotonic() < deadline, "it did not heal within 10 s"
        time.sleep(0.02)


@pytest.mark.faults
@pytest.mark.parametrize("blow", ["restart", "kill", "cut"])
def test_a_restart_mid_transaction_loses_nothing_and_nobody_notices(server, store, blow):
    with Till(store) as till:
        for _ in range(3):
            if blow == "cut":  # every session, those inside a transaction too
                server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bodega'")
            elif blow == "kill":
                server.kill()
                server.start()
            else:
                server.restart()
            till.sold(len(till.acknowledged) + 5)
    assert till.refused == [], [str(error) for error in till.refused]
    assert lost_or_doubled(store, till) == []


@pytest.mark.faults
def test_the_checker_sees_a_store_that_acknowledges_too_early(server, store, monkeypatch):
    """The broken twin: it says "stored" whatever the database says."""
    write = store.events._commit._write

    def pretends(batches):
        try:
            return write(batches)
        except StoreError:
            return [Written(added=1)] * len(batches)

    monkeypatch.setattr(database, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(store.events._commit, "_write", pretends)
    with Till(store) as till:
        server.kill()
        till.sold(len(till.acknowledged) + 3)
        server.start()
    healed(store)
    assert lost_or_doubled(store, till), "the checker did not see what was lost"


@pytest.mark.faults
def test_a_silent_server_holds_nobody_up_and_is_used_again(server, store):
    store.catalog.upsert([Item(id="a", title="A")])
    store.events.append(batch(0))
    server.pause()
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.events.recent(user="u", session="", limit=5)
        assert time.monotonic() - began < 3 * database.AT_ONCE, "the first question waited too long"
        began = time.monotonic()
        for _ in range(50):
            with pytest.raises(StoreUnavailable, match="asked again"):
                store.catalog.get(["a"])
        assert time.monotonic() - began < 1.0, "fifty questions after it are not refused at once"
        assert store.database.trouble
    finally:
        server.resume()
    healed(store)
    assert len(store.events.recent(user="u", session="", limit=5)) == 5
    assert store.catalog.get(["a"])["a"].title == "A"


@pytest.mark.faults
def test_without_a_limit_a_silent_server_holds_everybody_up(server, store, monkeypatch):
    """The broken twin: a driver that waits for ever. The test above would hang with it."""
    from bodega.adapters.sql import postgres

    store.events.append(batch(0))
    monkeypatch.setattr(postgres.Bounded, "wait", postgres.psycopg.Connection.wait)
    server.pause()
    asking = threading.Thread(target=store.events.count)
    asking.start()
    try:
        asking.join(2 * database.AT_ONCE + 2)
        assert asking.is_alive(), "the server answered, so the test proves nothing"
    finally:
        server.resume()
        asking.join(60)


@pytest.mark.faults
def test_after_a_long_absence_events_are_refused_at_once_and_taken_again(server, store, monkeypatch):
    monkeypatch.setattr(database, "RETRY_SECONDS", 1.0)
    store.events.append(batch(0))
    server.stop()
    with pytest.raises(StoreUnavailable) as caught:
        store.events.append(batch(1))
    assert caught.value.status == 503
    deadline = time.monotonic() + 30
    while store.database._outage.seconds <= 1.0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.database.refuse_if_away(1.0)
    assert time.monotonic() - began < 0.2
    server.start()
    healed(store)
    assert store.events.append(batch(1)).added == 5


def test_another_writer_is_waited_for_and_then_named(server, store, monkeypatch):
    from bodega.adapters.sql import postgres

    monkeypatch.setitem(postgres.SESSION, "lock_timeout", "300ms")
    with SqlStore.open(str(store.database.url.render_as_string(hide_password=False))) as other:
        with store.database.writing(), pytest.raises(StoreError, match="another process") as caught:
            other.events.append(batch(1))
        assert caught.value.status == 503
        assert other.events.append(batch(1)).added == 5


def test_two_processes_that_send_the_same_ids_count_once_and_conflicts_are_seen(server, store):
    with SqlStore.open(store.database.url.render_as_string(hide_password=False)) as other:
        results: list = []

        def send(to: SqlStore, item: str) -> None:
            for number in range(40):
                events = [
                    Event(type=EventType.VIEW, time=NOON, id=f"{number}-{n}", user="u", item=item) for n in range(10)
                ]
                results.append(to.events.append(events))

        senders = [threading.Thread(target=send, args=pair) for pair in ((store, "one"), (other, "two"))]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(60)
    assert sum(one.added for one in results) == 400
    assert sum(len(one.conflicts) for one in results) == 400, "an acknowledged event was silently dropped"


def test_a_read_only_server_a_missing_database_and_a_wrong_user_are_said(server, store):
    url = store.database.url.render_as_string(hide_password=False)
    name = url.rpartition("/")[2]
    server.sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with SqlStore.open(url) as late:
        with pytest.raises(StoreError, match="read but not written") as caught:
            late.events.append(batch(2))
        assert "primary" in str(caught.value)
        assert late.events.count() == 0, "reading goes on"
    with pytest.raises(StoreError, match="no such database"):
        SqlStore.open(server.url_of("nowhere"))
    with pytest.raises(StoreError, match="refused the login"):
        SqlStore.open(url.replace("postgres@", "stranger@"))
    with pytest.raises(StoreError, match="cannot be reached"):
        SqlStore.open("postgresql://postgres@127.0.0.1:1/shop")


def test_too_many_connections_are_said(server, store):
    import psycopg

    held = []
    try:
        while len(held) < 40:
            try:
                held.append(psycopg.connect(server.url))
            except psycopg.OperationalError:
                break
        with pytest.raises(StoreUnavailable, match="no more connections") as caught:
            SqlStore.open(store.database.url.render_as_string(hide_password=False))
        assert "max_connections" in str(caught.value)
    finally:
        for connection in held:
            connection.close()


def test_what_postgres_cannot_hold_is_a_bad_request(store):
    with pytest.raises(BadRequest, match="NUL"):
        store.events.append([Event(type=EventType.VIEW, time=NOON, id="a\0b", item="i")])
    with pytest.raises(BadRequest, match="cannot be kept"):
        store.catalog.upsert([Item(id="a\0b")])
    with pytest.raises(BadRequest):
        store.keys.create("a\0b", ["search"])
    assert store.events.recent(user="a\0b", session="", limit=3) == []
    assert store.catalog.get(["a\0b"]) == {}


class Told(Exception):
    """As a driver tells: a code and a text."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(text)
        self.sqlstate = code or None


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (Told("53100", "could not extend file: No space left on device"), StoreError, "disk is full"),
        (Told("58030", "could not read block 7"), StoreError, "disk answered with an error"),
        (Told("28P01", 'password authentication failed for user "shop"'), StoreError, "refused the login"),
        (Told("", 'FATAL:  password authentication failed for user "shop"'), StoreError, "refused the login"),
        (Told("42501", "permission denied for schema public"), StoreError, "may not do that"),
        (Told("57P01", "terminating connection due to administrator command"), StoreUnavailable, "restarting"),
        (Told("", "FATAL:  the database system is starting up"), StoreUnavailable, "restarting"),
        (Told("53300", "sorry, too many clients already"), StoreUnavailable, "no more connections"),
        (Told("", "server closed the connection unexpectedly"), StoreUnavailable, "cannot be reached"),
        (Told("08006", "gone"), StoreUnavailable, "cannot be reached"),
        (Told("", "[Errno -2] Name or service not known"), StoreUnavailable, "host is not known"),
        (Told("XX001", "invalid page in block 3"), StoreError, "damaged"),
        (Told("40001", "could not serialize access"), StoreError, "two writers"),
        (Told("22P05", "untranslatable character"), BadRequest, "cannot be kept"),
        (Told("0A000", "cached plan must not change result type"), StoreError, "refused the statement"),
    ],
)  # fmt: skip
def test_every_error_says_what_to_do(error, kind, words):
    problem = problems.explained(error, where="postgresql://shop@db/shop")
    assert type(problem) is kind
    assert words in problem.what
    assert problem.next


def test_no_password_is_ever_said():
    url = "postgresql://shop:hunter2@127.0.0.1:1/shop"
    with pytest.raises(StoreUnavailable) as caught:
        SqlStore.open(url)
    assert "hunter2" not in str(caught.value) + repr(caught.value.as_dict())
    closing = Database(url)
    assert "hunter2" not in closing.name
    closing.close()
