"""Chromium for every journey that a person would make: one browser a file, contexts that are used again.

A context of its own for each page would load and compile every script anew: on the console 1.6 s instead of .6 s a
page. So contexts are kept for a file, by their options, and are emptied between tests: cookies, storage, permissions.
Two pages of one test never share a context, as two people do not share a browser.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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
PATIENCE = 30_000
"""Milliseconds that a page may take where other work keeps the machine busy: what is asked is whether, not how soon."""


@contextlib.contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    """The app on a loopback port (0: any that is free), by a thread of this process; its address."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.started
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(15)


@pytest.fixture(scope="session")
def serving() -> Callable[..., Any]:
    """`with serving(app) as url:`, see `served`."""
    return served


@pytest.fixture(scope="module")
def port() -> int:
    """A loopback port for the servers of one file, one after the other: the browser's cache knows them by it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser a file, not one a session: while it is open, this thread has a running event loop, and tests of
    other rooms that start their own would fail."""
    chromium = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(chromium).exists():
        pytest.skip("no chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'bodega[dev]'")
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=chromium, args=ARGS)
        yield running
        running.close()


def became(page: Any, expression: str) -> None:
    """Wait until this is true on the page. Playwright's `wait_for_function` evaluates a text in the page when it is not
    true at once, which policies of our pages refuse: it fails on a slow machine only."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never true: {expression}"
        page.wait_for_timeout(20)


@pytest.fixture(scope="session", name="became")
def _became() -> Callable[[Any, str], None]:
    return became


def until(what: Callable[[], Any]) -> Any:
    """The answer as soon as it is not empty, else the last one: a page sends events without waiting for us."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


@pytest.fixture(scope="session", name="until")
def _until() -> Callable[[Callable[[], Any]], Any]:
    return until


class Contexts:
    """Browser contexts, lent to one page at a time."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._free: defaultdict[str, list[Any]] = defaultdict(list)

    def lend(self, options: dict[str, Any]) -> Any:
        """An empty context with these options; its scripts may be in its cache."""
        free = self._free[repr(sorted(options.items()))]
        return free.pop() if free else self._browser.new_context(**options)

    def back(self, context: Any, options: dict[str, Any]) -> None:
        """Close its pages and empty it, for the next."""
        for page in context.pages:
            self._emptied(context, page)
            page.close()
        context.clear_cookies()
        context.clear_permissions()
        context.unroute_all()
        self._free[repr(sorted(options.items()))].append(context)

    @staticmethod
    def _emptied(context: Any, page: Any) -> None:
        place = urlsplit(page.url)
        if place.scheme.startswith("http"):
            with contextlib.closing(Session(context, page)) as session:
                session.send(
                    "Storage.clearDataForOrigin",
                    {"origin": f"{place.scheme}://{place.netloc}", "storageTypes": "all"},
                )


class Session:
    """A line to Chromium's own protocol that can be closed."""

    def __init__(self, context: Any, page: Any) -> None:
        self._line = context.new_cdp_session(page)

    def send(self, what: str, how: dict[str, Any]) -> Any:
        return self._line.send(what, how)

    def close(self) -> None:
        self._line.detach()


@pytest.fixture(scope="module")
def contexts(browser: Any) -> Contexts:
    """Contexts of this file's browser."""
    return Contexts(browser)


class Tabs:
    """Opens pages, and remembers what the browser complained about and which foreign addresses were asked for."""

    def __init__(self, contexts: Contexts) -> None:
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.allowed: tuple[str, ...] = ()
        """Parts of complaints that the test expects."""
        self._contexts = contexts
        self._lent: list[tuple[Any, dict[str, Any]]] = []
        self._over = False

    def open(self, own: tuple[str, ...], *, width: int = 1280, height: int = 900, **context: Any) -> Any:
        """An empty page in a context that no other page of this test has; `own` is how addresses may begin."""
        options = {"reduced_motion": "reduce", **context}
        lent = self._contexts.lend(options)
        self._lent.append((lent, options))
        page = lent.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda told: told.type in ("error", "warning") and self._complain(told))
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda asked: asked.url.startswith(own) or self.foreign.append(asked.url))
        return page

    def _complain(self, told: Any) -> None:
        text = f"{told.text} {told.location.get('url', '')}".strip()
        if not self._over and "/v1/live" not in text:  # a stream of events that ends with its page is no news
            self.complaints.append(text)

    @property
    def unexpected(self) -> list[str]:
        """Complaints that the test did not expect."""
        return [text for text in self.complaints if not any(part in text for part in self.allowed)]

    def close(self) -> None:
        """Give the contexts back. What a page misses while it is emptied is no complaint."""
        self._over = True
        for context, options in self._lent:
            self._contexts.back(context, options)
        self._lent.clear()


@pytest.fixture
def tabs(contexts: Contexts) -> Iterator[Tabs]:
    """Pages of one test; it fails when the browser complained, or a foreign address was asked for anything."""
    opened = Tabs(contexts)
    yield opened
    opened.close()
    assert opened.unexpected == []
    assert opened.foreign == []
