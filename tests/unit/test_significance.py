"""Bootstrap intervals against scipy's, and what they must say where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bodega.evaluation import bootstrap, intervals, paired


def test_intervals_equal_scipy() -> None:
    values = np.random.default_rng(1).exponential(size=400)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    ours = intervals({"x": values}, np.random.default_rng(3), resamples=4000)["x"]
    width = theirs.high - theirs.low
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.06 * width)


def test_an_interval_holds_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(300):
        low, high = intervals({"x": rng.normal(size=80)}, rng, resamples=300)["x"]
        held += low <= 0 <= high
    assert 0.89 <= held / 300 <= 0.99


def test_same_seed_same_interval() -> None:
    values = {"a": np.arange(50.0), "b": np.ones(50)}
    first = intervals(values, np.random.default_rng(7))
    assert first == intervals(values, np.random.default_rng(7))
    assert first["b"] == (1.0, 1.0)


def test_columns_are_drawn_together() -> None:
    """The same shoppers for every column: x and x + 1 differ by exactly 1 in every resample."""
    values = np.random.default_rng(5).normal(size=(200, 1))
    means = bootstrap(np.hstack([values, values + 1]), np.random.default_rng(6), 130)
    assert means.shape == (130, 2)
    assert means[:, 1] - means[:, 0] == pytest.approx(1)


def test_nan_counts_as_absent() -> None:
    values = np.array([[1.0], [np.nan], [1.0], [np.nan]])
    means = bootstrap(values, np.random.default_rng(8), 64)
    assert np.nanmin(means) == 1.0
    assert np.nanmax(means) == 1.0


def test_pairing_sees_what_two_intervals_cannot() -> None:
    """A gain of .01 on every shopper is certain, although shoppers differ by far more."""
    rng = np.random.default_rng(9)
    base = rng.random(500)
    gain = paired(base + 0.01, base, rng)
    assert gain.better
    assert gain.mean == pytest.approx(0.01)
    noise = paired(rng.random(500), rng.random(500), rng)
    assert noise.low < 0 < noise.high
    assert not noise.better


def test_no_cases_no_interval() -> None:
    assert intervals({"x": np.empty(0)}, np.random.default_rng(1)) == {}
    assert paired(np.empty(0), np.empty(0), np.random.default_rng(1)).mean == 0
