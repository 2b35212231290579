"""The benchmark of experiments at a small size: every figure is there, and those with a right answer are right."""

from __future__ import annotations

import pytest

from bodega.bench.experiments import ExperimentsOptions, run


@pytest.fixture(scope="module")
def result():
    return run(ExperimentsOptions(runs=40, pages=2_500))


def test_rates_are_rates_with_intervals(result):
    for name in ("aa.false_positive_rate", "srm.false_alarm_rate", "srm.detection_rate", "power.once.found"):
        low, high = result.intervals[name]
        assert 0 <= low <= result.figures[name] <= high <= 1


def test_watching_costs_no_false_alarms_and_naive_watching_does(result):
    assert result.figures["aa.false_positive_rate"] <= 0.1
    assert result.figures["aa.naive.false_positive_rate"] > result.figures["aa.false_positive_rate"]
    assert result.figures["srm.detection_rate"] > 0.9
    assert result.figures["guardrail.stopped"] == 1


def test_one_list_needs_fewer_pages_than_two(result):
    assert result.figures["interleaving.speedup"] > 2
    assert result.figures["ab.pages"] > result.figures["interleaving.pages"]
