"""`bodega pictures`: what is new is read once, what cannot be used is told once, what changed is read again."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import bodega
from bodega.adapters.pictures.gallery import PictureGallery
from bodega.adapters.pictures.job import Work, read_pictures
from bodega.adapters.pictures.references import References
from bodega.adapters.pictures.store import PictureBook
from bodega.cli import app
from bodega.errors import BadPicture, NoEvidence
from bodega.protocols import EncoderInfo, Pixels
from bodega.schema import DeadLetter, Item
from bodega.schema.arrays import Floats
from bodega.settings import Pictures
from bodega.understanding.image.histogram import HistogramEncoder

Image = pytest.importorskip("PIL.Image", reason="the extra 'images' (pillow) is not installed")


class Letters:
    """A dead letter box in memory."""

    def __init__(self) -> None:
        self.kept: list[DeadLetter] = []

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self.kept += letters

    def remove(self, letters: Sequence[DeadLetter]) -> int:
        before = len(self.kept)
        self.kept = [one for one in self.kept if one not in letters]
        return before - len(self.kept)

    def list(self, *, kind: str = "", reason: str = "", limit: int = 50) -> list[DeadLetter]:
        return [one for one in self.kept if one.kind == kind or not kind][:limit]

    def counts(self) -> dict[tuple[str, str], int]:
        return {}


class Counting(HistogramEncoder):
    """How many pictures were encoded, and a kill after some."""

    def __init__(self, after: int = 10**9) -> None:
        self.seen, self.after = 0, after

    def encode(self, images: Sequence[Pixels]) -> Floats:
        if self.seen >= self.after:
            raise KeyboardInterrupt
        self.seen += len(images)
        return super().encode(images)


def photo(seed: int, size: int = 40) -> bytes:
    small = np.random.default_rng(seed).integers(0, 255, (5, 5, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC).save(stream, "PNG")
    return stream.getvalue()


def shop_of(folder: Path, count: int) -> list[Item]:
    (folder / "images").mkdir(parents=True)
    for at in range(count):
        (folder / "images" / f"{at}.png").write_bytes(photo(at))
    return [Item(id=f"i{at}", images=(f"{at}.png",)) for at in range(count)]


def test_once_and_never_again(tmp_path: Path) -> None:
    items = [*shop_of(tmp_path, 3), Item(id="same", images=("copy.png", "0.png")), Item(id="none")]
    (tmp_path / "images" / "copy.png").write_bytes(photo(0))
    encoder, letters = Counting(), Letters()
    work = Work(tmp_path, Pictures(), encoder, letters)
    first = read_pictures(work, items)
    assert (first.items, first.pictured, first.pictures, first.encoded, first.known) == (5, 4, 4, 3, 1)
    again = read_pictures(work, items)
    assert (again.encoded, again.unchanged, encoder.seen) == (0, 4, 3)
    book = PictureBook(tmp_path)
    assert book.info == HistogramEncoder.info
    assert np.allclose(book.of(["0.png"]), book.of(["copy.png"]))
    (tmp_path / "images" / "1.png").write_bytes(photo(77))
    os.utime(tmp_path / "images" / "1.png", ns=(1, 1))
    third = read_pictures(work, items)
    assert (third.encoded, third.unchanged) == (1, 3)
    assert read_pictures(Work(tmp_path, Pictures(), encoder, letters, again=True), items).unchanged == 0
    assert letters.kept == []


def test_bad_ones_are_told_once_and_mended_when_they_can_be_read(tmp_path: Path) -> None:
    items = shop_of(tmp_path, 1)
    (tmp_path / "images" / "page.jpg").write_bytes(b"<html>404</html>")
    (tmp_path / "images" / "empty.jpg").write_bytes(b"")
    bad = ("page.jpg", "empty.jpg", "away.png", "../shop.db", "http://127.0.0.1/a.png", "data:image/png;base64,AAAA")
    items.append(Item(id="bad", images=bad))
    letters = Letters()
    work = Work(tmp_path, Pictures(per_item=9), Counting(), letters)
    report = read_pictures(work, items)
    assert report.pictured == 1
    assert report.reasons == {
        "html": 1, "empty": 1, "missing": 1, "forbidden_path": 1, "forbidden_address": 1, "not_a_picture": 1,
    }  # fmt: skip
    assert report.refused == 6
    assert {json.loads(one.raw)["item"] for one in letters.kept} == {"bad"}
    assert len(letters.kept) == 6
    again = read_pictures(work, items)
    assert again.reasons == report.reasons
    assert len(letters.kept) == 6, "never twice"
    (tmp_path / "images" / "away.png").write_bytes(photo(5))
    (tmp_path / "images" / "page.jpg").write_bytes(photo(6))
    mended = read_pictures(work, items)
    assert (mended.encoded, mended.refused) == (2, 4)
    assert sorted(json.loads(one.raw)["image"] for one in letters.kept) == sorted(set(bad) - {"away.png", "page.jpg"})


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    items = shop_of(tmp_path, 150)
    with pytest.raises(KeyboardInterrupt):
        read_pictures(Work(tmp_path, Pictures(), Counting(after=100), Letters()), items)
    assert len(PictureBook(tmp_path)) == 128
    encoder = Counting()
    assert read_pictures(Work(tmp_path, Pictures(), encoder, Letters()), items).pictured == 150
    assert encoder.seen == 22


def test_another_encoder_is_used_when_it_has_seen_all(tmp_path: Path) -> None:
    items = shop_of(tmp_path, 130)
    read_pictures(Work(tmp_path, Pictures(), HistogramEncoder(), Letters()), items)
    other = Counting(after=64)
    other.info = EncoderInfo("newer", HistogramEncoder.info.dimensions, "n")
    with pytest.raises(KeyboardInterrupt):
        read_pictures(Work(tmp_path, Pictures(), other, Letters()), items)
    assert PictureBook(tmp_path).info == HistogramEncoder.info
    other.after = 10**9
    read_pictures(Work(tmp_path, Pictures(), other, Letters()), items)
    assert PictureBook(tmp_path).info == other.info


def test_files_stay_inside_of_the_folder(tmp_path: Path) -> None:
    shop_of(tmp_path, 1)
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "images" / "link.png").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "images" / "inner.png").symlink_to(tmp_path / "images" / "0.png")
    (tmp_path / "images" / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "images" / "pipe.png")
    sources = References(tmp_path, Pictures(fetch=False))
    assert sources.read("0.png") == sources.read("./0.png") == sources.read("inner.png") == photo(0)
    assert sources.read(str(tmp_path / "images" / "0.png")) == photo(0)
    for path in (
        "../secret.txt", "link.png", "up/secret.txt", "/etc/passwd", "file:///etc/passwd", "images/../../secret.txt",
        "..\\secret.txt", "", ".", "..", "x\0y", "pipe.png", "~/x", "/proc/self/environ", "a" * 5_000,
    ):  # fmt: skip
        with pytest.raises(BadPicture) as told:
            sources.read(path)
        assert told.value.reason in ("forbidden_path", "missing"), path
    with pytest.raises(BadPicture) as told:
        sources.read("https://example.com/a.png")
    assert told.value.reason == "not_fetched"


def test_the_shop_tells_of_its_pictures(tmp_path: Path) -> None:
    """Through the front door: command, doctor, duplicates."""
    with bodega.open(tmp_path / "shop") as shop:
        items = shop_of(shop.folder / "x", 0) or [
            Item(id=f"i{at}", title=f"Thing {at}", images=(f"{at}.png",)) for at in range(4)
        ]
        (shop.folder / "images").mkdir()
        for at in range(3):
            (shop.folder / "images" / f"{at}.png").write_bytes(photo(at, size=60))
        (shop.folder / "images" / "3.png").write_bytes(photo(1, size=120))
        shop.catalog.upsert([*items, Item(id="lost", title="Lost thing", images=("gone.png",))])
        (shop.folder / "bodega.toml").write_text('[pictures]\nencoder = "histogram"\n')
    run = CliRunner().invoke(app, ["pictures", "--shop", str(tmp_path / "shop"), "--json"])
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert (told["encoded"], told["encoder"]["name"], told["reasons"]) == (4, "histogram", {"missing": 1})
    same = json.loads(
        CliRunner().invoke(app, ["pictures", "--duplicates", "-s", str(tmp_path / "shop"), "--json"]).stdout
    )
    assert [sorted(one["item"] for one in group) for group in same["groups"]] == [["i1", "i3"]]
    assert "histogram" in CliRunner().invoke(app, ["pictures", "-s", str(tmp_path / "shop")]).stdout
    with bodega.open(tmp_path / "shop") as shop:
        codes = {finding.code: finding.count for finding in shop.catalog.doctor().findings}
        assert codes["missing_picture"] == 1
        assert codes["duplicate_picture"] == 2
        assert "unreadable_picture" not in codes
        gallery = shop.gallery
        assert isinstance(gallery, PictureGallery)
        with pytest.raises(NoEvidence):
            gallery.teach()
