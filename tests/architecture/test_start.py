"""`import bodega` is light: no heavy library is loaded, and it costs little time."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    "torch", "lightgbm", "tantivy", "duckdb", "sqlalchemy", "alembic", "litestar", "uvicorn", "scipy", "rich", "typer",
    "pandas", "rjieba", "pint", "numpy",
)  # fmt: skip

LIMIT_MS = 300.0


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def loaded_by(statement: str) -> set[str]:
    program = f"import json, sys\n{statement}\nprint(json.dumps([name.split('.')[0] for name in sys.modules]))"
    return set(json.loads(run(program).splitlines()[-1]))


def test_import_loads_nothing_heavy() -> None:
    assert not loaded_by("import bodega") & set(HEAVY)


def test_the_nouns_load_numpy_and_msgspec_only() -> None:
    heavy = loaded_by("import bodega; bodega.Item, bodega.Event, bodega.BodegaError") & set(HEAVY)
    assert heavy == {"numpy"}


def test_the_guard_sees_a_heavy_import() -> None:
    """The guard of the tests above: it would notice."""
    assert "scipy" in loaded_by("import bodega.retrieval._index") & set(HEAVY)


def test_import_takes_under_300_ms_of_cpu() -> None:
    """CPU time of the import alone (user + system), the median of five: other programs on the machine do not count."""
    program = (
        "import time; start = time.process_time(); import bodega; bodega.Item; "
        "print((time.process_time() - start) * 1000)"
    )
    times = sorted(float(run(program)) for _ in range(5))
    assert times[2] <= LIMIT_MS, f"import bodega took {times} ms of CPU"


def test_help_needs_no_engine() -> None:
    """`bodega --help` must answer at once: none of the libraries that only learning or serving needs."""
    heavy = loaded_by("from bodega.cli import app") & set(HEAVY)
    assert not heavy - {"typer", "rich"}
