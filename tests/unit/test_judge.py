"""The judge on scorers whose figures are known: an oracle, a fool, a coin, and a short candidate list."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.evaluation import Case, evaluate, per_case
from bodega.schema import Candidates, Context

N = 50


def cases(n: int = 40) -> list[Case]:
    rng = np.random.default_rng(1)
    out = []
    for _ in range(n):
        items = rng.permutation(N).astype(np.int32)
        out.append(
            Case(Context(history=items[:5]), np.sort(items[5 : 5 + int(rng.integers(1, 4))]), np.sort(items[:5]))
        )
    return out


def test_an_oracle_is_perfect_and_a_fool_is_last() -> None:
    questions = cases()
    answers = {case.context.history.tobytes(): case.relevant for case in questions}

    def oracle(context: Context) -> np.ndarray:
        scores = np.zeros(N, np.float32)
        scores[answers[context.history.tobytes()]] = 1 + np.arange(len(answers[context.history.tobytes()]))
        return scores

    outcome = evaluate({"oracle": oracle, "fool": lambda c: -oracle(c)}, questions, N)
    best, worst = (per_case(outcome[name].masked, ["ndcg@10", "mrr", "auc"]) for name in ("oracle", "fool"))
    assert all(values == pytest.approx(1) for values in best.values())
    assert worst["auc"] == pytest.approx(0)


def test_nothing_known_is_the_middle_of_what_competes() -> None:
    outcome = evaluate({"constant": lambda c: np.zeros(N, np.float32)}, cases(), N)["constant"]
    assert set(outcome.masked.rank) == {(N - 5 + 1) / 2}
    assert set(outcome.unmasked.rank) == {(N + 1) / 2}
    assert per_case(outcome.masked, ["auc"])["auc"] == pytest.approx(0.5)


def test_a_candidate_list_equals_its_dense_twin() -> None:

    def listed(context: Context) -> Candidates:
        items = np.random.default_rng(int(context.history[0])).permutation(N)[:12].astype(np.int32)
        score = (items % 5).astype(np.float32)
        score[0] = np.nan
        return Candidates.of("x", items, score)

    def dense(context: Context) -> np.ndarray:
        found = listed(context)
        scores = np.full(N, np.nan, np.float32)
        scores[found.items] = found.score
        return scores

    questions = cases()
    outcome = evaluate({"listed": listed, "dense": dense}, questions, N, depth=5)
    assert outcome["listed"].masked.rank.tolist() == outcome["dense"].masked.rank.tolist()
    assert outcome["listed"].unmasked.rank.tolist() == outcome["dense"].unmasked.rank.tolist()
    assert outcome["listed"].lists.tolist() == outcome["dense"].lists.tolist()


def test_lists_hold_the_best_first_and_nothing_masked() -> None:
    questions = cases()
    outcome = evaluate({"by index": lambda c: np.arange(N, dtype=np.float32)}, questions, N, depth=3)["by index"]
    for row, case in enumerate(questions):
        expected = [item for item in range(N - 1, -1, -1) if item not in case.masked][:3]
        assert outcome.lists[row].tolist() == expected


def test_a_scorer_may_return_the_same_array_again() -> None:
    """The judge writes into its own buffer, never into the scorer's array."""
    scores = np.arange(N, dtype=np.float32)
    evaluate({"shared": lambda c: scores}, cases(), N)
    assert scores.tolist() == list(range(N))
