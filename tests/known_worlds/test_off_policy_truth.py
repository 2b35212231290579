"""Where the truth is known, do off-policy estimates find it, and do their intervals hold it as often as they say?"""

from __future__ import annotations

import numpy as np
import pytest

from bodega.bench import _exploring_world as shops
from bodega.bench.exploration import _log
from bodega.evaluation.off_policy import Ways
from bodega.evaluation.off_policy_lists import LoggedLists, evaluate_lists
from bodega.schema import Explore


def coverage(reading: str, runs: int) -> dict[str, tuple[float, float]]:
    """{estimator: (share of 95 % intervals that hold the truth, mean error in parts of it)}."""
    shop, found = shops.bandit_shop(7), {}
    for number in range(runs):
        rng = np.random.default_rng([number, 5])
        logged, truth = _log(shop, reading, rng)
        value = evaluate_lists(logged, rng, Ways(resamples=200))
        for name, each in {"naive": value.naive, **value.estimates}.items():
            found.setdefault(name, []).append((each.low <= truth <= each.high, each.value / truth - 1))
    return {name: tuple(np.mean(runs, axis=0)) for name, runs in found.items()}


def test_by_place_slotwise_is_right_and_narrow():
    found = coverage("place", 40)
    for name in ("slotwise", "slotwise_dr", "cascade", "cascade_dr", "additive"):
        inside, error = found[name]
        assert inside >= 0.85, name  # 95 % expected; below .85 of 40 has a chance of 1 in 1,000
        assert abs(error) < 0.03, name
    assert found["naive"][0] < 0.85


def test_for_people_who_read_from_the_top_only_the_cascade_is_right():
    found = coverage("cascade", 40)
    assert found["cascade"][0] >= 0.85
    assert found["cascade_dr"][0] >= 0.85
    assert abs(found["cascade"][1]) < 0.03


def test_slotwise_is_wrong_where_the_first_slot_ends_the_reading(rng):
    """What the theory says it is: the other policy fills the top with what ends the reading, and slotwise still counts
    the slots below as if they were read."""
    rate, ours, theirs = np.array([0.05, 0.8]), np.array([0.5, 0.5]), np.array([0.1, 0.9])
    arm = (rng.random((20_000, 3)) < ours[1]).astype(np.int64)
    liked = rng.random(arm.shape) < rate[arm]
    reward = (liked & (np.cumsum(liked, axis=1) == 1)).astype(np.float64)
    logged = LoggedLists(np.ones(arm.shape, np.bool_), reward, ours[arm], theirs[arm], np.arange(len(arm)))
    value = evaluate_lists(logged, rng, Ways(resamples=200))
    truth = 1 - (1 - (rate * theirs).sum()) ** 3
    assert value["cascade"].low <= truth <= value["cascade"].high
    assert value["page"].low <= truth <= value["page"].high
    assert value["slotwise"].low > truth


@pytest.mark.slow
def test_intervals_hold_the_truth_nineteen_times_in_twenty():
    for reading, names in (
        ("place", ("slotwise", "slotwise_dr", "cascade_dr")),
        ("cascade", ("cascade", "cascade_dr")),
    ):
        found = coverage(reading, 300)
        for name in names:
            assert 0.915 <= found[name][0] <= 0.98, (reading, name)


def test_bandits_beat_no_learning_and_the_cascade_learns_from_cascades():
    shop = shops.bandit_shop(7)
    visits = shops.Visits(shop, "place", 1_500, 7)
    static = sum(
        shop.expected(visits.shopper(n), shop.best[:10], "place")
        - shop.expected(visits.shopper(n), shop.ranking[:10], "place")
        for n in range(visits.rounds)
    )
    for policy in ("thompson", "linear", "linucb"):
        assert shops.regret(visits, policy)[-1] < 0.9 * static, policy
    assert shops.regret(visits, "linear")[-1] < shops.regret(visits, "thompson")[-1]  # it tells shoppers apart
    reads = shops.Visits(shop, "cascade", 1_500, 7)
    halves = np.diff(shops.regret(reads, "cascade")[[0, 749, 1_499]])
    assert halves[1] < halves[0]  # it gives up less and less


def test_the_budget_holds_in_the_shop_and_new_items_are_seen():
    visits = shops.Visits(shops.bandit_shop(7), "place", 800, 7)
    alone, tried = shops.shop_with(visits, Explore()), shops.shop_with(visits, Explore(policy="thompson"))
    assert alone.new_shown == 0 < 0.1 < tried.new_shown
    assert tried.clicks > 0.95 * alone.clicks
    assert tried.new_clicks > 0


def test_a_click_farm_gains_little_and_the_twin_without_the_bound_more():
    visits = [shops.Visits(shops.bandit_shop(7), "place", 500, 7)]
    dial = Explore(policy="thompson")

    def shown(farm: shops.Farm) -> float:
        return float(np.mean([shops.shop_with(each, dial, farm).target_shown for each in visits]))

    honest, farm, twin = (shown(each) for each in (shops.Farm(), shops.Farm(0.01), shops.Farm(0.01, nameless=True)))
    assert farm - honest <= 0.04  # places a page, of 10
    assert twin - honest > 1.5 * (farm - honest)
    assert twin - honest > 0.03
