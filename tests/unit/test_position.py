"""Examination of places on made-up clicks whose truth is known, and on logs that tell nothing."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.errors import BadRequest
from bodega.ranking.learned.position import Examination, ExaminationOptions, examination_of

TRUTH = np.array([1.0, 0.6, 0.4, 0.2])


def clicks(rng: np.random.Generator, lists: int, *, sorted_by_worth: float) -> tuple[np.ndarray, ...]:
    """Lists of four of 40 items; the more sorted by worth, the better the item on top."""
    worth = np.linspace(0.05, 0.9, 40)
    item = np.stack([rng.permutation(40)[:4] for _ in range(lists)])
    order = np.argsort(-(sorted_by_worth * worth[item] + rng.random(item.shape)), axis=1)
    item = np.take_along_axis(item, order, axis=1)
    position = np.tile(np.arange(4), lists)
    clicked = rng.random(item.size) < worth[item.ravel()] * TRUTH[position]
    return position, clicked, item.ravel()


def test_the_truth_is_found_where_better_items_stand_on_top(rng: np.random.Generator) -> None:
    position, clicked, item = clicks(rng, 8_000, sorted_by_worth=3.0)
    found = examination_of(position, clicked, item)
    by_place = np.bincount(position, weights=clicked) / np.bincount(position)
    assert found.estimated
    assert np.abs(found.chance - TRUTH).max() < 0.05
    assert np.abs(by_place / by_place[0] - TRUTH).max() > 0.15, "counting clicks by place must be wrong here"


def test_nothing_is_estimated_where_an_item_has_but_one_place(rng: np.random.Generator) -> None:
    item = np.tile(np.arange(4), 500)
    found = examination_of(item.copy(), rng.random(2_000) < 0.3, item)
    assert not found.estimated
    assert found.overlap == 0
    assert found.at(np.array([0, 3, 9])).tolist() == [1, 1, 1]


def test_places_shown_too_rarely_take_the_place_above(rng: np.random.Generator) -> None:
    position, clicked, item = clicks(rng, 3_000, sorted_by_worth=0.0)
    few = np.concatenate([position, np.array([7, 7, 9])])
    found = examination_of(few, np.append(clicked, [True, True, True]), np.append(item, [1, 2, 3]))
    assert found.chance[4:].tolist() == [found.chance[3]] * 6
    assert np.isfinite(found.chance).all()


@pytest.mark.parametrize("case", ["empty", "no clicks", "unknown places", "few"])
def test_a_log_that_tells_nothing_changes_nothing(case: str) -> None:
    n = 0 if case == "empty" else 20 if case == "few" else 1_000
    position = np.full(n, -1) if case == "unknown places" else np.arange(n) % 4
    clicked = np.arange(n) % 3 == 0 if case != "no clicks" else np.zeros(n, np.bool_)
    found = examination_of(position, clicked, np.arange(n) % 7)
    assert not found.estimated
    assert (found.at(np.arange(-1, 30)) == 1).all()


def test_deep_places_are_the_last_and_unknown_ones_count_whole() -> None:
    held = Examination(np.array([1.0, 0.5, 0.05]), np.array([9, 9, 9]), 1.0)
    assert held.at(np.array([-1, 0, 1, 2, 500])).tolist() == pytest.approx([1, 1, 0.5, 0.05, 0.05])
    assert held.inverse(np.array([-1, 1, 2])).tolist() == pytest.approx([1, 2, 10]), (
        "a rare click must not decide alone"
    )


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(BadRequest, match="do not belong together"):
        examination_of(np.zeros(3, np.int64), np.zeros(2, np.bool_), np.zeros(3, np.int64))


def test_places_told_apart_have_an_end(rng: np.random.Generator) -> None:
    position, clicked, item = clicks(rng, 2_000, sorted_by_worth=0.0)
    found = examination_of(position, clicked, item, ExaminationOptions(places=2))
    assert len(found.chance) == 2
