"""Meaning around items: seeds become a direction, nothing is like itself, what is newer is compared with the known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bodega.protocols import EncoderInfo
from bodega.retrieval.dense import Dense
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World
from bodega.schema.arrays import Floats

TITLES = ("red mug", "red cup", "blue lamp", "blue light", "green rug", "mug red", "")
SENSES = {"red": 0, "mug": 1, "cup": 1, "blue": 2, "lamp": 3, "light": 3, "green": 4, "rug": 5}


class Senses:
    """An encoder of six directions, one a sense."""

    info = EncoderInfo("senses", 6, "")

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        rows = np.zeros((len(texts), 6), np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                if word in SENSES:
                    rows[row, SENSES[word]] += 1
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.maximum(length, 1e-9)).astype(np.float32)


def no_events() -> Log:
    none, real = np.empty(0, np.int32), np.empty(0, np.float32)
    return Log(np.empty(0), np.empty(0, np.int8), none, none, none, real, real, none, none, 0, 0)


def table(titles: Sequence[str]) -> ItemTable:
    return ItemTable.of(Item(id=f"{number}", title=title, price=1.0) for number, title in enumerate(titles))


@pytest.fixture(scope="module")
def dense() -> Dense:
    return Dense(lambda world: Senses()).fit(World(table(TITLES), no_events(), 0.0))


def after(*items: int, place: str = "home", query: str = "", like: tuple[str, ...] = ()) -> Context:
    return Context(
        place=place,
        now=100.0,
        history=np.array(items, np.int32),
        times=np.arange(len(items), dtype=np.float64),
        actions=np.full(len(items), EVENT_CODES["click"], np.int8),
        query=query,
        like=like,
    )


def around(*items: int, place: str = "similar") -> Context:
    return Context(place=place, items=np.array(items, np.int32))


def test_a_history_leads_to_what_means_the_same(dense: Dense) -> None:
    assert dense.retrieve(after(2), 1).items.tolist() == [3]
    assert set(dense.retrieve(after(0), 2).items.tolist()) == {1, 5}
    assert dense.retrieve(after(2, 0), 2).items.tolist()[0] in {1, 5}, "the newest weighs most"


def test_an_anchor_is_not_like_itself(dense: Dense) -> None:
    found = dense.retrieve(around(0), 10)
    assert 0 not in found.items
    assert set(found.items[:2].tolist()) == {5, 1}
    assert np.isnan(dense.score(around(0), np.array([0], np.int32))[0])


def test_what_somebody_has_is_not_found_by_itself_alone(dense: Dense) -> None:
    score = dense.score(after(2, 4), np.arange(len(TITLES), dtype=np.int32))
    assert score[3] > score[2], "the lamp is known; the light is what it leads to"
    assert score[4] < score[3]


def test_retrieve_gives_the_best_of_score(dense: Dense) -> None:
    everything = np.arange(len(TITLES), dtype=np.int32)
    for context in (after(0), after(0, 2, 0), around(2), around(0, 3), after(4)):
        score = dense.score(context, everything)
        known = np.flatnonzero(np.isfinite(score))
        best = known[np.lexsort((known, -score[known]))]
        for k in (1, 3, 10):
            found = dense.retrieve(context, k)
            assert found.items.tolist() == best[:k].tolist()
            np.testing.assert_array_equal(found.score, score[found.items])


def test_words_go_before_a_history(dense: Dense) -> None:
    assert dense.retrieve(after(0, query="rug"), 1).items.tolist() == [4]
    assert dense.retrieve(after(0, place="search"), 5).items.tolist() == [], "a search without words asks nothing"


def test_nothing_to_go_by_gives_nothing(dense: Dense) -> None:
    for context in (Context(), after(6), around(6), after(6, like=("",))):
        assert len(dense.retrieve(context, 5)) == 0
        assert np.isnan(dense.score(context, np.arange(3, dtype=np.int32))).all()
        assert (dense.because(context, np.arange(3, dtype=np.int32), 2) == -1).all()


def test_texts_stand_for_items_that_are_not_here(dense: Dense) -> None:
    assert dense.retrieve(after(like=("blue light",)), 2).items.tolist() in ([2, 3], [3, 2])
    assert dense.retrieve(after(0, like=("blue light",)), 1).items.tolist() in ([1], [5]), "known items go before texts"
    assert dense.retrieve(after(like=("green rug", "red mug")), 1).items[0] in {0, 5}, "the newest weighs most"


def test_the_seeds_that_led_there_are_told(dense: Dense) -> None:
    led = dense.because(after(2, 0), np.array([1, 3], np.int32), 2)
    assert led[0].tolist()[0] == 0
    assert led[1].tolist()[0] == 2
    assert dense.because(after(0), np.array([0], np.int32), 1).tolist() == [[-1]]


def test_newer_items_are_compared_with_known_ones(dense: Dense) -> None:
    newer = dense.beside(table(["red cup", "blue lamp"]))
    assert newer.retrieve(after(2), 2).items.tolist() == [1, 0]
    known, new = dense.score(after(2), np.array([3], np.int32)), newer.score(after(2), np.array([1], np.int32))
    assert new[0] == pytest.approx(known[0], abs=1e-3), "the same sense is as near on either side"


def test_ten_thousand_events_and_a_basket(dense: Dense) -> None:
    rng = np.random.default_rng(0)
    many = after(*rng.integers(0, 6, 10_000).tolist())
    assert len(dense.retrieve(many, 3)) == 3
    basket = Context(now=9.0, history=np.array([0, 2, 4], np.int32), times=np.zeros(3), actions=np.zeros(3, np.int8))
    assert set(dense.retrieve(basket, 3).items.tolist()) <= set(range(6))
