"""Whatever a row holds, importing accounts for it: an item, a dead letter, or a repeated id; never an exception."""

from __future__ import annotations

import math

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodega.catalog import ItemOptions, examine, import_items
from bodega.catalog.fields import NAMES
from bodega.catalog.text import clean_text
from bodega.schema import Item, ItemTable
from bodega.testing.fakes import MemoryCatalog, MemoryLetters

TEXT = st.text(max_size=40) | st.sampled_from(
    ["NaN", "1.299,00 €", "<b>x", "[1", "['a', 'b']", "a > b", "2026-01-01", "22 LB", "\ud800", "0", "-"]
)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)
ROW = st.dictionaries(st.sampled_from([*NAMES, "attributes", "variants", "colour", "extra"]), VALUE, max_size=9)
QUIET = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUIET
@given(rows=st.lists(ROW, max_size=12), names=st.lists(VALUE, min_size=12, max_size=12))
def test_every_row_is_accounted_for(rows: list[dict[str, object]], names: list[object]) -> None:
    store, dead = MemoryCatalog(), MemoryLetters()
    named = [{"id": name, **row} for row, name in zip(rows, names, strict=False)]
    report = import_items(named, store, dead, ItemOptions(limit=1.0))
    items = list(store.scan())
    assert report.dead == sum(dead.counts().values())
    assert len(items) <= report.rows - report.dead
    assert (report.rows == report.dead) == (not items)
    for item in items:
        assert item.id
        assert item.price is None or (math.isfinite(item.price) and item.price >= 0)
        assert item.stock is None or item.stock >= 0
        assert msgspec.json.decode(msgspec.json.encode(item), type=Item) == item
    assert examine(items).n_items == len(items) == len(ItemTable.of(items))


@QUIET
@given(text=st.text(max_size=300))
def test_cleaning_is_idempotent_on_plain_text(text: str) -> None:
    once = clean_text(text.replace("<", "").replace("&", "").replace("[", ""), 200)
    assert clean_text(once, 200) == once
    assert len(once) <= 200
    once.encode()  # can be stored
