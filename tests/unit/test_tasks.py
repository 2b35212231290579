"""A log as multi-task examples: what happened to what was shown, as of then, and a leak that is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bodega.errors import BadRequest, LeakFound
from bodega.evaluation import CaseOptions, Window, place_cases
from bodega.features import State
from bodega.ranking.learned._net_describe import AsOf
from bodega.ranking.learned.tasks import (
    RECENT,
    TASKS,
    Examples,
    Replay,
    Shown,
    check_examples,
    examples_of,
    examples_of_cases,
    outcomes,
)
from bodega.retrieval.content import Content
from bodega.retrieval.popular import Popular
from bodega.retrieval.transition import Transition
from bodega.schema import EVENT_CODES, Context, Log
from bodega.testing.world import GeneratedWorld

DAY = 86_400.0


def log_of(rows: list[tuple[Any, ...]]) -> Log:
    """(time, type, user, session, item, position, value) a row, in order of time."""
    time, kind, user, session, item, position, value = zip(*rows, strict=True)
    return Log(
        time=np.array(time, np.float64),
        type=np.array([EVENT_CODES[name] for name in kind], np.int8),
        user=np.array(user, np.int32),
        session=np.array(session, np.int32),
        item=np.array(item, np.int32),
        quantity=np.ones(len(rows), np.float32),
        value=np.array(value, np.float32),
        query=np.full(len(rows), -1, np.int32),
        position=np.array(position, np.int32),
        n_users=max(user) + 1,
        n_sessions=max(session) + 1,
    )


NAN = float("nan")
VISIT = [
    (0.0, "impression", 0, 0, 5, 0, NAN),
    (1.0, "impression", 0, 0, 6, 1, NAN),
    (2.0, "impression", 0, 0, 7, 2, NAN),
    (3.0, "click", 0, 0, 6, 1, NAN),
    (63.0, "cart", 0, 0, 6, -1, NAN),
    (70.0, "impression", 0, 0, 6, 0, NAN),
    (71.0, "impression", 0, 0, 5, 1, NAN),
    (80.0, "purchase", 0, 0, 5, -1, NAN),
    (90.0, "click", 1, 1, 7, 2, NAN),
    (500.0, "rating", 0, 2, 5, -1, 5.0),
]


def test_lists_begin_anew_where_places_do() -> None:
    log = log_of(VISIT)
    shown = Shown.of(log)
    assert shown.starts.tolist() == [0, 3, 5]
    assert log.item[shown.rows].tolist() == [5, 6, 7, 6, 5]


def test_what_happened_goes_to_the_last_impression_and_climbs() -> None:
    log = log_of(VISIT)
    told = outcomes(log, Shown.of(log).rows)
    click, cart, purchase, dwell, stars = told.T
    assert click.tolist() == [0, 1, 0, 0, 1], "who bought also went for it; another visit's click is not ours"
    assert cart.tolist() == [0, 1, 0, 0, 1]
    assert purchase.tolist() == [0, 0, 0, 0, 1]
    assert np.isnan(dwell[[0, 2, 3, 4]]).all()
    assert dwell[1] == pytest.approx(np.log1p(60) / np.log1p(600))
    assert stars[4] == 1
    assert np.isnan(stars[:4]).all()


def test_tasks_that_the_log_does_not_tell_are_left_out() -> None:
    examples = small(labels=[[1, 0, 0, NAN, NAN], [0, 0, 0, NAN, NAN]])
    assert examples.told(1).tasks == ("click",)
    assert examples.told(2).tasks == ()


def small(labels: list[list[float]], user: int = 0) -> Examples:
    n = len(labels)
    return Examples(
        columns=("a",),
        tasks=TASKS,
        values=np.arange(n, dtype=np.float32)[:, None],
        labels=np.array(labels, np.float32),
        item=np.arange(n, dtype=np.int32),
        position=np.arange(n, dtype=np.int32),
        starts=np.array([0, n]),
        recent=np.full((1, RECENT), -1, np.int32),
        actions=np.zeros((1, RECENT), np.int8),
        user=np.array([user], np.int32),
        query=np.array([-1], np.int32),
        moment=np.zeros(1),
    )


def test_parts_are_joined_and_parted_again() -> None:
    one, two = small([[1, 0, 0, NAN, NAN]] * 2, user=4), small([[0, 0, 0, NAN, NAN]] * 3, user=9)
    both = Examples.joined([one, two])
    assert both.starts.tolist() == [0, 2, 5]
    assert both.list_of.tolist() == [0, 0, 1, 1, 1]
    back = both.lists(np.array([1]))
    assert np.array_equal(back.labels, two.labels, equal_nan=True)
    most, rest = both.held_out(0.5, seed=1)
    assert {*most.user.tolist()} & {*rest.user.tolist()} == set()
    assert len(most) + len(rest) == 5
    with pytest.raises(BadRequest, match="cannot be joined"):
        Examples.joined([one, two.only(("click",))])


@pytest.fixture(scope="module")
def shop(small_world: GeneratedWorld) -> tuple[GeneratedWorld, AsOf, Window]:
    start = small_world.spec.opening.timestamp()
    window = Window(start + 30 * DAY, small_world.end)
    return small_world, describer(small_world, window), window


def describer(world: GeneratedWorld, window: Window) -> AsOf:
    known = world.world(window.start)
    return AsOf([source.fit(known) for source in (Popular(), Transition(), Content())], known)


def test_examples_hold_what_was_known_then(shop: tuple[GeneratedWorld, AsOf, Window]) -> None:
    world, _, window = shop
    examples = examples_of(world.log, describer(world, window), window)
    assert examples.n_lists > 100
    assert np.isfinite(examples.values).all()
    assert (examples.labels[:, 0] >= examples.labels[:, 2]).all()
    assert {"click", "cart", "purchase"} <= set(examples.told(10).tasks)
    check_examples(examples, world.log, lambda _: describer(world, window), Replay(window, lists=4))


def test_a_planted_leak_is_found(shop: tuple[GeneratedWorld, AsOf, Window]) -> None:
    """The state of the whole log instead of the state of the moment: the item that is bought looks wanted before."""
    world, _, window = shop

    class Knows(AsOf):
        def see(self, log: Log, upto: int) -> None:
            super().see(log, len(log))

    known = world.world(window.start)
    leaky = Knows([Popular().fit(known)], known)
    leaky.see(world.log, 0)
    examples = examples_of(world.log, leaky, window, most=10)
    fair = AsOf([Popular().fit(known)], known)
    with pytest.raises(LeakFound, match="what came later"):
        check_examples(examples, world.log, lambda _: AsOf(fair.sources, known), Replay(window, lists=3))


def test_a_history_of_the_future_is_found(shop: tuple[GeneratedWorld, AsOf, Window]) -> None:
    world, _, window = shop
    examples = examples_of(world.log, describer(world, window), window, most=5)
    examples.recent[:, 0] = 1 + examples.recent[:, 0]
    with pytest.raises(LeakFound, match="another history"):
        check_examples(examples, world.log, lambda _: describer(world, window), Replay(window, lists=5))


def test_lists_from_before_the_window_are_found(shop: tuple[GeneratedWorld, AsOf, Window]) -> None:
    world, _, window = shop
    examples = examples_of(world.log, describer(world, window), window, most=5)
    later = Window(window.start + 14 * DAY, window.end)
    with pytest.raises(LeakFound, match="before the window"):
        check_examples(examples, world.log, lambda _: describer(world, window), Replay(later))


def test_cases_become_examples_by_what_the_shopper_did(shop: tuple[GeneratedWorld, AsOf, Window]) -> None:
    world, _, window = shop
    cases = place_cases(world.log, "home", window, CaseOptions(limit=20))
    describes = describer(world, window)
    examples = examples_of_cases(world.log, describes, cases, lambda case: describes.candidates(case.context))
    assert examples.n_lists == len(cases)
    ordered = sorted(cases, key=lambda case: case.context.now)
    for number, case in enumerate(ordered):
        rows = slice(int(examples.starts[number]), int(examples.starts[number + 1]))
        right = np.isin(examples.item[rows], case.relevant)
        assert np.array_equal(examples.labels[rows][:, 0] > 0, right)
    assert examples.labels[:, 2].sum() > 0


def test_an_empty_window_and_unknown_shoppers_give_no_error(small_world: GeneratedWorld) -> None:
    window = Window(small_world.end + DAY, small_world.end + 2 * DAY)
    describes = describer(small_world, window)
    empty = examples_of(small_world.log, describes, window)
    assert len(empty) == 0
    assert empty.n_lists == 0
    nobody = Context(now=small_world.end)
    values = describes.describe(nobody, np.array([3, 1], np.int32))
    assert np.isfinite(values).all()
    assert isinstance(describes.recipe.state, State)
