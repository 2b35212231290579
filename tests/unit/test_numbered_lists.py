"""Sums over a few thousand entries without an array over the catalog: the same numbers as the plain way."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.retrieval._index import Neighbours, at, distinct, numbered


@pytest.mark.parametrize("count", [0, 1, 7, 3_000])
def test_entries_are_numbered_as_unique_numbers_them(rng, count):
    items = rng.integers(0, 500, size=count).astype(np.int32)
    found, place = numbered(items, 500)
    known, inverse = np.unique(items, return_inverse=True)
    assert found.tolist() == known.tolist() == distinct(items).tolist()
    assert place.tolist() == inverse.tolist()


def test_what_lists_lead_to_is_what_spreads_over_the_catalog(rng):
    lengths = rng.integers(0, 20, size=300)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    weights = rng.random(int(starts[-1])).astype(np.float32)
    near = Neighbours(starts, rng.integers(0, 300, size=len(weights)).astype(np.int32), weights)
    for count in (0, 1, 40, 600):
        seeds, share = rng.integers(0, 300, size=count).astype(np.int32), rng.random(count).astype(np.float32)
        items, scores = near.led_to(seeds, share)
        whole = near.spread(seeds, share)
        assert items.tolist() == np.flatnonzero(np.isfinite(whole)).tolist()
        assert scores.tobytes() == whole[items].tobytes()
        assert at(items, scores, np.arange(300, dtype=np.int32)).tobytes() == whole.tobytes()
