"""Differing bits of sign codes: counted in stretches and in bytes, equal to counting bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.retrieval import _signs


@pytest.mark.parametrize("words", [1, 2, 3, 4, 6, 8, 12])
@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 200])
def test_differing_bits_are_counted_in_every_stretch(
    words: int, size: int, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr(_signs, "STRETCH", 64)
    codes = rng.integers(0, 2**64, (words, size), np.uint64)
    code = rng.integers(0, 2**64, words, np.uint64)
    bits = np.unpackbits((codes ^ code[:, None]).T.copy().view(np.uint8).reshape(size, 8 * words), axis=1)
    assert _signs._differing(list(codes), code).tolist() == bits.sum(axis=1).tolist()


def test_codes_that_differ_in_every_bit_do_not_overflow() -> None:
    codes, code = [np.full(5, 2**64 - 1, np.uint64)] * 8, np.zeros(8, np.uint64)
    assert _signs._differing(codes, code).tolist() == [512] * 5
