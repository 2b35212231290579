"""What the InstantSearch tests need: its packages from npm, a learned shop on a port, the page of docs/algolia.md."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import bodega
from bodega.schema import Item
from bodega.service import create_app
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "algolia.md"
NEEDED = (
    "algoliasearch/dist/lite/builds/browser.umd.js",
    "instantsearch.js/dist/instantsearch.production.min.js",
    "search-insights/dist/search-insights.min.js",
)


@pytest.fixture(scope="session")
def npm_packages() -> Path:
    """A folder with `node_modules`: fetched once by npm, kept in the user's cache under the digest of package.json."""
    wanted = (HERE / "package.json").read_bytes()
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bodega-tests"
    folder = base / f"instantsearch-{hashlib.sha256(wanted).hexdigest()[:12]}"
    if all((folder / "node_modules" / name).is_file() for name in NEEDED):
        return folder
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm: install node and npm to run the stock InstantSearch")
    base.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=base))
    (making / "package.json").write_bytes(wanted)
    # No lock file: it would name the registry it came from. What is used are the prebuilt files of pinned versions.
    options = [
        "--package-lock=false",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
        "--fetch-retries=1",
    ]
    try:
        done = subprocess.run(
            [npm, "install", *options], cwd=making, capture_output=True, text=True, timeout=180, check=False
        )
    except subprocess.TimeoutExpired:
        shutil.rmtree(making)
        pytest.skip("npm did not fetch InstantSearch within 3 minutes")
    missing = [name for name in NEEDED if not (making / "node_modules" / name).is_file()]
    if missing:
        shutil.rmtree(making)
        said = done.stderr.strip().splitlines() or ["no message"]
        pytest.skip(f"npm could not fetch InstantSearch: {said[0][:200]}")
    try:
        making.rename(folder)
    except OSError:  # another worker was faster
        shutil.rmtree(making)
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_: object) -> None:
        return


@dataclass
class Site:
    """The page of the documents on one origin, the shop it asks on another."""

    url: str
    api: str
    key: str
    world: GeneratedWorld
    shop: Any

    @property
    def items(self) -> dict[str, Item]:
        return {item.id: item for item in self.world.items}


def page_of_the_documents(api: str, key: str) -> str:
    """The page that docs/algolia.md shows, with this shop's address and key filled in, nothing else changed."""
    (page,) = re.findall(r"^```html\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    told = page.replace("127.0.0.1:7700", api).replace("YOUR-KEY", key)
    assert told.count(api) == 1
    assert told.count(key) == 1
    return told


@pytest.fixture(scope="module")
def site(npm_packages: Path, serving: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A generated world, learned and served; its page, from npm's files, on another port."""
    world = make_world(WorldSpec(n_items=120, n_shoppers=60, days=30))
    folder = tmp_path_factory.mktemp("instantsearch")
    web = folder / "web"
    web.mkdir()
    (web / "node_modules").symlink_to(npm_packages / "node_modules")
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(web)))
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{pages.server_port}"
    (folder / "shop").mkdir()
    (folder / "shop" / "bodega.toml").write_text(
        f'[serve]\norigins = "{url}"\n[understand]\nencoder = "none"\n', "utf-8"
    )
    with bodega.open(folder / "shop") as shop:
        shop.catalog.upsert(world.items)
        shop.events.record(world.events)
        assert shop.learn().published
        key = shop.keys.create("web", ("search", "events"))
        with serving(create_app(shop)) as address:
            api = address.removeprefix("http://")
            (web / "index.html").write_text(page_of_the_documents(api, key), "utf-8")
            yield Site(url, api, key, world, shop)
    pages.shutdown()
    pages.server_close()


@pytest.fixture
def visit(tabs: Any, site: Site) -> Callable[..., Any]:
    """Opens pages; the test fails when the console showed an error, or anybody but the shop was asked for anything."""

    def opened(path: str = "/", *, height: int = 1000) -> Any:
        page = tabs.open((site.url, f"http://{site.api}", "data:"), height=height)
        page.goto(site.url + path)
        page.wait_for_selector("[data-item]")
        return page

    return opened
