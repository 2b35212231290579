"""Which number do Chinese characters say? 二百 is 200, 一千五 is 1,500: what people write beside 元 and 斤.

Not for: dates, fractions, or financial characters (壹贰叁).
"""

from __future__ import annotations

import re

DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
POWERS = {"十": 10, "百": 100, "千": 1_000}
NUMERALS = "零〇一二两三四五六七八九十百千万"
_SHAPE = re.compile(f"[{NUMERALS}]{{1,12}}")


def number_of(text: str) -> float | None:
    """The number that a text of digits or Chinese numerals says, None where it says none.

    >>> number_of("二百五"), number_of("一千五"), number_of("百"), number_of("1,200"), number_of("三万二")
    (250.0, 1500.0, 100.0, 1200.0, 32000.0)
    """
    plain = text.replace(",", "")
    if re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,4})?", plain, re.ASCII):
        return float(plain)
    if not _SHAPE.fullmatch(text):
        return None
    if all(char in DIGITS for char in text):
        return float("".join(str(DIGITS[char]) for char in text))
    high, _, low = text.rpartition("万")
    if "万" in high:
        return None
    below = _below_ten_thousand(low, 10_000 if high else 0)
    above = (_below_ten_thousand(high, 0) or 1.0) * 10_000 if "万" in text else 0.0
    return above + below


def _below_ten_thousand(text: str, before: int) -> float:
    """A number under 10,000; a last digit without its power counts a tenth of the power before it (一千五)."""
    total, digit, power = 0.0, -1, before
    for char in text:
        if char in POWERS:
            power = POWERS[char]
            total += power * (1 if digit < 0 else digit)
            digit = -1
        else:
            digit = DIGITS[char]
            power = 1 if digit == 0 else power
    if digit > 0:
        total += digit * (power // 10 if power >= 10 and text[-2:-1] not in ("零", "〇") else 1)
    return total
