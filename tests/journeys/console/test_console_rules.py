"""Merchandising: a rule written by drag and drop and by keys, saved, undone; and somebody else who was quicker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.fixture
def query(desk: Any) -> Iterator[str]:
    """A query without rules; rules that a test leaves behind are deleted."""
    known = {rule["id"] for rule in desk.ask("GET", "/v1/rules")["rules"]}
    yield desk.world.truth.kinds[2]
    for rule in desk.ask("GET", "/v1/rules")["rules"]:
        if rule["id"] not in known:
            desk.ask("DELETE", f"/v1/rules/{rule['id']}")


def first(desk: Any, query: str) -> list[str]:
    page = desk.ask("POST", "/v1/search", json={"query": query, "k": 20, "personal": False})
    return [hit["id"] for hit in page["hits"]]


def test_a_result_is_dragged_to_the_top_published_and_taken_back(visit: Any, desk: Any, query: str, shot: Any) -> None:
    before = first(desk, query)
    page = visit(f"rules?rule=new&q={quote(query)}", height=1000)
    rows = page.locator("#preview .ranked > li")
    expect(rows).to_have_count(len(before))
    third, top = rows.nth(2).locator(".handle").bounding_box(), rows.nth(0).bounding_box()
    page.mouse.move(third["x"] + 5, third["y"] + 5)
    page.mouse.down()
    page.mouse.move(third["x"] + 5, top["y"] + 40, steps=4)
    page.mouse.move(top["x"] + 60, top["y"] + 10, steps=4)
    page.mouse.up()
    expect(rows.nth(0)).to_have_attribute("data-item", before[2])
    expect(rows.nth(0)).to_contain_text("pinned")
    expect(page.locator("#effect")).to_be_visible()
    shot(page, "console-rule-editor")
    page.get_by_label("Name", exact=True).fill("Dragged")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#toasts")).to_contain_text("“Dragged” is in force")
    assert first(desk, query)[0] == before[2]
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(page.locator("#toasts")).to_contain_text("Taken back")
    assert first(desk, query) == before


def test_the_same_with_keys_only(visit: Any, desk: Any, query: str, accessible: Any) -> None:
    before = first(desk, query)
    page = visit(f"rules?rule=new&q={quote(query)}")
    rows = page.locator("#preview .ranked > li")
    expect(rows).to_have_count(len(before))
    up = rows.nth(1).locator("[data-deed=up]")
    up.focus()
    page.keyboard.press("Enter")
    expect(rows.nth(0)).to_have_attribute("data-item", before[1])
    expect(page.locator("#live")).to_contain_text("is pinned at 1")
    expect(rows.nth(0).locator("button:focus")).to_have_count(1)  # the focus stays with what was moved
    rows.nth(2).locator("[data-deed=hide]").press("Enter")
    expect(rows).to_have_count(len(before) - 1)
    expect(page.locator("#then")).to_contain_text("Hide")
    accessible(page)
    page.locator("#save-rule").press("Enter")
    expect(page.locator("#toasts")).to_contain_text("is in force")
    expect(page.locator("#history")).to_contain_text("created")
    assert first(desk, query)[0] == before[1]


def test_somebody_else_was_quicker(visit: Any, desk: Any, query: str) -> None:
    made = desk.ask(
        "POST", "/v1/rules", json={"id": "shared", "name": "Shared", "then": [{"do": "banner", "text": "One"}]}
    )
    page = visit("rules?rule=shared")
    text = page.locator("#then").get_by_label("Text")
    expect(text).to_have_value("One")
    desk.ask(
        "PUT",
        "/v1/rules/shared",
        json={"name": "Shared", "then": [{"do": "banner", "text": "Theirs"}], "version": made["version"]},
    )
    visit.tabs.allowed = ("409",)
    text.fill("Mine")
    page.get_by_role("button", name="Save", exact=True).click()
    asked = page.get_by_role("dialog")
    expect(asked.locator(".diff .minus")).to_contain_text("Theirs")
    expect(asked.locator(".diff .plus")).to_contain_text("Mine")
    assert desk.ask("GET", "/v1/rules/shared")["then"][0]["text"] == "Theirs"
    asked.locator("#keep-mine").click()
    expect(page.locator("#toasts")).to_contain_text("“Shared” is in force")
    assert desk.ask("GET", "/v1/rules/shared")["then"][0]["text"] == "Mine"
    page.locator("#history").get_by_role("button", name="Undo").first.click()
    expect(page.locator("#toasts")).to_contain_text("Taken back")
    assert desk.ask("GET", "/v1/rules/shared")["then"][0]["text"] == "Theirs"


def test_what_is_wrong_is_said_while_one_types(visit: Any, desk: Any, query: str) -> None:
    visit.tabs.allowed = ("400",)
    page = visit(f"rules?rule=new&q={quote(query)}")
    page.locator("[data-kind=redirect]").click()
    page.locator("#then").get_by_label("Address").fill("javascript:alert(1)")
    expect(page.locator("#preview .problem")).to_contain_text("may not be given to a browser")
    page.locator("#then").get_by_label("Address").fill("/sale")
    expect(page.locator("#preview")).to_contain_text("goes to /sale")
    expect(page.locator("#preview .problem")).to_have_count(0)


def test_conflicts_schedules_and_the_list(visit: Any, desk: Any, query: str, accessible: Any, shot: Any) -> None:
    when = {"queries": [{"text": query}]}
    for name, item in (("one", "p0001"), ("two", "p0002")):
        body = {"id": name, "name": name, "when": when, "then": [{"do": "pin", "item": item, "position": 1}]}
        desk.ask("POST", "/v1/rules", json=body)
    desk.ask(
        "POST",
        "/v1/rules",
        json={
            "id": "far",
            "name": "Far away",
            "when": {"start": "2099-01-01T00:00:00Z"},
            "then": [{"do": "banner", "text": "<script>alert(1)</script>"}],
        },
    )
    page = visit("rules")
    expect(page.locator("#rules-table .tabulator-row").first).to_be_visible()
    expect(page.locator("#state-conflict")).to_contain_text("2")
    page.locator("#state-scheduled").click()
    expect(page.locator("#rules-table")).to_contain_text("Far away")
    expect(page.locator("#rules-table")).to_contain_text("<script>alert(1)</script>")
    accessible(page)
    page.goto(f"{desk.url}/console/rules")
    expect(page.locator("#rules-table .tabulator-row").first).to_be_visible()
    shot(page, "console-rules")
    page.goto(f"{desk.url}/console/rules?rule=one")
    expect(page.locator(".note.warn")).to_contain_text("Wants the same place as two")
    with page.expect_download() as saved:
        page.goto(f"{desk.url}/console/rules")
        page.get_by_role("button", name="Export JSON").click()
    assert b'"far"' in saved.value.path().read_bytes()


def test_times_are_written_in_the_zone_that_is_chosen(visit: Any, desk: Any, query: str) -> None:
    desk.ask(
        "POST",
        "/v1/rules",
        json={
            "id": "zoned",
            "when": {"start": "2099-07-01T10:00:00Z"},
            "then": [{"do": "banner", "text": "Summer"}],
        },
    )
    page = visit("rules?rule=zoned", timezone_id="America/New_York")
    start = page.locator("#when-start")
    expect(start).to_have_value("2099-07-01T06:00")
    page.get_by_label("Times are those of").select_option("Asia/Shanghai")
    expect(start).to_have_value("2099-07-01T18:00")
    start.fill("2099-07-01T20:30")
    start.blur()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("is in force")
    assert desk.ask("GET", "/v1/rules/zoned")["when"]["start"] == "2099-07-01T12:30:00Z"
