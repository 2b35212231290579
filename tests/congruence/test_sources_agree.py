"""Twins must agree: memory-mapped = in memory, any order of requests, with the catalog's order shuffled."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.retrieval.collaborative import Collaborative
from bodega.retrieval.popular import Popular
from bodega.retrieval.repeat import Repeat
from bodega.retrieval.transition import Transition

MAKERS = {
    "popular": Popular,
    "transition": Transition,
    "ease": Collaborative,
    "knn": lambda: Collaborative(ease_items=0),
    "repeat": Repeat,
}
PLACES = ("home", "similar", "together", "basket", "category", "trending", "repeat")


def requests(world):
    some = world.truth.shoppers[:12]
    for number, shopper in enumerate(some):
        for place in PLACES:
            anchors = (
                np.array([number, number * 3 + 1], np.int32) if place in ("similar", "together", "basket") else None
            )
            context = world.context(shopper)
            context = type(context)(
                place=place,
                now=context.now,
                history=context.history,
                times=context.times,
                actions=context.actions,
                items=context.items if anchors is None else anchors,
            )
            yield context


@pytest.mark.parametrize("name", MAKERS)
def test_mapped_equals_in_memory_in_any_order(name, world, tmp_path):
    source = MAKERS[name]().fit(world.world())
    source.save(tmp_path)
    twin = type(source).load(tmp_path, world.world().items)
    everything = np.arange(len(world.items), dtype=np.int32)
    asked = list(requests(world))
    whole = [(source.retrieve(context, 30), source.score(context, everything)) for context in asked]
    assert sum(len(found) for found, _ in whole) > 0
    for context, (found, scores) in reversed(list(zip(asked, whole, strict=True))):
        again = twin.retrieve(context, 30)
        assert np.array_equal(again.items, found.items)
        assert np.array_equal(again.score, found.score)
        assert np.array_equal(twin.score(context, everything), scores, equal_nan=True)
        known = np.flatnonzero(~np.isnan(scores))
        assert np.array_equal(found.items, known[np.argsort(-scores[known], kind="stable")][:30])


@pytest.mark.parametrize("name", MAKERS)
def test_learning_twice_gives_equal_bytes(name, world, tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        MAKERS[name]().fit(world.world()).save(folder)
    files = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert files[0]
    assert files[0] == files[1]
