"""Does a photo find what it shows? Class precision, products behind shelf photos, other photos of the same product.

    clothing   photos of one half ask for the other: of the ten nearest, how many show the same kind of garment?
               `unseen`: the lens was ground without the class that is asked for
    images     the same for any folder with an `index.csv` (`--images`)
    grocery    a phone photo from a shelf: which of 81 products, known by one catalogue picture each (`shelf`: also by
               the training photos of the shelves)
    luma       another photo of a product (its back, a detail): which product? `but`: "like this, but red" through the
               whole engine, against the photo alone and the words alone
    fashion    leave one out: do the ten nearest share the kind of article?

Ways: `raw` the network's cosine, `histogram` colours and edges, `shown` the network through the shop's lens, and what
is served: that and the colours (`retrieval.pictures.mixed`). All rankings are full. Not for: what words and pictures do
together (part `profile`).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from bodega.bench._photo_folders import Listed, Looked, listed, look, photos
from bodega.bench._photo_words import but
from bodega.bench.items import ItemsOptions, Sheet
from bodega.bench.result import data_hash
from bodega.errors import BadFeed, MissingExtra
from bodega.evaluation.significance import intervals, paired
from bodega.protocols import ImageEncoder, Progress
from bodega.retrieval._lens import Lens
from bodega.retrieval.pictures import mixed
from bodega.schema.arrays import Doubles, Floats, Ints
from bodega.understanding.image import open_image_encoder
from bodega.understanding.image.coloured import parted

K = 10
SERVED = ""
"""The name of what is served among the ways: its figures are `<set>.<metric>`."""


def photo_search(options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
    """Measure every set that is there. Raises BadFeed where none is, MissingExtra without a decoder."""
    encoder = open_image_encoder()
    sheet.facts["photos.encoder"] = msgspec.to_builtins(encoder.info.name)
    parts: dict[str, Callable[[], None]] = {
        "clothing": lambda: classes("clothing", options.data / "clothing_cc0", (encoder, options, sheet, progress)),
        "grocery": lambda: grocery(options.data / "grocery_store", (encoder, options, sheet, progress)),
        "luma": lambda: luma(options.data / "magento_luma", (encoder, options, sheet, progress)),
        "fashion": lambda: fashion(options.data / "fashion_100", (encoder, options, sheet, progress)),
    }
    if options.images is not None:
        folder = options.images
        parts = {"images": lambda: classes("images", folder, (encoder, options, sheet, progress)), **parts}
    lost: list[BadFeed | MissingExtra] = []
    for name, part in parts.items():
        try:
            part()
        except (BadFeed, MissingExtra) as error:
            lost.append(error)
            sheet.notes.append(f"photos: {name} left out, {error.what}")
    if len(lost) == len(parts):
        raise lost[0]


Around = tuple[ImageEncoder, ItemsOptions, Sheet, Progress]


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """The same photos, seen in several ways: {way: likeness (asked, own) of asked rows and the shop's}."""

    likeness: Mapping[str, Callable[[], Floats]]

    @classmethod
    def of(cls, looked: Looked, asked: Ints, own: Ints, labels: Ints) -> Ways:
        """`asked` and `own` are rows of `looked`; `labels` (len(own),) the categories that the shop has, -1 none."""
        shown, told = parted(looked.encoded, looked.colours)
        histogram = looked.coloured
        lens, plain = (Lens.learned(shown[own], each) for each in (labels, np.full(len(own), -1, np.int32)))

        def served() -> Floats:
            return (
                seen(lens, shown, asked, own)
                if not looked.colours
                else mixed(seen(lens, shown, asked, own), told[asked] @ told[own].T)
            )

        return cls(
            {
                SERVED: served,
                "shown": lambda: seen(lens, shown, asked, own),
                "centred": lambda: seen(plain, shown, asked, own),
                "raw": lambda: shown[asked] @ shown[own].T,
                "histogram": lambda: histogram[asked] @ histogram[own].T,
            }
        )

    def each(self, judge: Callable[[Floats], Doubles]) -> dict[str, Doubles]:
        """{way: one value a question}, judged by the likeness (q, n)."""
        return {way: judge(likeness()) for way, likeness in self.likeness.items()}


def seen(lens: Lens, shown: Floats, asked: Ints, own: Ints) -> Floats:
    """Cosines (len(asked), len(own)) through a lens."""
    return np.asarray(lens.seen(shown[asked]) @ lens.seen(shown[own]).T, np.float32)


def classes(name: str, folder: Path, around: Around) -> None:
    """Class precision@10 of the asked photos among the shop's."""
    encoder, options, sheet, progress = around
    index = listed(folder, options.seed)
    looked = look(encoder, photos(folder, index.paths), progress)
    asked, own, asked_as, own_as = _sides(index, looked)
    ways = Ways.of(looked, asked, own, own_as)
    values = ways.each(lambda likeness: precision(likeness, asked_as, own_as))
    _tell(sheet, name, {f"precision@{K}": values}, options.seed)
    unseen = _unseen(looked, (asked, own), (asked_as, own_as))
    _figure(sheet, f"{name}.unseen.precision@{K}", unseen, options.seed)
    _figure(sheet, f"{name}.unseen.raw.precision@{K}", values["raw"], options.seed)
    _gap(sheet, f"{name}.unseen.vs_raw.precision@{K}", unseen, values["raw"], options.seed)
    sheet.facts[f"{name}.photos"] = {
        "asked": len(asked), "shop": len(own), "classes": len(set(index.classes)), "unreadable": looked.unreadable,
    }  # fmt: skip
    sheet.facts[f"{name}.data"] = data_hash(folder / "index.csv")


def _sides(index: Listed, looked: Looked) -> tuple[Ints, Ints, Ints, Ints]:
    """(rows asked, rows of the shop, classes of the asked, classes of the shop's)."""
    place = looked.rows(index.paths)
    codes = {name: code for code, name in enumerate(sorted(set(index.classes)))}
    known = [(place[path], codes[own], bool(asked)) for path, own, asked in _zipped(index) if path in place]
    ask = [(row, code) for row, code, asked in known if asked]
    own = [(row, code) for row, code, asked in known if not asked]
    if not ask or not own:
        raise BadFeed("there is nothing to ask, or nothing to ask among", where="index.csv", next="check the splits")
    sides = [np.asarray(side, np.int32) for side in (ask, own)]
    return sides[0][:, 0], sides[1][:, 0], sides[0][:, 1], sides[1][:, 1]


def _zipped(index: Listed) -> list[tuple[str, str, bool]]:
    return list(zip(index.paths, index.classes, index.asked.tolist(), strict=True))


def precision(likeness: Floats, asked: Ints, own: Ints) -> Doubles:
    """Share of the ten nearest that are of the class asked for: (q,). Equal likeness: the earlier photo first."""
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :K]
    return np.asarray((own[nearest] == asked[:, None]).mean(axis=1), np.float64)


