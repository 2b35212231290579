"""Repeat: only what the shopper bought, oftener and later first, by what people buy again, given up when overdue."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.retrieval.repeat import DAY, Repeat, RepeatOptions
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World

NOW = 1000 * DAY


def world_of(rows, n_items=4):
    """rows: (user, days before NOW, item), every row its own purchase."""
    rows = sorted(rows, key=lambda row: -row[1])
    user, days, item = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.empty(0),) * 3
    n = len(rows)
    log = Log(
        time=NOW - days * DAY,
        type=np.full(n, EVENT_CODES["purchase"], np.int8),
        user=user.astype(np.int32),
        session=np.arange(n, dtype=np.int32),
        item=item.astype(np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=int(user.max(initial=-1)) + 1,
        n_sessions=n,
    )
    return World(ItemTable.of(Item(id=str(row)) for row in range(n_items)), log, NOW)


def shopper(*bought, kind="purchase"):
    """bought: (days ago, item)."""
    bought = sorted(bought, reverse=True)
    return Context(
        place="repeat",
        now=NOW,
        history=np.array([item for _, item in bought], np.int32),
        times=NOW - np.array([days for days, _ in bought]) * DAY,
        actions=np.full(len(bought), EVENT_CODES[kind], np.int8),
    )


def best(source, context):
    return source.retrieve(context, 9).items.tolist()


def test_only_what_was_bought_has_a_score():
    source = Repeat().fit(world_of([(0, 5, 1)]))
    scores = source.score(shopper((3, 2)), np.arange(4, dtype=np.int32))
    assert np.isfinite(scores).tolist() == [False, False, True, False]
    assert len(source.retrieve(shopper((3, 2), kind="view"), 9)) == 0


def test_oftener_first_and_lately_first():
    source = Repeat().fit(world_of([]))
    assert best(source, shopper((10, 1), (20, 1), (10, 2))) == [1, 2]
    assert best(source, shopper((200, 1), (2, 2))) == [2, 1]


def test_plain_counts_and_nothing_else():
    source = Repeat(RepeatOptions(plain=True)).fit(world_of([]))
    context = shopper((300, 3), (310, 3), (1, 1), (2, 0))
    assert best(source, context) == [3, 0, 1]
    assert source.score(context, np.array([3, 0, 2], np.int32))[:2].tolist() == [2, 1]


def test_what_people_buy_again_comes_before_what_they_buy_once():
    milk = [(user, day, 0) for user in range(30) for day in (10, 20, 30)]
    pans = [(user, 20, 1) for user in range(30)]
    source = Repeat().fit(world_of(milk + pans))
    assert source.propensity[0] > 1
    assert source.propensity[1] < -0.5
    assert best(source, shopper((5, 0), (5, 1))) == [0, 1]


def test_two_lines_of_one_moment_are_not_a_second_purchase():
    source = Repeat().fit(world_of([(user, 10, 0) for user in range(30) for _ in range(2)]))
    assert source.propensity[0] < -5


def test_the_usual_gap_is_learned():
    source = Repeat().fit(world_of([(user, day, 0) for user in range(300) for day in (10, 17, 24)]))
    assert np.exp(source.gap[0]) == pytest.approx(7.5, rel=0.05)


def test_far_past_its_rhythm_is_given_up():
    weekly = [(user, day, item) for user in range(200) for day in (10, 17, 24) for item in (0,)]
    yearly = [(user, day, 1) for user in range(200) for day in (10, 375)]
    source = Repeat(RepeatOptions(rhythm=1.0, propensity=0.0)).fit(world_of(weekly + yearly))
    assert best(source, shopper((120, 0), (120, 1))) == [1, 0]
    assert best(
        Repeat(RepeatOptions(rhythm=0.0, propensity=0.0)).fit(world_of(weekly)), shopper((120, 0), (120, 1))
    ) == [
        0,
        1,
    ]


def test_purchases_after_now_do_not_break_it():
    scores = Repeat().fit(world_of([])).score(shopper((-5, 1)), np.array([1], np.int32))
    assert np.isfinite(scores).all()


def test_a_history_of_nothing_and_a_catalog_of_nothing():
    source = Repeat().fit(world_of([]))
    assert len(source.retrieve(Context(), 5)) == 0
    assert np.isnan(source.score(Context(), np.arange(4, dtype=np.int32))).all()
