"""The documents cannot drift: what they show is run, parsed or compared."""

from __future__ import annotations

import ast
import csv
import doctest
import importlib
import importlib.util
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

import bodega
from bodega import settings
from bodega.cli import app
from bodega.service import openapi
from bodega.testing.world import GeneratedWorld

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "bodega"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SHELLS = ("sh", "bash", "console", "shell")
WITH_EXAMPLES = sorted(path for path in SOURCE.rglob("*.py") if re.search(r"^\s*>>> ", path.read_text("utf-8"), re.M))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(text: str, *languages: str) -> list[str]:
    """The fenced blocks in one of the languages."""
    return [body for language, body in re.findall(r"^```(\w+)\n(.*?)^```", text, re.M | re.S) if language in languages]


def commands(text: str) -> Iterator[list[str]]:
    """Every `bodega ...` that a reader is told to type: lines of shell blocks and of indented ones."""
    yield from _bodega(line for block in blocks(text, *SHELLS) for line in block.replace("\\\n", " ").splitlines())
    yield from _bodega(re.findall(r"^ {4}((?:\$ )?bodega .+)$", text, re.M))


def mentions(text: str) -> Iterator[list[str]]:
    """Every `bodega ...` in running text: it may leave out what a command needs, but not name what is not there."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    yield from _bodega(code.replace("\n", " ") for code in re.findall(r"`(bodega [^`]+)`", plain))


def _bodega(lines: Iterable[str]) -> Iterator[list[str]]:
    for line in lines:
        words = shlex.split(line.removeprefix("$ "), comments=True)
        words = words[: next((number for number, word in enumerate(words) if word in (">", ">>", "|")), None)]
        if words and words[0].removeprefix(".venv/bin/") == "bodega":
            yield words[1:]


@cache
def program() -> Any:
    """All commands, made once: it takes as long as to parse a page."""
    return get_command(app)


def parse(words: list[str]) -> None:
    """Parse a command line as the program would, without running it. Raises typer's errors."""
    command, context, rest = program(), None, words
    while True:
        context = command.make_context(command.name or "bodega", list(rest), parent=context)
        rest = [*getattr(context, "_protected_args", []), *context.args]
        if not isinstance(command, TyperGroup) or not rest:
            return
        _, command, rest = command.resolve_command(context, rest)


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory, small_world: GeneratedWorld) -> Path:
    """A folder with the files that the examples read."""
    folder = tmp_path_factory.mktemp("feeds")
    rows = [msgspec.to_builtins(item) for item in small_world.items]
    columns = ("id", "title", "brand", "category", "price", "currency", "stock")
    with (folder / "products.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows({**row, "category": " > ".join(row["category"])} for row in rows)
    columns = ("id", "type", "time", "user", "session", "item", "query", "quantity", "position")
    with (folder / "events.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(msgspec.to_builtins(event) for event in small_world.events)
    return folder


@pytest.fixture
def workplace(feeds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with those files, and nothing else; the current folder."""
    shutil.copytree(feeds, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def snippets(page: Path) -> list[str]:
    return blocks(page.read_text("utf-8"), "python")


def with_snippets() -> list[Path]:
    """Pages with Python, each program once: that of the Chinese README is the English one's but for what it remarks."""
    programs = {tuple(ast.dump(ast.parse(each)) for each in snippets(page)): page for page in reversed(PAGES)}
    return sorted(page for program, page in programs.items() if program)


@pytest.mark.parametrize("page", with_snippets(), ids=name_of)
def test_python_snippets_run(page: Path, workplace: Path) -> None:
    """All python blocks of a page run one after the other, as a reader would type them."""
    names: dict[str, object] = {"__name__": "__main__"}
    for number, block in enumerate(snippets(page)):
        exec(compile(block, f"{page.name}, python block {number}", "exec"), names)
    for name, thing in names.items():
        if isinstance(thing, bodega.Page):
            assert len(thing), f"{name} is an empty page"
            assert not thing.degraded, f"{name} is degraded: {thing.degraded}"
        if isinstance(thing, bodega.Shop):
            thing.close()


def test_readme_has_a_python_example_of_five_lines() -> None:
    first = blocks((ROOT / "README.md").read_text("utf-8"), "python")[0]
    assert len([line for line in first.splitlines() if line.strip() and not line.startswith("import")]) == 5


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_command_lines_parse(page: Path, workplace: Path) -> None:
    text = page.read_text("utf-8")
    for words in [*commands(text), *mentions(text)]:
        try:
            parse(words)
        except typer.Exit:
            pass  # --help and --version stop the program
        except TyperException as error:
            if type(error).__name__ != "MissingParameter" or words in commands(text):
                pytest.fail(f"{name_of(page)}: `bodega {shlex.join(words)}`: {error}")


def test_the_guard_sees_a_wrong_command(workplace: Path) -> None:
    for line in ("bodega lern", "bodega learn --fast", "bodega import items", "bodega bench nothing"):
        (words,) = commands(f"```sh\n{line}\n```")
        with pytest.raises(TyperException):
            parse(words)


def test_readme_shows_the_commands_that_matter() -> None:
    shown = {words[0] for words in commands((ROOT / "README.md").read_text("utf-8"))}
    assert {"init", "import", "learn", "search", "serve", "bench", "doctor"} <= shown


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text("utf-8"), re.M)
    assert set(named) <= targets, f"{set(named) - targets} not in the Makefile"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_on_the_map() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    linked = {((ROOT / "docs") / link.split("#")[0]).resolve() for link in re.findall(r"\]\(([^)\s]+)\)", index)}
    decisions = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    linked |= {(ROOT / "docs" / "decisions" / link).resolve() for link in re.findall(r"\]\(([^)\s#]+)\)", decisions)}
    missing = [name_of(page) for page in PAGES if page.resolve() not in linked and page.parent != ROOT]
    assert set(missing) <= {"docs/index.md"}


def settings_page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_settings", ROOT / "docs" / "make_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_settings_page_is_the_settings() -> None:
    written = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert written == settings_page().page(), "next: make format (or python docs/make_settings.py)"
    assert len(re.findall(r"^\| `", written, re.M)) > 20


def test_every_setting_says_what_it_does() -> None:
    tables = [settings.Settings, settings.Store, settings.Ingest, settings.Learn, settings.Answer, settings.Serve]
    silent = [(table.__name__, key) for table in tables for key, _, _, said in settings_page().rows(table) if not said]
    assert not silent


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_in_toml_examples_are_accepted(page: Path, tmp_path: Path) -> None:
    for block in blocks(page.read_text("utf-8"), "toml"):
        (tmp_path / settings.FILE).write_text(block, "utf-8")
        assert settings.load(tmp_path, {}) != settings.Settings(), "an example that changes nothing teaches nothing"


def test_http_page_names_the_addresses_of_the_api() -> None:
    """Every address on the page is served, and every address that is served is on the page."""
    told = re.findall(r"`(?:GET|POST|DELETE) (/[^`?]*)", (ROOT / "docs" / "http.md").read_text("utf-8"))
    served = {operation.path for operation in openapi.OPERATIONS}
    assert set(told) == served


def test_every_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[\[<>=; ]", line)[0] for group in groups for line in group}
    page = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text("utf-8")
    rows = {cells[0].strip(" `*"): cells for line in page.splitlines() if len(cells := line.strip("|").split("|")) >= 4}
    assert names <= set(rows), f"no line for {names - set(rows)}"
    assert all(len(rows[name][-1].strip()) > 20 for name in names), "a line without a reason"
    gone = {name for name in rows if re.fullmatch(r"[A-Za-z][\w-]+", name) and rows[name] and name not in names}
    assert gone <= {"package"}, f"listed, but not a dependency: {gone}"


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_examples_in_docstrings_run(path: Path) -> None:
    parts = ("bodega", *path.relative_to(SOURCE).with_suffix("").parts)
    module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
