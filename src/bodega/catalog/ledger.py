"""What did cleaning find? Counts while a feed streams past, told in words at the end.

Held for each row: a hash of the id, the price, the category and the line (20 bytes, 70 while
they are sorted at the end, measured on 600,000 rows), so that duplicates and outliers of a 5-million-row file cost
350 MB and not the rows. Not for: the rows that were refused (dead letter box).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping

import numpy as np

from bodega.catalog.outliers import odd_prices
from bodega.schema import Item

WORDS = {
    "bad_price": "{n} prices are no amount (NaN, infinite, negative or no number) and were left out",
    "bad_currency": "{n} currencies are not known; the shop's own was taken",
    "bad_stock": "{n} negative stock counts were taken for 0",
    "unknown_availability": "{n} words for availability are not known and were taken for in stock",
    "cut_text": "{n} texts were cut at the longest length kept",
    "undecodable": "{n} texts hold characters that could not be decoded (shown as \ufffd): check the file's encoding",
    "bad_time": "{n} dates could not be read and were left out",
    "bad_url": "{n} addresses are neither http(s) nor relative, or too long, and were left out",
    "amounts": "{n} amounts with a unit were normalised to g, ml, cm or count (the text is kept beside them)",
}
MISSED = ("title", "description", "brand", "category", "price", "images")
SHOWN = 5


class Ledger:
    """Counts over the items of one import."""

    def __init__(self) -> None:
        self.items = 0
        self.parts = 0
        self.groups = 0
        self._last_group = ""
        self.missing: Counter[str] = Counter()
        self._ids = array("q")
        self._prices = array("f")
        self._places = array("i")
        self._lines = array("I")
        self._categories: dict[tuple[tuple[str, ...], str], int] = {}

    def saw(self, item: Item, line: int) -> None:
        self.items += 1
        for field in MISSED:
            value = getattr(item, field)
            if value is None or not (value or value == 0):
                self.missing[field] += 1
        if item.group and item.group != self._last_group:
            self.groups += 1
            self._last_group = item.group
        self._ids.append(hash(item.id))
        if item.price is not None:
            place = (item.category, item.currency)
            self._prices.append(item.price)
            self._places.append(self._categories.setdefault(place, len(self._categories)))
            self._lines.append(line)

    @property
    def duplicates(self) -> int:
        """Rows whose id came before or after in the same feed; the last one was kept."""
        return len(self._ids) - len(np.unique(np.frombuffer(self._ids, np.int64))) if self._ids else 0

    def odd_lines(self) -> list[int]:
        """Lines whose price is far from its category's."""
        if not self._prices:
            return []
        odd = odd_prices(np.frombuffer(self._prices, np.float32), np.frombuffer(self._places, np.int32))
        return [int(line) for line in np.frombuffer(self._lines, np.uint32)[odd]]

    def notes(self, repairs: Mapping[str, int]) -> list[str]:
        """The findings in words, most telling first."""
        said = [_missing(field, self.missing[field], self.items) for field in MISSED if self.missing[field]]
        if self.duplicates:
            said.append(f"{self.duplicates:,} rows repeat an id of this feed: the last one was kept")
        if odd := self.odd_lines():
            shown = ", ".join(f"{line:,}" for line in odd[:SHOWN])
            more = ", ..." if len(odd) > SHOWN else ""
            said.append(f"{len(odd):,} prices are far from the others of their category (lines {shown}{more})")
        if self.groups:
            said.append(f"variants were put into {self.groups:,} groups")
        if self.parts:
            said.append(f"{self.parts:,} rows only add to other rows (parents, pictures) and are no items themselves")
        said += [WORDS[code].format(n=f"{repairs[code]:,}") for code in WORDS if repairs.get(code)]
        return said


def _missing(field: str, count: int, total: int) -> str:
    name = {"images": "an image"}.get(field, f"a {field}")
    hint = "; is there a column to map to it?" if count == total and field in ("title", "category", "price") else ""
    return f"{count:,} of {total:,} items are without {name} ({_share(count, total)}){hint}"


def _share(count: int, total: int) -> str:
    return f"{count / total:.0%}" if count * 100 >= total else "< 1%"
