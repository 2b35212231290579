"""The arithmetic of item profiles: what is missing has no weight, gradients are right, what is kept comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bodega.schema import Item, ItemTable
from bodega.understanding.profile import (
    MODALITIES,
    Bags,
    Inputs,
    Lesson,
    Pairs,
    ProfileModel,
    ProfileOptions,
    train,
    values_of,
    words_of,
)
from bodega.understanding.profile._steps import Drawer, contrast, gradients
from bodega.understanding.profile.inputs import DENSE
from bodega.understanding.profile.training import WAYS, begun

N = 40
SMALL = ProfileOptions(dimensions=8, batch=16, strangers=8, steps=(20, 20), epochs=1.0)


def inputs(seed: int = 3) -> Inputs:
    """Forty rows; each modality is missing in some of them, and row 0 has nothing at all."""
    rng = np.random.default_rng(seed)
    dense = {}
    for name, size in zip(DENSE, (12, 6, 5), strict=True):
        rows = rng.standard_normal((N, size)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        rows[rng.random(N) < 0.3] = 0
        rows[0] = 0
        dense[name] = rows
    words = [" ".join(rng.choice(["red", "blue", "mug", "lamp", "rug"], 2)) if row else "" for row in range(N)]
    table = ItemTable.of(
        Item(id=str(row), title=word, brand=str(rng.choice(["a", "b"])) if row % 3 else "", kind="x")
        for row, word in enumerate(words)
    )
    bags = {
        "words": Bags.learn(words_of(words)).read(words_of(words)),
        "attributes": Bags.learn(values_of(table)).read(values_of(table)),
    }
    return Inputs.of(N, dense, bags, rng.integers(0, 9, N))


def lesson(rng: np.random.Generator) -> Lesson:
    left, right = rng.integers(0, N, 60), rng.integers(0, N, 60)
    pairs = Pairs(left, right, rng.random(60, np.float32) + 0.1, rng.integers(0, 2, 60))
    asked = Pairs(rng.integers(0, N, 50), rng.integers(0, N, 50), np.ones(50, np.float32), np.zeros(50, np.int64))
    return Lesson((inputs(3), inputs(4)), pairs, inputs(5).only("text", "words"), asked)


@pytest.fixture(scope="module")
def model() -> ProfileModel:
    return train(lesson(np.random.default_rng(1)), SMALL)[0]


def test_rows_have_length_one_and_gates_are_parts_of_one(model: ProfileModel) -> None:
    made = model.encode(inputs())
    some = inputs().present.any(axis=1)
    assert not some[0]
    assert not made.vectors[0].any()
    assert not made.gates[0].any()
    assert np.allclose(np.linalg.norm(made.vectors[some], axis=1), 1, atol=1e-5)
    assert np.allclose(made.gates[some].sum(axis=1), 1, atol=1e-5)


def test_what_is_missing_has_no_weight_and_changes_nothing(model: ProfileModel) -> None:
    whole = inputs()
    made = model.encode(whole)
    assert not made.gates[~whole.present].any()
    for name in MODALITIES:
        alone = model.encode(whole.only(name))
        there = whole.present[:, MODALITIES.index(name)]
        assert np.allclose(alone.gates[there, MODALITIES.index(name)], 1)
        assert not alone.vectors[~there].any()


def test_a_row_is_the_same_in_any_company(model: ProfileModel) -> None:
    every = model.encode(inputs()).vectors
    for row in (1, 7, 39):
        assert np.allclose(model.encode(inputs().take(np.array([row]))).vectors[0], every[row], atol=1e-5)


def test_gradients_agree_with_differences() -> None:
    held = lesson(np.random.default_rng(2))
    model = begun(held, SMALL, np.random.default_rng(5))
    for name, numbers in model.numbers.items():  # away from zero, where gates would not move anything
        if name.startswith("gate."):
            numbers += np.random.default_rng(6).standard_normal(numbers.shape).astype(np.float32) / 3
    drawer = Drawer.of(model, held, SMALL)
    _, found = gradients(model, drawer, np.random.default_rng(8))
    assert set(found) == set(model.numbers)
    for name, numbers in model.numbers.items():
        way = np.random.default_rng(9).standard_normal(numbers.shape).astype(np.float32)
        way /= np.linalg.norm(way)
        kept, sides = numbers.copy(), []
        for step in (0.02, -0.02):
            numbers[...] = kept + np.float32(step) * way
            sides.append(gradients(model, drawer, np.random.default_rng(8))[0])
            numbers[...] = kept
        assert float((found[name] * way).sum()) == pytest.approx((sides[0] - sides[1]) / 0.04, rel=0.03, abs=2e-4)


def test_the_item_itself_and_its_twins_are_no_contrast() -> None:
    held = lesson(np.random.default_rng(2))
    drawer = Drawer.of(begun(held, SMALL, np.random.default_rng(5)), held, SMALL)
    rows = np.eye(4, 8, dtype=np.float32)
    alone = contrast(rows[:1], rows[:1], np.array([5]), drawer)[0]
    with_itself = contrast(rows[:1], rows[[0, 0]], np.array([5, 5]), drawer)[0]
    with_another = contrast(rows[:1], rows[[0, 0]], np.array([5, 6]), drawer)[0]
    assert with_itself == pytest.approx(alone, abs=1e-6)
    assert with_another > alone + 0.1


def test_learning_twice_gives_the_same_bytes_and_they_come_back(tmp_path: Path, model: ProfileModel) -> None:
    again, facts = train(lesson(np.random.default_rng(1)), SMALL)
    assert again.digest == model.digest
    assert facts.steps == 20
    model.save(tmp_path)
    opened = ProfileModel.load(tmp_path)
    assert opened.digest == model.digest
    assert np.array_equal(opened.encode(inputs()).vectors, model.encode(inputs()).vectors)


def test_without_anybody_to_judge_it_stays_near_its_start() -> None:
    held = lesson(np.random.default_rng(1))
    start = begun(held, SMALL, np.random.default_rng(SMALL.seed))
    learned, facts = train(held, SMALL)
    assert facts.way == SMALL.unjudged
    assert facts.found == ()
    far, _ = train(held, ProfileOptions(dimensions=8, batch=16, strangers=8, steps=(20, 20), epochs=1.0, unjudged=1.0))
    near = np.linalg.norm(learned.projections["text"] - start.projections["text"])
    assert near == pytest.approx(0.25 * np.linalg.norm(far.projections["text"] - start.projections["text"]), rel=1e-3)


def test_judges_choose_the_best_part_of_the_way() -> None:
    rng = np.random.default_rng(1)
    taught = lesson(rng)
    pairs = taught.together
    judged = Lesson(taught.items, pairs, taught.queries, taught.asked, held=pairs, judged=taught.items[0])
    _, facts = train(judged, SMALL)
    assert len(facts.found) == len(WAYS)
    assert facts.way == WAYS[int(np.argmax(facts.found))]


def test_nothing_at_all_is_a_model_that_says_nothing() -> None:
    nothing = Inputs.of(2, {}, {})
    model, facts = train(Lesson((nothing,)))
    assert not model.encode(nothing).vectors.any()
    assert facts.gates == {}


def test_price_and_values_are_read_alike_of_known_and_new_items() -> None:
    items = [Item(id=str(n), title="x", brand="acme", price=10.0, attributes={"colour": "red"}) for n in range(3)]
    known = ItemTable.of([*items, Item(id="9", title="x", brand="bolt", price=400.0)])
    bags = Bags.learn(values_of(known))
    new = ItemTable.of([Item(id="n", title="x", brand="acme", price=10.2, attributes={"colour": "red", "new": "yes"})])
    assert (bags.read(values_of(new)).toarray() == bags.read(values_of(known)).toarray()[:1]).all()
    assert bags.read(values_of(ItemTable.of([Item(id="z", title="x", kind="other", price=0.0)]))).nnz == 0
    assert np.diff(bags.read(values_of(known)).indptr)[3] == 0  # what a single item has tells nothing of others
