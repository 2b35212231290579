"""What does a page lose when the Redis of shared states fails? Milliseconds and its name in `degraded`, nothing else.

Refused, frozen, slow byte by byte, answering garbage, flapping: every answer equals what the event store says, the time
limit is paid once and not a request, and after the failure states are shared again within ten seconds.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bodega.adapters.redis import RedisStates, open_states
from bodega.engine.health import counting
from bodega.engine.online import Shoppers
from bodega.errors import BadSettings
from bodega.protocols import StateLost
from bodega.schema import Event, EventType, Item, ItemTable
from bodega.settings import State
from bodega.testing.fakes import MemoryEvents

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

TABLE = ItemTable.of(Item(id=f"i{number}") for number in range(50))
START = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT_MS = 50.0


def click(number: int, user: str = "u") -> Event:
    return Event(
        id=f"e{number}", type=EventType.CLICK, time=START + timedelta(seconds=number), user=user, item=f"i{number % 50}"
    )


class Server:
    """One server of the shop: its states, over a store that all servers share."""

    def __init__(self, store: MemoryEvents, url: str, name: str) -> None:
        self.store = store
        self.states: RedisStates = open_states(State(url=url, timeout_ms=LIMIT_MS, heal_seconds=0.5), name)
        self.shoppers = Shoppers(
            lambda user, session, limit: store.steps(user=user, session=session, limit=limit), limit=100
        )
        self.shoppers.join(self.states)

    def take(self, events: list[Event]) -> None:
        self.store.append(events)
        self.shoppers.observe(events)
        self.shoppers.share(events)

    def seen(self, user: str = "u") -> tuple[list[str], tuple[str, ...]]:
        """(the shopper's items, what the page says it lacks)."""
        with counting() as losses:
            history = self.shoppers.history(user, "", TABLE)
        return [TABLE.ids[row] for row in history.items], losses.notes


@pytest.fixture
def redis_server() -> Iterator[object]:
    from bodega.testing.servers import valkey

    with valkey() as server:
        yield server


@pytest.fixture
def pair(redis_server) -> Iterator[tuple[Server, Server]]:
    store = MemoryEvents()
    both = Server(store, redis_server.url, "faults"), Server(store, redis_server.url, "faults")
    yield both
    for each in both:
        each.shoppers.close()


def stored(server: Server) -> list[str]:
    return [event.item for event in server.store.recent(user="u", session="", limit=100)]


def healed(server: Server, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not server.seen()[1]:
            return True
        time.sleep(0.05)
    return False


def test_a_dead_redis_costs_the_page_nothing_but_its_name(redis_server, pair):
    one, other = pair
    one.take([click(1)])
    assert other.seen() == (["i1"], ())
    redis_server.kill()
    one.take([click(2)])
    items, notes = other.seen()
    assert items == ["i1", "i2"]
    assert notes
    assert notes[0].startswith("state: ")
    assert "event store" in notes[0]
    redis_server.start()
    one.take([click(3)])
    assert healed(other)
    assert healed(one)
    one.take([click(4)])
    assert other.seen() == (["i1", "i2", "i3", "i4"], ())


def test_a_frozen_redis_costs_its_time_limit_once(redis_server, pair):
    one, other = pair
    one.take([click(1)])
    assert other.seen() == (["i1"], ())
    redis_server.pause()
    try:
        before = other.states.trips
        begun = time.perf_counter()
        for number in range(200):
            assert other.seen()[0] == ["i1"], number
            if time.perf_counter() - begun > 0.4:
                break
        asked = other.states.trips - before
        assert asked <= 2, "each page waited for a server that does not answer"
        one.take([click(2)])
        assert other.seen()[0] == ["i1", "i2"]
    finally:
        redis_server.resume()
    assert healed(one)
    assert healed(other)
    assert other.seen() == (["i1", "i2"], ())
    one.take([click(3)])
    assert other.seen()[0] == ["i1", "i2", "i3"]


def test_what_could_not_be_told_is_known_after_the_heal_even_if_nobody_asks_the_teller(redis_server, pair):
    """The event that was told to nobody: its server is silent afterwards, the other must learn of it all the same."""
    one, other = pair
    one.take([click(1)])
    assert other.seen() == (["i1"], ())
    one.states._client.close()
    real, one.states._client = one.states._client, Broken()
    one.take([click(2)])
    one.states._client = real
    deadline = time.monotonic() + 10
    while other.seen()[0] != ["i1", "i2"]:
        assert time.monotonic() < deadline, "the other server never learned of an event that could not be told"
        time.sleep(0.05)


class Broken:
    """A client whose connection is gone."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        def fail(*_: object, **__: object) -> object:
            raise ConnectionError("gone")

        return fail


def test_the_twin_that_owes_nothing_is_caught(redis_server, pair, monkeypatch):
    """A state store that forgets what it could not tell: the other server goes on without the event."""
    one, other = pair
    one.take([click(1)])
    assert other.seen() == (["i1"], ())
    monkeypatch.setattr(one.states, "_owe", lambda: None)
    real, one.states._client = one.states._client, Broken()
    one.take([click(2)])
    one.states._client = real
    time.sleep(1.2)
    assert other.seen() == (["i1"], ())
    assert stored(one) == ["i1", "i2"]


ANSWERS: dict[str, bytes] = {
    "garbage": b"\x00\xff nonsense\r\n" * 20,
    "half an answer": b"*3\r\n$1\r\n1\r\n*1\r\n",
    "other types": b"+OK\r\n:7\r\n$3\r\nabc\r\n",
    "an error": b"-ERR unknown command\r\n" * 10,
    "nothing": b"",
}


@pytest.fixture
def impostor() -> Iterator[Callable[[bytes, float], str]]:
    """impostor(answer, pause between bytes) -> URL of something that is no Redis."""
    listeners: list[socket.socket] = []

    def start(answer: bytes, pause: float) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=speak, args=(connection,), daemon=True).start()

        def speak(connection: socket.socket) -> None:
            with connection:
                try:
                    while connection.recv(65_536):
                        for at in range(len(answer)) if pause else ():
                            connection.sendall(answer[at : at + 1])
                            time.sleep(pause)
                        if not pause:
                            connection.sendall(answer)
                        if not answer:
                            return
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        return f"redis://127.0.0.1:{listener.getsockname()[1]}/0"

    yield start
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("answer", ANSWERS)
def test_garbage_is_never_believed(impostor, answer):
    server = Server(MemoryEvents(), impostor(ANSWERS[answer], 0.0), "garbage")
    server.take([click(1), click(2)])
    for _ in range(5):
        items, notes = server.seen()
        assert items == ["i1", "i2"]
        assert notes
    server.shoppers.close()


def test_an_answer_that_trickles_in_is_waited_for_once(impostor):
    server = Server(MemoryEvents(), impostor(b":1\r\n" + b"$-1\r\n*0\r\n" * 50, LIMIT_MS / 1000 / 4), "slow")
    server.take([click(1)])
    server.seen()
    begun = time.thread_time()
    for _ in range(20):
        assert server.seen()[0] == ["i1"]
    assert server.states.trips <= 4
    assert time.thread_time() - begun < 5
    server.shoppers.close()


def test_somebody_elses_data_under_our_keys_is_left_alone(redis_server, pair):
    one, _ = pair
    one.take([click(1)])
    one.seen()
    key = one.states._key(("user", "u"), one.states._epoch)
    one.states._client.delete(key)
    one.states._client.xadd(key, {"w": b"\xc1 not ours"})
    assert one.seen()[0] == ["i1"]
    assert healed(one)
    one.states._client.delete(one.states._key(("user", "u"), one.states._epoch))
    one.states._client.set(one.states._key(("user", "u"), one.states._epoch), "a string")
    assert one.seen()[0] == ["i1"]
    assert healed(one)


def test_a_redis_that_comes_back_empty_is_filled_again(redis_server, pair):
    one, other = pair
    one.take([click(1)])
    assert other.seen()[0] == one.seen()[0] == ["i1"]
    redis_server.restart()
    one.take([click(2)])
    assert other.seen()[0] == ["i1", "i2"]
    assert healed(one)
    assert healed(other)
    other.take([click(3)])
    assert one.seen()[0] == other.seen()[0] == ["i1", "i2", "i3"]


def test_one_round_trip_a_request(pair):
    one, other = pair
    for number in range(2):  # both know each other's start now
        one.take([click(number)])
        other.seen()
    before = other.states.trips
    for number in range(10):
        one.take([click(number + 2)])
        other.seen()
    assert other.states.trips - before == 10


def test_an_address_that_cannot_be_used_says_so_without_its_password():
    with pytest.raises(BadSettings) as told:
        open_states(State(url="http://me:canary-secret@host"), "x")
    assert "canary" not in str(told.value)
    with pytest.raises(StateLost):
        open_states(State(url="redis://127.0.0.1:1/0", timeout_ms=50.0), "x").catch({("user", "u"): ""})
