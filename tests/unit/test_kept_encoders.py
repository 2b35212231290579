"""Pretrained encoders while a shop learns: nothing is encoded twice, and a correction is kept with the source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bodega.retrieval.dense import Dense
from bodega.schema import Context, Item, ItemTable, World
from bodega.schema.arrays import Floats
from bodega.testing.fakes import FakeEncoder
from bodega.testing.world import as_log
from bodega.understanding.text.adapters import Adapted, Adapter
from bodega.understanding.text.cached import KeptEncoder

TABLE = ItemTable.of(
    Item(id=str(n), title=f"{kind} {n}") for n, kind in enumerate(["lamp", "couch", "chair", "desk"] * 5)
)
WORLD = World(TABLE, as_log([], TABLE, ()), 0.0)


class Counting(FakeEncoder):
    """Counts the texts it is shown."""

    def __init__(self) -> None:
        super().__init__(16)
        self.shown: list[str] = []

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        self.shown += texts
        return super().encode(texts, query=query)


def test_no_passage_is_encoded_twice_in_memory_nor_by_the_next_process(tmp_path: Path) -> None:
    slow = Counting()
    kept = KeptEncoder(slow, tmp_path)
    first = kept.encode(["red lamp", "blue couch", "red lamp"])
    again = kept.encode(["blue couch", "desk"])
    assert slow.shown == ["red lamp", "blue couch", "desk"] or sorted(slow.shown) == ["blue couch", "desk", "red lamp"]
    np.testing.assert_array_equal(first[1], again[0])
    later = Counting()
    np.testing.assert_array_equal(KeptEncoder(later, tmp_path).encode(["desk", "red lamp"])[1], first[0])
    assert later.shown == []


def test_an_empty_batch_and_queries_pass() -> None:
    kept = KeptEncoder(Counting())
    assert kept.encode([]).shape == (0, 16)
    assert kept.encode(["lamp"], query=True).shape == (1, 16)


def test_a_correction_is_saved_with_the_source_and_its_encoder_opened_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    adapter = Adapter.start(16, 4, rng)
    adapter.query_up[:] = rng.standard_normal((4, 16)).astype(np.float32) / 4
    adapter.item_up[:] = rng.standard_normal((4, 16)).astype(np.float32) / 4
    made = Dense(lambda world: Adapted(FakeEncoder(16), adapter), name="sentences").fit(WORLD)
    made.save(tmp_path)
    opened = Dense.load(tmp_path, TABLE, reopen=lambda info: FakeEncoder(16))
    assert opened.notes == ()
    assert opened.info == made.info
    assert opened.info is not None
    assert opened.info.name.endswith("+adapter")
    asked = Context(place="search", query="couch")
    assert opened.retrieve(asked, 5).items.tolist() == made.retrieve(asked, 5).items.tolist()
    other = Dense.load(tmp_path, TABLE, reopen=lambda info: FakeEncoder(8))
    assert "silent" in " ".join(other.notes)
