"""A store on another machine is waited for once a page, not at all after three failures; SQLite is simply read."""

from __future__ import annotations

import time

import msgspec
import pytest

from bodega.engine.deadline import Clock, TooLate, timed
from bodega.engine.health import counting
from bodega.engine.patience import Patience, is_remote, patiently
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
    assert patiently(hanging, Settings()) is hanging


def test_one_page_waits_once_for_a_store_that_hangs() -> None:
    kinds = [Patience(name, remote=True) for name in ("identity", "history")]
    began = time.perf_counter()
    with timed(Clock(patience=400)), counting() as lost:
        for patience in (*kinds, *kinds):
            with pytest.raises((StoreUnavailable, TooLate)):
                patience(lambda: hanging())
    assert time.perf_counter() - began < 0.75 * 4 * 0.4, "four reads, one wait of 400 ms"
    assert set(lost.named) == {"identity", "history"}


def test_after_three_failures_nobody_asks() -> None:
    patience, asked = Patience("history", remote=True), []

    def failing() -> int:
        asked.append(1)
        raise OSError

    for _ in range(6):
        with timed(Clock(patience=1_000)), pytest.raises(StoreUnavailable):
            patience(failing)
    assert len(asked) == 3


def test_a_local_store_is_read_where_it_is() -> None:
    patience = Patience("history", remote=False)
    with timed(Clock(patience=1)):
        assert patience(lambda: hanging()) == 1
