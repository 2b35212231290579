"""House habits that a tool can see: sizes, forbidden calls, docstrings, and what the wheel carries."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "bodega"
MODULES = sorted(SOURCE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

FILE_LIMIT = 600
FUNCTION_LIMIT = 60

FORBIDDEN_IMPORTS = {"pickle", "cPickle", "joblib", "shelve", "dill", "cloudpickle", "marshal", "skops", "yaml"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def faults_of(tree: ast.AST) -> Iterator[str]:
    """What a module does that no module of ours may do."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").split(".")[0]}
        else:
            names = set()
        yield from (f"line {node.lineno}: imports {name}" for name in names & FORBIDDEN_IMPORTS)
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
                yield f"line {node.lineno}: calls {node.func.id}"
            for word in node.keywords:
                if word.arg == "allow_pickle" and not (isinstance(word.value, ast.Constant) and not word.value.value):
                    yield f"line {node.lineno}: allow_pickle is not False"
            told = {word.arg for word in node.keywords}
            if ast.unparse(node.func) == "np.load" and "allow_pickle" not in told:
                yield f"line {node.lineno}: np.load without allow_pickle=False"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_keeps_the_habits(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert not list(faults_of(tree))
    assert ast.get_docstring(tree), "a file opens with a paragraph: question, idea, cost, what it is not"
    assert len(text.splitlines()) <= FILE_LIMIT
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LIMIT, f"{node.name} has {length} lines: a function fits one screen"


@pytest.mark.parametrize(
    "program",
    [
        "import pickle", "from joblib import load", "import yaml", "eval('1')", "exec('a = 1')", "np.load(path)",
        "np.load(path, allow_pickle=True)", "np.load(path, allow_pickle=flag)",
    ],
)  # fmt: skip
def test_the_guard_sees(program: str) -> None:
    assert list(faults_of(ast.parse(program)))


def exported() -> Iterator[tuple[str, str]]:
    """(room, name) of everything that a room names in `__all__`."""
    for path in MODULES:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                room = ".".join(("bodega", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
                yield from ((room, name) for name in ast.literal_eval(node.value))


@pytest.mark.parametrize(("room", "name"), list(exported()))
def test_exported_name_is_documented(room: str, name: str) -> None:
    thing = getattr(importlib.import_module(room), name)
    if isinstance(thing, type) and issubclass(thing, StrEnum):
        return  # the members say it
    if isinstance(thing, type) or inspect.isfunction(thing):
        said = (vars(thing).get("__doc__") if isinstance(thing, type) else thing.__doc__) or ""
        assert said, f"{room}.{name} says nothing"
        assert not said.startswith(f"{name}("), f"{room}.{name} has only the docstring that dataclasses make"


def test_no_utils() -> None:
    names = {"utils", "util", "helpers", "misc", "common"}
    assert not [path for path in MODULES if path.stem in names]


def test_test_files_have_unique_names() -> None:
    names = [path.name for path in TESTS if path.name.startswith("test_")]
    assert len(names) == len(set(names)), sorted(name for name in set(names) if names.count(name) > 1)


def test_project_files_name_no_host_of_packages_and_no_path_of_one_machine() -> None:
    """A clone must work anywhere: no registry, no mirror, no absolute path in what configures the project."""
    pattern = re.compile(r"(index-url|find-links|extra-index|trusted-host|file://|/home/|/root/|/work/|/Users/)")
    files = ["pyproject.toml", "Makefile", "constraints.txt", ".ci/run", "README.md", "CONTRIBUTING.md"]
    found = [(name, line) for name in files for line in (ROOT / name).read_text().splitlines() if pattern.search(line)]
    assert not found


def test_the_wheel_carries_everything_that_is_not_python() -> None:
    """Hatch packs the whole folder `src/bodega`: migrations, the storefront's files and the typing marker lie in it."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert build == {"packages": ["src/bodega"]}, "no exclusions: what lies in the package is in the wheel"
    assert (SOURCE / "py.typed").exists(), "Typing :: Typed needs the marker"
    assert list((SOURCE / "adapters" / "sql" / "migrations" / "versions").glob("*.py"))
    static = list((SOURCE / "web" / "storefront" / "static").iterdir())
    assert {".js", ".css"} <= {path.suffix for path in static}
    ignored = {line.strip() for line in (ROOT / ".gitignore").read_text().splitlines()}
    assert not {"*.js", "*.css", "static/", "*.html"} & ignored, "hatch leaves out what git ignores"


def test_every_test_asserts_something() -> None:
    """A test that cannot fail is no test: each contains an assertion, a `raises`, or a call of a check."""
    mute = []
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                code = ast.unparse(ast.Module(node.body, []))
                if not re.search(r"\bassert|raises\(|\bcheck|\bfail\(|expect", code):
                    mute.append(f"{path.name}:{node.lineno} {node.name}")
    assert not mute, mute
