"""Rates, queues and keys: bounded, fair, and forgetful in the right places."""

import asyncio
import time

import pytest

from bodega.errors import Overloaded, StoreError
from bodega.protocols import KeyInfo
from bodega.service import limits
from bodega.service.keys import FRESH, REMEMBERED, STALE, WAIT, Keyring
from bodega.service.limits import CALLERS, Buckets, Waiting
from bodega.testing.fakes import MemoryKeys


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_grants_its_burst_then_its_rate():
    clock = Clock()
    buckets = Buckets(rate=10.0, burst=3, clock=clock)
    assert [buckets.take("a") == 0 for _ in range(5)] == [True, True, True, False, False]
    assert buckets.take("a") == pytest.approx(0.1)
    clock.now += 0.1
    assert buckets.take("a") == 0
    assert buckets.take("a") > 0
    assert buckets.take("b") == 0, "one caller's greed is not another's"
    clock.now += 3600
    assert [buckets.take("a") == 0 for _ in range(4)] == [True, True, True, False], "it never holds more than the burst"


def test_buckets_live_in_bounded_memory():
    buckets = Buckets(rate=1.0, burst=1)
    for number in range(CALLERS + 500):
        buckets.take(str(number))
    assert len(buckets) == CALLERS


def test_the_queue_serves_in_order_and_refuses_who_finds_it_full():
    async def scene() -> tuple[list[int], list[int], int]:
        waiting, served, refused, together = Waiting(3), [], [], 0
        inside = 0

        async def ask(number: int) -> None:
            nonlocal inside, together
            try:
                async with waiting.turn():
                    inside += 1
                    together = max(together, inside)
                    served.append(number)
                    await asyncio.sleep(0.001)
                    inside -= 1
            except Overloaded:
                refused.append(number)

        await asyncio.gather(*(ask(number) for number in range(8)))
        assert waiting.count == 0
        return served, refused, together

    served, refused, together = asyncio.run(scene())
    assert served == [0, 1, 2]
    assert refused == [3, 4, 5, 6, 7]
    assert together == 1, "the engine computes one list at a time"


def test_an_error_inside_frees_the_place():
    async def scene() -> int:
        waiting = Waiting(1)
        for _ in range(3):
            with pytest.raises(ValueError, match="boom"):
                async with waiting.turn():
                    raise ValueError("boom")
        return waiting.count

    assert asyncio.run(scene()) == 0


def test_who_waited_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(limits, "PATIENCE", 0.01)

    async def scene() -> list[str]:
        waiting, told = Waiting(5), []

        async def slow() -> None:
            async with waiting.turn():
                await asyncio.sleep(0.05)
                told.append("slow done")

        async def late() -> None:
            try:
                async with waiting.turn():
                    told.append("late done")
            except Overloaded as error:
                told.append(error.got)

        await asyncio.gather(slow(), late())
        return told

    assert asyncio.run(scene()) == ["slow done", "waited longer than 0.01 s"]


def test_a_key_is_looked_up_once_and_a_revoked_one_refused_within_seconds():
    clock, store, looks = Clock(), MemoryKeys(), []

    def find(key: str) -> KeyInfo | None:
        looks.append(key)
        return store.find(key)

    ring = Keyring(find, clock)
    key = store.create("t", ["search"])
    for _ in range(100):
        info = ring.holder(key)
        assert info is not None
        assert info.scopes == ("search",)
    assert len(looks) == 1
    assert store.revoke(info.id)
    clock.now += FRESH + 0.01
    after = ring.holder(key)
    assert after is None or after.revoked
    assert FRESH <= 5


def test_the_keyring_keeps_no_key_and_is_bounded():
    ring = Keyring(lambda key: None)
    for number in range(REMEMBERED + 10):
        ring.holder(f"bodega_search_{number:040d}")
    assert len(ring._seen) == REMEMBERED
    assert not any(b"bodega" in digest for digest in ring._seen)


@pytest.mark.parametrize("garbage", ["", "x", "Bearer", "bodega_" + "a" * 300, "bodega_é", "bodega_\n"])
def test_garbage_never_reaches_the_store(garbage):
    def find(key: str) -> KeyInfo | None:
        raise AssertionError("asked the store")

    assert Keyring(find).holder(garbage) is None


def test_a_failing_store_does_not_lock_out_good_keys_but_admits_nobody_new():
    clock, store = Clock(), MemoryKeys()
    good, other = store.create("t", ["search"]), store.create("u", ["search"])
    broken = False

    def find(key: str) -> KeyInfo | None:
        if broken:
            raise StoreError("disk full")
        return store.find(key)

    ring = Keyring(find, clock)
    assert ring.holder(good)
    broken = True
    clock.now += FRESH + 1
    assert ring.holder(good)
    with pytest.raises(StoreError):
        ring.holder(other)
    clock.now += STALE
    with pytest.raises(StoreError):
        ring.holder(good)


def test_a_store_that_takes_its_time_is_waited_for_by_whoever_has_not_been_here_for_minutes():
    clock, store, pause = Clock(), MemoryKeys(), 0.0
    good, gone = store.create("t", ["search"]), store.create("u", ["search"])

    def find(key: str) -> KeyInfo | None:
        time.sleep(pause)
        return store.find(key)

    ring = Keyring(find, clock)
    first = ring.holder(gone)
    assert ring.holder(good)
    assert first
    assert store.revoke(first.id)
    pause = 3 * WAIT
    clock.now += FRESH + 1
    assert ring.holder(good), "believed, not waited for"
    clock.now += STALE
    assert ring.holder(good), "too old to be believed: the store says it"
    after = ring.holder(gone)
    assert after is None or after.revoked
