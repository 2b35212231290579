"""Metrics against figures worked out by hand, against a slow and obviously right twin, and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bodega.errors import BadRequest
from bodega.evaluation import Ranked, average_ranks, metric, per_case
from bodega.evaluation import metrics as m
from bodega.evaluation.ranks import both_ranks


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def ranked(*cases: list[float], n: int = 100) -> Ranked:
    """Cases given as lists of ranks."""
    flat = np.array([rank for case in cases for rank in case], np.float64)
    rows = np.repeat(np.arange(len(cases)), [len(case) for case in cases]).astype(np.int32)
    return Ranked(flat, np.arange(len(flat), dtype=np.int32), rows, np.full(len(cases), n, np.int32))


def slow_ranks(scores: list[float], relevant: list[int], masked: list[int]) -> list[float]:
    """Sort everything, give equal scores the mean of the places they share: the definition, one item at a time."""
    kept = [i for i in range(len(scores)) if i not in masked]
    value = {i: -math.inf if math.isnan(scores[i]) else scores[i] for i in kept}
    order = sorted(kept, key=lambda i: -value[i])
    places = {i: [place for place, j in enumerate(order, 1) if value[j] == value[i]] for i in relevant}
    return [sum(places[i]) / len(places[i]) for i in relevant]


def test_hand_computed_ranks() -> None:
    scores = np.array([0.5, 0.9, 0.5, np.nan, 0.1, np.nan])
    assert average_ranks(scores, ints(1, 0, 2, 4, 3)).tolist() == [1, 2.5, 2.5, 4, 5.5]
    assert average_ranks(scores, ints(0, 3), ints(1, 5)).tolist() == [1.5, 4]


def test_constant_scores_put_everything_in_the_middle() -> None:
    for value in (0.0, np.nan, 7.0, -np.inf):
        assert average_ranks(np.full(11, value), ints(0, 5, 10)).tolist() == [6, 6, 6]


def test_ranks_equal_the_slow_twin() -> None:
    rng = np.random.default_rng(3)
    for _ in range(300):
        n = int(rng.integers(1, 60))
        scores = rng.integers(0, 6, n).astype(float)
        scores[rng.random(n) < 0.2] = np.nan
        items = rng.permutation(n)
        cut = int(rng.integers(1, n + 1))
        relevant, masked = items[:cut], items[cut : cut + int(rng.integers(0, n - cut + 1))]
        without, full = both_ranks(scores, relevant.astype(np.int32), masked.astype(np.int32))
        assert without.tolist() == slow_ranks(scores.tolist(), relevant.tolist(), masked.tolist())
        assert full.tolist() == slow_ranks(scores.tolist(), relevant.tolist(), [])
        assert average_ranks(scores, relevant.astype(np.int32), masked.astype(np.int32)).tolist() == without.tolist()


def test_ranks_equal_scipy_rankdata() -> None:
    scores = np.round(np.random.default_rng(5).normal(size=500), 1)
    expected = stats.rankdata(-scores, method="average")
    assert average_ranks(scores, np.arange(500, dtype=np.int32)).tolist() == expected.tolist()
    assert average_ranks(scores, ints(7, 300)).tolist() == expected[[7, 300]].tolist()


def test_hand_computed_metrics() -> None:
    """Three cases: found first; found at 3 and 12 of two; never within ten."""
    judged = ranked([1], [3, 12], [40])
    ideal_two = 1 + 1 / math.log2(3)
    assert m.ndcg(judged, 10) == pytest.approx([1, (1 / 2) / ideal_two, 0])
    assert m.ndcg(judged, 20) == pytest.approx([1, (1 / 2 + 1 / math.log2(13)) / ideal_two, 0])
    assert m.recall(judged, 10).tolist() == [1, 0.5, 0]
    assert m.hit(judged, 10).tolist() == [1, 1, 0]
    assert m.precision(judged, 10).tolist() == [0.1, 0.1, 0]
    assert m.mrr(judged) == pytest.approx([1, 1 / 3, 1 / 40])
    # below rank 3 stand 97 items, 96 of them not relevant; below rank 12 stand 88; there are 98 not relevant
    assert m.auc(judged) == pytest.approx([1, (96 + 88) / (2 * 98), 60 / 99])
    assert m.auc(ranked([1, 2], n=4)).tolist() == [1.0]
    assert m.auc(ranked([3, 4], n=4)).tolist() == [0.0]
    assert np.isnan(m.auc(ranked([1, 2], n=2))).all()


def test_ndcg_counts_ideal_only_as_deep_as_the_list() -> None:
    assert m.ndcg(ranked([1, 2, 3]), 2).tolist() == [1.0]
    assert m.recall(ranked([1, 2, 3]), 2) == pytest.approx([2 / 3])


def test_ties_over_the_cut_off_never_pass_one() -> None:
    scores = np.array([1, 1, 1, 0, 0], float)
    ranks = average_ranks(scores, ints(0, 1, 2))
    judged = Ranked(ranks, ints(0, 1, 2), ints(0, 0, 0), ints(5))
    assert ranks.tolist() == [2, 2, 2]
    assert m.precision(judged, 2).tolist() == [1.0]
    assert m.ndcg(judged, 2).tolist() == [1.0]


def test_auc_equals_mann_whitney() -> None:
    rng = np.random.default_rng(9)
    for _ in range(50):
        n = int(rng.integers(3, 80))
        scores = rng.integers(0, 9, n).astype(float)
        relevant = rng.permutation(n)[: int(rng.integers(1, n))].astype(np.int32)
        others = np.setdiff1d(np.arange(n), relevant)
        judged = Ranked(average_ranks(scores, relevant), relevant, np.zeros(len(relevant), np.int32), ints(n))
        u = stats.mannwhitneyu(scores[relevant], scores[others]).statistic
        assert m.auc(judged)[0] == pytest.approx(u / (len(relevant) * len(others)))


def test_metrics_equal_the_definition_on_random_rankings() -> None:
    rng = np.random.default_rng(11)
    for _ in range(100):
        n, k = int(rng.integers(2, 50)), int(rng.integers(1, 15))
        scores = rng.permutation(n).astype(float)
        relevant = rng.permutation(n)[: int(rng.integers(1, n))].astype(np.int32)
        judged = Ranked(average_ranks(scores, relevant), relevant, np.zeros(len(relevant), np.int32), ints(n))
        best = np.argsort(-scores)[:k]
        gains = [1 / math.log2(place + 2) for place, item in enumerate(best) if item in relevant]
        ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(relevant))))
        found = len(gains)
        expected = {
            f"ndcg@{k}": sum(gains) / ideal,
            f"recall@{k}": found / len(relevant),
            f"precision@{k}": found / k,
            f"hit@{k}": float(found > 0),
            "mrr": 1 / (1 + min(int(np.flatnonzero(np.argsort(-scores) == item)[0]) for item in relevant)),
        }
        assert {name: values[0] for name, values in per_case(judged, list(expected)).items()} == pytest.approx(expected)


def test_slices_keep_the_ranks_and_drop_empty_cases() -> None:
    judged = ranked([1, 5], [2], [9, 30])
    part = judged.only(np.array([False, True, False, False, True]))
    assert part.rank.tolist() == [5, 30]
    assert part.case.tolist() == [0, 1]
    assert part.n_cases == 2
    assert judged.rows(np.array([True, False, True])).rank.tolist() == [1, 5, 9, 30]


def test_an_unknown_metric_is_refused() -> None:
    for name in ("ndcg", "ndcg@0", "ndcg@x", "mrr@10", "accuracy"):
        with pytest.raises(BadRequest, match="ndcg@k"):
            metric(ranked([1]), name)


def test_list_metrics_by_hand() -> None:
    lists = np.array([[0, 1], [0, -1]], np.int32)
    counts = np.array([8, 4, 0, 0])
    assert m.coverage(lists, 4) == 0.5
    assert m.novelty(lists, counts, 16) == pytest.approx((1 + 2 + 1) / 3)
    assert m.novelty(np.array([[2]], np.int32), counts, 16) == pytest.approx(5)
    assert m.popularity_percentile(lists, counts) == pytest.approx((3.5 + 2.5 + 3.5) / 3 / 4)
    assert m.gini(np.array([[0], [1], [2], [3]], np.int32), 4) == pytest.approx(0)
    assert m.gini(np.array([[0], [0]], np.int32), 4) == pytest.approx(0.75)
    empty = np.full((1, 2), -1, np.int32)
    assert m.coverage(empty, 4) == 0
    assert math.isnan(m.novelty(empty, counts, 16))
    assert math.isnan(m.gini(empty, 4))


def test_calibration_by_hand() -> None:
    probability = np.array([0.9, 0.9, 0.1, 0.1])
    happened = np.array([True, False, False, False])
    assert m.brier(probability, happened) == pytest.approx((0.01 + 0.81 + 0.01 + 0.01) / 4)
    assert m.calibration_error(probability, happened) == pytest.approx((0.8 + 0.2) / 4)
    assert m.calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0
