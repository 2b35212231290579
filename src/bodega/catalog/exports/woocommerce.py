"""WooCommerce's product CSV: `variable` rows describe a product, their `variation` rows what is sold.

A variation names its parent (SKU or "id:123") and inherits from it; parents are remembered (the last 20,000), so the
rows may be apart as long as the parent comes first, as WooCommerce writes them. A variable product itself becomes an
item only when no variation follows it at once. Not for: orders and coupons.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from bodega.catalog.draft import Draft, first_of, is_missing
from bodega.feeds import RawRow

REMEMBERED = 20_000
INHERITED = ("Name", "Description", "Short description", "Categories", "Tags", "Images", "Brands")
_ATTRIBUTE = re.compile(r"Attribute (\d+) name$")
_COMMA = re.compile(r"(?<!\\),")


class WooCommerce:
    """A WooCommerce product export."""

    name = "woocommerce"

    def __init__(self, columns: Sequence[str]) -> None:
        present = set(columns)
        known = {
            "id": "SKU",
            "title": "Name",
            "description": "Description",
            "brand": "Brands",
            "category": "Categories",
            "price": "Regular price",
            "sale_price": "Sale price",
            "stock": "Stock",
            "availability": "In stock?",
            "images": "Images",
            "tags": "Tags",
            "group": "Parent",
        }
        self.mapping = {field: column for field, column in known.items() if column in present}
        self._numbers = [found[1] for column in columns if (found := _ATTRIBUTE.match(column))]
        self._parents: OrderedDict[str, dict[str, object]] = OrderedDict()

    def drafts(self, rows: Iterable[RawRow]) -> Iterator[Draft]:
        waiting: RawRow | None = None
        for row in rows:
            if row.error:
                yield Draft(row.line, row.values, error=row.error)
                continue
            kinds = str(row.values.get("Type", "")).lower()
            if waiting is not None:
                follows = "variation" in kinds and self._parent(row.values) is waiting.values
                yield Draft(waiting.line, waiting.values, part=True) if follows else self._draft(waiting, None)
                waiting = None
            if "variation" in kinds:
                yield self._draft(row, self._parent(row.values))
            elif "variable" in kinds:
                self._remember(row.values)
                waiting = row
            else:
                yield self._draft(row, None)
        if waiting is not None:
            yield self._draft(waiting, None)

    def _remember(self, values: dict[str, object]) -> None:
        for key in (str(values.get("SKU", "")), f"id:{values.get('ID', '')}"):
            if key not in ("", "id:"):
                self._parents[key] = values
        while len(self._parents) > REMEMBERED:
            self._parents.popitem(last=False)

    def _parent(self, values: dict[str, object]) -> dict[str, object] | None:
        return self._parents.get(str(values.get("Parent", "")))

    def _draft(self, row: RawRow, parent: dict[str, object] | None) -> Draft:
        own = row.values
        raw = dict(own)
        if parent is not None:
            raw |= {name: parent[name] for name in INHERITED if is_missing(own.get(name)) and name in parent}
            raw["Name"] = parent.get("Name") or own.get("Name")
        attributes, options = self._attributes(own, parent)
        values: dict[str, object] = {
            "id": first_of(own, "SKU", "ID"),
            "title": raw.get("Name"),
            "description": first_of(raw, "Description", "Short description"),
            "brand": first_of(raw, "Brands", "Brand"),
            "category": _categories(raw.get("Categories")),
            "price": own.get("Regular price"),
            "sale_price": own.get("Sale price"),
            "stock": own.get("Stock"),
            "availability": _availability(raw, own),
            "images": _split(raw.get("Images")),
            "tags": _split(raw.get("Tags")),
            "upsell": _split(raw.get("Upsells")),
            "crosssell": _split(raw.get("Cross-sells")),
            "url": first_of(own, "External URL"),
        }
        if parent is not None:
            values["group"] = first_of(parent, "SKU", "ID")
        elif "variation" in str(own.get("Type", "")).lower():
            values["group"] = own.get("Parent")
        return Draft(row.line, own, values, attributes, options)

    def _attributes(
        self, own: dict[str, object], parent: dict[str, object] | None
    ) -> tuple[dict[str, object], dict[str, object]]:
        """What a variation names is an option; what only its parent names (and has one meaning) an attribute."""
        named = {
            str(own[f"Attribute {number} name"]): own.get(f"Attribute {number} value(s)")
            for number in self._numbers
            if not is_missing(own.get(f"Attribute {number} name"))
        }
        named = {name: value for name, value in named.items() if not is_missing(value)}
        if parent is None:
            return {name: _one_or_more(_split(value)) for name, value in named.items()}, {}
        above, _ = self._attributes(parent, None)
        return {name: value for name, value in above.items() if name not in named}, dict(named)


def _categories(value: object) -> object:
    """ "Clothing > Hoodies, Sale": paths at commas, the deepest first."""
    paths = [str(one) for one in _split(value)]
    return sorted(paths, key=lambda path: -path.count(">")) if any(">" in path for path in paths) else paths[:1]


def _availability(raw: dict[str, object], own: dict[str, object]) -> object:
    if not is_missing(raw.get("Published")) and str(raw["Published"]) not in ("1", "1.0", "true", "True"):
        return "discontinued"
    given = own.get("In stock?")
    if str(given) in ("0", "false") and str(own.get("Backorders allowed?")).lower() in ("1", "notify"):
        return "backorder"
    return given


def _split(value: object) -> list[object]:
    """A cell with commas (WooCommerce writes a comma inside a value as `\\,`)."""
    if is_missing(value):
        return []
    return [one.replace("\\,", ",").strip() for one in _COMMA.split(str(value)) if one.strip()]


def _one_or_more(values: list[object]) -> object:
    return values[0] if len(values) == 1 else values
