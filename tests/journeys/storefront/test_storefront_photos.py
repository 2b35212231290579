"""Search by photo in a real browser over a real shop: choose, drop, paste, add words, take away; hostile file names."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bodega
from bodega.schema import Item
from bodega.service import create_app
from bodega.settings import Settings, Understand
from bodega.web.storefront import StorefrontOptions, storefront_handlers
from bodega.wiring import init_shop

pytestmark = pytest.mark.browser

COLOURS = {"red": (200, 30, 30), "blue": (30, 40, 200), "green": (30, 160, 50), "yellow": (230, 210, 40)}
HOSTILE = '"><img src=x onerror=window.__xss=1>.png'

DROP = """([target, kind, name, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, {type: kind === 'text' ? 'text/plain' : 'image/png'}));
  const at = document.querySelector(target);
  const how = {bubbles: true, cancelable: true};
  if (kind === 'paste') at.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, ...how}));
  else for (const name of ['dragover', 'drop']) at.dispatchEvent(new DragEvent(name, {dataTransfer: data, ...how}));
}"""


def drawn(colour: str, number: int) -> bytes:
    """A PNG: a rectangle of the colour on white, somewhere near the middle."""
    image = pytest.importorskip("PIL.Image", reason="no Pillow: pip install 'bodega[images]'")
    pixels = np.full((120, 120, 3), 255, np.uint8)
    pixels[20 + number : 100, 30:90] = COLOURS[colour]
    out = io.BytesIO()
    image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory, serving: Callable[..., Any]) -> Iterator[str]:
    """A shop whose items have pictures in its folder, looked at, learned, served."""
    folder = tmp_path_factory.mktemp("photos") / "shop"
    file = init_shop(folder, Settings(understand=Understand(teacher="none")))
    file.write_text(file.read_text("utf-8") + '\n[pictures]\nencoder = "histogram"\n', "utf-8")
    (folder / "images" / "a b").mkdir(parents=True)
    items = []
    for colour in COLOURS:
        for number in range(4):
            name = f"a b/{colour} {number}.png"
            (folder / "images" / name).write_bytes(drawn(colour, number))
            items.append(
                Item(
                    id=f"{colour}-{number}",
                    title=f"{colour.title()} board no {number}",
                    category=("Boards",),
                    price=10.0 + 10 * number,
                    attributes={"colour": colour},
                    images=(name,),
                )
            )
    with bodega.open(folder) as shop:
        shop.catalog.upsert(items)
        assert shop.gallery is not None
        shop.gallery.look()
        assert shop.learn().published
        assert "pictures" in shop.engine.learned.sources
        key = shop.keys.create("storefront", ("search", "events"))
        app = create_app(shop, handlers=storefront_handlers(StorefrontOptions(api_key=key, shop_name="Boards")))
        with serving(app) as url:
            yield url


@pytest.fixture
def site(street: str) -> str:
    return street


@pytest.fixture(autouse=True)
def patient(visit: Any) -> None:
    """A shop on a loaded machine may answer 503 once; the page asks again, but the browser notes it."""
    visit.tabs.allowed = ("503",)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.png"
    path.write_bytes(drawn("blue", 2))
    return path


def first(page: Any) -> list[str]:
    """Colours of what is shown, in order."""
    return [
        name.rsplit("-", 1)[0]
        for name in page.eval_on_selector_all("#results .card", "all => all.map((c) => c.dataset.item)")
    ]


def chosen(page: Any, file: Path) -> None:
    page.set_default_timeout(30_000)  # an encoder wakes up behind the first photo
    page.click("#photo")
    page.set_input_files("#photo-panel input[type=file] >> nth=0", str(file))
    page.wait_for_selector("#photo-chip canvas")
    page.wait_for_selector("#results .card")


def test_choosing_a_photo_finds_what_looks_like_it(visit: Any, site: str, file: Path) -> None:
    page = visit(site)
    chosen(page, file)
    assert first(page)[:4] == ["blue"] * 4
    assert page.inner_text("h1") == "Looks like your photo"
    assert "mine.png" in page.inner_text("#photo-chip")
    assert "photo=" in page.url
    shown = page.eval_on_selector("#results img.photo", "img => img.getAttribute('src')")
    assert "/images/a%20b/blue%20" in shown  # the shop's own pictures are there
    assert page.eval_on_selector("#results img.photo", "img => img.decode().then(() => img.naturalWidth)") > 0


def test_words_beside_the_photo_and_taking_it_away(visit: Any, site: str, file: Path) -> None:
    page = visit(site)
    chosen(page, file)
    page.fill("#q", "but red, under 35")
    page.press("#q", "Enter")
    page.wait_for_selector("h1:has-text('but red')")
    assert first(page)[:3] == ["red"] * 3
    page.reload()
    page.wait_for_selector("#photo-chip canvas")
    assert first(page)[:3] == ["red"] * 3
    page.click("#photo-chip a")
    page.wait_for_selector("#photo-chip", state="detached")
    assert "photo=" not in page.url


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_dropping_and_pasting_with_a_hostile_name(visit: Any, site: str, kind: str) -> None:
    page = visit(site)
    data = base64.b64encode(drawn("green", 1)).decode()
    page.evaluate(DROP, ["main", kind, HOSTILE, data])
    page.wait_for_selector("#photo-chip canvas")
    assert first(page)[:4] == ["green"] * 4
    assert HOSTILE in page.inner_text("#photo-chip")
    assert page.evaluate("'__xss' in window") is False
    assert page.evaluate("document.querySelectorAll('#photo-chip img').length") == 0


def test_what_is_no_photo_is_told_and_nothing_moves(visit: Any, site: str, tmp_path: Path) -> None:
    page = visit(site)
    page.evaluate(DROP, ["main", "text", "a.txt", base64.b64encode(b"hello").decode()])
    page.wait_for_selector("#toast:not([hidden])")
    assert "no photo" in page.inner_text("#toast")
    assert page.url.rstrip("/") == site
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"<svg onload=alert(1)>")
    page.click("#photo")
    page.set_input_files("#photo-panel input[type=file] >> nth=0", str(broken))
    page.wait_for_selector("#toast:has-text('no photo')")


def test_a_link_from_elsewhere_says_that_the_photo_is_gone(visit: Any, site: str) -> None:
    page = visit(f"{site}/search?photo=deadbeef&q=red")
    assert "not here any more" in page.inner_text("#photo-gone")
    assert first(page)[0] == "red"


def test_the_button_works_by_keyboard_on_a_phone_in_chinese(visit: Any, site: str) -> None:
    from playwright.sync_api import expect

    page = visit(f"{site}/?lang=zh", width=375, height=700, has_touch=True, is_mobile=True)
    button = page.locator("#photo")
    assert button.get_attribute("aria-label") == "以图搜索"
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#photo-panel:popover-open")
    expect(button).to_have_attribute("aria-expanded", "true")
    panel, above = page.locator("#photo-panel").bounding_box(), button.bounding_box()
    assert above["y"] + above["height"] <= panel["y"] < above["y"] + above["height"] + 40, "below what opened it"
    assert panel["x"] >= 0
    assert panel["x"] + panel["width"] <= 375
    camera = page.locator("#photo-panel input[capture]")
    assert camera.get_attribute("capture") == "environment"
    assert page.locator("#photo-panel .camera").is_visible()
    page.keyboard.press("Escape")
    page.wait_for_selector("#photo-panel", state="hidden")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
