"""Is a shopper's state the same wherever it is kept and however its events came? Sorted replay = memory = SQL = Redis.

Events arrive out of order, late, twice, in batches of any cut, at two servers in turn; servers restart in the middle.
The state must always be that of the sorted log. A state that drops late events must fail the same comparison.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodega.adapters.sql import SqlStore
from bodega.engine.doings import Doings
from bodega.engine.online import Shoppers
from bodega.features import State
from bodega.protocols import Steps
from bodega.schema import EVENT_CODES, Event, EventType, Item, ItemTable, World
from bodega.testing.fakes import MemoryEvents
from bodega.testing.world import GeneratedWorld

TABLE = ItemTable.of(Item(id=f"i{number}") for number in range(12))
START = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = 25


def happening(number: int, rng: random.Random) -> Event:
    kind = rng.choice([*EventType, EventType.IMPRESSION, EventType.CLICK])
    return Event(
        id=f"e{number}",
        type=kind,
        time=START + timedelta(seconds=rng.randrange(200)),
        user=rng.choice(["u", "v", ""]),
        session=rng.choice(["s", "t"]),
        item="" if kind is EventType.SEARCH else f"i{rng.randrange(14)}",
        query=rng.choice(["", "milk", "oats"]) if kind is not EventType.SEARCH else rng.choice(["milk", "tea"]),
        value=float(rng.randrange(1, 6)) if kind is EventType.RATING else None,
    )


def told(shoppers: Shoppers) -> list[object]:
    """Everything that the states of all people say."""
    found: list[object] = []
    for user, session in (("u", ""), ("v", "s"), ("", "s"), ("", "t"), ("u", "t"), ("nobody", "")):
        history = shoppers.history(user, session, TABLE)
        arrays = (history.items, history.times, history.actions, history.disliked, history.shown, history.shown_times)
        found.append(([array.tolist() for array in arrays], history.searches))
    return found


def replayed(events: list[Event]) -> list[object]:
    """The state that a sorted replay of the log gives, one event after the other."""
    log = sorted({event.id: event for event in events}.values(), key=lambda event: (event.time, event.id))
    shoppers = Shoppers(lambda *_: Steps(), limit=LIMIT)
    told(shoppers)
    for event in log:
        shoppers.observe([event])
    return told(shoppers)


def over(store: MemoryEvents) -> Shoppers:
    return Shoppers(lambda user, session, limit: store.steps(user=user, session=session, limit=limit), limit=LIMIT)


def deliveries(events: list[Event], rng: random.Random) -> Iterator[list[Event]]:
    """In any order, some of them twice, in batches of any size."""
    stream = events + rng.choices(events, k=len(events) // 3)
    rng.shuffle(stream)
    while stream:
        size = rng.randrange(1, 9)
        yield stream[:size]
        stream = stream[size:]


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 120))
def test_memory_is_the_sorted_replay_whatever_the_order(seed, count):
    rng = random.Random(seed)
    events = [happening(number, rng) for number in range(count)]
    store = MemoryEvents()
    shoppers = over(store)
    for batch in deliveries(events, rng):
        store.append(batch)
        if rng.random() < 0.1:
            shoppers = over(store)  # a restart
        if rng.random() < 0.5:
            told(shoppers)
        shoppers.observe(batch)
    assert told(shoppers) == replayed(events)


class Forgetful(Doings):
    """The twin that takes an event only if it is the newest."""

    __slots__ = ("newest",)

    def take(self, step, limit):
        if step[0] >= getattr(self, "newest", -np.inf):
            self.newest = step[0]
            super().take(step, limit)


def test_a_state_that_drops_late_events_is_caught(monkeypatch):
    monkeypatch.setattr("bodega.engine.online.Doings", Forgetful)
    rng = random.Random(1)
    events = [happening(number, rng) for number in range(60)]
    shoppers = Shoppers(lambda *_: Steps(), limit=LIMIT)
    told(shoppers)
    for batch in deliveries(events, rng):
        shoppers.observe(batch)
    late = told(shoppers)
    monkeypatch.undo()
    assert late != replayed(events)


@pytest.mark.parametrize("seed", range(3))
def test_sql_is_memory_and_the_sorted_replay(tmp_path, seed):
    rng = random.Random(seed)
    events = [happening(number, rng) for number in range(400)]
    with SqlStore.open(f"sqlite:///{tmp_path}/{seed}.db") as sql:
        memory = MemoryEvents()
        for batch in deliveries(events, rng):
            sql.events.append(batch)
            memory.append(batch)
        for user, session in (("u", ""), ("v", ""), ("", "s"), ("", "t")):
            for limit in (1, 7, LIMIT, 1_000):  # a store may give more than asked, never less
                one, other = (each.steps(user=user, session=session, limit=limit) for each in (sql.events, memory))
                assert kept(one, limit) == kept(other, limit)
        fresh = Shoppers(lambda user, visit, most: sql.events.steps(user=user, session=visit, limit=most), limit=LIMIT)
        assert told(fresh) == replayed(events)


def kept(steps: Steps, limit: int) -> object:
    """What a state of this limit makes of them."""
    doings = Doings()
    doings.fill(steps, limit)
    history = doings.resolved(TABLE)
    arrays = (history.items, history.times, history.actions, history.disliked)
    return [array.tolist() for array in arrays]


def two_servers(url: str, name: str) -> Callable[[MemoryEvents], Shoppers]:
    from bodega.adapters.redis import open_states
    from bodega.settings import State as Shared

    def server(store: MemoryEvents) -> Shoppers:
        shoppers = over(store)
        shoppers.join(open_states(Shared(url=url, timeout_ms=2_000.0, heal_seconds=0.2), name))
        return shoppers

    return server


@pytest.mark.parametrize("seed", range(3))
def test_two_servers_that_share_redis_tell_the_sorted_replay_after_every_event(valkey_url, seed):
    """What one server took in is in the very next answer of the other, and nobody's answer is ever another one."""
    rng = random.Random(seed)
    events = [happening(number, rng) for number in range(150)]
    server, store = two_servers(valkey_url, f"agree-{seed}-{random.random()}"), MemoryEvents()
    servers = [server(store), server(store)]
    arrived: list[Event] = []
    for batch in deliveries(events, rng):
        at = rng.randrange(2)
        store.append(batch)
        arrived += batch
        servers[at].observe(batch)
        servers[at].share(batch)
        assert told(servers[1 - at]) == replayed(arrived)
        if rng.random() < 0.05:
            servers[at].close()
            servers[at] = server(store)
    assert told(servers[0]) == told(servers[1]) == replayed(events)
    for each in servers:
        each.close()


