"""Neighbour lists: scoring a few items gives what scoring all of them gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from bodega.retrieval._index import Neighbours


@pytest.mark.parametrize("seed", range(5))
def test_scores_of_a_few_items_are_those_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    near = Neighbours.cut([sparse.random(60, 60, 0.2, "csr", np.float32, rng)], 8)
    seeds, weights = rng.integers(0, 60, 5).astype(np.int32), rng.random(5).astype(np.float32)
    items = rng.integers(0, 60, 40).astype(np.int32)  # some of them twice
    few = near.reached(seeds, weights, items)
    assert np.array_equal(few, near.spread(seeds, weights)[items], equal_nan=True)
    assert np.isfinite(few).any()
    assert np.isnan(few).any()


def test_no_seeds_or_no_items_reach_nothing() -> None:
    near = Neighbours.cut([sparse.eye(4, format="csr", dtype=np.float32)], 2)
    one, none = np.array([1], np.int32), np.empty(0, np.int32)
    assert np.isnan(near.reached(none, np.empty(0, np.float32), one)).all()
    assert near.reached(one, np.ones(1, np.float32), none).shape == (0,)
