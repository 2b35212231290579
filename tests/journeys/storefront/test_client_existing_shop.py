"""A shop page that was there before (examples/existing-shop), at another origin than Bodega, with its few added lines.

The page's own policy allows no markup from text; the browser's complaints fail the test.
"""

from __future__ import annotations

import functools
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bodega.schema import Event, Item
from bodega.service import create_app
from bodega.settings import Serve, Settings
from bodega.testing.canned import CannedShop
from bodega.web.client import client_handlers

pytestmark = pytest.mark.browser
EXAMPLE = Path(__file__).parents[3] / "examples" / "existing-shop"
EVIL = "<img src=x onerror=alert(1)>"
ITEMS = [
    *(Item(id=f"t{n}", title=f"Tea number {n}", brand="Harbour", price=3.5 + n, currency="EUR") for n in range(20)),
    Item(
        id="a/b?c 茶", title=f"Odd tea {EVIL}", brand=EVIL, price=1.0, currency="EUR", images=("javascript:alert(1)",)
    ),
]


class _Files(http.server.SimpleHTTPRequestHandler):
    """The example's files, with Bodega's address and key put in."""

    filled: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].lstrip("/") or "index.html"
        kinds = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
        file = EXAMPLE / name
        if file.suffix not in kinds or not file.is_file():
            self.send_error(404)
            return
        text = file.read_text("utf-8")
        for old, new in self.filled.items():
            text = text.replace(old, new)
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", f"{kinds[file.suffix]}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@dataclass
class Harbour:
    """Both sides."""

    page: str
    api: str
    shop: Any

    def events(self, kind: str = "") -> list[Event]:
        found = list(self.shop.stores.events._events.values())
        return [event for event in found if not kind or event.type == kind]


CLIENT = "const { bodega } = await import(document.querySelector('link[rel=modulepreload]').href);"


@pytest.fixture
def harbour(serving: Callable[..., Any], tmp_path: Path) -> Iterator[Harbour]:
    files = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Files))
    origin = f"http://localhost:{files.server_port}"
    serve = Serve(origins=origin, burst=100_000, requests_per_second=100_000.0)
    shop = CannedShop(ITEMS, Settings(serve=serve), tmp_path)
    key = shop.keys.create("pages", ("search", "events"))
    threading.Thread(target=files.serve_forever, daemon=True).start()
    with serving(create_app(shop, handlers=client_handlers())) as api:
        _Files.filled = {"http://127.0.0.1:7700": api, "YOUR_KEY": key}
        yield Harbour(origin, api, shop)
    files.shutdown()
    files.server_close()


class Visit:
    """Opens pages of the shop that was there before."""

    def __init__(self, tabs: Any, harbour: Harbour) -> None:
        self.tabs, self._harbour = tabs, harbour

    def __call__(self, path: str = "/", **context: Any) -> Any:
        page = self.tabs.open((self._harbour.page, self._harbour.api, "data:"), **context)
        page.goto(self._harbour.page + path)
        return page


@pytest.fixture
def visit(harbour: Harbour, tabs: Any) -> Visit:
    """Opens pages, closed before both servers are; the test fails when the browser complained."""
    return Visit(tabs, harbour)


def test_a_purchase_is_the_merit_of_the_list_it_began_in(visit: Any, harbour: Harbour, until: Any) -> None:
    from playwright.sync_api import expect

    page = visit()
    home = page.locator("#home li")
    expect(home).to_have_count(8)
    home.nth(2).locator("a").click()
    expect(page.locator("#title")).to_have_text("Tea number 2")
    expect(page.locator("#similar li").first).to_be_visible()
    page.click("#add")
    page.click("#buy")
    expect(page.locator("#thanks")).to_have_text("Thank you.")
    (click,), (bought,) = until(lambda: harbour.events("click")), until(lambda: harbour.events("purchase"))
    assert (click.item, click.place, click.position) == ("t2", "home", 2)
    assert click.request_id
    assert bought.price == 5.5
    for event in (*until(lambda: harbour.events("view")), *harbour.events("cart"), bought):
        assert (event.item, event.place, event.position, event.request_id) == ("t2", "home", 2, click.request_id)
        assert event.session == click.session
    seen = until(lambda: harbour.events("impression"))
    assert {event.request_id for event in seen if event.place == "home"} <= {click.request_id}