def _unseen(looked: Looked, rows: tuple[Ints, Ints], labels: tuple[Ints, Ints]) -> Doubles:
    """Precision where the lens was ground without the class that is asked for (a fifth of the classes at a time)."""
    (asked, own), (asked_as, own_as) = rows, labels
    shown, told = parted(looked.encoded, looked.colours)
    out = np.zeros(len(asked))
    folds = np.array_split(np.unique(own_as), min(5, len(np.unique(own_as))))
    for fold in folds:
        mine = np.isin(asked_as, fold)
        if not mine.any():
            continue
        known = ~np.isin(own_as, fold)
        likeness = seen(Lens.learned(shown[own[known]], own_as[known]), shown, asked[mine], own)
        if looked.colours:
            likeness = mixed(likeness, told[asked[mine]] @ told[own].T)
        out[mine] = precision(likeness, asked_as[mine], own_as)
    return out


def grocery(folder: Path, around: Around) -> None:
    """Shelf photo -> product."""
    encoder, options, sheet, progress = around
    if not (folder / "classes.csv").is_file():
        raise BadFeed("the data is not there", where=str(folder))
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as stream:
        products = list(csv.DictReader(stream))
    iconic = {each["Iconic Image Path (str)"].lstrip("/"): int(each["Class ID (int)"]) for each in products}
    index = listed(folder, options.seed)
    looked = look(encoder, photos(folder, [*iconic, *index.paths]), progress)
    place = looked.rows([*iconic, *index.paths])
    shelf = [(place[path], int(own), asked) for path, own, asked in _zipped(index) if path in place]
    asked = np.array([(row, own) for row, own, ask in shelf if ask], np.int32)
    catalogue = np.array([(place[path], own) for path, own in iconic.items() if path in place], np.int32)
    more = np.array([(row, own) for row, own, ask in shelf if not ask], np.int32)
    for prefix, own in (("grocery", catalogue), ("grocery.shelf", np.concatenate([catalogue, more]))):
        ways = Ways.of(looked, asked[:, 0], own[:, 0], own[:, 1])
        rank = ways.each(lambda likeness, own=own: _rank(likeness, own[:, 1], asked[:, 1]))  # type: ignore[misc]
        _tell(sheet, prefix, {f"hit@{k}": {way: _hit(each, k) for way, each in rank.items()} for k in (1, 5)}, 7)
    sheet.facts["grocery.photos"] = {"asked": len(asked), "products": len(catalogue), "shelf": len(more)}
    sheet.facts["grocery.data"] = data_hash(folder / "index.csv", folder / "classes.csv")


def _rank(likeness: Floats, owner: Ints, true: Ints) -> Doubles:
    """The place of each question's product, from 1; of a product its most alike picture counts: (q,)."""
    names = np.unique(owner)
    best = np.stack([likeness[:, owner == name].max(axis=1) for name in names.tolist()], axis=1)
    own = best[np.arange(len(true)), np.searchsorted(names, true)]
    above = (best > own[:, None]).sum(axis=1)
    level = (best == own[:, None]).sum(axis=1)
    return np.asarray(above + (level + 1) / 2, np.float64)


