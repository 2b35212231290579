"""The bench of tasks: its own AUC is the textbook's, and a small run has every figure it promises."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.bench.tasks import TasksOptions, auc, run
from bodega.errors import BadRequest
from bodega.ranking.learned.network import NetworkOptions


def test_auc_counts_pairs_and_ties_half() -> None:
    score = np.array([0.1, 0.4, 0.4, 0.9], np.float32)
    right = np.array([False, True, False, True])
    weights = np.array([[1, 1, 1, 1], [1, 2, 0, 1]], np.float64)
    assert auc(score, right, weights).tolist() == [0.875, 1.0]


def test_too_small_a_world_is_refused() -> None:
    with pytest.raises(BadRequest, match="too small"):
        run(TasksOptions(shoppers=5))


@pytest.mark.slow
def test_a_small_run_has_every_figure() -> None:
    pytest.importorskip("torch")
    small = NetworkOptions(steps=0, epochs=2, width=8, tower=8)
    options = TasksOptions(shoppers=120, items=80, days=30, lists=1_500, network=small)
    result = run(options)
    for model in ("logistic", "single", "shared", "mmoe", "ple", "ple-din"):
        for name in ("auc_click", "auc_cart", "auc_purchase", "ece_click", "ece_click.raw", "ndcg@10"):
            assert 0 <= result.figures[f"{model}.{name}"] <= 1
        assert result.figures[f"{model}.auc_click"] > 0.55
    assert result.figures["examination.attraction@8"] > result.figures["naive.attraction@8"]
    assert result.intervals["ple_vs_logistic.auc_purchase"][0] <= result.figures["ple_vs_logistic.auc_purchase"]
