"""What kind of value does an attribute hold? Columns are typed as a whole, so that a facet is either words or numbers.

A column is numeric when every sampled value is a plain number (codes with leading zeros and names ending in "id" or
"code" are words), yes/no when every value is a word for it. Amounts with a unit get a second, comparable attribute.
Not for: free text (longer values are cut).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

from bodega.catalog.draft import is_missing
from bodega.catalog.text import clean_line, clean_word
from bodega.catalog.units import SIZES, amount_of
from bodega.feeds import RawRow
from bodega.feeds.mapping import plain
from bodega.schema.nouns import AttributeValue

Kind = Literal["number", "flag", "text"]
TEXT_LIMIT = 1_000
COUNT_LIMIT = 200
"""Attributes kept of one item."""
LARGEST = 1e30
"""Numbers are filtered as 32-bit floats, which end at 3.4e38."""
_NUMBER = re.compile(r"\s*[+-]?(?:0|[1-9]\d{0,14}|\d{0,15}\.\d{1,15}|[1-9]\d{0,14}\.\d{0,15})\s*\Z", re.ASCII)
_FLAGS = {"yes": True, "no": False, "true": True, "false": False, "是": True, "否": False, "y": True, "n": False}
_CODES = ("id", "code", "sku", "ean", "upc", "gtin", "zip", "barcode", "编号", "编码")


def column_kinds(columns: Iterable[str], sample: Sequence[RawRow]) -> dict[str, Kind]:
    """The kind of each column, by what the sampled rows hold; a column that is empty there is text."""
    kinds: dict[str, Kind] = {}
    for column in columns:
        held = [value for row in sample if not is_missing(value := row.values.get(column))]
        if not held or plain(column).endswith(_CODES):
            kinds[column] = "text"
        elif all(isinstance(value, bool) or str(value).strip().casefold() in _FLAGS for value in held):
            kinds[column] = "flag"
        elif all(_is_number(value) for value in held):
            kinds[column] = "number"
        else:
            kinds[column] = "text"
    return kinds


def converted(value: object, kind: Kind) -> object:
    """The value as its column's kind; what does not fit (and a number in a column of words) becomes text."""
    if kind == "number":
        if isinstance(value, str):
            return float(value) if _NUMBER.match(value) else value
        return value
    if kind == "flag":
        return value if isinstance(value, bool) else _FLAGS.get(str(value).strip().casefold(), value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    return value


def put(attributes: dict[str, AttributeValue], name: str, value: object) -> bool:
    """Clean one value and add it under its name; dicts are laid flat. True where an amount was added too."""
    name = clean_word(name)
    if is_missing(value) or not name or len(attributes) >= COUNT_LIMIT:
        return False
    if isinstance(value, dict):
        added = [put(attributes, f"{name}.{inner}", one) for inner, one in value.items() if not isinstance(one, dict)]
        return any(added)
    held = _value(value)
    if held is None:
        return False
    attributes[name] = held
    return isinstance(held, str) and _put_amount(attributes, name, held)


def _put_amount(attributes: dict[str, AttributeValue], name: str, text: str) -> bool:
    """ "package_size": "22 LB" -> "size_g": 9979.03."""
    amount = amount_of(text)
    if amount is None:
        return False
    short = plain(name)
    base = "size" if short in SIZES else name.strip().lower().replace(" ", "_")
    attributes.setdefault(f"{base}_{amount[1]}", amount[0])
    return True


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return bool(_NUMBER.match(value))
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _value(value: object) -> AttributeValue | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal):
        number = float(value)
        return number if abs(number) < LARGEST else None
    if isinstance(value, str):
        return _words(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        texts = [clean_word(str(one)) for one in value if isinstance(one, str | int | float) and not is_missing(one)]
        return [text for text in dict.fromkeys(texts) if text] or None
    return None


def _words(value: str) -> AttributeValue | None:
    """Text, or the texts between bars ("Wool|Fleece"), or the flag that it spells."""
    flag = _FLAGS.get(value.casefold()) if len(value) > 1 or value in "是否" else None
    if flag is not None:
        return flag
    if "|" in value and len(value) < TEXT_LIMIT:
        parts = [clean_word(part) for part in value.split("|")]
        if all(0 < len(part) <= 60 for part in parts):
            return list(dict.fromkeys(parts)) if len(parts) > 1 else parts[0]
    return (clean_word(value) if len(value) <= 200 else clean_line(value, TEXT_LIMIT)) or None
