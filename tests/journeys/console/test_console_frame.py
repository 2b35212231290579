"""The console's frame in a browser: signing in, finding pages, tables, charts, and what no string may become."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='fired'\"><script>document.title='fired'</script>"


TRIES = """() => {
  const add = (tag, set) => {
    const made = document.createElement(tag);
    set(made);
    document.body.append(made);
    return made;
  };
  const tries = {
    text: () => add("script", (script) => (script.text = "document.title='fired'")),
    source: () => add("script", (script) => (script.src = "data:text/javascript,document.title='fired'")),
    policy: () => trustedTypes.createPolicy("mine", {createHTML: (x) => x}),
    frame: () => {
      const made = add("iframe", (frame) => (frame.srcdoc = "<b id=x></b>"));
      if (!made.srcdoc.includes("<b")) throw new Error("text");
    },
    parse: () => {
      if (!new DOMParser().parseFromString("<b id=x>", "text/html").querySelector("#x")) throw new Error("text");
    },
  };
  const tried = ([name, run]) => { try { run(); return [name, "ran"]; } catch { return [name, "refused"]; } };
  return Object.fromEntries(Object.entries(tries).map(tried));
}"""
"""Ways of making code or markup of a string."""


def lib(page: Any, name: str) -> str:
    """Address of a module of the version that the page uses."""
    script = page.locator('script[type="module"]').get_attribute("src")
    return script.rpartition("/")[0] + f"/lib/{name}.js"


def shown(page: Any, module: str, code: str, data: Any = None) -> None:
    """Run `code` with the module as `lib` and the main landmark as `main`."""
    run = f"const lib = await import(url); const main = document.getElementById('main'); {code}"
    page.evaluate(f"async ([url, data]) => {{ {run} }}", [lib(page, module), data])


def test_a_key_signs_in_and_stays_nowhere(visit: Any, desk: Any) -> None:
    from playwright.sync_api import expect

    visit.tabs.allowed = ("401",)
    page = visit.page()
    page.goto(f"{desk.url}/console/keys")
    page.get_by_label("Admin key").fill("bodega_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="not a valid admin key")).to_be_visible()
    page.get_by_label("Admin key").fill(desk.admin)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Keys and audit")
    assert page.url == f"{desk.url}/console/keys"
    cookie = next(each for each in page.context.cookies() if each["name"] == "bodega_console")
    assert cookie["httpOnly"] is True
    assert cookie["sameSite"] == "Strict"
    assert desk.admin not in json.dumps(page.context.storage_state())
    assert desk.admin not in page.content()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Keys and audit")
    page.locator("#who").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Admin key")).to_be_visible()
    assert not [each for each in page.context.cookies() if each["name"] == "bodega_console"]


def test_a_ticket_opens_the_console_once(visit: Any, desk: Any) -> None:
    from playwright.sync_api import expect

    from bodega.service.sessions import Sessions

    visit.tabs.allowed = ("401",)
    held = next(info.id for info in desk.shop.keys.list() if info.label == "console")
    ticket = Sessions(desk.shop.folder, desk.shop.keys.list, desk.shop.settings.console).ticket(held)
    page = visit.page()
    page.goto(f"{desk.url}/console/today#ticket={ticket}")
    expect(page.locator("body")).to_have_attribute("data-signed", "in")
    assert "ticket" not in page.url
    other = visit.page()
    other.goto(f"{desk.url}/console/today#ticket={ticket}")
    expect(other.get_by_label("Admin key")).to_be_visible()


def test_pages_are_found_by_keyboard_and_back_works(visit: Any) -> None:
    from playwright.sync_api import expect

    page = visit("today")
    page.keyboard.press("Control+k")
    page.keyboard.type("dead")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Dead letters")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Today")
    expect(page.locator("#nav [aria-current=page]")).to_have_text("Today")


def test_a_phone_has_a_drawer_and_chinese_is_chosen(visit: Any, accessible: Any) -> None:
    from playwright.sync_api import expect

    page = visit("today", width=360, height=740)
    expect(page.locator("#nav")).not_to_be_visible()
    page.get_by_role("button", name="Pages").click()
    expect(page.locator("#nav")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#nav")).not_to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("#language").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("今日")
    accessible(page)


def test_a_page_that_fails_leaves_the_frame(visit: Any, desk: Any) -> None:
    from playwright.sync_api import expect

    visit.tabs.allowed = ("500",)
    page = visit("today")
    page.route(
        "**/v1/letters*", lambda route: route.fulfill(status=500, json={"detail": "the disk is gone", "id": "ab12"})
    )
    page.locator("#nav").get_by_role("link", name="Dead letters").click()
    expect(page.get_by_role("alert").first).to_contain_text("the disk is gone")
    page.unroute("**/v1/letters*")
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dead letters")


def test_tables_sort_filter_turn_pages_and_export_what_no_sheet_runs(visit: Any, accessible: Any) -> None:
    from playwright.sync_api import expect

    page = visit("today")
    rows = [{"name": f"row {number}", "n": number} for number in range(45)]
    rows += [{"name": HOSTILE, "n": 1000}, {"name": '=HYPERLINK("http://x")', "n": -1}]
    shown(
        page, "table",
        """main.replaceChildren(lib.table({id: "t", label: "Rows", rows: data, exportName: "rows",
           onRow: (row) => document.body.dataset.picked = row.name,
           columns: [{key: "name", title: "Name"}, {key: "n", title: "Number", kind: "number"}]}));""",
        rows,
    )  # fmt: skip
    grid = page.locator("#t")
    expect(grid.locator(".tabulator-row")).to_have_count(20)
    grid.get_by_role("columnheader", name="Number").click()
    grid.get_by_role("columnheader", name="Number").click()
    expect(grid.locator(".tabulator-row").first).to_contain_text("<img src=x")
    assert page.locator("#t img").count() == 0
    assert page.title() != "fired"
    grid.get_by_label("Next page").click()
    expect(grid.locator(".tabulator-row").first).to_contain_text("row 25")
    grid.get_by_role("searchbox").fill("row 44")
    expect(grid.get_by_role("status")).to_have_text("1 of 47 rows")
    expect(grid.locator(".tabulator-row")).to_have_count(1)
    grid.locator(".tabulator-row").focus()
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_have_attribute("data-picked", "row 44")
    accessible(page)
    grid.get_by_role("searchbox").fill("HYPERLINK")
    expect(grid.locator(".tabulator-row")).to_have_count(1)
    with page.expect_download() as saving:
        grid.get_by_role("button", name="Export CSV").click()
    text = saving.value.path().read_text("utf-8-sig")
    assert text == 'Name,Number\n"\'=HYPERLINK(""http://x"")",-1\n'


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1+cmd", "'-1+cmd"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", '"\'\t=1"'),
        (" =1", "' =1"), ("\r=1", '"\'\r=1"'), ("plain", "plain"), ('say "hi"', '"say ""hi"""'), ("a,b", '"a,b"'),
        (-5, "-5"), (None, ""), ("a;=1", '"a;=1"'),
    ],
)  # fmt: skip
def test_cells_for_spreadsheets(visit: Any, cell: Any, told: str) -> None:
    page = visit.page()
    page.goto(f"{visit.desk.url}/console/today")
    page.wait_for_selector("main[data-ready]")
    got = page.evaluate("async ([url, cell]) => (await import(url)).safeCell(cell)", [lib(page, "table"), cell])
    assert got == told


