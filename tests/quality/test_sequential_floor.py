"""The sequential source on Beauty as papers measure it: a floor, and what learning and answering cost. Minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodega.bench import sequential
from bodega.bench.result import BenchResult
from bodega.bench.sequential import SequentialBenchOptions

pytestmark = [pytest.mark.slow, pytest.mark.data, pytest.mark.timeout(3_000)]


@pytest.fixture(scope="module")
def beauty(data_folder: Path) -> BenchResult:
    return sequential.run(SequentialBenchOptions(data_folder / "amazon2014_beauty", full=True, only=()))


def test_alone_it_is_as_good_as_what_is_published(beauty: BenchResult) -> None:
    assert beauty.figures["sequential.ndcg@10.strict"] >= 0.050
    assert beauty.figures["sequential.recall@10.strict"] >= 0.090
    assert beauty.figures["sequential.ndcg@10.strict"] > 5 * beauty.figures["popular.ndcg@10.strict"]


def test_learning_and_answering_stay_within_their_cost(beauty: BenchResult) -> None:
    assert beauty.figures["sequential.cpu_s"] <= 250
    assert beauty.figures["sequential.ms"] <= 2.0


def test_the_fusion_gains_from_it(beauty: BenchResult) -> None:
    assert beauty.figures["with.fused"] > beauty.figures["without.fused"]
