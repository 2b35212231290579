"""Matrix, graph and slim in worlds whose right answer is known on paper, and against popularity where taste exists."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.retrieval.graph import Graph, GraphOptions
from bodega.retrieval.matrix import Matrix, MatrixOptions
from bodega.retrieval.popular import Popular
from bodega.retrieval.slim import Slim, SlimOptions
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World

DAY = 86_400.0
NOW = 1000 * DAY

FAMILY = {
    "matrix": lambda: Matrix(MatrixOptions(factors=8)),
    "graph": Graph,
    "slim": lambda: Slim(SlimOptions(ridge=2.0)),
}


def world_of(sequences, n_items, *, tags=None, starts=None):
    """sequences: one list of items a shopper, one item a day from the shopper's start, each day a visit of its own."""
    starts = starts if starts is not None else [0] * len(sequences)
    rows = [
        ((start + day) * DAY, user, item)
        for user, (items, start) in enumerate(zip(sequences, starts, strict=True))
        for day, item in enumerate(items)
    ]
    rows.sort(key=lambda row: row[0])
    n = len(rows)
    log = Log(
        time=np.array([row[0] for row in rows], np.float64),
        type=np.full(n, EVENT_CODES["purchase"], np.int8),
        user=np.array([row[1] for row in rows], np.int32),
        session=np.arange(n, dtype=np.int32),
        item=np.array([row[2] for row in rows], np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=len(sequences),
        n_sessions=n,
    )
    items = ItemTable.of(Item(id=str(row), tags=tuple(tags[row]) if tags else ()) for row in range(n_items))
    return World(items, log, NOW)


def after(*history, place="home"):
    return Context(
        place=place,
        now=NOW,
        history=np.array(history, np.int32),
        times=np.arange(len(history)) * DAY,
        actions=np.full(len(history), EVENT_CODES["purchase"], np.int8),
    )


@pytest.mark.parametrize("name", FAMILY)
def test_two_tribes(name, rng):
    """Two tribes share one bestseller; each is shown its own goods before the other's."""
    tribes = [np.arange(1, 21), np.arange(21, 41)]
    sequences = [np.append(rng.permutation(tribes[user % 2])[:8], 0) for user in range(200)]
    source = FAMILY[name]().fit(world_of(sequences, 41))
    for tribe, goods in enumerate(tribes):
        got = source.retrieve(after(*goods[:3]), 41).items
        got = got[(got > 0) & ~np.isin(got, goods[:3])][:12]
        assert len(got) == 12
        assert np.isin(got, goods).all(), f"tribe {tribe} was shown {got}"


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("place", ["home", "similar", "together", "basket", "search"])
def test_one_item_and_nobody_and_nothing(name, place):
    one = np.zeros(1, np.int32)
    for sequences in ([], [[0]], [[0, 0, 0]]):
        source = FAMILY[name]().fit(world_of(sequences, 1))
        for context in (Context(place=place), after(0, place=place), Context(place=place, items=one)):
            got = source.retrieve(context, 5)
            assert got.items.tolist() in ([], [0])
            assert source.score(context, one).shape == (1,)
    empty = FAMILY[name]().fit(world_of([], 0))
    assert len(empty.retrieve(Context(place=place), 5)) == 0


@pytest.mark.parametrize("name", FAMILY)
def test_a_history_of_ten_thousand_and_a_shopper_who_has_everything(name, rng):
    source = FAMILY[name]().fit(world_of([rng.permutation(30)[:9] for _ in range(60)], 30))
    long = after(*rng.integers(0, 30, 10_000))
    got = source.retrieve(long, 10)
    assert len(got) == 10
    assert np.isfinite(got.score).all()
    assert len(np.unique(got.items)) == 10


@pytest.mark.parametrize("name", FAMILY)
def test_beats_popularity_where_tastes_exist(name, rng):
    """Four tribes, goods wanted unequally, the last item hidden: popularity cannot know the tribe."""
    odds = 1 / np.arange(1, 31)
    wanted = [rng.choice(30, 8, replace=False, p=odds / odds.sum()) + 30 * (user % 4) for user in range(320)]
    world = world_of([own[:-1] for own in wanted], 120)
    own, popular = FAMILY[name]().fit(world), Popular().fit(world)
    reached = {"own": 0, "popular": 0}
    for items in wanted:
        for key, source in (("own", own), ("popular", popular)):
            got = source.retrieve(after(*items[:-1]), 60).items
            reached[key] += int(items[-1] in got[~np.isin(got, items[:-1])][:10])
    assert reached["own"] > 1.5 * reached["popular"], reached  # 8 of the tribe's 23 others are right by taste alone


def test_a_broken_trend_is_followed():
    """0 led to 1 for a year (100 shoppers), then to 2 (30 shoppers): the later answer comes first, in time."""
    sequences = [[0, 1]] * 100 + [[0, 2]] * 30
    starts = [300] * 100 + [990] * 30
    world = world_of(sequences, 3, starts=starts)
    assert Slim(SlimOptions(ridge=2.0)).fit(world).retrieve(after(0), 1).items.tolist() == [2]
    timeless = Slim(SlimOptions(ridge=2.0, half_life_days=1e6)).fit(world)
    assert timeless.retrieve(after(0), 1).items.tolist() == [1], "the world has no break to see"


def test_slim_gives_company_no_credit():
    """2 comes only after 0; 1 is always there too. Counting credits both, the regression credits 0 far more."""
    sequences = [[1, 0, 2]] * 40 + [[1, 3]] * 120 + [[0, 2]] * 40
    source = Slim(SlimOptions(ridge=2.0, reverse=0.0)).fit(world_of(sequences, 4))
    two = np.array([2], np.int32)
    explained, company = float(source.score(after(0), two)[0]), float(source.score(after(1), two)[0])
    assert explained > 0.8
    assert not company > 0.1 * explained


def test_slim_is_the_ridge_regression_of_the_next_step():
    """Against the normal equations written out in full: one earlier item, no decay, no reverse."""
    sequences = [[0, 1], [0, 1], [0, 2], [3, 1]]
    options = SlimOptions(ridge=1.0, reverse=0.0, half_life_days=1e9)
    source = Slim(options).fit(world_of(sequences, 4))
    past, then = np.zeros((4, 4)), np.zeros((4, 4))
    for row, (first, second) in enumerate(sequences):
        past[row, first] = then[row, second] = 1
    exact = np.linalg.solve(past.T @ past + np.eye(4), past.T @ then)
    for seed in (0, 3):
        got = np.nan_to_num(source.score(after(seed), np.arange(4, dtype=np.int32)))
        assert np.allclose(got, exact[seed], atol=1e-5)


def test_the_graph_reaches_in_two_steps_what_one_does_not():
    """0 was taken with 1, 1 with 2, never 0 with 2; 3 shares a tag with 2 and has no events."""
    tags = [(), (), ("a",), ("a",), ()]
    world = world_of([[0, 1]] * 5 + [[1, 2]] * 5, 5, tags=tags)
    one = Graph(GraphOptions(steps=1)).fit(world)
    two = Graph(GraphOptions(steps=2)).fit(world)
    three = Graph(GraphOptions(steps=3)).fit(world)
    assert one.retrieve(after(0), 9).items.tolist() == [1]
    assert set(two.retrieve(after(0), 9).items.tolist()) >= {1, 2}
    assert two.retrieve(after(0), 1).items.tolist() == [1]
    assert 3 in three.retrieve(after(0), 9).items.tolist()
    assert 3 in one.retrieve(after(2), 9).items.tolist(), "an item without events is found by its tag"


def test_a_folded_in_shopper_is_the_solution_of_the_normal_equations(rng):
    """Hu et al. eq. 4, written out in float64: the shopper of three items against the item vectors."""
    options = MatrixOptions(factors=6, history_decay=0.5)
    source = Matrix(options).fit(world_of([rng.permutation(20)[:6] for _ in range(50)], 20))
    items = source.items.astype(np.float64)
    weight = np.array([0.25, 0.5, 1.0])
    held = items[[4, 7, 9]]
    ridge = options.ridge * (3 + options.unseen * 20)
    normal = options.unseen * items.T @ items + held.T @ (held * weight[:, None]) + ridge * np.eye(6)
    expected = items @ np.linalg.solve(normal, (held * weight[:, None]).sum(axis=0))
    got = source.score(after(4, 7, 9), np.arange(20, dtype=np.int32))
    assert np.allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_the_parts_of_the_seeds_name_the_right_one(rng):
    """Two tribes: of a history with one item of each, the item of the answer's own tribe is named first."""
    sequences = [rng.permutation(10)[:6] + 10 * (user % 2) for user in range(100)]
    source = Matrix(MatrixOptions(factors=4)).fit(world_of(sequences, 20))
    asked = np.array([5, 15], np.int32)
    assert source.because(after(1, 11), asked, 1)[:, 0].tolist() == [1, 11]
