"""A feed of ten times the rows needs no more memory: measured as the peak of what Python allocates while reading."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from bodega.catalog import ItemOptions, import_items
from bodega.feeds import open_feed
from bodega.protocols import Written

SMALL, LARGE = 8_000, 80_000
ALLOWED = 4_000_000
"""Bytes by which the peak may grow (samples and windows fill up); holding the rows would add 25 MB and more."""


def _csv(path: Path, n: int) -> None:
    with path.open("w") as file:
        file.write("id,title,price\n")
        file.writelines(f"{row},title of the item number {row},{row % 90}.50\n" for row in range(n))


def _lines(path: Path, n: int) -> None:
    with path.open("w") as file:
        file.writelines(json.dumps({"id": row, "title": f"title of item {row}"}) + "\n" for row in range(n))


def _array(path: Path, n: int) -> None:
    with path.open("w") as file:
        file.write("[")
        file.writelines(json.dumps({"id": row, "title": f"title of item {row}"}) + ",\n" for row in range(n - 1))
        file.write('{"id": -1}]')


def _parquet(path: Path, n: int) -> None:
    sql = f"COPY (SELECT range AS id, 'title of item ' || range AS title FROM range({n})) TO '{path}' (FORMAT parquet)"
    duckdb.connect().execute(sql)


def _xml(path: Path, n: int) -> None:
    with path.open("w") as file:
        file.write('<rss xmlns:g="http://base.google.com/ns/1.0"><channel>')
        file.writelines(f"<item><g:id>{row}</g:id><title>item {row}</title></item>\n" for row in range(n // 4))
        file.write("</channel></rss>")


def _peak(work: Callable[[], int]) -> tuple[int, int]:
    """(bytes at the peak, what the work returns)."""
    tracemalloc.start()
    try:
        result = work()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


def _count(path: Path) -> int:
    return sum(1 for _ in open_feed(path))


@pytest.mark.parametrize("write", [_csv, _lines, _array, _parquet, _xml])
def test_reading_does_not_grow_with_rows(tmp_path: Path, write: Callable[[Path, int], None]) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    write(small, SMALL)
    write(large, LARGE)
    few, n_few = _peak(lambda: _count(small))
    many, n_many = _peak(lambda: _count(large))
    assert n_many == 10 * n_few
    assert many < few + ALLOWED, f"{few:,} bytes for {n_few:,} rows, {many:,} for {n_many:,}"


class _Nowhere:
    """A store and a dead letter box that keep nothing."""

    def upsert(self, items: list[object]) -> Written:
        return Written(added=len(items))

    def put(self, letters: list[object]) -> None: ...


def test_importing_grows_by_some_bytes_a_row_only(tmp_path: Path) -> None:
    """Duplicates and outliers are told from 32 bytes a row (id hash, price, category, line), not from the rows."""
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    _csv(small, 5_000)
    _csv(large, 20_000)
    nowhere = _Nowhere()

    def run(path: Path) -> int:
        return import_items(path, nowhere, nowhere, ItemOptions()).rows  # type: ignore[arg-type]

    run(small)  # caches and lazily imported modules are paid here
    few, _ = _peak(lambda: run(small))
    many, rows = _peak(lambda: run(large))
    assert rows == 20_000
    grown = (many - few) / 15_000
    assert grown < 120, f"{grown:.0f} bytes a row"
