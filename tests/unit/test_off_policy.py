"""Off-policy estimators against their own formulas written plainly, and the logs that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.errors import NoEvidence
from bodega.evaluation.off_policy import Logged, Ways, bernstein, effective, evaluate_policy, overlap
from bodega.evaluation.off_policy_lists import LoggedLists, evaluate_lists
from bodega.evaluation.reward_model import crossed, fitted, folds_of, one_hot

LOGGING, OTHER = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
RATE = np.array([0.1, 0.2, 0.4])


def log(n: int, rng: np.random.Generator, propensity: np.ndarray = LOGGING) -> Logged:
    arm = rng.choice(3, n, p=LOGGING)
    reward = (rng.random(n) < RATE[arm]).astype(np.float64)
    model = RATE + np.array([0.05, -0.05, 0.0])
    return Logged(
        reward, propensity[arm], OTHER[arm], np.arange(n), model[arm], np.full(n, float((model * OTHER).sum()))
    )


def test_estimators_are_their_formulas(rng):
    logged = log(2_000, rng)
    value = evaluate_policy(logged, rng, Ways(switch=1.5, resamples=50))
    weight, reward = logged.target / logged.propensity, logged.reward
    rest = reward - logged.modelled
    plain = {
        "naive": reward.mean(),
        "ips": (weight * reward).mean(),
        "snips": (weight * reward).sum() / weight.sum(),
        "dm": logged.expected.mean(),
        "dr": (logged.expected + weight * rest).mean(),
        "switch_dr": (logged.expected + (weight <= 1.5) * weight * rest).mean(),
    }
    assert {name: each.value for name, each in value.estimates.items()} == pytest.approx(plain)
    assert value.overlap.effective == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert all(each.low - 1e-9 <= each.value <= each.high + 1e-9 for each in value.estimates.values())


def test_clipping_is_told_with_its_largest_bias(rng):
    logged = log(2_000, rng)
    value = evaluate_policy(logged, rng, Ways(clip=1.0, resamples=50))
    weight = logged.target / logged.propensity
    assert value.overlap.clipped == pytest.approx((weight > 1).mean())
    missing = evaluate_policy(logged, rng, Ways(resamples=50))["ips"].value - value["ips"].value
    assert 0 < missing <= value.overlap.clipping_bias


def test_too_little_evidence_is_refused_and_says_what_to_do(rng):
    with pytest.raises(NoEvidence) as refused:
        evaluate_policy(log(80, rng), rng)
    facts = refused.value.as_dict()
    assert "100" in facts["allowed"]
    assert "80 rows" in facts["got"]
    assert facts["next"]
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("column", "value"),
    [("propensity", 0.0), ("propensity", -0.1), ("propensity", 1.5), ("propensity", np.nan), ("target", -0.1),
     ("target", 1.2), ("reward", np.inf)],
)  # fmt: skip
def test_chances_that_cannot_be_are_refused(rng, column, value):
    logged = log(1_000, rng)
    getattr(logged, column)[17] = value
    with pytest.raises(NoEvidence, match=column):
        overlap(logged)


def test_an_empty_log_is_refused(rng):
    none = np.empty(0)
    with pytest.raises(NoEvidence):
        evaluate_policy(Logged(none, none, none, np.empty(0, np.int64)), rng)


def test_wrong_propensities_are_caught(rng):
    """The broken twin: a log that writes down the chances of another policy than the one that answered."""
    assert evaluate_policy(log(5_000, rng), rng, Ways(resamples=50)).overlap.mean_weight == pytest.approx(1.0, abs=0.05)
    with pytest.raises(NoEvidence, match="do not fit"):
        evaluate_policy(log(5_000, rng, propensity=np.array([0.3, 0.3, 0.4])), rng)


def test_a_policy_that_the_log_could_never_show_is_refused(rng):
    logged = log(5_000, rng)
    half = Logged(logged.reward, logged.propensity, logged.target * 0.5, logged.cluster)  # the rest: items never shown
    with pytest.raises(NoEvidence, match="never could"):
        evaluate_policy(half, rng)


def test_people_who_come_often_make_the_interval_wider(rng):
    logged = log(4_000, rng)
    person = np.repeat(np.arange(100), 40)
    same = Logged(np.repeat(logged.reward[:100], 40), np.full(4_000, 0.5), np.full(4_000, 0.5), person)
    alone = Logged(same.reward, same.propensity, same.target, np.arange(4_000))
    wide, narrow = (evaluate_policy(each, rng)["ips"] for each in (same, alone))
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)


def test_bernstein_is_wider_than_the_bootstrap_and_never_too_narrow(rng):
    inside = 0
    for _ in range(200):
        low, high = bernstein(rng.random(300))
        inside += low <= 0.5 <= high
    assert inside == 200
    assert bernstein(np.array([1.0])) == (float("-inf"), float("inf"))


def test_effective_sample_size():
    assert effective(np.ones(50)) == pytest.approx(50)
    assert effective(np.array([1.0, 0, 0, 0])) == pytest.approx(1)
    assert effective(np.zeros(3)) == 0


def test_a_model_never_sees_the_row_that_it_judges(rng):
    cluster = np.repeat(np.arange(200), 5)
    fold = folds_of(cluster)
    assert all(len(set(fold[cluster == each].tolist())) == 1 for each in range(200))
    assert np.bincount(fold, minlength=5).min() > 100
    reward = rng.random(1_000)
    causes = one_hot([cluster], [200])
    coefficients, fold = crossed(causes, reward, cluster, ridge=1e-6)
    own = causes.toarray() @ coefficients.T
    judged = own[np.arange(1_000), fold]
    leaky = causes.toarray() @ fitted(causes, reward, 1e-6)  # the broken twin
    by_person = np.array([reward[cluster == each].mean() for each in range(200)])[cluster]
    assert abs(np.corrcoef(judged, by_person)[0, 1]) < 0.3
    assert np.corrcoef(leaky, by_person)[0, 1] > 0.99


def lists(n: int, rng: np.random.Generator) -> LoggedLists:
    arm = np.stack([rng.choice(3, n, p=LOGGING) for _ in range(3)], axis=1)
    reward = (rng.random(arm.shape) < RATE[arm]).astype(np.float64)
    return LoggedLists(
        np.ones(arm.shape, np.bool_), reward, LOGGING[arm], OTHER[arm], np.arange(n), RATE[arm],
        np.full(arm.shape, float((RATE * OTHER).sum())),
    )  # fmt: skip


def test_list_estimators_are_their_formulas(rng):
    logged = lists(3_000, rng)
    value = evaluate_lists(logged, rng, Ways(resamples=50))
    w, r = logged.target / logged.propensity, logged.reward
    plain = {
        "slotwise": (w * r).sum(1).mean(),
        "cascade": (np.cumprod(w, axis=1) * r).sum(1).mean(),
        "additive": ((1 - 3 + w.sum(1)) * r.sum(1)).mean(),
        "page": (w.prod(1) * r.sum(1)).mean(),
    }
    total = 0.0
    for page in range(3_000):  # the recursion of Kiyohara et al. 2022, one page at a time
        before = 1.0
        for slot in range(3):
            later = logged.expected[page, slot + 1 :].sum()
            here = before * w[page, slot]
            own = logged.modelled[page, slot] + later
            total += here * (r[page, slot] - own) + before * (logged.expected[page, slot] + later)
            before = here
    plain["cascade_dr"] = total / 3_000
    found = {name: each.value for name, each in value.estimates.items()}
    assert {name: found[name] for name in plain} == pytest.approx(plain)
    assert value.refused == ()


def test_slots_that_are_not_there_change_nothing(rng):
    logged = lists(3_000, rng)
    pad = lambda column, with_: np.column_stack([column, np.full(3_000, with_)])  # noqa: E731
    padded = LoggedLists(
        pad(logged.present, False), pad(logged.reward, 9.0), pad(logged.propensity, 0.5), pad(logged.target, 0.0),
        logged.cluster, pad(logged.modelled, 5.0), pad(logged.expected, 5.0),
    )  # fmt: skip
    one, other = (evaluate_lists(each, np.random.default_rng(1), Ways(resamples=50)) for each in (logged, padded))
    assert {k: v.value for k, v in one.estimates.items()} == pytest.approx(
        {k: v.value for k, v in other.estimates.items()}
    )
    assert one.effective == pytest.approx(other.effective)


def test_estimators_that_the_log_cannot_carry_are_left_out(rng):
    arm = np.stack([rng.choice(3, 1_500, p=LOGGING) for _ in range(12)], axis=1)
    wide = LoggedLists(
        np.ones(arm.shape, np.bool_), np.zeros(arm.shape), LOGGING[arm], OTHER[arm], np.arange(len(arm))
    )  # fmt: skip
    value = evaluate_lists(wide, rng, Ways(resamples=50))
    assert "page" in value.refused
    assert "slotwise" in value.estimates
    assert value.effective["page"] < 100
