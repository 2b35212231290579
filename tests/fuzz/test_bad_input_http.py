"""What senders do wrong, over HTTP: each gets an answer that says so, nothing good is lost, and no secret is logged."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from bodega.engine.shop import Shop
from bodega.errors import StoreError
from bodega.events.clock import Clock
from bodega.schema import Item
from bodega.service import gate, intake
from bodega.service.app import create_app
from bodega.service.telemetry import log_to
from bodega.testing.canned import CannedShop

HOST = "http://127.0.0.1:7700"
CANARIES = 54


def event(name: str, **more: object) -> dict[str, object]:
    return {"id": name, "type": "view", "item": "p0001", "user": "bad-input", "time": moment(), **more}


def moment(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


def send(client: TestClient, *rows: dict[str, object]) -> tuple[int, dict[str, Any]]:
    answer = client.post("/v1/events", json={"events": rows})
    return answer.status_code, answer.json()


def test_an_event_ten_years_old_is_kept_as_history(client: TestClient, fuzzed_shop: Shop) -> None:
    before = fuzzed_shop.events.count()
    status, told = send(client, event("old", time=moment(days=-3_650)))
    assert (status, told["accepted"]) == (200, 1)
    assert fuzzed_shop.events.count() == before + 1
    page = client.get("/v1/recommend?place=trending&k=5")
    assert page.status_code == 200


def test_an_event_ten_minutes_ahead_is_put_aside_with_its_reason(client: TestClient, fuzzed_shop: Shop) -> None:
    before = fuzzed_shop.events.count()
    status, told = send(client, event("ahead", time=moment(minutes=10)), event("right"))
    assert (status, told["accepted"]) == (200, 1)
    ((dead),) = told["dead"]
    assert (dead["index"], dead["reason"]) == (0, "future_time")
    assert "clock" in dead["message"]
    alone, told = send(client, event("ahead-alone", time=moment(minutes=10)))
    assert (alone, told["accepted"]) == (422, 0)
    assert fuzzed_shop.events.count() == before + 1
    letters = fuzzed_shop.events.dead(reason="future_time")
    assert len(letters) >= 2


@pytest.mark.parametrize("field", ["query", "item", "user", "id", "channel"])
def test_an_event_of_two_megabytes_is_refused_or_cut(client: TestClient, fuzzed_shop: Shop, field: str) -> None:
    before = fuzzed_shop.events.count()
    row = event(f"big-{field}") | {field: "x" * 2_100_000}
    status, told = send(client, row)
    assert status in (413, 422), told
    assert fuzzed_shop.events.count() == before
    assert len(msgspec.json.encode(told)) < 50_000, "an answer does not repeat what was too large"
    assert send(client, event(f"after-{field}"))[0] == 200


def test_one_id_with_two_bodies_is_a_conflict_in_one_batch_and_in_two(client: TestClient, fuzzed_shop: Shop) -> None:
    before = fuzzed_shop.events.count()
    now = moment()
    status, told = send(
        client, event("twin", time=now), event("twin", time=now, item="p0002"), event("beside", time=now)
    )
    assert status == 422
    assert told["conflicts"] == ["twin"]
    assert told["accepted"] == 2
    status, told = send(client, event("beside", time=now, item="p0003"), event("beside", time=now), event("third"))
    assert (status, told["conflicts"], told["accepted"], told["duplicates"]) == (422, ["beside"], 1, 1)
    assert fuzzed_shop.events.count() == before + 3


def test_ten_thousand_events_of_one_user_in_a_second_hurt_nobody(client: TestClient, fuzzed_shop: Shop) -> None:
    """All are kept (who can tell them from a till's?), answers stay quick, and learning takes the user for a bot."""
    before = fuzzed_shop.events.count()
    calm = client.get("/v1/recommend?place=home&user=calm&k=10").json()["hits"]
    begin = datetime.now(UTC) - timedelta(hours=1)
    for batch in range(10):
        rows = [
            event(
                f"burst-{batch}-{n}",
                user="burst",
                item=f"p{n % 50:04d}",
                time=(begin + timedelta(microseconds=100 * (batch * 1_000 + n))).isoformat(),
            )
            for n in range(1_000)
        ]
        status, told = send(client, *rows)
        assert (status, told["accepted"]) == (200, 1_000)
    assert fuzzed_shop.events.count() == before + 10_000
    begun = time.thread_time()
    page = client.get("/v1/recommend?place=home&user=burst&k=10")
    assert page.status_code == 200
    assert page.json()["hits"]
    assert time.thread_time() - begun < 2.0
    assert [hit["id"] for hit in client.get("/v1/recommend?place=home&user=calm&k=10").json()["hits"]] == [
        hit["id"] for hit in calm
    ]


def test_a_clock_that_jumps_back_loses_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = [1_780_000_000.0]
    monkeypatch.setattr(intake, "Clock", lambda: Clock(wall=lambda: wall[0], passed=time.monotonic))
    shop = CannedShop([Item(id="p0001", title="Shoe")])
    with TestClient(create_app(shop), base_url=HOST) as client:
        client.headers["X-API-Key"] = shop.keys.create("t", ["events"])
        true = datetime.fromtimestamp(wall[0], UTC).isoformat()
        assert send(client, event("a", time=true))[1]["accepted"] == 1
        wall[0] -= 3_600
        assert send(client, event("b", time=true))[1]["accepted"] == 1, "the sender's clock is right, ours is not"
        stamped = {key: value for key, value in event("c").items() if key != "time"}
        assert send(client, stamped)[1]["accepted"] == 1
        assert send(client, stamped)[1]["duplicates"] == 1
        ahead = datetime.fromtimestamp(wall[0] + 3_600 + 600, UTC).isoformat()
        assert send(client, event("d", time=ahead))[1]["dead"][0]["reason"] == "future_time"


def test_the_guard_catches_a_clock_that_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Naive(Clock):
        def now(self) -> float:
            return self._wall()

    monkeypatch.setattr(Clock, "now", Naive.now)
    with pytest.raises(AssertionError):
        test_a_clock_that_jumps_back_loses_no_event(monkeypatch)


# -- secrets ------------------------------------------------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged."""
    stream = io.StringIO()
    handler = log_to(stream, logging.DEBUG)
    yield stream
    for name in ("bodega", "uvicorn", "litestar"):
        logger = logging.getLogger(name)
        logger.removeHandler(handler)
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


def plant(client: TestClient, shop: CannedShop, secrets: list[str]) -> None:
    """Put a secret into every place where somebody might put one, good requests and bad ones alike."""
    left = iter(secrets)
    asked = 0

    def call(method: str, url: str, **how: Any) -> None:
        nonlocal asked
        asked += 1
        client.request(method, url, **how)

    for _ in range(4):
        call("GET", f"/v1/search?q={next(left)}")
        call("GET", f"/v1/search?q=shoe&user={next(left)}&session={next(left)}")
        call("GET", f"/v1/items/{next(left)}")
        call("GET", f"/nothing/{next(left)}?token={next(left)}")
        call("POST", "/v1/events", json=[event("x", user=next(left), item=next(left), type=next(left))])
        call("POST", "/v1/events", content=next(left), headers={"Content-Type": "application/json"})
        call("GET", "/v1/search", headers={"X-API-Key": f"bodega_{next(left)}"})
    failures = [
        RuntimeError(f"connection to postgresql://shop:{next(left)}@db/shop failed"),
        StoreError("the store failed", got=f"password={next(left)}", where="redis://:hidden@cache"),
        ValueError(f"Authorization: Bearer {next(left)}"),
        KeyError(f"api_key: {next(left)}"),
        OSError(f"token={next(left)}"),
    ]
    for error in failures:
        shop.fails = error
        call("GET", "/v1/search?q=shoe")
    shop.fails = None
    call("GET", "/livez", headers={"Cookie": f"sid={next(left)}", "Referer": f"http://x/?{next(left)}"})
    call("GET", "/livez", headers={"X-Request-Id": f"{next(left)} !"})
    call("GET", "/livez", headers={"traceparent": next(left), "User-Agent": next(left)})
    assert asked >= 30
    assert next(left, "") == "", "a secret that was planted nowhere tests nothing"


def check_clean(log: io.StringIO) -> None:
    """None of the canaries is in the log. Raises AssertionError."""
    shop = CannedShop([Item(id="p0001", title="Trail shoe")])
    secrets = [f"CANARY{number:02d}zq{number * 7919 % 10_007:05d}XyZ" for number in range(CANARIES)]
    with TestClient(create_app(shop), base_url=HOST, raise_server_exceptions=False) as client:
        client.headers["X-API-Key"] = shop.keys.create("t", ["search", "events", "admin"])
        plant(client, shop, secrets)
        key = client.headers["X-API-Key"]
    told = log.getvalue()
    assert told.count("\n") >= 30, "nothing was logged: nothing was tested"
    assert not [secret for secret in [*secrets, key] if secret in told]


def test_no_secret_is_in_the_log(log: io.StringIO) -> None:
    check_clean(log)


def test_the_guard_catches_a_log_of_addresses(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "route_of", lambda scope: f"{scope['path']}?{scope['query_string'].decode()}")
    with pytest.raises(AssertionError):
        check_clean(log)


def test_the_guard_catches_a_log_that_strikes_nothing_out(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bodega.service.telemetry.struck", lambda text: text)
    with pytest.raises(AssertionError):
        check_clean(log)
