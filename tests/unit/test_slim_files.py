"""Neighbour lists on disk, of any source that has them: what cannot be used is refused, not served."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.errors import SnapshotCorrupt
from bodega.retrieval.graph import Graph
from bodega.retrieval.relations import Complements
from bodega.retrieval.slim import Slim
from bodega.testing.world import WorldSpec, make_world


@pytest.fixture(scope="module")
def world():
    return make_world(WorldSpec(n_items=60, n_shoppers=40, days=25)).world()


@pytest.mark.parametrize("source", [Slim, Graph, Complements])
@pytest.mark.parametrize("damage", ["nan", "inf", "stranger", "negative", "short", "backwards"])
def test_damaged_lists_are_refused(tmp_path, world, source, damage):
    source().fit(world).save(tmp_path)
    starts, items, weights = (np.load(tmp_path / f"near.{part}.npy") for part in ("starts", "items", "weights"))
    assert len(weights) > 3
    if damage in ("nan", "inf"):
        weights[2] = float(damage)
    elif damage == "stranger":
        items[1] = len(world.items)
    elif damage == "negative":
        items[1] = -1
    elif damage == "short":
        weights = weights[:-1]
    else:
        starts[1:-1] = starts[1:-1][::-1]
    for part, array in (("starts", starts), ("items", items), ("weights", weights)):
        np.save(tmp_path / f"near.{part}.npy", array)
    with pytest.raises(SnapshotCorrupt, match="neighbour lists of a model cannot be used"):
        source.load(tmp_path, world.items)
