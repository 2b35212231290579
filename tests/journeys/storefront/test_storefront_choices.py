"""What visitors decide: which variant, not this one (and back), on and on, nothing personal, what is kept, its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser


def expect(thing: Any) -> Any:
    from playwright.sync_api import expect as really

    return really(thing)


def events(shop: Any, kind: str) -> list[dict[str, Any]]:
    return [event for event in shop.events if event["type"] == kind]


def shirts(shop: Any) -> None:
    """Three shirts of one product, the last sold out."""
    for number, (size, colour) in enumerate((("M", "Red"), ("L", "Red"), ("L", "Blue"))):
        shirt = {"id": f"v{number}", "title": f"Shirt {size} {colour}", "group": "shirt", "price": 20.0 + number,
                 "currency": "USD", "options": {"size": size, "color": colour}, "category": ["Shirts"]}  # fmt: skip
        shop.items.append(shirt | ({"availability": "out_of_stock"} if number == 2 else {}))


def test_variants_are_chosen_on_the_page_of_a_product(visit: Any, site: str, shop: Any) -> None:
    shirts(shop)
    page = visit(f"{site}/item/v0")
    size, colour = page.locator(".axis").nth(0), page.locator(".axis").nth(1)
    expect(size.locator("legend")).to_have_text("Size: M")
    expect(size.get_by_role("button", name="M")).to_have_attribute("aria-pressed", "true")
    size.get_by_role("button", name="L").click()
    expect(page.locator("h1")).to_have_text("Shirt L Red")
    assert page.url.endswith("/item/v1")
    expect(colour.get_by_role("button", name="Blue")).to_have_class("value other")  # sold out, and offered as such
    colour.get_by_role("button", name="Blue").click()
    expect(page.locator("h1")).to_have_text("Shirt L Blue")
    expect(page.locator(".buy .button")).to_be_disabled()


def test_variants_are_chosen_on_a_card_by_keyboard(visit: Any, site: str, shop: Any, until: Any) -> None:
    shirts(shop)
    page = visit(f"{site}/search?q=shirt+m")
    button = page.get_by_role("button", name="Choose a variant: Shirt M Red")
    button.focus()
    page.keyboard.press("Enter")
    panel = page.locator("#variant-panel")
    expect(panel.locator(".variant-row")).to_have_count(3)
    panel.get_by_role("button", name="Add to basket: Shirt L Red, L, Red").press("Enter")
    (cart,) = until(lambda: events(shop, "cart"))
    assert (cart["item"], cart["place"], cart["request_id"][0]) == ("v1", "search", "r")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(button).to_be_focused()


def test_not_interested_can_be_undone_and_then_never_was(visit: Any, site: str, shop: Any, until: Any) -> None:
    page = visit(f"{site}/search?q=milk")
    cards = page.locator("#results .card")
    before = cards.evaluate_all("all => all.map((card) => card.dataset.item)")
    cards.nth(1).locator(".away").click(force=True)
    expect(cards).to_have_count(len(before) - 1)
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(cards).to_have_count(len(before))
    assert cards.evaluate_all("all => all.map((card) => card.dataset.item)") == before
    page.goto(f"{site}/basket")
    page.goto(f"{site}/search?q=milk")
    expect(cards).to_have_count(len(before))
    assert events(shop, "dismiss") == []
    cards.first.locator(".away").click(force=True)
    page.goto(f"{site}/search?q=milk")
    expect(cards).to_have_count(len(before) - 1)
    assert [event["item"] for event in until(lambda: events(shop, "dismiss"))] == before[:1]


def test_a_list_goes_on_by_itself_then_waits_and_is_found_again(visit: Any, site: str, shop: Any, became: Any) -> None:
    shop.items += [{**shop.items[0], "id": f"m{n}", "title": f"More {n}"} for n in range(150)]
    page = visit(f"{site}/search")
    cards = page.locator("#results .card")
    expect(cards).to_have_count(24)
    for count in (48, 72, 96):
        page.mouse.wheel(0, 20_000)
        expect(cards).to_have_count(count)
    page.mouse.wheel(0, 20_000)
    expect(page.locator("footer a")).to_be_in_viewport()  # three times by itself, then the foot is reached
    assert page.url.endswith("n=96")
    link = page.locator("#more")
    assert "n=120" in str(link.get_attribute("href"))
    link.focus()
    page.keyboard.press("Enter")
    expect(cards).to_have_count(120)
    expect(cards.nth(96).locator("a")).to_be_focused()
    cards.nth(100).scroll_into_view_if_needed()
    there = page.evaluate("scrollY")
    cards.nth(100).locator(".title a").click()
    expect(page.locator(".product")).to_be_visible()
    page.go_back()
    expect(cards).to_have_count(120)
    became(page, f"Math.abs(scrollY - {there}) < 40")


def test_sorted_by_what_the_shop_knows(visit: Any, site: str, shop: Any, until: Any) -> None:
    shop.sorts = ["relevance", "price_up", "-rating"]
    page = visit(f"{site}/search?q=milk")
    chooser = page.get_by_label("Sort by")
    assert chooser.locator("option").all_inner_texts() == ["Best match", "Price, low to high", "Best rated"]
    chooser.select_option("-rating")
    asked = until(lambda: [ask for path, ask in shop.asked if path == "search" and ask.get("sort_by")])
    assert asked[-1]["sort_by"] == "-rating"
    assert "sort" not in asked[-1]
    assert "sort=-rating" in page.url


def test_rails_say_why_and_what_led_somewhere_gets_the_merit(visit: Any, site: str, shop: Any, until: Any) -> None:
    shop.related["p29"] = {"complement": ["p30"], "accessory": ["p31"], "upgrade": ["p33"], "related": []}
    page = visit(site)
    card = page.locator('[data-list="trending"] .card').nth(1)
    item = card.get_attribute("data-item")
    card.locator(".title a").click()
    page.locator(".buy .button").click()
    (click,), (cart,) = until(lambda: events(shop, "click")), until(lambda: events(shop, "cart"))
    expected = {"place": "trending", "position": click["position"], "request_id": click["request_id"]}
    assert {name: cart[name] for name in expected} == expected
    page.goto(f"{site}/item/p29")
    page.wait_for_selector("main[data-ready]")
    shown = {name: page.locator(f'[data-list="{name}"] .card').evaluate_all("all => all.map((c) => c.dataset.item)")
             for name in ("goes_with", "upgrade")}  # fmt: skip
    assert shown == {"goes_with": ["p30", "p31"], "upgrade": ["p33"]}
    expect(page.locator('[data-list="linked"]')).to_be_hidden()
    for rail in ("goes_with", "upgrade", "similar", "together"):
        assert len(page.locator(f'[data-list="{rail}"] .shelf-head p').inner_text()) > 10
    page.goto(site)
    page.wait_for_selector("main[data-ready]")
    because = page.locator('[data-list="because"]')
    expect(because.locator("h2")).to_have_text("Because you looked at Spaghetti No. 5 16\u00a0oz")
    page.click("#basket")
    expect(page.locator('[data-list="recent"] h2')).to_have_text("You looked at these")
    page.get_by_role("button", name="Check out").click()
    (bought,) = until(lambda: events(shop, "purchase"))
    assert bought["item"] == item
    assert {name: bought[name] for name in expected} == expected


def test_the_whole_shop_without_personalisation_remembered(visit: Any, site: str, shop: Any, until: Any) -> None:
    page = visit(site)
    page.get_by_role("button", name="Show me this shop without personalisation").click()
    expect(page.locator("#impersonal-line")).to_contain_text("You see this shop without personalisation")
    expect(page.locator('[data-list="home"] h2')).to_have_text("Worth a look")
    shop.asked.clear()
    page.goto(f"{site}/search?q=milk")
    expect(page.locator("#impersonal-line")).to_be_visible()
    asked = [ask for path, ask in shop.asked if path == "search"]
    assert {ask["personal"] for ask in asked} == {False}
    page.locator("#impersonal-line").get_by_role("button", name="Show me personal lists again").click()
    expect(page.locator("#impersonal-line")).to_be_hidden()
    assert until(lambda: [ask for path, ask in shop.asked if path == "search" and ask["personal"]])


def test_purposes_are_said_kept_shown_and_erased_with_a_receipt(
    visit: Any, site: str, shop: Any, tmp_path: Path, until: Any
) -> None:
    page = visit(f"{site}/item/p3")
    page.locator("footer").get_by_role("link", name="Privacy choices").click()
    learning = page.get_by_role("switch", name="Learning for everybody")
    expect(learning).to_be_checked()
    learning.click()
    until(lambda: shop.consent)
    assert shop.consent == {"learning": False}
    page.reload()
    expect(learning).not_to_be_checked()
    page.get_by_role("button", name="Show me", exact=True).click()
    expect(page.locator(".kept li").first).to_contain_text("p3")
    with page.expect_download() as loading:
        page.get_by_role("button", name="Download everything").click()
    kept = json.loads(Path(loading.value.path()).read_text("utf-8"))
    assert "p3" in {event["item"] for event in kept["events"]}
    page.get_by_role("button", name="Forget this visit").click()
    dialog = page.get_by_role("dialog", name="Forget everything of this visit?")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert shop.erased == []
    page.get_by_role("button", name="Forget this visit").click()
    dialog.get_by_role("button", name="Erase it").click()
    expect(page.locator(".receipt")).to_contain_text("receipt-1")
    expect(page.locator(".receipt h2")).to_be_focused()
    assert len(shop.erased) == 1
    session = page.evaluate("JSON.parse(localStorage.getItem('bodega.session'))")
    assert shop.erased[0] != f"token of {session}", "whoever comes back is somebody new"


def test_the_browsers_own_signal_is_honoured_and_said(visit: Any, site: str, shop: Any, until: Any) -> None:
    shop.gpc = True
    page = visit(f"{site}/privacy", extra_http_headers={"Sec-GPC": "1"})
    expect(page.locator("#gpc")).to_contain_text("Global Privacy Control")
    switches = page.get_by_role("switch")
    expect(switches.nth(0)).not_to_be_checked()
    switches.nth(0).click()
    until(lambda: shop.consent)
    assert shop.consent == {"personalisation": True}, "only what is expressly said"


def test_tokens_are_only_for_visits_as_the_pages_make_them(visit: Any, site: str) -> None:
    visit.tabs.allowed = ("404",)
    page = visit(f"{site}/privacy")
    ask = """(session) => fetch('/storefront/token', {method: 'POST', headers: {'Content-Type': 'application/json'},
        body: JSON.stringify({session})}).then((answer) => answer.status)"""
    told = [page.evaluate(ask, name) for name in ("s-" + "0" * 24, "u42", "", 7, "s-" + "0" * 23)]
    assert told == [200, 404, 404, 404, 404]
