"""Is what is remembered the same as what is worked out, in bounded memory, and read-only?"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from msgspec import structs

from bodega.engine.answer import Engine
from bodega.engine.remember import Remembered
from bodega.retrieval._index import Neighbours, flat_rows
from bodega.schema import Request


def test_an_answer_is_worked_out_once_while_there_is_room():
    kept: Remembered[int] = Remembered(100, lambda value: value)
    worked = []

    def work(value: int) -> int:
        worked.append(value)
        return value

    assert [kept.of(value, lambda value=value: work(value)) for value in (5, 5, 7, 5)] == [5, 5, 7, 5]
    assert worked == [5, 7]
    assert kept.of("big", lambda: work(50)) == 50
    assert kept.of("big", lambda: work(50)) == 50
    assert worked == [5, 7, 50, 50], "what takes a tenth of all the room is not kept"
    for number in range(100):
        kept.of(("many", number), lambda: 9)
    assert len(kept) <= 11


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def told(page) -> dict:
    plain = json.loads(page.json())
    return {name: value for name, value in plain.items() if name not in ("request_id", "took_ms")}


def test_a_page_from_memory_is_the_page_that_was_worked_out(small_shop, small_world):
    """Byte for byte: a fresh engine, the same engine again, and the other way round."""
    engine = small_shop.engine
    world = small_world
    asked = [
        Request(place="search", query=kind, user=world.truth.shoppers[0], facets=("brand",))
        for kind in world.truth.kinds
    ]
    asked += [Request(place=place, user=user) for place in ("home", "repeat") for user in world.truth.shoppers[:8]]
    asked += [Request(place=place, items=(item.id,)) for place in ("similar", "together") for item in world.items[:8]]
    asked = [structs.replace(each, time=NOW) for each in asked for _ in (0, 1)]  # what decays stands still

    def fresh() -> Engine:
        return Engine(engine.learned, engine.shelf, engine.shoppers, engine.settings)

    one, other = fresh(), fresh()
    first = [told(one.answer(each)) for each in asked]
    again = [told(one.answer(each)) for each in asked]
    backwards = [told(other.answer(each)) for each in reversed(asked)][::-1]
    alone = [told(fresh().answer(each)) for each in asked[::6]]

    assert first == again == backwards
    assert first[::6] == alone


def test_what_is_remembered_cannot_be_written_to(small_shop, small_world):
    finder = Engine(*(getattr(small_shop.engine, name) for name in ("learned", "shelf", "shoppers", "settings"))).finder
    from bodega.schema import Context

    said = finder.read(small_world.truth.kinds[0])
    finder.find(said, Context(place="search"))
    rows, score, _ = next(iter(finder._words_found._held.values()))[0]
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        score[0] = 1


def test_lists_copied_in_one_piece_are_the_lists_gathered_entry_by_entry(rng):
    lengths = rng.integers(0, 30, size=200)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    near = Neighbours(
        starts,
        rng.integers(0, 200, size=int(starts[-1])).astype(np.int32),
        rng.random(int(starts[-1])).astype(np.float32),
    )
    for count in (0, 1, 50, 400):
        seeds = rng.integers(0, 200, size=count).astype(np.int32)
        weights = rng.random(count).astype(np.float32)
        flat, sizes = flat_rows(starts, seeds)
        share = near.weights[flat] * np.repeat(weights, sizes)
        gathered = np.bincount(near.items[flat], weights=share, minlength=200).astype(np.float32)
        gathered[gathered == 0] = np.nan
        assert near.spread(seeds, weights).tobytes() == gathered.tobytes()
        some = rng.integers(0, 200, size=20).astype(np.int32)
        assert near.reached(seeds, weights, some).tobytes() == gathered[some].tobytes()
