"""What every test of the console needs: a learned shop with a past, served; Chromium, signed in; and watchful pages.

`desk` is the shop, once a session: a generated world that has learned, was asked over HTTP (so that the log of answers
knows its pages), has impressions, clicks and purchases of those pages, rules, dead letters. `visit("today")` opens a
page of the console and fails the test on any console error or foreign address. `accessible(page)` runs axe-core.
`shot(page, name)` keeps a picture where BODEGA_SHOTS names a folder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

import bodega
from bodega.schema import DeadLetter, Match, Phrase, Redirect, Rule, ShowBanner, When
from bodega.service import create_app
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world
from bodega.web.console import ConsoleOptions, console_handlers

DAY = 86_400.0


@dataclass
class Desk:
    """A served shop, and the keys to it."""

    url: str
    shop: Any
    world: GeneratedWorld
    admin: str
    """The text of an admin key, labelled `console`."""
    public: str
    """The text of a key with search and events."""

    def ask(self, method: str, path: str, **how: Any) -> Any:
        """Call the HTTP API as an admin; the JSON of a good answer."""
        answer = httpx.request(
            method, self.url + path, headers={"Authorization": f"Bearer {self.admin}"}, timeout=30, **how
        )
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory, serving: Callable[..., Any]) -> Iterator[Desk]:
    """A generated world of 120 items, learned and served on a free loopback port, with visits of today."""
    world = make_world(WorldSpec(n_items=120, n_shoppers=60, days=30))
    shift = time.time() - 2 * DAY - world.end
    events = [
        msgspec.structs.replace(event, time=event.time + timedelta(seconds=shift)) for event in world.events
    ]  # the world lies in the past: its last day becomes the day before yesterday
    folder = tmp_path_factory.mktemp("console") / "shop"
    with bodega.open(folder) as shop:
        (folder / bodega_toml()).write_text(TOML, "utf-8")
    with bodega.open(folder) as shop:
        shop.catalog.upsert(world.items)
        shop.events.record(events)
        assert shop.learn().published
        _furnish(shop, world)
        admin, public = shop.keys.create("console", ("admin",)), shop.keys.create("web", ("search", "events"))
        options = ConsoleOptions(shop.settings.name, shop.settings.language, shop.settings.currency)
        with serving(create_app(shop, handlers=console_handlers(options))) as url:
            made = Desk(url, shop, world, admin, public)
            _visits(made)
            yield made


TOML = """# What this shop is called.
name = "Street"

