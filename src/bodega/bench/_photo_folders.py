"""A folder of photos with an `index.csv`: which photo shows what, and which are asked?

`index.csv` names a file (column path, file, image or filename) and its class (class, label or category), and perhaps a
split: photos whose split is val, valid, validation, test or query are asked, all others are the shop's. Without a split
every fifth photo of each class is asked (drawn with the seed). The files lie in the folder or in its tar files. What
cannot be decoded is counted and left out, as it would be in a shop.
"""

from __future__ import annotations

import csv
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodega.errors import BadFeed, BadPicture
from bodega.protocols import ImageEncoder, Pixels, Progress
from bodega.schema.arrays import Flags, Floats
from bodega.understanding.image import decode
from bodega.understanding.image.histogram import HistogramEncoder

PATHS = ("path", "file", "image", "filename", "image_path")
CLASSES = ("class", "label", "category", "class_name", "fine_class_id")
ASKED = frozenset({"val", "valid", "validation", "test", "query"})
TOGETHER = 16
"""Photos encoded at a time."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What `index.csv` says: equal lengths."""

    paths: Sequence[str]
    classes: Sequence[str]
    asked: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What encoders saw of photos, rows in the order of `names`; photos that could not be read are not there."""

    names: Sequence[str]
    encoded: Floats
    """(n, d) by the encoder in question."""
    coloured: Floats
    """(n, 624) by the histogram of colours and edges."""
    unreadable: int
    colours: int = 0
    """Of `encoded`, the last so many numbers say which colours there are."""

    def rows(self, names: Sequence[str]) -> Mapping[str, int]:
        """{name: row} of those among `names` that were read."""
        place = {name: row for row, name in enumerate(self.names)}
        return {name: place[name] for name in names if name in place}


def listed(folder: Path, seed: int) -> Listed:
    """Raises BadFeed."""
    file = folder / "index.csv"
    if not file.is_file():
        raise BadFeed("there is no index of photos", where=str(file), allowed="path,class[,split]", next="write one")
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = {name.strip().lower(): name for name in (rows[0] if rows else {}) if name}
    path = next((columns[name] for name in PATHS if name in columns), None)
    label = next((columns[name] for name in CLASSES if name in columns), None)
    if path is None or label is None:
        raise BadFeed(
            "the index of photos lacks a column", where=str(file), allowed="path and class", got=", ".join(columns),
            next="name the columns path and class",
        )  # fmt: skip
    classes = [str(row[label]) for row in rows]
    split = columns.get("split")
    asked = np.array([str(row[split]).strip().lower() in ASKED for row in rows] if split else [False] * len(rows))
    if not asked.any() or asked.all():
        asked = _fifth(classes, np.random.default_rng(seed))
    return Listed([str(row[path]) for row in rows], classes, asked)


def photos(folder: Path, wanted: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the wanted photos: files of the folder, then those in its tar files."""
    left = dict.fromkeys(wanted)
    root = folder.resolve()
    for name in list(left):
        path = (folder / name).resolve()
        if path.is_relative_to(root) and path.is_file():
            del left[name]
            yield name, path.read_bytes()
    for archive in sorted(folder.glob("*.tar*")) if left else ():
        with tarfile.open(archive) as opened:
            for member in opened:
                name = member.name.removeprefix("./")
                if member.isfile() and name in left:
                    del left[name]
                    stream = opened.extractfile(member)
                    if stream is not None:
                        yield name, stream.read()


def look(encoder: ImageEncoder, given: Iterator[tuple[str, bytes]], progress: Progress) -> Looked:
    """Decode and encode. Raises MissingExtra."""
    colours = HistogramEncoder()
    names: list[str] = []
    rows: list[tuple[Floats, Floats]] = []
    held: list[Pixels] = []
    lost = 0

    def done() -> None:
        if held:
            rows.append((encoder.encode(held), colours.encode(held)))
            progress.advance(len(held))
            held.clear()

    for name, data in given:
        try:
            held.append(decode(data))
        except BadPicture:
            lost += 1
            continue
        names.append(name)
        if len(held) == TOGETHER:
            done()
    done()
    if not names:
        raise BadFeed("none of the photos could be read", where="index.csv", next="are the files beside the index?")
    encoded, coloured = (np.concatenate(each) for each in zip(*rows, strict=True))
    return Looked(names, encoded, coloured, lost, encoder.info.colours)


def _fifth(classes: Sequence[str], rng: np.random.Generator) -> Flags:
    """Every fifth photo of each class, at least one of those with two."""
    asked = np.zeros(len(classes), np.bool_)
    labels = np.asarray(classes)
    for name in sorted(set(classes)):
        own = rng.permutation(np.flatnonzero(labels == name))
        asked[own[: max(len(own) // 5, 1 if len(own) > 1 else 0)]] = True
    return asked
