"""A correction of the frozen order: used where it proves right, taken back where it does not, out of a farm's reach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bodega.errors import SnapshotCorrupt
from bodega.ranking.learned.online import MOST, Correction, Guard, replay

FEATURES = ("new", "rising")
Shown = tuple[int, np.ndarray, int, bool, str]


def world(rng: np.random.Generator, n: int, *, effect: float, farm: float = 0.0, target: int = 7) -> list[Shown]:
    """Impressions of 40 items at random places; `effect`: what a new item gains in log odds. A share of the shoppers
    (`farm`) clicks the target wherever it stands, and nothing else."""
    seen = []
    for number in range(n):
        item, position = int(rng.integers(40)), int(rng.integers(10))
        x = np.array([float(item % 4 == 0), float(item % 5 == 0)], np.float32)
        person = f"p{number % 200}"
        odds = -1.5 - 0.25 * position + effect * float(x[0])
        clicked = bool(rng.random() < 1 / (1 + np.exp(-odds)))
        if rng.random() < farm:
            item, person, clicked = target, f"farm{number % 3}", True
            x = np.array([0.0, 0.0], np.float32)
        seen.append((item, x, position, clicked, person))
    return seen


def test_what_the_frozen_order_misses_is_learned_and_used(rng: np.random.Generator) -> None:
    correction = Correction(FEATURES)
    replay(correction, world(rng, 12_000, effect=1.0))
    assert correction.guard.open
    moved = correction.of(np.array([0, 1], np.int32), np.array([[1, 0], [0, 0]], np.float32))
    assert moved[0] > 0.2
    assert moved[0] - moved[1] > 0.2


def test_where_there_is_nothing_to_correct_nothing_is(rng: np.random.Generator) -> None:
    used = 0
    for seed in range(5):
        correction = Correction(FEATURES)
        replay(correction, world(np.random.default_rng(seed), 3_000, effect=0.0))
        used += correction.guard.open
    assert used == 0


def test_a_correction_that_turns_worse_is_taken_back(rng: np.random.Generator) -> None:
    correction = Correction(FEATURES)
    replay(correction, world(rng, 12_000, effect=1.0))
    assert correction.guard.open
    replay(correction, world(rng, 3_000, effect=-1.5))
    assert correction.guard.rolled_back >= 1


def test_a_place_that_is_clicked_anyway_teaches_nothing_of_the_item(rng: np.random.Generator) -> None:
    """Item 3 always stands on top: its many clicks are the place's."""
    seen = []
    for number in range(8_000):
        top = rng.random() < 0.5
        item, position = (3, 0) if top else (int(rng.integers(10, 40)), int(rng.integers(10)))
        clicked = bool(rng.random() < (0.3 if position == 0 else 0.05))
        seen.append((item, np.zeros(2, np.float32), position, clicked, f"p{number % 500}"))
    correction = Correction(FEATURES)
    replay(correction, seen)
    assert abs(correction.proposed(np.array([3], np.int32), np.zeros((1, 2), np.float32))[0]) < 0.1


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_a_click_farm_moves_its_item_by_little(share: float) -> None:
    clean, poisoned = Correction(FEATURES), Correction(FEATURES)
    replay(clean, world(np.random.default_rng(4), 6_000, effect=0.0))
    replay(poisoned, world(np.random.default_rng(4), 6_000, effect=0.0, farm=share))
    target, x = np.array([7], np.int32), np.zeros((1, 2), np.float32)
    moved = float(poisoned.proposed(target, x)[0] - clean.proposed(target, x)[0])
    assert moved < 0.35
    assert moved < MOST


def test_without_the_limit_a_shopper_a_farm_moves_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin: every click of everybody counts."""
    import bodega.ranking.learned.online as online

    monkeypatch.setattr(online, "PER_PERSON", 10**9)
    poisoned = Correction(FEATURES)
    replay(poisoned, world(np.random.default_rng(4), 6_000, effect=0.0, farm=0.05))
    assert float(poisoned.proposed(np.array([7], np.int32), np.zeros((1, 2), np.float32))[0]) > 0.35


def test_a_guard_that_never_shuts_is_caught() -> None:
    """The broken twin: open whatever happens. The honest one shuts when gains turn into losses."""
    honest = Guard(window=500)
    for _ in range(1_000):
        honest.judge(0.5, 0.4)
    assert honest.open
    for number in range(1_000):
        honest.judge(0.4, 0.5 + 0.001 * (number % 3))
    assert not honest.open
    assert honest.rolled_back == 1


def test_kept_and_opened_it_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    seen = world(np.random.default_rng(9), 2_000, effect=0.8)
    whole, first = Correction(FEATURES), Correction(FEATURES)
    replay(whole, seen)
    replay(first, seen[:1_000])
    first.save(tmp_path / "half.json")
    second = Correction.load(tmp_path / "half.json", FEATURES)
    replay(second, seen[1_000:])
    second.save(tmp_path / "two.json")
    whole.save(tmp_path / "one.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    with pytest.raises(SnapshotCorrupt, match="other features"):
        Correction.load(tmp_path / "one.json", ("other",))
