"""The runbooks are true: every shell block of a page is run, in order, as one script in a folder with a shop.

The script stops at the first command that fails. `bodega` is this very version, port 7700 becomes a free one, and
`products.csv`, `events.csv` and a learned `my-shop` lie in the folder (but for the page that makes it). Servers
that a page needs (PostgreSQL, a stream) are real ones.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bodega.service.server import free_port
from bodega.testing.world import WorldSpec, make_world

OPERATE = Path(__file__).parents[2] / "docs" / "operate"
PAGES = sorted(OPERATE.glob("*.md"))
QUICK = ("keys.md",)
"""Pages that are run every time; the others take longer and are run by `make slow`."""
ITEM = ("id", "title", "brand", "category", "price", "currency", "stock")
EVENT = ("id", "type", "time", "user", "session", "item", "query", "quantity", "position")


def script_of(page: Path) -> str:
    """All shell blocks of a page, one after the other."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.M | re.S))


def write(path: Path, columns: tuple[str, ...], rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)


class Place:
    """A folder in which scripts are run with our `bodega` in front of the path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        tools = root / ".tools"
        tools.mkdir(parents=True, exist_ok=True)
        launcher = tools / "bodega"
        launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bodega "$@"\n', "utf-8")
        launcher.chmod(0o755)
        source = Path(__file__).parents[2] / "src"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("BODEGA_", "COV_CORE"))},
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(source),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "BODEGA_LEARN_EVALUATED_USERS": "50",
            "BODEGA_UNDERSTAND_TEACHER": "none",
        }

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        """The script as bash runs it; whatever it left running is stopped."""
        port = free_port()
        text = script.replace("7700", str(port)).replace("nohup bodega", "bodega")
        whole = f"set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait || true' EXIT\n{text}\n"
        return subprocess.run(
            ["bash", "-c", whole],
            cwd=self.root,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """products.csv, events.csv and a shop made of them."""
    root = tmp_path_factory.mktemp("operate")
    world = make_world(WorldSpec(n_items=60, n_shoppers=30, days=30))
    rows = [msgspec.to_builtins(item) for item in world.items]
    write(root / "products.csv", ITEM, [{**row, "category": " > ".join(row.get("category", ()))} for row in rows])
    write(root / "events.csv", EVENT, [msgspec.to_builtins(event) for event in world.events])
    made = Place(root).run(
        "bodega init my-shop && bodega import items products.csv --shop my-shop && "
        "bodega import events events.csv --shop my-shop && bodega learn --shop my-shop"
    )
    assert made.returncode == 0, made.stderr
    return root


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Iterator[Place]:
    root = tmp_path / "here"
    shutil.copytree(template, root)
    yield Place(root)
    shutil.rmtree(root, ignore_errors=True)


def servers(page: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """The addresses of the servers that a page asks for; skips where they cannot be had."""
    script, found = script_of(page), {}
    if "$POSTGRES_URL" in script:
        found["POSTGRES_URL"] = request.getfixturevalue("fresh_postgres_url")
    if "$STREAM_URL" in script:
        address = request.getfixturevalue("valkey_url").rstrip("/")
        found["STREAM_URL"] = f"{re.sub(r'/[0-9]+$', '', address)}/runbook?group=bodega"
    return found


def check_page(page: Path, place: Place, **more: str) -> None:
    """Every command of the page works. Raises AssertionError with what the script said."""
    if page.name == "first-start.md":
        shutil.rmtree(place.root / "my-shop")
    done = place.run(script_of(page), **more)
    assert done.returncode == 0, f"{page.name}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def cases() -> list[object]:
    named = [page for page in PAGES if script_of(page)]
    return [
        pytest.param(page, id=page.stem, marks=() if page.name in QUICK else pytest.mark.slow) for page in named
    ]  # fmt: skip


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", cases())
def test_the_commands_of_a_runbook_work(page: Path, place: Place, request: pytest.FixtureRequest) -> None:
    check_page(page, place, **servers(page, request))


def test_the_guard_catches_a_command_that_fails(place: Place, tmp_path: Path) -> None:
    broken = tmp_path / "broken.md"
    broken.write_text("```sh\nbodega keys revoke nothing --shop my-shop\necho done\n```\n", "utf-8")
    with pytest.raises(AssertionError):
        check_page(broken, place)


def test_every_runbook_has_commands_and_stands_in_both_indexes() -> None:
    for index in ("README.md", "README.zh.md"):
        text = (OPERATE / index).read_text("utf-8")
        for page in PAGES:
            if not page.name.startswith("README"):
                assert f"({page.name})" in text, f"{index} does not name {page.name}"
    assert len([page for page in PAGES if script_of(page)]) >= 13
