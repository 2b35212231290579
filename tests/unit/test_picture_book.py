"""Vectors of pictures, kept: what was appended is there, what was cut or rotted was never there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bodega.adapters.pictures.store import Entry, PictureBook, name_of
from bodega.protocols import EncoderInfo
from bodega.schema.arrays import Floats

INFO = EncoderInfo("toy", 16, "d1")
OTHER = EncoderInfo("toy", 16, "d2")


def rows(count: int, seed: int = 1) -> Floats:
    drawn = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def entries(vectors: Floats, start: int = 0) -> list[Entry]:
    return [Entry(f"p{start + at}.jpg", at, bytes([at]) * 16, at, row) for at, row in enumerate(vectors)]


def test_an_empty_book_answers_and_writes_nothing(tmp_path: Path) -> None:
    book = PictureBook(tmp_path)
    assert book.info is None
    assert len(book) == 0
    assert book.of(["a"]).shape == (1, 0)
    assert not list(tmp_path.iterdir())


def test_what_was_appended_is_there(tmp_path: Path) -> None:
    book, vectors = PictureBook(tmp_path, INFO), rows(5)
    book.append(entries(vectors))
    found = book.of(["p3.jpg", "nobody.jpg", "p0.jpg"])
    assert np.allclose(found[[0, 2]], vectors[[3, 0]], atol=2e-3)
    assert not found[1].any()
    assert np.allclose(np.linalg.norm(found[[0, 2]], axis=1), 1, atol=1e-6)
    assert book.stamps(["p3.jpg", "x"]) == [3, None]
    assert book.has(["p4.jpg", "x"]).tolist() == [True, False]
    assert book.by_content([bytes([2]) * 16, b"?" * 16])[1] is None


def test_readers_see_appends_and_the_newest_counts(tmp_path: Path) -> None:
    writer, vectors = PictureBook(tmp_path, INFO), rows(4)
    writer.append(entries(vectors[:2]))
    writer.use()
    reader = PictureBook(tmp_path)
    assert reader.info == INFO
    assert len(reader) == 2
    writer.append([Entry("p0.jpg", 9, b"n" * 16, 0, vectors[3])])
    assert len(reader) == 2
    assert np.allclose(reader.of(["p0.jpg"])[0], vectors[3], atol=2e-3)


@pytest.mark.parametrize("cut", [1, 17, 40])
@pytest.mark.parametrize("file", ["keys.bin", "rows.bin"])
def test_a_cut_end_was_never_there(tmp_path: Path, file: str, cut: int) -> None:
    book, vectors = PictureBook(tmp_path, INFO), rows(6)
    book.append(entries(vectors[:5]))
    path = book.folder / file
    path.write_bytes(path.read_bytes()[:-cut])
    again = PictureBook(tmp_path, INFO)
    assert len(again) in (3, 4)
    kept = [f"p{at}.jpg" for at in range(len(again))]
    assert np.allclose(again.of(kept), vectors[: len(kept)], atol=2e-3)
    again.append([Entry("p9.jpg", 0, b"n" * 16, 0, vectors[5])])
    assert np.allclose(again.of([*kept, "p9.jpg"]), vectors[[*range(len(kept)), 5]], atol=2e-3)


def test_rot_is_a_missing_picture_not_a_wrong_one(tmp_path: Path) -> None:
    book = PictureBook(tmp_path, INFO)
    book.append(entries(rows(3)))
    path = book.folder / "rows.bin"
    data = bytearray(path.read_bytes())
    data[40] ^= 1  # in the row of p1
    path.write_bytes(bytes(data))
    found = PictureBook(tmp_path, INFO).of(["p0.jpg", "p1.jpg", "p2.jpg"])
    assert found.any(axis=1).tolist() == [True, False, True]


def test_books_of_encoders_are_apart_and_tidied(tmp_path: Path) -> None:
    one, other = PictureBook(tmp_path, INFO), PictureBook(tmp_path, OTHER)
    assert name_of(INFO) != name_of(OTHER)
    one.append(entries(rows(3)))
    one.use()
    other.append(entries(rows(2, seed=2)))
    assert len(PictureBook(tmp_path)) == 3
    other.use()
    reader = PictureBook(tmp_path)
    assert (reader.info, len(reader)) == (OTHER, 2)
    assert other.tidy(["p1.jpg"]) > 0
    assert not one.folder.exists()
    assert (len(reader), reader.has(["p1.jpg"]).tolist()) == (1, [True])
    assert np.allclose(reader.of(["p1.jpg"])[0], rows(2, seed=2)[1], atol=2e-3)


KILLED = """
import numpy as np, sys
from pathlib import Path
from bodega.adapters.pictures.store import Entry, PictureBook
from bodega.protocols import EncoderInfo
book = PictureBook(Path(sys.argv[1]), EncoderInfo("toy", 16, "d1"))
for at in range(3):
    book.append([Entry(f"p{at}.jpg", 0, bytes([at]) * 16, 0, np.eye(16, dtype=np.float32)[at])])
"""


def test_a_kill_between_rows_and_keys_loses_that_batch_only(tmp_path: Path) -> None:
    import os

    told = dict(os.environ, BODEGA_FAILPOINTS="pictures.append=kill@3")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=told, check=False, timeout=120)
    assert done.returncode != 0
    book = PictureBook(tmp_path, INFO)
    assert book.has(["p0.jpg", "p1.jpg", "p2.jpg"]).tolist() == [True, True, False]
    book.append([Entry("p2.jpg", 0, b"2" * 16, 0, np.eye(16, dtype=np.float32)[7])])
    assert book.of(["p0.jpg", "p1.jpg", "p2.jpg"]).argmax(axis=1).tolist() == [0, 1, 7]
