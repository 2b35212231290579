"""What must hold for any ranking: bounds, monotony, and blindness to the order of the array and to the scale."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bodega.evaluation import Ranked, average_ranks, per_case

NAMES = ("ndcg@1", "ndcg@5", "recall@5", "hit@5", "precision@5", "mrr", "auc")


@st.composite
def questions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(scores with ties and NaN, relevant, masked)."""
    values = st.one_of(st.integers(-3, 3).map(float), st.just(float("nan")), st.floats(-1e6, 1e6, width=32))
    scores = np.array(draw(st.lists(values, min_size=1, max_size=40)), np.float32)
    role = draw(st.lists(st.sampled_from("rmo"), min_size=len(scores), max_size=len(scores)))
    role[draw(st.integers(0, len(scores) - 1))] = "r"
    marks = np.array(role)
    return scores, np.flatnonzero(marks == "r").astype(np.int32), np.flatnonzero(marks == "m").astype(np.int32)


def judged(scores: np.ndarray, relevant: np.ndarray, masked: np.ndarray) -> dict[str, float]:
    ranks = average_ranks(scores, relevant, masked)
    n = np.array([len(scores) - len(masked)], np.int32)
    values = per_case(Ranked(ranks, relevant, np.zeros(len(relevant), np.int32), n), NAMES)
    return {name: float(value[0]) for name, value in values.items()}


@given(questions())
def test_metrics_are_between_zero_and_one(question: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    scores, relevant, masked = question
    for name, value in judged(*question).items():
        all_relevant = len(relevant) + len(masked) == len(scores)
        assert (name == "auc" and all_relevant) or 0 <= value <= 1 + 1e-12, name


@given(questions(), st.randoms(use_true_random=False))
def test_the_order_of_the_array_does_not_matter(
    question: tuple[np.ndarray, np.ndarray, np.ndarray], random: object
) -> None:
    scores, relevant, masked = question
    order = np.arange(len(scores))
    random.shuffle(order)  # type: ignore[attr-defined]
    at = np.empty(len(scores), np.int32)
    at[order] = np.arange(len(scores))
    ranks = average_ranks(scores[order], at[relevant], at[masked])
    assert ranks.tolist() == average_ranks(scores, relevant, masked).tolist()


@given(questions())
def test_ranks_of_everything_sum_to_the_sum_of_places(question: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    scores, _, masked = question
    rest = np.setdiff1d(np.arange(len(scores)), masked).astype(np.int32)
    assert average_ranks(scores, rest, masked).sum() == len(rest) * (len(rest) + 1) / 2


@given(questions())
def test_a_better_score_never_hurts(question: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    scores, relevant, masked = question
    before = judged(scores, relevant[:1], masked)
    lifted = scores.copy()
    lifted[relevant[0]] = np.float32(2e6)
    after = judged(lifted, relevant[:1], masked)
    assert all(np.isnan(before[name]) or after[name] >= before[name] - 1e-12 for name in NAMES)
    assert after["mrr"] == 1


@given(questions())
def test_masking_never_lowers_a_relevant_item(question: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    scores, relevant, masked = question
    assert (average_ranks(scores, relevant, masked) <= average_ranks(scores, relevant)).all()
