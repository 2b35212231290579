"""Worlds whose next item is known on paper: what does the sequential source say?"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from bodega.evaluation.splits import sequence_log
from bodega.retrieval.sequential import Sequential, SequentialOptions
from bodega.schema import Context, Item, ItemTable, World

OPTIONS = SequentialOptions(dimensions=16, epochs=30, batch=64, negatives=64, rate=1e-2, dropout=0.1, titles=0)


def learned(sequences: list[NDArray[np.int32]], n_items: int, options: SequentialOptions = OPTIONS) -> Sequential:
    log = sequence_log(sequences)
    items = ItemTable.of(Item(id=f"i{row}", title=f"i{row}") for row in range(n_items))
    return Sequential(options).fit(World(items, log, until=float(log.time[-1]) + 60))


def best(source: Sequential, history: list[int], k: int) -> list[int]:
    n = len(history)
    context = Context(
        history=np.array(history, np.int32),
        times=np.arange(n) * 7_200.0,
        actions=np.full(n, 3, np.int8),
        now=n * 7_200.0,
    )
    return source.retrieve(context, k).items.tolist()


def test_alternating_tastes() -> None:
    """A shopper takes something of one shelf (0 to 9), then of the other (10 to 19), and so on: next, the other."""
    rng = np.random.default_rng(1)
    sequences = []
    for shopper in range(250):
        shelf = (np.arange(10) + shopper) % 2
        sequences.append((rng.integers(0, 10, 10) + 10 * shelf).astype(np.int32))
    source = learned(sequences, 20)
    assert sorted(best(source, [3, 14, 5, 12, 7], 10)) == list(range(10, 20))
    assert sorted(best(source, [14, 5, 12, 7, 18], 10)) == list(range(10))


def test_two_tribes() -> None:
    """Two tribes never want the same: all of a shopper's best items are his tribe's."""
    rng = np.random.default_rng(2)
    sequences = [(rng.integers(0, 20, 8) + 20 * (shopper % 2)).astype(np.int32) for shopper in range(250)]
    source = learned(sequences, 40)
    assert sorted(best(source, [1, 5, 9], 20)) == list(range(20))
    assert sorted(best(source, [21, 25, 29], 20)) == list(range(20, 40))


@pytest.mark.parametrize("encoder", ["transformer", "gru", "cnn", "hstu"])
def test_what_came_before_the_newest_step_counts(encoder: str) -> None:
    """After (0, 9) comes 1, after (4, 9) comes 5: the newest item alone cannot tell."""
    rng = np.random.default_rng(3)
    sequences = []
    for _ in range(200):
        noise = rng.integers(10, 20, 2)
        first = int(rng.choice([0, 4]))
        sequences.append(np.array([*noise, first, 9, first + 1], np.int32))
    source = learned(sequences, 20, msgspec.structs.replace(OPTIONS, encoder=encoder))
    assert best(source, [12, 0, 9], 1) == [1]
    assert best(source, [12, 4, 9], 1) == [5]
