"""The inspector: how words were read, where items came from, two settings side by side, and why not."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_a_page_is_taken_apart_as_it_is_served(visit: Any, desk: Any, accessible: Any, shot: Any) -> None:
    query = desk.world.truth.kinds[1]
    served = desk.ask("POST", "/v1/search", json={"query": query, "k": 10, "personal": False})
    page = visit(f"inspect?q={quote(query)}&personal=0")
    expect(page.locator("#reading .read-text")).to_contain_text(query)
    expect(page.locator("#sources-table .tabulator-row").first).to_be_visible()
    titles = page.locator("#items-table .tabulator-row .thing-title")
    expect(titles.first).to_have_text(served["hits"][0]["document"]["title"])
    page.locator("#items-table .tabulator-row").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Why it is here")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    accessible(page)
    shot(page, "console-inspect")


def test_two_settings_stand_side_by_side_and_in_the_address(visit: Any, desk: Any, accessible: Any) -> None:
    query = desk.world.truth.kinds[1]
    page = visit(f"inspect?q={quote(query)}&tab=beside")
    expect(page.locator("#shifted")).to_contain_text("the same list")
    page.locator("[data-source=lexical]").fill("0")
    page.locator("[data-source=popular]").fill("9")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#shifted")).to_contain_text("stand elsewhere")
    assert "w=lexical%3A0" in page.url
    assert "w=popular%3A9" in page.url
    accessible(page)
    page.get_by_role("button", name="As the shop has it").click()
    expect(page.locator("#shifted")).to_contain_text("the same list")


def test_why_an_item_is_not_there(visit: Any, desk: Any) -> None:
    kinds = desk.world.truth.kinds
    other = desk.ask("POST", "/v1/search", json={"query": kinds[2], "k": 1})["hits"][0]["id"]
    page = visit(f"inspect?q={quote(kinds[0])}&tab=why")
    page.get_by_label("Id of an item").fill(other)
    page.get_by_role("button", name="Why not?").click()
    expect(page.locator("#why-not .steps")).to_contain_text("in the catalog")
    assert f"item={other}" in page.url


def test_hostile_words_stay_words(visit: Any, desk: Any) -> None:
    page = visit("inspect?q=" + quote("<img src=x onerror=alert(1)> \"';--"))
    expect(page.locator("#reading .read-text")).to_contain_text("<img src=x")
    assert page.locator("#reading img").count() == 0
