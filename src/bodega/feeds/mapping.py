"""Which of their columns is which of our fields? By name, in several languages, then by what is in the column.

The caller brings the names it knows, best first; a column that is empty in the sample gives way to another one that
fits. Cost: nothing beside reading the sample. Not for: guessing a meaning from values alone; what is not recognised
stays with the caller, who can be told (`mapping={"title": "name"}`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from bodega.feeds.feed import RawRow

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[\W_]+")


def plain(name: str) -> str:
    """A column's name without case, punctuation and namespace: `g:ProductName`, "product name" -> "productname".

    >>> plain("g:Product_Name") == plain("product name") == plain("ProductName")
    True
    """
    return _plain(name[:200])


@lru_cache(maxsize=1 << 13)
def _plain(name: str) -> str:
    name = unicodedata.normalize("NFKC", name).strip().removeprefix("g:")
    return _NOT_WORD.sub("", _CAMEL.sub(" ", name)).casefold()


def infer(columns: Sequence[str], sample_rows: Iterable[RawRow], fields: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """{field: column} for the fields that a column was found for.

    `fields` gives each field's known names, most telling first; fields are served in its order and a column serves
    one field only.

    >>> infer(["SKU", "名称", "Preis"], [], {"id": ["id", "sku"], "title": ["title", "名称"], "brand": ["brand"]})
    {'id': 'SKU', 'title': '名称'}
    """
    by_name: dict[str, list[str]] = {}
    for column in columns:
        by_name.setdefault(plain(column), []).append(column)
    rows = list(sample_rows)
    filled = {column for column in columns if any(_has(row.values.get(column)) for row in rows)}
    taken: set[str] = set()
    found: dict[str, str] = {}
    for field, names in fields.items():
        candidates = [column for name in names for column in by_name.get(plain(name), ()) if column not in taken]
        if not candidates:
            continue
        column = next((one for one in candidates if one in filled), candidates[0])
        found[field] = column
        taken.add(column)
    return found


def _has(value: object) -> bool:
    return value is not None and value != "" and value != []
