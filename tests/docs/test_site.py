"""The documentation as a site: generated pages are fresh, every page is in the navigation, it builds without a warning,
and in a browser it fetches nothing from elsewhere, searches in English and Chinese, and shows no error."""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = {"cli": DOCS / "reference" / "cli.md", "http": DOCS / "reference" / "http.md",
             "python": DOCS / "reference" / "python.md"}  # fmt: skip


def script(name: str) -> ModuleType:
    """A script of docs/, as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_make_{name}", DOCS / f"make_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", GENERATED)
def test_generated_pages_are_fresh(name: str) -> None:
    written = GENERATED[name].read_text("utf-8")
    assert written == script(name).page(), f"next: make format (or python docs/make_{name}.py)"


def test_the_command_line_page_names_every_command_and_option() -> None:
    """Counted from the other side: what `--help` lists."""
    from typer.testing import CliRunner

    from bodega.cli import app

    page = GENERATED["cli"].read_text("utf-8")
    told = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    commands = set(re.findall(r"^[│|] ([a-z][a-z-]+) ", told, re.M))
    assert len(commands) > 20
    for command in commands:
        assert re.search(rf"^## bodega {command}\b", page, re.M), command
    assert "| `--where` |" in page


def test_the_python_page_names_what_is_public() -> None:
    import bodega

    page = GENERATED["python"].read_text("utf-8")
    assert all(f"### bodega.{name}\n" in page for name in bodega.__all__ if name != "__version__")
    for part in ("catalog", "events", "rules", "privacy"):
        assert f"### shop.{part}\n" in page


def test_every_page_is_in_the_navigation() -> None:
    site = script("site")
    _, nav = site.configuration()
    named = set(site.leaves(site.filled(nav, set(site.leaves(nav)))))
    pages = set(site.pages().values())
    assert pages - named == set(), "next: enter the page in the navigation of mkdocs.yml"
    assert named - pages == set(), "mkdocs.yml names a page that is not there"


def test_links_lead_to_the_same_place_on_the_site(tmp_path: Path) -> None:
    site = script("site")
    found = site.pages()
    start = site.laid_out(ROOT / "README.md", found)
    assert "](search.md" in start or "](algolia.md" in start
    assert "docs/" not in "".join(re.findall(r"\]\(([^)]+)\)", start))
    assert "](../CONTRIBUTING.md#how-to-add-a-source)" in site.laid_out(DOCS / "guides" / "engineer.md", found)
    assert "`deploy/`" in site.laid_out(DOCS / "operate" / "README.md", found), "a file that is no page is only named"


def test_a_screenshot_is_there_or_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = script("site")
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- shot: one | First -->\n<!-- shot: two | Second -->\n", "utf-8")
    monkeypatch.setattr(site, "DOCS", tmp_path)
    (tmp_path / "images" / "made").mkdir(parents=True)
    for name in ("one", "one-dark"):
        (tmp_path / "images" / "made" / f"{name}.png").write_bytes(b"png")
    made = site.laid_out(page, {page: "guides/page.md"})
    assert "![First](../images/made/one.png#only-light)" in made
    assert "![First](../images/made/one-dark.png#only-dark)" in made
    assert "two" not in made
    assert "shot:" not in made


# -- the built site ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does, in a folder of its own."""
    pytest.importorskip("zensical", reason="no generator: pip install 'bodega[docs]'")
    site, folder = script("site"), tmp_path_factory.mktemp("site")
    assert site.build(folder) == 0, "the strict build failed: see above"
    return Path(folder, "site")


@pytest.mark.slow
def test_it_builds_strictly_and_a_broken_link_is_caught(built: Path, tmp_path: Path) -> None:
    assert (built / "index.html").exists()
    site = script("site")
    site.lay_out(tmp_path / "pages")
    page = tmp_path / "pages" / "docs" / "start.md"
    page.write_text(page.read_text("utf-8") + "\n[gone](nowhere.md)\n", "utf-8")
    assert site.generate(tmp_path / "pages") != 0


@pytest.mark.slow
def test_pages_name_no_file_of_another_host(built: Path) -> None:
    for page in built.rglob("*.html"):
        for tag in re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", page.read_text("utf-8")):
            assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", tag), f"{page.name}: {tag}"


@pytest.fixture(scope="module")
def served(built: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(built)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.mark.slow
@pytest.mark.browser
def test_it_reads_and_searches_in_both_languages(served: str) -> None:
    chromium = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(chromium).exists():
        pytest.skip("no chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'bodega[dev]'")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--headless=new", "--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(15_000)
        foreign: list[str] = []
        errors: list[str] = []
        page.on("request", lambda asked: asked.url.startswith((served, "data:", "blob:")) or foreign.append(asked.url))
        page.on("console", lambda told: told.type == "error" and errors.append(told.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        for path in ("index.html", "start.html", "reference/cli.html", "index.zh.html"):
            page.goto(f"{served}/{path}")
            page.wait_for_selector("article h1")
        for words, expected in (("snapshot", "snapshot"), ("商品", "商品")):
            page.goto(f"{served}/index.html")
            page.keyboard.press("/")
            page.keyboard.type(words)
            page.get_by_text(re.compile("^[1-9][0-9]* results?$")).locator("visible=true").first.wait_for()
            assert page.get_by_text(re.compile(expected, re.I)).count() > 0
        browser.close()
    assert errors == []
    assert foreign == []
