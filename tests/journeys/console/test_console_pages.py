"""Today, the first hour, dead letters, keys with the audit trail, settings: as somebody who runs the shop uses them."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.browser

PAGES = ("today", "first", "letters", "keys", "keys?tab=audit", "settings", "settings?tab=history")


@pytest.mark.slow  # test_console_every_page.py looks at every page with axe-core, too: here tabs, phones and pictures
@pytest.mark.parametrize("page_path", PAGES)
def test_every_page_is_for_everybody(visit: Any, accessible: Any, shot: Any, page_path: str) -> None:
    """Nothing serious for axe-core, light in English and dark in Chinese; nothing is wider than a phone."""
    name = page_path.replace("?tab=", "-")
    page = visit(page_path, color_scheme="light")
    page.wait_for_load_state("networkidle") if page_path != "today" else page.wait_for_selector("#since")
    accessible(page)
    shot(page, f"{name}-laptop")
    phone = visit(f"{page_path}{'&' if '?' in page_path else '?'}lang=zh", width=360, height=740, color_scheme="dark")
    if page_path == "today":
        phone.wait_for_selector("#since")
    accessible(phone)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    shot(phone, f"{name}-phone-zh")


def test_today_tells_what_happened_and_moves_by_itself(visit: Any, desk: Any) -> None:
    from playwright.sync_api import expect

    page = visit("today")
    told = desk.ask("GET", "/v1/metrics/today")
    assert told["whole"]["answers"] >= 40
    places = page.locator("#places .tabulator-row")
    expect(places.filter(has_text="Search")).to_contain_text(
        str(next(each["figures"]["answers"] for each in told["places"] if each["key"] == "search"))
    )
    expect(page.locator(".stat", has_text="Zero results")).to_contain_text("%")
    expect(page.locator("#since")).to_contain_text("Since the shop learned")
    expect(page.locator("#status")).to_contain_text("Well")
    expect(page.locator(".chart-stage[data-drawn]")).to_have_count(2)
    expect(page.locator(".stat", has_text="Pages a minute")).not_to_contain_text("–")


def test_the_first_hour_ticks_itself_off(visit: Any, desk: Any) -> None:
    from playwright.sync_api import expect

    page = visit("first")
    for name in ("import", "learn", "look", "rule"):
        expect(page.locator(f"[data-step={name}]")).to_have_class("step done")
    facts = desk.ask("GET", "/v1/console/facts")
    expect(page.locator("[data-step=import]")).to_contain_text(f"{facts['items']} items")
    assert facts["rules"] >= 2


def test_a_letter_is_mended_and_gone(visit: Any, desk: Any) -> None:
    from playwright.sync_api import expect

    page = visit("letters?kind=event&reason=unknown_type")
    rows = page.locator("#letters .tabulator-row")
    expect(rows).to_have_count(1)
    rows.first.click()
    box = page.get_by_label("The row, as JSON")
    assert json.loads(box.input_value())["type"] == "look"
    page.get_by_role("dialog").get_by_role("button", name="Send again").click()
    expect(page.get_by_role("dialog").get_by_role("alert").filter(visible=True)).to_contain_text("look")
    item = desk.world.items[0].id
    box.fill(json.dumps({"type": "view", "item": item, "user": "mender", "time": "2025-06-01T10:00:00Z"}))
    visit.tabs.allowed = ("400",)
    page.get_by_role("dialog").get_by_role("button", name="Send again").click()
    expect(page.locator(".toast")).to_contain_text("Stored")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert [each.item for each in desk.shop.stores.events.recent(user="mender", session="", limit=5)] == [item]
    assert ("event", "unknown_type") not in desk.shop.stores.dead.counts()


def test_letters_are_exported_tamely_and_thrown_away(visit: Any, desk: Any) -> None:
    from playwright.sync_api import expect

    page = visit("letters")
    expect(page.locator("#letters .tabulator-row").first).to_be_visible()
    with page.expect_download() as saving:
        page.locator("#letters").get_by_role("button", name="Export CSV").click()
    assert "'=cmd|" in saving.value.path().read_text("utf-8-sig")
    page.get_by_role("link", name="Unusable price").click()
    expect(page.locator("#letters .tabulator-row")).to_have_count(3)
    assert "reason=bad_price" in page.url
    page.get_by_role("button", name="Throw away").click()
    page.get_by_role("dialog").get_by_role("button", name="Throw away").click()
    expect(page.locator(".toast")).to_contain_text("3 rows thrown away")
    assert ("item", "bad_price") not in desk.shop.stores.dead.counts()


def test_a_key_is_made_shown_once_revoked_and_written_down(visit: Any, desk: Any) -> None:
    from playwright.sync_api import expect

    page = visit("keys")
    page.get_by_role("button", name="Make a key").click()
    window = page.get_by_role("dialog")
    window.get_by_label("Label").fill("till <b>7</b>")
    window.get_by_label("search").check()
    window.get_by_label("events").uncheck()
    window.get_by_role("button", name="Make a key").click()
    text = page.get_by_role("dialog").locator("code").inner_text()
    found = desk.shop.keys.find(text)
    assert found is not None
    assert (found.label, found.scopes) == ("till <b>7</b>", ("search",))
    page.get_by_role("button", name="I have kept it").click()
    row = page.locator("#keys .tabulator-row", has_text="till <b>7</b>")
    expect(row).to_be_visible()
    assert text not in page.content()
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.locator(".toast")).to_contain_text("is revoked")
    assert desk.shop.keys.find(text) is None
    page.get_by_role("tab", name="Audit trail").click()
    page.get_by_role("link", name="Keys", exact=True).last.click()
    line = page.locator("#audit .tabulator-row").first
    expect(line).to_contain_text("revoked")
    expect(line).to_contain_text("console")
    line.click()
    expect(page.get_by_role("dialog")).to_contain_text("till <b>7</b>")
    assert text not in json.dumps(desk.ask("GET", "/v1/audit"))


def test_a_setting_is_checked_compared_saved_and_put_back(visit: Any, desk: Any) -> None:
    from playwright.sync_api import expect

    visit.tabs.allowed = ("422",)
    page = visit("settings?table=serve")
    row = page.locator('[data-key="serve.burst"]')
    row.locator("input").fill("-3")
    row.locator("input").press("Tab")
    page.get_by_role("button", name="Review changes").click()
    expect(row.get_by_role("alert")).to_contain_text(">= 1")
    row.locator("input").fill("6000")
    row.locator("input").press("Tab")
    page.get_by_role("button", name="Review changes").click()
    window = page.get_by_role("dialog")
    expect(window.locator(".diff .minus")).to_have_text("-burst = 5000")
    expect(window.locator(".diff .plus")).to_have_text("+burst = 6000")
    window.get_by_role("button", name="Save").click()
    expect(page.locator(".toast", has_text="Saved")).to_be_visible()
    text = (desk.shop.folder / "bodega.toml").read_text("utf-8")
    assert "burst = 6000" in text
    assert text.startswith("# What this shop is called.")
    assert "# tests are busy" in text, "comments stay"
    page.get_by_role("tab", name="History").click()
    page.get_by_role("button", name="Put back").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Put back").click()
    expect(page.locator(".toast", has_text="Saved")).to_have_count(2)
    assert "burst = 5000" in (desk.shop.folder / "bodega.toml").read_text("utf-8")
