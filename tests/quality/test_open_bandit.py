"""On a real shop's two policies, judged each from the other's log: do the estimates find what the other log knows?"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from bodega.bench import _open_bandit as bandit
from bodega.bench.exploration import ExplorationOptions, run
from bodega.errors import BadRequest, NoEvidence
from bodega.evaluation.off_policy import Logged, evaluate_policy


@pytest.fixture(scope="module")
def folder(data_folder: Path) -> Path:
    found = data_folder / "open_bandit_men"
    if not found.is_dir():
        pytest.skip(f"no Open Bandit data at {found}")
    return found


def test_the_intervals_hold_the_truth_of_the_other_log_and_the_naive_mean_does_not(folder):
    logs = bandit.read(folder)
    even = np.full((bandit.PLACES, bandit.ITEMS), 1 / bandit.ITEMS)
    for log, other, target in (("bts", "random", even), ("random", "bts", bandit.shown_by(logs["bts"]))):
        value = evaluate_policy(bandit.asked(logs[log], target), np.random.default_rng(7))
        known = bandit.truth_of(logs[other], np.random.default_rng(7))
        truth = known["value"]
        assert value["snips"].low <= truth <= value["snips"].high
        for name in ("ips", "snips", "dr", "switch_dr"):
            # The truth has 46 or 69 clicks: an interval, too. One end of `dr` only just meets its middle (.0046).
            assert value[name].low <= known["high"], (other, name)
            assert known["low"] <= value[name].high, (other, name)
            assert abs(value[name].value / truth - 1) < 0.4, (other, name)
        assert not value["naive"].low <= truth <= value["naive"].high
        assert abs(value["switch_dr"].value - truth) < abs(value["naive"].value - truth)


def test_a_short_log_and_a_log_of_wrong_chances_are_refused(folder, rng):
    logged = bandit.asked(bandit.read(folder)["bts"], np.full((bandit.PLACES, bandit.ITEMS), 1 / bandit.ITEMS))
    cut = Logged(logged.reward[:900], logged.propensity[:900], logged.target[:900], logged.cluster[:900])
    with pytest.raises(NoEvidence, match="too little"):
        evaluate_policy(cut, rng)
    wrong = Logged(logged.reward, np.minimum(2 * logged.propensity, 1), logged.target, logged.cluster)
    with pytest.raises(NoEvidence, match="do not fit"):
        evaluate_policy(wrong, rng)


def test_a_folder_without_the_data_says_so(tmp_path):
    with pytest.raises(BadRequest, match="Open Bandit"):
        bandit.read(tmp_path)


@pytest.mark.slow
def test_the_benchmark_names_its_figures_and_repeats_them(folder):
    options = ExplorationOptions(data=folder, rounds=200, runs=2, coverage=3)
    one, other = run(options), run(options)
    assert one.figures == other.figures
    assert msgspec.json.encode(one)
    for name in ("snips.random_from_bts_error", "slotwise.coverage_place", "thompson.regret_cascade",
                 "thompson.clicks_change", "linear.new_shown", "thompson.farm_uplift"):  # fmt: skip
        assert name in one.figures
