"""Real catalogs, imported whole: what is known about them must come out. Skips where the data folder is absent."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from bodega.catalog import ItemOptions, examine, import_items
from bodega.protocols import ImportReport
from bodega.schema import Item
from bodega.testing.fakes import MemoryCatalog, MemoryLetters

DATA = Path(os.environ.get("BODEGA_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
pytestmark = pytest.mark.data


def _imported(name: str, **options: object) -> tuple[dict[str, Item], ImportReport]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in the data folder {DATA} (set BODEGA_DATA)")
    store = MemoryCatalog()
    report = import_items(path, store, MemoryLetters(), ItemOptions(**options))  # type: ignore[arg-type]
    return {item.id: item for item in store.scan()}, report


def test_magento_luma_unfolds_its_variants() -> None:
    items, report = _imported("magento_luma/products.jsonl")
    assert (report.format, report.dead) == ("magento", 0)
    groups = Counter(item.group for item in items.values() if item.group)
    assert (len(groups), sum(groups.values())) == (147, 1_847)
    assert len(items) == 1_847 + 199 - 147
    hoodie = items["MH01-XS-Black"]
    assert (hoodie.title, hoodie.category) == ("Chaz Kangeroo Hoodie", ("Men", "Tops", "Hoodies & Sweatshirts"))
    assert hoodie.options == {"size": "XS", "color": "Black"}
    assert hoodie.attributes["climate"] == ["All-weather", "Cool", "Indoor", "Spring", "Windy"]
    assert not any("<" in item.description for item in items.values())
    assert examine(items.values()).score >= 95


def test_best_buy_has_no_unreadable_row() -> None:
    items, report = _imported("bestbuy_retrotech/products.csv.gz")
    assert (report.rows, report.dead, len(items)) == (48_194, 0, 46_156)
    assert any("2,038 rows repeat an id" in note for note in report.notes)
    assert items["027242825734"].attributes["short_description"].startswith('3" Xtra Fine')  # type: ignore[union-attr]


def test_amazon_office_descriptions_lose_their_brackets_and_styles() -> None:
    items, report = _imported("amazon2018_office/items.jsonl.gz")
    assert (report.rows, len(items)) == (3_459, 3_459)
    assert items["1"].description == "An Amazon Brand."
    descriptions = [item.description for item in items.values()]
    assert sum(text.startswith(("['", '["')) for text in descriptions) == 0
    assert sum("font-family" in text for text in descriptions) <= 5
    assert sum(bool(text) for text in descriptions) > 3_000


def test_fashion_prices_and_categories() -> None:
    items, _ = _imported("fashion_100/products.jsonl")
    skirt = items["10000"]
    assert (skirt.price, skirt.attributes["list_price"], skirt.category) == (
        324.0,
        649.0,
        ("Apparel", "Bottomwear", "Skirts"),
    )
    assert len(items) == 100


def test_the_supermarket_is_fast_and_its_sizes_comparable() -> None:
    items, report = _imported("complete_journey/products.parquet")
    assert (report.rows, len(items)) == (92_331, 92_331)
    assert report.mapping["category"] == "department > product_category > product_type"
    assert (items["25671"].attributes["package_size"], items["25671"].attributes["size_g"]) == ("22 LB", 9979.03)
    sized = sum(
        any(name in item.attributes for name in ("size_g", "size_ml", "size_count", "size_cm"))
        for item in items.values()
    )
    given = sum("package_size" in item.attributes for item in items.values())
    assert sized > 0.92 * given
    assert report.rows / report.seconds > 2_500  # 21,000 on a quiet core; a floor that only a real regression breaks
