"""Are the trees that are served those that were learned? Against LightGBM itself, its tree SHAP, and brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import factorial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from bodega.errors import SnapshotCorrupt
from bodega.ranking.learned.boosting import planted
from bodega.ranking.learned.model import Table
from bodega.ranking.learned.trees import LEAVES, Trees, ordered

lightgbm = pytest.importorskip("lightgbm", reason="needs the extra `trees`")

COLUMNS = 9


def table(values: np.ndarray) -> Table:
    """Trees read nothing but the values."""
    return Table(np.ascontiguousarray(values.T, np.float32), cast("Any", SimpleNamespace()))


def learned(leaves: int, rounds: int = 40) -> tuple[Any, Trees, np.ndarray]:
    """(LightGBM's booster, the same as arrays, what to try it on)."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3_000, COLUMNS)).astype(np.float32)
    x[:, 4] = np.round(x[:, 4])  # ties on thresholds
    x[:, 7] = 2.0  # never split on
    y = x[:, 0] * (x[:, 1] > 0) + np.abs(x[:, 4]) + 0.1 * rng.normal(size=len(x))
    settings = {
        "objective": "regression", "boost_from_average": False, "num_leaves": leaves, "verbose": -1, "num_threads": 1,
        "use_missing": False, "seed": 1, "min_data_in_leaf": 5,
    }  # fmt: skip
    booster = lightgbm.train(settings, lightgbm.Dataset(x, y, params={"verbose": -1}), num_boost_round=rounds)
    grown = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    return booster, planted(grown, np.arange(COLUMNS), np.zeros(COLUMNS, np.float32)), x[:400]


@pytest.mark.parametrize("leaves", [2, 5, 8, 16])
def test_scores_are_those_of_lightgbm(leaves: int) -> None:
    booster, trees, x = learned(leaves)
    expected = booster.predict(x, num_threads=1)
    np.testing.assert_allclose(trees.score(table(x)), expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(expected) > 0.5


def test_values_on_a_threshold_go_left() -> None:
    booster, trees, _ = learned(16)
    used = np.arange(LEAVES - 1) < trees.nodes[:, None]
    cuts = [trees.threshold[used & (trees.feature == column)] for column in range(COLUMNS)]
    x = np.stack([np.resize(own if len(own) else [0.0], 300) for own in cuts], axis=1).astype(np.float32)
    x[np.abs(x) < 1e-30] = 0  # LightGBM takes +-1e-35 for zero
    np.testing.assert_allclose(trees.score(table(x)), booster.predict(x, num_threads=1), rtol=1e-4, atol=1e-5)


def test_one_item_none_and_equal_items_score_alike() -> None:
    _, trees, x = learned(8)
    whole = trees.score(table(x))
    one_by_one = np.concatenate([trees.score(table(x[row : row + 1])) for row in range(50)])
    np.testing.assert_allclose(whole[:50], one_by_one, rtol=1e-5, atol=1e-6)
    assert trees.score(table(x[:0])).shape == (0,)
    assert len(np.unique(trees.score(table(np.repeat(x[:1], 30, axis=0))))) == 1


@pytest.mark.parametrize("leaves", [2, 8, 16])
def test_contributions_are_the_tree_shap_of_lightgbm(leaves: int) -> None:
    booster, trees, x = learned(leaves)
    expected = booster.predict(x[:60], pred_contrib=True, num_threads=1)
    got = trees.contributions(table(x[:60]))
    np.testing.assert_allclose(got, expected[:, :-1], rtol=1e-3, atol=1e-4)
    assert trees.base == pytest.approx(float(expected[0, -1]), rel=1e-3, abs=1e-4)
    np.testing.assert_allclose(got.sum(axis=1) + trees.base, trees.score(table(x[:60])), rtol=1e-3, atol=1e-3)


def worth(trees: Trees, x: np.ndarray, known: frozenset[int]) -> float:
    """Expected score of one tree if only these features are known: by definition, node by node."""

    def below(node: int) -> float:
        if node < 0:
            return float(trees.value[0, ~node])
        sides = (int(trees.left[0, node]), int(trees.right[0, node]))
        column = int(trees.feature[0, node])
        if column in known:
            return below(sides[0] if x[column] <= trees.threshold[0, node] else sides[1])
        cover = [float(trees.leaf_cover[0, ~s] if s < 0 else trees.cover[0, s]) for s in sides]
        return (cover[0] * below(sides[0]) + cover[1] * below(sides[1])) / sum(cover)

    return below(0)


def test_contributions_are_shapley_values_by_their_definition() -> None:
    _, trees, x = learned(16, rounds=1)
    used = np.unique(trees.feature[0, : trees.nodes[0]]).tolist()
    assert len(used) >= 3
    got = trees.contributions(table(x[:5]))
    for row in range(5):
        for column in used:
            others = [other for other in used if other != column]
            total = 0.0
            for size in range(len(others) + 1):
                weight = factorial(size) * factorial(len(others) - size) / factorial(len(used))
                for held in combinations(others, size):
                    without = frozenset(held)
                    total += weight * (worth(trees, x[row], without | {column}) - worth(trees, x[row], without))
            assert got[row, column] == pytest.approx(total, abs=1e-5)


def test_leaves_are_numbered_from_left_to_right() -> None:
    left, right, nodes, leaves = ordered(np.array([~2, ~0], np.int32), np.array([1, ~1], np.int32))
    assert left.tolist() == [~0, ~1]
    assert right.tolist() == [1, ~2]
    assert nodes.tolist() == [0, 1]
    assert leaves.tolist() == [2, 0, 1]


def test_saved_trees_score_the_same(tmp_path: Path) -> None:
    _, trees, x = learned(8)
    trees.save(tmp_path)
    again = Trees.load(tmp_path, COLUMNS)
    np.testing.assert_array_equal(trees.score(table(x)), again.score(table(x)))


@pytest.mark.parametrize("damage", ["nan", "columns", "cycle", "child", "nodes", "shape", "missing", "prior"])
def test_damaged_trees_are_refused(damage: str, tmp_path: Path) -> None:
    _, trees, _ = learned(8)
    if damage == "nan":
        trees.value[3, 1] = np.nan
    elif damage == "columns":
        trees.feature[2, 0] = COLUMNS
    elif damage == "cycle":
        trees.left[1, 2] = 0
    elif damage == "child":
        trees.right[1, 0] = 40
    elif damage == "nodes":
        trees.nodes[0] = LEAVES
    elif damage == "shape":
        trees = replace(trees, value=trees.value[:, :-1])
    elif damage == "prior":
        trees = replace(trees, prior=trees.prior[:-1])
    trees.save(tmp_path)
    if damage == "missing":
        (tmp_path / "threshold.npy").unlink()
    with pytest.raises(SnapshotCorrupt):
        Trees.load(tmp_path, COLUMNS)
