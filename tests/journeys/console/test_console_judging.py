"""The pages *Judgments* and *Loop* in a browser: keys 0 to 3, agreement, a report; steps, gates, the human switch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from bodega.bench.loop import kept
from bodega.bench.result import BenchResult
from bodega.engine.loop.gate import GateLine, GateReport
from bodega.engine.loop.state import AuditLine, ContestReading, LoopBook, LoopState
from bodega.schema.judgments import Judgment

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def asked(desk: Any) -> list[str]:
    """Queries of the shop that enough people asked (fewer than usual: the world is small)."""
    kinds = sorted(set(desk.world.truth.kinds))[:4]
    desk.shop.judgments._remember([(kind, 30 - n) for n, kind in enumerate(kinds)])
    items = [item.id for item in desk.world.items]
    desk.shop.judgments.take(
        [
            Judgment(query=kinds[0], item=item, grade=(n + origin) % 4, origin=name, who=who)
            for n, item in enumerate(items[:40])
            for origin, (name, who) in enumerate((("human", "ben"), ("clicks", "pbm")))
        ]
    )
    return kinds


def test_keys_judge_and_take_back(visit: Any, desk: Any, asked: list[str], accessible: Any, shot: Any) -> None:
    from playwright.sync_api import expect

    page = visit("judgments")
    rows = page.locator(".judge-row")
    expect(rows.first).to_be_focused()
    query = page.locator("#judging h2").inner_text().strip("“”")
    item = rows.first.get_attribute("data-item")
    page.keyboard.press("3")
    expect(rows.nth(0)).to_have_attribute("data-judged", "yes")
    expect(rows.nth(1)).to_be_focused()
    kept = desk.shop.judgments.find(query=query, who="console")
    assert [(each.item, each.grade) for each in kept] == [(item, 3)]
    accessible(page)
    shot(page, "judgments")
    page.keyboard.press("z")
    expect(rows.nth(0)).not_to_have_attribute("data-judged", "yes")
    assert not desk.shop.judgments.find(query=query, who="console")
    page.keyboard.press("s")
    expect(page.locator("#judging h2")).not_to_have_text(f"“{query}”")


def test_agreement_and_reports_are_told(visit: Any, asked: list[str], accessible: Any, shot: Any) -> None:
    from playwright.sync_api import expect

    page = visit("judgments?tab=agreement")
    expect(page.locator("#agreement")).to_contain_text("clicks")
    accessible(page)
    shot(page, "judgments-agreement")
    page.get_by_role("tab", name="Relevance reports").click()
    expect(page.get_by_text("bodega judge report")).to_be_visible()
    page.get_by_role("button", name="Make a report now").click()
    expect(page.locator("#report")).to_contain_text("nDCG@10")
    assert "tab=reports" in page.url
    accessible(page)
    shot(page, "judgments-reports")


@pytest.fixture
def waiting(desk: Any) -> Iterator[LoopBook]:
    """A loop whose candidate came through and waits for a person."""
    book = LoopBook(desk.shop.folder)
    served = desk.shop.published()
    lines = tuple(
        GateLine(gate=name, state=state, value=0.01, limit=0.02, low=-0.01, high=0.03, cases=120, text=f"{name}: told")
        for name, state in (("quality", "pass"), ("relevance", "skip"), ("exposure", "pass"), ("attack", "pass"))
    )
    gate = GateReport(candidate="feed0000feed0000", served=served, start=1.7e9, end=1.7002e9, lines=lines)
    for step, what in (("judge", "12 of 80 pairs graded"), ("learn", "learned feed0000feed0000"), ("gate", "told")):
        book.note(AuditLine(time=1.7e9, run=1, step=step, state="pass", what=what))
    reading = ContestReading(state="better", pages=900, planned=2_000, difference=0.1, low=0.02, high=0.18)
    state = LoopState(
        run=1, step="approve", served=served, candidate=gate.candidate, gate=gate, reading=reading, contest="loop-1"
    )
    book.put(state)
    days = {name: [1.0 + 0.01 * day * rise for day in range(6)] for name, rise in (("frozen", 0), ("loop", 3))}
    figures = {f"{name}.{what}": 0.1 for name in ("loop", "ungated") for what in ("utility_gain", "worst_day")}
    facts = {"series": days, "seeds": 5, "shuffled_on": 1, "attack_on": 3}
    kept(BenchResult(bench="loop", data="world", seconds=1.0, figures=figures, facts=facts), desk.shop.folder)
    yield book
    for path in book.folder.iterdir():
        path.unlink()


def test_the_loop_teaches_before_it_ran(visit: Any, accessible: Any, shot: Any) -> None:
    from playwright.sync_api import expect

    page = visit("loop")
    expect(page.get_by_text("bodega loop run")).to_be_visible()
    expect(page.get_by_text("bodega bench loop --shop my-shop")).to_be_visible()
    accessible(page)
    shot(page, "loop-empty")


def test_a_person_has_the_last_word(visit: Any, waiting: LoopBook, accessible: Any, shot: Any) -> None:
    from playwright.sync_api import expect

    page = visit("loop")
    expect(page.locator(".loop-steps [aria-current=step]")).to_contain_text("Approve")
    expect(page.locator("#loop-gates")).to_contain_text("quality: told")
    page.locator("#loop-plot").scroll_into_view_if_needed()
    expect(page.locator("#loop-plot canvas").first).to_be_visible()
    expect(page.locator("#loop-plot")).to_contain_text("5 seeds")
    accessible(page)
    shot(page, "loop")
    page.get_by_role("button", name="Reject").click()
    page.get_by_label(re.compile("Why")).fill("too many toys")
    page.get_by_role("button", name="Delete the candidate").click()
    expect(page.locator("#loop-now")).to_contain_text("too many toys")
    newest = waiting.trail(1)[0]
    assert (newest.step, newest.who, newest.what) == ("reject", "console", "too many toys")


def test_both_pages_fit_a_phone_in_chinese_and_the_dark(
    visit: Any, waiting: LoopBook, asked: list[str], shot: Any
) -> None:
    for path, name in (("loop", "loop-phone"), ("judgments", "judgments-phone")):
        page = visit(f"{path}?lang=zh", width=360, height=740, color_scheme="dark")
        assert page.locator("html").get_attribute("lang").startswith("zh")
        assert page.evaluate("document.documentElement.scrollWidth") <= 361
        shot(page, name)
