"""Which sources a list asks: few where these are enough, all of them for a shopper of whom those know nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bodega.engine.answer import Engine
from bodega.engine.leaning import Cost, Lean, enough, leaner, leanings
from bodega.engine.places import PLACES
from bodega.features import State
from bodega.ranking.fuse import Fusion
from bodega.ranking.learned import Chosen, Linear, Ordering, Ranker, Recipe
from bodega.schema import Filter, Request

HOME = PLACES["home"]
WEIGHTS = {"transition": 0.0, "collaborative": 0.0, "content": 0.0, "repeat": 1.0, "popular": 0.0}


def ranker(sources: tuple[str, ...], state: State, weights: dict[str, float] = WEIGHTS) -> Ranker:
    recipe = Recipe("home", Fusion({"home": weights}), state, sources)
    n = len(recipe.columns)
    coefficients = np.zeros(n, np.float32)
    coefficients[recipe.sum_at] = 1
    zeros, ones = np.zeros(n, np.float32), np.ones(n, np.float32)
    return Ranker(recipe, Linear(coefficients, zeros, ones, np.zeros(1, np.float32)))


def test_only_a_weight_or_popularity_makes_a_source_worth_asking():
    assert enough(HOME, WEIGHTS, tuple(WEIGHTS)) == ("repeat", "popular")
    assert enough(HOME, dict.fromkeys(WEIGHTS, 0.0), tuple(WEIGHTS)) == tuple(WEIGHTS)
    assert enough(PLACES["search"], WEIGHTS, tuple(WEIGHTS)) == tuple(WEIGHTS)


@pytest.mark.parametrize(("lost", "fewer"), [(0.0, True), (0.01, True), (0.03, False)])
def test_fewer_sources_are_asked_where_that_costs_less_than_half_a_standard_error(small_shop, lost, fewer):
    state, all_of = State.empty(small_shop.engine.shelf.base), tuple(WEIGHTS)
    ndcg = np.tile([0.0, 1.0], 200)  # standard error .025
    whole = Chosen("home", ranker(all_of, state), "trees", {}, ndcg)
    lean = Chosen("home", ranker(("repeat", "popular"), state), "trees", {}, ndcg - lost)
    chosen = leaner(whole, lean).ranker
    assert chosen is not None
    assert chosen.recipe.sources == (("repeat", "popular") if fewer else all_of)
    assert leaner(whole, Chosen("home")) is whole


def test_a_ranker_that_lacks_a_weighted_source_asks_all(small_shop):
    state = State.empty(small_shop.engine.shelf.base)
    assert Lean.of(ranker(("repeat", "popular"), state), tuple(WEIGHTS)) is not None
    assert Lean.of(ranker(tuple(WEIGHTS), state), tuple(WEIGHTS)) is None
    assert Lean.of(ranker(("popular",), state), tuple(WEIGHTS)) is None
    assert Lean.of(ranker(("repeat", "elsewhere"), state), tuple(WEIGHTS)) is None


def test_a_known_shopper_is_answered_by_few_sources_and_a_guest_by_all(small_shop, small_world):
    served = small_shop.engine
    sources = HOME.among(served.learned.sources)
    weights = dict.fromkeys(sources, 0.0) | {"repeat": 1.0}
    lean = ranker(
        tuple(name for name in sources if name in ("repeat", "popular")),
        State.empty(served.shelf.base).with_blank(),
        weights,
    )
    ordering = Ordering(Fusion({"home": weights}, backup={"home": HOME.weights}), {"home": lean}, lean.recipe.state)
    learned = replace(served.learned, ordering=ordering, live=None, repeats=True)
    engine = Engine(learned, served.shelf, served.shoppers, served.settings)
    buyer = next(
        user
        for user in sorted({event.user for event in small_world.events if event.type == "purchase" and event.user})
        if len(engine.shoppers.history(user, "", served.shelf.base).items)
    )
    few = engine.worked(Request(place="home", user=buyer, k=10))
    guest = engine.worked(Request(place="home", session="nobody-yet", k=10))
    assert set(few.pool.asked) == {"repeat", "popular"} == set(few.ranked.sources)
    assert guest.pool.asked == sources == guest.ranked.sources
    # what the few know of may not be shown: then all are asked
    bought = engine.shoppers.history(buyer, "", served.shelf.base).items.tolist()
    most = max(served.shelf.price[bought])
    narrow = Request(place="home", user=buyer, k=10, filters=(Filter(field="price", low=float(most) + 0.001),))
    assert engine.worked(narrow).pool.asked == sources


def test_a_sum_says_itself_where_few_sources_are_enough(small_shop, small_world):
    served = small_shop.engine
    sources = HOME.among(served.learned.sources)
    few = tuple(name for name in sources if name in ("repeat", "popular"))
    weights = dict.fromkeys(sources, 0.0) | {"repeat": 1.0}
    fusion = Fusion({"home": weights}, backup={"home": HOME.weights}, enough={"home": few})
    assert Fusion.from_json(fusion.to_json()).enough == {"home": few}
    assert leanings(Ordering(fusion), sources) == {"home": Lean(few, ("repeat",))}
    assert leanings(Ordering(Fusion({"home": weights})), sources) == {}
    whole = ranker(sources, State.empty(served.shelf.base), weights)
    assert leanings(Ordering(fusion, {"home": whole}), sources) == {}, "a ranker over all sources asks all"


def test_what_fewer_sources_cost_is_said():
    whole = np.tile([0.0, 1.0], 200)
    cheap, dear = Cost.of(whole, whole - 0.01), Cost.of(whole, whole - 0.03)
    assert cheap.bearable
    assert not dear.bearable
    assert cheap.told(("a", "b"), ("a",)) == (
        "asked only where these have nothing to show: b (-0.0100 NDCG@10, 0.0125 may be lost)"
    )
    assert dear.told(("a", "b"), ("a",)).startswith("always asked: b")
