"""How much is in it? "22 LB", "500 ml", "6 x 330 ml" as one comparable number: grams, millilitres, centimetres, pieces.

A pattern finds amount and unit, pint knows what the unit is worth; every distinct text is worked out once. Only units
that packages and product sheets use are taken, in full-value matches, so that "32 GB" or "5 A" stay text.
Cost: .1 us for a text seen before; pint itself is imported at the first text with a unit (0.3 s).
Not for: amounts inside sentences (mining titles is the knowledge room's work).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

_SPELLINGS: dict[str, str] = {
    "gram": "g,gm,gr,gms,gram,grams,克",
    "kilogram": "kg,kgs,kilo,kilos,kilogram,kilograms,公斤,千克",
    "milligram": "mg,milligram,milligrams,毫克",
    "ounce": "oz,ozs,ounce,ounces,oz wt,盎司",
    "pound": "lb,lbs,pound,pounds,磅",
    "milliliter": "ml,mls,milliliter,milliliters,millilitre,millilitres,cc,毫升",
    "centiliter": "cl",
    "liter": "l,ltr,lt,liter,liters,litre,litres,升",
    "fluid_ounce": "fl oz,floz,fl. oz,fluid ounce,fluid ounces,液体盎司",
    "pint": "pt,pint,pints",
    "quart": "qt,quart,quarts",
    "gallon": "gal,ga,gallon,gallons,加仑",
    "millimeter": "mm,millimeter,millimeters,毫米",
    "centimeter": "cm,centimeter,centimeters,厘米",
    "meter": "m,meter,meters,metre,metres,米",
    "inch": 'in,inch,inches,",″,英寸,寸',
    "foot": "ft,foot,feet,英尺",
    "count": "ct,count,pc,pcs,piece,pieces,pk,pack,packs,ea,each,个,只,片,件,包,支,条,粒,枚",
}
_UNITS = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split(",")}
_TARGETS = {"[mass]": ("gram", "g"), "[length] ** 3": ("milliliter", "ml"), "[length]": ("centimeter", "cm")}
_AMOUNT = re.compile(
    r"\s*(?:(?P<times>\d{1,3})\s*(?P<sign>[x×*/]|(?:pk|ct|packs?)(?:\s*/|\s+of)?)\s*)?"
    r"(?P<number>\d{1,7}(?:[.,]\d{1,4})?|\.\d{1,4})\s*(?P<unit>[^\W\d_][^\d()/]{0,13}|[\"″])\s*(?:\(\d+\))?\s*\Z",
    re.IGNORECASE,
)
SIZES = frozenset(
    {
        "size",
        "packagesize",
        "packsize",
        "netcontent",
        "netweight",
        "contents",
        "unitsize",
        "规格",
        "净含量",
        "包装规格",
        "尺寸",
        "容量",
    }
)
"""Attributes whose amount is simply the item's size (names as `feeds.mapping.plain` writes them)."""


def amount_of(text: str) -> tuple[float, str] | None:
    """(amount, "g" | "ml" | "cm" | "count"), or None where the text is not an amount with a unit we take.

    An ounce is taken as weight unless it says "fl"; several pieces multiply.

    >>> amount_of("22 LB"), amount_of("6 x 330 ml"), amount_of("300 CT(1)"), amount_of("32 GB"), amount_of("XL")
    ((9979.03, 'g'), (1980.0, 'ml'), (300.0, 'count'), None, None)
    """
    return _amount_of(text) if len(text) <= 40 else None


@lru_cache(maxsize=1 << 16)
def _amount_of(text: str) -> tuple[float, str] | None:
    if not any(letter.isdigit() for letter in text):
        return None
    found = _AMOUNT.match(text)
    if not found:
        return None
    spelling = " ".join(found["unit"].split()).rstrip(".")
    unit = None if spelling == "M" else _UNITS.get(spelling.casefold())  # a lone M is a clothing size
    if unit is None:
        return None
    number, times = float(found["number"].replace(",", ".")), int(found["times"] or 1)
    if found["sign"] == "/" and number in (2, 4, 8) and times < number and times % 2:
        number = 1 / number  # "1/2 GAL" is half a gallon, "6/12 OZ" six of twelve ounces
    if not number * times:
        return None
    factor, suffix = _worth(unit)
    return float(f"{number * times * factor:.6g}"), suffix


@cache
def _worth(unit: str) -> tuple[float, str]:
    """(how many target units one of these is, short name of the target unit)."""
    if unit == "count":
        return 1.0, "count"
    quantity = _registry().Quantity(1.0, unit)
    for dimension, (target, suffix) in _TARGETS.items():
        if quantity.check(dimension):
            return float(quantity.to(target).magnitude), suffix
    raise AssertionError(f"{unit} has no target unit")


@cache
def _registry():  # type: ignore[no-untyped-def]
    """pint's registry, made when the first amount turns up."""
    from pint import UnitRegistry

    return UnitRegistry()
