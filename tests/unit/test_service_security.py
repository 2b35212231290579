"""Who may do what: every route with every kind of key, and every way around a key."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import mkdtemp

import httpx
import msgspec
import pytest
from litestar import get
from litestar.response.base import ASGIResponse

from bodega.engine.access import make_token
from bodega.engine.configuring import Configuring
from bodega.engine.mending import letter_id
from bodega.schema import DeadLetter, Item, Review, read_rule
from bodega.schema.experiments import Experiment
from bodega.service import keys as keys_module
from bodega.service.app import create_app
from bodega.service.openapi import OPERATIONS, Operation
from bodega.service.telemetry import log_to
from bodega.settings import Console, Serve, Settings
from bodega.testing.canned import CannedShop

BODIES = {
    "search_json": {"query": "shoe"},
    "recommend_json": {"place": "home"},
    "events": [{"type": "view", "item": "1", "user": "u"}],
    "items_upsert": [{"id": "9", "title": "x"}],
    "items_delete": {"ids": ["9"]},
    "algolia_queries": {"requests": [{"indexName": "products", "query": "shoe"}]},
    "algolia_query": {"query": "shoe"},
    "algolia_facet_values": {"facetQuery": "a"},
    "algolia_events": {"events": [{"eventType": "click", "eventName": "x", "userToken": "u", "objectIDs": ["1"]}]},
}
PIN = {"then": [{"do": "pin", "item": "1", "position": 1}]}
BODIES |= {"why_not": {"item": "shoe1", "request": {"place": "search", "query": "shoe"}}}
BODIES |= {"identify": {"user": "u", "session": "s"}, "identify_apart": {"user": "u", "session": "s"}}
BODIES |= {"consent_say": {"user": "u", "purposes": {"learning": False}}}
BODIES |= {"reviews": [{"item": "1", "user": "u", "stars": 5, "text": "Good."}]}
BODIES |= {"reviews_helpful": {"id": "r1", "session": "s"}}
BODIES |= {"reviews_decide": {"ids": ["r1"], "verdict": "hide"}}
BODIES |= {"knowledge_decide": {"accepted": True, "attribute": "colour"}}
BODIES |= {"rule_create": PIN, "rule_put": PIN, "rules_preview": {"rule": PIN, "queries": ["shoe"]}}
BODIES |= {"inspect": {"request": {"query": "shoe"}}, "fixes": {"query": "shoe"}, "fixes_preview": {"rule": PIN}}
BODIES |= {"doctor_run": {"sample": 0}, "fairness_run": {"days": 7}}
BODIES |= {"model_switch": {"snapshot": "canned", "seen": "canned"}}
BODIES |= {"judgments_say": {"judgments": [{"query": "shoe", "item": "1", "grade": 3}]}, "loop_reject": {"why": "no"}}
BODIES |= {"judgments_delete": {"query": "shoe", "item": "1"}}
TRY: dict[str, object] = {"id": "t", "arms": [{"name": "a"}, {"name": "b", "settings": {"dials.rules": False}}]}
BODIES |= {"experiment_put": TRY, "experiment_start": {}, "experiment_stop": {"why": "x"}, "experiment_finish": {}}
BODIES |= {"settings_check": {}, "settings_put": {}, "letters_mend": {}, "letters_retry": {}}
BODIES |= {"letters_drop": {"kind": "review"}, "key_create": {"label": "till", "scopes": ["search"]}}
ITEMS = [Item(id=str(number), title=f"Shoe {number}") for number in range(5)]
HOLDERS = ("nobody", "garbage", "revoked", "search", "events", "search+events", "admin")


@get("/forgotten")
async def forgotten() -> ASGIResponse:
    return ASGIResponse(body=b"{}")


@get("/page", opt={"public": True}, media_type="text/html")
async def page() -> ASGIResponse:
    return ASGIResponse(body=b"<p>hello", media_type="text/html")


class Door:
    """An application and one key of every kind."""

    def __init__(self, serve: Serve | None = None, address: str = "203.0.113.9") -> None:
        settings = Settings(serve=serve or Serve(), console=Console(insecure=True))  # this client is not on the machine
        self.shop = CannedShop(ITEMS, settings, Path(mkdtemp()))
        store = self.shop.keys
        self.keys = {"nobody": "", "garbage": "bodega_" + "x" * 43}
        for name in ("search", "events", "search+events", "admin", "revoked"):
            self.keys[name] = store.create(name, ["search", "events"] if name == "revoked" else name.split("+"))
        store.revoke(next(info.id for info in store.list() if info.label == "revoked"))
        self.erasure = self.shop.erasures.forget("somebody").id
        self.shop.stores.reviews.upsert([Review(id="r1", item="1", user="writer", stars=1, text="Never again.")])
        self.runner = asyncio.Runner()
        app = create_app(self.shop, handlers=[forgotten, page])
        transport = httpx.ASGITransport(app=app, client=(address, 5), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7700")

    def __call__(self, method: str, url: str, **how) -> httpx.Response:
        return self.runner.run(self.http.request(method, url, **how))

    def ask(self, each: Operation, holder: str, header: str = "Authorization") -> httpx.Response:
        self.http.cookies.clear()  # who signed in to the console a moment ago is somebody else
        key = self.keys[holder]
        headers = {} if not key else {header: f"Bearer {key}" if header == "Authorization" else key}
        rule = self.rule(each)
        body = {"change": self.shop.rules.changes()} if each.name == "rules_undo" else BODIES.get(each.name)
        how = {} if body is None else {"json": body}
        body = self.desk_body(each, body)
        how = {} if body is None else {"json": body}
        if each.name == "photo":
            how, headers = {"content": b"a photo"}, headers | {"Content-Type": "image/jpeg"}
        index = "*" if each.name == "algolia_queries" else "products"
        trial = self.experiment(each) if each.name.startswith("experiment") else ""
        if each.name == "experiment_put":
            how = {"json": {**TRY, "id": trial}}
        named = {"experiment_id": trial, "user_id": "nobody", "erasure_id": self.erasure, "file": "a.png"}
        if each.name == "key_revoke":
            self.shop.keys.create("gone soon", ["search"])
            named["key_id"] = self.shop.keys.list()[-1].id
        path = each.path.format(item_id="1", object="1", facet="brand", index=index, rule_id=rule, **named)
        if each.path == "/v1/me":
            headers |= {"X-Shopper-Token": make_token(self.shop.privacy.secrets, "nobody")}
        path += "?field=brand" if each.name == "facet_values" else ""
        return self(each.method.upper(), path, headers=headers, **how)

    def experiment(self, each: Operation) -> str:
        """The id of an experiment of its own, in the state that the operation needs."""
        held = self.shop.stores.experiments
        for running in held.list():
            if running.state == "running":
                held.move(running.id, "stopped", who="test")
        name = f"t{len(held.list())}"
        drafted = msgspec.convert({**TRY, "id": name, "layer": name}, Experiment)
        if each.name != "experiment_put":
            self.shop.experiments.put(drafted, who="test")
        if each.name in ("experiment_stop", "experiment_finish"):
            held.move(name, "running", who="test")
        return name

    def desk_body(self, each: Operation, body: object) -> object:
        """What must fit to what is there at this moment: the version of the settings, a letter to be mended."""
        if each.name in ("settings_check", "settings_put"):
            version = Configuring(self.shop.folder).held().version
            return {"changes": {"name": f"Shop {version}"}, "version": version}
        if each.name == "letters_mend":
            letter = DeadLetter(kind="event", reason="unknown_type", message="?", raw="{}")
            self.shop.stores.dead.put([letter])
            held = self.shop.stores.dead.list(kind="event", reason="unknown_type")[0]
            return {"id": letter_id(held), "row": {"type": "view", "item": "1", "user": "u", "time": time.time()}}
        return body

    def rule(self, each: Operation) -> str:
        """The id of a rule that is there, changed a moment ago; for a PUT, of one that is not."""
        for held in self.shop.rules.list():
            self.shop.rules.delete(held.id, who="test")
        made = self.shop.rules.put(read_rule(msgspec.json.encode(PIN)), who="test")[0]
        return f"new-{made.id}" if each.name == "rule_put" else made.id

    def close(self) -> None:
        self.runner.run(self.http.aclose())
        self.runner.close()


@pytest.fixture
def door() -> Iterator[Door]:
    with closing(Door()) as made:
        yield made


@pytest.fixture(scope="module")
def matrix_door() -> Iterator[Door]:
    """One door for the whole matrix (making an application takes 80 ms)."""
    with closing(Door(Serve(burst=10_000))) as made:
        yield made


@pytest.fixture(scope="module")
def loopback_door() -> Iterator[Door]:
    """One door of a shop that asks this machine for no key."""
    with closing(Door(Serve(keyless_loopback=True, burst=10_000), address="127.0.0.1")) as made:
        yield made


def expected(scope: str, holder: str) -> int:
    """What the matrix must say, written down independently of the guard."""
    if not scope:
        return 200
    if holder in ("nobody", "garbage", "revoked"):
        return 401
    return 200 if holder == "admin" or scope in holder.split("+") else 403


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("each", OPERATIONS, ids=lambda each: each.name)
def test_every_route_with_every_kind_of_key(matrix_door, each, holder, header):
    shop = matrix_door.shop
    shop.catalog.upsert(ITEMS)
    shop.asked.clear()
    before = (shop.stores.events.count(), shop.stores.catalog.count())
    answer = matrix_door.ask(each, holder, header)
    trail = [line.who for line in shop.rules.history(limit=1)]
    assert answer.status_code == expected(each.scope, holder), answer.text
    if answer.status_code in (401, 403):
        assert (shop.stores.events.count(), shop.stores.catalog.count()) == before
        assert shop.asked == []
        assert trail == ["test"], "no rule was touched"
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "bodega keys create" in answer.text
    if answer.status_code == 403:
        assert f"'{each.scope}'" in answer.text


def test_a_route_that_says_nothing_is_closed(door):
    for holder, status in (("nobody", 401), ("search+events", 403), ("admin", 200)):
        headers = {"X-API-Key": door.keys[holder]} if door.keys[holder] else {}
        assert door("GET", "/forgotten", headers=headers).status_code == status


def test_two_different_keys_are_no_key(door):
    both = {"Authorization": f"Bearer {door.keys['search']}", "X-API-Key": door.keys["admin"]}
    assert door("GET", "/metrics", headers=both).status_code == 401
    same = {"Authorization": f"Bearer {door.keys['admin']}", "X-API-Key": door.keys["admin"]}
    assert door("GET", "/metrics", headers=same).status_code == 200


def test_a_key_in_the_address_is_refused(door):
    assert door("GET", f"/v1/search?q=a&key={door.keys['search']}").status_code == 401


def test_a_revoked_key_stops_working_within_seconds(door, monkeypatch):
    headers = {"X-API-Key": door.keys["search"]}
    assert door("GET", "/v1/search", headers=headers).status_code == 200
    door.shop.keys.revoke(next(info.id for info in door.shop.keys.list() if info.label == "search"))
    monkeypatch.setattr(keys_module, "FRESH", 0.0)
    assert door("GET", "/v1/search", headers=headers).status_code == 401


# -- keyless loopback -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("each", OPERATIONS, ids=lambda each: each.name)
def test_keyless_loopback_may_search_and_record_but_never_administer(each, loopback_door):
    allowed = each.scope in ("", "search", "events")
    assert loopback_door.ask(each, "nobody").status_code == (200 if allowed else 403)
    garbage = loopback_door.ask(each, "garbage").status_code
    assert garbage == (200 if not each.scope else 401), "a wrong key is no absent key"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"X-Real-IP": "203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Authorization": "Basic YWRtaW46"},
        {"Authorization": "Bearer"},
        {"X-API-Key": ""},
    ],
    ids=lambda headers: next(iter(headers.items())),
)
def test_keyless_is_for_this_machine_and_this_site_only(headers):
    with closing(Door(Serve(keyless_loopback=True), address="127.0.0.1")) as door:
        assert door("GET", "/v1/search").status_code == 200
        assert door("GET", "/v1/search", headers={"Origin": "http://127.0.0.1:7700"}).status_code == 200
        assert door("GET", "/v1/search", headers=headers).status_code == 401


def test_without_the_setting_loopback_needs_a_key_too():
    with closing(Door(address="127.0.0.1")) as door:
        assert door("GET", "/v1/search").status_code == 401
    with closing(Door(Serve(keyless_loopback=True), address="203.0.113.9")) as door:
        assert door("GET", "/v1/search").status_code == 401


# -- whom is it addressed to, and from where --------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil", "", "[::2]", "0.0.0.0"])
def test_a_rebound_name_does_not_reach_a_loopback_shop(door, host):
    answer = door("GET", "/livez", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json()["type"] == "urn:bodega:MisdirectedRequest"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7700", "127.0.0.1:1", "[::1]:7700"])
def test_loopbacks_own_names_do(door, host):
    assert door("GET", "/livez", headers={"Host": host}).status_code == 200


def test_a_named_host_is_answered():
    with closing(Door(Serve(hosts="shop.example, www.shop.example"))) as door:
        assert door("GET", "/livez", headers={"Host": "www.shop.example"}).status_code == 200
        assert door("GET", "/livez", headers={"Host": "shop.example.evil"}).status_code == 421
    with closing(Door(Serve(host="0.0.0.0"))) as door:
        assert door("GET", "/livez", headers={"Host": "anything"}).status_code == 200


def test_the_address_given_at_the_start_wins_over_the_settings():
    shop = CannedShop()
    for host, status in (("", 421), ("127.0.0.1", 421), ("0.0.0.0", 200)):
        transport = httpx.ASGITransport(app=create_app(shop, host=host))

        async def ask(transport: httpx.ASGITransport = transport) -> int:
            async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as http:
                return (await http.get("/livez")).status_code

        assert asyncio.run(ask()) == status


def preflight(door: Door, origin: str) -> httpx.Response:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    return door("OPTIONS", "/v1/search", headers=asked)


def test_other_sites_are_not_let_in_by_default(door):
    for answer in (
        preflight(door, "https://evil.example"),
        door("GET", "/livez", headers={"Origin": "https://evil.example"}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_named_origin_is_let_in_and_no_other():
    with closing(Door(Serve(origins="https://shop.example"))) as door:
        good = preflight(door, "https://shop.example")
        assert good.headers["access-control-allow-origin"] == "https://shop.example"
        assert "access-control-allow-credentials" not in good.headers
        assert "access-control-allow-origin" not in preflight(door, "https://evil.example").headers


def test_security_headers_stand_on_every_answer(door):
    for url in ("/livez", "/nothing", "/v1/search", "/page", "/openapi.json"):
        headers = door("GET", url).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src" in headers["content-security-policy"]
        assert headers["x-request-id"]
        assert "server" not in headers
    assert "'none'" in door("GET", "/livez").headers["content-security-policy"].split(";")[0]
    assert "'self'" in door("GET", "/page").headers["content-security-policy"].split(";")[0]


# -- rates ------------------------------------------------------------------------------------------------------------


def test_a_key_is_limited_and_told_when_to_come_back():
    with closing(Door(Serve(requests_per_second=1.0, burst=3))) as door:
        headers = {"X-API-Key": door.keys["search"]}
        door("GET", "/v1/search", headers=headers)  # known from here on: the first look-up is paid by the address
        statuses = [door("GET", "/v1/search", headers=headers).status_code for _ in range(4)]
        assert statuses == [200, 200, 429, 429]
        answer = door("GET", "/v1/search", headers=headers)
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["content-type"] == "application/problem+json"
        assert door("GET", "/v1/search", headers={"X-API-Key": door.keys["search+events"]}).status_code == 200


def test_one_shopper_who_asks_too_often_starves_nobody_behind_the_same_key():
    with closing(Door(Serve(shopper_per_second=1.0, shopper_burst=3))) as door:

        def asked(path: str, **who: str) -> int:
            answer = door("GET", path, headers={"X-API-Key": door.keys["search"]}, params=who)
            if answer.status_code == 429:
                assert answer.json()["where"] in ("user", "session")
                assert int(answer.headers["retry-after"]) >= 1
            return answer.status_code

        bot = [asked("/v1/search", q="shoe", user="bot") for _ in range(5)]
        assert bot == [200, 200, 200, 429, 429]
        assert asked("/v1/recommend", user="bot") == 429, "whatever the list"
        assert asked("/v1/suggest", q="s", user="bot") == 429
        assert asked("/v1/search", q="shoe", user="honest") == 200
        assert asked("/v1/search", q="shoe", session="bot") == 200, "a visit of the same name is somebody else"
        assert {asked("/v1/search", q="shoe") for _ in range(9)} == {200}, "nobody in particular has no such limit"
    with closing(Door(Serve(shopper_per_second=0))) as door:
        headers = {"X-API-Key": door.keys["search"]}
        assert {door("GET", "/v1/search?user=bot", headers=headers).status_code for _ in range(300)} == {200}


def test_guessing_keys_is_limited_by_address():
    with closing(Door(Serve(requests_per_second=1.0, burst=5))) as door:
        guesses = [door("GET", "/v1/search", headers={"X-API-Key": f"bodega_{n:043d}"}).status_code for n in range(8)]
        assert guesses == [401] * 5 + [429] * 3
        assert door("GET", "/livez").status_code == 200


def test_loopback_without_a_key_is_not_limited():
    with closing(Door(Serve(keyless_loopback=True, requests_per_second=1.0, burst=1), "127.0.0.1")) as door:
        assert {door("GET", "/v1/search").status_code for _ in range(10)} == {200}


# -- secrets ----------------------------------------------------------------------------------------------------------


@contextmanager
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = log_to(stream, logging.DEBUG)
    try:
        yield stream
    finally:
        for name in ("bodega", "uvicorn", "litestar"):
            logger = logging.getLogger(name)
            logger.removeHandler(handler)
            logger.propagate = True
            logger.setLevel(logging.NOTSET)


def test_no_key_reaches_the_log_or_an_answer_wherever_it_is_put(door):
    answers = []
    with logged() as stream:
        for name in ("admin", "search", "garbage", "revoked"):
            key = door.keys[name]
            for how in (
                {"url": "/v1/search", "headers": {"Authorization": f"Bearer {key}"}},
                {"url": "/v1/search", "headers": {"Authorization": f"Basic {key}"}},
                {"url": "/v1/search", "headers": {"X-API-Key": key, "X-Request-Id": key[:60]}},
                {"url": "/v1/search", "headers": {"X-API-Key": key, "User-Agent": key, "Referer": f"http://x/{key}"}},
                {"url": f"/v1/search?q={key}&key={key}"},
                {"url": f"/{key}"},
                {"url": f"/v1/items/{key}"},
                {"url": "/v1/search", "headers": {"Cookie": f"k={key}"}},
            ):
                answers.append(door("GET", how.pop("url"), **how))
            answers.append(door("POST", "/v1/events", json={key: key}, headers={"X-API-Key": key}))
        door.shop.fails = RuntimeError(f"could not use {door.keys['admin']}")
        answers.append(door("GET", "/v1/search", headers={"X-API-Key": door.keys["search"]}))
    text = stream.getvalue()
    assert text.count("\n") >= len(answers)
    for name, key in door.keys.items():
        if key:
            assert key not in text, name
            assert key[10:] not in text, name
    assert all(door.keys["admin"] not in answer.text for answer in answers if answer.status_code >= 500)


def test_the_log_says_route_status_and_time_but_no_address(door):
    with logged() as stream:
        door("GET", "/v1/items/secret-item?user=alice", headers={"X-API-Key": door.keys["search"]})
    assert '"route":"GET /v1/items/{item_id}"' in stream.getvalue()
    assert '"status":' in stream.getvalue()
    assert "alice" not in stream.getvalue()
    assert "secret-item" not in stream.getvalue()
