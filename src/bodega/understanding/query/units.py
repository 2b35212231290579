"""What is "55 inch", "2斤" or "16gb" worth? Amounts with a unit as comparable numbers: cm, g, ml, GB, W, V, ...

Idea: a table of how people spell units in queries; pint knows what each is worth. The worth of all units is worked out
once, when a shop learns, and kept with the snapshot: pint (0.3 s to load) is never needed to answer.
Not for: times of day, fractions, money; or deciding whether a number is an amount at all (`sizes`).
"""

from __future__ import annotations

from functools import cache
from typing import Any

_SPELLINGS: dict[str, str] = {
    "gram": "g gr gram grams 克",
    "kilogram": "kg kgs kilo kilos kilogram kilograms 公斤 千克",
    "milligram": "mg milligram milligrams 毫克",
    "0.5 kilogram": "斤 市斤",
    "ounce": "oz ounce ounces 盎司",
    "pound": "lb lbs pound pounds 磅",
    "milliliter": "ml milliliter milliliters millilitre millilitres 毫升",
    "liter": "l ltr liter liters litre litres 升",
    "fluid_ounce": "fl|oz floz fl.|oz fluid|ounce fluid|ounces",
    "quart": "qt quart quarts",
    "gallon": "gal gallon gallons 加仑",
    "millimeter": "mm millimeter millimeters 毫米",
    "centimeter": "cm centimeter centimeters 厘米 公分",
    "meter": "m meter meters metre metres 米",
    "inch": "in inch inches \" '' 英寸 寸",
    "foot": "ft foot feet 英尺",
    "megabyte": "mb 兆",
    "gigabyte": "gb",
    "terabyte": "tb",
    "watt": "w watt watts 瓦",
    "kilowatt": "kw 千瓦",
    "volt": "v volt volts 伏",
    "milliampere_hour": "mah 毫安",
    "hertz": "hz 赫兹",
    "megahertz": "mhz",
    "gigahertz": "ghz",
    "count": "ct count pc pcs piece pieces pk pack packs",
}
UNITS: dict[str, str] = {
    spelling.replace("|", " "): unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split(" ")
}
"""{how people write it: pint's name}."""
_TARGETS = {
    "[mass]": ("gram", "g"),
    "[length] ** 3": ("milliliter", "ml"),
    "[length]": ("centimeter", "cm"),
    "[length] ** 2 * [mass] / [time] ** 3": ("watt", "w"),
    "[length] ** 2 * [mass] / [current] / [time] ** 3": ("volt", "v"),
    "[current] * [time]": ("milliampere_hour", "mah"),
    "1 / [time]": ("hertz", "hz"),
}
_BYTES = {"megabyte": 1 / 1024, "gigabyte": 1.0, "terabyte": 1024.0}
"""In GB as shops count it: pint's bytes are dimensionless and its steps 1,000."""

Worth = dict[str, tuple[float, str]]
"""{spelling: (how many base units one is, short name of the base unit)}."""


@cache
def worths() -> Worth:
    """What every spelling is worth; the first call loads pint.

    >>> worths()["inch"], worths()["斤"], worths()["tb"], worths()["pack"]
    ((2.54, 'cm'), (500.0, 'g'), (1024.0, 'gb'), (1.0, 'count'))
    """
    from pint import UnitRegistry

    registry: Any = UnitRegistry()
    found: dict[str, tuple[float, str]] = {"count": (1.0, "count")}
    found |= {unit: (worth, "gb") for unit, worth in _BYTES.items()}
    for unit in set(UNITS.values()) - set(found):
        quantity: Any = registry.Quantity(unit)
        for dimension, (target, short) in _TARGETS.items():
            if quantity.check(dimension):
                found[unit] = float(f"{quantity.to(target).magnitude:.9g}"), short
    return {spelling: found[unit] for spelling, unit in UNITS.items()}
