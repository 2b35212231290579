"""Experiments whose answers are known: of nothing, of a planted effect, of arms that lose shoppers, of two orders."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.errors import BadRequest
from bodega.evaluation.experiments import (
    Moments,
    Readings,
    adjusted,
    assigned,
    block_means,
    bucket,
    by_segment,
    compare,
    debiased_credit,
    plan,
    read,
    sample_ratio,
    sticky,
    switchback,
    team_credit,
    team_draft,
    watched_ratio,
)
from bodega.evaluation.experiments.anytime import half_width
from bodega.evaluation.experiments.interleaving import coins, weights
from bodega.evaluation.experiments.power import found
from bodega.schema.experiments import Arm, Experiment, Guardrail, checked_experiments

AB = Experiment(id="ab", arms=(Arm(name="control"), Arm(name="new")), units=4_000)
LOOKS = 100


def false_alarms(runs: int, half: object) -> int:
    """How many of so many tests of nothing are called different at one of 100 looks."""
    alarms = 0
    for run in range(runs):
        rng = np.random.default_rng([11, run])
        values, arm = rng.exponential(1.0, 10_000), rng.integers(0, 2, 10_000)
        for n in np.linspace(500, 10_000, LOOKS).astype(int):
            one, other = Moments.of(values[:n][arm[:n] == 1]), Moments.of(values[:n][arm[:n] == 0])
            if abs(one.mean - other.mean) > half(one, other):  # type: ignore[operator]
                alarms += 1
                break
    return alarms


def test_a_hundred_looks_at_nothing_are_wrong_in_at_most_one_of_twenty_and_the_naive_ones_in_a_third() -> None:
    def sequence(one: Moments, other: Moments) -> float:
        effect = compare(one, other, 10_000)
        return effect.high - effect.difference

    def naive(one: Moments, other: Moments) -> float:
        return 1.96 * float(np.sqrt(one.variance / one.n + other.variance / other.n))

    assert false_alarms(150, sequence) <= 0.05 * 150
    assert false_alarms(150, naive) >= 0.2 * 150, "the check can fail"


def test_the_sequence_is_the_papers() -> None:
    """Theorem 2.2 by hand for n = 1,000, variance 4, rho^2 of 1,000 planned values."""
    r = (-2 * np.log(0.05) + np.log(-2 * np.log(0.05) + 1)) / 1_000
    n = 1_000
    by_hand = 2.0 * np.sqrt(2 * (n * r + 1) / (n**2 * r) * np.log(np.sqrt(n * r + 1) / 0.05))
    assert half_width(1_000, 4.0, 1_000) == pytest.approx(by_hand)
    assert 1.3 < by_hand / (1.96 * 2 / np.sqrt(n)) < 1.7
    assert half_width(0, 1.0, 10) == np.inf


def test_a_planted_effect_is_found_and_its_interval_holds_it() -> None:
    holds = 0
    for run in range(60):
        rng = np.random.default_rng([5, run])
        one, other = rng.normal(1.2, 1, 3_000), rng.normal(1.0, 1, 3_000)
        effect = compare(Moments.of(one), Moments.of(other), 6_000)
        assert effect.low > 0
        holds += effect.low <= 0.2 <= effect.high
    assert holds >= 57


def test_shares_layers_and_arms_are_independent() -> None:
    units = [f"u{number}" for number in range(20_000)]
    parts = Experiment(id="parts", arms=(Arm(name="a"), Arm(name="b", weight=3)), first=0, last=2_000)
    other = Experiment(id="other", arms=AB.arms, first=2_000, last=10_000)
    elsewhere = Experiment(id="elsewhere", arms=AB.arms, layer="search")
    assert checked_experiments((parts, other, elsewhere))
    arms = [assigned(parts, unit) for unit in units]
    inside = [arm.name for arm in arms if arm]
    assert len(inside) == pytest.approx(4_000, rel=0.1)
    assert inside.count("b") == pytest.approx(3_000, rel=0.1)
    assert not any(arm and assigned(other, unit) for arm, unit in zip(arms, units, strict=True))
    pairs = [(assigned(other, unit), assigned(elsewhere, unit)) for unit in units]
    both = [(a.name, b.name) for a, b in pairs if a and b]
    table = np.array([[both.count((a, b)) for b in ("control", "new")] for a in ("control", "new")])
    assert abs(table / table.sum() - 0.25).max() < 0.02
    assert assigned(AB, "") is None
    assert bucket("default", "u1") == bucket("default", "u1") != bucket("search", "u1")


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ((AB, AB), "same id"),
        ((Experiment(id="x", arms=(Arm(name="a"), Arm(name="a"))),), "same name"),
        ((Experiment(id="x", arms=AB.arms, first=5, last=5),), "no bucket"),
        ((AB, Experiment(id="x", arms=AB.arms, first=9_999)), "share buckets"),
    ],
)
def test_what_cannot_be_run_is_refused(bad: tuple[Experiment, ...], what: str) -> None:
    with pytest.raises(BadRequest, match=what):
        checked_experiments(bad)


def test_a_guest_who_signs_in_keeps_what_he_saw_first() -> None:
    assert sticky(["account", "visit"], {}) == "account"
    assert sticky(["account", "visit"], {"visit": (5.0, "new")}) == "visit"
    assert sticky(["account", "visit"], {"visit": (5.0, "new"), "account": (3.0, "control")}) == "account"


def test_what_was_known_before_is_taken_out_and_the_difference_stays() -> None:
    rng = np.random.default_rng(3)
    arm, before = rng.integers(0, 2, 20_000), rng.normal(0, 1, 20_000)
    y = 0.1 * arm + 0.8 * before + rng.normal(0, 0.6, 20_000)
    found_ = adjusted(y, np.where(rng.random(20_000) < 0.1, np.nan, before))
    assert found_.values.mean() == pytest.approx(y.mean())
    assert 0.5 < found_.explained < 0.64
    gap = found_.values[arm == 1].mean() - found_.values[arm == 0].mean()
    assert gap == pytest.approx(0.1, abs=0.03)
    assert adjusted(y, np.full(20_000, np.nan)).explained == 0


def test_arms_that_lose_shoppers_are_noticed_and_sound_ones_are_not() -> None:
    assert sample_ratio([51_000, 49_000], [1, 1]) < 1e-9
    assert watched_ratio([51_000, 49_000], [1, 1]) < 1e-6
    assert watched_ratio([30_000, 10_000], [3, 1]) > 0.5
    assert sample_ratio([0, 0], [1, 1]) == 1
    alarms = 0
    for run in range(300):
        seen = np.cumsum(np.random.default_rng([7, run]).integers(0, 2, 5_000))
        alarms += any(watched_ratio([n - seen[n - 1], seen[n - 1]], [1, 1]) < 0.05 for n in range(50, 5_001, 50))
    assert alarms <= 0.05 * 300


def test_a_plan_finds_what_it_was_made_for() -> None:
    made = plan(0.1, 0.09, 0.1)
    assert found(0.1, 0.09, 0.1, made.once) == pytest.approx(0.8, abs=0.01)
    assert made.once < made.watched < 3 * made.once
    assert plan(0.1, 0.09, 0.1, arms=4).once > made.once
    hits = 0
    for run in range(200):
        rng = np.random.default_rng([9, run])
        one, other = rng.normal(0.11, 0.3, made.watched), rng.normal(0.1, 0.3, made.watched)
        hits += compare(Moments.of(one), Moments.of(other), 2 * made.watched).low > 0
    assert 0.7 <= hits / 200 <= 0.92


def readings(rng: np.random.Generator, n: int = 8_000, *, lift: float = 0.0, slow: float = 0.0) -> Readings:
    arm = rng.integers(0, 2, n).astype(np.int32)
    before = rng.gamma(2.0, 1.0, n)
    bought = 0.5 * before + rng.gamma(2.0, 1.0, n) + lift * arm
    speed = rng.normal(100.0, 10.0, n) + slow * arm
    return Readings(arm, {"purchases": bought, "latency": speed}, {"purchases": before})


def test_readings_say_what_was_planted() -> None:
    rng, guarded = np.random.default_rng(1), (Guardrail(metric="latency", harm=0.05, higher_is_better=False),)
    test = Experiment(id="t", arms=AB.arms, guardrails=guarded, units=8_000)
    better = read(test, readings(rng, lift=0.4))
    assert (better.state, better.best) == ("better", "new")
    assert better.explained > 0.1
    assert better.arms[0].effect.lift[0] > 0.05
    assert read(test, readings(rng, lift=-0.4)).state == "worse"
    assert read(test, readings(rng)).state == "open"
    harmed = read(test, readings(rng, lift=0.4, slow=8.0))
    assert (harmed.state, harmed.arms[0].harmed) == ("harm", ("latency",))
    assert read(test, readings(rng, lift=0.4, slow=2.0)).state == "better", "less than the guardrail allows"
    whole = readings(rng, lift=0.4)
    kept = (whole.arm == 0) | (np.arange(len(whole.arm)) % 5 > 0)
    lost = Readings(
        whole.arm[kept],
        {name: values[kept] for name, values in whole.values.items()},
        {name: values[kept] for name, values in whole.before.items()},
    )
    assert read(test, lost).state == "mismatch", "a fifth of the new arm is gone"


def test_for_whom_it_works() -> None:
    rng = np.random.default_rng(2)
    values = {name: (rng.normal(0.5 if name == "s3" else 0.0, 1, 800), rng.normal(0, 1, 800)) for name in
              [f"s{number}" for number in range(12)]}  # fmt: skip
    found_ = by_segment(values | {"tiny": (np.ones(3), np.ones(3))})
    assert [each.segment for each in found_.effects if each.p < 0.05] == ["s3"]
    assert found_.varies < 0.001
    assert all(each.low < each.difference < each.high for each in found_.effects)
    same = by_segment({name: (rng.normal(0, 1, 400), rng.normal(0, 1, 400)) for name in "abcdef"})
    assert same.varies > 0.01
    assert by_segment({}).effects == ()


def test_a_switchback_finds_what_shoppers_share() -> None:
    rng, block = np.random.default_rng(4), 3_600.0
    times = np.sort(rng.random(40_000) * 200 * block)
    test = Experiment(id="sw", arms=AB.arms, by="time", block_minutes=60)
    arms = np.array([assigned(test, "anybody", moment) == test.arms[1] for moment in times])
    spilled = (times % block < 600) & (rng.random(40_000) < 0.5)
    values = rng.normal(1.0, 0.5, 40_000) + 0.2 * (arms & ~spilled)
    blocks, means = block_means(values, times, block, burn_in=600)
    treated = np.array([assigned(test, "anybody", number * block) == test.arms[1] for number in blocks])
    effect = switchback(means, treated)
    assert effect.low > 0
    assert effect.difference == pytest.approx(0.2, abs=0.05)
    assert switchback(means[:6], treated[:6]).low == -np.inf


# -- two orders in one list --------------------------------------------------------------------------------------------

EXAMINATION = 1.0 / np.arange(1, 11)


def test_a_draft_holds_the_best_of_both_and_is_fair() -> None:
    a, b = list(range(10)), [3, 1, 2, 0, 9, 8, 7, 14, 15, 16]
    firsts = 0
    for number in range(400):
        draft = team_draft(a, b, 10, coins(f"r{number}", 5))
        assert len(set(draft.items.tolist())) == 10
        assert (draft.teams == 0).sum() == 5
        assert draft.items[0] in (0, 3)
        firsts += int(draft.teams[0] == 0)
    assert 150 < firsts < 250
    assert team_draft(a, b, 10, coins("r1", 5)).items.tolist() == team_draft(a, b, 10, coins("r1", 5)).items.tolist()
    assert team_draft([1, 2], [1], 10, coins("x", 5)).items.tolist() == [1, 2]


def test_the_debiased_credit_is_clicks_under_one_less_clicks_under_the_other() -> None:
    """Over all drafts, by calculation: no chance is left in it."""
    rng = np.random.default_rng(6)
    a, b = list(range(10)), [0, 1, 3, 2, 11, 5, 10, 7, 8, 9]
    liking = rng.random(12)
    truth = sum(EXAMINATION[place] * (liking[a[place]] - liking[b[place]]) for place in range(10))
    counts, total = weights(a, b, EXAMINATION), 0.0
    for number in range(32):
        draft = team_draft(a, b, 10, [bool(number >> bit & 1) for bit in range(5)])
        total += sum(EXAMINATION[at] * liking[item] * counts[item] for at, item in enumerate(draft.items.tolist())) / 32
    assert total == pytest.approx(truth)
    assert counts[0] == counts[1] == 0.0, "both place it alike"
    assert debiased_credit(counts, [0, 2, 2_000]) == counts[2]


def test_teams_are_credited_with_their_clicks() -> None:
    draft = team_draft([1, 2], [3, 4], 4, [True, False])
    assert draft.items.tolist() == [1, 3, 4, 2]
    assert team_credit(draft, [1, 2, 4]) == 1