def test_charts_are_drawn_and_told_in_numbers(visit: Any, accessible: Any) -> None:
    from playwright.sync_api import expect

    page = visit("today")
    shown(
        page, "chart",
        """main.replaceChildren(lib.line({title: "Clicks", x: ["Mon", "Tue", data],
               series: [{name: data, values: [1, 2, 3]}, {name: "b", values: [3, null, 1]}]}),
           lib.bars({title: "Bars", x: ["a", "b"], series: [{name: "n", values: [1, 2]}], across: true}),
           lib.scatter({title: "Map", points: [{x: 1, y: 2, name: data, group: "g"}, {x: 2, y: 1, group: "h"}]}),
           lib.calibration({title: "Foretold", bins: [{foretold: .1, seen: .2}, {foretold: .5, seen: .4}]}));""",
        HOSTILE,
    )  # fmt: skip
    for number in range(4):
        page.locator(".chart").nth(number).scroll_into_view_if_needed()
    expect(page.locator(".chart-stage[data-drawn] canvas")).to_have_count(4)
    page.locator(".chart-stage").first.hover()
    first = page.locator(".chart").first
    first.get_by_role("button", name="Show as table").click()
    expect(first.locator("tbody tr")).to_have_count(3)
    expect(first.locator("tbody tr").last).to_contain_text("<img")
    assert page.locator("main img").count() == 0
    assert page.title() != "fired"
    accessible(page)


def test_no_string_becomes_markup_or_code(visit: Any) -> None:
    visit.tabs.allowed = (
        "This document requires",
        "Trusted",
        "trusted",
        "violates",
        "Refused",
        "blocked",
        "unsafe-eval",
    )
    page = visit("today")
    assert page.evaluate("trustedTypes.defaultPolicy !== null")
    page.evaluate("(text) => { document.getElementById('main').innerHTML = text }", HOSTILE)
    assert page.locator("main").inner_text() == HOSTILE, "it stays the text that it is"
    assert page.locator("main img, main script").count() == 0
    arrow = "document.getElementById('main').innerHTML = \"<div class='tabulator-arrow'></div>\""
    page.evaluate(arrow)
    assert page.locator("main > .tabulator-arrow").count() == 1
    # What runs strings as code is refused whatever the policy says (page.evaluate itself goes through the debugger).
    told = page.evaluate(TRIES)
    assert told == dict.fromkeys(told, "refused")
    assert page.title() != "fired"
    assert re.search("Today", page.title())


def test_light_and_dark_are_remembered(visit: Any, accessible: Any) -> None:
    from playwright.sync_api import expect

    page = visit("today", color_scheme="light")
    page.locator("#theme").click()
    page.locator("#theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    page.wait_for_selector("main[data-ready]")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    accessible(page)
