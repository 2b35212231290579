"""Is a deadline honoured through every stage: late sources are not asked, slow ones cut off, all of them named?"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from bodega.engine import deadline
from bodega.engine.deadline import CALLERS, Clock, Lines, Patient, TooLate, is_timed, now, timed
from bodega.protocols import EncoderInfo
from bodega.schema import Request


def test_a_clock_says_what_is_left_and_where_time_went():
    clock = Clock(10_000)
    assert 9 < clock.left() <= 10
    assert clock.late("transition") == ""
    time.sleep(0.01)
    clock.lap("retrieve")
    clock.lap("rank")
    assert clock.stages["retrieve"] >= 0.01 > clock.stages["rank"] >= 0
    late = Clock(40, began=time.perf_counter() - 1)
    assert late.late("transition") == "not asked, 40 ms were over"
    assert list(late.left_out) == ["transition"]
    assert late.late("popular") == "", "what a page is made of when there is nothing else is always asked"


def test_without_a_clock_nothing_is_bounded():
    assert not is_timed()
    assert now().left() == float("inf")
    with timed(Clock(50)) as clock:
        assert now() is clock
        assert is_timed()
    assert not is_timed()


def test_a_call_over_a_network_is_abandoned_named_and_not_tried_twice():
    released, calls = threading.Event(), []

    def slow() -> str:
        calls.append(1)
        released.wait(30)
        return "late"

    clock = Clock(patience=30)
    started = time.perf_counter()
    with pytest.raises(TooLate, match="cut off after 30 ms"):
        clock.remotely("encoder", slow)
    assert time.perf_counter() - started < 10
    with pytest.raises(TooLate):
        clock.remotely("encoder", slow)
    released.set()
    assert len(calls) == 1
    assert list(clock.left_out) == ["encoder"]
    assert Clock(patience=30_000).remotely("encoder", lambda: "in time") == "in time"


def test_errors_of_a_call_are_the_callers():
    def broken() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Clock(patience=30_000).remotely("encoder", broken)


def test_a_black_hole_takes_no_more_threads_than_there_are():
    lines, released = Lines(), threading.Event()
    for _ in range(CALLERS + 5):
        assert lines.ask(lambda: released.wait(30), 0.001) is None
    assert lines._busy == CALLERS
    released.set()
    until = time.monotonic() + 20
    while lines._busy and time.monotonic() < until:
        time.sleep(0.01)
    assert lines.ask(lambda: 7, 10.0).result() == 7


class Slow:
    """An encoder behind a network that has gone quiet."""

    info = EncoderInfo("endpoint:slow", 2, "")

    def __init__(self, wait: float) -> None:
        self.wait = wait

    def encode(self, texts, *, query=False):
        time.sleep(self.wait)
        return np.ones((len(texts), 2), np.float32)


def test_a_patient_encoder_waits_as_long_as_the_page_may():
    patient = Patient(Slow(0.3))
    with timed(Clock(patience=20)), pytest.raises(TooLate):
        patient.encode(["a"], query=True)
    assert patient.encode(["a", "b"]).shape == (2, 2), "a catalog has all the time in the world"
    with timed(Clock(patience=20_000)):
        assert patient.encode(["a"], query=True).shape == (1, 2)


def page(shop, request, clock):
    with timed(clock):
        return shop.answer(request)


def test_a_page_that_is_late_names_what_it_left_out_and_is_not_empty(small_shop, small_world):
    request = Request(place="home", user=small_world.truth.shoppers[0], k=5)
    whole = page(small_shop, request, Clock())
    clock = Clock(5, began=time.perf_counter() - 1)
    late = page(small_shop, request, clock)
    assert not any("were over" in note for note in whole.degraded)
    assert len(late) == 5
    assert any(note == "transition: not asked, 5 ms were over" for note in late.degraded), late.degraded
    assert "transition" in clock.left_out
    search = Request(place="search", query=small_world.truth.kinds[0], k=5)
    assert page(small_shop, search, Clock(5, began=time.perf_counter() - 1)).hits


def test_stages_are_told_and_add_up(small_shop, small_world):
    clock = Clock()
    started = time.perf_counter()
    page(small_shop, Request(place="search", query=small_world.truth.kinds[0], k=5), clock)
    elapsed = time.perf_counter() - started
    assert {"context", "understand", "retrieve", "rank", "arrange", "explain", "facets"} <= set(clock.stages)
    assert 0.3 * elapsed < sum(clock.stages.values()) <= elapsed


def test_a_clock_that_does_not_look_at_the_time_is_caught(small_shop, small_world, monkeypatch):
    """The broken twin: sources are asked however late it is."""
    monkeypatch.setattr(deadline.Clock, "late", lambda self, name: "")
    request = Request(place="home", user=small_world.truth.shoppers[0], k=5)
    late = page(small_shop, request, Clock(5, began=time.perf_counter() - 1))
    assert not any("were over" in note for note in late.degraded)
