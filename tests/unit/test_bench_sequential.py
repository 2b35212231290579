"""The bench of the sequential source on a folder small enough to know what must come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bodega.bench import sequential
from bodega.bench.sequential import SequentialBenchOptions
from bodega.errors import BadRequest

N_ITEMS = 30


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shoppers walk round a ring of items: after i comes i + 1."""
    folder = tmp_path_factory.mktemp("ring")
    rng = np.random.default_rng(1)
    lines = []
    for user in range(600):
        start, length = int(rng.integers(N_ITEMS)), int(rng.integers(5, 9))
        lines.append(" ".join([f"u{user}", *(f"i{(start + step) % N_ITEMS}" for step in range(length))]))
    (folder / "sequences.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.slow
def test_figures_of_the_default_and_of_what_was_asked_for(ring: Path) -> None:
    found = sequential.run(SequentialBenchOptions(ring, only=("noise_start", "warm")))
    figures = found.figures
    for name in ("popular", "transition", "sequential", "noise_start", "warm"):
        assert f"{name}.ndcg@10" in figures
    assert figures["transition.ndcg@10"] > 0.9
    assert figures["sequential.ndcg@10"] > figures["popular.ndcg@10"] + 0.1
    assert figures["gain.warm.ndcg@10"] == pytest.approx(figures["warm.ndcg@10"] - figures["sequential.ndcg@10"])
    low, high = found.intervals["gain.noise_start.ndcg@10"]
    assert low <= figures["gain.noise_start.ndcg@10"] <= high
    assert 0 < figures["sequential.ms"] < 20
    assert "sequential.ndcg@10.strict" not in figures


@pytest.mark.slow
def test_full_adds_the_test_and_the_fusion(ring: Path) -> None:
    figures = sequential.run(SequentialBenchOptions(ring, full=True, only=())).figures
    assert figures["transition.ndcg@10.strict"] > 0.9
    assert "sequential.ndcg@10.strict" in figures
    assert figures["with.fused"] >= figures["without.fused"] - 0.02


def test_a_variant_that_there_is_not(ring: Path) -> None:
    with pytest.raises(BadRequest, match="gpt"):
        sequential.run(SequentialBenchOptions(ring, only=("gpt",)))
