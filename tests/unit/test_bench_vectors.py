"""The benchmark of the vector index: stable figure names, an exact baseline that is exact, and refusals that teach."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.bench._vector_sets import clustered, directions
from bodega.bench.vectors import VectorOptions, run
from bodega.errors import BadRequest


def test_figures_stand_beside_brute_force() -> None:
    found = run(VectorOptions(sizes=(9_000,), dimensions=(16,), questions=5, contestants=("exact", "index")))
    for name in ("exact", "index"):
        for suffix in ("", "_tenth", "_hundredth"):
            assert found.figures[f"{name}.recall@200{suffix}.clustered_9k_16d"] >= (1.0 if name == "exact" else 0.97)
            assert found.figures[f"{name}.ms{suffix}.clustered_9k_16d"] > 0
        assert f"{name}.build_s.clustered_9k_16d" in found.figures
    assert found.facts["contestants"] == ["exact", "index"]


@pytest.mark.parametrize(
    "options",
    [VectorOptions(contestants=("nobody",)), VectorOptions(sizes=(100,)), VectorOptions(dimensions=(1,))],
    ids=["contestant", "size", "dimensions"],
)
def test_what_cannot_be_measured_is_refused(options: VectorOptions) -> None:
    with pytest.raises(BadRequest, match="allowed"):
        run(options)


def test_sets_are_seeded_and_of_length_one() -> None:
    one, asked = clustered(500, 8, 20, seed=1)
    assert np.array_equal(one, clustered(500, 8, 20, seed=1)[0])
    assert not np.array_equal(one, clustered(500, 8, 20, seed=2)[0])
    assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)
    assert asked.shape == (20, 8)
    alike = np.sort(one @ one.T, axis=1)[:, -10].mean()
    spread = directions(np.random.default_rng(0), 500, 8)
    assert alike > np.sort(spread @ spread.T, axis=1)[:, -10].mean() + 0.03
