"""Colours beside what a network sees: parts of a vector, their likeness, and a decoder that shrinks early."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest

from bodega.protocols import EncoderInfo, Pixels
from bodega.retrieval.pictures import COLOURS, mixed
from bodega.schema.arrays import Floats
from bodega.understanding.image.coloured import PART, Coloured, parted
from bodega.understanding.image.histogram import HistogramEncoder
from bodega.understanding.image.opening import open_image_encoder

Image = pytest.importorskip("PIL.Image", reason="the extra 'images' is not installed")
RED, ROSE, BLUE = (200, 10, 10), (205, 14, 12), (10, 10, 200)


class Blind:
    """Sees the same in every picture."""

    info = EncoderInfo("blind", 4, "b" * 16, ())

    def encode(self, images: Sequence[Pixels]) -> Floats:
        return np.tile(np.array([1, 0, 0, 0], np.float32), (len(images), 1))


def plain(colour: tuple[int, int, int]) -> Pixels:
    return np.full((30, 40, 3), colour, np.uint8)


def test_the_parts_of_a_vector_come_back_with_their_lengths() -> None:
    encoder = Coloured(Blind())
    rows = encoder.encode([plain(RED), plain(ROSE), plain(BLUE)])
    assert rows.shape == (3, encoder.info.dimensions)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert rows[0] @ rows[2] == pytest.approx(1 - PART, abs=1e-6)  # all that both share is what the network sees
    shown, coloured = parted(rows, encoder.info.colours)
    np.testing.assert_allclose(shown, Blind().encode([plain(RED)] * 3), atol=1e-6)
    near = coloured @ coloured.T
    assert near[0, 1] == pytest.approx(1, abs=1e-6)
    assert near[0, 2] == pytest.approx(0, abs=1e-6)


def test_another_digest_since_other_vectors() -> None:
    assert Coloured(Blind()).info.digest != Blind.info.digest
    assert len(Coloured(Blind()).info.digest) == len(Blind.info.digest)


def test_vectors_without_colours_stay_whole_and_rows_of_nothing_stay_nothing() -> None:
    rows = np.zeros((2, 6), np.float32)
    assert parted(rows, 0)[0] is rows
    assert parted(rows, 0)[1].shape == (2, 0)
    assert not any(part.any() for part in parted(rows, 2))


def test_nearly_equal_colours_decide_between_twins_and_roughly_equal_ones_do_not() -> None:
    shown = np.array([0.6, 0.5, 0.5], np.float32)
    coloured = np.array([0.7, 1.0, -1.0], np.float32)
    likeness = mixed(shown, coloured)
    assert likeness.argmax() == 1
    assert likeness[0] == pytest.approx(0.6 / (1 + COLOURS), abs=0.005)  # 0.7 to the power of 12 is nearly nothing
    assert likeness[2] == pytest.approx(0.5 / (1 + COLOURS))
    assert mixed(np.ones(1, np.float32), np.ones(1, np.float32)) == pytest.approx(1)


def test_an_encoder_that_holds_colours_is_not_told_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bodega.understanding.image.opening.best", lambda own: "histogram")
    assert isinstance(open_image_encoder(), HistogramEncoder)
    assert open_image_encoder().info.colours == 0


def test_a_tall_jpeg_is_decoded_at_the_size_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import JpegImagePlugin

    from bodega.understanding.image import decode

    held = io.BytesIO()
    Image.new("RGB", (768, 1024), RED).save(held, "JPEG")
    drafts: list[tuple[int, int]] = []
    real = JpegImagePlugin.JpegImageFile.draft

    def draft(picture: JpegImagePlugin.JpegImageFile, mode: str, size: tuple[int, int]) -> object:
        found = real(picture, mode, size)
        drafts.append(picture.size)
        return found

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "draft", draft)
    assert decode(held.getvalue()).shape == (512, 384, 3)
    assert drafts == [(384, 512)]  # not (768, 1024), shrunk afterwards in four times the time
