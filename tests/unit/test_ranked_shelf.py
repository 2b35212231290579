"""A learned ranker serves a shelf that has changed since: new items are blank to it, events reach its counters once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import bodega
from bodega import Event, EventType, Item, Request, Shop
from bodega.engine.answer import Engine
from bodega.engine.places import PLACES
from bodega.features import State
from bodega.ranking.learned import Linear, Ordering, Ranker, Recipe
from bodega.schema import World
from bodega.testing.world import GeneratedWorld

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def by_one_column(recipe: Recipe, column: str) -> Ranker:
    """A ranker that looks at nothing but one feature."""
    n = len(recipe.columns)
    weights = np.zeros(n, np.float32)
    weights[recipe.columns.index(column)] = 1
    ones, zeros = np.ones(n, np.float32), np.zeros(n, np.float32)
    return Ranker(recipe, Linear(weights, zeros, ones, np.zeros(1, np.float32)))


@pytest.fixture
def served(small_shop: Shop, small_world: GeneratedWorld) -> Engine:
    """The small shop's engine with a ranker on home that orders by one counter alone: the most wanted first."""
    engine = small_shop.engine
    place = PLACES["home"]
    state = State.fit(World(engine.shelf.base, small_world.log, small_world.end))
    recipe = Recipe(place.name, engine.learned.ordering.fusion, state, place.among(engine.learned.sources))
    ranker = by_one_column(recipe, next(name for name in recipe.columns if name.endswith(".popularity")))
    ordering = Ordering(recipe.fusion, {"home": ranker}, state).with_blank()
    return Engine(replace(engine.learned, ordering=ordering), engine.shelf, engine.shoppers, engine.settings)


def test_the_ranker_orders_the_page_and_says_what_each_feature_added(served: Engine, small_shop: Shop) -> None:
    request = Request(place="home", user=small_user(small_shop), k=10, explain=True)
    ranked, plain = served.answer(request), small_shop.engine.answer(request)
    assert ranked.ids != plain.ids
    ordering = served.learned.ordering
    assert ordering.state is not None
    rows = served.shelf.base.rows(ranked.ids)
    counts = ordering.state.ever(rows)
    assert (np.diff(counts) <= 1e-3).all(), "the most wanted first"
    assert all(hit.contributions and hit.contributions[0].exact for hit in ranked.hits)


def test_an_item_that_is_newer_than_the_ranker_is_answered(served: Engine, small_shop: Shop) -> None:
    known = served.shelf.base.ids[0]
    title = served.shelf.title(0)
    changes = [("brand-new", Item(id="brand-new", title=title)), (known, Item(id=known, title=title, price=1.0))]
    fresh = served.restocked(served.shelf.with_changes(changes))
    page = fresh.answer(Request(place="home", user=small_user(small_shop), k=100))
    assert len(page.hits) == len(set(page.ids))
    assert len(page.hits) > 50
    assert fresh.answer(Request(place="similar", items=(known,), k=100)).hits


@pytest.fixture
def own_shop(tmp_path: Path, small_world: GeneratedWorld) -> Iterator[Shop]:
    with bodega.open(tmp_path / "own") as shop:
        shop.catalog.upsert(small_world.items)
        shop.events.record(small_world.events[:2_000])
        assert shop.learn().published
        yield shop


def test_an_event_reaches_the_counters_and_its_second_delivery_does_not(own_shop: Shop) -> None:
    engine = own_shop.engine
    state = State.empty(engine.shelf.base).with_blank()
    learned = replace(engine.learned, ordering=replace(engine.learned.ordering, state=state))
    own_shop.served.now = Engine(learned, engine.shelf, engine.shoppers, engine.settings)
    event = Event(id="once", type=EventType.CLICK, time=NOW, user="u", item=engine.shelf.base.ids[3])
    own_shop.events.record([event])
    own_shop.events.record([event])
    assert state.ever(np.arange(len(engine.shelf.base), dtype=np.int32)).sum() == 1
    assert state.ever(np.array([3], np.int32))[0] == 1


def small_user(shop: Shop) -> str:
    """Somebody the shop knows."""
    chunk = next(shop.stores.events.scan())
    return next(user for user in chunk.user if user)
