"""The scripts for pages that are there already: small, typed, with digests, for every origin, no markup from text."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from typer.testing import CliRunner

import bodega
from bodega.cli import app
from bodega.web import client as package
from bodega.web.client import Scripts, client_handlers, snippet

STATIC = Path(package.__file__).parent / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
CLIENT_LIMIT, ELEMENTS_LIMIT = 5_000, 7_000

CONSUMER = """
import { Bodega, bodega, BodegaError, type Page } from "./bodega.js";
import { BodegaList } from "./bodega-elements.js";
const shop = new Bodega({ url: "https://search.example", key: "k", consent: "opt-in" });
const page: Page = await shop.search("tea", { k: 3, filters: [{ field: "brand", low: 1 }], sort: "price_up" });
const first = page.hits[0];
shop.click(first, page);
shop.cart(first.id, { price: first.document.price, quantity: 2 });
await shop.purchase([{ item: first.id, price: 3 }]);
const held = await shop.consent({ personalisation: true });
const said: boolean | undefined = held?.learning;
const list: BodegaList | null = document.querySelector("bodega-list");
list?.setAttribute("place", "home");
list!.render = (hit, shown) => document.createTextNode(`${hit.document.title} ${shown.total}`);
document.querySelector("bodega-search")?.search("tea");
try { await bodega().suggest("t"); }
catch (error) { if (error instanceof BodegaError) console.log(error.problem?.next, said); }
"""
WRONG = """
import { Bodega } from "./bodega.js";
new Bodega({ consent: "maybe" });
"""


@pytest.fixture(scope="module")
def web() -> Any:
    with TestClient(Litestar(client_handlers(), openapi_config=None)) as opened:
        yield opened


def test_the_client_is_under_five_kilobytes_on_the_wire() -> None:
    scripts = Scripts.load()
    assert len(scripts.files["bodega.js"].squeezed) < CLIENT_LIMIT
    assert len(scripts.files["bodega-elements.js"].squeezed) < ELEMENTS_LIMIT
    assert set(scripts.files) == {"bodega.js", "bodega.d.ts", "bodega-elements.js", "bodega-elements.d.ts"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_never_make_markup_or_code_from_text(script: Path) -> None:
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", script.read_text("utf-8"), flags=re.DOTALL)
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc|setHTML"
    assert not re.search(forbidden, code)
    assert not re.search(r"https?://\w", code), "a script names a host"
    assert script.read_text("utf-8").count("\n") < 350


def test_files_are_for_every_origin_and_cached_for_good(web: Any) -> None:
    scripts = Scripts.load()
    answer = web.get(scripts.url("bodega.js"), headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.content == scripts.files["bodega.js"].body
    again = web.get("/client/v1/bodega.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")
    for name in ("nothing.js", "..%2Fscripts.py", "__init__.py"):
        assert web.get(f"/client/v1/{name}").status_code == 404


def test_the_snippet_ties_the_scripts_to_their_digests() -> None:
    pasted = snippet("https://search.example/", 'k"><script>')
    held = dict(
        re.findall(r'/client/[0-9a-f]{12}/([\w.-]+)" integrity="(sha384-[^"]+)" crossorigin="anonymous"', pasted)
    )
    assert set(held) == {"bodega.js", "bodega-elements.js"}
    for name, digest in held.items():
        assert digest == f"sha384-{base64.b64encode(hashlib.sha384((STATIC / name).read_bytes()).digest()).decode()}"
    assert "<script>" not in pasted
    assert "integrity" not in snippet("https://search.example", "k", floating=True)


def test_the_command_prints_it_with_a_fresh_key(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    bodega.open(shop).close()
    run = CliRunner().invoke(
        app, ["client", "--shop", str(shop), "--url", "https://search.example", "--new-key", "--json"]
    )
    assert run.exit_code == 0, run.output
    assert '"version"' in run.stdout
    with bodega.open(shop) as opened:
        (key,) = opened.keys.list()
    assert (key.label, set(key.scopes)) == ("pages", {"search", "events"})
    plain = CliRunner().invoke(app, ["client", "--shop", str(shop)])
    assert "YOUR_KEY" in plain.stdout
    assert "<bodega-search" in plain.stdout
    assert CliRunner().invoke(app, ["client", "--shop", str(shop), "--url", "javascript:1"]).exit_code != 0


def test_both_languages_of_the_elements_have_the_same_texts() -> None:
    code = (STATIC / "bodega-elements.js").read_text("utf-8")
    english, chinese = (re.search(rf"^  {name}: {{(.*)}},$", code, re.MULTILINE) for name in ("en", "zh"))
    assert english is not None
    assert chinese is not None
    keys = [re.findall(r"(\w+): \"", found[1]) for found in (english, chinese)]
    assert keys[0] == keys[1]
    assert len(keys[0]) >= 10
    assert {key for key in keys[0] if f'"{key}"' in code} == set(keys[0]), "a text that nothing shows"


def test_the_types_name_what_the_client_has() -> None:
    code = (STATIC / "bodega.js").read_text("utf-8")
    types = (STATIC / "bodega.d.ts").read_text("utf-8")
    body = code[code.index("export class Bodega {") : code.index("let usual;")]
    own = set(re.findall(r"^  (?:async |get |set )?([a-z]\w*)\(", body, re.MULTILINE)) - {"constructor"}
    told = types[types.index("export class Bodega {") :]
    typed = set(re.findall(r"^  (?:readonly )?(\w+)[(:]", told[: told.index("\n}")], re.MULTILINE))
    assert own <= typed, own - typed
    assert typed - own <= {"options", "constructor"}


def _compiler() -> list[str]:
    """The TypeScript compiler of this machine, or one that npm fetched before into a cache."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: the types are checked where node and typescript are")
    found = shutil.which("tsc")
    if found:
        return [found]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bodega-tests" / "typescript-5.9.3"
    tsc = base / "node_modules" / "typescript" / "bin" / "tsc"
    if not tsc.is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("no tsc and no npm")
        base.mkdir(parents=True, exist_ok=True)
        wanted = ["install", "--no-save", "--package-lock=false", "--ignore-scripts", "--no-audit", "--no-fund"]
        ran = subprocess.run(
            [npm, *wanted, "--fetch-retries=0", "typescript@5.9.3"],
            cwd=base,
            capture_output=True,
            timeout=120,
            check=False,
        )
        if ran.returncode or not tsc.is_file():
            pytest.skip("typescript could not be fetched by npm")
    return [node, str(tsc)]


@pytest.mark.slow
def test_the_types_are_types(tmp_path: Path) -> None:
    compiler = _compiler()
    for file in STATIC.glob("*.d.ts"):
        shutil.copy(file, tmp_path)
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"]
    (tmp_path / "package.json").write_text('{"type": "module"}')

    def checked(text: str) -> str:
        (tmp_path / "page.ts").write_text(text)
        command = [*compiler, *options, "--lib", "es2022,dom,dom.iterable", "page.ts"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False).stdout

    assert checked(CONSUMER) == ""
    assert '"maybe"' in checked(WRONG)


def test_files_compress_to_the_same_bytes_every_time() -> None:
    one, two = Scripts.load(), Scripts.load()
    assert one.version == two.version
    assert all(gzip.decompress(each.squeezed) == each.body for each in one.files.values())
