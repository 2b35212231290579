"""The shop of `bodega bench online` that takes small steps: what it learns from, and what it shows until it may."""

from __future__ import annotations

import numpy as np

from bodega.bench._stepping import PAGE, Stepping
from bodega.bench.online import fitted
from bodega.engine.shelf import Shelf
from bodega.evaluation import CaseOptions, Window, place_cases
from bodega.testing.world import GeneratedWorld


def test_pages_are_read_down_to_what_was_bought_and_shown_unmoved_until_the_guard_opens(
    small_world: GeneratedWorld,
) -> None:
    begin = small_world.end - 14 * 86_400.0
    world = small_world.world(begin)
    stepping = Stepping("home", fitted(world), Shelf.of(world.items))
    cases = place_cases(small_world.log, "home", Window(begin, small_world.end), CaseOptions(40, 7, hide=1))
    assert cases
    context = cases[0].context
    before = stepping.scorer()(context)
    learned = stepping.read(cases)
    assert 0 < learned <= PAGE * len(cases)
    assert stepping.correcting.taken == learned
    told = stepping.told()
    assert told["home.used"] == 0.0, "too few impressions for a guard to open"
    after = stepping.scorer()(context)
    assert np.array_equal(before.items, after.items)
    for guard in stepping.correcting.guards("home"):
        guard.open = True
    moved = stepping.scorer()(context)
    assert set(moved.items.tolist()) == set(before.items.tolist())
    assert not np.array_equal(moved.score, before.score)
