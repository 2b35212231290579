"""Make the documentation site: `python docs/make_site.py` (or `make docs`) writes site/, or fails on a broken link.

One text serves GitHub and the site, and nothing is written twice. The pages are first laid out in a folder as any
generator of sites reads them, then one is run over it; a test opens the result in a browser. Laying out means:

* the pages of the project's root (README, ARCHITECTURE ...) join, README as the first page; links between them and
  `docs/` keep working in both places; a link to a file that is no page becomes the file's name;
* `operate/*` in the navigation stands for every page of that folder which is not named itself;
* `<!-- shot: NAME | caption -->` becomes the screenshot `docs/images/made/NAME.png` when the tests have made it (with
  `NAME-dark.png` in the dark), and nothing when they have not: a reader on GitHub sees no broken picture.

Not for: content, nor for pages that are generated from the program (`make_cli.py` and its neighbours).
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MADE = "images/made"
NAMES = {ROOT / "README.md": "index.md", ROOT / "README.zh.md": "index.zh.md", DOCS / "index.md": "pages.md"}
"""Pages that are called otherwise on the site: a folder shows its README first, a site its index."""

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")
SHOT = re.compile(r"<!-- shot: ([\w-]+) \| (.+?) -->")


def pages() -> dict[Path, str]:
    """{file: its name on the site}, every page."""
    root = {path: path.name for path in sorted(ROOT.glob("*.md"))}
    docs = {path: path.relative_to(DOCS).as_posix() for path in sorted(DOCS.rglob("*.md"))}
    named = {**root, **docs, **{path: name for path, name in NAMES.items() if path.exists()}}
    assert len(set(named.values())) == len(named), "two pages with one name"
    return named


def lay_out(folder: Path) -> None:
    """Write pages, pictures and the configuration into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    found = pages()
    for path in sorted((*DOCS.rglob("*.png"), *DOCS.rglob("*.svg"), *DOCS.rglob("*.css"))):
        target = folder / "docs" / path.relative_to(DOCS)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    for path, name in found.items():
        target = folder / "docs" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(laid_out(path, found), "utf-8")
    head, nav = configuration()
    nav = filled(nav, set(leaves(nav)))
    (folder / "mkdocs.yml").write_text(
        head + yaml.safe_dump({"nav": nav}, allow_unicode=True, sort_keys=False), "utf-8"
    )


def configuration() -> tuple[str, list[Any]]:
    """mkdocs.yml up to its last part, and that part: the navigation."""
    head, nav = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:\n")
    return head + "\n", yaml.safe_load(nav)


def laid_out(path: Path, found: dict[Path, str]) -> str:
    """One page with links and screenshots as the site has them."""
    here = posixpath.dirname(found[path]) or "."

    def link(match: re.Match[str]) -> str:
        bang, text, target = match.groups()
        file, mark, anchor = target.partition("#")
        real = Path(os.path.normpath(path.parent / file))
        real = real / "README.md" if (real / "README.md") in found else real
        if not file or re.match(r"[a-z]+:", target) or not real.exists():
            return match[0]
        if real in found or (bang and real.is_relative_to(DOCS)):
            name = found.get(real) or real.relative_to(DOCS).as_posix()
            return f"{bang}[{text}]({posixpath.relpath(name, here)}{mark}{anchor})"
        return text if "`" in text else f"`{text}`"

    def picture(stem: str, caption: str, only: str) -> str:
        name = f"{MADE}/{stem}.png"
        if not (DOCS / name).exists():
            return ""
        return f"![{caption}]({posixpath.relpath(name, here)}{only}){{ .shot loading=lazy }}"

    def shot(match: re.Match[str]) -> str:
        dark = picture(f"{match[1]}-dark", match[2], "#only-dark")
        return "\n".join(filter(None, (picture(match[1], match[2], "#only-light" if dark else ""), dark)))

    parts = re.split(r"(^```.*?^```)", path.read_text("utf-8"), flags=re.M | re.S)  # odd ones are code
    parts[::2] = [SHOT.sub(shot, LINK.sub(link, part)) for part in parts[::2]]
    return "".join(parts)


def leaves(nav: Any) -> list[str]:
    """Every path that a navigation names."""
    if isinstance(nav, str):
        return [nav]
    return [leaf for each in (nav.values() if isinstance(nav, dict) else nav) for leaf in leaves(each)]


def filled(nav: Any, named: set[str]) -> Any:
    """The navigation with starred folders opened."""
    if isinstance(nav, dict):
        return {title: filled(inner, named) for title, inner in nav.items()}
    if not isinstance(nav, list):
        return nav
    made: list[Any] = []
    for each in nav:
        if isinstance(each, str) and each.endswith("/*"):
            inside = (path.relative_to(DOCS).as_posix() for path in sorted((DOCS / each[:-2]).glob("*.md")))
            made += [page for page in inside if page not in named]
        else:
            made.append(filled(each, named))
    return made


def cut_chinese(index: Path) -> None:
    """Put separators between the Chinese words of the search index, by the segmenter that the shop itself uses: the
    search in the browser finds only whole tokens, and a Chinese sentence would be one."""
    import rjieba

    def cut(text: str) -> str:
        return HAN.sub(lambda run: "\u200b".join(["", *rjieba.cut(run[0]), ""]), text)

    told = json.loads(index.read_text("utf-8"))
    told["config"]["separator"] = told["config"]["separator"].replace("[\\s", "[\\s\\u200b", 1)
    for entry in told["items"]:
        entry["title"], entry["text"] = cut(entry["title"]), cut(entry["text"])
    index.write_text(json.dumps(told, ensure_ascii=False, separators=(",", ":")), "utf-8")


def generate(pages_folder: Path) -> int:
    """Run the generator over pages that are laid out: 0 when nothing is wrong with them."""
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", "mkdocs.yml"]
    return subprocess.run(command, cwd=pages_folder, check=False).returncode  # noqa: S603 - a fixed command


def build(folder: Path) -> int:
    """Write `folder/site`; returns 0, or what the generator says of a broken page."""
    pages_folder = folder / "pages"
    lay_out(pages_folder)
    status = generate(pages_folder)
    if status == 0:
        cut_chinese(pages_folder / "site" / "search.json")
        shutil.rmtree(folder / "site", ignore_errors=True)
        shutil.move(pages_folder / "site", folder / "site")
    shutil.rmtree(pages_folder)
    return status


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".site-") as work:
        result = build(Path(work))
        if result == 0:
            shutil.rmtree(ROOT / "site", ignore_errors=True)
            shutil.move(Path(work) / "site", ROOT / "site")
    sys.exit(result)