def test_search_with_completions_by_keyboard(visit: Any, harbour: Harbour, until: Any) -> None:
    from playwright.sync_api import expect

    page = visit()
    box = page.get_by_role("combobox")
    box.click()
    page.keyboard.type("tea number 1")
    options = page.locator("bodega-search").get_by_role("option")
    expect(options.first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", "o1")
    expect(box).to_have_value("Tea number 10")
    page.keyboard.press("Enter")
    expect(page.locator("#found h2")).to_have_text("1 products")
    assert page.url.endswith("?q=Tea+number+10")
    assert until(lambda: harbour.events("search"))[0].query == "Tea number 10"
    page.locator("#found").get_by_role("button", name="Add to basket").click()
    expect(page.locator("#basket output")).to_have_text("1")
    (cart,) = until(lambda: harbour.events("cart"))
    assert (cart.item, cart.place) == ("t10", "search")
    page.locator("#found .away").click()
    expect(page.locator("#found li")).to_have_count(0)
    assert until(lambda: harbour.events("dismiss"))[0].item == "t10"
    page.reload()
    expect(page.locator("#found h2")).to_have_text("1 products")  # the address holds the search


def test_hostile_products_are_text(visit: Any, harbour: Harbour) -> None:
    from playwright.sync_api import expect

    page = visit("/?q=odd")
    expect(page.locator("#found a")).to_have_text(f"Odd tea {EVIL}")
    assert page.locator("#found img").count() == 0
    page.locator("#found a").click()
    expect(page.locator("#title")).to_have_text(f"Odd tea {EVIL}")


def test_events_outlive_a_dead_network_and_a_reload(visit: Any, harbour: Harbour, became: Any, until: Any) -> None:
    from playwright.sync_api import expect

    visit.tabs.allowed = ("net::ERR",)
    page = visit()
    expect(page.locator("#home li")).to_have_count(8)
    page.context.route("**/v1/events", lambda route: route.abort())
    page.evaluate(
        f"async () => {{ {CLIENT} many(bodega()); }}".replace(
            "many(bodega())",
            """
        for (let n = 0; n < 700; n++) bodega().track('view', { item: 't' + (n % 20), position: n })""",
        )
    )
    held = page.evaluate("JSON.parse(localStorage.getItem('bodega.queue')).length")
    assert held == 500, "the queue is bounded: the oldest go first"
    page.reload()
    page.context.unroute("**/v1/events")
    # What the page itself saw after the reload stands in the queue too, and pushes out as many of the oldest.
    assert until(lambda: 699 in {event.position for event in harbour.events("view")})
    came = {event.position for event in harbour.events("view")}
    assert len(came) >= 450
    assert came == set(range(700 - len(came), 700))
    assert len({event.id for event in harbour.events()}) == len(harbour.events()), "nothing counts twice"
    became(page, "!localStorage.getItem('bodega.queue')")


def test_who_wants_not_to_be_followed_is_not(visit: Any, harbour: Harbour, became: Any, until: Any) -> None:
    from playwright.sync_api import expect

    page = visit()
    expect(page.locator("#home li")).to_have_count(8)
    page.click("#no-thanks")
    expect(page.locator("#no-thanks")).to_have_text("You are not followed.")
    became(page, "!localStorage.getItem('bodega.visit')")
    until(lambda: harbour.shop.asked[-1].personal is False)
    asked = len(harbour.shop.asked)
    before = len(harbour.events())
    page.goto(f"{harbour.page}/product.html?id=t3")
    expect(page.locator("#similar li").first).to_be_visible()
    page.click("#add")
    page.wait_for_timeout(1200)
    assert len(harbour.events()) == before
    later = harbour.shop.asked[asked:]
    assert later
    assert {(each.user, each.session, each.personal) for each in later} == {("", "", False)}


def test_a_key_of_the_page_may_search_and_tell_but_nothing_else(visit: Any, harbour: Harbour) -> None:
    visit.tabs.allowed = ("403",)
    page = visit()
    page.wait_for_selector("#home li")
    asked = "bodega().call('/items', [{id: 'x', title: 'x'}])"
    told = "catch((error) => [error.name, error.status, error.problem.type])"
    got = page.evaluate(f"async () => {{ {CLIENT} return {asked}.{told}; }}")
    assert got == ["BodegaError", 403, "urn:bodega:Forbidden"]


def test_a_page_of_an_origin_that_is_not_named_gets_nothing(browser: Any, harbour: Harbour, until: Any) -> None:
    page = browser.new_context().new_page()
    page.goto(harbour.page.replace("localhost", "127.0.0.1"))
    assert until(lambda: page.locator("#home p").count()) == 1
    assert page.locator("#home p").inner_text() == "This list could not be loaded."
    assert harbour.shop.asked == []
    page.context.close()


@pytest.mark.parametrize(("width", "lang"), [(360, "zh"), pytest.param(1280, "en", marks=pytest.mark.slow)])
def test_it_is_accessible_in_both_languages(visit: Any, harbour: Harbour, width: int, lang: str, until: Any) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="no axe: pip install axe-playwright-python"
    )
    page = visit("/?q=tea", width=width)
    page.wait_for_selector("#found li")
    page.evaluate(f"document.documentElement.lang = '{lang}'")
    page.evaluate("document.querySelectorAll('bodega-list').forEach((list) => list.load())")
    wanted = "不感兴趣" if lang == "zh" else "Not interested"
    page.locator("#found .away").first.get_by_text("×").wait_for()
    until(lambda: (page.locator("#found .away").first.get_attribute("aria-label") or "").startswith(wanted))
    found = axe.Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert re.match(wanted, page.locator("#found .away").first.get_attribute("aria-label") or "")
