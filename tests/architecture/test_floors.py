"""The house keeps its floors: the linter passes, it catches planted violations, and the map is the same everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import bodega

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "bodega"

PLANTED = {
    "a source imports another source": ("retrieval/popular.py", "from bodega.retrieval.transition import Transition"),
    "a low floor imports a high one": ("schema/nouns.py", "import bodega.engine.answer"),
    "the judge imports a contestant": ("evaluation/ranks.py", "import bodega.retrieval.popular"),
    "the engine opens a store itself": ("engine/answer.py", "import bodega.adapters.sql"),
    "the service reaches past wiring to the bytes": ("service/app.py", "import bodega.adapters.sql"),
    "the storefront calls the engine": ("web/storefront/handlers.py", "import bodega.engine.answer"),
    "the base install needs torch": ("ranking/fuse.py", "import torch"),
    "the catalog and the events know each other": ("catalog/draft.py", "import bodega.events"),
    "a room that is not on the map": ("cellar/__init__.py", ""),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the linter over `folder/src`, with the contracts of `folder/pyproject.toml`."""
    program = (
        f"import sys; sys.path.insert(0, {str(folder / 'src')!r})\n"
        "from importlinter.cli import lint_imports\n"
        "sys.exit(lint_imports(config_filename='pyproject.toml', no_cache=True))"
    )
    return subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def floors() -> list[list[str]]:
    """The rooms of each floor as the linter is told, lowest first."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(one for one in tool["contracts"] if one["name"].startswith("Floors"))["layers"]
    return [re.findall(r"\w+", layer) for layer in reversed(layers)]


def rooms_in(text: str) -> list[str]:
    """The first words of the indented list of rooms, in order."""
    return [name for name in re.findall(r"^    (\w+) {2,}\S", text, re.MULTILINE) if (SOURCE / name).exists()
            or (SOURCE / f"{name}.py").exists()]  # fmt: skip


def test_imports_keep_the_floors() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert re.search(r"Contracts: [6-9]\d* kept, 0 broken", done.stdout), done.stdout[-500:]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(SOURCE, folder / "src" / "bodega", ignore=shutil.ignore_patterns("__pycache__", "static"))
    assert lint(folder).returncode == 0, "the copy must be clean, or the planted faults prove nothing"
    return folder


@pytest.mark.parametrize("violation", PLANTED)
def test_the_linter_catches(violation: str, copy: Path) -> None:
    name, line = PLANTED[violation]
    path = copy / "src" / "bodega" / name
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{before or ''}\n{line}\n")
    try:
        done = lint(copy)
    finally:
        if before is None:
            shutil.rmtree(path.parent)
        else:
            path.write_text(before)
    assert done.returncode == 1, f"not caught: {violation}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


def test_the_map_names_every_room_once_in_the_order_of_the_floors() -> None:
    rooms = rooms_in(bodega.__doc__ or "")
    there = {path.stem for path in SOURCE.iterdir() if not path.name.startswith("_") and path.name != "py.typed"}
    assert len(rooms) == len(set(rooms))
    assert set(rooms) == there, f"in the docstring but not there or the other way round: {set(rooms) ^ there}"
    floor = {room: height for height, floor in enumerate(floors()) for room in floor}
    assert set(floor) == there, f"in the linter but not there or the other way round: {set(floor) ^ there}"
    heights = [floor[room] for room in rooms]
    assert heights == sorted(heights), "the docstring of bodega/__init__.py is not in the order of the floors"


def test_architecture_document_has_the_same_map() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert rooms_in(text) == rooms_in(bodega.__doc__ or "")
    headings = re.findall(r"^### `(\w+)`", text, re.MULTILINE)
    assert headings == rooms_in(bodega.__doc__ or ""), "one paragraph a room, in the order of the map"
