"""A draft: one item as an export describes it, before cleaning. Every export turns its rows into drafts.

`values` holds our field names with their raw values, `attributes` what else the row says, `options` what sets a
variant apart. The builder (`building.py`) turns a draft into an Item or a refusal. Not for: clean values.
"""

from __future__ import annotations

import msgspec


class Draft(msgspec.Struct):
    """`line` is where it came from; `raw` the row as read (for the dead letter box and for told columns).

    A draft with `error` could not be read as a row; `part` marks a row that only adds to another one and makes no
    item of its own (a Shopify image row, a Magento parent): it is counted, nothing else.
    """

    line: int
    raw: dict[str, object]
    values: dict[str, object] = {}
    attributes: dict[str, object] = {}
    options: dict[str, object] = {}
    error: str = ""
    part: bool = False


class Refusal(msgspec.Struct, frozen=True):
    """Why nothing could be made of a draft: a short stable code, and words."""

    reason: str
    message: str


MISSING = frozenset(
    {"", "nan", "null", "none", "n/a", "#n/a", "na", "nil", "undefined", "-", "--", "<na>", "\\n", "无"}
)
"""How exports spell "nothing" (compared without case)."""


def is_missing(value: object) -> bool:
    """Is this cell empty, in any of the usual spellings (NaN included)?"""
    if value is None:
        return True
    if isinstance(value, str):
        return len(value) < 10 and value.strip().casefold() in MISSING
    if isinstance(value, list | dict | tuple):
        return not value
    return isinstance(value, float) and value != value


def first_of(row: dict[str, object], *columns: str) -> object:
    """The first of these columns that holds something, else None."""
    for column in columns:
        value = row.get(column)
        if not is_missing(value):
            return value
    return None
