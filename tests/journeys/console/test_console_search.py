"""The page of searches: a query that finds nothing is looked at, a fix is measured, published, and taken back."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
LOST = "unobtainium"


def test_a_failing_query_is_mended_with_a_measured_fix_and_undone(visit: Any, desk: Any) -> None:
    good = desk.world.truth.kinds[0]
    page = visit("search?days=28")
    page.get_by_role("searchbox", name="Look at a query").fill(LOST)
    page.get_by_role("button", name="Look", exact=True).click()
    expect(page.locator("#query h2")).to_contain_text(LOST)
    own = page.locator("#own-fix")
    own.get_by_label("How").select_option("replace")
    own.get_by_label("Search", exact=True).fill(good)
    publish = own.locator("[data-do=publish]")
    expect(publish).to_be_disabled()  # nothing is published that was not measured
    own.locator("[data-do=measure]").click()
    effect = own.locator("#effect")
    expect(effect).to_contain_text(LOST)
    expect(publish).to_be_enabled()
    publish.click()
    toast = page.locator("#toasts")
    expect(toast).to_contain_text("is in force")
    assert desk.ask("GET", f"/v1/search?q={LOST}")["rules"]
    toast.get_by_role("button", name="Undo").click()
    expect(toast).to_contain_text("Taken back")
    assert not desk.ask("GET", f"/v1/search?q={LOST}")["rules"]


def test_tabs_and_rows_have_addresses(visit: Any, desk: Any, accessible: Any, shot: Any) -> None:
    page = visit("search?days=28")
    expect(page.locator("#queries .stat").first).to_contain_text("Searches")
    page.get_by_role("tab", name="Failing").click()
    expect(page).to_have_url(desk.url + "/console/search?days=28&tab=failing")
    expect(page.get_by_role("tab", name="Failing")).to_have_attribute("aria-selected", "true")
    page.goto(f"{desk.url}/console/search?q={desk.world.truth.kinds[0]}")
    expect(page.locator("#fixes")).to_be_visible()
    page.locator("#query").get_by_role("link", name="Inspect").click()
    expect(page.locator("#reading")).to_be_visible()
    page.go_back()
    expect(page.locator("#fixes")).to_be_visible()
    accessible(page)
    shot(page, "console-search")


def test_in_chinese_on_a_phone_nothing_is_cut_off(visit: Any, desk: Any) -> None:
    page = visit("search?lang=zh", width=360, height=780, color_scheme="dark")
    expect(page.get_by_role("heading", level=1)).to_have_text("搜索")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
