"""Three small shops with photos and words, as the profile benchmark needs them: Luma, Fashion 100, Grocery Store.

Photos lie in tar files and come in through the decoder that guards every shop; what an encoder makes of them is held in
a `Seen`, which stands where a shop has its picture store. Labels that answers are judged by are no part of the items.
Not for: how pictures are fetched or kept (`adapters.pictures`).
"""

from __future__ import annotations

import csv
import html
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from bodega.bench.result import data_hash
from bodega.errors import BadFeed
from bodega.protocols import EncoderInfo, ImageEncoder
from bodega.schema import Item, ItemTable
from bodega.schema.arrays import Floats, Ints
from bodega.schema.nouns import AttributeValue
from bodega.understanding.image import Limits, decode

LABELS = ("article_type", "sub_category", "master_category")
"""What Fashion 100 is judged by: no part of its items."""
TOGETHER = 16
"""Photos encoded at a time."""
_TAG = re.compile(r"<[^>]+>")


class Seen:
    """Implements `protocols.PictureVectors` in memory."""

    def __init__(self, info: EncoderInfo, vectors: Mapping[str, Floats]) -> None:
        self.info: EncoderInfo | None = info
        self._size = info.dimensions
        self._vectors = vectors

    @classmethod
    def look(cls, encoder: ImageEncoder, photos: Iterator[tuple[str, bytes]]) -> Seen:
        """Decode and encode (reference, bytes) pairs."""
        names: list[str] = []
        rows: list[Floats] = []
        held: list[tuple[str, bytes]] = []
        for photo in (*photos, None):
            if photo is not None:
                held.append(photo)
            if held and (photo is None or len(held) == TOGETHER):
                rows.append(encoder.encode([decode(data, Limits()) for _, data in held]))
                names += [name for name, _ in held]
                held = []
        every = np.concatenate(rows) if rows else np.zeros((0, encoder.info.dimensions), np.float32)
        return cls(encoder.info, dict(zip(names, every, strict=True)))

    def of(self, references: Sequence[str]) -> Floats:
        """See `protocols.PictureVectors`."""
        out = np.zeros((len(references), self._size), np.float32)
        for row, name in enumerate(references):
            if name in self._vectors:
                out[row] = self._vectors[name]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Pictured:
    """A shop with photos."""

    items: ItemTable
    seen: Seen
    digest: str
    links: tuple[tuple[int, int, str], ...] = ()
    """(row, row, kind) that people who know the shop gave."""
    labels: tuple[str, ...] = ()
    """The class of each item."""
    shots: tuple[tuple[str, int, str], ...] = ()
    """(reference, row, split): photos of items that customers took."""


def luma(folder: Path, encoder: ImageEncoder) -> Pictured:
    """Magento's Luma: 199 products with photos and 1,567 curated links."""
    rows = [msgspec.json.decode(line) for line in _file(folder / "products.jsonl").read_bytes().splitlines()]
    items = []
    for row in rows:
        values: dict[str, AttributeValue] = {name: str(value).split("|") for name, value in row["attributes"].items()}
        paths: list[list[str]] = [path.split("/") for path in row["categories"]]
        deepest: list[str] = max(paths, key=len) if paths else []
        items.append(
            Item(
                id=row["sku"],
                title=row["name"],
                description=_plain(row["description_html"]),
                price=row["price"],
                category=tuple(deepest),
                images=tuple(row["images"][:1]),
                attributes=values,
            )
        )
    table = ItemTable.of(items)
    with _file(folder / "links.csv").open(encoding="utf-8", newline="") as file:
        pairs = [(row["sku"], row["linked_sku"], row["link_type"]) for row in csv.DictReader(file)]
    index = table.index
    links = tuple((index[a], index[b], kind) for a, b, kind in pairs if a in index and b in index and a != b)
    wanted = {name for item in items for name in item.images}
    seen = Seen.look(encoder, _photos(folder / "images_320.tar", wanted))
    return Pictured(table, seen, data_hash(folder / "products.jsonl", folder / "links.csv"), links=links)


def fashion(folder: Path, encoder: ImageEncoder) -> Pictured:
    """A hundred fashion products; the class is what kind of article it is, which no attribute says."""
    rows = [msgspec.json.decode(line) for line in _file(folder / "products.jsonl").read_bytes().splitlines()]
    items = [
        Item(
            id=str(row["id"]), title=row["name"], description=_plain(row["description_html"]), brand=row["brand"],
            price=float(row["price"]), images=(f"{row['id']}.jpg",), attributes={
                name: str(row[name]) for name in ("gender", "age_group", "base_colour", "season", "usage") if row[name]
            },
        )
        for row in rows
    ]  # fmt: skip
    seen = Seen.look(encoder, _photos(folder / "images_320.tar", {item.images[0] for item in items}))
    labels = tuple(row[LABELS[0]] for row in rows)
    return Pictured(ItemTable.of(items), seen, data_hash(folder / "products.jsonl"), labels=labels)


def grocery(folder: Path, encoder: ImageEncoder) -> Pictured:
    """81 groceries with the shop's own photo and text, and photos from shelves."""
    with _file(folder / "classes.csv").open(encoding="utf-8", newline="") as file:
        classes = list(csv.DictReader(file))
    items, photos = [], []
    for row in classes:
        shown, told = (
            folder / row[f"{name} Path (str)"].lstrip("/") for name in ("Iconic Image", "Product Description")
        )
        text = told.read_text("utf-8") if told.is_file() else ""
        name = row["Class Name (str)"].replace("-", " ")
        path = Path(row["Iconic Image Path (str)"]).parts[2:-2]
        items.append(Item(id=name, title=name, description=text, category=tuple(path), images=(f"iconic/{name}",)))
        photos.append((f"iconic/{name}", _file(shown).read_bytes()))
    with _file(folder / "index.csv").open(encoding="utf-8", newline="") as file:
        shots = tuple((row["path"], int(row["fine_class_id"]), row["split"]) for row in csv.DictReader(file))
    taken = _photos(folder / "images_224.tar", {name for name, _, _ in shots})
    seen = Seen.look(encoder, (photo for part in (iter(photos), taken) for photo in part))
    return Pictured(ItemTable.of(items), seen, data_hash(folder / "index.csv", folder / "classes.csv"), shots=shots)


def same_label(labels: Sequence[str]) -> list[Ints]:
    """For each item the others of its class."""
    held = np.array(labels)
    return [np.setdiff1d(np.flatnonzero(held == own), [row]).astype(np.int32) for row, own in enumerate(held)]


def _photos(path: Path, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(_file(path)) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            file = tar.extractfile(member) if name in wanted else None
            if file is not None:
                yield name, file.read()


def _file(path: Path) -> Path:
    if not path.is_file():
        raise BadFeed("this data is not here", where=str(path), next="name the folder that holds it with --data")
    return path


def _plain(text: str) -> str:
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())
