"""What the query names lifts what has it, and nothing else."""

from __future__ import annotations

import numpy as np

from bodega.retrieval.intent import Intent
from bodega.schema import Context, Item, ItemTable, Meaning

TABLE = ItemTable.of(
    [
        Item(id="red-nike", brand="Nike", attributes={"colour": "red", "size": 42.0}),
        Item(id="red-puma", brand="Puma", attributes={"colour": "red", "size": 44.0}),
        Item(id="blue-nike", brand="Nike", attributes={"colour": "blue"}),
        Item(id="plain"),
    ]
)
EVERYTHING = np.arange(4, dtype=np.int32)


def source() -> Intent:
    return Intent().beside(TABLE)


def says(*meanings: Meaning) -> Context:
    return Context(place="search", query="anything", meanings=meanings)


RED = Meaning(kind="colour", text="red", field="colour", values=("red",), confidence=0.5)
NIKE = Meaning(kind="brand", text="nike", field="brand", values=("Nike",), confidence=0.9)


def test_confidences_of_what_is_fulfilled_add_up_and_nothing_is_nan() -> None:
    score = source().score(says(RED, NIKE), EVERYTHING)
    np.testing.assert_allclose(score, [1.4, 0.5, 0.9, np.nan], rtol=1e-6)
    assert source().retrieve(says(RED, NIKE), 2).items.tolist() == [0, 2]


def test_a_range_of_numbers_is_a_wish_too() -> None:
    size = Meaning(kind="size", text="size 42", field="size", low=41.5, high=42.5)
    assert source().retrieve(says(size), 9).items.tolist() == [0]


def test_conditions_and_exclusions_are_not_wishes() -> None:
    hard = Meaning(kind="price", text="under 50", field="size", high=50.0, hard=True)
    no_puma = Meaning(kind="not", text="not puma", field="brand", values=("Puma",), hard=True, excludes=True)
    assert np.isnan(source().score(says(hard, no_puma), EVERYTHING)).all()
    assert len(source().retrieve(says(hard, no_puma), 9)) == 0


def test_a_field_or_value_that_nothing_has_is_silent() -> None:
    odd = Meaning(kind="attribute", text="x", field="nowhere", values=("x",))
    gone = Meaning(kind="brand", text="acme", field="brand", values=("Acme",))
    assert np.isnan(source().score(says(odd, gone), EVERYTHING)).all()
