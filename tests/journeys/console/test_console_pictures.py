"""The pictures of the documentation: made where BODEGA_SHOTS names a folder (`make docs` does), skipped elsewhere.

Light and dark, at a laptop's size, with the charts drawn; nothing is asserted of how they look but that they are
pictures of a page with content. Everything in them is generated data.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not os.environ.get("BODEGA_SHOTS"), reason="BODEGA_SHOTS names no folder for pictures"),
]

PICTURES = {
    "today": "today",
    "search": "search?tab=top",
    "inspect": "inspect?q=lamp",
    "rules": "rules",
    "doctor": "doctor",
    "models": "models",
    "experiments": "experiments",
    "fairness": "fairness",
    "loop": "loop",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture(visit: Any, name: str, scheme: str) -> None:
    page = visit(PICTURES[name], height=860, color_scheme=scheme)
    page.evaluate("() => scrollTo(0, document.body.scrollHeight)")  # charts are drawn when they come into sight
    for stage in page.locator("main .chart-stage:visible").all():
        stage.locator("canvas, .soft").first.wait_for()
    page.evaluate("() => scrollTo(0, 0)")
    page.locator("main h1").hover()
    path = Path(os.environ["BODEGA_SHOTS"], f"console-{name}{'-dark' if scheme == 'dark' else ''}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(path))
    assert path.stat().st_size > 20_000
