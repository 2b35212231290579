"""What is counted of pages and of what came of them? The counts, the rates made of them, and how sure those are.

    answers, zero, degraded     pages; those without a hit; those that named a fallback
    shown, impressions          items on those pages; items that a client reported as seen
    views, clicks, carts, purchases, revenue     what shoppers did (`attribution` says with which page)
    clicked, bought             pages that led to anything wanted, and to a purchase, each page once a day
    by_request, by_touch, told, unattributed     how the wanted items found their page

All are whole numbers that add up, in any order, to the same figure (revenue in ten-thousandths of the shop's currency);
only `units`, the number of different shoppers, does not add up and is counted anew for each line. Rates carry 95 %
intervals (Wilson 1927), which hold for small counts too. Not for: comparing arms (`evaluation.experiments`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, sqrt
from typing import Literal

import msgspec

FIELDS = (
    "answers", "zero", "degraded", "shown", "impressions", "views", "clicks", "carts", "purchases", "revenue",
    "clicked", "bought", "by_request", "by_touch", "told", "unattributed",
)  # fmt: skip
"""Append only: the daily counts in the store are lists in this order."""

PLACE = {name: number for number, name in enumerate(FIELDS)}
EMPTY = (0,) * len(FIELDS)
MONEY = 10_000
"""Counts of one unit of the currency."""
LAST_POSITION = 200
"""Positions from here on are counted together."""
MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
"""In microseconds, as all times of this room."""
BY_HOUR, BY_POSITION, BY_PLACE, WHOLE = range(4)
"""Levels of a daily count."""
DIGITS = 1.959963984540054
"""Standard deviations of a 95 % interval."""

By = Literal["", "place", "position", "source", "hour"]


class Cell(msgspec.Struct, frozen=True):
    """The counts of one corner of one day."""

    day: int
    """Days since 1970 UTC."""
    level: int
    hour: int
    """-1 where the level does not part by it."""
    place: str
    position: int
    """-1: the page itself, or not known."""
    source: str
    counts: tuple[int, ...]
    """In the order of FIELDS."""
    units: int = 0
    """Different shoppers (a guest by the visit)."""


class Rate(msgspec.Struct, frozen=True):
    """A share, and where it lies with 95 % certainty."""

    value: float
    low: float
    high: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one line of a report says."""

    answers: int = 0
    zero: int = 0
    degraded: int = 0
    shown: int = 0
    impressions: int = 0
    views: int = 0
    clicks: int = 0
    carts: int = 0
    purchases: int = 0
    revenue: float = 0.0
    """In the shop's currency; purchases in others, or without a price, are counted and earn nothing here."""
    clicked: int = 0
    bought: int = 0
    by_request: int = 0
    by_touch: int = 0
    told: int = 0
    unattributed: int = 0
    units: int = 0
    """Different shoppers; 0 where lines were added up, of which each counted its own."""
    zero_rate: Rate | None = None
    """Pages without a hit among all pages; None without a page."""
    degraded_rate: Rate | None = None
    click_rate: Rate | None = None
    """Pages that led to something wanted (a view, click, cart or purchase) among all pages."""
    purchase_rate: Rate | None = None
    """Pages that led to a purchase among all pages."""


def rate(hits: int, of: int) -> Rate | None:
    """The share `hits / of` with its interval (Wilson's score interval); None of nothing.

    >>> found = rate(5, 50)
    >>> (round(found.value, 3), round(found.low, 3), round(found.high, 3))
    (0.1, 0.043, 0.214)
    """
    if of <= 0:
        return None
    hits = min(max(hits, 0), of)  # a click may lie in the window whose page lies before it
    share, square = hits / of, DIGITS * DIGITS
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = DIGITS / (1 + square / of) * sqrt(share * (1 - share) / of + square / (4 * of * of))
    low = 0.0 if hits == 0 else middle - half
    high = 1.0 if hits == of else middle + half
    return Rate(round(share, 6), round(low, 6), round(high, 6))


def figures(counts: Sequence[int], units: int = 0) -> Figures:
    """Counts in the order of FIELDS as a line of a report."""
    told = dict(zip(FIELDS, counts, strict=True))
    of = told["answers"]
    return Figures(
        **{name: number for name, number in told.items() if name != "revenue"},
        revenue=told["revenue"] / MONEY,
        units=units,
        zero_rate=rate(told["zero"], of),
        degraded_rate=rate(told["degraded"], of),
        click_rate=rate(told["clicked"], of),
        purchase_rate=rate(told["bought"], of),
    )


def added(lines: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The sum of several lines of counts; zeros of none."""
    return tuple(map(sum, zip(*lines, strict=True))) if lines else EMPTY


def money(price: float | None, quantity: float, currency: str, shop: str) -> int:
    """What a purchase earned, in ten-thousandths; 0 without a price, or in a currency that is not the shop's."""
    if price is None or (currency and currency != shop):
        return 0
    earned = price * quantity
    return round(earned * MONEY) if isfinite(earned) and abs(earned) < 1e12 else 0


def bounded(position: int | None) -> int:
    """The position as it is counted: -1 for none."""
    return -1 if position is None or position < 0 else min(position, LAST_POSITION)
