"""Splits on a log small enough to know every answer on paper."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.errors import BadRequest, LeakFound
from bodega.evaluation import Case, CaseOptions, Window, by_time, check_no_leak, leave_last_out, place_cases
from bodega.evaluation.splits import PLACES, sequence_log
from bodega.schema import EVENT_CODES, Context, Log

VIEW, CART, BUY = EVENT_CODES["view"], EVENT_CODES["cart"], EVENT_CODES["purchase"]


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def log_of(*rows: tuple[float, int, int, int, int], queries: dict[int, int] | None = None) -> Log:
    """Rows (time, type, user, session, item); `queries` gives row -> query."""
    n = len(rows)
    time, kind, user, session, item = (np.array(column) for column in zip(*rows, strict=True))
    query = np.full(n, -1, np.int32)
    for row, code in (queries or {}).items():
        query[row] = code
    return Log(
        time=time.astype(np.float64),
        type=kind.astype(np.int8),
        user=user.astype(np.int32),
        session=session.astype(np.int32),
        item=item.astype(np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=query,
        position=np.full(n, -1, np.int32),
        n_users=int(user.max()) + 1,
        n_sessions=int(session.max()) + 1,
        queries=("red shoe",),
    )


SHOP = log_of(
    (10, BUY, 0, 0, 1),
    (10, BUY, 0, 0, 2),
    (20, VIEW, 1, 1, 3),
    (100, VIEW, 0, 2, 4),
    (101, VIEW, 0, 2, 5),
    (102, BUY, 0, 2, 5),
    (102, BUY, 0, 2, 1),
    (110, BUY, 0, 3, 6),
    (120, VIEW, 2, 4, 7),
    (130, VIEW, 2, 4, 8),
    (140, VIEW, 2, 4, -1),
    queries={3: 0, 5: 0},
)
WINDOW = Window(100, 200)


def only(cases: list[Case], user: int) -> Case:
    (case,) = [case for case in cases if case.user == user]
    return case


def test_time_cuts_are_in_order_and_complete() -> None:
    split = by_time(SHOP, validation=10, test=10)
    assert split.valid.end == split.test.start
    assert split.train.time.max() < split.valid.start
    assert split.test.end > SHOP.time[-1]
    assert split.test.end - split.test.start == pytest.approx(10)


def test_a_short_log_gives_each_window_a_tenth() -> None:
    split = by_time(SHOP, validation=14 * 86400, test=14 * 86400)
    assert split.valid.end - split.valid.start == pytest.approx(13)
    assert split.test.end - split.test.start == pytest.approx(13)


def test_an_empty_log_cannot_be_split() -> None:
    with pytest.raises(BadRequest, match="no events"):
        by_time(SHOP.where(np.zeros(len(SHOP), np.bool_)), validation=1, test=1)


def test_home_knows_the_past_and_asks_for_the_first_visit() -> None:
    case = only(place_cases(SHOP, "home", WINDOW), 0)
    assert case.context.history.tolist() == [1, 2]
    assert case.context.now == 100
    assert case.relevant.tolist() == [1, 5]  # what was bought, not what was viewed; not the second visit's 6
    assert case.masked.tolist() == []
    fresh = only(place_cases(SHOP, "home", WINDOW, CaseOptions(mask_seen=True)), 0)
    assert fresh.relevant.tolist() == [5]
    assert fresh.masked.tolist() == [1, 2]


def test_a_guest_is_asked_about_the_second_half_of_the_visit() -> None:
    case = only(place_cases(SHOP, "home", WINDOW), 2)
    assert case.context.history.tolist() == [7]
    assert case.relevant.tolist() == [8]


def test_repeat_asks_only_for_what_was_bought_before() -> None:
    cases = place_cases(SHOP, "repeat", WINDOW)
    assert [(case.user, case.relevant.tolist()) for case in cases] == [(0, [1])]


def test_basket_and_together_split_one_basket() -> None:
    for place in ("basket", "together"):
        case = only(place_cases(SHOP, place, WINDOW), 0)
        assert sorted([*case.context.items.tolist(), *case.relevant.tolist()]) == [1, 5]
        assert case.masked.tolist() == case.context.items.tolist()
        assert case.context.history.tolist() == [1, 2]


def test_basket_hides_as_many_as_told() -> None:
    rows = [(100.0, BUY, 0, 0, item) for item in range(9)]
    (case,) = place_cases(log_of(*rows), "basket", WINDOW, CaseOptions(hide=1))
    assert len(case.relevant) == 1
    assert len(case.context.items) == 8


def test_similar_asks_for_the_next_other_item() -> None:
    log = log_of((100, VIEW, 0, 0, 1), (101, VIEW, 0, 0, 1), (102, VIEW, 0, 0, 2))
    (case,) = place_cases(log, "similar", WINDOW)
    assert (case.context.items.tolist(), case.relevant.tolist()) == ([1], [2])


def test_search_asks_what_the_words_led_to() -> None:
    (case,) = place_cases(SHOP, "search", WINDOW)
    assert case.context.query == "red shoe"
    assert case.relevant.tolist() == [5]
    assert case.context.history.tolist() == [1, 2]


def test_draws_are_seeded_and_limited() -> None:
    rows = [(100.0 + user, BUY, user, user, item) for user in range(60) for item in (user, user + 1)]
    log = log_of(*rows)
    for place in ("home", "together", "basket", "similar"):
        options = CaseOptions(limit=20, seed=3)
        one, two = place_cases(log, place, WINDOW, options), place_cases(log, place, WINDOW, options)
        assert [case.user for case in one] == [case.user for case in two]
        assert [case.relevant.tolist() for case in one] == [case.relevant.tolist() for case in two]
        other = place_cases(log, place, WINDOW, CaseOptions(limit=20, seed=4))
        assert [case.user for case in one] != [case.user for case in other]
        if place != "home":  # at home a guest's visit of one moment has no past
            assert len(one) == 20


@pytest.mark.parametrize("place", PLACES)
def test_no_case_of_any_place_leaks(place: str) -> None:
    rng = np.random.default_rng(5)
    n = 3_000
    time = np.sort(rng.integers(0, 500, n)).astype(float)
    user = rng.integers(0, 40, n)
    rows = [
        (
            time[i],
            int(rng.choice([VIEW, CART, BUY])),
            int(user[i]),
            int(user[i] * 10 + time[i] // 50),
            int(rng.integers(0, 90)),
        )
        for i in range(n)
    ]
    log = log_of(*rows, queries=dict.fromkeys(range(0, n, 3), 0))
    split = by_time(log, validation=50, test=50)
    for window in (split.valid, split.test):
        cases = place_cases(log, place, window)
        assert cases
        check_no_leak(log.before(window.start), cases, start=window.start)


def test_an_unknown_place_is_refused() -> None:
    with pytest.raises(BadRequest, match="home"):
        place_cases(SHOP, "lounge", WINDOW)


def test_leave_last_out() -> None:
    sequences = [ints(4, 2, 9, 7), ints(1, 3, 5)]
    log, cases = leave_last_out(sequences)
    assert [case.relevant.tolist() for case in cases] == [[7], [5]]
    assert [case.context.history.tolist() for case in cases] == [[4, 2, 9], [1, 3]]
    assert [case.masked.tolist() for case in cases] == [[2, 4, 9], [1, 3]]
    assert sorted(log.item.tolist()) == [1, 2, 3, 4, 9]
    check_no_leak(log, cases)
    before, valid = leave_last_out(sequences, back=1)
    assert [case.relevant.tolist() for case in valid] == [[9], [3]]
    assert sorted(before.item.tolist()) == [1, 2, 4]


def test_what_comes_again_is_no_case_under_a_mask() -> None:
    sequences = [ints(4, 2, 4), ints(1, 3, 5)]
    assert [case.user for case in leave_last_out(sequences)[1]] == [1]
    assert [case.masked.tolist() for case in leave_last_out(sequences, mask_seen=False)[1]] == [[], []]


def test_sequences_as_a_log_keep_the_order_of_each_user() -> None:
    log = sequence_log([ints(4, 2, 9), ints(1, 3)])
    assert np.all(np.diff(log.time) >= 0)
    assert log.item[log.user == 0].tolist() == [4, 2, 9]
    assert log.item[log.user == 1].tolist() == [1, 3]


def test_a_case_cannot_hold_its_answer() -> None:
    with pytest.raises(LeakFound, match="masked"):
        Case(Context(), ints(1), ints(1))
    with pytest.raises(LeakFound, match="anchors"):
        Case(Context(items=ints(1, 2)), ints(2))
    with pytest.raises(LeakFound, match="without a relevant"):
        Case(Context(), ints())
