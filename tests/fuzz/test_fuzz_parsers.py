"""No bytes break a parser: seeds and their mutations on every run, a search guided by coverage in `make fuzz`.

What the search found is kept in `FOUND`, one line a crash, and replayed for ever. The search itself is tested: it finds
a bug that was planted. `BODEGA_FUZZ_SECONDS` is the time a parser gets in the long run (default 30).
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

HERE = Path(__file__).parent
SECONDS = int(os.environ.get("BODEGA_FUZZ_SECONDS", "30"))
MUTATIONS = 150


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bodega_fuzz_targets", HERE / "targets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


targets = _load()

FOUND: dict[str, list[bytes]] = {
    "xml": [
        b'<?xml version="1.0" encoding="latin-2x"?><feed><entry><id>1</id></entry></feed>',
        b'<?xml version="1.0" encoding="utf-7"?><feed><entry><id>1</id></entry></feed>',
        b"<item><id>1</id></item>",
        b"<entry/>",
    ],
    "pointer": [b'{"\xffcurrent": ""}', b"[" * 5_000],
    "manifest": [b'{"format": 1, "code": "\xff"}', b'{"format": 1, "code": "", "facts": ' + b'{"a":' * 5_000],
    "record": [
        b"[" * 5_000,
        b'{"a":' * 2_000,
        b'{"user": "\\ud800"}',
        b"\xff",
        b'[{"type": "view", "time": "2026-02-01T10:' + b"5" * 40 + b':00Z", "user": "u", "item": "i"}]',
    ],
    "event": [
        b'{"type": "purchase", "time": "2026-02-01", "user": "u", "item": "i", "quantity": 1e300}',
        b'{"type": "rating", "time": "2026-02-01", "user": "u", "item": "i", "value": -1e300}',
        b'{"type": "view", "time": "4:02' + b"2" * 80 + b'0", "user": "u", "item": "i"}',
    ],
}
"""{parser: bytes that once broke it}."""

TOKENS = (
    b"\x00",
    b"\xff",
    b"\n",
    b'"',
    b"{",
    b"]",
    b"<",
    b"%00",
    b"\xed\xa0\x80",
    b"1e999",
    b"-1",
    b"9" * 30,
    b"\\ud800",
    b"[" * 300,
)


def mutated(seed: bytes, rng: np.random.Generator) -> bytes:
    """The seed with something cut, doubled, turned over or put in."""
    data = bytearray(seed)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, len(data) + 1))
        kind = int(rng.integers(0, 4))
        if kind == 0:
            del data[at : at + int(rng.integers(1, 9))]
        elif kind == 1:
            data[at:at] = data[at : at + int(rng.integers(1, 20))]
        elif kind == 2 and at < len(data):
            data[at] = int(rng.integers(0, 256))
        else:
            data[at:at] = TOKENS[int(rng.integers(0, len(TOKENS)))]
    return bytes(data)


def check_assault(run: object, seeds: tuple[bytes, ...], rounds: int) -> None:
    """Every seed, and so many mutations of seeds, in an order that is the same every time."""
    rng = np.random.default_rng(7)
    for seed in seeds:
        run(seed)  # type: ignore[operator]
    for number in range(rounds):
        run(mutated(seeds[number % len(seeds)], rng))  # type: ignore[operator]


@pytest.mark.parametrize("name", sorted(targets.TARGETS))
def test_no_bytes_break_a_parser(name: str) -> None:
    slow = name in ("parquet", "query")  # a database is opened, a query takes a millisecond
    check_assault(targets.TARGETS[name].run, (b"", *targets.seeds_of(name)), 20 if slow else MUTATIONS)


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, found in FOUND.items() for data in found])
def test_what_once_broke_a_parser_is_refused_in_words(name: str, data: bytes) -> None:
    check_assault(targets.TARGETS[name].run, (data,), 0)


def test_the_mutations_catch_a_planted_bug() -> None:
    with pytest.raises(ZeroDivisionError):
        check_assault(targets.planted, (b'[{"a": 1}]', b"[1]"), 500)


def search(name: str, corpus: Path, seconds: int) -> subprocess.CompletedProcess[str]:
    """Look for a crash, guided by coverage, in a process of its own."""
    pytest.importorskip("atheris", reason="atheris has no wheel for this system; next: pip install 'bodega[dev]'")
    command = [sys.executable, str(HERE / "run_atheris.py"), name, str(corpus), str(seconds)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds + 240, check=False)


@pytest.mark.slow
def test_the_search_finds_a_planted_bug(tmp_path: Path) -> None:
    done = search("planted", tmp_path / "corpus", 20)
    assert done.returncode != 0
    assert "ZeroDivisionError: planted" in done.stdout + done.stderr
    assert list((tmp_path / "corpus").glob("crash-*"))


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("name", sorted(targets.TARGETS))
def test_the_search_finds_nothing(name: str, tmp_path: Path) -> None:
    done = search(name, tmp_path / "corpus", SECONDS)
    crashes = [path.read_bytes() for path in (tmp_path / "corpus").glob("[cot]*-*") if "seed" not in path.name]
    assert done.returncode == 0, f"{crashes[:1]}\n{(done.stdout + done.stderr)[-3_000:]}"
    assert "stat::number_of_executed_units: 0" not in done.stdout + done.stderr
