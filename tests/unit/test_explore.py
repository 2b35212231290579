"""Bandits for the slots of a page: exact chances, the budget, guardrails, and beliefs that nobody can steer alone."""

from __future__ import annotations

from itertools import permutations

import msgspec
import numpy as np
import pytest
from scipy.stats import chisquare

from bodega.ranking.explore import FEATURES, Arms, Beliefs, Field, arranged, chances, drawn, examination, trial
from bodega.ranking.explore.policies import chance_of_largest, kl_bound
from bodega.ranking.explore.slots import LEAST_SHARE, mixed
from bodega.schema import Explore
from bodega.schema.trials import Decision, Slot, tried_id, tried_place

POLICIES = ("epsilon", "thompson", "linear", "linucb", "cascade", "cascade_ucb")
DAY = 86_400.0


def dial(**values: object) -> Explore:
    return msgspec.convert(values, Explore)


def decision(name: str, items: list[str], *, user: str = "u", time: float = 0.0, first: int = 0) -> Decision:
    slots = tuple(Slot(first + at, 0, (item,), (1.0,), ((1.0, 0.5, 0.0, 0.0, 0.0),)) for at, item in enumerate(items))
    return Decision(request_id=name, time=time, place="home", policy="thompson", slots=slots, user=user)


def field(n: int = 80, k: int = 20, fixed: tuple[int, ...] = (), score: np.ndarray | None = None) -> Field:
    rows = np.arange(n, dtype=np.int32)[::-1].copy()
    held = np.zeros(n, np.bool_)
    held[list(fixed)] = True
    return Field(
        rows=rows,
        score=np.linspace(1, 0, n).astype(np.float32) if score is None else score.astype(np.float32),
        fixed=held,
        k=k,
        names=lambda some: [f"i{row}" for row in some.tolist()],
        features=lambda some, own: np.column_stack(
            [np.ones(len(some)), own, *np.zeros((len(FEATURES) - 2, len(some)))]
        ),
    )


def busy() -> Beliefs:
    beliefs, rng = Beliefs(), np.random.default_rng(3)
    for number in range(150):
        items = [f"i{row}" for row in rng.permutation(80)[:6]]
        beliefs.fold(decision(f"x-home-{number}", items, user=f"u{number}"))
        if number % 3 == 0:
            beliefs.want(f"x-home-{number}", items[number % 6])
    return beliefs


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("known", [False, True])
def test_every_arm_has_a_chance_and_they_sum_to_one(policy, known):
    found = trial(field(), dial(policy=policy, loss=1.0), busy() if known else Beliefs(), 0.0)
    assert found is not None
    there = found.places >= 0
    assert (found.chance[there] > 0).all()
    assert (found.chance[there] <= 1).all()
    assert not found.chance[~there].any()
    assert np.allclose(found.chance.sum(axis=1), 1.0, atol=1e-12)
    assert np.allclose(found.chance[:, 0], 1 - found.chance[:, 1:].sum(axis=1))
    assert found.chance[:, 1:].sum() > 0


@pytest.mark.parametrize("policy", POLICIES)
def test_no_item_is_an_arm_of_two_slots_and_only_what_is_near_challenges(policy):
    chosen = dial(policy=policy, reach=30, within=0.2, loss=1.0)
    found = trial(field(), chosen, busy(), 0.0)
    assert found is not None
    challengers = found.places[:, 1:][found.places[:, 1:] >= 0]
    assert len(set(challengers.tolist())) == len(challengers)
    assert challengers.min() >= 20
    assert challengers.max() < 50
    score = np.linspace(1, 0, 80)
    assert (score[challengers] >= score[19] - 0.2 - 1e-6).all()
    assert found.positions.tolist() == list(range(1, 1 + len(found.positions)))  # the top stays


def test_what_is_fixed_or_unscored_neither_moves_nor_challenges():
    score = np.linspace(1, 0, 80)
    score[[4, 25]] = np.nan
    found = trial(field(fixed=(2, 22, 23), score=score), dial(policy="thompson", loss=1.0), Beliefs(), 0.0)
    assert found is not None
    assert not {2, 4, 22, 23, 25} & set(found.places.ravel().tolist())


def test_nothing_is_tried_where_nothing_may_be():
    for chosen in (dial(), dial(policy="thompson", share=0.0), dial(policy="thompson", first=30, slots=40)):
        assert trial(field(), chosen, Beliefs(), 0.0) is None
    assert trial(field(n=20), dial(policy="thompson"), Beliefs(), 0.0) is None  # nothing below the page
    assert trial(field(score=np.full(80, np.nan)), dial(policy="thompson"), Beliefs(), 0.0) is None


