"""Cold items by profiles, on a small folder whose answers are known: words name the family, rare items have no past."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bodega.bench import _profile_cold
from bodega.bench._cold_sets import RARE, read_cold
from bodega.bench.items import ItemsOptions, Sheet
from bodega.engine.choosing import FEWEST
from bodega.errors import BadFeed
from bodega.protocols import NoProgress

FAMILIES, EACH, COMMON = 12, 9, 6
WORDS = ("amber", "birch", "cedar", "dune", "ember", "flint", "grove", "heath", "iris", "jade", "knoll", "larch")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody stays in one family of nine; one shopper in four ends with one of its last three items."""
    folder = tmp_path_factory.mktemp("profiled") / _profile_cold.SETS["beauty"]
    folder.mkdir()
    rng = np.random.default_rng(3)
    lines = []
    for user in range(240):
        own = rng.permutation(COMMON)[:4].tolist()
        if user < 5 * FAMILIES:
            own[-1] = COMMON + int(rng.integers(EACH - COMMON))
        family = user % FAMILIES * EACH
        lines.append(f"u{user} " + " ".join(f"i{family + number}" for number in own))
    (folder / "sequences.txt").write_text("\n".join(lines) + "\n", "utf-8")
    rows = [f"i{n}\tA{n}\t{WORDS[n // EACH]} {WORDS[n // EACH]}ware piece {n % EACH}" for n in range(FAMILIES * EACH)]
    (folder / "items.tsv").write_text("item_id\tasin\ttitle\n" + "\n".join(rows) + "\n", "utf-8")
    return folder.parent


@pytest.fixture(scope="module")
def sheet(data: Path) -> Sheet:
    sheet = Sheet()
    _profile_cold.cold("beauty", ItemsOptions(data), sheet, NoProgress())
    return sheet


def test_words_and_profiles_together_find_what_nobody_bought(sheet: Sheet) -> None:
    assert sheet.figures["beauty.cold_fusion.recall@10.every_cold"] > 0.9
    assert sheet.figures["beauty.popular.recall@10.cold"] < 0.2


def test_a_comparison_has_an_interval_around_it(sheet: Sheet) -> None:
    for suffix in (".cold", ".every_cold"):
        name = f"beauty.cold_fusion_vs_content.ndcg@10{suffix}"
        gap = sheet.figures[f"beauty.cold_fusion.ndcg@10{suffix}"] - sheet.figures[f"beauty.content.ndcg@10{suffix}"]
        low, high = sheet.intervals[name]
        assert sheet.figures[name] == pytest.approx(gap, abs=1e-6)
        assert low <= gap <= high


def test_what_the_list_of_rare_items_serves_was_chosen_without_the_test(sheet: Sheet) -> None:
    told = sheet.facts["profile.beauty"]["rare"]
    assert told["cases"] >= FEWEST
    assert set(told["weights"]) <= {"content", "dense", "profile"}
    assert sheet.figures["beauty.rare.recall@10.every_cold"] > 0.9
    assert sheet.figures["beauty.rare.recall@10.listed"] >= sheet.figures["beauty.rare.recall@10.every_cold"]


def test_no_cold_case_is_left_out(data: Path, sheet: Sheet) -> None:
    found = read_cold(data / _profile_cold.SETS["beauty"], limit=_profile_cold.EVERY, seed=7)
    facts = sheet.facts["profile.beauty"]
    assert facts["every_cold_case"] == found.test.among == len(found.test.cases)
    counts = np.bincount(found.test.log.item, minlength=len(found.items))
    assert all(counts[case.relevant].max() <= RARE for case in found.test.cases)


def test_the_drawn_cold_cases_are_the_first_of_all(data: Path) -> None:
    folder = data / _profile_cold.SETS["beauty"]
    few, every = (read_cold(folder, limit=limit, seed=7).test.cases for limit in (20, _profile_cold.EVERY))
    assert len(every) > len(few) == 20
    assert [case.relevant.tolist() for case in few] == [case.relevant.tolist() for case in every[:20]]


def test_a_set_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadFeed, match="not here"):
        _profile_cold.cold("beauty", ItemsOptions(tmp_path), Sheet(), NoProgress())
