"""Make the picture of the README from a running shop: `python docs/images/make.py http://127.0.0.1:7700`.

A guest looks at three products, comes home and asks "why this?". Needs Debian's chromium and playwright (extra `dev`).
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import sync_playwright

TARGET = Path(__file__).with_name("storefront.png")
SIZE_LIMIT = 400_000


def morning() -> str:
    """A time zone in which it is about ten now, so that the greeting does not depend on when this runs."""
    east = (10 - datetime.now(UTC).hour + 11) % 24 - 11
    return f"Etc/GMT{-east:+d}"


def main(url: str) -> None:
    """Walk, look, keep the picture."""
    chromium = shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--headless=new", "--no-sandbox"])
        context = browser.new_context(
            viewport={"width": 1280, "height": 900}, reduced_motion="reduce", timezone_id=morning()
        )
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector("main[data-ready]")
        for query in ("pasta", "cheddar cheese", "tomato sauce"):
            page.fill("#q", query)
            page.keyboard.press("Enter")
            page.wait_for_selector("#results .card")
            page.locator("#results .title a").first.click()
            page.wait_for_selector('[data-list="similar"] .card:not(.ghost)')
        page.click(".logo")
        page.wait_for_selector('[data-list="popular"] .card:not(.ghost)')
        page.locator('[data-list="home"] .why-button').nth(2).click()
        page.mouse.move(640, 20)
        page.wait_for_timeout(400)
        page.screenshot(path=TARGET)
        browser.close()
    assert TARGET.stat().st_size <= SIZE_LIMIT, f"{TARGET.stat().st_size:,} bytes"


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7700")
