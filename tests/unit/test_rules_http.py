"""Merchandising over HTTP: who may, what comes back, what two editors do to each other, and attacks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from bodega.schema import Item
from bodega.service.app import create_app
from bodega.testing.canned import CannedShop

RULE = {"id": "tv", "when": {"queries": [{"text": "tv"}]}, "then": [{"do": "pin", "item": "1", "position": 1}]}


class Caller:
    def __init__(self) -> None:
        self.shop = CannedShop([Item(id="1", title="TV")])
        self.keys = {scope: self.shop.keys.create(f"{scope} key", [scope]) for scope in ("search", "events", "admin")}
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=create_app(self.shop), client=("9.9.9.9", 5), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7700")

    def __call__(self, method: str, url: str, *, scope: str = "admin", **how) -> httpx.Response:
        headers = {"X-API-Key": self.keys[scope]} if scope else {}
        headers |= how.pop("headers", {})
        return self.runner.run(self.http.request(method, url, headers=headers, **how))

    def close(self) -> None:
        self.runner.run(self.http.aclose())
        self.runner.close()


@pytest.fixture
def caller() -> Iterator[Caller]:
    with closing(Caller()) as made:
        yield made


ADDRESSES = [
    ("GET", "/v1/rules"), ("POST", "/v1/rules"), ("GET", "/v1/rules/tv"), ("PUT", "/v1/rules/tv"),
    ("DELETE", "/v1/rules/tv"), ("GET", "/v1/rules/audit"), ("POST", "/v1/rules/undo"), ("POST", "/v1/rules/preview"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "url"), ADDRESSES)
def test_only_admin_keys_may(caller, method, url):
    caller("POST", "/v1/rules", json=RULE)
    how = {"json": RULE} if method in ("POST", "PUT") else {}
    for scope, status in (("", 401), ("search", 403), ("events", 403)):
        answer = caller(method, url, scope=scope, **how)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
    assert len(caller.shop.rules.list()) == 1
    assert len(caller.shop.rules.history()) == 1


def test_a_rule_from_making_to_taking_back(caller):
    made = caller("POST", "/v1/rules", json=RULE).json()
    assert (made["id"], made["version"], made["author"]) == ("tv", 1, "admin key")
    assert caller("GET", "/v1/rules/tv").json() == made
    changed = caller("PUT", "/v1/rules/tv", json={**made, "priority": 3}).json()
    assert (changed["version"], changed["priority"]) == (2, 3)
    assert caller("GET", "/v1/rules").json() == {"rules": [changed], "changes": 2}
    assert caller("DELETE", "/v1/rules/tv?version=2").json() == {"deleted": 1}
    assert caller("GET", "/v1/rules").json() == {"rules": [], "changes": 3}
    trail = caller("GET", "/v1/rules/audit").json()["changes"]
    assert [(line["id"], line["what"], line["who"]) for line in trail] == [
        (3, "delete", "admin key"), (2, "change", "admin key"), (1, "create", "admin key"),
    ]  # fmt: skip
    assert trail[1]["before"] == made
    assert caller("POST", "/v1/rules/undo", json={"change": 3}).json()["after"]["priority"] == 3
    assert [line["id"] for line in caller("GET", "/v1/rules/audit?rule=tv&limit=2&before=4").json()["changes"]] == [
        3,
        2,
    ]


def test_of_two_editors_the_second_is_told(caller):
    made = caller("POST", "/v1/rules", json=RULE).json()
    caller("PUT", "/v1/rules/tv", json={**made, "priority": 1})
    for method, url, how in (
        ("PUT", "/v1/rules/tv", {"json": {**made, "priority": 2}}),
        ("PUT", "/v1/rules/tv", {"json": RULE}),
        ("POST", "/v1/rules", {"json": RULE}),
        ("DELETE", "/v1/rules/tv?version=1", {}),
        ("POST", "/v1/rules/undo", {"json": {"change": 1}}),
    ):
        answer = caller(method, url, **how)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:bodega:Stale"), answer.text
    assert caller("GET", "/v1/rules/tv").json()["priority"] == 1


def test_a_new_rule_may_be_put_at_an_address_and_gets_an_id_without_one(caller):
    assert caller("PUT", "/v1/rules/new", json={"then": RULE["then"]}).json()["id"] == "new"
    assert len(caller("POST", "/v1/rules", json={"then": RULE["then"]}).json()["id"]) == 8
    assert caller("PUT", "/v1/rules/other", json=RULE).status_code == 400


def test_what_is_not_there_is_404(caller):
    for method, url, how in (
        ("GET", "/v1/rules/none", {}),
        ("DELETE", "/v1/rules/none", {}),
        ("POST", "/v1/rules/undo", {"json": {"change": 7}}),
    ):
        answer = caller(method, url, **how)
        assert answer.status_code == 404, url
        assert answer.json()["detail"]


def test_a_preview_stores_nothing(caller):
    found = caller("POST", "/v1/rules/preview", json={"rule": RULE, "queries": ["tv", "radio"], "k": 5}).json()
    assert [row["query"] for row in found["rows"]] == ["tv", "radio"]
    assert {"before", "after", "moved", "entered", "left", "total_before", "total_after"} <= set(found["rows"][0])
    assert caller.shop.rules.list() == []
    assert caller("POST", "/v1/rules/preview", json={"rule": RULE, "queries": ["a"] * 201}).status_code == 400
    assert caller("POST", "/v1/rules/preview", json={"rule": RULE, "k": 1_000}).status_code == 400


@pytest.mark.parametrize(
    "rule",
    [
        {**RULE, "then": [{"do": "redirect", "url": "javascript:alert(1)"}]},
        {**RULE, "then": [{"do": "redirect", "url": "//evil.example"}]},
        {**RULE, "then": [{"do": "banner", "text": "a\u0000b"}]},
        {**RULE, "then": [{"do": "banner", "text": "a\u202eb"}]},
        {**RULE, "then": [{"do": "run", "code": "1"}]},
        {**RULE, "then": []},
        {**RULE, "surprise": 1},
        {**RULE, "id": "a/../b"},
        {**RULE, "id": "x" * 65},
        {**RULE, "priority": 10**30},
        {**RULE, "name": "x" * 500},
        {**RULE, "when": {"queries": [{"text": "x" * 300}]}},
        {**RULE, "when": {"queries": [{"text": "tv"}] * 101}},
        {**RULE, "then": [{"do": "hide", "items": ["x" * 1_000 + str(n) for n in range(500)]}]},
        [], "text", 7, None,
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_as_a_problem(caller, rule):
    for method, url, body in (
        ("POST", "/v1/rules", rule),
        ("PUT", "/v1/rules/tv", rule),
        ("POST", "/v1/rules/preview", {"rule": rule, "queries": ["tv"]}),
    ):
        answer = caller(method, url, json=body)
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
    assert caller.shop.rules.history() == []


def test_markup_comes_back_as_the_text_it_is(caller):
    text = "<script>alert('x')</script> & \"quotes\" \u2028"
    rule = {**RULE, "name": text, "then": [{"do": "banner", "text": text}]}
    answer = caller("POST", "/v1/rules", json=rule)
    assert answer.headers["content-type"] == "application/json"
    assert "nosniff" in answer.headers["x-content-type-options"]
    assert answer.json()["then"][0]["text"] == answer.json()["name"] == text


def test_an_expired_rule_may_be_kept(caller):
    expired = {**RULE, "when": {"end": "2020-01-01T00:00:00Z"}}
    assert caller("POST", "/v1/rules", json=expired).status_code == 200
    backwards = {**RULE, "id": "b", "when": {"start": "2021-01-01T00:00:00Z", "end": "2020-01-01T00:00:00Z"}}
    assert caller("POST", "/v1/rules", json=backwards).status_code == 400


@pytest.mark.parametrize(
    "url",
    [
        "/v1/rules?x=1", "/v1/rules/audit?limit=-1", "/v1/rules/audit?limit=1e3", "/v1/rules/audit?limit=99999",
        "/v1/rules/audit?before=%00", "/v1/rules/audit?limit=1&limit=2", "/v1/rules/audit?before=" + "9" * 400,
        "/v1/rules/audit?limit=\u0663",
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_read(caller, url):
    answer = caller("GET", url)
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_a_body_must_be_json_and_small(caller):
    assert caller("POST", "/v1/rules", content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    json_type = {"Content-Type": "application/json"}
    assert caller("POST", "/v1/rules", content=b"{", headers=json_type).status_code == 400
    assert caller("POST", "/v1/rules", content=b"[" * 200_000, headers=json_type).status_code == 400
    assert caller("POST", "/v1/rules", content=b" " * 500_000, headers=json_type).status_code == 400
    assert caller("POST", "/v1/rules/undo", json={"change": 0}).status_code == 400
    assert caller("POST", "/v1/rules/undo", json={"change": 2**63}).status_code == 400
