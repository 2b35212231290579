"""Collaborative: the closed form is the closed form, the switch switches, kNN is the damped cosine."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.retrieval.collaborative import Collaborative, CollaborativeOptions
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World

N_USERS, N_ITEMS = 80, 30


@pytest.fixture
def tastes(rng):
    """Users x items, item 7 never touched."""
    held = rng.random((N_USERS, N_ITEMS)) < np.linspace(0.05, 0.5, N_ITEMS)
    held[:, 7] = False
    return held


def world_of(held, kind="purchase"):
    user, item = np.nonzero(held)
    n = len(user)
    log = Log(
        time=np.arange(n, dtype=np.float64),
        type=np.full(n, EVENT_CODES[kind], np.int8),
        user=user.astype(np.int32),
        session=user.astype(np.int32),
        item=item.astype(np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=len(held),
        n_sessions=len(held),
    )
    return World(ItemTable.of(Item(id=str(row)) for row in range(held.shape[1])), log, 1e6)


def dense(source):
    near, n = source.near, len(source.near)
    out = np.zeros((n, n))
    out[np.repeat(np.arange(n), np.diff(near.starts)), near.items] = near.weights
    return out


def test_ease_is_the_closed_form(tastes):
    """Steck 2019, equation 8, on the touched items, negative weights left out."""
    source = Collaborative(options=CollaborativeOptions(ridge=20.0)).fit(world_of(tastes))
    assert source.method == "ease"
    sold = np.delete(np.arange(N_ITEMS), 7)
    inverse = np.linalg.inv(tastes[:, sold].T.astype(float) @ tastes[:, sold] + 20 * np.eye(len(sold)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    expected = np.zeros((N_ITEMS, N_ITEMS))
    expected[np.ix_(sold, sold)] = np.maximum(weights, 0)
    assert dense(source) == pytest.approx(expected, abs=1e-5)


def test_many_sold_items_switch_to_the_damped_cosine(tastes):
    source = Collaborative(ease_items=28, options=None).fit(world_of(tastes))
    assert source.method == "knn"
    together = tastes.T.astype(float) @ tastes
    norm = np.sqrt(np.diag(together))
    expected = together / (np.outer(norm, norm) + source.options.shrink)
    np.fill_diagonal(expected, 0)
    assert dense(source) == pytest.approx(expected, abs=1e-6)


def test_the_switch_counts_sold_items_not_the_catalog(tastes):
    assert Collaborative(ease_items=29).fit(world_of(tastes)).method == "ease"


def test_a_log_of_views_learns_like_a_log_of_purchases(tastes):
    bought, viewed = (Collaborative().fit(world_of(tastes, kind)) for kind in ("purchase", "view"))
    assert np.array_equal(dense(bought), dense(viewed))


@pytest.mark.parametrize("ease_items", [0, 100])
def test_only_the_best_entries_are_kept(tastes, ease_items):
    whole = dense(Collaborative(ease_items=ease_items).fit(world_of(tastes)))
    options = CollaborativeOptions(ease_items=ease_items, top=3)
    cut = dense(Collaborative(options=options).fit(world_of(tastes)))
    assert ((cut > 0).sum(1) <= 3).all()
    for row, kept in zip(whole, cut, strict=True):
        assert sorted(kept[kept > 0]) == pytest.approx(sorted(row[row > 0])[-3:])


def test_only_the_newest_items_of_a_shopper_teach():
    held = np.ones((4, 6), bool)
    source = Collaborative(ease_items=0, options=None)
    source.options = CollaborativeOptions(ease_items=0, newest=2)
    got = dense(source.fit(world_of(held)))
    assert np.argwhere(got > 0).tolist() == [[4, 5], [5, 4]]


def test_newer_history_counts_more():
    held = np.zeros((20, 4), bool)
    held[:10, [0, 2]] = True
    held[10:, [1, 3]] = True
    source = Collaborative(options=CollaborativeOptions(ridge=1.0)).fit(world_of(held))
    for history, first in (([0, 1], 3), ([1, 0], 2)):
        context = Context(history=np.array(history, np.int32), times=np.array([1.0, 2.0]), actions=np.zeros(2, np.int8))
        assert source.retrieve(context, 1).items.tolist() == [first]
