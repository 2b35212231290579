"""A leak check is worth what it catches: every leak here is planted, and must be found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bodega.errors import LeakFound
from bodega.evaluation import average_ranks, check_ids, check_no_leak, check_ties, leave_last_out
from bodega.evaluation.splits import sequence_log


@pytest.fixture
def sequences() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.permutation(60)[:8].astype(np.int32) for _ in range(50)]


def test_an_honest_split_passes(sequences: list[np.ndarray]) -> None:
    log, cases = leave_last_out(sequences)
    check_no_leak(log, cases)


def test_planted_answers_in_training_are_found(sequences: list[np.ndarray]) -> None:
    _, cases = leave_last_out(sequences)
    with pytest.raises(LeakFound, match="its own answer"):
        check_no_leak(sequence_log(sequences), cases)


def test_one_planted_answer_among_many_is_found(sequences: list[np.ndarray]) -> None:
    _, cases = leave_last_out(sequences)
    train = sequence_log([*[own[:-1] for own in sequences[:-1]], sequences[-1]])
    with pytest.raises(LeakFound, match="case 49"):
        check_no_leak(train, cases)


def test_validation_questions_over_test_training_are_found(sequences: list[np.ndarray]) -> None:
    train, _ = leave_last_out(sequences)
    _, cases = leave_last_out(sequences, back=1)
    with pytest.raises(LeakFound):
        check_no_leak(train, cases)


def test_the_future_of_others_is_found_under_a_cut_by_time(sequences: list[np.ndarray]) -> None:
    log, cases = leave_last_out(sequences)
    check_no_leak(log, cases, start=float(log.time[-1]) + 1)
    with pytest.raises(LeakFound, match="reaches into the window"):
        check_no_leak(log, cases, start=float(log.time[-1]))


def test_a_question_that_knows_its_future_is_found(sequences: list[np.ndarray]) -> None:
    log, cases = leave_last_out(sequences)
    context = dataclasses.replace(cases[3].context, now=float(cases[3].context.times[-1]))
    cases[3] = dataclasses.replace(cases[3], context=context)
    with pytest.raises(LeakFound, match="case 3 knows its own future"):
        check_no_leak(log, cases)


def test_a_mask_that_spares_only_the_answer_is_found(sequences: list[np.ndarray]) -> None:
    _, cases = leave_last_out(sequences)
    case = cases[0]
    told = dataclasses.replace(case, relevant=case.context.history[:1], masked=np.sort(case.context.history[1:]))
    with pytest.raises(LeakFound, match="tells the answer"):
        check_no_leak(sequence_log([own[:-1] for own in sequences]), [told])


def test_ids_in_order_of_first_appearance_are_found() -> None:
    n = 2_000
    check_ids(np.random.default_rng(2).permutation(n))
    with pytest.raises(LeakFound, match="first appearance"):
        check_ids(np.arange(n))
    with pytest.raises(LeakFound, match="first appearance"):
        check_ids(np.arange(n)[::-1].copy())
    rng = np.random.default_rng(3)
    half = np.arange(n)
    half[::2] = rng.permutation(half[::2])
    with pytest.raises(LeakFound):
        check_ids(half)


def by_stable_sort(scores: np.ndarray, relevant: np.ndarray, masked: np.ndarray) -> np.ndarray:
    order = np.argsort(-np.nan_to_num(scores), kind="stable")
    return np.array([np.flatnonzero(order == item)[0] + 1.0 for item in relevant])


def kind(scores: np.ndarray, relevant: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """The usual mistake: count what is strictly better, so that ties are all first."""
    return np.array([np.count_nonzero(scores > scores[item]) + 1.0 for item in relevant])


def test_a_judge_that_is_kind_to_ties_is_found() -> None:
    check_ties(average_ranks)
    for judge in (by_stable_sort, kind):
        with pytest.raises(LeakFound, match="average rank"):
            check_ties(judge)
