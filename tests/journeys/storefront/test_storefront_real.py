"""The same pages over a real, learned shop: search, click, and the very next list has changed and says why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import bodega
from bodega.engine.access import make_token
from bodega.schema import Match, Phrase, Redirect, Rule, ShowBanner, When
from bodega.service import create_app
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world
from bodega.web.storefront import StorefrontOptions, storefront_handlers

pytestmark = pytest.mark.browser


@dataclass
class Street:
    url: str
    world: GeneratedWorld
    shop: Any


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory, serving: Callable[..., Any]) -> Iterator[Street]:
    """A generated world, learned and served on a free loopback port."""
    world = make_world(WorldSpec(n_items=120, n_shoppers=60, days=30))
    with bodega.open(tmp_path_factory.mktemp("street") / "shop") as shop:
        shop.catalog.upsert(world.items)
        shop.events.record(world.events)
        assert shop.learn().published
        key = shop.keys.create("storefront", ("search", "events"))
        options = StorefrontOptions(
            api_key=key,
            shop_name="Street",
            shoppers=world.truth.shoppers[:3],
            token=lambda visit: make_token(shop.privacy.secrets, session=visit),
        )
        app = create_app(shop, handlers=storefront_handlers(options))
        with serving(app) as url:
            yield Street(url, world, shop)


@pytest.fixture
def site(street: Street) -> str:
    return street.url


@pytest.fixture(autouse=True)
def patient(visit: Any) -> None:
    """A shop on a loaded machine may answer 503 once; the page asks again, but the browser notes it."""
    visit.tabs.allowed = ("503",)


def ids(page: Any, name: str) -> list[str]:
    return page.locator(f'[data-list="{name}"] .card').evaluate_all("all => all.map(card => card.dataset.item)")


def test_search_click_and_the_next_list_is_another(visit: Any, street: Street) -> None:
    from playwright.sync_api import expect

    page = visit(street.url)
    before = ids(page, "home")
    assert len(before) >= 5
    kind = street.world.truth.kinds[0]
    page.fill("#q", kind)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(f"Results for “{kind}”")
    found = page.locator("#results .card").evaluate_all("all => all.map(card => card.dataset.item)")
    assert set(found) & set(street.world.truth.of_kind(kind)), "the right kind of thing is found"
    page.locator("#results .why-button").first.click()
    expect(page.locator("#why-panel .found").first).to_contain_text(kind, ignore_case=True)
    page.keyboard.press("Escape")
    page.locator("#results .title a").first.click()
    page.wait_for_selector(".product")
    for name in ("similar", "together"):
        page.wait_for_selector(f'[data-list="{name}"] .card:not(.ghost)')
    page.click(".logo")
    expect(page.locator('[data-list="home"] .trail .pic')).to_have_count(1)
    after = ids(page, "home")
    assert after != before
    home = page.locator('[data-list="home"]')
    home.locator(".why-button").first.click()
    shares = page.locator("#why-panel .share").all_inner_texts()
    assert shares
    assert sum(int(share.rstrip("%")) for share in shares) == pytest.approx(100, abs=2)
    page.locator("#why-panel").get_by_role("button", name="Not interested").click()
    expect(home.locator(f'[data-item="{after[0]}"]')).to_have_count(0)
    page.goto(street.url)  # who leaves the page has decided
    page.wait_for_selector("main[data-ready]")
    deadline = time.monotonic() + 10
    while not any(event.type == "dismiss" for event in recent(street, page)) and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    page.evaluate("localStorage.removeItem('bodega.dismissed')")
    page.reload()
    page.wait_for_selector("main[data-ready]")
    assert after[0] not in ids(page, "home"), "the shop itself leaves it out"
    stored = {(event.type.value, event.item) for event in recent(street, page)}
    assert {("click", found[0]), ("view", found[0]), ("dismiss", after[0])} <= stored


def recent(street: Street, page: Any) -> list[Any]:
    session = page.evaluate("JSON.parse(localStorage.getItem('bodega.session'))")
    events: list[Any] = street.shop.stores.events.recent(user="", session=session, limit=100)
    return events


def test_facets_come_from_the_catalog_and_count_right(visit: Any, street: Street) -> None:
    from playwright.sync_api import expect

    page = visit(f"{street.url}/search")
    brand = max({item.brand for item in street.world.items}, key=lambda name: counted(street, name))
    page.get_by_role("checkbox", name=brand).first.check()
    expect(page.locator(".chip", has_text=brand)).to_be_visible()
    box = page.locator(f'[data-value="brand={brand}"]').locator("xpath=ancestor::label")
    shown = int(box.locator("output").inner_text())
    assert shown == counted(street, brand)
    assert page.locator("#total").inner_text().startswith(f"{shown} ")


def counted(street: Street, brand: str) -> int:
    """Products of a brand, one a variant group."""
    return len({item.group or item.id for item in street.world.items if item.brand == brand})


def test_a_correction_by_the_shop_is_undone(visit: Any, street: Street) -> None:
    from playwright.sync_api import expect

    kind = max(street.world.truth.kinds, key=len)
    typo = kind[:-2] + kind[-1] + kind[-2]
    assert street.shop.search(typo).corrected == kind
    page = visit(f"{street.url}/search?q={typo}")
    expect(page.locator("#corrected strong")).to_have_text(kind)
    expect(page.locator("#results .card").first).to_be_visible()
    page.locator("#corrected a").click()
    expect(page.locator("#exact")).to_be_visible()
    expect(page.locator("#corrected")).to_have_count(0)


def test_a_price_that_the_shop_understood(visit: Any, street: Street) -> None:
    from playwright.sync_api import expect

    kind = street.world.truth.kinds[0]
    prices = sorted(item.price or 0 for item in street.world.items if item.id in street.world.truth.of_kind(kind))
    most = int(prices[len(prices) // 2]) + 1
    everything = street.shop.search(kind).total
    page = visit(f"{street.url}/search?q={kind}+under+{most}")
    expect(page.locator("#heard button")).to_have_text([f"up to ${most}.00"])
    shown = page.locator("#results .price").all_inner_texts()
    assert shown
    assert all(float(price.strip("$€¥").replace(",", "")) <= most for price in shown)
    page.locator("#heard button").click()
    expect(page.locator("#total")).to_have_text(f"{everything} products")
    assert page.url == f"{street.url}/search?q={kind}"


def test_rules_of_the_shop_show_a_banner_and_send_elsewhere(visit: Any, street: Street) -> None:
    from playwright.sync_api import expect

    kind = street.world.truth.kinds[0]
    rules = [
        Rule(id="week", when=When(queries=(Phrase(text=kind, match=Match.CONTAINS),)),
             then=(ShowBanner(text="A week of it", url="/search?q=week"),)),
        Rule(id="back", when=When(queries=(Phrase(text="send it back"),)), then=(Redirect(url="/basket"),)),
    ]  # fmt: skip
    for rule in rules:
        street.shop.rules.put(rule, who="test")
    page = visit(f"{street.url}/search?q={kind}")
    expect(page.get_by_role("note").get_by_role("link")).to_have_text("A week of it")
    page.fill("#q", "send it back")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{street.url}/basket")
    for rule in rules:
        street.shop.rules.delete(rule.id, who="test")


def test_a_facet_is_searched_and_prices_are_drawn(visit: Any, street: Street) -> None:
    from playwright.sync_api import expect

    page = visit(f"{street.url}/search")
    facet = page.locator('[data-facet="brand"]')
    if facet.get_by_role("searchbox").count():
        brand = street.world.items[0].brand
        facet.get_by_role("searchbox").fill(brand)
        box = page.locator(f'[data-value="brand={brand}"]').locator("xpath=ancestor::label")
        expect(box.locator("output")).to_have_text(str(counted(street, brand)))
        expect(facet.get_by_role("checkbox")).to_have_count(1)
    drawn = page.locator('[data-facet="price"]').get_by_role("img")
    expect(drawn).to_be_visible()
    assert drawn.locator("i").count() >= 4


def test_a_known_shopper_in_chinese(visit: Any, street: Street) -> None:
    from playwright.sync_api import expect

    page = visit(f"{street.url}/?user={street.world.truth.shoppers[0]}&lang=zh")
    expect(page.locator('[data-list="repeat"] h2')).to_have_text("再次购买")
    page.locator('[data-list="repeat"] .why-button').first.click()
    assert "您" in page.locator("#why-panel .reason").first.inner_text()


def test_product_with_a_strange_id(visit: Any, street: Street) -> None:
    from playwright.sync_api import expect

    street.shop.catalog.upsert([bodega.Item(id="套装/7 😀?", title="Odd gift set", price=5.0, currency="EUR")])
    page = visit(f"{street.url}/search?q=odd+gift+set")
    page.locator("#results .title a").first.click()
    expect(page.locator("h1")).to_have_text("Odd gift set")
    expect(page.locator(".facts .price")).to_have_text("€5.00")
    page.reload()
    expect(page.locator("h1")).to_have_text("Odd gift set")


def test_a_guest_sees_and_ends_what_is_kept_of_the_visit(visit: Any, street: Street) -> None:
    from playwright.sync_api import expect

    item = street.world.items[3]
    page = visit(f"{street.url}/item/{item.id}")
    session = page.evaluate("JSON.parse(localStorage.getItem('bodega.session'))")
    page.goto(f"{street.url}/privacy")
    learning = page.get_by_role("switch", name="Learning for everybody")
    learning.click()
    expect(page.locator("#toast")).to_contain_text("Your choice holds")
    assert not street.shop.privacy.standing("", session).learning
    page.get_by_role("button", name="Show me", exact=True).click()
    expect(page.locator(".kept")).to_contain_text(item.id)
    page.get_by_role("button", name="Forget this visit").click()
    page.get_by_role("button", name="Erase it").click()
    expect(page.locator(".receipt")).to_contain_text("Receipt")
    kept = street.shop.privacy.border.name("session", session)
    assert street.shop.stores.events.recent(user="", session=kept, limit=10) == []
    assert len(street.shop.erasures.receipts()) == 1


def test_a_review_is_written_and_votes_count(visit: Any, street: Street) -> None:
    from playwright.sync_api import expect

    item = street.world.items[5].id
    page = visit(f"{street.url}/item/{item}")
    page.get_by_role("button", name="Write a review").click()
    page.get_by_label("5 of 5 stars").check(force=True)
    page.get_by_label("What should others know?").fill("Does what it should, every single day.")
    page.get_by_role("button", name="Send the review").click()
    expect(page.locator(".review .text")).to_have_text("Does what it should, every single day.")
    page.locator(".helpful").click()
    expect(page.locator(".helpful")).to_contain_text("(1)")
    (shown,) = street.shop.reviews.page(item).reviews
    assert (shown.stars, shown.helpful, shown.verified) == (5.0, 1, False)
