"""Are the statistics of experiments those of others? The same data through statsmodels and tea-tasting."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from bodega.evaluation.experiments import Moments, adjusted, by_segment, plan, sample_ratio
from bodega.evaluation.experiments.once import welch
from bodega.evaluation.experiments.power import found

pytest.importorskip("statsmodels", reason="statsmodels is installed for tests only")
pytest.importorskip("tea_tasting", reason="tea-tasting is installed for tests only")


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    arm, before = rng.integers(0, 2, 4_000), rng.gamma(2.0, 1.0, 4_000)
    return {"arm": arm, "before": before, "bought": 0.7 * before + 0.1 * arm + rng.gamma(2.0, 1.0, 4_000)}


def test_what_was_known_before_is_taken_out_as_others_do(data):
    import pandas as pd
    import tea_tasting as tt

    frame = pd.DataFrame({"variant": data["arm"], "bought": data["bought"], "before": data["before"]})
    theirs = tt.Experiment(bought=tt.Mean("bought", covariate="before")).analyze(frame)["bought"]
    ours = adjusted(data["bought"], data["before"]).values
    one, other = (Moments.of(ours[data["arm"] == arm]) for arm in (1, 0))
    assert one.mean - other.mean == pytest.approx(theirs.effect_size, rel=1e-3)
    error = np.sqrt(one.variance / one.n + other.variance / other.n)
    assert error == pytest.approx((theirs.effect_size_ci_upper - theirs.effect_size_ci_lower) / 2 / 1.9605, rel=5e-3)


def test_arms_of_the_wrong_size_are_as_unlikely_as_others_say(data):
    import pandas as pd
    import tea_tasting as tt

    arm = np.append(data["arm"], np.ones(150, np.int64))
    theirs = tt.Experiment(ratio=tt.SampleRatio(method="norm", correction=False)).analyze(
        pd.DataFrame({"variant": arm})
    )
    counts = np.bincount(arm)
    assert sample_ratio(counts.tolist(), [1, 1]) == pytest.approx(theirs["ratio"].pvalue, rel=1e-6)


@pytest.mark.parametrize(("mean", "variance", "lift"), [(0.05, 0.0475, 0.1), (2.0, 9.0, 0.02), (1.0, 1.0, 0.5)])
def test_plans_are_those_of_others(mean, variance, lift):
    from statsmodels.stats.power import NormalIndPower

    effect = mean * lift / np.sqrt(variance)
    theirs = NormalIndPower().solve_power(effect_size=effect, power=0.8, alpha=0.05, ratio=1.0)
    assert plan(mean, variance, lift).once == pytest.approx(theirs, abs=1.5, rel=1e-3)
    power = NormalIndPower().power(effect_size=effect, nobs1=500, alpha=0.05, ratio=1.0)
    assert found(mean, variance, lift, 500) == pytest.approx(power, abs=1e-6)


def test_many_segments_are_corrected_as_others_do():
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    rng = np.random.default_rng(1)
    values = {f"s{n}": (rng.normal(0.03 * n, 1, 300), rng.normal(0, 2, 200)) for n in range(8)}
    raw = {
        name: CompareMeans(DescrStatsW(arm), DescrStatsW(control)).ttest_ind(usevar="unequal")[1]
        for name, (arm, control) in values.items()
    }
    theirs = dict(zip(raw, multipletests(list(raw.values()), method="fdr_bh")[1], strict=True))
    ours = {each.segment: each.p for each in by_segment(values).effects}
    assert ours == pytest.approx(theirs)


def test_what_is_read_once_is_scipys_welch(rng):
    arm, control = rng.gamma(1.0, 2.0, 90), rng.gamma(1.2, 2.0, 140)
    ours, oracle = welch(arm, control, 0.1), ttest_ind(arm, control, equal_var=False)
    bounds = oracle.confidence_interval(0.9)
    np.testing.assert_allclose([ours.p, ours.low, ours.high], [oracle.pvalue, bounds.low, bounds.high], rtol=1e-9)
    same = np.ones(40)
    assert (welch(same, same).low, welch(same, same).p) == (-np.inf, 1.0), "equal values say nothing"
