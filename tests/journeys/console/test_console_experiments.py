"""The page of experiments: a draft with a plan, start, a live reading, one list of two, stop and promote."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'bodega[dev]'")
from playwright.sync_api import expect

from bodega import Event, EventType, Request
from bodega.schema.experiments import Arm, Experiment


def now() -> datetime:
    return datetime.now(UTC)


def tried(desk: Any, name: str, visits: int = 260, **changes: Any) -> None:
    """An experiment that shoppers have seen; the second arm's shoppers click more."""
    arms = (Arm(name="control"), Arm(name="mixed", settings={"diversity.home.strength": 0.4}))
    made = Experiment(id=name, arms=arms, metric="clicks", layer=name, hypothesis="Mixed lists <b>sell</b>", **changes)
    experiments = desk.shop.experiments
    for each in experiments.list():
        if each.state == "running":
            experiments.stop(each.id, who="test", why="the next one begins")
    experiments.put(made, who="test")
    experiments.start(name, who="test")
    clicks = []
    for number in range(visits):
        user = f"{name}-{number}"
        page = desk.shop.answer(Request(place="home", user=user, k=6))
        if number % 3:
            item = page.ids[number % 3]
            clicks.append(Event(type=EventType.CLICK, time=now(), user=user, item=item, request_id=page.request_id))
    desk.shop.events.record(clicks)
    assert desk.shop.answering.flush()


def test_a_draft_is_written_planned_started_and_stopped(visit, desk, accessible, shot):
    page = visit("experiments?new=1")
    expect(page.locator("#plan table")).to_be_visible()
    accessible(page)
    shot(page, "experiments-new")
    page.get_by_label("Id", exact=True).fill("more-mixed")
    page.get_by_label("What do you expect, and why?").fill("Mixed <script>alert(1)</script>")
    second = page.locator("#arms fieldset").nth(1)
    second.get_by_label("Turn a dial").select_option("diversity.home.strength")
    second.get_by_label("diversity.home.strength", exact=True).fill("7")
    page.get_by_role("button", name="Save the draft").click()
    second.get_by_label("diversity.home.strength", exact=True).fill("0.3")
    page.get_by_role("button", name="Save the draft").click()
    expect(page.get_by_role("heading", name="more-mixed")).to_be_visible()
    kept = desk.shop.experiments.get("more-mixed")
    assert kept.experiment.arms[1].settings == {"diversity.home.strength": 0.3}
    assert {guard.metric for guard in kept.experiment.guardrails} == {"clicks", "zero_results", "latency"}
    page.locator("#start").click()
    page.get_by_role("dialog").get_by_role("button", name="Start").click()
    expect(page.locator("h1 .badge")).to_have_text("running")
    page.locator("#stop").click()
    page.get_by_label("Why").fill("only a look")
    page.locator("#sure").click()
    expect(page.locator("h1 .badge")).to_have_text("stopped")
    expect(page.locator("#history")).to_contain_text("only a look")
    assert desk.shop.experiments.history(limit=1)[0].who == "console"


def test_a_running_experiment_is_read_and_an_arm_promoted(visit, desk, accessible, shot):
    tried(desk, "promising")
    page = visit("experiments?id=promising")
    expect(page.locator("#verdict")).to_contain_text("Shoppers")
    expect(page.locator("#metrics")).to_contain_text("decides")
    expect(page.locator("#course [data-drawn]")).to_be_visible()
    accessible(page)
    shot(page, "experiments-reading")
    page.locator("#course").get_by_role("button", name="table").click()
    expect(page.locator("#course table")).to_be_visible()
    page.locator("#finish").click()
    page.get_by_label("Who gets what").select_option("mixed")
    page.locator("#sure").click()
    expect(page.locator("h1 .badge")).to_have_text("finished")
    assert desk.shop.settings.diversity.home.strength == 0.4
    assert "strength = 0.4" in (desk.shop.folder / "bodega.toml").read_text("utf-8")
    desk.shop.turn({"diversity.home.strength": 0.0})


def test_one_list_of_two_has_its_own_verdict_and_the_list_shows_all(visit, desk, accessible, shot):
    tried(desk, "orders", 120, kind="interleaving")
    page = visit("experiments?id=orders")
    expect(page.locator("#preferred")).to_contain_text("Debiased")
    page = visit("experiments")
    expect(page.locator("#experiments")).to_contain_text("orders")
    accessible(page)
    shot(page, "experiments")
    page.get_by_role("tab", name="running").click()
    expect(page).to_have_url(f"{desk.url}/console/experiments?state=running")


def test_the_page_reads_in_chinese_on_a_dark_phone(visit, desk, accessible, shot):
    made = Experiment(id="a-draft", arms=(Arm(name="control"), Arm(name="b", settings={"dials.rules": False})))
    desk.shop.experiments.put(made, who="test")
    for path in ("experiments?lang=zh", "experiments?lang=zh&id=a-draft", "experiments?lang=zh&edit=a-draft"):
        page = visit(path, width=360, height=740, color_scheme="dark")
        expect(page.locator("html")).to_have_attribute("lang", re.compile("^zh"))
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        accessible(page)
        shot(page, f"experiments-zh-{path.rpartition('&')[2].partition('=')[0]}")
