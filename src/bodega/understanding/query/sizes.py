"""Which amounts does a query name? "55 inch", '55"', "2斤装", "16gb", "40-50 inch", "size 42", "pack of 6", "6件装".

Idea: a number is an amount only beside a unit (or "size", 码, "pack of"): "iphone 5", "playstation 3", "windows 7" stay
words. Amounts are turned into base units and looked up in the catalog (`measures`); they lift what fits and their words
are searched as typed. A range ("40-50 inch", "under 50 cm") cannot be searched as words: its words go, where the
catalog has a column for it.

Cost: nothing without a digit, else about 15 microseconds.
Not for: prices, "5g" and "4g" (networks), dimensions ("5x7").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bodega.understanding.query.chinese import NUMERALS, number_of
from bodega.understanding.query.claims import Claim, claim
from bodega.understanding.query.measures import Measures
from bodega.understanding.query.reading import Reading
from bodega.understanding.query.units import UNITS, Worth

NEAR = 0.01
"""An amount fits within 1 %: "55 inch" is 139.7 cm and rounding is forgiven, 42 is not 43."""
CONFIDENCE = 0.6

_LATIN = [unit for unit in UNITS if unit[0].isascii()]
_HAN_UNITS = [unit for unit in UNITS if not unit[0].isascii()]


def _any(units: list[str]) -> str:
    return "|".join(re.escape(unit) for unit in sorted(units, key=lambda unit: (-len(unit), unit)))


_NUMBER = r"(?<![\w.$€£¥/])(?P<n>[0-9]{1,6}(?:\.[0-9]{1,3})?|\.[0-9]{1,3})"
_UNIT = rf"(?:[ -]?(?P<unit>{_any([u for u in _LATIN if u != 'in'])})(?![a-z0-9%/])|(?P<in>[ -]?in)(?![a-z0-9%/]))"
_TO = r"\s*(?:-|to|~)\s*(?P<m>[0-9]{1,6}(?:\.[0-9]{1,3})?)"
_COMPARE = (
    r"(?:(?P<under>under|below|less than|up to|at most|max|smaller than|<=?)|"
    r"(?P<over>over|above|more than|at least|min|larger than|>=?))\s*"
)
_LATIN_AMOUNT = re.compile(rf"(?:(?<!\w){_COMPARE})?{_NUMBER}(?:{_TO})?{_UNIT}")
_BESIDE_HAN = ["kg", "ml", "cm", "mm", "gb", "tb", "mah", "g", "l", "m", "w", "v"]
# a unit is no unit where it begins another word: 3克拉, 5米粉, 10升降
_NOT_AFTER = r"(?![0-9一二三四五六七八九拉莱罗饭粉线酒其糊老兰降级头农])"
_HAN_AMOUNT = re.compile(
    rf"(?P<n>(?<![0-9a-z.])[0-9]{{1,6}}(?:\.[0-9]{{1,3}})?|(?<![{NUMERALS}])[{NUMERALS}]{{1,4}})"
    rf"(?:(?:-|到|至|~)(?P<m>[0-9]{{1,6}}(?:\.[0-9]{{1,3}})?))?\s?"
    rf"(?P<unit>{_any([*_HAN_UNITS, *_BESIDE_HAN])})(?![a-z0-9]){_NOT_AFTER}"
    rf"(?P<packed>装)?(?P<side>以下|以内|以上)?"
)
_SIZE = re.compile(
    r"(?<![\w-])(?:size|sz|eu|eur size)[ :.]{1,2}(?:(?:eu|us|uk) )?"
    r"(?P<size>[0-9]{1,3}(?:\.5)?|x{0,4}[sl]|m|[2-6]xl|one size)(?![\w%.\"'/-])"
)
_HAN_SIZE = re.compile(r"(?<![0-9a-z.])(?P<size>[0-9]{2,3}(?:\.5)?|x{0,4}[sl]|m|[2-6]xl)(?:码|号码)(?!头|农|数|洋)")
_PACK = re.compile(
    r"(?<![\w-])(?:pack|set|box|case|lot|bag|carton) of (?P<n>[0-9]{1,4})(?![\w.%-])|"
    r"(?<![\w.$€£-])(?P<m>[0-9]{1,4})(?:-| )?(?:packs?|pk|count|ct|pcs?|pieces?)(?![\w%])"
)
_HAN_PACK = re.compile(
    rf"(?P<n>[0-9]{{1,4}}|[{NUMERALS}]{{1,3}})(?:件|个|只|片|包|瓶|盒|支|袋|双|条|卷|抽|枚|粒|罐|套|对|张|本|提|箱|颗)(?:装|入)"
)
_DIGIT = re.compile(rf"[0-9{NUMERALS}]")
_NOT_INCHES = re.compile(
    r"\s*(?:[0-9]|a\b|an\b|the\b|stock|black|white|blue|red|pink|gold|silver|green|grey|gray|purple|my|one\b)"
)


def sizes_in(reading: Reading, measures: Measures, worths: Worth) -> Iterator[Claim]:
    """Every amount, in no particular order; claims may overlap, the first is the likelier one."""
    text = reading.text
    if not _DIGIT.search(text) and "size" not in text and "码" not in text:
        return
    for pattern in (_PACK, _HAN_PACK):
        for match in pattern.finditer(text):
            yield from _quantity(reading, match, measures)
    for pattern in (_LATIN_AMOUNT, _HAN_AMOUNT):
        for match in pattern.finditer(text):
            yield from _amount(reading, match, measures, worths)
    for pattern in (_SIZE, _HAN_SIZE):
        for match in pattern.finditer(text):
            said = match["size"].replace(".", "") if match["size"].endswith(".0") else match["size"]
            fit = measures.size(said.replace(".", "")) if "." in said else measures.size(said)
            yield claim(
                reading, match.span(), "size", field=fit.field, values=fit.values or (said,), confidence=CONFIDENCE
            )


def _quantity(reading: Reading, match: re.Match[str], measures: Measures) -> Iterator[Claim]:
    held = match.groupdict()
    number = number_of(held["n"] or held.get("m") or "")
    if number:
        fit = measures.fit("count", number, number)
        yield claim(
            reading, match.span(), "quantity", field=fit.field, values=fit.values, low=number, high=number,
            confidence=CONFIDENCE,
        )  # fmt: skip


def _amount(reading: Reading, match: re.Match[str], measures: Measures, worths: Worth) -> Iterator[Claim]:
    held = match.groupdict()
    unit = held["unit"] or "in"
    first, second = number_of(held["n"].lstrip(".") if held["n"][0] != "." else "0" + held["n"]), None
    if held.get("m"):
        second = number_of(held["m"])
    if not first or (second is not None and second <= first) or _no_amount(reading.text, match, first, unit):
        return
    worth, base = worths[unit]
    low, high = _range(held, first * worth, second * worth if second else None)
    fit = measures.fit(base, low, high)
    if unit == "g" and not fit.field and first in (8, 16, 32, 64, 128, 256, 512, 1024):
        base, low, high = "gb", first * (1 - NEAR), first * (1 + NEAR)  # "128g" of a phone
        fit = measures.fit(base, low, high)
        if not fit.field:
            return
    wide = second is not None or low is None or high is None
    kind = "quantity" if base == "count" else "size"
    yield claim(
        reading, match.span(), kind, removes=wide and bool(fit.field), field=fit.field, values=fit.values,
        low=low, high=high, confidence=CONFIDENCE,
    )  # fmt: skip


def _range(held: dict[str, str | None], first: float, second: float | None) -> tuple[float | None, float | None]:
    if second is not None:
        return float(f"{first:.6g}"), float(f"{second:.6g}")
    if held.get("under") or held.get("side") in ("以下", "以内"):
        return None, float(f"{first:.6g}")
    if held.get("over") or held.get("side") == "以上":
        return float(f"{first:.6g}"), None
    return float(f"{first * (1 - NEAR):.6g}"), float(f"{first * (1 + NEAR):.6g}")


def _no_amount(text: str, match: re.Match[str], number: float, unit: str) -> bool:
    """ "5g" is a network, "iphone 5 in black" has no inches, "playstation 3"" ends a quotation."""
    if unit == "g" and number in (2, 3, 4, 5, 6):
        return True
    if unit in ('"', "''") and text.count('"') > 1:
        return True
    if unit == "in" and match["in"] != "in" and match["in"] != "-in":
        return number < 5 or bool(_NOT_INCHES.match(text, match.end()))
    if unit == "in":
        return bool(_NOT_INCHES.match(text, match.end())) and match["in"] == "-in"
    return unit == "寸" and number > 120
