"""The judge over vectors that the bench compares with a list of words: a world whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bodega.bench._review_features import gap, told_by
from bodega.protocols import EncoderInfo
from bodega.schema.arrays import Floats


class Reads:
    """The first number says the mood, where the text does; the others are noise of the text's own."""

    info = EncoderInfo("reads", 8, "0" * 16)

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        rows = np.stack([np.random.default_rng(len(text) * 31 + ord(text[-1])).normal(size=8) for text in texts])
        rows[:, 0] = [{"good": 2.0, "bad": -2.0}.get(text.split()[0], 0.0) for text in texts]
        return np.asarray(rows, np.float32)


def reviews(words: Sequence[str]) -> tuple[list[str], np.ndarray]:
    texts = [f"{words[row % len(words)]} {'x' * (row % 37)}{chr(97 + row % 26)}" for row in range(200)]
    return texts, np.array([row % len(words) == 0 for row in range(200)])


def test_moods_that_vectors_hold_are_told_and_equal_texts_teach_nothing_of_themselves() -> None:
    texts, truth = reviews(("good", "bad", "bad"))
    found = told_by(Reads(), texts, truth, 7)
    assert (found == truth).mean() > 0.98
    texts, truth = reviews(("meh",))
    drawn = np.random.default_rng(1).random(100) < 0.5
    copies, moods = [*texts[:100], *texts[:100]], np.concatenate([drawn, drawn])  # each text twice, with one mood
    assert (told_by(Reads(), copies, moods, 7) == moods).mean() < 0.75


def test_the_gap_of_a_right_and_a_wrong_judge_is_sure() -> None:
    truth = np.arange(200) % 2 == 0
    mean, low, high = gap(truth, truth, ~truth, 7)
    assert (mean, low, high) == (1.0, 1.0, 1.0)
    assert gap(truth, truth, truth, 7) == (0.0, 0.0, 0.0)
