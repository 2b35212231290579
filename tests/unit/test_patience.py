"""A store on another machine is waited for once a page, not at all after two failures; SQLite is simply read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
import pytest

from bodega.engine.deadline import Clock, timed
from bodega.engine.health import counting
from bodega.engine.patience import REST, Line, Patience, is_remote, line_of, patiently
from bodega.errors import StoreUnavailable
from bodega.settings import Settings, Store


def hanging(*_: object) -> int:
    time.sleep(0.5)
    return 1


def test_only_a_store_behind_a_socket_is_remote() -> None:
    def at(url: str) -> Settings:
        return msgspec.structs.replace(Settings(), store=Store(url=url))

    assert not is_remote(Settings())
    assert not is_remote(at("sqlite:////tmp/x.db"))
    assert is_remote(at("postgresql://somewhere/shop"))
    assert line_of(Settings()) is None
    assert line_of(at("postgresql://somewhere/shop")) is not None
    assert patiently(hanging, None) is hanging


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def refused(patience: Patience, read: Callable[[], int], milliseconds: float = 1_000) -> None:
    with timed(Clock(patience=milliseconds)), counting() as lost, pytest.raises(StoreUnavailable):
        patience(read)
    assert lost.named


def wait_until(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not what() and time.monotonic() < deadline:
        time.sleep(0.005)
    return what()


def test_one_page_waits_once_for_a_store_that_hangs() -> None:
    line = Line(400)
    kinds = [Patience(name, line) for name in ("identity", "history")]
    began = time.perf_counter()
    with timed(Clock(patience=400)), counting() as lost:
        for patience in (*kinds, *kinds):
            with pytest.raises(StoreUnavailable):
                patience(lambda: hanging())
    assert time.perf_counter() - began < 0.75 * 4 * 0.4, "four reads, one wait of 400 ms"
    assert set(lost.named) == {"identity", "history"}


def test_after_two_failures_nobody_waits_and_the_first_answer_behind_a_page_opens_it_again() -> None:
    clock, asked = Time(), []
    line = Line(1_000, clock=clock)
    identity, history = Patience("identity", line), Patience("history", line)

    def failing() -> int:
        asked.append(1)
        raise OSError

    with timed(Clock(patience=1_000)), pytest.raises(OSError):
        identity(failing)
    with timed(Clock(patience=1_000)), pytest.raises(OSError):
        history(failing)
    assert line.closed
    for _ in range(5):
        refused(history, failing)
    assert len(asked) == 2
    clock.now += REST
    for _ in range(5):
        refused(history, failing)
    assert wait_until(lambda: len(asked) == 3), "asked once, behind the pages"
    clock.now += REST
    refused(history, failing)
    assert len(asked) == 3, "it rests twice as long now"
    clock.now += REST
    refused(identity, lambda: 7)
    assert wait_until(lambda: not line.closed)
    with timed(Clock(patience=1_000)):
        assert history(lambda: 7) == 7


def test_who_has_less_time_than_a_page_does_not_judge() -> None:
    line = Line(2_000)
    patience = Patience("history", line)
    for _ in range(4):
        refused(patience, lambda: hanging(), milliseconds=1)
    assert not line.closed
    with timed(Clock(patience=2_000)):
        assert patience(lambda: hanging()) == 1


def test_looks_behind_a_page_do_not_pile_up() -> None:
    line, begun, go = Line(100), [], threading.Event()

    def look() -> None:
        begun.append(1)
        go.wait(20)

    for _ in range(5):
        line.behind("rules", look)
    go.set()
    assert wait_until(lambda: not line._behind)
    assert len(begun) == 1
    line.behind("rules", look)
    assert wait_until(lambda: len(begun) == 2)


def test_a_local_store_is_read_where_it_is() -> None:
    patience = Patience("history", None)
    with timed(Clock(patience=1)):
        assert patience(lambda: hanging()) == 1
