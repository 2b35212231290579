"""The console's server side: headers, files, texts; and promises that the files themselves keep."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bodega.web import console
from bodega.web.console import ConsoleOptions, console_handlers, vendor
from bodega.web.console.assets import Assets
from bodega.web.console.shell import strings

FOLDER = Path(console.__file__).parent
SCRIPTS = sorted((FOLDER / "static").rglob("*.js"))
PAGES = re.findall(r'module: "\./(pages/[\w-]+\.js)"', (FOLDER / "static" / "pages.js").read_text("utf-8"))


@pytest.fixture(scope="module")
def web() -> Any:
    app = Litestar(console_handlers(ConsoleOptions(shop_name="</script><b>Corner")), openapi_config=None)
    with TestClient(app) as opened:
        yield opened


def test_the_shell_is_closed_to_strings(web: Any) -> None:
    answer = web.get("/console/today?lang=zh")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    parts = dict(part.split(" ", 1) for part in policy.split("; "))
    assert parts["default-src"] == parts["base-uri"] == parts["frame-ancestors"] == "'none'"
    assert parts["script-src"] == parts["style-src"] == parts["connect-src"] == "'self'"
    assert parts["require-trusted-types-for"] == "'script'"
    assert parts["trusted-types"] == "default"
    assert "unsafe" not in policy
    html = answer.text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", html), "something is fetched from elsewhere"
    assert "<b>Corner" not in html, "the shop's name is only text"
    assert "控制台" in html
    facts = re.search(r'<script type="application/json" id="facts">(.*?)</script>', html, re.DOTALL)
    assert facts is not None
    assert json.loads(facts[1])["shop_name"] == "</script><b>Corner"


def test_files_are_cached_for_good_and_nothing_else_is_served(web: Any) -> None:
    assets = Assets.load()
    first = web.get(assets.url("lib/dom.js"))
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert first.content == assets.files["lib/dom.js"].body
    assert web.get(assets.url("lib/dom.js"), headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert web.get("/static/console/000000000000/lib/dom.js").headers["cache-control"] == "no-cache"
    for name in ("shell.py", "../shell.py", "..%2Fshell.py", "strings/frame.en.json", "vendor/nothing.js"):
        assert web.get(f"/static/console/{assets.version}/{name}").status_code == 404, name


@pytest.mark.parametrize("library", vendor.LIBRARIES.values(), ids=lambda each: each.name)
def test_libraries_are_the_tested_ones(web: Any, library: vendor.Library) -> None:
    if library.body is None:
        pytest.skip(f"not installed: {vendor.INSTALL}")
    answer = web.get(f"/static/console/x/vendor/{library.name}")
    assert answer.content == library.body
    assert gzip.decompress(library.squeezed) == library.body
    assert vendor.missing() == []


def test_other_bytes_of_a_library_are_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "carrier").mkdir()
    (tmp_path / "carrier" / "lib.js").write_text("alert(1)")
    monkeypatch.syspath_prepend(tmp_path)
    wrong = vendor.Library("lib.js", "carrier", "lib.js", "0" * 64)
    assert wrong.body is None
    assert vendor.Library("lib.js", "no_such_package", "lib.js", "0" * 64).body is None
    right = hashlib.sha256(b"alert(1)").hexdigest()
    assert vendor.Library("lib.js", "carrier", "lib.js", right).body == b"alert(1)"


def test_without_the_extra_the_shell_says_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bodega.web.console.handlers.missing", lambda: ["instaui_echarts"])
    with TestClient(Litestar(console_handlers(ConsoleOptions()), openapi_config=None)) as opened:
        html = opened.get("/console").text
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', html, re.DOTALL)[1])  # type: ignore[index]
    assert facts["missing"] == ["instaui_echarts"]
    assert facts["install"] == "pip install 'bodega[console]'"


def test_both_languages_have_the_same_texts() -> None:
    english, chinese = strings("en"), strings("zh")
    from_server = {key for key in chinese if key.startswith("help.") or re.fullmatch(r"said\..*\.next", key)}
    assert set(english) == set(chinese) - from_server, "(in English, these are what the server sends)"
    for key, text in english.items():
        assert text.strip(), key
        values = set(re.findall(r"\{\w+\}", text))
        assert values == set(re.findall(r"\{\w+\}", chinese[key])) or key.endswith(".one"), key


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(FOLDER / "static")))
def test_scripts_never_make_markup_or_code_from_text(script: Path) -> None:
    text = script.read_text("utf-8")
    assert text.startswith("/**"), "it does not say what it answers"
    assert text.count("\n") < 350
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc|setHTML"
    assert not re.search(forbidden, code)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", code), "a script names another host"


def test_every_text_that_is_asked_for_is_there() -> None:
    known = set(strings("en"))
    for script in SCRIPTS:
        asked = set(re.findall(r'\bt\(\s*"([\w.]+)"', script.read_text("utf-8")))
        assert asked <= known, (script.name, asked - known)


def test_every_page_is_there_with_its_name() -> None:
    text = (FOLDER / "static" / "pages.js").read_text("utf-8")
    assert len(PAGES) >= 5
    names = strings("en")
    for path in PAGES:
        assert (FOLDER / "static" / path).is_file(), path
    for title in re.findall(r'title: "([\w.]+)"', text):
        assert title in names
    for group in re.findall(r'group: "(\w+)"', text):
        assert f"shell.group_{group}" in names


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(FOLDER / "static")))
def test_every_line_that_imports_is_an_import(script: Path) -> None:
    """No engine parses the scripts here: what stands before the first other statement must be imports and comments."""
    code = re.sub(r"/\*.*?\*/", "", script.read_text("utf-8"), flags=re.DOTALL)
    lines = [line for line in code.splitlines() if re.search(r'from "\.{1,2}/[\w./-]+";$', line)]
    for line in lines:
        assert re.fullmatch(r'(import|export) (\{[\w, ]+\}|\* as \w+) from "[\w./-]+";', line.strip()), line
