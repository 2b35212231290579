"""The ten minutes of docs/start.md are true: its commands, as they stand there, in their order, in an empty folder.

Two files as a newcomer has them; every shell block is run by the command line in this process (a second each saved),
and what it serves is asked at the addresses that the page names.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from bodega.cli import app
from bodega.service.server import free_port

PAGE = Path(__file__).parents[2] / "docs" / "start.md"
SERVE = ["serve", "--shop", "my-shop"]

PRODUCTS = [
    ("Tomato basil pasta sauce", "Nonna Rosa", "Pantry > Sauces", 2.89),
    ("Spaghetti no. 5", "Nonna Rosa", "Pantry > Pasta", 1.59),
    ("Penne rigate", "Nonna Rosa", "Pantry > Pasta", 1.69),
    ("Parmesan grated", "Old Barn", "Dairy > Cheese", 4.99),
    ("Arrabbiata pasta sauce", "Campfire", "Pantry > Sauces", 3.19),
    ("Olive oil extra virgin", "Nonna Rosa", "Pantry > Oil", 8.99),
    ("Whole milk", "Kings Hill", "Dairy > Milk", 2.49),
    ("Oat drink barista", "Oatley Farm", "Dairy > Milk", 3.49),
    ("Espresso coffee beans", "Cacao Lab", "Drinks > Coffee", 9.49),
    ("Dark chocolate 70%", "Cacao Lab", "Snacks > Chocolate", 2.99),
]


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines() if line.startswith("bodega ")]


def write_files() -> None:
    """products.csv and events.csv as the page shows them: 40 shoppers who cook pasta or drink coffee."""
    lines = ["id,title,brand,category,price,currency,stock"]
    for number in range(40):
        title, brand, category, price = PRODUCTS[number % 10]
        lines.append(f"p{number + 1:04},{title} {number // 10 + 1} pack,{brand},{category},{price + number},USD,40")
    Path("products.csv").write_text("\n".join(lines) + "\n", "utf-8")
    rows = ["time,type,user,item"]
    for user in range(40):
        for day in range(12):
            item = (user % 2) * 6 + (user * 3 + day * 7) % 4 + 10 * ((user + day) % 4)
            kind = "purchase" if day % 3 else "click"
            rows.append(f"2026-03-{day + 1:02}T{8 + user % 12:02}:12:00Z,{kind},u{user + 1:04},p{item + 1:04}")
    Path("events.csv").write_text("\n".join(rows) + "\n", "utf-8")


def test_the_page_has_the_steps() -> None:
    verbs = [words[0] for words in commands()]
    assert verbs[:5] == ["init", "import", "import", "doctor", "learn"]
    assert {"search", "recommend", "keys"} <= set(verbs)
    assert commands()[-1] == SERVE


def test_a_newcomer_gets_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BODEGA_UNDERSTAND_TEACHER", "none")
    monkeypatch.setenv("BODEGA_LEARN_TAUGHT_CASES", "0")
    write_files()
    said: dict[str, str] = {}
    for words in commands()[:-1]:
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        assert done.exit_code == 0, f"bodega {shlex.join(words)}\n{done.output}"
        said[" ".join(words)] = done.output
    assert "pasta sauce" in said["search pasta sauce under 5 --shop my-shop"].lower()
    assert "pasta sauce" in said["search pasta suace --shop my-shop"].lower(), "the mistake is mended"
    assert "p0001" not in said["recommend similar --item p0001 --shop my-shop"].splitlines()[-1]
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "bodega", *SERVE, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        for path in ("/", "/console/", "/openapi.json"):
            assert answered(f"http://127.0.0.1:{port}{path}", server).status_code == 200, path
    finally:
        server.terminate()
        assert server.stderr is not None
        server.stderr.close()
        server.wait(20)


def answered(url: str, server: subprocess.Popen[bytes]) -> httpx.Response:
    """The first answer, within a minute."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return httpx.get(url, follow_redirects=True, timeout=20)
        except httpx.TransportError:
            assert server.poll() is None, server.stderr.read().decode() if server.stderr else ""
            assert time.monotonic() < deadline, "it does not come up"
            time.sleep(0.1)
