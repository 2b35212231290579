"""Which shelf do words mean? Right on a world on paper, unsure where it should be, the same twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bodega.understanding.query.intent import CategoryIntent

SHELVES = {
    "Shoes > Trail": ["trail", "running", "shoe", "grip", "mud"],
    "Kitchen > Pans": ["frying", "pan", "steel", "lid", "wok"],
    "Garden > Tools": ["spade", "rake", "garden", "hoe", "steel"],
}


def examples(n: int = 300) -> list[tuple[str, str, float]]:
    rng = np.random.default_rng(3)
    out = []
    for at in range(n):
        shelf = list(SHELVES)[at % 3]
        words = [str(word) for word in rng.choice(SHELVES[shelf], 3, replace=False)]
        out.append((" ".join([*words, f"brand{rng.integers(9)}"]), shelf, 1.0))
    return out


def test_words_of_one_shelf_mean_it_and_a_shared_word_is_less_sure() -> None:
    intent = CategoryIntent().fit(examples())
    best = intent.guesses("mud trail shoes")[0]
    assert best.category == "Shoes > Trail"
    assert best.probability > 0.8
    shared = intent.guesses("steel")
    assert {guess.category for guess in shared} <= {"Kitchen > Pans", "Garden > Tools"}
    assert all(guess.probability < best.probability for guess in shared)


def test_unknown_words_brands_and_nothing_mean_no_shelf() -> None:
    intent = CategoryIntent().fit(examples())
    assert intent.guesses("zebra xylophone") == []
    assert intent.guesses("") == []
    probability, none = intent.ranked("brand3")
    sure, _ = intent.ranked("spade")
    assert none > 0
    assert probability.max() < sure.max()


def test_probabilities_and_none_sum_to_one() -> None:
    intent = CategoryIntent().fit(examples())
    for text in ("pan", "steel rake", "brand1 shoe"):
        probability, none = intent.ranked(text)
        np.testing.assert_allclose(probability.sum() + none, 1.0, rtol=1e-6)


def test_a_shop_without_categories_or_with_one_is_silent_or_sure() -> None:
    assert CategoryIntent().fit([]).guesses("anything") == []
    one = CategoryIntent().fit([("red lamp", "Lamps", 1.0), ("blue lamp", "Lamps", 1.0)])
    assert [guess.category for guess in one.guesses("lamp")] in ([], ["Lamps"])


def test_saved_and_opened_it_answers_the_same_with_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        CategoryIntent().fit(examples()).save(tmp_path / name)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    opened = CategoryIntent.load(tmp_path / "a")
    assert opened.guesses("wok lid") == CategoryIntent().fit(examples()).guesses("wok lid")