[serve]
requests_per_second = 2000.0  # tests are busy
burst = 5000
"""


def bodega_toml() -> str:
    """The name of the settings file."""
    from bodega.settings import FILE

    return FILE


def _furnish(shop: Any, world: GeneratedWorld) -> None:
    """Rules, and rows that could not be used."""
    kind = world.truth.kinds[0]
    phrase = Phrase(text=kind, match=Match.CONTAINS)
    shop.rules.put(
        Rule(id="week", when=When(queries=(phrase,)), then=(ShowBanner(text="A week of it", url="/search?q=week"),)),
        who="merchandiser",
    )
    shop.rules.put(
        Rule(id="back", when=When(queries=(Phrase(text="send it back"),)), then=(Redirect(url="/basket"),)),
        who="merchandiser",
    )
    rows = [
        (
            "item",
            "bad_price",
            "the price is no number",
            "products.csv",
            f'{{"id":"x{number}","title":"Odd {number}","price":"?"}}',
        )
        for number in range(3)
    ]
    rows.append(("event", "unknown_type", "no such type of event", "http", '{"type":"look","item":"1","user":"u"}'))
    rows.append(("item", "no_id", "an item needs an id", "=cmd|' /C calc'!A0", '{"title":"=1+1"}'))
    shop.stores.dead.put(
        [
            DeadLetter(kind=kind, reason=reason, message=message, source=source, line=line, raw=raw, time=now())
            for line, (kind, reason, message, source, raw) in enumerate(rows, 1)
        ]
    )


def now() -> datetime:
    return datetime.now(UTC)


def _visits(desk: Desk) -> None:
    """What shoppers did today: searches (one without results), lists, and what came of them."""
    headers = {"Authorization": f"Bearer {desk.public}"}
    kinds, shoppers = desk.world.truth.kinds, desk.world.truth.shoppers
    with httpx.Client(base_url=desk.url, headers=headers, timeout=30) as http:
        for number in range(40):
            user = shoppers[number % 12]
            who = {"user": user, "session": f"visit-{number}"}
            if number % 4 == 3:
                asked = {"place": "home", "k": 8, **who}
                page = http.post("/v1/recommend", json=asked).json()
            else:
                words = "unobtainium" if number % 10 == 0 else kinds[number % 3]
                page = http.post("/v1/search", json={"query": words, "k": 8, **who}).json()
            assert "hits" in page, page
            _reacted(http, page, who, number)


def _reacted(http: httpx.Client, page: dict[str, Any], who: dict[str, str], number: int) -> None:
    """Everything of the page was seen; every second page got a click, every fourth a purchase."""
    at = {"place": page["place"], "request_id": page["request_id"], **who}
    seen = [
        {"type": "impression", "item": hit["id"], "position": hit["position"], "id": f"i{number}-{hit['id']}", **at}
        for hit in page["hits"]
    ]
    if seen and number % 2 == 0:
        seen.append({**seen[number % 3 % len(seen)], "type": "click", "id": f"c{number}"})
    if seen and number % 4 == 0:
        seen.append({**seen[number % 3 % len(seen)], "type": "purchase", "id": f"p{number}", "price": 12.5})
    if seen:
        answer = http.post("/v1/events", json={"events": seen})
        assert answer.is_success, answer.text


class Seat:
    """Opens pages of the console as somebody who is signed in."""

    def __init__(self, tabs: Any, desk: Desk) -> None:
        self.tabs, self.desk = tabs, desk

    def __call__(self, path: str = "today", *, width: int = 1280, height: int = 900, **context: Any) -> Any:
        """A page of the console (`today`, `rules?query=milk`), drawn, in a browser context that only it has."""
        page = self.page(width=width, height=height, **context)
        self.sign_in(page)
        page.goto(f"{self.desk.url}/console/{path}")
        page.wait_for_selector("main[data-ready]")
        return page

    def page(self, **context: Any) -> Any:
        """An empty page, not signed in."""
        return self.tabs.open((self.desk.url, "blob:", "data:"), **context)

    def sign_in(self, page: Any) -> None:
        """Put the cookie of a session into the page's context, without the form."""
        answer = page.request.post(
            f"{self.desk.url}/v1/console/session", headers={"Authorization": f"Bearer {self.desk.admin}"}
        )
        assert answer.ok, answer.text()
        page.add_init_script("localStorage.setItem('bodega.console', '1')")


@pytest.fixture
def visit(tabs: Any, desk: Desk) -> Seat:
    """Opens pages; the test fails when the browser complained, or another host was asked for anything."""
    return Seat(tabs, desk)


SERIOUS = ("serious", "critical")


@pytest.fixture(scope="session")
def accessible() -> Callable[[Any], None]:
    """axe-core over a page: nothing serious, nothing critical."""
    axe = pytest.importorskip("axe_playwright_python", reason="no axe: pip install 'bodega[dev]'")
    script = Path(axe.__file__).with_name("axe.min.js").read_text("utf-8")

    def check(page: Any) -> None:
        page.evaluate(script)  # by the debugger: the page's own policy lets no foreign script in
        found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        told = [
            f"{each['id']}: {each['help']} at {[node['target'] for node in each['nodes']][:4]}"
            f" {each['nodes'][0].get('failureSummary', '')}"
            for each in found
            if each["impact"] in SERIOUS
        ]
        assert told == []

    return check


@pytest.fixture(scope="session")
def shot() -> Callable[[Any, str], None]:
    """Keep a picture of the page, where BODEGA_SHOTS names a folder for it."""
    folder = os.environ.get("BODEGA_SHOTS", "")

    def keep(page: Any, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(Path(folder, f"{name}.png")), full_page=True)

    return keep
