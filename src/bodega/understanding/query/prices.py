"""Which price does a query ask for? "under 50", "$20-40", "50 to 100 eur", "不超过200块", "二百元以内"; "cheap" softly.

Idea: a number is a price where a currency stands beside it, or where "under N" (below, less than, 以下 ...) ends the
wish and N could be a price in this shop. Everything else stays words: "under 18", "under armour", "level under 5",
"$50 gift card", "20-40" are no conditions, because a wrong condition hides what the shopper wants.
A price in another currency than the shop's only lifts; it is never a condition.

Cost: nothing for a query without digits (Chinese numerals count), else about 15 microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from bodega.understanding.query.chinese import NUMERALS, number_of
from bodega.understanding.query.claims import Claim, claim
from bodega.understanding.query.reading import HAN, Reading

ENOUGH_PRICED = 0.5
"""A price is a condition only where this share of the items has one: a filter hides items without a price."""
AROUND = 0.25
"""How far "around 100" reaches to both sides."""
_AGES = (16.0, 18.0, 21.0)
"""Numbers after "under" that are ages when no currency is named."""

_CURRENCIES = {
    "USD": "$ us$ usd dollar dollars us|dollar us|dollars bucks 美元 美金 刀",
    "EUR": "€ eur euro euros 欧元",
    "GBP": "£ gbp quid 英镑",
    "CNY": "¥ rmb cny yuan 元 元钱 块 块钱 人民币 大洋",
    "JPY": "¥ jpy yen 日元",
    "INR": "₹ inr rs rs. rupee rupees 卢比",
    "HKD": "hkd hk$ 港币 港元",
    "TWD": "twd nt$ 台币",
}
_ANYWHERE = frozenset({"元", "元钱", "块", "块钱", "大洋"})
"""Said of the shop's own money, whatever that is."""
_DOLLARS = frozenset({"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "MXN"})
_WORDS: dict[str, set[str]] = {}
for _code, _names in _CURRENCIES.items():
    for _name in _names.split():
        _WORDS.setdefault(_name.replace("|", " "), set()).add(_code)
for _name in ("$", "dollar", "dollars", "bucks"):
    _WORDS[_name] |= _DOLLARS


def _any(words: set[str] | frozenset[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


_BEFORE = rf"(?:(?<![a-z])(?P<before>{_any(set(_WORDS) - _ANYWHERE)})\s{{0,2}})?"
_AFTER = rf"(?:\s{{0,2}}(?P<after>{_any(set(_WORDS))})(?![a-z0-9]))?"
_NUMBER = (
    r"(?P<n>[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]{1,2})?|[0-9]{1,7}(?:\.[0-9]{1,2})?)(?:(?P<k>k)\b)?(?![0-9]|[.,][0-9])"
)
_HAN_NUMBER = rf"(?P<n>[0-9]{{1,7}}(?:\.[0-9]{{1,2}})?|[{NUMERALS}]{{1,8}})"
_MONEY = _BEFORE + _NUMBER + _AFTER
_HAN_MONEY = r"(?P<before>¥|rmb)?" + _HAN_NUMBER + _AFTER


def _two(money: str) -> tuple[str, str]:
    """The pattern of an amount, with names for the first and for the second."""
    names = ("n", "k", "before", "after")
    first, second = money, money
    for name in names:
        first = first.replace(f"?P<{name}>", f"?P<{name}1>")
        second = second.replace(f"?P<{name}>", f"?P<{name}2>")
    return first, second


_ONE, _OTHER = _two(_MONEY)
_HAN_ONE, _HAN_OTHER = _two(_HAN_MONEY)
_LEAD = r"(?<![\w$€£])(?:(?:for|at|in the range(?: of)?|priced?(?: at)?|costing|that costs?|costs?)\s+)?"
_UNDER = (
    r"(?P<plain>under|below|(?:less|cheaper|lower|no more|not more) than|<=?)|"
    r"not over|at most|up to|max(?:imum)?(?: of)?|within|not exceeding"
)
_OVER = r"(?P<plain>over|above|more than)|at least|min(?:imum)?(?: of)?|higher than|starting (?:at|from)|>=?"
_HAN_LEAD = r"(?:价格|价位|预算|售价)?在?"
_DE = r"(?:的(?=.)|左右的?)?"

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.ASCII if name.startswith("en") else 0))
    for name, pattern in (
        ("en between", rf"{_LEAD}between\s+{_ONE}\s*(?:and|to|-|&)\s*{_OTHER}"),
        ("en range", rf"{_LEAD}(?:from\s+)?(?<![\w.,-]){_ONE}\s*(?:-|to|~)\s*{_OTHER}"),
        ("en upper", rf"{_LEAD}(?:{_UNDER})\s*{_ONE}"),
        ("en lower", rf"{_LEAD}(?:{_OVER})\s*{_ONE}"),
        ("en upper", rf"(?<![\w.,-]){_ONE}\s*(?:(?:or|and) (?:less|under|below|cheaper)|max(?:imum)?|tops)\b"),
        ("en lower", rf"(?<![\w.,-]){_ONE}\s*(?:(?:or|and) (?:more|up|over|above)\b|\+(?!\w))"),
        ("en around", rf"{_LEAD}(?:around|about|approx\.?|roughly)\s+{_ONE}"),
        ("zh range", rf"{_HAN_LEAD}(?<![0-9a-z.]){_HAN_ONE}\s*(?:到|至|-|~)\s*{_HAN_OTHER}(?:之间|以内)?{_DE}"),
        (
            "zh upper",
            rf"{_HAN_LEAD}(?P<plain>不超过|不高于|低于|少于|小于|不到|最多|最高)\s*{_HAN_ONE}(?:以内|以下)?{_DE}",
        ),
        ("zh upper", rf"{_HAN_LEAD}(?<![0-9a-z.]){_HAN_ONE}(?P<plain>以下|以内|之内|之下|封顶){_DE}"),
        ("zh upper", rf"{_HAN_LEAD}(?<![0-9a-z.]){_HAN_ONE}内(?![{HAN}]){_DE}"),
        ("zh lower", rf"{_HAN_LEAD}(?<![0-9a-z.]){_HAN_ONE}(?:以上|起步){_DE}"),
        ("zh lower", rf"{_HAN_LEAD}(?:高于|超过|大于|至少|不低于)\s*{_HAN_ONE}{_DE}"),
        ("zh around", rf"{_HAN_LEAD}(?<![0-9a-z.]){_HAN_ONE}(?:左右|上下)的?"),
        ("zh upper", rf"预算\s*{_HAN_ONE}"),
    )
)
_ENDS = re.compile(
    rf"\s*(?:$|[,;!?{HAN}]|(?:for|with|and|not|no|without|but|that|which|from|by|on|non|please|only)\b|-[a-z])"
)
_NO_PRICE_BEFORE = re.compile(
    r"(?:[0-9]|size|height|width|length|weight|weighs?|depth|diameter|ages?|aged|grade|level|calories|carbs?|"
    r"sugar|fat|sodium|protein|watts?|volts?|rpm|psi|db|resolution|stars?|rating|rated|tall|wide|long|deep|high|"
    r"[宽高长深厚重度岁龄码]|直径|尺寸|功率|身高|体重|年龄)\s*$"
)
_CHILDREN = re.compile(r"(?:years?|kids?|children|child|toddlers?|bab(?:y|ies)|boys?|girls?|infants?|teens?)\s*$")
_OLDEST_CHILD = 21.0
_CHEAP = re.compile(
    r"(?<![\w-])(?:cheap|cheapest|inexpensive|affordable|low[ -]priced?)(?![\w-])|"
    r"(?:最|超|更|很)?便宜(?:一?点)?的?|平价|廉价|低价"
)
_DIGIT = re.compile(rf"[0-9{NUMERALS}]")


class Prices(msgspec.Struct, frozen=True):
    """What this shop's prices say about a number in a query."""

    currency: str = "USD"
    share: float = 0.0
    """Share of the items that have a price."""
    low: float = 0.0
    """1st percentile of the prices: "under N" with a smaller N is no price."""
    high: float = 0.0
    """Highest price."""


@dataclass(frozen=True, slots=True)
class _Money:
    amount: float
    words: tuple[str, ...]
    """Currencies named beside it."""


def prices_in(reading: Reading, prices: Prices) -> Iterator[Claim]:
    """The price that a query asks for: at most one condition, and "cheap"."""
    text = reading.text
    if _DIGIT.search(text):
        for name, pattern in _PATTERNS:
            for match in pattern.finditer(text):
                found = _claim(reading, match, name, prices)
                if found:
                    yield found
                    return
    cheap = _CHEAP.search(text)
    if cheap and cheap[0] != text.strip():
        # conditions are sure, a word is not: "cheap" only prefers the cheaper ones among what matches
        yield claim(reading, cheap.span(), "price", field="price", values=("low",), confidence=0.5)


def _claim(reading: Reading, match: re.Match[str], name: str, prices: Prices) -> Claim | None:
    first, second = _money(match, "1"), _money(match, "2")
    if first is None:
        return None
    named = set(first.words) | set(second.words if second else ())
    kind = name.split()[1]
    if not named and not (_plain(match, kind) and _unsaid(reading.text, match, first.amount, second, prices)):
        return None
    own = not named or any(word in _ANYWHERE or prices.currency in _WORDS[word] for word in named)
    low, high = _limits(kind, first.amount, second)
    if low is not None and high is not None and not low < high:
        return None
    hard = own and prices.share >= ENOUGH_PRICED and kind != "around" and (bool(named) or kind != "lower")
    removes = bool(named) or kind != "lower"  # "over 50" may be an age: its words stay
    facts: dict[str, Any] = {"low": low, "high": high, "hard": hard, "confidence": 0.9 if hard else 0.5}
    return claim(reading, match.span(), "price", removes=removes, field="price", **facts)


def _plain(match: re.Match[str], kind: str) -> bool:
    """May this wording mean a price without a currency? "under 50" may, "up to 50" or "20-40" may not."""
    held = match.groupdict()
    return held.get("plain") is not None or (kind == "between" and match[0].lstrip().startswith("between"))


def _unsaid(text: str, match: re.Match[str], amount: float, second: _Money | None, prices: Prices) -> bool:
    """Without a currency: does the wish end here, and could the number be a price in this shop, and not an age?"""
    if not _ENDS.match(text, match.end()) or _NO_PRICE_BEFORE.search(text[: match.start()]):
        return False
    if amount in _AGES or (second is None and amount < 2):
        return False
    if amount <= _OLDEST_CHILD and _CHILDREN.search(text[: match.start()]):
        return False
    most = second.amount if second else amount
    return prices.share == 0 or (prices.low <= most and amount <= 10 * prices.high)


def _limits(kind: str, amount: float, second: _Money | None) -> tuple[float | None, float | None]:
    if second is not None:
        return amount, second.amount
    if kind == "around":
        return round(amount * (1 - AROUND), 2), round(amount * (1 + AROUND), 2)
    return (amount, None) if kind == "lower" else (None, amount)


def _money(match: re.Match[str], which: str) -> _Money | None:
    held = match.groupdict()
    said = held.get("n" + which)
    amount = number_of(said) if said else None
    if amount is None:
        return None
    words = tuple(word for side in ("before", "after") if (word := held.get(side + which)))
    thousand = held.get("k" + which)
    if thousand and not words:
        return None
    return _Money(amount * (1_000 if thousand else 1), words)
