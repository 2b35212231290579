"""The rank benchmark on a folder small enough for a unit test: it prints what it promises, whoever wins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bodega.bench import rank
from bodega.bench._ranking import groups_of
from bodega.errors import BadRequest
from bodega.protocols import Progress
from bodega.ranking.learned import Chosen, Lessons, LogisticLearner, Ranker, RankerOptions, fit_ranker

N_ITEMS = 60


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shoppers walk round a ring of items; every third step goes anywhere."""
    folder = tmp_path_factory.mktemp("chain")
    rng = np.random.default_rng(1)
    lines = []
    for user in range(500):
        walk = [int(rng.integers(N_ITEMS))]
        while len(walk) < 7:
            step = 1 if rng.random() < 0.7 else int(rng.integers(N_ITEMS))
            item = (walk[-1] + step) % N_ITEMS
            if item not in walk:
                walk.append(item)
        lines.append(" ".join([f"u{user}", *(f"i{item}" for item in walk)]))
    (folder / "sequences.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_everything_is_judged_on_validation_and_the_test_once(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Served or not is the rule's choice; here a ranker is put in, so that the test is judged whoever wins."""

    def served(lessons: Lessons, options: RankerOptions, progress: Progress) -> Chosen:
        found = fit_ranker(lessons, options, progress)
        assert {"sum.ndcg@10", "logistic.ndcg@10", "trees.ndcg@10", "trees.stage", "gain.low"} <= set(found.figures)
        return replace(found, ranker=Ranker(lessons.recipe, LogisticLearner().fit(lessons)[0]))

    monkeypatch.setattr(rank, "fit_ranker", served)
    found = rank.run(rank.RankOptions(chain, sources=("popular", "transition")))
    for name in ("test.sum.ndcg@10", "test.ranked.ndcg@10", "test.ranked_vs_sum.ndcg@10", "test.ece", "fit.cpu_s"):
        assert name in found.figures
    low, high = found.intervals["test.ranked_vs_sum.ndcg@10"]
    assert low <= found.figures["test.ranked_vs_sum.ndcg@10"] <= high
    assert found.figures["test.sum.ndcg@10"] > 0.5
    lost = found.slices["NDCG@10 lost without"]
    assert set(lost) == {"cases", *groups_of(("popular", "transition"))}
    assert any(note.startswith("home:") for note in found.notes)


def test_an_unknown_source_is_refused(chain: Path) -> None:
    with pytest.raises(BadRequest, match="oracle"):
        rank.run(rank.RankOptions(chain, sources=("oracle",)))
