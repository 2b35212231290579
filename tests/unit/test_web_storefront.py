"""The storefront's server side: headers, caching, languages, escaping; and promises that the files themselves keep."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bodega.errors import BadSettings
from bodega.web import storefront
from bodega.web.storefront import StorefrontOptions, storefront_handlers
from bodega.web.storefront.assets import Assets
from bodega.web.storefront.shell import as_script_json, strings

FOLDER = Path(storefront.__file__).parent
SCRIPTS = sorted((FOLDER / "static").glob("*.js"))
WIRE_LIMIT = 88_000


def client(**options: Any) -> TestClient[Litestar]:
    return TestClient(Litestar(storefront_handlers(StorefrontOptions(**options)), openapi_config=None))


@pytest.fixture(scope="module")
def web() -> Any:
    with client(api_key="bodega_k", shop_name="Corner") as opened:
        yield opened


@pytest.mark.parametrize(
    "path", ["/", "/search?q=milk", "/basket", "/privacy", "/item/1", "/item/a%2Fb%3Fc", "/item/%F0%9F%98%80"]
)
def test_pages_have_real_addresses(web: Any, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<main" in answer.text


def test_the_policy_lets_no_string_become_code(web: Any) -> None:
    policy = dict(
        part.split(" ", 1) for part in web.get("/").headers["content-security-policy"].split("; ") if " " in part
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["trusted-types"] == "'none'"
    assert not re.search(r"unsafe|nonce|data:|\*", web.get("/").headers["content-security-policy"])


def test_the_shell_holds_no_inline_code(web: Any) -> None:
    html = web.get("/").text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    kinds = re.findall(r"<script([^>]*)>", html)
    assert all('type="application/json"' in kind or "src=" in kind for kind in kinds)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", html), "something is fetched from elsewhere"


@pytest.mark.parametrize(
    "name",
    ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;b&gt;", "$t_home ${css}", "店铺"],
)
def test_the_shop_name_is_only_text(name: str) -> None:
    with client(shop_name=name) as web:
        html = web.get("/").text
    assert html.count("<script") == 2
    assert "<img" not in html
    facts = re.search(r'<script type="application/json" id="facts">(.*?)</script>', html, re.DOTALL)
    assert facts is not None
    assert json.loads(facts[1])["shop_name"] == name


def test_script_json_cannot_end_its_element() -> None:
    text = as_script_json({"a": "</script><!-- & \u2028\u2029"})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"a": "</script><!-- & \u2028\u2029"}


def test_language_by_address_then_cookie_then_option(web: Any) -> None:
    assert 'lang="en"' in web.get("/").text
    chosen = web.get("/?lang=zh")
    assert '<html lang="zh-CN">' in chosen.text
    assert "bodega_lang=zh" in chosen.headers["set-cookie"]
    assert "SameSite=Lax" in chosen.headers["set-cookie"]
    assert '<html lang="zh-CN">' in web.get("/basket").text, "the cookie is remembered"
    assert '<html lang="en">' in web.get("/?lang=en").text
    assert '<html lang="en">' in web.get("/?lang=../../etc").text
    with client(language="zh") as chinese:
        assert '<html lang="zh-CN">' in chinese.get("/").text
        assert "购物车" in chinese.get("/").text


def test_files_are_cached_for_good_and_revalidated(web: Any) -> None:
    assets = Assets.load()
    url = assets.url("app.js")
    assert url in web.get("/").text
    first = web.get(url)
    assert first.headers["content-type"].startswith("text/javascript")
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert first.headers["content-encoding"] == "gzip"
    assert first.content == assets.files["app.js"].body
    again = web.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = web.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    old = web.get("/static/storefront/000000000000/app.js")
    assert old.headers["cache-control"] == "no-cache"
    for name in ("nothing.js", "..%2Fshell.py", "strings.en.json"):
        assert web.get(f"/static/storefront/{assets.version}/{name}").status_code == 404


def test_every_module_is_loaded_at_once(web: Any) -> None:
    preloaded = re.findall(r'rel="modulepreload" href="[^"]*/([\w-]+\.js)"', web.get("/").text)
    assert sorted(preloaded) == [script.name for script in SCRIPTS]


@pytest.mark.parametrize(
    "options", [{"language": "fr"}, {"currency": "dollars"}, {"api": "https://elsewhere.example/v1"}, {"api": "//x"}]
)
def test_options_that_cannot_be(options: dict[str, str]) -> None:
    with pytest.raises(BadSettings, match="allowed"):
        storefront_handlers(StorefrontOptions(**options))


def test_all_files_together_are_small() -> None:
    wire = sum(len(asset.squeezed) for asset in Assets.load().files.values())
    assert wire <= WIRE_LIMIT, f"{wire:,} bytes"
    for script in SCRIPTS:
        lines = script.read_text("utf-8").count("\n")
        assert lines <= 200, f"{script.name} has {lines} lines"
        assert script.read_text("utf-8").startswith("/**"), f"{script.name} does not say what it answers"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_never_make_markup_or_code_from_text(script: Path) -> None:
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", script.read_text("utf-8"), flags=re.DOTALL)
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc|setHTML"
    assert not re.search(forbidden, code)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", code), "a script names another host"


def test_both_languages_have_the_same_texts() -> None:
    english, chinese = strings("en"), strings("zh")
    assert set(english) == set(chinese)
    for key, text in english.items():
        assert text.strip()
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", chinese[key])) or key.endswith(".one"), (
            key
        )
        if key not in ("other_lang", "percent", "other_language", "stop"):
            assert re.search(r"[\u4e00-\u9fff]", chinese[key]), f"{key} is not Chinese"
            assert not re.search(r"[\u4e00-\u9fff]", text), f"{key} is not English"


def test_every_text_that_is_asked_for_is_there_and_none_is_idle() -> None:
    code = "\n".join(script.read_text("utf-8") for script in SCRIPTS)
    shell = (FOLDER / "shell.html").read_text("utf-8")
    known = strings("en")
    asked = set(re.findall(r'\bt\(\s*"([\w.]+)"', code))
    assert len(asked) > 60
    assert asked <= set(known)
    families = tuple(f"{found}." for found in set(re.findall(r"t\(`([a-z]+)\.\$", code)))
    assert set(families) == {
        "aspect.",
        "did.",
        "means.",
        "note.",
        "purpose.",
        "order.",
        "basis.",
        "field.",
        "hello.",
        "kind.",
        "list.",
        "sort.",
        "source.",
        "stock.",
    }
    ends = {
        f"{found}_{end}" for found in re.findall(r"t\(`([a-z]+)_\$", code) for end in ("low", "high", "left", "right")
    }
    quoted = set(re.findall(r'"([\w.]+)"', code)) | ends
    for key in known:
        base = key.removesuffix(".one")
        shown = base in quoted or base.startswith(families) or f"$t_{base.replace('.', '_')}" in shell
        assert shown, f"nothing shows {key}"


def test_every_kind_has_its_shape() -> None:
    kinds = (FOLDER / "static" / "kinds.js").read_text("utf-8")
    shapes = set(re.findall(r"^  (\w+): \"", (FOLDER / "static" / "glyphs.js").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"^([a-z]+)(?: \d+)*\|", kinds, re.MULTILINE))
    assert len(shapes) >= 80
    for line in re.findall(
        r"^.*\|.*$",
        re.sub(r"/\*.*?\*/|^const.*", "", kinds.partition("/** @typedef")[0], flags=re.DOTALL | re.MULTILINE),
        re.MULTILINE,
    ):
        assert re.fullmatch(r"[a-z]+(?: \d+){0,2}\|[a-z ,]+\|[\u4e00-\u9fff,]+`?;?", line), line
    assert named <= shapes
    assert shapes - named == {"parcel"}, "a shape that nothing is drawn with"


def test_assets_compress_to_the_same_bytes_every_time() -> None:
    one, two = Assets.load(), Assets.load()
    assert one.version == two.version
    for name, asset in one.files.items():
        assert gzip.decompress(asset.squeezed) == asset.body
        assert asset.squeezed == two.files[name].squeezed


def test_tokens_are_given_to_own_pages_for_own_visits_only() -> None:
    visit = "s-" + "0a" * 12
    with client(token=lambda name: f"token of {name}") as web:
        said = web.post("/storefront/token", json={"session": visit}, headers={"Sec-Fetch-Site": "same-origin"})
        assert (said.status_code, said.json()) == (200, {"token": f"token of {visit}"})
        assert said.headers["cache-control"] == "no-store"
        for site in ("cross-site", "same-site", "none"):
            assert (
                web.post("/storefront/token", json={"session": visit}, headers={"Sec-Fetch-Site": site}).status_code
                == 403
            )
        for body in ("", "[]", "null", '{"session": 7}', '{"session": "u42"}', '{"session": "' + "s" * 5_000 + '"}'):
            assert web.post("/storefront/token", content=body).status_code == 404
    with client() as closed:
        assert closed.post("/storefront/token", json={"session": visit}).status_code == 404
