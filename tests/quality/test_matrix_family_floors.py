"""Matrix, graph and slim on Beauty's validation items: never below these floors, far above popularity."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.bench._sequences import read_sequences
from bodega.evaluation import evaluate, leave_last_out, metric
from bodega.retrieval.graph import Graph
from bodega.retrieval.matrix import Matrix
from bodega.retrieval.popular import Popular
from bodega.retrieval.slim import Slim
from bodega.schema import World

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("source", "floor"), [(Matrix, 0.032), (Graph, 0.049), (Slim, 0.060)])
def test_floor_on_beauty(data_folder, source, floor):
    data = read_sequences(data_folder / "amazon2014_beauty", seed=7)
    log, cases = leave_last_out([own for own in data.sequences if len(own) > 2], back=1)
    world = World(data.items, log, float(log.time[-1]) + 60)
    drawn = [cases[row] for row in np.random.default_rng(7).permutation(len(cases))[:4_000]]
    rows = np.arange(len(data.items), dtype=np.int32)
    fitted, popular = source().fit(world), Popular().fit(world)
    scorers = {"own": lambda c: fitted.score(c, rows), "popular": lambda c: popular.score(c, rows)}
    outcomes = evaluate(scorers, drawn, len(rows))
    own, plain = (float(metric(outcomes[name].masked, "ndcg@10").mean()) for name in ("own", "popular"))
    assert own >= floor, f"{own:.4f}"
    assert own >= 3 * plain, f"{own:.4f} against {plain:.4f}"
