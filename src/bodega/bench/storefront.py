"""How fast does the shop front feel? A real Chromium over a real server: what is painted, moved and answered when.

Pages are opened cold (a context of its own, nothing cached) and measured by the browser itself: first and largest
contentful paint, layout shift, bytes on the wire, requests. Then one visitor does 40 things (types, filters, sorts,
looks why, turns away, opens, goes back, fills the basket). `paint` is what Event Timing says of each: from the finger
to the next frame (what it does not report was under its floor of 16 ms, and counts as 16). `answer` is from the finger
to the page drawn with what the shop answered. Not for: throughput (`bench serve`) or the quality of lists.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bodega.bench.result import BenchResult
from bodega.bench.serve import copied, running
from bodega.errors import MissingExtra
from bodega.evaluation.significance import bootstrap

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PLACES = ("home", "search", "browse", "product", "basket", "privacy")
METRICS = ("fcp_ms", "lcp_ms", "cls", "kilobytes", "requests")
FLOOR_MS = 16.0
"""Event Timing reports nothing shorter."""
WATCH = """
window.vitals = {lcp: 0, fcp: 0, cls: 0, events: {}};
const see = (type, tell, more = {}) => new PerformanceObserver((all) => all.getEntries().forEach(tell))
  .observe({type, buffered: true, ...more});
see('largest-contentful-paint', (e) => { vitals.lcp = e.startTime; });
see('paint', (e) => { if (e.name === 'first-contentful-paint') vitals.fcp = e.startTime; });
see('layout-shift', (e) => { if (!e.hadRecentInput) vitals.cls += e.value; });
const felt = vitals.events;
see('event', (e) => { if (e.interactionId) felt[e.interactionId] = Math.max(felt[e.interactionId] || 0, e.duration); },
  {durationThreshold: 16});
