"""How soon does a page of the console say something, and is it in order? Chromium visits every page of a real server.

Each page of the console's own list is opened several times in a fresh tab, signed in, over a copy of the shop; files of
the console are cached, as they are for everybody but the first visitor (`cold.*` is that one). For each page:
    paint      first contentful paint: the frame is there, the baseline below which no page of ours can be
    content    the page's own text, beyond its heading and "one moment", is there       first_content.p50_ms, .max_ms
    ready      everything that the page asked for has arrived
and what should be nothing: `console.errors` (messages of the browser, exceptions, refused addresses), `axe.serious`
(axe-core, serious or critical, on the drawn page), `foreign` (addresses of other hosts).
Not for: many people at once (`bench serve` asks the server alone), or whether figures on the pages are right.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bodega.bench.result import BenchResult
from bodega.bench.serve import check_learned, copied, running
from bodega.errors import MissingExtra
from bodega.protocols import NoProgress, Progress
from bodega.wiring import open_shop

PAGES = Path(__file__).parents[1] / "web" / "console" / "static" / "pages.js"
WAIT_MS = 30_000
SERIOUS = ("serious", "critical")
ENOUGH = 12
"""Characters beside the heading that count as content: less than any sentence or table."""

WATCH = """
(() => {
  localStorage.setItem('bodega.console', '1');
  const told = (all) => [...all].map((each) => each.textContent).join('');
  const look = () => {
    const view = document.querySelector('main .view'), html = document.documentElement;
    if (!view || html.dataset.content) return;
    const rest = view.textContent.length - told(view.querySelectorAll('h1, .waiting, [aria-busy="true"]')).length;
    if (rest > ENOUGH || view.querySelector('canvas'))
      requestAnimationFrame(() => { html.dataset.content ||= performance.now(); });
  };
  new MutationObserver(look).observe(document, {childList: true, subtree: true, characterData: true});
})();
""".replace("ENOUGH", str(ENOUGH))
TIMES = """
() => ({
  paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0,
  content: Number(document.documentElement.dataset.content ?? performance.now()),
})
"""


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """`repeats` visits a page; `only` names pages (empty: all)."""

    shop: Path
    repeats: int = 5
    only: tuple[str, ...] = ()


@dataclass(slots=True)
class Seen:
    """What one page took, in milliseconds a visit, and what was wrong with it."""

    paint: list[float] = field(default_factory=list)
    content: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    axe: list[str] = field(default_factory=list)


def pages() -> tuple[str, ...]:
    """The paths of the console's pages, in the order of its navigation."""
    return tuple(re.findall(r'path: "([\w-]+)"', PAGES.read_text("utf-8")))


def run(options: ConsoleOptions, progress: Progress | None = None) -> BenchResult:
    """Measure. Raises NotAShop, NotLearned, MissingExtra (no browser, no axe)."""
    progress = progress or NoProgress()
    started = time.perf_counter()
    wanted = [page for page in pages() if not options.only or page in options.only]
    axe = _axe()
    seen: dict[str, Seen] = {page: Seen() for page in wanted}
    with tempfile.TemporaryDirectory(prefix="bodega-bench-") as scratch:
        folder = copied(options.shop, Path(scratch) / "shop")
        with open_shop(folder, create=False) as shop:
            check_learned(shop)
            key = shop.keys.create("bench", ("admin",))
            name, items, events = shop.settings.name, shop.catalog.count(), shop.events.count()
        with running(folder) as (_, port), _chromium() as browser:
            base = f"http://127.0.0.1:{port}"
            with _signed_in(browser, base, key) as tab:  # the very first visit: nothing is cached
                cold = _look(tab(), base, wanted[0], Seen(), "")
            progress.start("visiting pages", options.repeats * len(wanted))
            with _signed_in(browser, base, key) as tab:
                for number in range(options.repeats):
                    for page in wanted:
                        _look(tab(), base, page, seen[page], axe if number == 0 else "")
                        progress.advance()
            progress.finish()
    return BenchResult(
        bench="console",
        data=f"{name}: {items:,} items, {events:,} events",
        seconds=round(time.perf_counter() - started, 1),
        figures={"cold.first_content_ms": round(cold, 1), **_figures(seen)},
        facts={
            "repeats": options.repeats,
            "pages": wanted,
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 2),
            "axe": {page: each.axe for page, each in seen.items() if each.axe},
            "errors": {page: each.errors for page, each in seen.items() if each.errors},
        },
        notes=(
            "first_content: the page's own text beyond its heading; paint: the frame, the baseline of every page",
            "browser, server and the other programs of this machine share its cores: see `load`",
        ),
    )