def _hit(rank: Doubles, k: int) -> Doubles:
    return np.asarray(rank <= k, np.float64)


def luma(folder: Path, around: Around) -> None:
    """Another photo of a product -> the product; and words beside a photo through the whole engine."""
    encoder, options, sheet, progress = around
    if not (folder / "products.jsonl").is_file():
        raise BadFeed("the data is not there", where=str(folder))
    lines = (folder / "products.jsonl").read_bytes().splitlines()
    products = [msgspec.json.decode(line) for line in lines if line.strip()]
    names = sorted({name for each in products for name in _pictures(each)})
    looked = look(encoder, photos(folder, names), progress)
    place = looked.rows(names)
    kinds = {name: code for code, name in enumerate(sorted({_kind(each) for each in products}))}
    own: list[tuple[int, int, int]] = []
    asked: list[tuple[int, int]] = []
    for number, each in enumerate(products):
        shown = [name for name in each["images"] or () if name in place]
        held = [name for name in _pictures(each) if name in place and name not in shown[1:]]
        own += [(place[name], number, kinds[_kind(each)]) for name in held]
        asked += [(place[name], number) for name in shown[1:] if held]
    mine, ask = np.array(own, np.int32), np.array(asked, np.int32)
    ways = Ways.of(looked, ask[:, 0], mine[:, 0], mine[:, 2])
    rank = ways.each(lambda likeness: _rank(likeness, mine[:, 1], ask[:, 1]))
    _tell(sheet, "luma", {f"hit@{k}": {way: _hit(each, k) for way, each in rank.items()} for k in (1, 5)}, options.seed)
    sheet.facts["luma.photos"] = {"asked": len(ask), "shop": len(mine), "products": len(products)}
    vectors = {name: looked.encoded[row] for name, row in place.items()}
    for metric, found in but(products, encoder.info, vectors).items():
        _tell(sheet, "luma.but", {metric: found}, options.seed)
    sheet.facts["luma.data"] = data_hash(folder / "products.jsonl")


def _pictures(product: Mapping[str, object]) -> list[str]:
    """Every picture of a product: its own, and its variants'."""
    own = product.get("images") or ()
    variants = product.get("variants") or ()
    assert isinstance(own, list | tuple)
    assert isinstance(variants, list | tuple)
    return list(dict.fromkeys([*own, *(each["image"] for each in variants if each.get("image"))]))


def _kind(product: Mapping[str, object]) -> str:
    named = product.get("categories") or ("",)
    assert isinstance(named, list | tuple)
    return str(named[0])


def fashion(folder: Path, around: Around) -> None:
    """Leave one out: do the ten nearest share the kind of article? The lens sees no labels here."""
    encoder, options, sheet, progress = around
    if not (folder / "products.jsonl").is_file():
        raise BadFeed("the data is not there", where=str(folder))
    lines = (folder / "products.jsonl").read_bytes().splitlines()
    kinds = {f"{each['id']}.jpg": each["article_type"] for each in map(msgspec.json.decode, lines)}
    looked = look(encoder, photos(folder, list(kinds)), progress)
    codes = np.unique([kinds[name] for name in looked.names], return_inverse=True)[1].astype(np.int32)
    counts = np.bincount(codes)
    rows = np.arange(len(codes), dtype=np.int32)
    ways = Ways.of(looked, rows, rows, np.full(len(rows), -1, np.int32))

    def judged(likeness: Floats) -> Doubles:
        np.fill_diagonal(likeness, -np.inf)
        value = precision(likeness, codes, codes)
        return np.asarray(value[counts[codes] > K // 2], np.float64)

    _tell(sheet, "fashion.article", {f"precision@{K}": ways.each(judged)}, options.seed)


def _tell(sheet: Sheet, name: str, found: Mapping[str, Mapping[str, Doubles]], seed: int) -> None:
    """Figures of every way, and what is served against each other one."""
    for metric, ways in found.items():
        for way, values in ways.items():
            _figure(sheet, ".".join(part for part in (name, way, metric) if part), values, seed)
            if way != SERVED:
                _gap(sheet, f"{name}.vs_{way}.{metric}", ways[SERVED], values, seed)


def _figure(sheet: Sheet, name: str, values: Doubles, seed: int) -> None:
    sheet.figures[name] = round(float(values.mean()), 6)
    low, high = intervals({name: values}, np.random.default_rng(seed))[name]
    sheet.intervals[name] = (round(low, 6), round(high, 6))


def _gap(sheet: Sheet, name: str, ours: Doubles, theirs: Doubles, seed: int) -> None:
    gap = paired(ours, theirs, np.random.default_rng(seed))
    sheet.figures[name] = round(gap.mean, 6)
    sheet.intervals[name] = (round(gap.low, 6), round(gap.high, 6))
