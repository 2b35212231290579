"""Planted drift is flagged within a day of data; where nothing changes, hardly ever anything is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

import bodega
from bodega import Event
from bodega.cli import app
from bodega.engine.drifting import DAY, DriftReport, Watching, drift
from bodega.evaluation import drift as watching
from bodega.evaluation.drift import Sample, ks, ks_from, psi, watch
from bodega.retrieval.popular import Popular
from bodega.settings import Ingest
from bodega.testing.fakes import MemoryEvents
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world

Plant = Callable[[list[Event], GeneratedWorld, np.random.Generator], list[Event]]


@pytest.fixture(scope="module")
def steady() -> GeneratedWorld:
    return make_world(WorldSpec(n_items=200, n_shoppers=150, days=42, visits_per_day=0.4))


def made(world: GeneratedWorld) -> Watching:
    early = world.world(world.events[0].time.timestamp() + 20 * DAY)
    return Watching(world.table, {"popular": Popular().fit(early)}, Ingest())


def report(world: GeneratedWorld, events: list[Event], kept: Watching) -> DriftReport:
    store = MemoryEvents()
    store.append(events)
    return drift(store.scan(), kept, reference=21)


def until(world: GeneratedWorld, day: float) -> list[Event]:
    end = world.events[0].time + timedelta(days=day)
    return [event for event in world.events if event.time < end]


def alarms_on_no_change(world: GeneratedWorld) -> tuple[int, int]:
    """(alarms, signals judged) over ten days on which nothing changes."""
    kept, alarms, judged = made(world), 0, 0
    for day in range(31, 41):
        found = report(world, until(world, day), kept)
        alarms, judged = alarms + len(found.alarms), judged + len(found.signals)
    return alarms, judged


def test_no_change_raises_hardly_an_alarm(steady: GeneratedWorld) -> None:
    alarms, judged = alarms_on_no_change(steady)
    assert judged >= 10 * 5
    assert alarms <= 0.03 * judged, f"{alarms} of {judged}"


def test_a_textbook_limit_is_caught(steady: GeneratedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin: 0.1 for everything, as read in many a guide."""
    monkeypatch.setattr(watching, "_by_chance", lambda *_: 0.1)
    monkeypatch.setattr(watching, "_by_habit", lambda *_: 0.0)
    alarms, judged = alarms_on_no_change(steady)
    assert alarms > 0.03 * judged


def one_query(events: list[Event], world: GeneratedWorld, rng: np.random.Generator) -> list[Event]:
    asked = Counter(event.query for event in world.events if event.query).most_common(1)[0][0]
    return [
        msgspec.structs.replace(event, query=asked) if event.query and rng.random() < 0.8 else event for event in events
    ]


def dear_items(events: list[Event], world: GeneratedWorld, rng: np.random.Generator) -> list[Event]:
    price = world.table.numbers["price"]
    dear = np.argsort(-np.nan_to_num(price))[:30]
    return [elsewhere(event, dear, world, rng) for event in events]


def one_category(events: list[Event], world: GeneratedWorld, rng: np.random.Generator) -> list[Event]:
    leaf = world.table.leaf_category
    rare = np.flatnonzero(leaf == np.argmin(np.where(np.bincount(leaf) > 0, np.bincount(leaf), 10**9)))
    return [elsewhere(event, rare, world, rng) for event in events]


def elsewhere(event: Event, rows: np.ndarray, world: GeneratedWorld, rng: np.random.Generator) -> Event:
    if not event.item or rng.random() > 0.3:
        return event
    return msgspec.structs.replace(event, item=world.items[int(rng.choice(rows))].id)


def fewer_clicks(events: list[Event], world: GeneratedWorld, rng: np.random.Generator) -> list[Event]:
    return [event for event in events if event.type != "click" or rng.random() < 0.4]


def new_items(events: list[Event], world: GeneratedWorld, rng: np.random.Generator) -> list[Event]:
    return [
        msgspec.structs.replace(event, item="never-seen") if event.item and rng.random() < 0.3 else event
        for event in events
    ]


@pytest.mark.parametrize(
    ("plant", "names"),
    [
        (one_query, {"queries"}),
        (dear_items, {"prices"}),
        (one_category, {"categories"}),
        (fewer_clicks, {"clicks.search", "clicks.lists"}),
        (new_items, {"new_items"}),
    ],
)
def test_planted_drift_is_flagged_within_a_day(steady: GeneratedWorld, plant: Plant, names: set[str]) -> None:
    events = until(steady, 40)
    cut = events[-1].time - timedelta(days=1)
    before, last = [event for event in events if event.time <= cut], [event for event in events if event.time > cut]
    kept = made(steady)
    planted = report(steady, [*before, *plant(last, steady, np.random.default_rng(5))], kept)
    found = {signal.name for signal in planted.alarms}
    assert found & names, (found, planted.signals)
    assert not {signal.name for signal in report(steady, events, kept).alarms} & names


def test_the_same_events_give_the_same_report(steady: GeneratedWorld) -> None:
    kept, events = made(steady), until(steady, 35)
    assert report(steady, events, kept) == report(steady, events[::-1], kept)


def test_the_index_of_two_equal_halves_and_of_a_shift() -> None:
    assert psi(np.array([500.0, 500.0]), np.array([50.0, 50.0])) == pytest.approx(0, abs=1e-12)
    one, other = np.array([800.0, 200.0]), np.array([200.0, 800.0])
    assert psi(one, other) == pytest.approx(2 * 0.6 * np.log(4), rel=0.01)


@pytest.mark.parametrize("ties", [False, True])
def test_the_fast_distance_is_the_one_of_scipy(rng: np.random.Generator, ties: bool) -> None:
    for size in (20, 333):
        before, now = rng.normal(size=1_000), rng.normal(0.2, size=size)
        if ties:
            before, now = np.round(before, 1), np.round(now, 1)
        assert ks_from(before)(now) == pytest.approx(ks(before, now), abs=1e-12)


def test_too_little_says_nothing() -> None:
    few = Sample("x", np.zeros(40), np.arange(40, dtype=np.int32), np.arange(40, dtype=np.int32) % 20)
    assert watch(few, 1, np.random.default_rng(1)) is None


def test_a_shop_tells_its_drift(tmp_path: Path, quick: Callable[[Path], Path]) -> None:
    world = make_world(WorldSpec(n_items=60, n_shoppers=20, days=40))
    folder = quick(tmp_path / "shop")
    with bodega.open(folder) as shop:
        shop.catalog.upsert(world.items)
        shop.events.record(world.events)
        assert shop.learn().published
        start = world.events[-1].time + timedelta(hours=1)
        shop.events.record(
            [
                Event(id=f"n{number}", type="view", time=start + timedelta(seconds=200 * number), user=f"x{number}",
                      session=f"y{number}", item="never-seen")
                for number in range(300)
            ]
        )  # fmt: skip
        found = shop.drift()
        assert "new_items" in {signal.name for signal in found.alarms}
        assert [line for line in shop.health()["warnings"] if line.startswith("drift: new_items")]
        assert shop.drifted() == found
        assert found.levels["new_items"] > 1
    printed = CliRunner().invoke(app, ["drift", "--shop", str(folder), "--json"])
    assert printed.exit_code == 0, printed.output
    assert "new_items" in json.loads(printed.stdout)["alarms"]
    assert "new_items" in CliRunner().invoke(app, ["drift", "--shop", str(folder)]).stdout
