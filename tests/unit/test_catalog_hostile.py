"""Cells made to hang or to swell an importer: each must be done within a moment, whatever it becomes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bodega.catalog import ItemOptions, import_items
from bodega.testing.fakes import MemoryCatalog, MemoryLetters

N = 300_000
HOSTILE = {
    "comments": "<!--" * N,
    "tags": "<a " * N,
    "brackets": "<" * N,
    "declarations": "<![" * N,
    "entities": "&amp" * N,
    "spaces": "x" + " " * N + "x",
    "lines": "\n" * N + "x",
    "list": "[" * N + "]",
    "quotes": "['" + "', '" * N + "']",
    "arrows": ">" * N,
    "commas": "," * N,
    "digits": "9" * N,
    "minus": "-" * N,
    "marks": "\u0301" * N,
    "addresses": " http" * N,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_cell_takes_a_moment(name: str) -> None:
    cell = HOSTILE[name]
    fields = (
        "title",
        "description",
        "brand",
        "category",
        "price",
        "stock",
        "availability",
        "images",
        "tags",
        "created",
        "url",
        "extra",
    )
    row: dict[str, object] = {"id": "x", **dict.fromkeys(fields, cell)}
    started = time.thread_time()
    report = import_items([row], MemoryCatalog(), MemoryLetters(), ItemOptions(limit=1.0))
    assert time.thread_time() - started < 3.0  # 0.02 to 0.4 s when measured; quadratic work takes minutes
    assert report.rows == 1


def test_values_nested_without_end(tmp_path: Path) -> None:
    """Deeper than Python can recurse, and just below it: a dead letter or an item, never an exception."""
    path = tmp_path / "deep.jsonl"
    lines = ['{"id": "good", "title": "t"}']
    fields = ("title", "category", "price", "images", "x", "created")
    for depth in (50, 300, 900, 990, 5_000, 100_000):
        deep = "[" * depth + "1" + "]" * depth
        lines += [f'{{"id": "{depth}{field}", "{field}": {deep}}}' for field in fields]
        lines += [f'{{"title": {deep}}}']
    path.write_text("\n".join(lines))
    store, dead = MemoryCatalog(), MemoryLetters()
    report = import_items(path, store, dead, ItemOptions(limit=1.0))
    assert report.rows == len(lines) == store.count() + report.dead
    assert "good" in store.get(["good"])
    assert {reason for _, reason in dead.counts()} <= {"too_deep", "unreadable", "no_id", "nothing_left"}
