"""What every browser test needs: Chromium, a fake shop on a port, and pages that fail on any console error."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ARGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _load(name: str) -> Any:
    """The helper beside this file; tests are no package, so it is loaded by its path."""
    full = f"storefront_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[full] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser a file, not one a session: while it is open, this thread has a running event loop, and tests of
    other rooms that start their own would fail."""
    chromium = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(chromium).exists():
        pytest.skip("no chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'bodega[dev]'")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=chromium, args=ARGS)
        yield running
        running.close()


@pytest.fixture
def fakeshop() -> Any:
    """The module with FakeShop, Running and grocery()."""
    return _load("fakeshop")


@pytest.fixture
def shop(fakeshop: Any) -> Any:
    return fakeshop.FakeShop()


@pytest.fixture
def site(fakeshop: Any, shop: Any) -> Iterator[str]:
    """Address of the fake shop's storefront."""
    with fakeshop.Running(shop) as running:
        yield running.url


class Watched:
    """Opens pages and remembers what the browser complained about."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.allowed: tuple[str, ...] = ()
        self._contexts: list[Any] = []

    def __call__(self, url: str, *, width: int = 1280, height: int = 900, **context: Any) -> Any:
        """A page in a context of its own, at the address, drawn."""
        opened = self.browser.new_context(
            viewport={"width": width, "height": height}, **{"reduced_motion": "reduce", **context}
        )
        self._contexts.append(opened)
        page = opened.new_page()
        page.set_default_timeout(8000)
        page.on(
            "console", lambda message: message.type in ("error", "warning") and self.complaints.append(message.text)
        )
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        host = "/".join(url.split("/")[:3])
        page.on("request", lambda request: request.url.startswith(host) or self.foreign.append(request.url))
        page.goto(url)
        page.wait_for_selector("main[data-ready]")
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.complaints if not any(part in text for part in self.allowed)]


@pytest.fixture
def visit(browser: Any, site: str) -> Iterator[Callable[..., Any]]:
    """Opens pages, closed before the site is.

    The test fails when the console showed an error, or another host was asked for anything.
    """
    watched = Watched(browser)
    yield watched
    watched.close()
    assert watched.unexpected == []
    assert watched.foreign == []