def _figures(seen: dict[str, Seen]) -> dict[str, float]:
    figures: dict[str, float] = {"pages": float(len(seen))}
    for what, name in (("paint", "paint"), ("content", "first_content"), ("ready", "ready")):
        values = [value for each in seen.values() for value in getattr(each, what)]
        figures[f"{name}.p50_ms"] = round(float(np.median(values)), 1)
        figures[f"{name}.max_ms"] = round(float(np.max(values)), 1)
    slow = {page: float(np.median(each.content)) for page, each in seen.items()}
    figures["first_content.slowest_page_p50_ms"] = round(max(slow.values()), 1)
    figures["console.errors"] = float(sum(len(each.errors) for each in seen.values()))
    figures["foreign"] = float(sum(len(each.foreign) for each in seen.values()))
    figures["axe.serious"] = float(sum(len(each.axe) for each in seen.values()))
    for page, each in seen.items():
        figures[f"{page}.first_content_ms"] = round(slow[page], 1)
        figures[f"{page}.ready_ms"] = round(float(np.median(each.ready)), 1)
    return figures


def _look(tab: Any, base: str, page: str, seen: Seen, axe: str) -> float:
    """Visit a page in this tab, close it; returns milliseconds until its content."""
    own = (base, "data:", "blob:")
    tab.on("console", lambda told: seen.errors.extend([told.text] if told.type == "error" else []))
    tab.on("pageerror", lambda error: seen.errors.append(str(error)))
    tab.on("request", lambda asked: seen.foreign.extend([] if asked.url.startswith(own) else [asked.url]))
    began = time.perf_counter()
    tab.goto(f"{base}/console/{page}", wait_until="commit")
    if not _there(tab, "html[data-content]", WAIT_MS):
        seen.errors.append("the page says nothing")
    if not _there(tab, "main[data-ready]", WAIT_MS):
        seen.errors.append("the page is not ready")
    seen.ready.append((time.perf_counter() - began) * 1000)
    times = tab.evaluate(TIMES)
    seen.paint.append(times["paint"])
    seen.content.append(times["content"])
    if axe:
        tab.evaluate(axe)  # by the debugger: the page's own policy lets no foreign script in
        found = tab.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        seen.axe += [f"{each['id']}: {each['help']}" for each in found if each["impact"] in SERIOUS]
    tab.close()
    return float(times["content"])


def _there(tab: Any, selector: str, wait_ms: float) -> bool:
    """Is it there within this time?"""
    from playwright.sync_api import TimeoutError as TooLate

    try:
        tab.wait_for_selector(selector, timeout=wait_ms, state="attached")
    except TooLate:
        return False
    return True


@contextmanager
def _signed_in(browser: Any, base: str, key: str) -> Iterator[Any]:
    """Makes tabs of a visitor who is signed in."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.add_init_script(WATCH)
    answer = context.request.post(f"{base}/v1/console/session", headers={"Authorization": f"Bearer {key}"})
    assert answer.ok, answer.text()
    yield context.new_page
    context.close()


@contextmanager
def _chromium() -> Iterator[Any]:
    """A headless Chromium of the system. Raises MissingExtra."""
    path = shutil.which("chromium") or "/usr/bin/chromium"
    if find_spec("playwright") is None:
        raise MissingExtra.named("dev", needed_for="a benchmark in a browser (playwright)")
    if not Path(path).exists():
        raise MissingExtra(
            "a benchmark in a browser needs chromium", allowed="chromium on the path", next="apt-get install chromium"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        running_browser = started.chromium.launch(executable_path=path, args=["--headless=new", "--no-sandbox"])
        yield running_browser
        running_browser.close()


def _axe() -> str:
    """The text of axe-core, out of its package. Raises MissingExtra."""
    spec = find_spec("axe_playwright_python")
    if spec is None or not spec.origin:
        raise MissingExtra.named("dev", needed_for="the check of accessibility (axe-playwright-python)")
    return Path(spec.origin).with_name("axe.min.js").read_text("utf-8")
