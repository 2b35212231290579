"""`content` beside a snapshot: a new item is scored exactly as if it had been learned, where its words are known."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from bodega.retrieval.content import Content
from bodega.schema import Context, Item, ItemTable
from bodega.testing.world import GeneratedWorld


@pytest.fixture(scope="module")
def learned(small_world: GeneratedWorld) -> Content:
    return Content().fit(small_world.world())


def test_the_same_items_get_the_same_scores(learned: Content, small_world: GeneratedWorld) -> None:
    twins = learned.beside(ItemTable.of(small_world.items[:60]))
    rows = np.arange(60, dtype=np.int32)
    seen = 0
    for anchor in range(60, 120):
        context = Context(place="similar", items=np.array([anchor], np.int32))
        known = learned.score(context, rows)
        told = twins.score(context, rows)
        both = np.isfinite(known)
        seen += int(both.sum())
        np.testing.assert_allclose(told[both], known[both], rtol=1e-5)
        least = learned.near.weights[learned.near.starts[anchor] : learned.near.starts[anchor + 1]].min()
        assert np.nan_to_num(told[~both]).max(initial=0) <= least, "who would not have made the list has no score"
    assert seen > 200


def test_a_twin_of_the_anchor_is_its_best(learned: Content, small_world: GeneratedWorld) -> None:
    base = small_world.items[5]
    other = next(item for item in small_world.items if item.category[:1] != base.category[:1])
    table = ItemTable.of([msgspec.structs.replace(item, id=f"n{at}") for at, item in enumerate((other, base))])
    small = learned.beside(table)
    context = Context(place="similar", items=np.array([5], np.int32))
    found = small.retrieve(context, 2)
    assert found.items[0] == 1
    assert found.score[0] == pytest.approx(1.0, abs=1e-4)
    assert (small.because(context, np.array([0, 1], np.int32), 2) == -1).all()


def test_strange_words_make_an_item_less_alike(learned: Content, small_world: GeneratedWorld) -> None:
    base = small_world.items[5]
    titles = (base.title, f"{base.title} zorblax", f"{base.title} zorblax quimber")
    table = ItemTable.of([msgspec.structs.replace(base, id=f"n{at}", title=title) for at, title in enumerate(titles)])
    context = Context(place="similar", items=np.array([5], np.int32))
    score = learned.beside(table).score(context, np.arange(3, dtype=np.int32))
    assert score[0] > score[1] > score[2] > 0


def test_nothing_in_common_says_nothing(learned: Content) -> None:
    small = learned.beside(ItemTable.of([Item(id="a", title="zorblax"), Item(id="b", title="")]))
    rows = np.arange(2, dtype=np.int32)
    assert np.isnan(small.score(Context(place="similar", items=np.array([5], np.int32)), rows)).all()
    assert np.isnan(small.score(Context(), rows)).all()
    assert len(small.retrieve(Context(), 5)) == 0


def test_what_was_saved_knows_newer_items_too(learned: Content, small_world: GeneratedWorld, tmp_path: Path) -> None:
    learned.save(tmp_path)
    opened = Content.load(tmp_path, small_world.table)
    table = ItemTable.of(small_world.items[:20])
    context = Context(place="similar", items=np.array([70], np.int32))
    rows = np.arange(20, dtype=np.int32)
    np.testing.assert_array_equal(opened.beside(table).score(context, rows), learned.beside(table).score(context, rows))
