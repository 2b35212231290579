"""Queries that real people typed: next to none of them holds a condition, and those that do are read right.

The catalog is the one the suggestions come from, with made-up prices (so that a price *could* be a condition).
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from bodega.schema import Item, ItemTable, Log, World
from bodega.settings import Settings
from bodega.understanding.query import Understanding, Understood

pytestmark = pytest.mark.data


def _path(data_folder: Path, name: str) -> Path:
    path = data_folder / name
    if not path.exists():
        pytest.skip(f"{name} is not in the data folder (set BODEGA_DATA)")
    return path


@pytest.fixture(scope="module")
def shop(data_folder: Path) -> Understanding:
    path = _path(data_folder, "bestbuy_retrotech/products.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = [row for at, row in enumerate(csv.DictReader(file, skipinitialspace=True)) if at % 5 == 0]
    rng = np.random.default_rng(7)
    items = [
        Item(id=str(at), title=row["name"] or "", brand=(row["manufacturer"] or "").strip(), price=float(price))
        for at, (row, price) in enumerate(zip(rows, rng.lognormal(3.5, 1.0, len(rows)).round(2), strict=True))
    ]
    doubles, ints, floats, codes = np.empty(0), np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int8)
    log = Log(doubles, codes, ints, ints, ints, floats, floats, ints, ints, 0, 0)
    return Understanding().fit(World(ItemTable.of(items), log, 0.0), Settings(currency="CNY"))


def _hard(shop: Understanding, queries: list[str]) -> dict[str, Understood]:
    """The queries that were taken to hold a condition; every finding points at what was typed."""
    found = {query: shop.understand(query) for query in queries}
    for query, one in found.items():
        assert all(query[meaning.start : meaning.end] == meaning.text for meaning in one.meanings)
        assert one.text or not query.strip() or any(meaning.hard for meaning in one.meanings)
    return {query: one for query, one in found.items() if any(meaning.hard for meaning in one.meanings)}


def test_queries_for_furniture_hold_no_condition(shop, data_folder):
    with _path(data_folder, "wands_queries/query.tsv").open(encoding="utf-8", newline="") as file:
        queries = [row["query"] for row in csv.DictReader(file, delimiter="\t")]
    assert len(queries) == 480
    assert _hard(shop, queries) == {}


def test_suggestions_of_an_electronics_shop_hold_no_price(shop, data_folder):
    path = _path(data_folder, "bestbuy_query_suggestions/instant_search_demo_query_suggestions.json.gz")
    queries = [row["query"] for row in json.loads(gzip.decompress(path.read_bytes()))]
    assert len(queries) > 2_000
    found = _hard(shop, queries)
    assert all("non ipad" in query for query in found)


def test_hard_queries_are_read_as_refusals_and_nothing_else(shop, data_folder):
    rows = json.loads(_path(data_folder, "esci_search/esci_us_queryset.json").read_text("utf-8"))["querySetQueries"]
    queries = [row["queryText"] for row in rows]
    found = _hard(shop, queries)
    assert all(re.search(r"\b(without|not|no|non)\b", query) for query in found)
    said = [query for query in queries if " without " in query]
    assert len(said) >= 25
    # refused as a product word ("dewalt tool cases without tools" wishes for tools too) or as a name are a few
    assert sum(query in found for query in said) >= 0.8 * len(said)


def test_taobao_queries_hold_a_condition_only_where_they_say_one(shop, data_folder):
    path = _path(data_folder, "zh_ecommerce/multicpr_ecom/train.query.txt.gz")
    queries = [line.split("\t", 1)[1] for line in gzip.decompress(path.read_bytes()).decode().splitlines()[:20_000]]
    found = _hard(shop, queries)
    assert len(found) <= 0.001 * len(queries)
    marks = re.compile(r"不要|不含|不带|除了|以下|以上|以内|之内|元|块|到|不超过|低于|¥|-")
    assert all(marks.search(query) for query in found)
    prices = [m for one in found.values() for m in one.meanings if m.kind == "price" and m.hard]
    assert prices
    assert all(meaning.low is not None or meaning.high is not None for meaning in prices)
