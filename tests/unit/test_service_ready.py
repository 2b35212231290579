"""Alive, ready, degraded: the truth, quickly, whatever hangs. A twin that always says yes is caught."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from bodega.errors import StoreError
from bodega.schema import Item
from bodega.service import ready
from bodega.service.app import create_app
from bodega.service.ready import Readiness
from bodega.testing.canned import CannedShop

HOST = "http://127.0.0.1:7700"


class Dependent(CannedShop):
    """A shop with a cache and a broker beside its store."""

    def __init__(self) -> None:
        super().__init__([Item(id="1", title="Trail shoe")])
        self.others = {"redis": "ok", "stream:orders": "ok"}
        self.learned = True
        self.store: Callable[[], None] = lambda: None

    def dependencies(self) -> dict[str, str]:
        return self.others

    def vitals(self) -> dict[str, dict[str, float]]:
        return {"lag": {"orders": 12.0}, "size": {"shoppers": 3.0}, "drift": {"queries": 0.2}}

    def standing(self) -> dict[str, object]:
        return {"ready": self.learned, "snapshot": "s1" if self.learned else ""}

    def ping(self) -> None:
        self.store()


@contextmanager
def served(shop: CannedShop) -> Iterator[TestClient]:
    with TestClient(create_app(shop), base_url=HOST) as client:
        yield client


def fails() -> None:
    raise StoreError("gone")


def check_truthful() -> None:
    """What `/readyz` owes an operator and a balancer."""
    shop = Dependent()
    with served(shop) as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["state"]) == (200, "ok")
    shop.learned = False
    with served(shop) as client:
        unready = client.get("/readyz")
        assert unready.status_code == 503
        assert unready.json()["ready"] is False
        assert unready.json()["next"] == "bodega learn"
    shop.learned, shop.store = True, fails
    with served(shop) as client:
        assert client.get("/readyz").json()["state"] == "degraded"


def test_readyz_tells_the_truth() -> None:
    check_truthful()


def test_the_guard_catches_a_readyz_that_always_says_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def yes(self: Readiness) -> tuple[int, bytes]:
        return 200, b'{"ready":true,"state":"ok"}'

    monkeypatch.setattr(Readiness, "look", yes)
    with pytest.raises(AssertionError):
        check_truthful()


@pytest.mark.parametrize("name", ["redis", "stream:orders"])
def test_a_dead_helper_degrades_and_is_named(name: str) -> None:
    shop = Dependent()
    shop.others[name] = "does not answer"
    with served(shop) as client:
        answer = client.get("/readyz")
        scraped = metrics(client, shop)
    assert answer.status_code == 200
    facts = answer.json()
    assert (facts["ready"], facts["state"]) == (True, "degraded")
    assert facts["dependencies"][name] == "does not answer"
    assert {key for key, state in facts["dependencies"].items() if state == "ok"} == {
        "store", "snapshot", "redis", "stream:orders"
    } - {name}  # fmt: skip
    assert scraped[("bodega_ready", ())] == 0.5
    assert scraped[("bodega_dependency_up", (name,))] == 0
    assert scraped[("bodega_dependency_up", ("store",))] == 1


def test_a_store_that_fails_leaves_the_pages_and_says_so() -> None:
    shop = Dependent()
    shop.store = fails
    with served(shop) as client:
        assert client.get("/livez").status_code == 200
        answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["store"] == answer.json()["dependencies"]["store"] == "does not answer"


def test_a_store_that_hangs_is_asked_once_and_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "PATIENCE", 0.2)
    monkeypatch.setattr(ready, "BELIEVED", 0.0)
    shop, released, asked = Dependent(), threading.Event(), []

    def hangs() -> None:
        asked.append(1)
        released.wait(60)

    shop.store = hangs
    with served(shop) as client:
        for _ in range(5):
            begun = time.monotonic()
            assert client.get("/readyz").json()["state"] == "degraded"
            assert time.monotonic() - begun < 10
        assert len(asked) == 1
        released.set()
        assert until(lambda: client.get("/readyz").json()["state"] == "ok")


def test_livez_touches_nothing_and_an_answer_of_readyz_is_believed_for_a_second() -> None:
    shop, asked = Dependent(), []
    shop.store = lambda: asked.append(1)
    with served(shop) as client:
        for _ in range(20):
            assert client.get("/livez").status_code == 200
        assert not asked
        begun = time.monotonic()
        for _ in range(20):
            client.get("/readyz")
        assert len(asked) <= 1 + (time.monotonic() - begun) / ready.BELIEVED


def test_what_is_asked_for_stands_in_the_metrics() -> None:
    shop = Dependent()
    with served(shop) as client:
        key = shop.keys.create("test", ["search", "admin"])
        assert client.get("/v1/search?q=shoe", headers={"X-API-Key": key}).status_code == 200
        scraped = metrics(client, shop)
    assert scraped[("bodega_stream_lag", ("orders",))] == 12
    assert scraped[("bodega_state_size", ("shoppers",))] == 3
    assert scraped[("bodega_drift", ("queries",))] == 0.2
    assert scraped[("bodega_held", ("items",))] == 1
    assert scraped[("bodega_coverage", ())] == pytest.approx(1.0, abs=0.01)


def test_a_scrape_does_not_fail_with_what_it_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Dependent()

    def broken() -> dict[str, object]:
        raise StoreError("gone")

    monkeypatch.setattr(shop, "health", broken)
    with served(shop) as client:
        assert ("bodega_waiting", ()) in metrics(client, shop)


def metrics(client: TestClient, shop: CannedShop) -> dict[tuple[str, tuple[str, ...]], float]:
    """{(name, label values): value} of one scrape."""
    key = shop.keys.create("scraper", ["admin"])
    client.get("/readyz")
    answer = client.get("/metrics", headers={"X-API-Key": key})
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {
        (each.name, tuple(each.labels.values())): each.value for family in families for each in family.samples
    }  # fmt: skip


def until(holds: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Does it hold within the time?"""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False
