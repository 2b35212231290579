"""Shoppers' rights over HTTP: whose data, whose token, whose browser; nobody erases others with a page's key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from bodega.engine.access import make_token
from bodega.schema import Event, EventType, Item
from bodega.service.app import create_app
from bodega.settings import Privacy, Settings
from bodega.testing.canned import CannedShop

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GPC = {"Sec-GPC": "1"}


class Door:
    def __init__(self, settings: Settings = Settings()) -> None:  # noqa: B008
        self.shop = CannedShop([Item(id="1", title="Shoe")], settings)
        self.page = self.shop.keys.create("page", ["search", "events"])
        self.admin = self.shop.keys.create("office", ["admin"])
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=create_app(self.shop), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7700")

    def __call__(self, method: str, url: str, *, admin: bool = False, headers=None, **how) -> httpx.Response:
        headers = {"X-API-Key": self.admin if admin else self.page} | (headers or {})
        return self.runner.run(self.http.request(method, url, headers=headers, **how))

    def close(self) -> None:
        self.runner.run(self.http.aclose())
        self.runner.close()


@pytest.fixture
def door() -> Iterator[Door]:
    with closing(Door()) as made:
        yield made


def click(user: str, session: str = "", name: str = "") -> Event:
    return Event(type=EventType.CLICK, time=NOON, id=name, user=user, session=session, item="1")


def stored(door: Door) -> list[tuple[str, str]]:
    return [pair for rows in door.shop.stores.events.scan() for pair in zip(rows.user, rows.session, strict=True)]


def test_gpc_makes_lists_and_suggestions_nobodys(door):
    for headers, user in (({}, "u"), (GPC, ""), ({"Sec-GPC": "0"}, "u")):
        door("GET", "/v1/search?q=shoe&user=u&session=s", headers=headers)
        assert door.shop.asked[-1].user == user
        door("POST", "/v1/recommend", json={"user": "u"}, headers=headers)
        assert door.shop.asked[-1].user == user
        door("GET", "/v1/suggest?q=sh&user=u", headers=headers)
        assert door.shop.completed[-1].user == user
        door("POST", "/1/indexes/products/query", json={"userToken": "u"}, headers=headers)
        assert door.shop.asked[-1].user == user


def test_gpc_keeps_no_event_unless_it_was_expressly_granted(door):
    row = {"type": "view", "item": "1", "user": "u", "time": NOON.isoformat()}
    told = door("POST", "/v1/events", json=[row], headers=GPC).json()
    assert (told["accepted"], told["withheld"], stored(door)) == (0, 1, [])
    algolia = {"events": [{"eventType": "click", "eventName": "x", "userToken": "u", "objectIDs": ["1"]}]}
    assert door("POST", "/1/events", json=algolia, headers=GPC).status_code == 200
    assert stored(door) == []
    door("POST", "/v1/consent", json={"user": "u", "purposes": {"personalisation": True}})
    assert door("POST", "/v1/events", json=[row], headers=GPC).json()["accepted"] == 1


def test_a_shop_may_ignore_gpc():
    with closing(Door(Settings(privacy=Privacy(gpc="ignore")))) as door:
        door("GET", "/v1/search?q=shoe&user=u", headers=GPC)
        assert door.shop.asked[-1].user == "u"


def test_consent_is_said_and_shown(door):
    assert door("GET", "/v1/consent?user=u").json() == {"personalisation": True, "learning": True, "said": []}
    told = door("POST", "/v1/consent", json={"user": "u", "session": "s", "purposes": {"learning": False}}).json()
    assert told == {"personalisation": True, "learning": False, "said": ["learning"]}
    assert door("GET", "/v1/consent?session=s").json()["learning"] is False
    for wrong in ({"purposes": {"learning": True}}, {"user": "u", "purposes": {"x": True}}, {"user": "u"}):
        assert door("POST", "/v1/consent", json=wrong).status_code == 400


def test_consent_among_events_holds_for_the_same_batch(door):
    said = {"type": "consent", "user": "u", "purposes": {"personalisation": False, "learning": False}}
    unclear = {"type": "consent", "user": "u", "purposes": {"selling": True}}
    event = {"type": "view", "item": "1", "user": "u", "time": NOON.isoformat()}
    told = door("POST", "/v1/events", json=[event, said, unclear]).json()
    assert (told["words"], [each["index"] for each in told["dead"]]) == (1, [2])
    assert door("GET", "/v1/consent?user=u").json()["personalisation"] is False


def test_ids_are_linked_parted_and_audited(door):
    asked = {"user": "ann", "session": "v", "aliases": ["card/7"]}
    assert door("POST", "/v1/identify", json=asked).json() == {"links": 2}
    assert door("POST", "/v1/identify", json=asked).json() == {"links": 0}
    kept = door("GET", "/v1/shoppers/card%2F7", admin=True).json()
    assert kept["ids"] == ["ann", "card/7"]
    assert {line["who"] for line in kept["identities"]} == {"page"}
    assert door("POST", "/v1/identify/apart", json=asked).status_code == 403
    assert door("POST", "/v1/identify/apart", json=asked, admin=True).json()["links"] >= 2
    assert door("GET", "/v1/shoppers/card%2F7", admin=True).json()["ids"] == ["card/7"]


def test_a_page_forgets_nobody_but_its_own_shopper(door):
    door.shop.stores.events.append([click("ann", name="1"), click("bob", name="2")])
    for method, url in (("DELETE", "/v1/shoppers/bob"), ("GET", "/v1/shoppers/bob"), ("GET", "/v1/erasures")):
        assert door(method, url).status_code == 403
    forged = make_token(Door().shop.privacy.secrets, "bob")
    for headers in ({}, {"X-Shopper-Token": forged}, {"X-Shopper-Token": "bob"}):
        assert door("DELETE", "/v1/me", headers=headers).status_code == 401
    token = {"X-Shopper-Token": make_token(door.shop.privacy.secrets, "ann")}
    mine = door("GET", "/v1/me", headers=token).json()
    assert [event["user"] for event in mine["events"]] == ["ann"]
    receipt = door("DELETE", "/v1/me", headers=token).json()
    assert receipt["removed"]["events"] == 1
    assert stored(door) == [("bob", "")]
    assert door("GET", "/v1/me", headers=token).json()["events"] == []


def test_receipts_can_be_fetched_and_name_nobody(door):
    door.shop.stores.events.append([click("canary", "canary-visit")])
    receipt = door("DELETE", "/v1/shoppers/canary", admin=True)
    assert receipt.status_code == 200
    assert "canary" not in receipt.text
    name = receipt.json()["id"]
    assert door("GET", f"/v1/erasures/{name}", admin=True).json() == receipt.json()
    assert [each["id"] for each in door("GET", "/v1/erasures", admin=True).json()["erasures"]] == [name]
    assert door("GET", "/v1/erasures/0000", admin=True).status_code == 404
    held = door.shop.erasures.receipt(name)
    assert door.shop.erasures.genuine(held)
    assert not door.shop.erasures.genuine(msgspec.structs.replace(held, state="other"))


def test_ids_in_log_lines_are_none(door, caplog):
    caplog.set_level("INFO", logger="bodega")
    door("DELETE", "/v1/shoppers/canary-user", admin=True)
    door("GET", "/v1/shoppers/canary-user", admin=True)
    own = [record.getMessage() + str(vars(record)) for record in caplog.records if record.name.startswith("bodega")]
    assert own
    assert not any("canary" in line for line in own)