def test_a_server_that_does_not_share_is_caught(valkey_url):
    rng = random.Random(5)
    store = MemoryEvents()
    server = two_servers(valkey_url, f"silent-{random.random()}")
    one, other = server(store), server(store)
    events = [happening(number, rng) for number in range(30)]
    told(one), told(other)
    store.append(events)
    one.observe(events)
    assert told(other) != replayed(events)
    one.close(), other.close()


def test_whoever_was_forgotten_on_one_server_is_forgotten_on_the_other(valkey_url):
    store, server = MemoryEvents(), two_servers(valkey_url, f"forget-{random.random()}")
    one, other = server(store), server(store)
    event = Event(id="e", type=EventType.CLICK, time=START, user="u", item="i1")
    store.append([event])
    assert [len(each.history("u", "", TABLE).items) for each in (one, other)] == [1, 1]
    store.remove(lambda _: True)
    one.forget(users=["u"])
    assert [len(each.history("u", "", TABLE).items) for each in (one, other)] == [0, 0]
    store.append([event])
    one.forget_all()
    assert [len(each.history("u", "", TABLE).items) for each in (one, other)] == [1, 1]
    one.close(), other.close()


def test_counters_are_the_same_event_by_event_in_batches_and_over_a_restart(small_world: GeneratedWorld):
    world = small_world.world()
    log, rng = world.log, np.random.default_rng(3)
    whole = State.fit(world)
    order = rng.permutation(len(log))
    middle = len(order) // 2
    first = State.fit(World(world.items, log.where(np.isin(np.arange(len(log)), order[:middle])), until=world.until))
    with tempfile.TemporaryDirectory() as folder:
        from pathlib import Path

        first.save(Path(folder))
        state = State.load(Path(folder), world.items)  # the server restarts
        for row in order[middle : middle + 500].tolist():
            state.writes(int(log.item[row]), int(log.type[row]), float(log.time[row]), float(log.value[row]))
        for part in np.array_split(order[middle + 500 :], 9):
            state.absorb(log.item[part], log.type[part], log.time[part], log.value[part])
        np.testing.assert_array_equal(state.clock, whole.clock)
        np.testing.assert_array_equal(state.first, whole.first)
        np.testing.assert_allclose(state.counts, whole.counts, rtol=5e-5, atol=1e-5)


def test_counters_that_ignore_late_events_are_caught(small_world: GeneratedWorld):
    world = small_world.world()
    log = world.log
    late = State.empty(world.items)
    for row in np.random.default_rng(3).permutation(len(log)).tolist():
        if log.item[row] >= 0 and log.time[row] >= late.clock[log.item[row]]:
            late.writes(int(log.item[row]), int(log.type[row]), float(log.time[row]), float(log.value[row]))
    assert not np.allclose(late.counts, State.fit(world).counts, rtol=1e-2)
    assert EVENT_CODES["view"] in log.type
