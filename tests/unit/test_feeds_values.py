"""Cells of every spelling become one clean value, or a ValueError that says what was wrong."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from bodega.feeds.values import parse_bool, parse_currency, parse_number, parse_price, parse_time

NOON = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "spelling",
    [
        "2026-11-22T12:30:00Z",
        "2026-11-22 12:30:00+00:00",
        "2026-11-22T20:30:00+08:00",
        "2026/11/22 12:30",
        "22.11.2026 12:30",
        "11/22/2026 12:30 PM",
        "Nov 22, 2026 12:30",
        "2026年11月22日 12时30分",
        "20261122T123000Z",
        int(NOON.timestamp()),
        NOON.timestamp() * 1e3,
        str(int(NOON.timestamp() * 1e6)),
        NOON,
        NOON.replace(tzinfo=None),
        NOON.astimezone(timezone(timedelta(hours=-5))),
    ],
)
def test_one_moment_in_many_spellings(spelling: object) -> None:
    assert parse_time(spelling) == NOON
    assert parse_time(spelling).tzinfo == UTC


def test_a_date_is_its_midnight_in_the_zone_it_was_written_in() -> None:
    china = timezone(timedelta(hours=8))
    assert parse_time(date(2026, 11, 22)) == datetime(2026, 11, 22, tzinfo=UTC)
    assert parse_time("2026-11-22", timezone=china) == datetime(2026, 11, 21, 16, tzinfo=UTC)
    assert parse_time("20261122") == datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "soon",
        "10",
        "March 2026",
        "12:30",
        "99/99/9999",
        None,
        True,
        math.nan,
        "1e400",
        3,
        [2026],
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_what_is_no_time_is_refused_not_guessed(nonsense: object) -> None:
    with pytest.raises(ValueError, match=r"time|date"):
        parse_time(nonsense)


@pytest.mark.parametrize(
    ("spelling", "amount", "currency"),
    [
        ("1.299,00 €", 1299.0, "EUR"),
        ("$1,299.00", 1299.0, "USD"),
        ("¥99", 99.0, "CNY"),
        ("￥1,299", 1299.0, "CNY"),
        ("99.5元", 99.5, "CNY"),
        ("RMB 12", 12.0, "CNY"),
        ("12.50 GBP", 12.5, "GBP"),
        ("12,5", 12.5, ""),
        ("1'299.00 CHF", 1299.0, "CHF"),
        ("-5", -5.0, ""),
        ("($5.00)", -5.0, "USD"),
        (7, 7.0, ""),
        (Decimal("7.25"), 7.25, ""),
    ],
)
def test_prices_with_their_currency(spelling: object, amount: float, currency: str) -> None:
    assert parse_price(spelling) == (amount, currency)


def test_the_shop_settles_a_shared_sign() -> None:
    assert parse_price("$5", currency="CAD") == (5.0, "CAD")
    assert parse_price("¥500", currency="JPY") == (500.0, "JPY")
    assert parse_price("$5", currency="EUR") == (5.0, "USD")
    assert [parse_currency(text) for text in ("usd", "€", "人民币", "points")] == ["USD", "EUR", "CNY", ""]


@pytest.mark.parametrize("nonsense", ["NaN", "inf", "", "call us", None, math.nan, math.inf, "1e999", True, [1]])
def test_what_is_no_price_is_refused(nonsense: object) -> None:
    with pytest.raises(ValueError):
        parse_price(nonsense)


def test_numbers_and_flags() -> None:
    assert [parse_number(text) for text in ("1 234,5", "1,234.5", "-3", 4, "2.5e3")] == [
        1234.5,
        1234.5,
        -3.0,
        4.0,
        2500.0,
    ]
    assert [parse_bool(text) for text in ("Yes", "是", 1, True, "0", "否", "", None)] == [True] * 4 + [False] * 4
    with pytest.raises(ValueError, match="maybe"):
        parse_bool("maybe")
