"""Popularity: newer counts more, what rises is told from what is big, and there is always an answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from bodega.retrieval.popular import DAY, Popular, PopularOptions
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World
from bodega.testing.world import WorldSpec, make_world

UNTIL = 400 * DAY


def table(categories, created=()):
    made = dict(enumerate(created))
    return ItemTable.of(
        Item(id=str(row), category=(name,) if name else (), created=made.get(row))
        for row, name in enumerate(categories)
    )


def log_of(events):
    """events: (days before UNTIL, type, item)."""
    rows = sorted(
        ((UNTIL - days * DAY, EVENT_CODES[kind], item) for days, kind, item in events), key=lambda row: row[0]
    )
    time, kind, item = (np.array(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    n = len(rows)
    return Log(
        time=np.asarray(time, np.float64),
        type=np.asarray(kind, np.int8),
        user=np.arange(n, dtype=np.int32),
        session=np.arange(n, dtype=np.int32),
        item=np.asarray(item, np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=n,
        n_sessions=n,
    )


def learned(categories, events, **options):
    return Popular(PopularOptions(**options)).fit(World(table(categories), log_of(events), UNTIL))


def best(source, k=10, **context):
    return source.retrieve(Context(now=UNTIL, **context), k).items.tolist()


def test_one_half_life_halves_a_count():
    source = learned(["", ""], [(0, "purchase", 0), (21, "purchase", 1)], half_life_days=21)
    scores = source.score(Context(), np.array([0, 1], np.int32))
    assert scores[0] - scores[1] == pytest.approx(np.log(2), abs=1e-3)


def test_purchases_count_more_than_views_and_impressions_not_at_all():
    source = learned([""] * 3, [(1, "purchase", 0), *[(1, "view", 1)] * 4, *[(1, "impression", 2)] * 50])
    assert best(source) == [0, 1]
    assert np.isnan(source.score(Context(), np.array([2], np.int32)))


def test_what_rises_is_not_what_is_big():
    steady = [(day + 0.5, "purchase", 0) for day in range(60) for _ in range(5)]
    burst = [(day + 0.5, "purchase", 1) for day in range(4) for _ in range(5)]
    source = learned(["", "", ""], [*steady, *burst, (90, "purchase", 2)])
    assert best(source, place="popular") == [0, 1, 2]
    assert best(source, place="trending") == [1, 0]


def test_the_shoppers_categories_come_up_but_not_on_the_list_for_everybody():
    events = [
        *[(1, "purchase", 0)] * 30,
        *[(1, "purchase", 1)] * 10,
        *[(1, "purchase", 2)] * 9,
        *[(1, "purchase", 3)] * 3,
    ]
    source = learned(["tea", "tea", "pets", "pets"], events, taste=5.0)
    mine = {"history": np.full(4, 3, np.int32), "times": np.arange(4.0), "actions": np.zeros(4, np.int8)}
    assert best(source) == [0, 1, 2, 3]
    assert best(source, **mine) == [2, 0, 3, 1]
    assert best(source, place="popular", **mine) == [0, 1, 2, 3]


def test_anchors_bring_their_own_category_first():
    events = [*[(1, "purchase", 0)] * 50, *[(1, "purchase", 1)] * 2, (1, "purchase", 2)]
    source = learned(["tea", "pets", "pets"], events)
    assert best(source, place="category", items=np.array([2], np.int32)) == [1, 2, 0]


@pytest.mark.parametrize(("created", "basis", "order"), [((), "order", [0, 1, 2]), ((3, 1, 9), "newest", [2, 0, 1])])
def test_without_events_the_order_is_honest(created, basis, order):
    items = table([""] * 3, [datetime.fromtimestamp(day * DAY, UTC) for day in created])
    source = Popular().fit(World(items, log_of([]), UNTIL))
    assert source.basis == basis
    for place in ("home", "popular", "trending", "category"):
        assert best(source, place=place) == order


def test_events_are_named_as_the_basis():
    assert learned([""], [(1, "view", 0)]).basis == "events"


def test_the_merge_of_shelves_is_exact(rng):
    """Many small categories, many ties: the lazy merge must equal sorting everything, for every k."""
    categories = [f"c{code}" for code in rng.integers(0, 40, 600)]
    events = [(float(rng.integers(0, 50)), "purchase", int(item)) for item in rng.zipf(1.3, 4000) % 600]
    source = learned(categories, events, taste=2.0)
    everything = np.arange(600, dtype=np.int32)
    for size in (1, 5, 300):
        history = rng.integers(0, 600, size).astype(np.int32)
        context = Context(history=history, times=np.arange(size, dtype=np.float64), actions=np.zeros(size, np.int8))
        scores = source.score(context, everything)
        order = np.argsort(-np.nan_to_num(scores, nan=-1e9), kind="stable")[: np.isfinite(scores).sum()]
        for k in (1, 7, 50, 200, 1000):
            assert source.retrieve(context, k).items.tolist() == order[:k].tolist()


def test_answers_are_copies():
    source = learned(["", ""], [(1, "purchase", 0), (1, "purchase", 1)])
    source.retrieve(Context(), 2).items[:] = 9
    assert best(source) == [0, 1]


def test_future_events_do_not_count_more_than_now():
    world = World(table(["", ""]), log_of([(-500, "purchase", 0), (0, "purchase", 1)]), UNTIL)
    scores = Popular().fit(replace(world)).score(Context(), np.array([0, 1], np.int32))
    assert scores[0] == scores[1]


def test_a_search_is_not_ordered_by_the_date_of_arrival() -> None:
    world = make_world(WorldSpec(n_items=20, n_shoppers=2, days=1))
    silent = World(world.table, world.log.where(np.zeros(len(world.log), bool)), world.end)
    popular = Popular().fit(silent)
    asked = Context(place="search", query="tea")
    assert np.isnan(popular.score(asked, np.arange(20, dtype=np.int32))).all()
    assert len(popular.retrieve(asked, 5)) == 0
    assert len(popular.retrieve(Context(place="home"), 5)) == 5


def test_a_large_shop_on_its_first_day_has_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """e to the number of an item's place overflows: from 730,000 items without events on, on this grid from 710."""
    monkeypatch.setattr("bodega.retrieval.popular.GRID", 1)
    spec = make_world(WorldSpec(n_items=16, n_shoppers=1, days=1))
    silent = spec.log.where(np.zeros(len(spec.log), bool))
    many = ItemTable.of(Item(id=str(row), category=("a",) if row % 2 else ("b",)) for row in range(2_000))
    source = Popular().fit(World(many, silent, UNTIL))
    assert np.isfinite(source.shares).all()
    assert source.shares.sum() == pytest.approx(1)
