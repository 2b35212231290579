"""Any spelling of an event becomes an event; every unusable row becomes a dead letter with its reason."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bodega.events import EventReader, Refusal, parse_event
from bodega.events.reasons import TEACHING
from bodega.events.spelling import FIELDS
from bodega.schema import DeadLetter, Event
from bodega.settings import Settings

NOW = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
GOOD = {"type": "view", "time": "2026-02-01T10:00:00Z", "user": "u1", "item": "i1"}


def read(**values: object) -> Event | DeadLetter:
    return parse_event({**GOOD, **values}, now=NOW, settings=Settings())


def event(**values: object) -> Event:
    found = read(**values)
    assert isinstance(found, Event), found
    return found


def parse(row: dict[str, object]) -> Event:
    found = parse_event(row, now=NOW, settings=Settings())
    assert isinstance(found, Event), found
    return found


@pytest.mark.parametrize(
    "row",
    [
        {"event_time": "2026-02-01 10:00:00 UTC", "event_type": "view", "product_id": 7, "user_id": 42},
        {"ts": 1769940000, "event": "pageview", "sku": "7", "customer_id": "42"},
        {"timestamp": 1769940000000, "Action": "Detail", "Item ID": 7.0, "household_id": 42.0},
        {"时间": "2026-02-01 10:00:00", "行为类型": "浏览", "商品ID": "7", "用户ID": "42"},
        {"timestamp": "2026-02-01T18:00:00+08:00", "action_name": "view", "client_id": "42",
         "event_attributes": {"object": {"object_id": "7", "object_id_field": "asin"}}},
    ],
    ids=["rees46", "epoch", "pandas", "chinese", "ubi"],
)  # fmt: skip
def test_spellings_of_one_event(row):
    found = parse(row)
    assert (found.type, found.item, found.user) == ("view", "7", "42")
    assert found.time == datetime(2026, 2, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("add_to_cart", "cart"), ("transaction", "purchase"), ("Order", "purchase"), ("pageview", "view"),
     ("detail", "view"), ("item_click", "click"), ("加购", "cart"), ("refund", "return"),
     ("declined_product", "dismiss"),     ("impression", "impression"), ("addToCart", "cart")],
)  # fmt: skip
def test_names_of_types(name, kind):
    assert event(type=name).type == kind


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"time": "2026-03-01T00:06:00Z"}, "future_time"),
        ({"time": "1970-01-01"}, "absurd_time"),
        ({"time": "soon"}, "bad_time"),
        ({"time": None}, "no_time"),
        ({"type": "yawn"}, "unknown_type"),
        ({"type": ""}, "no_type"),
        ({"type": "remove_from_cart"}, "unused_type"),
        ({"item": ""}, "no_item"),
        ({"type": "search", "query": " "}, "no_query"),
        ({"user": None}, "nobody"),
        ({"user": float("nan"), "session": ""}, "nobody"),
        ({"price": "cheap"}, "bad_price"),
        ({"price": -3}, "bad_price"),
        ({"price": float("inf")}, "bad_price"),
        ({"type": "purchase", "quantity": 0}, "bad_quantity"),
        ({"type": "purchase", "quantity": "many"}, "bad_quantity"),
        ({"type": "cart", "quantity": -1}, "bad_quantity"),
        ({"type": "purchase", "quantity": 1e300}, "bad_quantity"),
        ({"type": "rating", "value": -1e300}, "bad_value"),
        ({"type": "rating"}, "bad_value"),
        ({"type": "rating", "value": "great"}, "bad_value"),
        ({"position": -1}, "bad_position"),
        ({"position": 1.5}, "bad_position"),
        ({"item": "x" * 513}, "bad_text"),
        ({"item": "a\0b"}, "bad_text"),
        ({"user": "\ud800"}, "bad_text"),
        ({"channel": "Crawler"}, "bot"),
    ],
)
def test_reasons(values, reason):
    found = read(**values)
    assert isinstance(found, DeadLetter), found
    assert found.reason == reason
    assert found.message.startswith(TEACHING[Refusal(reason)])
    assert "view" in found.raw or "type" in found.raw


def test_every_reason_teaches():
    assert set(TEACHING) == set(Refusal)
    assert all(len(words) > 20 for words in TEACHING.values())


def test_five_minutes_ahead_are_forgiven():
    assert event(time="2026-03-01T00:05:00Z").time.minute == 5


def test_a_negative_purchase_is_a_return():
    found = event(type="purchase", quantity=-2, total=-7.0)
    assert (found.type, found.quantity, found.price) == ("return", 2.0, 3.5)


@pytest.mark.parametrize("price", [float("nan"), "NaN", "", None, "n/a"])
def test_a_nan_price_is_no_price(price):
    assert event(price=price).price is None


def test_prices_and_totals():
    assert (event(price="1.299,00 €").price, event(price="1.299,00 €").currency) == (1299.0, "EUR")
    assert event(type="purchase", quantity=4, sales_value=6.0).price == 1.5
    assert event(type="purchase", quantity=4, sales_value=6.0, price=2.0).price == 2.0


def test_a_view_has_no_quantity():
    assert event(quantity=0).quantity == 1.0


def test_odd_but_fine():
    assert event(item="🥛").item == "🥛"
    assert event(type="search", query="q" * 5_000, item="x").query == "q" * 1_000
    assert event(type="search", query="milk", item="x").item == "", "a search is about no single item"
    assert event(user="", session=12).session == "12"


def test_the_first_column_that_is_filled_counts():
    row = {"type": "view", "time": 1769940000, "item": "i", "user_id": "", "client_id": "c1"}
    assert parse(row).user == "c1"


def test_a_search_log_needs_no_type():
    assert parse({"user_query": "milk", "timestamp": 1769940000, "client_id": "c"}).type == "search"


def test_the_row_is_kept_in_its_letter():
    found = read(time="soon", extra={"a": [1, {2}]})
    assert isinstance(found, DeadLetter)
    assert '"time":"soon"' in found.raw
    long = read(time="soon", title="x" * 1_000_000)
    assert isinstance(long, DeadLetter)
    assert len(long.raw) == 10_000


def test_strange_clients_do_not_fill_the_memory():
    reader = EventReader(Settings())
    for number in range(3_000):
        reader.read({f"column{number}": 1}, now=NOW)
    assert len(reader._plans) <= 1_000


def test_names_stand_for_one_field_only():
    names = [name for group in FIELDS.values() for name in group]
    assert len(names) == len(set(names))
