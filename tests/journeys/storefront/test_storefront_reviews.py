"""Reviews on a product's page, in a real Chromium: shown, filtered by stars, paged; hostile ones are only text."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.browser


def hostile() -> ModuleType:
    """The hostile texts and the check of the page, from the file beside this one."""
    spec = importlib.util.spec_from_file_location(
        "hostile_texts", Path(__file__).with_name("test_storefront_hostile.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(number: int, text: str, title: str = "") -> dict[str, Any]:
    return {
        "id": f"r{number}",
        "stars": 1 + number % 5,
        "title": title,
        "text": text,
        "time": "2026-10-01T10:00:00Z",
        "verified": number % 2 == 0,
        "helpful": number,
    }


def test_what_people_say_is_shown_filtered_and_paged(visit: Any, site: str, shop: Any) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    shop.reviews["p0"] = [written(n, f"Review number {n}.") for n in range(12)]
    page = visit(f"{site}/item/p0")
    page.wait_for_selector(".reviews:not([hidden])")
    assert page.locator(".review").count() == 5
    assert page.locator(".bar-row").count() == 5
    assert page.locator(".aspects li").count() == 1
    page.locator(".reviews").get_by_role("button", name="Show more").click()
    expect(page.locator(".review")).to_have_count(10)
    page.locator(".bar-row").nth(3).click()  # two stars
    expect(page.locator(".review")).to_have_count(3)
    page.get_by_role("button", name="All reviews").click()
    expect(page.locator(".review")).to_have_count(5)
    page.locator(".review-bar select").select_option("lowest")
    expect(page.locator(".review .marks").first).to_have_attribute("aria-label", "1 of 5 stars")


def test_the_first_review_is_written_and_helps_somebody(visit: Any, site: str, shop: Any) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    page = visit(f"{site}/item/p1")
    section = page.locator(".reviews")
    expect(section).to_contain_text("Yours would be the first")
    section.get_by_role("button", name="Write a review").click()
    section.get_by_label("4 of 5 stars").check(force=True)
    section.get_by_label("What should others know?").fill("Creamy <b>indeed</b>")
    section.get_by_role("button", name="Send the review").click()
    expect(page.locator(".review .text")).to_have_text("Creamy <b>indeed</b>")
    assert [row["stars"] for row in shop.reviews["p1"]] == [4]
    assert "user" not in shop.reviews["p1"][0], "a guest's review is nobody's"
    vote = page.locator(".helpful")
    vote.click()
    expect(vote).to_have_attribute("aria-pressed", "true")
    expect(vote).to_contain_text("(1)")
    page.reload()
    vote.click()
    expect(vote).to_have_attribute("aria-pressed", "false")
    assert shop.reviews["p1"][0]["helpful"] == 0


def test_hostile_reviews_are_only_text(visit: Any, site: str, shop: Any) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    known = hostile()
    texts = known.PAYLOADS
    shop.reviews["p2"] = [written(n, text, text) | {"id": text, "time": text} for n, text in enumerate(texts)]
    visit.tabs.allowed = ("ERR_NAME_NOT_RESOLVED",)
    page = visit(f"{site}/item/p2?lang=zh")
    page.wait_for_selector(".reviews:not([hidden])")
    for shown in range(10, len(texts) + 5, 5):
        page.locator(".reviews").get_by_role("button", name="显示更多").click()
        expect(page.locator(".review")).to_have_count(min(shown, len(texts)))
    assert page.evaluate(known.CHECK) == []
    assert sorted(page.locator(".review strong").all_text_contents()) == sorted(texts)
