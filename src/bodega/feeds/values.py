"""What does this cell mean? Tolerant parsers for times, prices, numbers and flags, shared by items and events.

Every parser takes whatever a feed gives (text, number, flag, datetime) and returns one clean type or raises
ValueError with words that fit into a dead letter. Usual spellings take a fast path (an ISO time .5 us, a plain number
.3 us); the rest goes to dateutil and price-parser. Not for: quantities with units (`catalog.units`).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache

from dateutil import parser as dateutil_parser
from price_parser import Price

EPOCH_FROM, EPOCH_TO = 100_000_000, 100_000_000_000
"""Numbers in this range are seconds since 1970 (1973 to 5138), a thousand times that milliseconds, and so on."""
LONGEST = 200
"""Characters of a price or a time that are looked at: nothing longer is one, and caches stay small."""
DOLLARS = frozenset({"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "MXN"})
SIGNS = {
    "$": "USD", "US$": "USD", "€": "EUR", "£": "GBP", "¥": "CNY", "￥": "CNY", "元": "CNY", "RMB": "CNY", "CN¥": "CNY",
    "JP¥": "JPY", "円": "JPY", "₩": "KRW", "₹": "INR", "RS": "INR", "₽": "RUB", "₺": "TRY", "₫": "VND", "฿": "THB",
    "R$": "BRL", "A$": "AUD", "AU$": "AUD", "C$": "CAD", "CA$": "CAD", "HK$": "HKD", "NT$": "TWD", "S$": "SGD",
    "NZ$": "NZD", "MX$": "MXN", "KR": "SEK", "ZŁ": "PLN", "KČ": "CZK", "FT": "HUF", "FR.": "CHF", "₴": "UAH",
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z", re.ASCII)
_CODED = re.compile(r"([+-]?\d+(?:\.\d+)?) ?([A-Z]{3})\Z", re.ASCII)
_MINUS = re.compile(r"^[^\d.,]*[-−–]\s*[^\d.,]*[\d.,]|^\s*\(.*\d.*\)\s*$")
_CHINESE_DATE = re.compile(r"(\d{2,4})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*[日号]?")
_CHINESE_TIME = re.compile(r"(\d{1,2})\s*[时点時]\s*(\d{1,2})\s*分(?:\s*(\d{1,2})\s*秒)?")
_TRUE = frozenset(
    {"1", "true", "yes", "y", "t", "on", "x", "是", "有", "真", "✓", "ja", "oui", "si", "sí", "vrai", "wahr"}
)
_FALSE = frozenset({"0", "false", "no", "n", "f", "off", "", "否", "无", "假", "nein", "non", "falsch", "faux"})


def parse_time(value: object, *, timezone: tzinfo = UTC) -> datetime:
    """The moment, in UTC. Takes datetimes, seconds / milli- / micro- / nanoseconds since 1970, ISO 8601, and every
    spelling that names year, month and day (a date alone is its midnight; 03/04/2026 is the 4th of March).

    `timezone` is where a time without an offset was written down. Raises ValueError.

    >>> parse_time("2026-11-22T10:00:00+08:00").isoformat()
    '2026-11-22T02:00:00+00:00'
    >>> parse_time(1763805600) == parse_time("1763805600000") == parse_time("22 Nov 2025 10:00")
    True
    """
    if isinstance(value, str):
        found = _time_in(value[:LONGEST].strip())
    elif isinstance(value, datetime):
        found = value
    elif isinstance(value, bool) or value is None:
        raise ValueError("no time")
    elif isinstance(value, int | float):
        return _epoch(float(value))
    elif isinstance(value, date):
        found = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - gets its zone below
    else:
        raise ValueError(f"not a time: a {type(value).__name__}")
    try:
        return (found if found.tzinfo else found.replace(tzinfo=timezone)).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"a time out of range: {value!r:.60}") from error


def parse_price(value: object, *, currency: str = "") -> tuple[float, str]:
    """(amount in major units, ISO 4217 code or ""). "1.299,00 €" -> (1299.0, "EUR"), "¥99" -> (99.0, "CNY").

    `currency` is the shop's own: it settles signs that several currencies share ($, ¥, kr). A minus stays in the
    amount; what a negative price means is for the caller. Raises ValueError where there is no finite number.
    """
    if isinstance(value, str):
        return _price_in(value[:LONGEST], currency)
    return parse_number(value), ""


def parse_number(value: object) -> float:
    """A finite number, from numbers and texts ("1 234,5", "1,234.5"). Raises ValueError (also for NaN and infinity)."""
    if isinstance(value, str):
        return _price_in(value[:LONGEST], "")[0]
    if isinstance(value, bool) or value is None:
        raise ValueError("no number")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"not a number: a {type(value).__name__}") from error
    if not math.isfinite(number):
        raise ValueError(f"not a finite number: {value!r}")
    return number


def parse_bool(value: object) -> bool:
    """Yes or no, from flags, 0 / 1 and the words for it in several languages. Raises ValueError."""
    if isinstance(value, bool):
        return value
    text = "" if value is None else str(value).strip().casefold()
    if text in _TRUE or text == "1.0":
        return True
    if text in _FALSE or text == "0.0":
        return False
    raise ValueError(f"neither yes nor no: {text[:60]!r}")


def _epoch(number: float) -> datetime:
    for scale in (1.0, 1e3, 1e6, 1e9):
        if EPOCH_FROM <= number / scale < EPOCH_TO:
            return datetime.fromtimestamp(number / scale, UTC)
    raise ValueError(f"not a time: the number {number:g} is neither seconds nor milliseconds since 1970")


def _time_in(text: str) -> datetime:
    """A datetime, with or without a zone."""
    if _NUMBER.match(text) and not (len(text) in (8, 14) and text.startswith(("19", "20"))):  # 20261122 is a date
        return _epoch(float(text))
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    text = _CHINESE_DATE.sub(r"\1-\2-\3 ", text)
    text = _CHINESE_TIME.sub(lambda m: f"{m[1]}:{m[2]}:{m[3] or '00'}", text).strip()
    try:  # a spelling that leaves out the year, the month or the day would be filled up from the default: refuse it
        found: datetime = dateutil_parser.parse(text, default=datetime(2000, 1, 1))  # noqa: DTZ001
        again = dateutil_parser.parse(text, default=datetime(2001, 2, 2))  # noqa: DTZ001
    except (ValueError, ArithmeticError, TypeError) as error:  # 40 digits of seconds are more than its decimals divide
        raise ValueError(f"not a time: {text[:60]!r}" if text else "no time") from error
    if found != again:
        raise ValueError(f"not a whole date: {text[:60]!r}")
    return found


@lru_cache(maxsize=1 << 16)
def _price_in(text: str, currency: str) -> tuple[float, str]:
    text = text.strip()
    if _NUMBER.match(text):
        amount, sign = float(text), ""
    elif coded := _CODED.match(text):
        amount, sign = float(coded[1]), coded[2]
    else:
        found = Price.fromstring(text)
        if found.amount is None:
            raise ValueError(f"no number in {text[:60]!r}" if text else "empty")
        amount, sign = float(found.amount), found.currency or ("元" if "元" in text or "￥" in text else "")
        amount = -amount if amount and _MINUS.match(text) else amount
    if not math.isfinite(amount):
        raise ValueError(f"not a finite number: {text[:60]!r}")
    return amount, _code(sign, currency)


def _code(sign: str, shop: str) -> str:
    """The ISO code of a currency sign, the shop's own where several currencies share the sign."""
    sign = sign.strip().upper()
    shared = {"$": DOLLARS, "¥": {"CNY", "JPY"}, "￥": {"CNY", "JPY"}, "KR": {"SEK", "NOK", "DKK", "ISK"}}
    if shop in shared.get(sign, ()):
        return shop
    code = SIGNS.get(sign, sign)
    return code if len(code) == 3 and code.isascii() and code.isalpha() else ""


def parse_currency(value: object, *, shop: str = "") -> str:
    """The ISO 4217 code of a code or sign ("usd", "€", "人民币"), "" where it is none. `shop` settles shared signs."""
    text = str(value).strip()
    return "CNY" if text == "人民币" else _code(text, shop)
