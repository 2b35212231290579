"""The price of mixing: stable figures, the plain order as baseline, more distance for more strength."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bodega.bench.diversity import DIALS, OFF, DiversityOptions, run
from bodega.bench.result import BenchResult
from bodega.errors import BadRequest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 items of six kinds; everybody stays with one kind, and titles say which."""
    rng = np.random.default_rng(3)
    made = tmp_path_factory.mktemp("sequences")
    users = []
    for user in range(120):
        kind = user % 6
        items = rng.permutation(10)[:5] + 10 * kind
        users.append(f"{user} " + " ".join(str(item + 1) for item in items))
    (made / "sequences.txt").write_text("\n".join(users) + "\n")
    rows = [f"{item + 1}\tB{item:04d}\tthing of kind k{item // 10} number n{item}" for item in range(60)]
    (made / "items.tsv").write_text("item_id\tasin\ttitle\n" + "\n".join(rows) + "\n")
    return made


@pytest.fixture(scope="module")
def result(folder: Path) -> BenchResult:
    return run(DiversityOptions(folder, supermarket=False, users=60))


def test_every_dial_is_judged_against_the_plain_order(result: BenchResult) -> None:
    for name in DIALS:
        for what in ("ndcg@10", "recall@10", "distance@10", "kinds@10", "coverage@10", "novelty@10"):
            assert np.isfinite(result.figures[f"{name}.{what}"]), (name, what)
        if name != OFF:
            low, high = result.intervals[f"{name}_vs_off.ndcg@10"]
            assert low <= result.figures[f"{name}_vs_off.ndcg@10"] <= high
    assert result.facts["window"] == "test"
    assert any("surely less than 2% of NDCG@10" in note for note in result.notes)


def test_more_strength_sets_lists_further_apart(result: BenchResult) -> None:
    for method in ("mmr", "dpp"):
        apart = [result.figures[f"{name}.distance@10"] for name in (OFF, f"{method}-10", f"{method}-50")]
        assert apart[0] <= apart[1] <= apart[2]
        assert apart[2] > apart[0]


def test_leaving_the_kind_costs_where_everybody_stays_with_one(result: BenchResult) -> None:
    assert result.intervals["mmr-50_vs_off.ndcg@10"][1] < 0


def test_the_same_run_gives_the_same_figures(folder: Path, result: BenchResult) -> None:
    again = run(DiversityOptions(folder, supermarket=False, users=60))
    assert again.figures == result.figures
    assert again.intervals == result.intervals


def test_the_validation_window_is_another_one(folder: Path, result: BenchResult) -> None:
    other = run(DiversityOptions(folder, supermarket=False, users=60, window="validation"))
    assert other.facts["window"] == "validation"
    assert other.figures != result.figures


def test_no_shoppers_are_refused(folder: Path) -> None:
    with pytest.raises(BadRequest):
        run(DiversityOptions(folder, users=0))
