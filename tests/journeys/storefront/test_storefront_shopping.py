"""A visitor shops: every page of the storefront in a real Chromium, over a fake shop that remembers what was asked."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytestmark = pytest.mark.browser
WIDTHS = pytest.mark.parametrize("width", [pytest.param(390, marks=pytest.mark.slow), 1280])


def expect(thing: Any) -> Any:
    from playwright.sync_api import expect as really

    return really(thing)


def shelf(page: Any, name: str) -> Any:
    return page.locator(f'[data-list="{name}"]')


def ids(cards: Any) -> list[str]:
    return cards.evaluate_all("all => all.map(card => card.dataset.item)")


def events(shop: Any, kind: str) -> list[dict[str, Any]]:
    return [event for event in shop.events if event["type"] == kind]


def asked(shop: Any, path: str) -> list[dict[str, Any]]:
    return [ask for name, ask in shop.asked if name == path]


@WIDTHS
def test_home_shows_lists_that_say_why(visit: Any, site: str, shop: Any, width: int) -> None:
    page = visit(site, width=width)
    for name, title in (("home", "Picked for you"), ("trending", "Trending now"), ("popular", "Popular in this shop")):
        expect(shelf(page, name).locator("h2")).to_have_text(title)
        assert len(shelf(page, name).locator(".shelf-head p").inner_text()) > 10
        assert shelf(page, name).locator(".card").count() >= 5
    expect(shelf(page, "repeat")).to_be_hidden()  # a guest has bought nothing
    assert "do not know you" in shelf(page, "home").locator(".shelf-head p").inner_text()
    assert page.locator(".card .why-button").count() == page.locator(".card").count()
    above, below = ids(shelf(page, "home").locator(".card")), ids(shelf(page, "popular").locator(".card"))
    assert not set(above) & set(below), "a product shown above is repeated below"
    assert page.locator("a.department").count() >= 8


@WIDTHS
def test_the_very_next_list_knows_the_click(visit: Any, site: str, shop: Any, width: int, until: Any) -> None:
    page = visit(site, width=width)
    before = ids(shelf(page, "home").locator(".card"))
    shop.slow_events = 0.9
    shelf(page, "trending").locator('[data-item="p24"] .title a').click()
    expect(page.locator("h1")).to_have_text("Sirloin Steak 1\u00a0lb")
    page.go_back()
    expect(shelf(page, "home").locator(".trail .pic").first).to_be_visible()
    after = ids(shelf(page, "home").locator(".card"))
    assert before != after
    assert after[0] in ("p25", "p26"), "meat comes first now"
    expect(shelf(page, "home").locator(".flag", has_text="New for you").first).to_be_visible()
    click = events(shop, "click")[0]
    assert click["item"] == "p24"
    assert click["place"] == "trending"
    assert click["session"].startswith("s-")
    assert click["request_id"].startswith("r")
    assert until(lambda: events(shop, "view"))[0]["item"] == "p24"
    page.click("#you")
    expect(page.locator("#you-panel .seen")).to_have_count(1)


def test_impressions_are_only_what_was_seen(visit: Any, site: str, shop: Any) -> None:
    page = visit(site, width=1280, height=700)
    page.wait_for_timeout(2200)
    seen = {event["item"] for event in events(shop, "impression")}
    shown = ids(shelf(page, "home").locator(".card"))
    assert set(shown[:5]) <= seen
    assert not set(shown[8:]) & seen, "cards scrolled out of sight were counted"
    keys = [ask["headers"].get("authorization") for ask in asked(shop, "events")]
    assert keys
    assert set(keys) == {"Bearer bodega_test_key"}


def test_search_box_by_keyboard(visit: Any, site: str, shop: Any, until: Any) -> None:
    page = visit(site)
    page.keyboard.press("/")
    box = page.locator("#q")
    expect(box).to_be_focused()
    page.keyboard.type("choc")
    options = page.locator('#suggestions [role="option"]')
    expect(options.first).to_be_visible()
    expect(box).to_have_attribute("aria-expanded", "true")
    expect(options.first.locator("mark")).to_have_text("choc")
    page.keyboard.press("ArrowDown")
    active = box.get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    assert box.input_value() == "chocolate"
    page.keyboard.press("ArrowUp")
    assert box.input_value() == "choc", "back in the field stands what was typed"
    page.keyboard.press("Escape")
    expect(page.locator("#suggestions")).to_be_hidden()
    expect(box).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Results for “choc”")
    assert page.url.endswith("/search?q=choc")
    assert until(lambda: events(shop, "search"))[0]["query"] == "choc"
    box.fill("")
    box.blur()
    box.focus()
    expect(options).to_have_text(["choc"])  # the search just made


def test_suggestions_lead_to_products_and_categories(visit: Any, site: str) -> None:
    page = visit(site)
    page.fill("#q", "chocolate")
    page.locator('[role="option"]', has_text="Dark Chocolate").click()
    expect(page.locator("h1")).to_have_text("Dark Chocolate 70% 100\u00a0g")
    page.fill("#q", "chocolate")
    page.locator('[role="option"]', has_text="Category").click()
    expect(page.locator("h1")).to_have_text("Results for “Chocolate”")
    assert page.url.endswith("/search?q=Chocolate")


def test_facets_widen_within_and_narrow_across(visit: Any, site: str, shop: Any) -> None:
    page = visit(f"{site}/search?q=a")
    total = page.locator("#total")
    everything = total.inner_text()
    page.get_by_role("checkbox", name="Green Valley").check()
    expect(total).to_have_text("10 products")
    page.get_by_role("checkbox", name="Aunt May").check()
    expect(total).to_have_text("15 products")  # disjunctive: the other brands stay and this one adds
    assert asked(shop, "search")[-1]["filters"] == [{"field": "brand", "values": ["Green Valley", "Aunt May"]}]
    page.get_by_label("Price to").fill("2")
    page.keyboard.press("Enter")
    expect(page.locator(".chip", has_text="up to $2.00")).to_be_visible()
    assert {"field": "price", "high": 2} in asked(shop, "search")[-1]["filters"]
    deep = page.url
    page.get_by_role("button", name="Remove Brand: Green Valley").click()
    expect(page.locator(".chip")).to_have_count(2)
    page.go_back()
    expect(page.get_by_role("checkbox", name="Green Valley")).to_be_checked()
    page.goto(deep)
    expect(page.get_by_role("checkbox", name="Aunt May")).to_be_checked()
    page.get_by_role("button", name="Clear all").click()
    expect(total).to_have_text(everything)


def test_attributes_of_the_catalog_become_facets(visit: Any, site: str) -> None:
    page = visit(f"{site}/search?q=milk")
    expect(page.locator('[data-facet="organic"] legend')).to_have_text("Organic")
    page.locator('[data-facet="organic"]').get_by_label("Yes").check()
    expect(page.locator("#total")).to_have_text("1 product")


def test_categories_unfold_as_a_tree(visit: Any, site: str) -> None:
    page = visit(f"{site}/search")
    page.get_by_role("checkbox", name=re.compile("^Dairy")).check()
    expect(page.locator("#total")).to_have_text("10 products")
    page.get_by_role("checkbox", name="Cheese").check()
    expect(page.locator("#total")).to_have_text("2 products")
    assert "Dairy+%3E+Cheese" in page.url


def test_sort_and_show_more_keep_the_address(visit: Any, site: str) -> None:
    page = visit(f"{site}/search")
    cards = page.locator("#results .card")
    expect(cards).to_have_count(24)
    page.locator("#more").focus()  # a mouse would scroll there first, and scrolling brings a step by itself
    page.keyboard.press("Enter")
    expect(cards).to_have_count(48)
    expect(page.locator("#results .card:focus-within")).to_have_attribute("data-item", ids(cards)[24])
    page.reload()
    expect(cards).to_have_count(48)
    page.get_by_label("Sort by").select_option("price_up")
    expect(page.locator("#results .price").first).to_have_text("$0.59")
    page.reload()
    expect(page.locator("#results .price").first).to_have_text("$0.59")


def test_filters_on_a_phone_are_a_drawer(visit: Any, site: str) -> None:
    page = visit(f"{site}/search?q=c", width=390, height=844)
    expect(page.locator(".results > .facets")).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    drawer = page.get_by_role("dialog", name="Filters")
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    drawer.get_by_role("checkbox", name="Aunt May").click()
    expect(page.locator(".chip", has_text="Aunt May")).to_be_visible()
    expect(page.locator("#total")).to_have_text("4 products")


def test_typo_and_nothing_found(visit: Any, site: str) -> None:
    page = visit(f"{site}/search?q=mlik")
    expect(page.locator(".notice")).to_contain_text("Nothing is called “mlik” here. Searched instead: milk.")
    page.goto(f"{site}/search?q=unobtainium")
    expect(page.locator("h1")).to_have_text("Nothing found for “unobtainium”")
    expect(page.locator("a.department").first).to_be_visible()
    assert shelf(page, "popular").locator(".card").count() >= 6
    page.goto(f"{site}/search?q=milk&f.brand=Rex")
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#total")).to_have_text("3 products")


@WIDTHS
def test_why_this_and_not_interested(visit: Any, site: str, shop: Any, width: int, until: Any) -> None:
    page = visit(site, width=width)
    home = shelf(page, "home")
    first = ids(home.locator(".card"))[0]
    button = home.locator(".why-button").first
    button.focus()
    page.keyboard.press("Enter")
    panel = page.locator("#why-panel")
    expect(panel).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")  # told by an event after the panel opened
    assert panel.locator(".reason .share").all_inner_texts() == ["60%", "25%", "15%"]
    widths = panel.locator(".meter i").evaluate_all(
        "all => all.map(bar => bar.offsetWidth / bar.parentElement.offsetWidth)"
    )
    assert widths == pytest.approx([0.6, 0.25, 0.15], abs=0.02)
    box = panel.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-expanded", "false")
    button.click()
    panel.get_by_role("button", name="Not interested").click()
    expect(home.locator(f'[data-item="{first}"]')).to_have_count(0)
    assert events(shop, "dismiss") == [], "there is a way back for some seconds"
    assert home.locator(".card").count() >= 5
    assert page.evaluate("document.activeElement.closest('[data-list]')?.dataset.list") == "home"
    expect(page.locator("#live")).to_contain_text("will not be shown again")
    page.goto(f"{site}/basket")
    (told,) = until(lambda: events(shop, "dismiss"))
    assert (told["item"], told["place"], told["position"], told["request_id"][0]) == (first, "home", 0, "r")


@WIDTHS
def test_product_basket_and_check_out(visit: Any, site: str, shop: Any, width: int, until: Any) -> None:
    page = visit(f"{site}/item/p29", width=width)
    expect(page).to_have_title("Spaghetti No. 5 16\u00a0oz · Corner Bodega")
    expect(page.locator(".facts .price")).to_have_text("$1.59")
    expect(page.locator(".attributes")).to_contain_text("16 oz")
    for name in ("similar", "together"):
        assert shelf(page, name).locator(".card").count() >= 5
    page.get_by_role("button", name="One more: Spaghetti").click()
    page.get_by_role("button", name="Add to basket", exact=True).click()
    expect(page.locator("#basket-count")).to_have_text("2")
    until(lambda: events(shop, "cart"))
    assert events(shop, "cart")[0] | {"id": "", "time": "", "session": ""} == {
        "type": "cart", "item": "p29", "quantity": 2, "price": 1.59, "currency": "USD", "place": "item",
        "channel": "web", "id": "", "time": "", "session": "",
    }  # fmt: skip
    page.click("#basket")
    expect(page.locator(".sum .total .price")).to_have_text("$3.18")
    expect(shelf(page, "basket").locator("h2")).to_have_text("Complete your basket")
    assert until(lambda: asked(shop, "recommend/basket"))[-1]["items"] == ["p29"]
    shelf(page, "basket").locator(".add").first.click()
    expect(page.locator(".line")).to_have_count(2)
    page.locator(".line").nth(1).get_by_role("button", name=re.compile("^One less")).click()
    expect(page.locator(".line")).to_have_count(1)
    page.reload()
    expect(page.locator(".line")).to_have_count(1)
    page.get_by_role("button", name="Check out").click()
    expect(page.locator(".ordered h2")).to_have_text("Thank you for your order.")
    expect(page.locator(".ordered li")).to_have_text(re.compile("^2 × Spaghetti"))
    bought = until(lambda: events(shop, "purchase"))
    assert [(event["item"], event["quantity"]) for event in bought] == [("p29", 2)]


def test_who_checks_out_before_the_lists_below_came_sees_it_done(visit: Any, site: str, shop: Any, until: Any) -> None:
    page = visit(f"{site}/item/p29")
    page.get_by_role("button", name="Add to basket", exact=True).click()
    expect(page.locator("#basket-count")).to_have_text("1")
    shop.late = True
    page.click("#basket")
    expect(page.locator(".line")).to_have_count(1)
    assert until(lambda: shop.waited), "no list was waited for"
    page.get_by_role("button", name="Check out").click()
    expect(page.locator(".ordered h2")).to_be_focused()
    shop.late = False
    expect(shelf(page, "popular").locator(".card").first).to_be_visible()
    expect(page.locator(".ordered h2")).to_be_focused()


def test_an_empty_basket_shows_what_is_popular(visit: Any, site: str, shop: Any) -> None:
    page = visit(f"{site}/basket")
    expect(page.locator(".empty h2")).to_be_visible()
    expect(shelf(page, "popular").locator(".card").first).to_be_visible()
    assert len(asked(shop, "recommend/popular")) == 1


def test_lists_that_come_late_take_neither_the_focus_nor_the_place(
    visit: Any, site: str, shop: Any, until: Any, became: Any
) -> None:
    page = visit(f"{site}/search?q=spaghetti", height=400)
    before = page.evaluate("document.querySelector('main').dataset.ready")
    shop.late = True
    page.locator("#results .title a").first.click()
    button = page.locator(".buy .button")
    button.focus()
    assert until(lambda: shop.waited), "no list was waited for"
    page.mouse.move(200, 200)
    page.mouse.wheel(0, 100)
    became(page, "scrollY > 60")
    assert page.evaluate("document.querySelector('main').dataset.ready") == before, "arrived before its lists"
    shop.late = False
    became(page, f"document.querySelector('main').dataset.ready !== '{before}'")
    expect(button).to_be_focused()
    assert page.evaluate("scrollY") > 60


def test_sold_out_and_missing_products(visit: Any, site: str) -> None:
    visit.tabs.allowed = ("404",)
    page = visit(f"{site}/item/p5")
    expect(page.locator(".stock")).to_have_text("Sold out at the moment")
    expect(page.locator(".buy .button")).to_be_disabled()
    page.goto(f"{site}/item/no%2Fsuch%20thing")
    expect(page.locator("h1")).to_have_text("This product is not here")
    assert shelf(page, "popular").locator(".card").count() >= 6


def test_strange_ids_and_photos(visit: Any, site: str, shop: Any) -> None:
    shop.items.insert(0, {"id": "a/b?c#😀 %", "title": "Odd one", "images": [f"{site}/nothing.jpg", f"{site}/no.jpg"]})
    visit.tabs.allowed = ("404",)
    page = visit(f"{site}/search?q=odd")
    page.locator("#results a").click()
    expect(page.locator("h1")).to_have_text("Odd one")
    expect(page.locator(".stage .big svg.pic")).to_be_visible()  # the photo is missing: drawn instead
    expect(page.locator(".facts .price")).to_have_text("Price on request")
    page.reload()
    expect(page.locator("h1")).to_have_text("Odd one")


def test_pictures_are_the_same_every_time(visit: Any, site: str) -> None:
    draw = "() => [...document.querySelectorAll('#results svg.pic')].map(svg => svg.outerHTML).join()"
    one, two = visit(f"{site}/search?q=a"), visit(f"{site}/search?q=a")
    assert one.evaluate(draw) == two.evaluate(draw)
    assert len(set(one.evaluate("() => [...document.querySelectorAll('#results svg.pic')].map(s => s.innerHTML)"))) > 15


def test_a_red_dress_is_drawn_as_one(visit: Any, site: str, shop: Any) -> None:
    for number, colour in enumerate(("red", "navy blue", "黑色")):
        shop.items.append(
            {"id": f"d{number}", "title": f"Gown {number}", "brand": "A", "attributes": {"color": colour}}
        )
    page = visit(f"{site}/search?q=gown")
    look = page.locator("#results svg.pic").evaluate_all(
        "all => all.map(svg => ['--h', '--u', '--q'].map(name => +svg.style.getPropertyValue(name)))"
    )
    assert [round(hue / 10) * 10 for hue, _, _ in look] == pytest.approx([25, 262, 270], abs=10)
    assert [(lighter, colourful) for _, lighter, colourful in look] == [(-0.05, 1), (-0.2, 1), (-0.42, 0.12)]


def test_personal_off_asks_for_nobody_and_records_nothing(visit: Any, site: str, shop: Any) -> None:
    page = visit(f"{site}/item/p24")
    page.click("#you")
    page.get_by_role("switch").uncheck()
    page.keyboard.press("Escape")
    shop.events.clear()
    shop.asked.clear()
    page.click(".logo")
    expect(shelf(page, "home").locator("h2")).to_have_text("Worth a look")
    shelf(page, "home").locator("h3 a").first.click()
    expect(shelf(page, "similar").locator(".card").first).to_be_visible()
    page.wait_for_timeout(1800)
    assert shop.events == []
    asks = [ask for name, ask in shop.asked if name.startswith(("recommend", "similar", "search"))]
    assert asks
    assert {str(ask["personal"]).lower() for ask in asks} == {"false"}


def test_shop_as_somebody_and_forget_me(visit: Any, site: str, shop: Any, until: Any) -> None:
    page = visit(f"{site}/?user=household-17")
    assert page.url == f"{site}/"
    assert {ask["user"] for ask in asked(shop, "recommend/home")} == {"household-17"}
    expect(shelf(page, "repeat").locator("h2")).to_have_text("Buy again")
    session = asked(shop, "recommend/home")[-1]["session"]
    page.click("#you")
    page.get_by_role("button", name="Forget me").click()
    expect(shelf(page, "repeat")).to_be_hidden()
    until(lambda: asked(shop, "recommend/home")[-1]["user"] == "")  # the list is gone before the next page has asked
    now = asked(shop, "recommend/home")[-1]
    assert now["user"] == ""
    assert now["session"] != session


@WIDTHS
def test_chinese(visit: Any, site: str, shop: Any, width: int) -> None:
    page = visit(f"{site}/search?q=milk", width=width)
    page.click("#language")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("h1")).to_have_text("“milk”的搜索结果")
    assert page.url == f"{site}/search?q=milk"
    assert asked(shop, "search")[-1]["language"] == "zh"
    page.goto(f"{site}/search?q=牛奶")
    expect(page.locator("#results .title")).to_have_text("纯牛奶 250毫升")
    page.locator("#results .title a").click()
    expect(page.locator(".facts .price")).to_contain_text("12.80")
    page.click("#basket")
    shown = page.inner_text("body").replace("Corner Bodega", "").replace("English", "").replace("Bodega", "")
    expect(page.locator("h1")).to_have_text("购物车")
    words = re.findall(r"\b(?:basket|why|add|home|search|popular|order)\b", shown.lower())
    assert words == [], "English is left on a Chinese page"


def test_a_failing_list_does_not_take_the_page_along(visit: Any, site: str, shop: Any) -> None:
    visit.tabs.allowed = ("500",)
    shop.failing = {"recommend/trending"}
    page = visit(site)
    expect(shelf(page, "trending")).to_be_hidden()
    assert shelf(page, "popular").locator(".card").count() >= 5
    shop.failing = {"search"}
    page.goto(f"{site}/search?q=milk")
    expect(page.locator("h1")).to_have_text("The shop does not answer")
    shop.failing = set()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("h1")).to_have_text("Results for “milk”")


def test_a_busy_shop_is_asked_again(visit: Any, site: str, shop: Any, until: Any) -> None:
    visit.tabs.allowed = ("503",)
    shop.busy.update({"search": 1, "recommend/home": 2, "events": 1})
    page = visit(site)
    assert shelf(page, "home").locator(".card").count() >= 5
    shelf(page, "home").locator(".add").first.click()
    assert until(lambda: events(shop, "cart"))
    assert sum(shop.busy.values()) == 0


def test_back_returns_to_the_same_spot(visit: Any, site: str, became: Any) -> None:
    page = visit(f"{site}/search")
    page.locator("#results .card").nth(20).scroll_into_view_if_needed()
    there = page.evaluate("scrollY")
    assert there > 500
    page.locator("#results .card .title a").nth(20).click()
    expect(page.locator(".product")).to_be_visible()
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(page.locator("#results .card").nth(20)).to_be_visible()
    became(page, f"Math.abs(scrollY - {there}) < 40")
