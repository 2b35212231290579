"""Five hundred texts that try to become code, on every page of storefront and console, by the real service: 0 run.

They are titles, brands, attributes, queries, banners and names of rules, reviews, shoppers' ids, dead letters, labels
of keys, the shop's own name, and what stands in addresses. Pages must show them letter by letter. The pages of the
console are read from its own list, so that none is forgotten. The product of every text with every address is slow.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

import bodega

pytestmark = pytest.mark.browser

PAGES_JS = Path(bodega.__file__).parent / "web" / "console" / "static" / "pages.js"
CONSOLE = re.findall(r'path: "([\w-]+)"', PAGES_JS.read_text("utf-8"))
QUICK = ("letters", "keys", "search", "rules", "shoppers")
"""Pages that show most of what others wrote; all of them are attacked by `make slow`."""
NAMES = (
    "q",
    "query",
    "item",
    "items",
    "user",
    "shopper",
    "session",
    "rule",
    "tab",
    "place",
    "reason",
    "id",
    "b_language",
    "w",
)
"""Parameters of addresses that pages of the console read; each is given an attack."""
PANELS = 4
"""Rows and tabs of a page that are opened."""


def test_there_are_five_hundred_and_the_watch_sees_what_runs(watched: Any, besieged: Any) -> None:
    """The broken twin: the same texts as markup, on a page without a policy, do run, and the watch says so."""
    assert len(set(besieged.texts)) == 500
    assert len(CONSOLE) >= 5
    twin = [text for text in besieged.texts if text.startswith(("<img", "<svg onload", "<svg/onload", "<details"))]
    page = watched.open()
    page.goto("about:blank")
    page.set_content("<title>twin</title>" + "".join(f"<div>{text}</div>" for text in twin if "evil" not in text))
    page.wait_for_function("'__xss' in window && window.__seen.length > 0")
    told = watched.found(page)
    assert "code ran" in told
    assert any(each.startswith("IMG on") for each in told)


def test_products_and_facets(watched: Any, besieged: Any, shown: Any) -> None:
    page, seen = watched.open(), set()
    for lot in range(4):
        page.goto(f"{besieged.url}/search?f.category={quote(f'Besieged > Lot {lot}')}&n=192")
        page.wait_for_selector("main[data-ready]")
        page.wait_for_selector("#results .card")
        seen |= shown(page, besieged.texts)
        assert watched.found(page) == []
    assert set(besieged.texts) - seen == set(), "every title is shown as it is"


def test_banners_and_queries(watched: Any, besieged: Any, shown: Any) -> None:
    page = watched.open()
    for number in range(9, 70, 12):
        page.goto(f"{besieged.url}/search?q=besieged+{number}")
        page.wait_for_selector("main[data-ready]")
        page.wait_for_selector(".banner")
        assert shown(page, besieged.texts[number * 3 : number * 3 + 3])
        assert watched.found(page) == []
    for text in besieged.texts[8:500:120]:
        page.goto(f"{besieged.url}/search?q={quote(text, safe='')}&sort={quote(text, safe='')}")
        page.wait_for_selector("main[data-ready]")
        assert "".join(page.input_value("#q").split()) == "".join(text.split())
        assert watched.found(page) == []


def test_product_pages_and_reviews(watched: Any, besieged: Any, shown: Any) -> None:
    page = watched.open()
    for number in (0, 10, 127, 300):
        page.goto(f"{besieged.url}/item/{quote(item_of(besieged, number), safe='')}")
        page.wait_for_selector(".product")
        page.wait_for_selector("main[data-ready]")
        assert besieged.texts[number] in shown(page, besieged.texts)
        assert watched.found(page) == [], besieged.texts[number]


@pytest.mark.parametrize(
    "path", [path if path in QUICK else pytest.param(path, marks=pytest.mark.slow) for path in CONSOLE]
)
def test_a_page_of_the_console(watched: Any, besieged: Any, shown: Any, seat: Any, path: str) -> None:
    """As it opens, with its tabs and first rows opened, and with an attack in every parameter of its address."""
    text = besieged.texts[8 + 37 * CONSOLE.index(path) % 480]
    seat.goto(f"{besieged.url}/console/{path}")
    seat.wait_for_selector("main[data-ready]")
    if path in SHOWS:
        seat.wait_for_selector("main .tabulator-row")
        assert len(shown(seat, besieged.texts)) >= SHOWS[path], "texts stand there letter by letter"
    opened(seat, watched)
    seat.goto(f"{besieged.url}/console/{path}?{urlencode(dict.fromkeys(NAMES, text))}")
    seat.wait_for_selector("main[data-ready]")
    assert watched.found(seat) == [], text


SHOWS = {"letters": 5, "keys": 10}
"""How many of the texts a page must show at least, where it is made to show what others wrote."""


def opened(page: Any, watched: Any) -> None:
    """Open what a visitor would: tabs, first rows; after each nothing may have run."""
    assert watched.found(page) == []
    for what in ('main [role="tab"]', "main details > summary", "main .tabulator-row"):
        for number in range(min(PANELS, page.locator(what).count())):
            one = page.locator(what).nth(number)
            if one.is_visible():
                one.click(timeout=3_000, position={"x": 8, "y": 8})
                page.wait_for_selector("main[data-ready]")
                assert watched.found(page) == [], f"{what} {number}"
            if page.locator("dialog[open]").count():
                page.keyboard.press("Escape")


def item_of(besieged: Any, number: int) -> str:
    return f"x{number:03} {besieged.texts[number]}" if number % 5 == 0 else f"x{number:03}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_text_in_every_place_of_the_storefront(watched: Any, besieged: Any) -> None:
    page = watched.open()
    for number, text in enumerate(besieged.texts):
        each = quote(text, safe="")
        addresses = (
            f"/item/{quote(item_of(besieged, number), safe='')}",
            f"/search?q={each}&f.{each}={each}&f.brand={each}&n={each}",
            f"/search?q=besieged+{number // 3}",
        )
        for to in addresses:
            page.goto(f"{besieged.url}{to}")
            page.wait_for_selector("main[data-ready]")
            assert watched.found(page) == [], text


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("path", CONSOLE)
def test_every_text_in_every_address_of_the_console(watched: Any, besieged: Any, seat: Any, path: str) -> None:
    for text in besieged.texts:
        seat.goto(f"{besieged.url}/console/{path}?{urlencode(dict.fromkeys(NAMES, text))}")
        seat.wait_for_selector("main[data-ready]")
        assert watched.found(seat) == [], text
