"""The cookie that stands for a key: who gets one, what it is worth, and every way of getting in without."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bodega.schema import Item
from bodega.service.app import create_app
from bodega.service.keys import FRESH
from bodega.service.sessions import COOKIE, FILE, Sessions, own_page
from bodega.service.telemetry import log_to
from bodega.settings import Console, Serve, Settings
from bodega.testing.canned import CannedShop

HERE = "http://127.0.0.1:7700"
OWN = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}


class Web:
    """A browser's side of the application: calls from an address, with a jar of cookies."""

    def __init__(self, app: Any, address: str) -> None:
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=app, client=(address, 5), raise_app_exceptions=False)
        self._http = httpx.AsyncClient(transport=transport, base_url=HERE)
        self.cookies = self._http.cookies

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()

    def get(self, path: str, **how: Any) -> httpx.Response:
        return self._runner.run(self._http.get(path, **how))

    def post(self, path: str, **how: Any) -> httpx.Response:
        return self._runner.run(self._http.post(path, **how))

    def delete(self, path: str, **how: Any) -> httpx.Response:
        return self._runner.run(self._http.delete(path, **how))


class House:
    """A shop, its application seen from an address, and an admin key."""

    def __init__(
        self, folder: Path, console: Console | None = None, address: str = "127.0.0.1", serve: Serve | None = None
    ) -> None:
        settings = Settings(console=console or Console(), serve=serve or Serve())
        self.shop = CannedShop([Item(id="1", title="Shoe")], settings, folder)
        self.admin = self.shop.keys.create("ada", ["admin"])
        self.web = Web(create_app(self.shop), address)

    def sign_in(self, key: str = "", **headers: str) -> httpx.Response:
        self.web.cookies.clear()
        return self.web.post(
            "/v1/console/session", headers={"Authorization": f"Bearer {key or self.admin}", **OWN, **headers}
        )

    def info(self, label: str = "ada") -> Any:
        return next(each for each in self.shop.keys.list() if each.label == label and not each.revoked)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    with made.web:
        yield made


def test_a_key_becomes_a_cookie_that_scripts_cannot_read(house: House) -> None:
    answer = house.sign_in()
    assert answer.status_code == 200
    assert answer.json()["label"] == "ada"
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"):
        assert part in cookie
    assert "Secure" not in cookie, "on the machine itself there is no TLS"
    assert house.admin not in cookie
    assert house.web.get("/v1/rules").status_code == 200
    assert house.web.get("/v1/console/session").json()["key"] == house.info().id
    secret = house.shop.folder / FILE
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_changes_are_written_down_under_the_label(house: House) -> None:
    house.sign_in()
    made = house.web.post("/v1/rules", json={"then": [{"do": "pin", "item": "1", "position": 1}]}, headers=OWN)
    assert made.status_code == 200
    assert [line.who for line in house.shop.rules.history(limit=1)] == ["ada"]


def test_signing_out_takes_the_cookie_away(house: House) -> None:
    house.sign_in()
    gone = house.web.delete("/v1/console/session", headers=OWN)
    assert "Max-Age=0" in gone.headers["set-cookie"]
    assert house.web.get("/v1/rules").status_code == 401


def test_other_keys_do_not_sign_in(house: House) -> None:
    answer = house.sign_in(house.shop.keys.create("web", ["search", "events"]))
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert house.sign_in("bodega_wrong").status_code == 401


ELSEWHERE: tuple[dict[str, str], ...] = (
    {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-site"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://elsewhere.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:7701"},
    {},
)


def test_a_page_of_another_site_changes_nothing_with_the_cookie(house: House) -> None:
    house.sign_in()
    before = len(house.shop.keys.list())
    for headers in ELSEWHERE:
        asked = house.web.post("/v1/keys", json={"label": "thief", "scopes": ["admin"]}, headers=headers)
        assert asked.status_code == 401, headers
    assert len(house.shop.keys.list()) == before
    assert house.web.post("/v1/keys", json={"label": "own", "scopes": ["search"]}, headers=OWN).status_code == 200


def test_a_page_of_another_site_reads_nothing_with_the_cookie(house: House) -> None:
    house.sign_in()
    for site in ("cross-site", "same-site"):
        assert house.web.get("/v1/keys", headers={"Sec-Fetch-Site": site}).status_code == 401
    assert house.web.get("/v1/keys", headers={"Origin": "https://elsewhere.example"}).status_code == 401
    assert house.web.get("/v1/keys", headers={"Sec-Fetch-Site": "none"}).status_code == 200, (
        "typed into the address bar"
    )


