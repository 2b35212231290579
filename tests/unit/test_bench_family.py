"""The family's bench on small files: names of figures, the sums, and that a part of a pool is what its members gave."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.bench.family import FamilyOptions, _part, last_days, run
from bodega.errors import BadFeed, BadRequest
from bodega.evaluation.splits import sequence_log
from bodega.schema import Candidates, Context, Item, ItemTable, World


@pytest.fixture
def tribes(tmp_path, rng):
    """Two tribes of 60 shoppers with an order of their own: 9 items each."""
    lines = []
    for user in range(120):
        start = int(rng.integers(0, 15))
        own = [(start + step) % 15 + 15 * (user % 2) for step in range(7)]
        lines.append(f"{user} " + " ".join(f"i{item}" for item in own))
    (tmp_path / "sequences.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_every_source_and_every_sum_has_its_figures(tribes):
    result = run(FamilyOptions(tribes, users=60))
    for name in (
        "popular",
        "popular_7_days",
        "transition",
        "slim",
        "graph",
        "matrix",
        "base",
        "with_slim",
        "with_graph",
        "with_all",
    ):
        assert 0 <= result.figures[f"{name}.ndcg@10"] <= 1
        low, high = result.intervals[f"{name}.ndcg@10"]
        assert low <= result.figures[f"{name}.ndcg@10"] <= high
    assert result.figures["transition.ndcg@10"] > 2 * result.figures["popular.ndcg@10"], "the order is the answer"
    gap = result.figures["with_slim.ndcg@10"] - result.figures["base.ndcg@10"]
    assert result.figures["with_slim_vs_base.ndcg@10"] == pytest.approx(gap)
    assert set(result.facts["weights"]["base"]) == {"popular", "transition", "collaborative", "content"}
    assert set(result.facts["weights"]["with_slim"]) - set(result.facts["weights"]["base"]) == {"slim"}
    assert set(result.facts["cpu_seconds_to_learn"]) == set(result.facts["ms_a_request"])


def test_a_part_is_what_its_members_gather():
    """Three items only the stranger proposed leave with it; what a member scored stays, in order of the items."""
    scores = np.array([[1, np.nan], [np.nan, 2], [3, 4], [np.nan, np.nan]], np.float32)
    found = Candidates(np.array([3, 5, 8, 9], np.int32), scores, np.full(4, np.nan, np.float32), ("one", "other"))
    part = _part(found, ("one",))
    assert part.items.tolist() == [3, 8]
    assert part.scores[:, 0].tolist() == [1, 3]
    assert part.sources == ("one",)
    many = np.arange(300, dtype=np.float32).reshape(-1, 1)
    long = Candidates(np.arange(300, dtype=np.int32), many, np.full(300, np.nan, np.float32), ("one",))
    assert _part(long, ("one",)).items.tolist() == list(range(100, 300)), "the 200 best"
    assert len(_part(found.take(np.zeros(0, np.int64)), ("one",))) == 0


def test_the_last_week_counts_and_nothing_before():
    """Two shoppers, one item every four days: of days 0, 4, 8 and 12 the last week before day 12.1 holds two."""
    table = ItemTable.of(Item(id=str(row)) for row in range(5))
    log = sequence_log([np.array([0, 1, 2, 3]), np.array([0, 0, 2, 2])], step=4 * 86_400.0)
    counts = last_days(World(table, log, 12.1 * 86_400))(Context())
    assert np.array_equal(counts, [np.nan, np.nan, 3, 1, np.nan], equal_nan=True)


def test_what_cannot_be_run_is_said(tmp_path, tribes):
    with pytest.raises(BadFeed):
        run(FamilyOptions(tmp_path / "nowhere"))
    with pytest.raises(BadRequest):
        run(FamilyOptions(tribes, users=0))
