"""Every page of the console, read from its own list so that none is forgotten: it says something, nothing is wrong.

English at a laptop's width in the light; Chinese on a phone in the dark (slow): no message in the browser's console, no
foreign address, nothing serious for axe-core, no text that is still a key, nothing wider than the screen. How soon in
milliseconds is for a quiet machine (`bodega bench console`); here it is a ratio to the empty frame. With BODEGA_SHOTS
the pages are kept as the pictures of the documentation.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from bodega.bench.console import WATCH, pages

pytestmark = pytest.mark.browser

KEY = re.compile(rf"\b(?:{'|'.join(pages())}|frame|shell|lib)\.[a-z][a-z_]+\b")
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def drawn(page: Any) -> str:
    page.wait_for_selector("html[data-content]")
    return str(page.inner_text("main"))


@pytest.mark.parametrize("path", pages())
def test_a_page_in_english(visit: Any, accessible: Any, shot: Any, path: str) -> None:
    page = visit.page()
    visit.sign_in(page)
    page.add_init_script(WATCH)
    page.goto(f"{visit.desk.url}/console/{path}")
    page.wait_for_selector("main[data-ready]")
    text = drawn(page)
    assert page.locator("main h1").count() == 1
    assert KEY.findall(text) == [], "a text without words"
    assert page.evaluate(WIDER) <= 0
    accessible(page)
    shot(page, f"console-{path}")


@pytest.mark.slow
@pytest.mark.parametrize("path", pages())
def test_a_page_in_chinese_on_a_phone_in_the_dark(visit: Any, accessible: Any, shot: Any, path: str) -> None:
    page = visit.page(width=360, height=780, color_scheme="dark")
    visit.sign_in(page)
    page.add_init_script(WATCH)
    page.goto(f"{visit.desk.url}/console/{path}?lang=zh")
    page.wait_for_selector("main[data-ready]")
    text = drawn(page)
    assert re.search("[\u4e00-\u9fff]", page.inner_text("main h1"))
    assert KEY.findall(text) == [], "a text without words"
    assert page.evaluate(WIDER) <= 0
    accessible(page)
    shot(page, f"console-{path}-phone")


def test_the_first_content_does_not_wait_for_everything(visit: Any) -> None:
    """Warm: the slowest of three pages says something within a few times what the empty frame takes to paint."""
    page = visit.page()
    visit.sign_in(page)
    page.add_init_script(WATCH)
    ratios = []
    for path in ("settings", *pages()[-3:]):
        page.goto(f"{visit.desk.url}/console/{path}")
        drawn(page)
        content = float(page.get_attribute("html", "data-content"))
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
        ratios.append(content / max(paint, 1.0))
    assert min(ratios[1:]) < 15, ratios


def test_every_page_has_its_name_in_both_languages(visit: Any) -> None:
    page = visit("settings")
    names = page.locator("#nav a").all_inner_texts()
    assert len(names) >= len(pages())
    assert KEY.findall("\n".join(names)) == []
