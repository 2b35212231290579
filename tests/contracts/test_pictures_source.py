"""The source of pictures keeps the promises of every source; what an item shows best counts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from bodega.protocols import EncoderInfo
from bodega.retrieval.pictures import Pictures
from bodega.schema import Context, Item, ItemTable, World
from bodega.testing.checks import check_source
from bodega.testing.world import GeneratedWorld, as_log


class Book:
    """A direction drawn from the name; names that begin with `lost` were not read."""

    info: EncoderInfo | None = EncoderInfo("drawn", 32, "abcd")

    def of(self, references: Sequence[str]) -> NDArray[np.float32]:
        out = np.zeros((len(references), 32), np.float32)
        for row, name in enumerate(references):
            if not name.startswith("lost"):
                seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
                out[row] = np.random.default_rng(seed).normal(size=32)
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)


def pictured(item: Item, number: int) -> Item:
    names = tuple(f"{item.id}-{at}" for at in range(number % 4))  # none, one, two, three
    return msgspec.structs.replace(item, images=(*names, *(("lost",) if number % 5 == 0 else ())))


@pytest.fixture(scope="module")
def photographed(small_world: GeneratedWorld) -> GeneratedWorld:
    return replace(small_world, items=[pictured(item, number) for number, item in enumerate(small_world.items)])


def test_pictures_keep_the_contract(photographed: GeneratedWorld, tmp_path: Path) -> None:
    check_source(lambda: Pictures(Book()), tmp_path, photographed)


def photo(name: str) -> Context:
    return Context(place="photo", picture=Book().of([name])[0])


def test_the_k_best_are_the_k_best_of_all(photographed: GeneratedWorld) -> None:
    source = Pictures(Book()).fit(photographed.world())
    every = np.arange(len(photographed.items), dtype=np.int32)
    for context in (photo("p0003-1"), Context(place="similar", items=np.array([7, 3], np.int32))):
        score = source.score(context, every)
        known = np.flatnonzero(np.isfinite(score))
        best = known[np.lexsort((known, -score[known]))]
        for k in (1, 5, 40):
            assert source.retrieve(context, k).items.tolist() == best[:k].tolist()


def test_the_picture_that_is_most_alike_counts(photographed: GeneratedWorld) -> None:
    source = Pictures(Book()).fit(photographed.world())
    for row in (3, 7, 11):  # items with three pictures
        for at in range(3):
            found = source.retrieve(photo(f"{photographed.items[row].id}-{at}"), 1)
            assert found.items.tolist() == [row]
            assert found.score[0] > 0.99


def test_a_filter_is_part_of_the_search(photographed: GeneratedWorld) -> None:
    source = Pictures(Book()).fit(photographed.world())
    keep = np.arange(len(photographed.items)) % 2 == 0
    found = source.within(photo("p0003-1"), keep, 10)
    assert len(found) == 10
    assert keep[found.items].all()


def test_newer_items_take_part(photographed: GeneratedWorld) -> None:
    source = Pictures(Book()).fit(photographed.world())
    newer = source.beside(ItemTable.of([Item(id="n1", images=("p0003-1",)), Item(id="n2")]))
    assert newer.retrieve(photo("p0003-1"), 5).items.tolist() == [0]
    assert newer.score(photo("p0003-1"), np.array([0, 1], np.int32))[0] > 0.99
    around = Context(place="similar", items=np.array([3], np.int32))
    assert newer.retrieve(around, 1).items.tolist() == [0]


def test_a_photo_of_another_encoder_and_a_shop_without_pictures_are_silent(small_world: GeneratedWorld) -> None:
    table = ItemTable.of(small_world.items)
    empty = Pictures(Book()).fit(World(table, as_log([], table, ()), 0.0))
    assert len(empty.retrieve(photo("x"), 5)) == 0
    assert not empty.pictured.any()
    one = Pictures(Book()).fit(World(ItemTable.of([Item(id="a", images=("a",))]), as_log([], table, ()), 0.0))
    assert len(one.retrieve(Context(picture=np.ones(7, np.float32)), 5)) == 0


class ColouredBook(Book):
    """`a dress` in red is `a dress.red`: what is shown by the first word, the colour by the second."""

    info = EncoderInfo("drawn and coloured", 34, "efgh", colours=2)

    def of(self, references: Sequence[str]) -> NDArray[np.float32]:
        shown = super().of([name.partition(".")[0] for name in references])
        told = {"red": (1, 0), "rose": (0.98, 0.2), "blue": (0, 1)}
        colours = np.array([told.get(name.partition(".")[2], (0, 0)) for name in references], np.float32)
        return np.hstack([0.98 * shown, 0.2 * colours]).astype(np.float32)


def dressed() -> World:
    items = [
        Item(id=f"{what}.{colour}", images=(f"{what}.{colour}",))
        for what in ("dress", *(f"thing {number}" for number in range(40)))
        for colour in ("blue", "rose", "red")
    ]
    table = ItemTable.of(items)
    return World(table, as_log([], table, ()), 0.0)


def test_of_what_shows_the_same_the_nearest_colour_comes_first(tmp_path: Path) -> None:
    world = dressed()
    source = Pictures(ColouredBook()).fit(world)
    context = Context(place="photo", picture=ColouredBook().of(["dress.red"])[0])
    wanted = [world.items.index[f"dress.{colour}"] for colour in ("red", "rose", "blue")]
    assert source.retrieve(context, 3).items.tolist() == wanted
    source.save(tmp_path)
    again = Pictures.load(tmp_path, world.items, ColouredBook())
    assert again.retrieve(context, 3).items.tolist() == wanted
    assert again.floor(context) == pytest.approx(source.floor(context))
    assert again.beside(ItemTable.of([Item(id="n", images=("dress.red",))])).retrieve(context, 1).score[0] > 0.99
    around = Context(place="similar", items=np.array([wanted[0]], np.int32))
    assert source.retrieve(around, 2).items.tolist() == wanted[1:]


def test_words_beside_a_photo_may_ask_for_another_colour() -> None:
    world = dressed()
    source = Pictures(ColouredBook()).fit(world)
    context = Context(place="photo", picture=ColouredBook().of(["dress.red"])[0], query="but blue")
    score = source.score(context, np.array([world.items.index[f"dress.{name}"] for name in ("red", "blue")], np.int32))
    assert score[0] == pytest.approx(score[1], abs=1e-3)
    assert score[0] > 0.99
