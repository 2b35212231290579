"""A learned shop over HTTP, from `bodega serve` to the changed list: engine, stores and service together."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

import bodega
from bodega.bench import serve as bench
from bodega.schema import Item
from bodega.service.server import free_port
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world

ODD = "套装/7 😀"


@dataclass
class Street:
    """A running shop and what its world knows."""

    folder: Path
    world: GeneratedWorld
    port: int
    keys: dict[str, str]
    process: subprocess.Popen[bytes]
    log: Path

    def __call__(self, method: str, path: str, body: object = None, *, scope: str = "search", **query: object):
        """(status, decoded body)."""
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.keys[scope]}", "Content-Type": "application/json"}
        address = path + ("?" + urlencode(query, doseq=True) if query else "")
        wire.request(method, address, body=None if body is None else json.dumps(body), headers=headers)
        answer = wire.getresponse()
        data = answer.read()
        wire.close()
        return answer.status, json.loads(data) if "json" in answer.headers["content-type"] else data


@pytest.fixture(scope="module")
def street(tmp_path_factory, quick) -> Iterator[Street]:
    folder = quick(tmp_path_factory.mktemp("street") / "shop")
    world = make_world(WorldSpec(n_items=80, n_shoppers=40, days=40))
    with bodega.open(folder) as shop:
        shop.catalog.upsert(world.items)
        shop.events.record(world.events)
        assert shop.learn().published
        keys = {scope: shop.keys.create(scope, [scope]) for scope in ("search", "events", "admin")}
    log = folder / "serve.log"
    port = free_port()
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "bodega", "serve", "--shop", str(folder), "--port", str(port)]
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    made = Street(folder, world, port, keys, process, log)
    try:
        _wait_until_ready(made)
        yield made
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0, log.read_text()
        assert "Traceback" not in log.read_text()
        for key in keys.values():
            assert key not in log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait_until_ready(street: Street) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert street.process.poll() is None, street.log.read_text()
        with contextlib.suppress(OSError):
            if street("GET", "/readyz")[0] == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"not ready: {street.log.read_text()}")


def ids(page: dict) -> list[str]:
    return [hit["id"] for hit in page["hits"]]


def test_every_list_answers_says_why_and_names_its_fallbacks(street):
    user, item = street.world.truth.shoppers[0], street.world.items[0]
    asked = [
        ("/v1/search", {"q": street.world.truth.kinds[0], "user": user}),
        *(("/v1/recommend", {"place": place, "user": user}) for place in ("home", "popular", "trending", "repeat")),
        ("/v1/recommend", {"place": "basket", "item": [item.id, street.world.items[1].id]}),
        (f"/v1/items/{quote(item.id, safe='')}/similar", {}),
        (f"/v1/items/{quote(item.id, safe='')}/together", {"user": user}),
    ]
    for path, query in asked:
        status, page = street("GET", path, **query)
        assert status == 200, page
        assert page["hits"], (path, query)
        assert isinstance(page["degraded"], list)
        assert page["snapshot"]
        assert all(hit["why"] and hit["why"][0]["text"] for hit in page["hits"]), path
        assert all(hit["document"]["id"] == hit["id"] for hit in page["hits"])


def test_get_post_and_python_give_the_same_list(street):
    user, kind = street.world.truth.shoppers[1], street.world.truth.kinds[0]
    _, by_get = street("GET", "/v1/search", q=kind, user=user, k=10)
    _, by_post = street("POST", "/v1/search", {"query": kind, "user": user, "k": 10})
    with bodega.open(street.folder) as shop:
        assert ids(by_get) == ids(by_post) == shop.search(kind, user=user, k=10).ids


def test_an_event_changes_the_very_next_list(street):
    session = "a-new-guest"
    _, before = street("GET", "/v1/recommend", place="home", session=session, k=10)
    assert any("cold" in note for note in before["degraded"])
    seed = max(street.world.items, key=lambda item: sum(event.item == item.id for event in street.world.events)).id
    event = {"id": "click-1", "type": "view", "item": seed, "session": session}
    status, taken = street("POST", "/v1/events", {"events": [event]}, scope="events")
    assert (status, taken["accepted"]) == (200, 1)
    _, after = street("GET", "/v1/recommend", place="home", session=session, k=10)
    assert ids(after) != ids(before)
    assert not any("cold" in note for note in after["degraded"])
    assert any(seed in reason.get("because", []) for hit in after["hits"] for reason in hit["why"])
    _, impersonal = street("GET", "/v1/recommend", place="home", session=session, k=10, personal="false")
    _, stranger = street("GET", "/v1/recommend", place="home", session="another-new-guest", k=10)
    assert ids(impersonal) == ids(stranger), "what everybody did counts for everybody; what this guest did does not"


def test_a_rollback_is_served_within_two_seconds_and_warm(street):
    """From the moment the pointer changes, in whichever process, to the first answer; and back."""
    with bodega.open(street.folder) as shop:
        new = next(each.id for each in shop.snapshots() if each.current)
        shop.catalog.upsert([Item(id="later", title="Came later")])
        assert shop.learn().published
        both = (new, next(each.id for each in shop.snapshots() if each.id != new))
        took = [_seconds_until_served(street, name, lambda name=name: shop.rollback(name)) for name in both]
        assert min(took) <= 2.0, took
        shop.catalog.delete(["later"])
        shop.rollback(new)


def _seconds_until_served(street: Street, name: str, change: Callable[[], object]) -> float:
    """How long after a change of the pointer the server answers from that snapshot."""
    until = time.monotonic() + 30
    while street("GET", "/v1/recommend", place="popular", k=1)[1]["snapshot"] == name and time.monotonic() < until:
        time.sleep(0.05)  # what was published last is still being taken over
    done = threading.Event()

    def changed() -> None:
        change()
        done.set()

    worker = threading.Thread(target=changed)
    begun = time.monotonic()
    worker.start()
    while street("GET", "/v1/recommend", place="popular", k=1)[1]["snapshot"] != name:
        assert time.monotonic() < until, "not served at all"
        time.sleep(0.01)
    took = time.monotonic() - begun
    assert done.wait(30)
    worker.join()
    return took


def test_events_are_idempotent_and_kept(street):
    event = {
        "id": "once",
        "type": "cart",
        "item": street.world.items[3].id,
        "user": "u9",
        "time": "2026-01-02T03:04:05Z",
    }
    batch = [event, {"id": "bad", "type": "cart", "user": "u9"}, {**event, "id": "twice", "item": "not-yet-known"}]
    status, taken = street("POST", "/v1/events", batch, scope="events")
    assert (status, taken["accepted"], [dead["index"] for dead in taken["dead"]]) == (200, 2, [1])
    assert street("POST", "/v1/events", [event], scope="events")[1]["duplicates"] == 1
    status, refused = street("POST", "/v1/events", [{**event, "item": "other"}], scope="events")
    assert (status, refused["conflicts"]) == (422, ["once"])
    with bodega.open(street.folder) as shop:
        recent = {each.id: each for each in shop.stores.events.recent(user="u9", session="", limit=10)}
        assert set(recent) == {"once", "twice"}
        assert recent["once"].item == street.world.items[3].id
        assert any(letter.source == "http" for letter in shop.events.dead(kind="event"))


def test_an_item_is_sold_the_moment_it_arrives_and_gone_the_moment_it_goes(street):
    new = {"id": ODD, "title": "Zyxwv hammock", "brand": "Hängematte", "price": 12.5, "currency": "EUR"}
    assert street("POST", "/v1/items", {"items": [new]}, scope="admin")[1]["added"] == 1
    path = f"/v1/items/{quote(ODD, safe='')}"
    assert street("GET", path)[1]["title"] == "Zyxwv hammock"
    assert ids(street("GET", "/v1/search", q="zyxwv hammock")[1]) == [ODD]
    status, page = street("GET", f"{path}/similar")
    assert status == 200
    assert page["degraded"], "nothing is known about it yet, and the page says so"
    assert street("DELETE", path, scope="admin")[0] == 200
    gone = street("GET", "/v1/search", q="zyxwv hammock")[1]
    assert ODD not in ids(gone)
    assert not ids(gone) or gone["relaxed"] == ["words: by meaning only"], "what is shown instead says why"
    assert street("GET", path)[0] == 404


def test_filters_facets_and_sorting_reach_the_engine(street):
    brand = street.world.items[0].brand
    status, page = street("GET", "/v1/search", filter=f"brand:{brand}", facets="brand,price", sort="price_up", k=50)
    assert status == 200, page
    assert page["hits"]
    assert {hit["document"]["brand"] for hit in page["hits"]} == {brand}
    assert {facet["field"] for facet in page["facets"]} == {"brand", "price"}
    prices = [hit["document"]["price"] for hit in page["hits"] if hit["document"].get("availability") is None]
    assert prices == sorted(prices)
    status, problem = street("GET", "/v1/search", filter="no_such_field:x")
    assert status == 400
    assert problem["detail"]


def test_unknown_shoppers_items_and_places(street):
    assert street("GET", "/v1/recommend", user="nobody-ever", session="neither")[1]["hits"]
    assert street("GET", "/v1/items/never-seen/similar")[0] == 200
    status, problem = street("GET", "/v1/recommend", place="attic")
    assert status == 400
    assert "home" in problem["allowed"]


def test_keys_scopes_and_revocation_on_the_real_store(street):
    assert street("POST", "/v1/items", {"items": []}, scope="search")[0] == 403
    assert street("GET", "/metrics", scope="events")[0] == 403
    with bodega.open(street.folder) as shop:
        street.keys["passing"] = shop.keys.create("passing", ["search"])
        assert street("GET", "/v1/suggest", q="a", scope="passing")[0] == 200
        shop.keys.revoke(next(info.id for info in shop.keys.list() if info.label == "passing"))
    until = time.monotonic() + 5
    while street("GET", "/v1/suggest", q="a", scope="passing")[0] != 401:
        assert time.monotonic() < until, "a revoked key still works after 5 s"
        time.sleep(0.2)


def test_metrics_stay_few_after_many_different_requests(street):
    for number in range(300):
        street("GET", f"/v1/items/x{number}/similar", user=f"u{number}", k=1)
        street("GET", f"/unknown/{number}")
    status, text = street("GET", "/metrics", scope="admin")
    assert status == 200
    series = [line for line in text.decode().splitlines() if line and not line.startswith("#")]
    assert len(series) <= 2_000
    assert 'bodega_answer_seconds_count{place="similar"}' in text.decode()
    assert "x17" not in text.decode()


def test_the_storefront_stands_on_the_same_address(street):
    wire = http.client.HTTPConnection("127.0.0.1", street.port, timeout=10)
    wire.request("GET", "/")
    answer = wire.getresponse()
    page = answer.read().decode()
    wire.close()
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    for scope in ("search", "events", "admin"):
        assert street.keys[scope] not in page


def test_a_second_server_on_the_port_is_told_which_one_is_free(street):
    command = [sys.executable, "-m", "bodega", "serve", "--shop", str(street.folder), "--port", str(street.port)]
    second = subprocess.run(command, capture_output=True, timeout=60)
    assert second.returncode != 0
    said = second.stdout.decode() + second.stderr.decode()
    assert "bodega serve --port" in said
    assert "Traceback" not in said
    assert street("GET", "/livez")[0] == 200


@pytest.mark.slow
def test_the_benchmark_measures_a_copy_and_names_its_figures(street):
    with bodega.open(street.folder) as shop:
        before = shop.events.count()
    result = bench.run(bench.ServeOptions(street.folder, seconds=3.0, concurrency=2))
    figures = result.figures
    for kind in ("search", "recommend", "similar", "livez"):
        assert 0 < figures[f"{kind}.p50_ms"] <= figures[f"{kind}.p99_ms"]
        assert result.intervals[f"{kind}.p50_ms"][0] <= figures[f"{kind}.p50_ms"]
    assert figures["search.engine_p50_ms"] < figures["search.p50_ms"]
    assert figures["failed"] == 0
    assert figures["event_to_list.first_time"] > 0.8
    assert figures["events.per_second"] > 100
    assert 0 < figures["http_overhead_ms"] < 50
    assert figures["requests_per_core_second"] > 10
    with bodega.open(street.folder) as shop:
        assert shop.events.count() == before, "the real shop was not written to"


def test_a_snapshot_that_another_process_publishes_is_taken_over(street):
    before = street("GET", "/readyz")[1]["snapshot"]
    with bodega.open(street.folder) as shop:
        shop.catalog.upsert([Item(id="brand-new", title="Brand new thing")])
        report = shop.learn()
        assert report.published
        published = next(info.id for info in shop.snapshots() if info.current)
    assert published != before
    until = time.monotonic() + 20
    while street("GET", "/v1/recommend", place="popular")[1]["snapshot"] != published:
        assert time.monotonic() < until, f"still on {before}"
        time.sleep(0.3)
