"""Ids of an opened table are looked up in flat arrays: the same answers as a dictionary gives, whatever is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodega.schema import Item, ItemTable
from bodega.schema.table import Rows, Texts

NAMES = [f"sku-{number}" for number in range(500)] + ["", "ü", "名", "a" * 300]


def test_an_opened_table_finds_what_a_dictionary_finds(tmp_path: Path) -> None:
    made = ItemTable.of(Item(id=name or "empty", title=name) for name in NAMES)
    made.save(tmp_path / "items")
    opened = ItemTable.load(tmp_path / "items")
    assert isinstance(made.index, dict)
    assert isinstance(opened.index, Rows)
    assert dict(opened.index) == made.index
    asked = ["sku-7", "sku-700", "ü", "\udc00", "sku-499"]
    assert opened.rows(asked).tolist() == made.rows(asked).tolist() == [7, 501, 499]


def test_what_is_no_id_is_not_found() -> None:
    rows = Rows(Texts.of(NAMES))
    assert "" in rows
    assert "sku-500" not in rows
    assert rows.get("\udc00", -1) == -1
    assert rows.get(7, -1) == -1
    with pytest.raises(KeyError):
        rows["nobody"]
    assert len(Rows(Texts.of([]))) == 0
    assert "x" not in Rows(Texts.of([]))


def test_equal_hashes_are_told_apart_by_the_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """All ids collide: still each has its own row, the last one where an id is there twice."""
    monkeypatch.setattr("bodega.schema.table.hash", lambda _: 5, raising=False)
    rows = Rows(Texts.of(["a", "b", "a", "c"]))
    assert {name: rows[name] for name in ("a", "b", "c")} == {"a": 2, "b": 1, "c": 3}
    assert rows.get("d") is None
