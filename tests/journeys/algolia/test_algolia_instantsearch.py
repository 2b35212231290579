"""The stock InstantSearch from npm on a learned shop: what a person sees while typing, ticking, sliding and paging."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from bodega.schema import Item, Request

pytestmark = pytest.mark.browser


def shown(page: Any) -> list[str]:
    """Ids of the hits on the page, in their order."""
    ids: list[str] = page.locator("[data-item]").evaluate_all("all => all.map(each => each.dataset.item)")
    return ids


def found(page: Any) -> int:
    """How many results the page says there are."""
    said = re.match(r"([\d,]+|No) results?", page.inner_text("#stats"))
    assert said is not None
    return 0 if said[1] == "No" else int(said[1].replace(",", ""))


def says(page: Any, count: int) -> None:
    """Wait until the page says that there are so many results."""
    from playwright.sync_api import expect

    words = "No results" if count == 0 else f"{count:,} result"
    expect(page.locator("#stats")).to_contain_text(re.compile(rf"^\s*{words}"))


def listed(page: Any, place: str) -> dict[str, int]:
    """The values of a list of facets with their counts."""
    rows = page.locator(f"{place} li label, {place} li a").evaluate_all(
        """all => all.map(each => [
            each.querySelector("[class$=labelText], [class$=-label]").innerText,
            each.querySelector("[class$=-count]").innerText,
        ])"""
    )
    return {name.strip(): int(count) for name, count in rows}


def products(items: Iterable[Item]) -> int:
    """Rows of a page: variants of one product are one."""
    return len({item.group or item.id for item in items})


def test_the_first_page_counts_the_whole_shop(visit: Any, site: Any) -> None:
    page = visit()
    items = list(site.items.values())
    says(page, products(items))
    assert len(shown(page)) == 12
    roots = Counter[str]()
    for root in {item.category[0] for item in items}:
        roots[root] = products(item for item in items if item.category[0] == root)
    assert listed(page, "#categories") == dict(roots)
    for brand, count in listed(page, "#brands").items():
        assert count == products(item for item in items if item.brand == brand), brand


def test_results_follow_every_letter_and_show_what_was_found(visit: Any, site: Any) -> None:
    from playwright.sync_api import expect

    page = visit()
    before = shown(page)
    word = site.world.truth.kinds[0]
    page.locator("#searchbox input").press_sequentially(word[:4], delay=30)
    # The beginning is marked, not the word; answers to fewer letters may be on the page for a moment.
    expect(page.locator("#hits mark").first).to_have_text(re.compile(f"^{word[:4]}$", re.I))
    assert shown(page) != before
    page.locator("#searchbox input").press_sequentially(word[4:], delay=30)
    expect(page.locator("#hits mark").first).to_have_text(re.compile(f"^{word[:-1]}", re.I))
    wanted = site.shop.search(word, k=12)
    says(page, wanted.total)
    assert shown(page) == wanted.ids
    assert set(shown(page)) & set(site.world.truth.of_kind(word)), "the right kind of thing is found"
    page.fill("#searchbox input", "zzqqxx")
    expect(page.locator("#hits")).to_contain_text("Nothing was found for")


def test_ticking_brands_narrows_and_the_counts_were_right(visit: Any, site: Any) -> None:
    from playwright.sync_api import expect

    page = visit()
    before = listed(page, "#brands")
    first, second = list(before)[:2]
    page.locator("#brands li", has_text=first).locator("input").check()
    says(page, before[first])
    assert {site.items[each].brand for each in shown(page)} == {first}
    assert listed(page, "#brands") == before, "choosing one brand does not hide the others"
    page.locator("#brands li", has_text=second).locator("input").check()
    says(page, before[first] + before[second])
    tree = listed(page, "#categories")
    assert sum(tree.values()) == before[first] + before[second], "other lists are narrowed"
    page.locator("#chosen button").click()
    says(page, products(site.items.values()))
    expect(page.locator("#brands input:checked")).to_have_count(0)


def test_brands_can_be_searched(visit: Any, site: Any) -> None:
    from playwright.sync_api import expect

    page = visit()
    brand = list(listed(page, "#brands"))[-1]
    page.fill("#brands input[type=search]", brand[:3].lower())
    expect(page.locator("#brands mark").first).to_have_text(brand[:3])
    assert brand in listed(page, "#brands")
    page.fill("#brands input[type=search]", "zzqqxx")
    expect(page.locator("#brands li")).to_have_count(0)


def test_the_price_slider_knows_the_span_and_cuts_it(visit: Any, site: Any, until: Any) -> None:
    page = visit()
    prices = {each: item.price for each, item in site.items.items() if item.price is not None}
    low, high = page.locator("#price [role=slider]").first, page.locator("#price [role=slider]").last
    assert int(low.get_attribute("aria-valuenow")) == int(min(prices.values()))
    assert int(high.get_attribute("aria-valuenow")) == -(-max(prices.values()) // 1)

    def raised() -> bool:  # the widget is drawn anew when answers come, and then nothing has the focus
        low.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(200)
        return int(low.get_attribute("aria-valuenow")) > min(prices.values())

    assert until(raised)
    least = int(low.get_attribute("aria-valuenow"))
    assert least > min(prices.values())
    kept = [site.items[each] for each, price in prices.items() if price >= least]
    says(page, products(kept))
    assert all(prices[each] >= least for each in shown(page))
    assert int(high.get_attribute("aria-valuenow")) == -(-max(prices.values()) // 1), "its own cut leaves the span"


def test_the_tree_of_categories_opens_level_by_level(visit: Any, site: Any) -> None:
    from playwright.sync_api import expect

    page = visit()
    items = list(site.items.values())
    tops = listed(page, "#categories")
    root = max(tops, key=lambda name: tops[name])
    page.locator("#categories a", has_text=root).click()
    says(page, tops[root])
    below = {item.category[1] for item in items if item.category[0] == root}
    expect(page.locator("#categories .ais-HierarchicalMenu-list--child a")).to_have_count(len(below))
    opened = listed(page, "#categories")
    assert {name: opened[name] for name in tops} == tops, "the other branches stay"
    for name in below:
        assert opened[name] == products(item for item in items if item.category[:2] == (root, name))
    leaf = min(below)
    page.locator("#categories .ais-HierarchicalMenu-list--child a", has_text=leaf).click()
    says(page, opened[leaf])
    assert {site.items[each].category[:2] for each in shown(page)} == {(root, leaf)}
    assert listed(page, "#categories") == opened


def test_pages_hold_every_product_once(visit: Any, site: Any) -> None:
    from playwright.sync_api import expect

    page = visit()
    total, seen = found(page), shown(page)
    while page.locator(".ais-Pagination-item--nextPage:not(.ais-Pagination-item--disabled)").count():
        last = shown(page)
        page.locator(".ais-Pagination-item--nextPage a").click()
        expect(page.locator("[data-item]").first).not_to_have_attribute("data-item", last[0])
        seen += shown(page)
    assert len(seen) == len(set(seen)) == total == products(site.items.values())


def test_sorting_is_by_price(visit: Any, site: Any) -> None:
    page = visit()
    for label, direction in (("Price, low to high", 1), ("Price, high to low", -1)):
        page.locator("#sort select").select_option(label=label)
        index = page.locator("#sort select").input_value()
        wanted = site.shop.answer(
            Request(place="category", k=12, sort="price_up" if direction == 1 else "price_down", personal=False)
        ).ids
        page.wait_for_function(
            "wanted => [...document.querySelectorAll('[data-item]')].map(e => e.dataset.item).join() === wanted",
            arg=",".join(wanted),
        )
        prices = [site.items[each].price for each in shown(page) if site.items[each].available]
        assert prices == sorted(prices, key=lambda price: price * direction), index


def test_the_endless_list_ends_with_everything_shown_once(visit: Any, site: Any) -> None:
    from playwright.sync_api import expect

    page = visit("/?endless")
    total = found(page)
    more = page.locator(".ais-InfiniteHits-loadMore:not([disabled])")
    while more.count():
        before = len(shown(page))
        more.click()
        expect(page.locator("[data-item]")).to_have_count(min(before + 12, total))
    ids = shown(page)
    assert len(ids) == len(set(ids)) == total


def test_a_click_is_an_event_of_the_shop(visit: Any, site: Any) -> None:
    page = visit()
    word = site.world.truth.kinds[1]
    page.fill("#searchbox input", word)
    says(page, site.shop.search(word, k=1).total)
    second = shown(page)[1]
    page.locator(f'[data-item="{second}"]').click()
    token = next(each["value"] for each in page.context.cookies() if each["name"] == "_ALGOLIA")
    assert token.startswith("anonymous-")
    deadline = time.monotonic() + 8
    clicks: list[Any] = []
    while not clicks and time.monotonic() < deadline:
        page.wait_for_timeout(100)
        events = site.shop.stores.events.recent(user="", session=token, limit=100)
        clicks = [each for each in events if each.type == "click"]
    (click,) = clicks
    assert (click.item, click.position, click.query) == (second, 1, word)
    assert click.request_id
    kinds = {each.type.value for each in site.shop.stores.events.recent(user="", session=token, limit=100)}
    assert {"click", "search", "impression"} <= kinds


def test_a_hostile_title_is_only_text(visit: Any, site: Any) -> None:
    title = "<img src=x onerror=\"document.title='fired'\"> xylograph & <b>co</b>"
    site.shop.catalog.upsert([Item(id="hostile", title=title, brand="Evil <script>", price=1.0, currency="USD")])
    try:
        page = visit()
        page.fill("#searchbox input", "xylograph")
        page.wait_for_selector('[data-item="hostile"]')
        assert page.locator('[data-item="hostile"] strong').inner_text() == title
        assert page.locator("#hits mark").inner_text() == "xylograph"
        assert page.locator("#hits img").count() == 0
        assert page.title() == "Shop"
    finally:
        site.shop.catalog.delete(["hostile"])