def test_another_site_cannot_sign_somebody_in(house: House) -> None:
    answer = house.sign_in(**{"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_key_in_the_header_wins_over_the_cookie(house: House) -> None:
    house.sign_in()
    weak = house.shop.keys.create("web", ["search"])
    assert house.web.get("/v1/keys", headers={"Authorization": f"Bearer {weak}"}).status_code == 403
    assert house.web.get("/v1/keys", headers={"X-API-Key": "bodega_wrong"}).status_code == 401


def test_a_revoked_key_ends_its_sessions_at_once(house: House) -> None:
    house.sign_in()
    assert house.web.get("/v1/keys").status_code == 200
    gone = house.web.delete(f"/v1/keys/{house.info().id}", headers=OWN)
    assert gone.status_code == 200
    assert house.web.get("/v1/keys").status_code == 401


def forgeries(value: str) -> Iterator[str]:
    key, end, nonce, mac = value.split(".")
    yield f"{key}.{int(end) + 9_999}.{nonce}.{mac}"
    yield f"{'0' * 8}.{end}.{nonce}.{mac}"
    yield f"{key}.{end}.{'0' * 16}.{mac}"
    yield f"{key}.{end}.{nonce}.{'0' * 64}"
    yield f"{key}.{end}.{nonce}."
    yield f"{key}.{end}.{nonce}.{mac[:-1]}"
    yield f"{key}.{end}.{nonce}.{mac}x"
    yield "x" * 9_000
    yield "...."
    yield f"{value}; {COOKIE}={key}.{end}.{nonce}.{'1' * 64}"


def test_no_forged_cookie_counts(house: House) -> None:
    house.sign_in()
    value = house.web.cookies[COOKIE]
    house.web.cookies.clear()
    assert house.web.get("/v1/keys", headers={"Cookie": f"{COOKIE}={value}"}).status_code == 200
    for forged in forgeries(value):
        assert house.web.get("/v1/keys", headers={"Cookie": f"{COOKIE}={forged}"}).status_code == 401, forged[:80]


class Time:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_sessions_and_tickets_end(tmp_path: Path) -> None:
    shop, time = CannedShop(folder=tmp_path), Time()
    shop.keys.create("ada", ["admin"])
    info = shop.keys.list()[0]
    sessions = Sessions(tmp_path, shop.keys.list, Console(hours=1), time)
    value, end = sessions.begin(info.id)
    assert end == time.now + 3600
    ticket, late = sessions.ticket(info.id), sessions.ticket(info.id)
    assert sessions.bearer(f"a=b; {COOKIE}={value}") == info
    assert sessions.bearer(f"{COOKIE}={ticket}") is None, "a ticket is no session"
    assert sessions.redeem(value) is None, "a session is no ticket"
    assert sessions.redeem(ticket) == info
    assert sessions.redeem(ticket) is None, "it works once"
    other = Sessions(tmp_path, shop.keys.list, Console(hours=1), time)
    assert other.bearer(f"{COOKIE}={value}") == info, "another worker reads the same secret"
    time.now += 61
    assert sessions.redeem(late) is None
    time.now += 3600
    assert sessions.bearer(f"{COOKIE}={value}") is None
    strange = Sessions(tmp_path / "elsewhere", shop.keys.list, Console(), Time())
    assert strange.bearer(f"{COOKIE}={value}") is None
    assert FRESH == 2.0


def test_a_secret_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    shop = CannedShop(folder=tmp_path)
    shop.keys.create("ada", ["admin"])
    (tmp_path / FILE).write_text("00" * 32)
    (tmp_path / FILE).chmod(0o644)
    value, _ = Sessions(tmp_path, shop.keys.list, Console()).begin(shop.keys.list()[0].id)
    assert Sessions(tmp_path, shop.keys.list, Console()).bearer(f"{COOKIE}={value}") is None


def test_a_key_never_travels_in_the_open(tmp_path: Path) -> None:
    far = House(tmp_path, address="203.0.113.9")
    with far.web:
        assert far.sign_in().status_code == 403
        told = far.sign_in(**{"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"})
        assert told.status_code == 200
        assert "Secure" in told.headers["set-cookie"]
    near = House(tmp_path)
    with near.web:
        assert near.sign_in(**{"X-Forwarded-For": "198.51.100.7"}).status_code == 403, "a proxy without TLS"
        assert near.sign_in(**{"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "http"}).status_code == 403
    bold = House(tmp_path, Console(insecure=True), address="203.0.113.9")
    with bold.web:
        assert bold.sign_in().status_code == 200


def test_a_console_that_is_off_lets_nobody_in(tmp_path: Path) -> None:
    on = House(tmp_path)
    with on.web:
        value = on.sign_in().headers["set-cookie"].partition("=")[2].partition(";")[0]
    off = House(tmp_path, Console(on=False))
    with off.web:
        assert off.sign_in().status_code == 403
        assert off.web.get("/v1/keys", headers={"Cookie": f"{COOKIE}={value}"}).status_code == 401


def test_tickets_work_at_one_address_only(house: House) -> None:
    ticket = Sessions(house.shop.folder, house.shop.keys.list, Console()).ticket(house.info().id)
    assert house.web.get("/v1/keys", headers={"Authorization": f"Ticket {ticket}"}).status_code == 401
    signed = house.web.post("/v1/console/session", headers={"Authorization": f"Ticket {ticket}", **OWN})
    assert signed.status_code == 200
    again = house.web.post("/v1/console/session", headers={"Authorization": f"Ticket {ticket}", **OWN})
    assert again.status_code == 401
    house.web.cookies.clear()
    assert house.web.post("/v1/console/session", headers={"Authorization": "Ticket", **OWN}).status_code == 401


def test_guessing_is_limited(tmp_path: Path) -> None:
    house = House(tmp_path, serve=Serve(requests_per_second=0.01, burst=5))
    with house.web:
        told = [house.sign_in(f"bodega_{number:043d}").status_code for number in range(8)]
        ticket = {"Authorization": f"Ticket {'0' * 8}.9999999999.{'0' * 16}.{'0' * 64}", **OWN}
        assert house.web.post("/v1/console/session", headers=ticket).status_code == 429
    assert told == [401] * 5 + [429] * 3


def test_no_key_and_no_cookie_in_the_log(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    log_to()
    try:
        value = house.sign_in().headers["set-cookie"]
        house.web.get("/v1/keys")
        ticket = Sessions(house.shop.folder, house.shop.keys.list, Console()).ticket(house.info().id)
        house.web.post("/v1/console/session", headers={"Authorization": f"Ticket {ticket}", **OWN})
    finally:
        logging.getLogger("bodega.service").handlers.clear()
    told = capfd.readouterr()
    text = told.out + told.err
    assert "console/session" in text
    mac = re.search(r"[0-9a-f]{64}", value)
    assert mac is not None
    for secret in (house.admin, mac[0], ticket):
        assert secret not in text


def test_own_page_says_so() -> None:
    assert own_page("GET", "", "", "shop.example"), "an old browser; the cookie is SameSite=Strict"
    assert not own_page("POST", "", "", "shop.example")
    assert own_page("DELETE", "same-origin", "https://shop.example", "shop.example")
    assert not own_page("GET", "same-origin", "https://shop.example.evil", "shop.example")


def test_the_command_prints_an_address_that_signs_in(tmp_path: Path) -> None:
    import json

    from typer.testing import CliRunner

    import bodega
    from bodega.cli import app

    with bodega.open(tmp_path / "shop"):
        pass
    told = CliRunner().invoke(app, ["console", "--shop", str(tmp_path / "shop"), "--json"])
    assert told.exit_code == 0, told.output
    url, _, ticket = json.loads(told.stdout)["url"].partition("#ticket=")
    assert url == f"{HERE}/console"
    again = CliRunner().invoke(app, ["console", "--shop", str(tmp_path / "shop"), "--no-open"])
    assert "#ticket=" in again.stdout
    with bodega.open(tmp_path / "shop") as shop:
        held = shop.keys.list()
        assert [(each.label, each.scopes) for each in held] == [("console", ("admin",))], "one key, used again"
        assert Sessions(shop.folder, shop.keys.list, Console()).redeem(ticket) == held[0]


def test_a_ticket_works_once_whichever_worker_is_asked(tmp_path: Path) -> None:
    shop = House(tmp_path).shop
    one, other = (Sessions(tmp_path, shop.keys.list, Console()) for _ in range(2))
    ticket = one.ticket(shop.keys.list()[0].id)
    found = [each.redeem(ticket) is not None for each in (one, other, one, other)]
    assert found == [True, False, False, False]
    old = next((tmp_path / "console.used").iterdir())
    os.utime(old, (1, 1))
    assert other.redeem(one.ticket(shop.keys.list()[0].id)) is not None
    assert not old.exists(), "what is over is swept away"


def test_the_trail_names_keys_that_were_made_through_another_server(house: House) -> None:
    house.sign_in()
    made = house.web.post("/v1/keys", json={"label": "here", "scopes": ["search"]}, headers=OWN).json()
    lines = {line["name"]: line for line in house.web.get("/v1/audit?area=keys").json()["lines"]}
    assert (lines[made["id"]]["who"], lines[made["id"]]["elsewhere"]) == ("ada", False)
    assert (lines[house.info().id]["who"], lines[house.info().id]["elsewhere"]) == ("", True)
