"""Worlds whose right answer is known on paper: checkerboard, two tribes, a chain, one item, nobody."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.retrieval.collaborative import Collaborative, CollaborativeOptions
from bodega.retrieval.popular import Popular
from bodega.retrieval.repeat import Repeat
from bodega.retrieval.transition import Transition
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World

DAY = 86_400.0


def world_of(sequences, n_items, categories=None):
    """sequences: one list of items a shopper, one item a day, each day a visit of its own."""
    user = np.repeat(np.arange(len(sequences)), [len(items) for items in sequences])
    time = np.concatenate([np.arange(len(items)) * DAY for items in sequences]) if sequences else np.empty(0)
    item = np.concatenate([np.asarray(items, int) for items in sequences]) if sequences else np.empty(0, int)
    order = np.argsort(time, kind="stable")
    n = len(order)
    log = Log(
        time=time[order],
        type=np.full(n, EVENT_CODES["purchase"], np.int8),
        user=user[order].astype(np.int32),
        session=order.astype(np.int32),
        item=item[order].astype(np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=len(sequences),
        n_sessions=n,
    )
    items = ItemTable.of(Item(id=str(row), category=(categories[row],) if categories else ()) for row in range(n_items))
    return World(items, log, 1000 * DAY)


def after(*history, place="home"):
    n = len(history)
    return Context(
        place=place,
        now=1000 * DAY,
        history=np.array(history, np.int32),
        times=np.arange(n) * DAY,
        actions=np.full(n, EVENT_CODES["purchase"], np.int8),
    )


LEARNERS = {
    "transition": Transition,
    "ease": lambda: Collaborative(options=CollaborativeOptions(ridge=10.0)),
    "knn": lambda: Collaborative(ease_items=0),
}
ALL = {**LEARNERS, "popular": Popular, "repeat": Repeat}


@pytest.mark.parametrize("name", LEARNERS)
def test_checkerboard(name, rng):
    """Even shoppers take only even items, odd ones only odd: nobody is shown the other colour."""
    sequences = [rng.permutation(np.arange(user % 2, 40, 2))[:12] for user in range(80)]
    source = LEARNERS[name]().fit(world_of(sequences, 40))
    for colour in (0, 1):
        got = source.retrieve(after(colour, colour + 6, colour + 12), 40).items
        assert len(got) >= 17
        assert (got % 2 == colour).all()


@pytest.mark.parametrize("name", LEARNERS)
def test_two_tribes(name, rng):
    """Two tribes share one bestseller; each is shown its own goods before the other's."""
    tribes = [np.arange(1, 21), np.arange(21, 41)]
    sequences = [np.append(rng.permutation(tribes[user % 2])[:8], 0) for user in range(100)]
    source = LEARNERS[name]().fit(world_of(sequences, 41))
    for tribe, goods in enumerate(tribes):
        got = source.retrieve(after(*goods[:3]), 41).items
        got = got[got > 0][:15]
        assert len(got) == 15
        assert np.isin(got, goods).all(), f"tribe {tribe} was shown {got}"


def test_two_tribes_by_category(rng):
    """Popularity alone learns a tribe from its category, given a history long enough to be believed."""
    sequences = [rng.permutation(np.arange(20) + 20 * (user % 2))[:8] for user in range(100)]
    source = Popular().fit(world_of(sequences, 40, [*["a"] * 20, *["b"] * 20]))
    for tribe in (0, 1):
        got = source.retrieve(after(*[20 * tribe] * 2000), 20).items
        assert (got // 20 == tribe).all()


def test_chain():
    """A then B then C then D: the next link comes first, what came before comes last."""
    source = Transition().fit(world_of([[0, 1, 2, 3]] * 20, 5))
    assert source.retrieve(after(0), 9).items.tolist() == [1, 2, 3]
    assert source.retrieve(after(0, 1), 1).items.tolist() == [2]
    assert source.retrieve(after(2), 9).items.tolist()[0] == 3
    assert np.isnan(source.score(after(0), np.array([4], np.int32)))


def test_the_collaborative_source_knows_no_order():
    forward, backward = (Collaborative().fit(world_of([chain] * 20, 4)) for chain in ([0, 1, 2, 3], [3, 2, 1, 0]))
    assert np.array_equal(forward.near.weights, backward.near.weights)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "place", ["home", "similar", "together", "basket", "category", "popular", "trending", "repeat"]
)
def test_one_item_and_nobody_and_nothing(name, place):
    one = np.zeros(1, np.int32)
    for sequences in ([], [[0]], [[0, 0, 0]]):
        source = ALL[name]().fit(world_of(sequences, 1))
        for context in (Context(place=place), after(0, place=place), Context(place=place, items=one)):
            got = source.retrieve(context, 5)
            assert got.items.tolist() in ([], [0])
            assert source.score(context, one).shape == (1,)
            assert np.isfinite(got.score).all()
    assert Popular().fit(world_of([], 1)).retrieve(Context(place=place), 5).items.tolist() == [0]


@pytest.mark.parametrize("name", ALL)
def test_an_empty_catalog(name):
    source = ALL[name]().fit(world_of([], 0))
    assert len(source.retrieve(Context(), 5)) == 0
    assert source.score(Context(), np.empty(0, np.int32)).shape == (0,)


@pytest.mark.parametrize("name", ALL)
def test_events_of_unknown_items_teach_nothing(name):
    known, more = world_of([[0, 1, 2]] * 5, 4), world_of([[0, 1, 2]] * 5 + [[-1, -1]] * 5, 4)
    one, two = ALL[name]().fit(known), ALL[name]().fit(more)
    everything = np.arange(4, dtype=np.int32)
    assert np.array_equal(one.score(after(0, 1), everything), two.score(after(0, 1), everything), equal_nan=True)
