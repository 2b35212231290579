"""Queries are understood at least this well on real data: a little below what `bodega bench understand` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodega.bench import _chinese as chinese
from bodega.bench import _shelves_meant as shelves
from bodega.bench._typos import run_typos

pytestmark = [pytest.mark.slow, pytest.mark.data, pytest.mark.timeout(1_200)]


def test_typing_errors_are_mended_and_right_words_left_alone(data_folder: Path) -> None:
    figures = run_typos(data_folder, seed=7)
    for source in ("titles", "queries"):
        assert figures[f"{source}.fixed"] >= 0.95
        assert figures[f"{source}.fixed"] > figures[f"{source}.nearest"]
        assert figures[f"{source}.harmed"] == 0.0


def test_the_category_of_real_queries_is_guessed_better_than_by_the_nearest_query(data_folder: Path) -> None:
    judged = shelves.judge(shelves.read_suggestions(data_folder), [], seed=7)
    assert judged["intent"].mean() >= 0.62
    assert judged["intent"].mean() > judged["nearest_query"].mean() > judged["most_frequent"].mean()
    assert shelves.calibration(judged) <= 0.1


def test_titles_are_tagged_better_than_by_a_dictionary_and_a_plain_field(data_folder: Path) -> None:
    pytest.importorskip("pycrfsuite", reason="the extra 'tagger' is not installed")
    found = chinese.tagging(data_folder)
    assert found["tagger"][2] > found["crf"][2] > found["dictionary"][2]
    assert found["tagger"][2] >= 0.83
