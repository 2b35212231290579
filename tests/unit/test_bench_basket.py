"""The basket benchmark on a made-up supermarket in which every household buys its own few things every week."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import duckdb
import numpy as np
import pytest
from rich.console import Console

from bodega.bench import basket
from bodega.bench._supermarket import read_market
from bodega.bench._table import print_result
from bodega.bench.basket import BasketOptions
from bodega.errors import BadFeed, BadRequest
from bodega.schema import Context

HOUSEHOLDS, PRODUCTS, WEEKS = 60, 80, 20


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Products 0 and 1 always go together; each household buys 4 of its own 6 a week, and one more."""
    folder = tmp_path_factory.mktemp("market")
    rng = np.random.default_rng(1)
    rows, basket_id = [], 0
    for household in range(HOUSEHOLDS):
        own = rng.permutation(np.arange(2, PRODUCTS))[:6]
        for week in range(WEEKS):
            basket_id += 1
            when = f"2017-01-01 10:00:00'::TIMESTAMP + INTERVAL {week * 7 * 24 * 60 + household} MINUTE"
            bought = [*rng.permutation(own)[:4], int(rng.integers(2, PRODUCTS))]
            if rng.random() < 0.5:
                bought += [0, 1]
            for product in dict.fromkeys(int(item) for item in bought):
                rows.append(f"('{household}', {basket_id}, '{product}', 1.0, '{when})")
    with duckdb.connect() as database:
        database.execute(
            f"""COPY (SELECT * FROM (VALUES {",".join(rows)})
                AS t(household_id, basket_id, product_id, quantity, transaction_timestamp))
                TO '{folder / "transactions.parquet"}' (FORMAT parquet)"""
        )
        database.execute(
            f"""COPY (SELECT range::VARCHAR AS product_id, 'FOOD' AS department, 'National' AS brand,
                'KIND ' || (range % 5) AS product_category, 'THING' AS product_type FROM range({PRODUCTS}))
                TO '{folder / "products.parquet"}' (FORMAT parquet)"""
        )
    return folder


@pytest.fixture(scope="module")
def result(market: Path) -> basket.BenchResult:
    return basket.run(BasketOptions(market))


def test_the_market_is_read_whole(market: Path) -> None:
    held = read_market(market, 7)
    assert len(held.items) == PRODUCTS
    assert held.log.n_users == HOUSEHOLDS
    assert held.log.n_sessions == HOUSEHOLDS * WEEKS
    assert np.all(np.diff(held.log.time) >= 0)
    assert held.log.item.min() >= 0
    assert held.items.item(0).category[0] == "Food"
    counts = np.bincount(held.log.item, minlength=PRODUCTS)
    assert {held.items.ids[row] for row in np.argsort(-counts)[:2]} == {"0", "1"}
    assert list(held.items.ids) != sorted(held.items.ids)


def test_lines_of_one_basket_are_in_no_order(market: Path) -> None:
    one, two = read_market(market, 1).log, read_market(market, 2).log
    assert one.time.tolist() == two.time.tolist()
    assert one.item.tolist() != two.item.tolist()


def test_what_a_household_buys_is_found(result: basket.BenchResult) -> None:
    figures = result.figures
    assert figures["frequency.recall@10.repeat"] > 0.85
    assert figures["frequency.ndcg@10"] > 1.5 * figures["popular.ndcg@10"]
    assert figures["repeat.ndcg@10"] > 1.5 * figures["popular.ndcg@10"]
    assert figures["fusion.ndcg@10"] >= 0.95 * figures["repeat.ndcg@10"]
    assert figures["repeat.recall@10.explore"] <= 0.1


def test_every_promised_name_is_there(result: basket.BenchResult) -> None:
    for source in ("popular", "repeat", "frequency", "transition", "collaborative", "fusion"):
        for name in basket.NEXT:
            low, high = result.intervals[f"{source}.{name}"]
            assert low <= result.figures[f"{source}.{name}"] <= high
        for name in basket.COMPLETE:
            assert f"{source}.{name}.complete" in result.figures
        for name in ("recall@10.repeat", "recall@10.explore"):
            assert f"{source}.{name}" in result.figures
    for name in ("fusion_vs_best.ndcg@10", "fusion_vs_frequency.ndcg@10", "fusion_vs_best.ndcg@10.complete"):
        assert name in result.intervals


def test_one_case_a_household_and_the_draw_is_said(market: Path, result: basket.BenchResult) -> None:
    assert any(f"{HOUSEHOLDS} next baskets, {HOUSEHOLDS} completions" in note for note in result.notes)
    few = basket.run(BasketOptions(market, users=20))
    assert any("seeded draw of 20 households" in note for note in few.notes)


def test_frequency_is_own_counts_then_everybodys() -> None:
    scorer = basket.frequency(np.array([5, 9, 1, 0]))
    scores = np.asarray(scorer(Context(history=np.array([2, 2, 0], np.int32))))
    assert np.argsort(-scores).tolist() == [2, 0, 1, 3]


def test_the_table_names_the_readings(result: basket.BenchResult) -> None:
    console = Console(width=140, file=StringIO())
    print_result(result, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for word in ("complete", "repeat", "explore", "frequency", "fusion_vs_frequency.ndcg@10"):
        assert word in text


def test_a_folder_without_a_supermarket_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadFeed, match="no supermarket"):
        basket.run(BasketOptions(tmp_path))
    (tmp_path / "products.parquet").write_bytes(b"PAR1 cut short")
    (tmp_path / "transactions.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(BadFeed, match="cannot be read"):
        basket.run(BasketOptions(tmp_path))
    with pytest.raises(BadRequest, match="1 or more"):
        basket.run(BasketOptions(tmp_path, users=0))
