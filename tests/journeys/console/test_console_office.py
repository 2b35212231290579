"""The pages of the back office in Chromium: doctor, shoppers, models, fairness, from empty to what each is for.

Jobs are run and awaited where a page begins them; every page is looked at by axe-core, on a phone too, and in Chinese.
"""

from __future__ import annotations

import re

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'bodega[dev]'").expect

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def examined(desk):
    """The shop, examined and counted."""
    assert desk.shop.office.clinic.run(40) is not None
    assert desk.shop.office.fairness.run(14) is not None
    return desk


def test_the_doctor_teaches_before_and_examines_on_demand(desk, visit, accessible, shot):
    page = visit("doctor")
    if desk.shop.office.clinic.result() is None:
        expect(page.locator(".empty h3")).to_be_visible()
    page.get_by_role("button", name="Examine now").click()
    expect(page.locator(".stat-value").first).to_be_visible(timeout=20_000)
    expect(page.locator(".part-list li")).to_have_count(9)
    accessible(page)
    shot(page, "doctor")
    assert desk.shop.office.clinic.result().n_items == 120


def test_the_doctor_lists_the_worst_with_what_to_do(examined, visit, accessible):
    page = visit("doctor?view=items&part=text")
    rows = page.locator("#offenders .tabulator-row")
    expect(rows.first).to_be_visible()
    expect(rows.first).to_contain_text(re.compile("Describe it|Fill in|Add a picture|Say in"))
    page.get_by_label("Filter rows").fill("no such product at all")
    expect(page.locator("#offenders .table-bar [role=status]")).to_contain_text("0 of")
    accessible(page)


def test_facts_are_accepted_and_taken_back(examined, visit, accessible):
    facts = examined.shop.knowledge.facts()
    if not facts:
        pytest.skip("nothing was mined of the generated titles")
    page = visit("doctor?view=facts")
    first = page.locator(".facts > li").first
    first.get_by_role("checkbox").check()
    expect(page.locator(".sticky-bar [role=status]")).to_have_text("1 chosen")
    accessible(page)
    page.get_by_role("button", name="Accept chosen").click()
    expect(page.locator(".toast")).to_contain_text("1 facts accepted")
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".facts > li").first).to_be_visible()
    assert examined.shop.knowledge.decisions() == []


def test_a_shopper_is_looked_at_and_every_look_is_written_down(examined, visit, accessible, shot):
    user = examined.world.truth.shoppers[0]
    before = len(examined.shop.office.people.looks(("user", user)))
    page = visit(f"shoppers?id={user}")
    expect(page.get_by_role("heading", name=user)).to_be_visible()
    expect(page.locator(".bars-list li").first).to_be_visible()
    accessible(page)
    shot(page, "shopper")
    page.get_by_role("tab", name="Timeline").click()
    expect(page.locator(".timeline > li").first).to_be_visible()
    page.get_by_role("tab", name="Lists").click()
    expect(page.locator(".beside ol").nth(1).locator("li").first).to_be_visible()
    accessible(page)
    page.get_by_role("tab", name="Identity and consent").click()
    expect(page.locator("#looks .tabulator-row").first).to_contain_text("console")
    looks = examined.shop.office.people.looks(("user", user))
    assert len(looks) - before >= 5
    assert {one.who for one in looks} == {"console"}
    assert user not in (examined.shop.folder / "office" / "trail.jsonl").read_text("utf-8")


def test_a_shopper_is_exported_and_forgotten_only_when_asked_twice(examined, visit, accessible):
    user = examined.world.truth.shoppers[-1]
    page = visit(f"shoppers?id={user}&view=rights")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert user in saved.value.path().read_text("utf-8")
    page.get_by_role("button", name="Forget …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("somebody else")
    dialog.get_by_role("button", name="Forget for good").click()
    expect(dialog.get_by_text("That is not the id of this shopper.")).to_be_visible()
    accessible(page)
    assert examined.shop.stores.events.recent(user=user, session="", limit=1)
    dialog.get_by_role("textbox").fill(user)
    dialog.get_by_role("button", name="Forget for good").click()
    expect(page.get_by_role("dialog").get_by_role("heading", name="Forgotten")).to_be_visible()
    assert not examined.shop.stores.events.recent(user=user, session="", limit=1)
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Shoppers")).to_be_visible()
    told = examined.shop.office.people.looks(("user", user))
    assert [one.what for one in told][:2] == ["forget", "export"]


def test_models_stand_beside_their_baselines(examined, visit, accessible, shot):
    page = visit("models")
    served = examined.shop.published()
    expect(page.locator("#snapshots .tabulator-row")).to_contain_text(served)
    expect(page.get_by_role("table").first).to_contain_text("Popular alone")
    accessible(page)
    shot(page, "models")
    for tab in ("Figures", "Sources", "Learning curves", "Calibration", "Gates"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
        expect(page.locator("[role=tabpanel] :is(.card, .empty)").first).to_be_visible()
        accessible(page)
    page.get_by_role("tab", name="Map").click()
    expect(page.locator(".chart-stage[data-drawn=true]")).to_be_visible()
    shot(page, "models-map")


def test_fairness_says_who_is_shown(examined, visit, accessible, shot):
    page = visit("fairness")
    expect(page.locator(".stat-value").first).to_be_visible()
    expect(page.locator("#exposure-popularity .tabulator-row").first).to_be_visible()
    accessible(page)
    shot(page, "fairness")
    page.get_by_role("tab", name="Shoppers").click()
    expect(page.locator("#quality .tabulator-row").first).to_contain_text("everybody")
    accessible(page)


@pytest.mark.parametrize("path", ["doctor", "shoppers", "models", "fairness"])
def test_pages_fit_a_phone_in_chinese(examined, visit, accessible, shot, path):
    page = visit(f"{path}?lang=zh", **PHONE, color_scheme="dark")
    expect(page.locator("h1")).to_have_text(re.compile("[\u4e00-\u9fff]"))
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{path} is {wide} pixels wider than a phone"
    text = page.locator("main").inner_text()
    assert not re.search(r"\b(office|doctor|shoppers|models|fairness)\.[a-z_]+", text), "a text is missing"
    accessible(page)
    shot(page, f"{path}-phone")
