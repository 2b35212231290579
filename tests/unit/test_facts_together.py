"""What a fact is told beside its own chance: how many of the facts at least as likely are right."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.understanding.facts.belief import LIKELY, RIGHT, WRONG, Belief, Curve, at_least

TOP, LOW = 0.97, LIKELY + 0.01


def sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """40 facts of .97, all right; 20 just above LIKELY, 16 of them right; 30 unlikely ones, all wrong."""
    chance = np.concatenate([np.full(40, TOP), np.full(20, LOW), np.full(30, 0.3)])
    right = np.concatenate([np.ones(40), np.ones(16), np.zeros(34)])
    return chance, right, np.ones(90)


def test_the_share_counts_all_that_are_at_least_as_likely() -> None:
    curve = at_least(*sample())
    assert curve.scores == [pytest.approx(LOW), pytest.approx(TOP)]
    assert curve.chances[0] == pytest.approx((56 + RIGHT) / (60 + RIGHT + WRONG), abs=1e-6)
    assert curve.chances[1] == pytest.approx((40 + RIGHT) / (40 + RIGHT + WRONG), abs=1e-6)


def test_likely_facts_act_beside_surer_ones_and_unlikely_ones_are_told_their_own_chance() -> None:
    belief = Belief([1.0], Curve(), Curve(), at_least(*sample()))
    told = belief.told(np.array([0.3, LIKELY - 0.01, LOW, TOP]))
    np.testing.assert_allclose(told[:2], [0.3, LIKELY - 0.01])
    assert told[2] > 0.9 > LOW
    assert told[3] == TOP  # never below its own chance
    assert np.all(np.diff(told) > 0)


def test_many_wrong_ones_hold_the_likely_back() -> None:
    chance, right, weight = sample()
    right[40:60] = 0
    belief = Belief([1.0], Curve(), Curve(), at_least(chance, right, weight))
    assert belief.told(np.array([LOW]))[0] == LOW


def test_what_was_kept_before_is_told_as_it_was() -> None:
    assert Belief([1.0], Curve(), Curve()).told(np.array([0.2, 0.95])).tolist() == [0.2, 0.95]
    assert at_least(np.array([0.5]), np.ones(1), np.ones(1)) == Curve()
