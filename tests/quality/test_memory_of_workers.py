"""Four workers of a shop with a real number of items take not much more memory than one process."""

from __future__ import annotations

from pathlib import Path

import pytest

import bodega
from bodega.bench.workers import WorkersOptions, run
from bodega.testing.world import WorldSpec, make_world

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc to see what is shared"),
]


def test_what_a_worker_has_of_its_own_is_bounded(tmp_path: Path, quick) -> None:
    """On a small shop the supervisor and each worker's own pages weigh more beside one process than on a large one
    (docs/decisions/0057: 1.3 with 92,000 items); before anything but the snapshot was shared it was above 2.2."""
    folder = quick(tmp_path / "shop")
    world = make_world(WorldSpec(n_items=600, n_shoppers=120, days=45))
    with bodega.open(folder) as shop:
        shop.catalog.upsert(world.items)
        shop.events.record(world.events)
        assert shop.learn().published
    found = run(WorkersOptions(folder, pages=300)).figures
    assert found["memory.ratio"] == pytest.approx(found["memory.team_mb"] / found["memory.one_mb"], rel=0.01)
    assert found["memory.worker_start_mb"] < 35, found
    assert found["memory.worker_mb"] < 70, found
    assert found["memory.ratio"] < 2.2, found
