"""The storefront's pictures of the documentation: made where BODEGA_SHOTS names a folder, skipped elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not os.environ.get("BODEGA_SHOTS"), reason="BODEGA_SHOTS names no folder for pictures"),
]

PICTURES = {"home": "/", "search": "/search?q=milk", "item": "/item/p0"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture(visit: Any, site: str, name: str, scheme: str) -> None:
    visit.tabs.allowed = ("404",)  # what a page asks beside its lists need not be there
    page = visit(site + PICTURES[name], color_scheme=scheme, height=860)
    page.locator(".card:not(.ghost)").first.wait_for()
    path = Path(os.environ["BODEGA_SHOTS"], f"storefront-{name}{'-dark' if scheme == 'dark' else ''}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(path))
    assert path.stat().st_size > 20_000