def test_the_budget_bounds_the_expected_loss():
    free = trial(field(), dial(policy="epsilon", share=0.8, loss=1.0, within=1.0), Beliefs(), 0.0)
    tight = trial(field(), dial(policy="epsilon", share=0.8, loss=0.01, within=1.0), Beliefs(), 0.0)
    assert free is not None
    assert tight is not None
    assert free.share == 0.8
    assert free.loss > 0.01
    assert tight.loss == pytest.approx(0.01)
    assert LEAST_SHARE < tight.share < 0.8
    page = np.linspace(1, 0, 80)[:20]
    worth = (page / np.log2(np.arange(20) + 2)).sum()
    gap = page[tight.positions][:, None] - np.linspace(1, 0, 80)[tight.places]
    lost = ((tight.chance * gap).sum(axis=1) / np.log2(tight.positions + 2)).sum()
    assert lost / worth == pytest.approx(0.01, abs=1e-5)
    assert trial(field(), dial(policy="epsilon", loss=1e-9, within=1.0), Beliefs(), 0.0) is None


def test_a_list_keeps_all_its_rows_and_is_drawn_again_from_its_id():
    found = trial(field(), dial(policy="thompson", share=1.0, loss=1.0), Beliefs(), 0.0)
    assert found is not None
    rows = field().rows
    name = tried_id("home")
    shown = drawn(name, found.chance)
    assert shown.tolist() == drawn(name, found.chance).tolist()
    out = arranged(rows, found, shown)
    assert sorted(out.tolist()) == sorted(rows.tolist())
    for slot, position in enumerate(found.positions):
        assert out[position] == rows[found.places[slot, shown[slot]]]
    assert any(drawn(tried_id("home"), found.chance).tolist() != shown.tolist() for _ in range(20))
    assert tried_place(name) == "home"
    assert tried_place("0123456789abcdef") == ""


def fits(chance: np.ndarray, logged: np.ndarray) -> bool:
    """Do draws by `chance` agree with the chances that were `logged`? (chi-square over 4,000 pages)"""
    shown = np.stack([drawn(f"x-home-{number}", chance) for number in range(4_000)])
    tests = [
        chisquare(np.bincount(shown[:, slot], minlength=chance.shape[1]), logged[slot] * len(shown)).pvalue
        for slot in range(len(chance))
    ]
    return min(tests) > 1e-4


def test_draws_are_as_likely_as_logged_and_a_twin_that_logs_others_is_caught():
    found = trial(field(), dial(policy="thompson", share=0.5, loss=1.0, slots=4), busy(), 0.0)
    assert found is not None
    assert fits(found.chance, found.chance)
    twin = mixed((found.chance > 0) / (found.chance > 0).sum(axis=1, keepdims=True), 0.5)  # logs epsilon's chances
    assert not fits(found.chance, twin)


def test_the_chance_to_be_the_largest_is_what_draws_say(rng):
    mean, deviation = rng.normal(0, 1, (3, 5)), rng.uniform(0.05, 2, (3, 5))
    present = np.ones((3, 5), np.bool_)
    present[2, 3:] = False
    found = chance_of_largest(mean, deviation, present)
    value = mean + deviation * rng.standard_normal((400_000, 3, 5))
    value[:, ~present] = -np.inf
    often = np.stack([np.bincount(value[:, row].argmax(axis=1), minlength=5) for row in range(3)]) / len(value)
    assert np.abs(found - often).max() < 4e-3
    assert np.allclose(found.sum(axis=1), 1)


def test_thompson_finds_the_better_arm_and_stays_curious_about_the_unknown_one():
    beliefs = Beliefs()
    for number in range(300):
        beliefs.fold(decision(f"x-home-{number}", ["good", "bad"], user=f"u{number}"))
        if number % 3 == 0:
            beliefs.want(f"x-home-{number}", "good")
    chance = dict(
        zip(["good", "bad", "new"], chances("thompson", arms(beliefs, ["good", "bad", "new"]), 0.01)[0], strict=True)
    )
    assert chance["good"] > 0.7
    assert chance["bad"] < 0.01 < chance["new"]


def arms(beliefs: Beliefs, items: list[str]) -> Arms:
    features = np.zeros((1, len(items), len(FEATURES)))
    features[..., 0] = 1
    return Arms(
        np.ones((1, len(items)), np.bool_), features, beliefs.sums(items, 0.0)[None],
        beliefs.rate(0.0), beliefs.total(0.0)[0], beliefs.common(0.0),
    )  # fmt: skip


def test_the_shared_regression_learns_what_items_have_in_common(rng):
    beliefs = Beliefs()
    for number in range(600):
        x = (1.0, 0.0, 0.0, 0.0, float(rng.random() < 0.5))
        slot = Slot(0, 0, (f"i{number % 60}",), (1.0,), (x,))
        beliefs.fold(
            Decision(request_id=f"x-home-{number}", time=0.0, place="home", policy="", slots=(slot,), user=f"u{number}")
        )
        if rng.random() < (0.5 if x[4] else 0.1):
            beliefs.want(f"x-home-{number}", f"i{number % 60}")
    mean = beliefs.common(0.0).mean
    assert mean[0] == pytest.approx(0.1, abs=0.06)
    assert mean[4] == pytest.approx(0.4, abs=0.1)
    kin = arms(beliefs, ["new"])
    kin.features[0, 0, 4] = 1.0
    assert kin.linear()[0][0, 0] > 0.35 > 0.2 > arms(beliefs, ["new"]).linear()[0][0, 0]


