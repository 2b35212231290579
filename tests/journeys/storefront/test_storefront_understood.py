"""The page says how a question was read, and every reading can be taken back: corrections, conditions, relaxed
searches, banners, redirects, related queries; and long facets, prices and categories are narrowed by keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser
PRICE = {"kind": "price", "text": "under 3", "start": 5, "end": 12, "field": "price", "high": 3.0, "hard": True}
NOT = {"kind": "not", "text": "no oats", "start": 13, "end": 20, "values": ["oat"], "hard": True, "excludes": True}


def expect(thing: Any) -> Any:
    from playwright.sync_api import expect as really

    return really(thing)


def asked(shop: Any, path: str) -> list[dict[str, Any]]:
    return [ask for name, ask in shop.asked if name == path]


def focus(page: Any) -> str:
    key: str = page.evaluate("document.activeElement.dataset.key || document.activeElement.tagName")
    return key


def test_a_correction_is_told_and_undone(visit: Any, site: str, shop: Any) -> None:
    page = visit(f"{site}/search?q=mlik&f.brand=Happy%20Cow&sort=price_up&n=48")
    expect(page.locator("#corrected strong")).to_have_text("milk")
    expect(page.locator("#live")).to_have_text("Nothing is called “mlik” here. Searched instead: milk. 1 product")
    page.get_by_role("link", name="Search for “mlik” exactly").click()
    expect(page.locator("#exact")).to_contain_text("Searched exactly for “mlik”.")
    assert [ask.get("verbatim") for ask in asked(shop, "search") if ask["query"]] == [None, True]
    assert page.url == f"{site}/search?q=mlik&exact=1&f.brand=Happy+Cow&sort=price_up", "filters and order stay"
    page.reload()
    page.get_by_role("link", name="Let the shop understand it").click()
    expect(page.locator("#corrected strong")).to_have_text("milk")
    assert "verbatim" not in [ask for ask in asked(shop, "search") if ask["query"]][-1]


def test_conditions_are_chips_that_take_their_words_away(visit: Any, site: str, shop: Any) -> None:
    shop.telling["milk under 3 no oats"] = {"understood": [PRICE, NOT, {"kind": "synonym", "text": "milk", "end": 4}]}
    shop.telling["milk no oats"] = {"understood": [{**NOT, "start": 5, "end": 12}]}
    page = visit(f"{site}/search?q=milk%20under%203%20no%20oats&f.organic=false")
    chips = page.get_by_role("group", name="Understood as").get_by_role("button")
    expect(chips).to_have_text(["up to $3.00", "without oat"])
    page.get_by_role("button", name="Do not narrow by: up to $3.00").focus()
    page.keyboard.press("Enter")
    expect(chips).to_have_text(["without oat"])
    assert page.url == f"{site}/search?q=milk+no+oats&f.organic=false"
    expect(page.locator("#q")).to_have_value("milk no oats")
    assert focus(page) == "H1", "who listens hears the new title"
    chips.click()
    expect(page.locator("#heard")).to_have_count(0)
    expect(page.locator("h1")).to_have_text("Results for “milk”")


@pytest.mark.parametrize(
    ("query", "meaning", "rest"),
    [
        ("😀 milk under 3", {"start": 7, "end": 14}, "😀 milk"),  # characters, not UTF-16 units
        ("Under 3, milk", {"start": 0, "end": 7}, "milk"),
        ("under 3", {"start": 0, "end": 7}, ""),
        ("牛奶，3元以下", {"text": "3元以下", "start": 3, "end": 7}, "牛奶"),
        ("other words", {"start": 0, "end": 7}, None),  # a rule replaced the query: positions mean nothing here
    ],
)
def test_which_words_go(visit: Any, site: str, shop: Any, query: str, meaning: Any, rest: str | None) -> None:
    shop.telling[query.lower()] = {"understood": [{**PRICE, **meaning}], "total": 0, "hits": []}
    page = visit(site)
    page.fill("#q", query)
    page.keyboard.press("Enter")
    expect(page.locator("#heard .chip")).to_have_text("up to $3.00")
    if rest is None:
        expect(page.locator("#heard button")).to_have_count(0)
        return
    page.locator("#heard button").click()
    expect(page.locator("#q")).to_have_value(rest)


def test_what_was_given_up_is_said(visit: Any, site: str, shop: Any) -> None:
    shop.telling["milk"] = {"relaxed": ["screen_size", "words: 1 of 2"]}
    page = visit(f"{site}/search?q=milk")
    expect(page.locator("#relaxed")).to_have_text(
        "Nothing fits all of it, so this was left out: Screen size. "
        "Few products hold all of your words; these hold at least 1 of 2."
    )
    expect(page.locator("#live")).to_contain_text("left out: Screen size.")
    shop.telling["milk"] = {"relaxed": ["words: fresh milk"]}
    page.goto(f"{site}/search?q=milk&lang=zh")
    expect(page.locator("#relaxed")).to_have_text("没有找到您的词语；以下是“fresh milk”的结果。")


def test_banners_and_redirects(visit: Any, site: str, shop: Any) -> None:
    shop.telling["milk"] = {
        "banners": [
            {"text": "Cheese <b>week</b>", "url": "/search?q=cheese"},
            {"text": "x", "url": "javascript:alert(1)"},
        ]
    }
    shop.telling["returns"] = {"redirect": "/basket"}
    page = visit(f"{site}/search?q=milk")
    expect(page.get_by_role("note").last.locator("a")).to_have_count(0)  # no address that is not http(s)
    page.get_by_role("note").first.get_by_role("link", name="Cheese <b>week</b>").click()
    expect(page.locator("h1")).to_have_text("Results for “cheese”")
    page.fill("#q", "returns")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Basket")
    assert page.url == f"{site}/basket"
    page.go_back()
    expect(page.locator("h1")).to_have_text("Results for “cheese”")  # the redirecting query is no stop on the way back
    page.goto(f"{site}/search?q=returns&exact=1")
    expect(page.locator("h1")).to_contain_text("“returns”")


def test_related_queries_start_anew(visit: Any, site: str, shop: Any) -> None:
    shop.telling["milk"] = {"related": ["oat drink", "butter"]}
    page = visit(f"{site}/search?q=milk&f.brand=Rex")
    links = page.get_by_role("navigation", name="People also search for").get_by_role("link")
    expect(links).to_have_text(["oat drink", "butter"])
    links.first.click()
    expect(page.locator("#total")).to_have_text("1 product")
    assert page.url == f"{site}/search?q=oat+drink"


def test_a_long_facet_is_searched(visit: Any, site: str, shop: Any, until: Any) -> None:
    page = visit(f"{site}/search?f.organic=false")
    facet = page.locator('[data-facet="brand"]')
    expect(page.locator('[data-facet="organic"] .facet-search')).to_have_count(0)  # two values need no search
    box = facet.get_by_role("searchbox", name="Search in Brand")
    first = facet.get_by_role("checkbox").first.get_attribute("data-value")
    box.fill("hill")
    expect(facet.get_by_role("checkbox")).to_have_count(1)
    assert asked(shop, "facets")[-1]["text"] == "hill"
    assert asked(shop, "facets")[-1]["filters"] == [{"field": "organic", "values": ["false"]}]
    expect(page.locator("#live")).to_have_text("1 value")
    box.fill("zzz")
    expect(facet).to_contain_text("Nothing here reads like “zzz”.")
    box.press("Escape")
    expect(facet.get_by_role("checkbox")).to_have_count(7)
    assert facet.get_by_role("checkbox").first.get_attribute("data-value") == first
    box.fill("hill")
    expect(facet.get_by_role("checkbox")).to_have_count(1)
    box.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Remove Brand: Kings Hill")).to_be_visible()
    until(lambda: focus(page) == "brand=Kings Hill")
    assert focus(page) == "brand=Kings Hill", "the focus stays on what was ticked"


def test_prices_by_slider_and_fields(visit: Any, site: str, shop: Any, until: Any) -> None:
    page = visit(f"{site}/search?q=a")
    facet = page.locator('[data-facet="price"]')
    drawn = facet.get_by_role("img")
    assert "$0.00 to $2.00: 13 products; $2.00 to $4.00: 20 products" in drawn.get_attribute("aria-label")
    heights = drawn.locator("i").evaluate_all("all => all.map(bar => bar.offsetHeight)")
    assert max(heights) == 52
    assert min(heights) >= 2
    upper = facet.get_by_role("slider", name="Upper end: Price")
    upper.focus()
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowLeft")
    value = float(upper.input_value())
    assert upper.get_attribute("aria-valuetext") == f"${value:,.2f}"
    expect(facet.get_by_label("Price to")).to_have_value(f"{value:g}")
    expect(page.get_by_role("button", name=f"Remove Price: up to ${value:,.2f}")).to_be_visible()  # applied by itself
    assert {"field": "price", "high": value} in asked(shop, "search")[-1]["filters"]
    until(lambda: focus(page) == "price slide high")
    assert focus(page) == "price slide high"
    page.keyboard.press("End")
    expect(page.locator(".chip", has_text="up to")).to_have_count(0)  # at its end the slider is no bound
    facet.get_by_label("Price from").fill("5")
    facet.get_by_label("Price to").fill("2")
    page.keyboard.press("Enter")
    expect(page.locator(".chip", has_text="$2.00 to $5.00")).to_be_visible()  # the wrong way round
    assert drawn.locator("i:not(.out)").count() == 2
    lower = facet.get_by_role("slider", name="Lower end: Price")
    lower.focus()
    page.keyboard.press("End")
    assert lower.input_value() == upper.input_value() == "5", "the ends do not pass each other"


def test_the_drawer_stays_open_while_choosing(visit: Any, site: str, shop: Any, until: Any) -> None:
    page = visit(f"{site}/search?q=a", width=390, height=844)
    page.get_by_role("button", name="Filters").click()
    drawer = page.get_by_role("dialog", name="Filters")
    drawer.get_by_role("checkbox", name="Aunt May").press("Space")
    expect(drawer.get_by_role("button", name="Show 5 products")).to_be_visible()
    until(lambda: focus(page) == "brand=Aunt May")
    assert focus(page) == "brand=Aunt May"
    drawer.get_by_role("button", name="Show 5 products").click()
    expect(drawer).to_have_count(0)
    expect(page.get_by_role("button", name="Filters (1)")).to_be_focused()
    page.get_by_role("button", name="Filters (1)").click()
    expect(drawer.get_by_role("checkbox", name="Aunt May")).to_be_checked()


def test_one_branch_is_unfolded(visit: Any, site: str) -> None:
    page = visit(f"{site}/search?q=milk")
    tree = page.locator('[data-facet="category"] .value span')
    assert "Dairy" in tree.all_inner_texts()
    page.goto(f"{site}/search?q=yogurt")
    expect(tree).to_have_text(["Dairy", "Yogurt"])


def test_suggestions_are_asked_for_by_somebody(visit: Any, site: str, shop: Any, until: Any) -> None:
    page = visit(f"{site}/?user=household-17")
    page.fill("#q", "mil")
    expect(page.locator(".option").first).to_be_visible()
    last = asked(shop, "suggest")[-1]
    assert last["user"] == "household-17"
    assert last["session"] == page.evaluate("JSON.parse(localStorage.getItem('bodega.session'))")
    assert last["personal"] == "true"
    page.click("#you")
    page.get_by_role("switch").uncheck()
    page.keyboard.press("Escape")
    page.fill("#q", "milk")
    until(lambda: asked(shop, "suggest")[-1]["q"] == "milk")
    assert asked(shop, "suggest")[-1]["personal"] == "false"


def test_children_in_lists_in_lists(visit: Any, site: str) -> None:
    """`h()` takes what `reading()` returns: lists in lists, with holes."""
    page = visit(site)
    text = page.evaluate(
        """async () => { const {h} = await import([...document.querySelectorAll('link[rel=modulepreload]')]
            .find((link) => link.href.endsWith('/dom.js')).href);
            return h('p', {}, 'a', [['b', [null, [h('b', {}, '<i>')]]], false], undefined, 0, '').outerHTML; }"""
    )
    assert text == "<p>ab<b>&lt;i&gt;</b></p>"
