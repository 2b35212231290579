"""Tokens of photos, words that only point, the lens: what holds of them whatever they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodega.engine.photo import beside_photo, bytes_of, is_photo, picture_of, token_of
from bodega.errors import BadRequest, TooLarge
from bodega.retrieval._lens import ENOUGH, Lens


@given(st.integers(1, 2_000), st.integers(0, 2**32 - 1))
def test_a_token_keeps_the_direction(size: int, seed: int) -> None:
    vector = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    vector /= np.linalg.norm(vector)
    digest, back = picture_of(token_of(vector, "d1"))
    assert digest == "d1"
    assert float(vector @ back) > 0.999
    assert abs(float(np.linalg.norm(back)) - 1) < 1e-5


@given(st.text(max_size=200))
def test_any_text_is_no_token_or_refused(text: str) -> None:
    assert picture_of(text)[1].size == 0 or is_photo(text)
    try:
        _, vector = picture_of(f"vector:d1:{text}")
    except BadRequest:
        return
    assert np.isfinite(vector).all()


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("like this, but red, under 30", "red, under 30"),
        ("something similar to this in blue", "in blue"),
        ("the same but cheaper", "cheaper"),
        ("like this one", ""),
        ("red dress", "red dress"),
        ("looks like that photo but not silk", "not silk"),
        ("像这个但是红色", "红色"),
        ("likely thistle", "likely thistle"),
    ],
)
def test_words_that_only_point_are_left_out(typed: str, left: str) -> None:
    got = beside_photo(typed)
    assert len(got) == len(typed)  # what is left stands where it was typed
    assert " ".join(got.split()).strip(" ,") == left


@pytest.mark.parametrize("uri", ["data:image/png;base64,####", "data:image/png", "data:;base64,a"])
def test_broken_data_uris_are_refused(uri: str) -> None:
    with pytest.raises(BadRequest):
        bytes_of(uri)


def test_a_huge_data_uri_is_refused_before_it_is_read() -> None:
    with pytest.raises(TooLarge):
        bytes_of("data:image/png;base64," + "A" * 14_000_000)


def test_data_uris_without_base64_are_read() -> None:
    assert bytes_of("data:image/x,%00%FFa") == b"\x00\xffa"


def world(rng: np.random.Generator, n: int = 480) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in which one strong direction is shared by all, one weak one tells three categories apart, and the rest
    is chance."""
    labels = (np.arange(n) % 3).astype(np.int32)
    rows = 0.5 * rng.normal(size=(n, 40))
    rows[:, 0] += 20
    rows[:, 1] += np.array([-0.8, 0, 0.8])[labels]
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), labels


def right(seen: np.ndarray, labels: np.ndarray) -> float:
    likeness = seen @ seen.T
    np.fill_diagonal(likeness, -9)
    nearest = np.argsort(-likeness, axis=1)[:, :10]
    return float((labels[nearest] == labels[:, None]).mean())


def test_the_lens_sees_what_tells_categories_apart(rng: np.random.Generator) -> None:
    vectors, labels = world(rng)
    own, others = slice(0, 240), slice(240, 480)
    lens = Lens.learned(vectors[own], labels[own])
    plain = right(vectors[others], labels[others])
    assert right(lens.seen(vectors[others]), labels[others]) > plain + 0.05
    assert np.allclose(np.linalg.norm(lens.seen(vectors), axis=1), 1, atol=1e-5)


def test_the_lens_is_plain_glass_for_few_pictures(rng: np.random.Generator) -> None:
    vectors, labels = world(rng, ENOUGH - 1)
    assert np.array_equal(Lens.learned(vectors, labels).seen(vectors), vectors)


def test_the_lens_needs_no_categories_and_keeps_what_is_not_there(rng: np.random.Generator) -> None:
    vectors, labels = world(rng)
    lens = Lens.learned(vectors, np.full_like(labels, -1))
    assert lens.telling.size == 0
    assert not lens.seen(np.zeros((2, 40), np.float32)).any()
    same = Lens.learned(np.repeat(vectors[:1], 100, axis=0), labels[:100])
    assert np.isfinite(same.seen(vectors)).all()


def test_the_lens_is_saved_and_opened(rng: np.random.Generator, tmp_path: Path) -> None:
    vectors, labels = world(rng)
    lens = Lens.learned(vectors, labels)
    lens.save(tmp_path)
    assert np.array_equal(Lens.load(tmp_path).seen(vectors), lens.seen(vectors))
