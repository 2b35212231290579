"""Fits `Trees` with LightGBM: small trees, one after the other, that correct the fusion's sum where it is wrong.

Three things make it work, each found by measuring (docs/decisions/0024): it learns from the first places only, where a
mistake costs something; it starts *at* the sum, with the factor under which the sum tells most, instead of learning it
anew; and it does not see the sum's own columns, so trees cannot chop the order into steps but only move what else is
known (which source speaks, how popular, how near in words). The loss is the softmax over a case's candidates.
One thread and fixed seeds: the same lessons give the same trees. Cost: 7,000 cases x 60 candidates, 200 trees 8 CPU s.
Papers: Ke et al. 2017 (LightGBM); Burges 2010 (LambdaMART, the same trees under another loss).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bodega.errors import MissingExtra
from bodega.ranking.learned.lessons import Lessons
from bodega.ranking.learned.model import Model
from bodega.ranking.learned.softmax import Softmax
from bodega.ranking.learned.trees import LEAVES, Trees, ordered
from bodega.schema.arrays import Doubles, Flags, Floats

MOST = 20_000
"""Cases learned from."""


@dataclass(frozen=True)
class TreesLearner:
    """`width` first places of a case are learned from; `stages` are numbers of trees to choose from."""

    width: int = 60
    stages: tuple[int, ...] = (25, 50, 100, 150, 200)
    leaves: int = 8
    rate: float = 0.1
    least: float = 3.0
    """Sum of chance x (1 - chance) that a leaf must hold at least: about as many cases in doubt."""
    shrink: float = 5.0
    """L2 penalty of leaf values."""
    part: float = 0.5
    """Part of the columns that a tree may use."""
    seed: int = 1
    blind: tuple[str, ...] = ()
    """Columns beginning with one of these are left out (what is a group of features worth?)."""
    kind: ClassVar[str] = Trees.kind

    def fit(self, lessons: Lessons) -> Mapping[int, Model]:
        """{number of trees: model}. Raises MissingExtra without LightGBM."""
        try:
            import lightgbm
        except ImportError as error:
            raise MissingExtra.named("trees", needed_for="learning to rank with trees") from error
        told = lessons.narrowed(self.width).sample(MOST, self.width)
        task = Softmax.of(told)
        prior = np.zeros(told.values.shape[1], np.float32)
        if not len(told):  # every hit lies behind the first places: the sum is all there is
            prior[told.recipe.sum_at] = 1
            return {stage: planted([], np.empty(0, np.int32), prior) for stage in self.stages}
        factor = task.temperature(told.sum)
        prior[told.recipe.sum_at] = factor
        own = usable(told, self.blind)
        settings: dict[str, Any] = {
            "objective": _objective(task),
            "learning_rate": self.rate,
            "num_leaves": min(self.leaves, LEAVES),
            "min_data_in_leaf": 50,
            "min_sum_hessian_in_leaf": self.least,
            "lambda_l2": self.shrink,
            "feature_fraction": self.part,
            "max_bin": 63,
            "use_missing": False,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "seed": self.seed,
            "verbose": -1,
        }
        rows = lightgbm.Dataset(
            told.values[:, own],
            label=task.target,
            init_score=told.sum.astype(np.float64) * factor,
            params={name: settings[name] for name in ("max_bin", "use_missing", "num_threads", "verbose", "seed")},
        )
        booster = lightgbm.train(settings, rows, num_boost_round=max(self.stages))
        grown = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
        return {stage: planted(grown[:stage], np.flatnonzero(own).astype(np.int32), prior) for stage in self.stages}


def usable(lessons: Lessons, blind: tuple[str, ...] = ()) -> Flags:
    """Columns that trees may split on: all that vary, but for the sum's own and the `blind` ones."""
    varies = lessons.values.max(axis=0, initial=-np.inf) > lessons.values.min(axis=0, initial=np.inf)
    of_sum = np.array([name.startswith(("sum.", *blind)) for name in lessons.recipe.columns])
    flags: Flags = varies & ~of_sum
    return flags


def _objective(task: Softmax) -> Callable[[Doubles, Any], tuple[Doubles, Doubles]]:
    """Gradient and curvature of the softmax over each case, as LightGBM asks for them."""

    def asked(score: Doubles, _: Any) -> tuple[Doubles, Doubles]:
        chance = task.chances(score)
        return chance - task.target, np.maximum(chance * (1 - chance), 1e-6)

    return asked


def planted(grown: list[dict[str, Any]], columns: Any, prior: Floats) -> Trees:
    """LightGBM's trees (as `dump_model` has them) as flat arrays; `columns`: the column of each of its features."""
    n = len(grown)
    inner, leaves = (n, LEAVES - 1), (n, LEAVES)
    trees = Trees(
        feature=np.zeros(inner, np.int32),
        threshold=np.zeros(inner, np.float32),
        left=np.full(inner, -1, np.int32),
        right=np.full(inner, -1, np.int32),
        cover=np.zeros(inner, np.float32),
        leaf_cover=np.zeros(leaves, np.float32),
        value=np.zeros(leaves, np.float32),
        nodes=np.zeros(n, np.int32),
        prior=prior,
    )
    for number, root in enumerate(grown):
        nodes, ends = _listed(root)
        child = [np.array([_number(node[side]) for node in nodes], np.int32) for side in ("left_child", "right_child")]
        left, right, order, leaf_order = ordered(child[0], child[1])
        m = len(order)
        trees.nodes[number] = m
        trees.left[number, :m], trees.right[number, :m] = left, right
        trees.feature[number, :m] = columns[[nodes[at]["split_feature"] for at in order.tolist()]] if m else 0
        trees.threshold[number, :m] = _not_above([nodes[at]["threshold"] for at in order.tolist()])
        trees.cover[number, :m] = [nodes[at]["internal_count"] for at in order.tolist()]
        own = [ends[at] for at in leaf_order.tolist()]
        trees.value[number, : len(own)] = [leaf["leaf_value"] for leaf in own]
        trees.leaf_cover[number, : len(own)] = [leaf.get("leaf_count", 1) for leaf in own]
    return trees


def _listed(root: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(inner nodes by their index, leaves by theirs)."""
    nodes: dict[int, dict[str, Any]] = {}
    ends: dict[int, dict[str, Any]] = {}
    stack = [root]
    while stack:
        at = stack.pop()
        if "split_index" in at:
            nodes[at["split_index"]] = at
            stack += [at["left_child"], at["right_child"]]
        else:
            ends[at.get("leaf_index", 0)] = at
    return [nodes[number] for number in sorted(nodes)], [ends[number] for number in sorted(ends)]


def _number(node: dict[str, Any]) -> int:
    return int(node["split_index"]) if "split_index" in node else ~int(node.get("leaf_index", 0))


def _not_above(thresholds: list[float]) -> Floats:
    """The largest float32 that is not above each: x <= t means the same for every float32 x."""
    exact = np.array(thresholds, np.float64)
    near = exact.astype(np.float32)
    return np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)
