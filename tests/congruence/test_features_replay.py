"""Do features mean the same offline and online? A log is replayed event by event, and every value compared."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.features import STANDARD, Asked, State, table, widths
from bodega.schema import EVENT_CODES, Candidates, Context, Log, World
from bodega.testing.world import GeneratedWorld

HALF = 40


@pytest.fixture(scope="module")
def world(small_world: GeneratedWorld) -> World:
    return small_world.world()


def context(log: Log, row: int, place: str = "home") -> Context:
    """What the shopper of an event had done before it."""
    before = np.flatnonzero((log.user[:row] == log.user[row]) & (log.item[:row] >= 0))
    anchors = log.item[before[-1:]] if place != "home" else np.empty(0, np.int32)
    return Context(place, float(log.time[row]), log.item[before], log.time[before], log.type[before], anchors)


def values(state: State, asked: Context, items: np.ndarray) -> np.ndarray:
    nothing = np.full((len(items), 1), np.nan, np.float32)
    return table(STANDARD, Asked(asked, Candidates(items, nothing, nothing[:, 0], ("none",)), state))


def test_a_log_replayed_event_by_event_gives_every_value_of_the_batch(world: World) -> None:
    """At forty moments of the log: the state written on until then, against one batch over all that came before."""
    log, names = world.log, widths(STANDARD, ("none",))
    online = State.empty(world.items)
    moments = np.linspace(len(log) // 10, len(log) - 1, HALF).astype(int)
    items = np.arange(len(world.items), dtype=np.int32)
    done = 0
    for number, moment in enumerate(moments):
        for row in range(done, moment):
            online.writes(int(log.item[row]), int(log.type[row]), float(log.time[row]), float(log.value[row]))
        done = moment
        online.settle()
        early = np.arange(len(log)) < moment
        offline = State.fit(World(world.items, log.where(early), until=float(log.time[moment])))
        asked = context(log, moment, "home" if number % 2 else "similar")
        live, batch = values(online, asked, items), values(offline, asked, items)
        assert live.shape == (len(names), len(items))
        assert np.isfinite(live).all()
        for name, one, other in zip(names, live, batch, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6, err_msg=f"{name} at event {moment}")
    assert np.unique(values(online, context(log, len(log) - 1), items), axis=1).shape[1] > 50, "items must differ"


def test_events_may_come_in_any_order(world: World) -> None:
    """Late and shuffled events leave the same state: shuffled within the log, one item after the other, backwards."""
    log = world.log
    offline = State.fit(world)
    rng = np.random.default_rng(5)
    for order in (rng.permutation(len(log)), np.arange(len(log))[::-1], np.argsort(log.item, kind="stable")):
        online = State.empty(world.items)
        for row in order.tolist():
            online.writes(int(log.item[row]), int(log.type[row]), float(log.time[row]), float(log.value[row]))
        np.testing.assert_array_equal(online.clock, offline.clock)
        np.testing.assert_array_equal(online.first, offline.first)
        np.testing.assert_allclose(online.counts, offline.counts, rtol=2e-5, atol=1e-6)


def test_what_is_no_interest_writes_nothing(world: World) -> None:
    state = State.empty(world.items)
    state.writes(3, EVENT_CODES["impression"], 5.0)
    state.writes(3, EVENT_CODES["rating"], 5.0, value=2.0)
    state.writes(3, EVENT_CODES["rating"], 5.0)
    state.writes(-1, EVENT_CODES["purchase"], 5.0)
    state.writes(len(world.items), EVENT_CODES["purchase"], 5.0)
    state.writes(3, EVENT_CODES["purchase"], float("nan"))
    assert not state.counts.any()
    state.writes(3, EVENT_CODES["rating"], 5.0, value=4.0)
    assert np.flatnonzero(state.counts.any(axis=1)).tolist() == [3]


def test_a_saved_state_gives_the_same_bytes_and_can_be_written_on(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    state = State.fit(world)
    state.save(one)
    opened = State.load(one, world.items)
    opened.save(two)
    files = sorted(path.name for path in one.iterdir())
    assert files == sorted(path.name for path in two.iterdir())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)
    asked = context(world.log, len(world.log) - 1)
    items = np.arange(len(world.items), dtype=np.int32)
    np.testing.assert_array_equal(values(state, asked, items), values(opened, asked, items))
    before = (one / "counts.npy").read_bytes()
    opened.writes(3, EVENT_CODES["purchase"], float(world.log.time[-1]) + 60)
    assert opened.counts[3, -1] == state.counts[3, -1] + 1
    assert (one / "counts.npy").read_bytes() == before, "a worker's events stay its own"