"""
WIRE = """() => { const all = ['resource', 'navigation'].flatMap((kind) => performance.getEntriesByType(kind));
  return [all.reduce((sum, e) => sum + e.transferSize, 0) / 1000, all.length]; }"""
ARGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


@dataclass(frozen=True, slots=True)
class StorefrontOptions:
    shop: Path
    query: str = ""
    """What is searched; the title of a popular product when empty."""
    repeats: int = 5
    """How often every page is opened."""
    interactions: int = 40
    chromium: str = ""
    seed: int = 7


@dataclass(slots=True)
class Felt:
    """What was measured: (repeats, 5) a page, and milliseconds an interaction."""

    pages: dict[str, list[list[float]]] = field(default_factory=dict)
    answer_ms: list[float] = field(default_factory=list)
    paint_ms: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def run(options: StorefrontOptions) -> BenchResult:
    """Serve a copy of the shop and shop in it. Raises MissingExtra without Chromium or playwright."""
    started, felt = time.perf_counter(), Felt()
    with tempfile.TemporaryDirectory(prefix="bodega-storefront-") as scratch:
        folder = copied(options.shop, Path(scratch) / "shop")
        with running(folder, "--storefront") as (_, port), opened(options.chromium) as browser:
            measure(f"http://127.0.0.1:{port}", browser, options, felt)
    return told(felt, options, time.perf_counter() - started)


@contextlib.contextmanager
def opened(chromium: str = "") -> Iterator[Browser]:
    """A Chromium without a window. Raises MissingExtra."""
    path = chromium or shutil.which("chromium") or shutil.which("google-chrome") or ""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingExtra("playwright drives the browser", next="pip install 'bodega[dev]'") from error
    if not path:
        raise MissingExtra("no Chromium to measure with", next="apt-get install chromium, or --chromium PATH")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=list(ARGS))
        try:
            yield browser
        finally:
            browser.close()


def measure(site: str, browser: Browser, options: StorefrontOptions, felt: Felt) -> None:
    """Open every page, then do things, and note how it felt."""
    item, query = _popular(site, browser)
    query = options.query or query
    addresses = ("/", f"/search?q={query}", "/search", f"/item/{item}", "/basket", "/privacy")
    for _ in range(options.repeats):
        for place, address in zip(PLACES, addresses, strict=True):
            with _page(browser, felt) as page:
                page.goto(site + address)
                page.wait_for_selector("main[data-ready]")
                page.wait_for_timeout(300)  # the last paints and shifts of a page that is drawn
                wire = page.evaluate(WIRE)
                vitals = page.evaluate("vitals")
                felt.pages.setdefault(place, []).append([vitals["fcp"], vitals["lcp"], vitals["cls"], *wire])
    with _page(browser, felt) as page:
        page.goto(site)
        page.wait_for_selector("main[data-ready]")
        done = 0
        while done < options.interactions:
            for step in _visit(page, query):
                begun = time.perf_counter()
                step()
                felt.answer_ms.append(1_000 * (time.perf_counter() - begun))
                done += 1
                if done >= options.interactions:
                    break
        page.wait_for_timeout(300)
        seen = [float(value) for value in page.evaluate("Object.values(vitals.events)")]
        felt.paint_ms = seen + [FLOOR_MS] * max(0, done - len(seen))


@contextlib.contextmanager
def _page(browser: Browser, felt: Felt) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.add_init_script(WATCH)
    page.on("console", lambda message: felt.complaints.extend([message.text] if message.type == "error" else []))
    page.on("pageerror", lambda error: felt.complaints.append(str(error)))
    try:
        yield page
    finally:
        context.close()


def _popular(site: str, browser: Browser) -> tuple[str, str]:
    """Id and a word of the first product on the home page."""
    with _page(browser, Felt()) as page:
        page.goto(site)
        page.wait_for_selector("main[data-ready]")
        card = page.locator(".card[data-item]").first
        words = (card.locator(".title").inner_text() or "a").split()
        return str(card.get_attribute("data-item")), max(words, key=len)


def _visit(page: Page, query: str) -> list[Callable[[], Any]]:
    """One round of a visitor; every step ends when the page shows what was asked for."""

    def turned(act: Callable[[], Any]) -> Callable[[], None]:
        def step() -> None:
            before = page.locator("main").get_attribute("data-ready")
            act()
            page.wait_for_function("(turn) => document.querySelector('main').dataset.ready !== turn", arg=before)

        return step

    def typed() -> None:
        page.fill("#q", "")
        page.type("#q", query[:4])
        page.wait_for_selector("#suggestions:not([hidden]) .option")

    def why() -> None:
        page.locator("#results .why-button").first.click()
        page.wait_for_selector("#why-panel:popover-open")

    def closed() -> None:
        page.keyboard.press("Escape")
        page.wait_for_selector("#why-panel", state="hidden")

    def sort(order: str) -> Callable[[], None]:
        return turned(lambda: page.locator(".sort select").select_option(order))

    def press(what: str) -> Callable[[], None]:
        return turned(lambda: page.locator(what).first.click())

    return [
        typed,
        turned(lambda: page.press("#q", "Enter")),
        why,
        closed,
        sort("price_up"),
        sort("relevance"),
        press(".facets input[type=checkbox]"),
        lambda: page.locator("#results .add").first.click(),
        lambda: page.locator("#results .away").first.click(force=True),
        lambda: page.locator("#toast .link").click(),
        press("#results .title a"),
        lambda: page.locator(".buy .button").click(),
        press("#basket"),
        turned(lambda: page.go_back()),
        press(".logo"),
    ]


def told(felt: Felt, options: StorefrontOptions, seconds: float) -> BenchResult:
    """The figures: medians a page, p50, p75 and p95 of the interactions, each with its interval."""
    rng = np.random.default_rng(options.seed)
    figures: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for place, rows in felt.pages.items():
        for metric, values in zip(METRICS, np.asarray(rows).T, strict=True):
            figures[f"{place}.{metric}"] = round(float(np.median(values)), 4)
            low, high = np.percentile(bootstrap(values[:, None], rng)[:, 0], (2.5, 97.5))
            intervals[f"{place}.{metric}"] = (round(float(low), 4), round(float(high), 4))
    for name, taken in (("paint", felt.paint_ms), ("answer", felt.answer_ms)):
        values = np.asarray(taken)
        drawn = values[rng.integers(0, len(values), (2_000, len(values)))]
        for part in (50, 75, 95):
            figures[f"interaction.{name}_p{part}_ms"] = round(float(np.percentile(values, part)), 2)
            spread = np.percentile(np.percentile(drawn, part, axis=1), (2.5, 97.5))
            intervals[f"interaction.{name}_p{part}_ms"] = (round(float(spread[0]), 2), round(float(spread[1]), 2))
    figures["console_errors"] = float(len(felt.complaints))
    return BenchResult(
        bench="storefront",
        data=str(options.shop),
        seconds=round(seconds, 1),
        figures=figures,
        intervals=intervals,
        facts={
            "repeats": options.repeats,
            "interactions": len(felt.answer_ms),
            "viewport": "1280 x 900",
            "complaints": felt.complaints[:5],
            "thresholds": {"cls": 0.1, "interaction.paint_p75_ms": 200, "lcp_ms": 1000},
        },
    )
