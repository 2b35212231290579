"""Floors under the published figures: public data, full ranking, one run a file. Minutes; `make test-slow` runs them.

The floors are those of the roadmap's first issue; what was measured stands in docs/log.md.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bodega.bench import basket, recommend
from bodega.bench.result import BenchResult

pytestmark = [pytest.mark.slow, pytest.mark.data, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]


def data(name: str) -> Path:
    folder = Path(os.environ.get("BODEGA_DATA", ROOT.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"the data folder {name} is not here: set BODEGA_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="module")
def beauty() -> BenchResult:
    return recommend.run(recommend.RecommendOptions(data("amazon2014_beauty")))


@pytest.fixture(scope="module")
def market() -> BenchResult:
    return basket.run(basket.BasketOptions(data("complete_journey")))


@pytest.mark.parametrize(
    ("figure", "floor"),
    [("fusion.ndcg@10", 0.055), ("transition.ndcg@10", 0.054), ("collaborative.ndcg@10", 0.045)],
)
def test_beauty_floors(beauty: BenchResult, figure: str, floor: float) -> None:
    assert beauty.figures[figure] >= floor


def test_transition_holds_its_floor_without_learning_again(beauty: BenchResult) -> None:
    """As in the papers: models that never saw a validation item."""
    assert beauty.figures["transition.ndcg@10.strict"] >= 0.054


def test_the_fusion_beats_its_best_part(beauty: BenchResult) -> None:
    assert beauty.intervals["fusion_vs_best.ndcg@10"][0] > 0
    assert beauty.figures["popular.ndcg@10"] < beauty.figures["collaborative.ndcg@10"]


def test_beauty_is_the_file_that_papers_use(beauty: BenchResult) -> None:
    facts = beauty.facts
    assert (facts["users"], facts["items"], facts["events"], facts["cases"]) == (22_363, 12_101, 198_502, 22_363)


def test_the_supermarket_fusion_is_not_below_personal_frequency(market: BenchResult) -> None:
    """The baseline that most published next-basket models fail to beat."""
    assert market.intervals["fusion_vs_frequency.ndcg@10"][0] > 0
    assert market.intervals["fusion.ndcg@10"][0] > market.intervals["popular.ndcg@10"][1]


def test_completing_a_basket_beats_popularity(market: BenchResult) -> None:
    low, _ = market.intervals["fusion.ndcg@10.complete"]
    assert low > market.figures["popular.ndcg@10.complete"]
