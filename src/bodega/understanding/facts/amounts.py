"""Which amounts stand in a text: "6 x 330 ml", "500g", "pack of 12", "净含量2.5千克", "30片装"?

Idea: a number beside a unit, and what multiplies it; units as for queries (`query.units`). Only what can be compared
is an amount: grams, millilitres, pieces, and the units of columns that the shop keeps.
Cost: nothing without a digit, else about 4 microseconds a title. Not for: dimensions ("5x7"), times, prices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from bodega.understanding.query.chinese import NUMERALS, number_of
from bodega.understanding.query.units import UNITS, Worth

LARGEST = {"g": 1e5, "ml": 1e5}
"""Nothing that is sold by weight or volume is more; article numbers like "791200G" are."""
_LIMIT = re.compile(r"(?:up to|holds|max|maximum|capacity|承重|最大)[: ]*\Z")


class Amount(NamedTuple):
    """`number` of the base unit, on characters [start, end)."""

    base: str
    number: float
    start: int
    end: int


def _any(units: list[str]) -> str:
    return "|".join(re.escape(unit) for unit in sorted(units, key=lambda unit: (-len(unit), unit)))


_LATIN = [unit for unit in UNITS if unit[0].isascii() and unit not in ("in", '"', "''", "m", "l", "gr")]
_HAN = [unit for unit in UNITS if not unit[0].isascii()]
_BEFORE = r"(?<![0-9a-z.,$€£¥/-])"
_AMOUNT = re.compile(
    rf"(?:{_BEFORE}(?P<times>[0-9]{{1,3}})\s*[x×*]\s*)?"
    rf"(?P<n>(?:{_BEFORE}|(?<=[x×*])|(?<=[x×*]\s))[0-9]{{1,6}}(?:[.,][0-9]{{1,3}})?)"
    rf"(?:[ -]?(?P<unit>{_any([*_LATIN, 'l'])})(?![a-z0-9/])|\s?(?P<han>{_any(_HAN)}))"
    rf"(?:\s*[x×*]\s*(?P<after>[0-9]{{1,3}})(?![0-9.]))?"
)
_PACK = re.compile(
    r"(?<![\w-])(?:pack|set|box|case|lot|bag|carton) of (?P<n>[0-9]{1,4})(?![\w.%-])|"
    r"(?<![\w.$€£-])(?P<m>[0-9]{1,4})(?:-| )?(?:packs?|pk|count|ct|pcs?|pieces?)(?![\w%])"
)
_HAN_PACK = re.compile(
    rf"(?P<n>[0-9]{{1,4}}|[{NUMERALS}]{{1,3}})(?:件|个|只|片|包|瓶|盒|支|袋|双|条|卷|抽|枚|粒|罐|套|对|张|本|提|箱|颗)(?:装|入)"
)


def amounts_in(text: str, worths: Worth) -> Iterator[Amount]:
    """Every amount of a folded text, left to right by kind."""
    if not any(char.isdigit() or char in NUMERALS for char in text):
        return
    taken: list[tuple[int, int]] = []
    for match in _AMOUNT.finditer(text):
        held = match.groupdict()
        unit = held["unit"] or held["han"]
        worth, number = worths.get(unit), float(held["n"].replace(",", "."))
        if worth is None or worth[1] == "count" or (unit == "g" and number in (2, 3, 4, 5, 6)):  # "5g" is a network
            continue
        if _LIMIT.search(text, max(0, match.start() - 12), match.start()):
            continue
        total = float(f"{number * worth[0] * float(held['times'] or held['after'] or 1):.6g}")
        if 0 < total <= LARGEST.get(worth[1], 1e9):
            taken.append(match.span())
            yield Amount(worth[1], total, *match.span())
    for pattern in (_PACK, _HAN_PACK):
        for match in pattern.finditer(text):
            held = match.groupdict()
            count = number_of(held["n"] or held.get("m") or "")
            if count and count > 1 and not _overlaps(taken, match.span()):
                taken.append(match.span())
                yield Amount("count", count, *match.span())


def _overlaps(taken: list[tuple[int, int]], span: tuple[int, int]) -> bool:
    return any(low < span[1] and span[0] < high for low, high in taken)