def test_kl_bounds_are_solutions():
    rate, times = np.array([[0.05, 0.5, 0.0]]), np.array([[50.0, 10.0, 1e6]])
    bound = kl_bound(rate, times, 3.0)
    p, q = np.clip(rate, 1e-9, 1), bound
    kl = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert (times * kl)[0, :2] == pytest.approx(3.0, abs=1e-3)
    assert (bound > rate).all()


def test_one_person_counts_once_a_week_for_an_item_and_a_twin_without_that_is_caught():
    def rate(people: int) -> float:
        beliefs = Beliefs()
        for number in range(50):
            beliefs.fold(decision(f"x-home-h{number}", ["a"], user=f"h{number}"))
        for number in range(200):  # one hour of one machine that clicks everything
            beliefs.fold(decision(f"x-home-{number}", ["a"], user=f"fake{number % people}", time=number * 18.0))
            beliefs.want(f"x-home-{number}", "a")
        sums = beliefs.sums(["a"], 3_600.0)[0]
        return float(sums[1] / sums[0])

    assert rate(people=1) < 0.03
    assert rate(people=200) > 0.7  # the twin: every visit a person of its own


def test_the_nameless_together_are_no_more_than_a_few():
    beliefs = Beliefs()
    for number in range(3_000):
        beliefs.fold(decision(f"x-home-{number}", ["a"], user=""))
    assert beliefs.sums(["a"], 0.0)[0, 0] <= 64.0001


def test_beliefs_do_not_depend_on_the_order_of_arrival():
    pages = [decision(f"x-home-{n}", ["a", "b", "c"], user=f"u{n % 2}", time=n * DAY) for n in range(4)]
    steps = [("page", page) for page in pages] + [("want", ("x-home-1", "b")), ("want", ("x-home-3", "a"))]
    for cascade in (False, True):
        seen = []
        for order in list(permutations(range(6)))[::37]:
            beliefs = Beliefs(3.0, cascade=cascade)
            for kind, what in [*(steps[place] for place in order), steps[order[0]], steps[order[-1]]]:  # two come twice
                if kind == "page":
                    beliefs.fold(what)
                else:
                    beliefs.want(*what)
            seen.append(np.concatenate([beliefs.sums(["a", "b", "c"], 5 * DAY).ravel(), beliefs.common(5 * DAY).mean]))
        assert len(seen) > 15
        assert max(np.abs(each - seen[0]).max() for each in seen) < 1e-12
        assert seen[0].any()


def test_old_clicks_fade():
    beliefs = Beliefs(10.0)
    beliefs.fold(decision("x-home-1", ["a"]))
    beliefs.want("x-home-1", "a")
    now, later = beliefs.sums(["a"], 0.0)[0, 1], beliefs.sums(["a"], 20 * DAY)[0, 1]
    assert now == pytest.approx(1.0)
    assert later == pytest.approx(0.25)
    beliefs.fold(decision("x-home-2", ["b"], time=900 * DAY))  # far enough for the sums to be scaled anew
    assert beliefs.sums(["b"], 900 * DAY)[0, 0] == pytest.approx(1.0)
    assert beliefs.sums(["a"], 900 * DAY)[0, 1] < 1e-20


def test_people_who_read_from_the_top_saw_nothing_below_their_click():
    beliefs = Beliefs(cascade=True)
    beliefs.fold(decision("x-home-1", ["a", "b", "c"]))
    assert beliefs.sums(["a", "b", "c"], 0.0)[:, 0].tolist() == [1, 1, 1]
    beliefs.want("x-home-1", "b")
    assert beliefs.sums(["a", "b", "c"], 0.0)[:, 0].tolist() == [1, 1, 0]
    assert beliefs.sums(["a", "b", "c"], 0.0)[:, 1].tolist() == [0, 1, 0]


def test_beliefs_are_bounded(monkeypatch):
    monkeypatch.setattr("bodega.ranking.explore.beliefs.ITEMS", 40)
    monkeypatch.setattr("bodega.ranking.explore.beliefs.PAGES", 30)
    monkeypatch.setattr("bodega.ranking.explore.beliefs.CELLS", 50)
    beliefs = Beliefs()
    for number in range(200):
        beliefs.fold(decision(f"x-home-{number}", [f"i{number}", "often"], user=f"u{number}"))
        beliefs.want(f"x-early-{number}", "a")
    assert len(beliefs) <= 40
    assert len(beliefs._pages) <= 30
    assert len(beliefs._cells) <= 50
    assert len(beliefs._early) <= 30
    assert beliefs.sums(["often"], 0.0)[0, 0] > 100  # what is seen most is kept


def test_places_further_down_are_seen_less():
    seen = examination([0, 1, 2, 9])
    assert seen[0] == 1.0
    assert (np.diff(seen) < 0).all()
