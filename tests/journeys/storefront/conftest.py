"""What every browser test needs: Chromium, a fake shop on a port, and pages that fail on any console error."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


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


@pytest.fixture
def fakeshop() -> Any:
    """The module with FakeShop, Running and grocery()."""
    return _load("fakeshop")


@pytest.fixture
def shop(fakeshop: Any) -> Any:
    return fakeshop.FakeShop()


@pytest.fixture
def site(fakeshop: Any, shop: Any, serving: Callable[..., Any], port: int) -> Iterator[str]:
    """Address of the fake shop's storefront."""
    with serving(fakeshop.app(shop), port) as url:
        yield url


class Visit:
    """Opens pages of the storefront."""

    def __init__(self, tabs: Any) -> None:
        self.tabs = tabs

    def __call__(self, url: str, **context: Any) -> Any:
        """The page at this address, drawn, in a browser context that only it has."""
        page = self.tabs.open(("/".join(url.split("/")[:3]), "blob:", "data:"), **context)
        page.goto(url)
        page.wait_for_selector("main[data-ready]")
        return page


@pytest.fixture
def visit(site: str, tabs: Any) -> Visit:
    """Opens pages, closed before the site is; the test fails when the browser complained or left the site."""
    del site
    return Visit(tabs)
