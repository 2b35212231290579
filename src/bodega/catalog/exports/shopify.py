"""Shopify's product CSV: one product is several rows with the same Handle; later rows leave out what the first said.

Rows of a handle are read together (they follow each other); a handle that turns up again later still inherits from
the last 4,096 products. Rows with only an image add it to the product. Each variant becomes an item, its id the
Variant SKU, or the handle and its options where there is none. Not for: inventory or customer exports.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from bodega.catalog.draft import Draft, first_of, is_missing
from bodega.feeds import RawRow

REMEMBERED = 4_096
HEAD = {
    "title": "Title",
    "description": "Body (HTML)",
    "brand": "Vendor",
    "tags": "Tags",
    "category": "Product Category",
}
_METAFIELD = re.compile(r"(.+?) \(product\.metafields\..+\)$")
_SLUG = re.compile(r"[\W_]+")


class Shopify:
    """A Shopify product export."""

    name = "shopify"

    def __init__(self, columns: Sequence[str]) -> None:
        present = set(columns)
        self.mapping = {field: column for field, column in HEAD.items() if column in present}
        rest = {
            "id": "Variant SKU",
            "group": "Handle",
            "price": "Variant Price",
            "stock": "Variant Inventory Qty",
            "images": "Image Src",
        }
        self.mapping |= {field: column for field, column in rest.items() if column in present}
        self._metafields = {column: found[1] for column in columns if (found := _METAFIELD.match(column))}
        self._heads: OrderedDict[str, dict[str, object]] = OrderedDict()

    def drafts(self, rows: Iterable[RawRow]) -> Iterator[Draft]:
        for handle, together in groupby(rows, key=lambda row: "" if row.error else str(row.values.get("Handle", ""))):
            if handle.strip():
                yield from self._product(handle.strip(), list(together))
                continue
            for row in together:
                yield Draft(row.line, row.values, error=row.error or "a row without a Handle")

    def _product(self, handle: str, rows: list[RawRow]) -> Iterator[Draft]:
        head = dict(rows[0].values)
        if is_missing(head.get("Title")) and handle in self._heads:
            head = self._heads[handle] | {name: value for name, value in head.items() if not is_missing(value)}
        self._remember(handle, head)
        variants = [row for row in rows if _is_variant(row.values)] or rows[:1]
        images = list(dict.fromkeys(str(row.values["Image Src"]) for row in rows if row.values.get("Image Src")))
        several = len(variants) > 1 or rows[0].values.get("Title") in (None, "")
        for row in rows:
            if row in variants:
                yield self._variant(handle, head, row, images, several)
            else:
                yield Draft(row.line, row.values, part=True)

    def _remember(self, handle: str, head: dict[str, object]) -> None:
        self._heads[handle] = head
        self._heads.move_to_end(handle)
        if len(self._heads) > REMEMBERED:
            self._heads.popitem(last=False)

    def _variant(self, handle: str, head: dict[str, object], row: RawRow, images: list[str], several: bool) -> Draft:
        own = row.values
        options = _options(head, own)
        slug = "-".join(_SLUG.sub("-", str(value)).strip("-").lower() for value in options.values())
        values: dict[str, object] = {field: head.get(column) for field, column in HEAD.items()}
        values["id"] = first_of(own, "Variant SKU") or (f"{handle}-{slug}" if slug and several else handle)
        values["category"] = first_of(
            head, "Product Category", "Standardized Product Type", "Type", "Custom Product Type"
        )
        values["url"] = f"/products/{handle}"
        price, before = own.get("Variant Price"), own.get("Variant Compare At Price")
        values["price"], values["sale_price"] = (price, None) if is_missing(before) else (before, price)
        values["stock"] = own.get("Variant Inventory Qty") if first_of(own, "Variant Inventory Tracker") else None
        values["availability"] = _availability(head, own)
        values["images"] = list(dict.fromkeys([*filter(None, [str(own.get("Variant Image") or "")]), *images]))
        if several or options:
            values["group"] = handle
        attributes: dict[str, object] = {
            name: head[column] for column, name in self._metafields.items() if not is_missing(head.get(column))
        }
        if not is_missing(head.get("Type")) and values["category"] != head.get("Type"):
            attributes["type"] = head["Type"]
        if not is_missing(barcode := own.get("Variant Barcode")):
            attributes["barcode"] = str(barcode).strip("'")
        return Draft(row.line, head | own, values, attributes, options)


def _is_variant(values: dict[str, object]) -> bool:
    """Rows that carry only another picture have neither a price nor an option nor a SKU."""
    return first_of(values, "Variant Price", "Option1 Value", "Variant SKU") is not None


def _options(head: dict[str, object], own: dict[str, object]) -> dict[str, object]:
    options: dict[str, object] = {}
    for number in (1, 2, 3):
        name, value = head.get(f"Option{number} Name"), own.get(f"Option{number} Value")
        if not is_missing(value) and (str(name), str(value)) != ("Title", "Default Title"):
            options[str(name) if not is_missing(name) else f"Option {number}"] = value
    return options


def _availability(head: dict[str, object], own: dict[str, object]) -> str:
    """Unpublished products are kept but not for sale; "continue" sells what is not there."""
    if str(head.get("Status") or "active").lower() != "active" or str(head.get("Published")).lower() == "false":
        return "discontinued"
    try:
        gone = (
            float(str(own.get("Variant Inventory Qty"))) <= 0 and first_of(own, "Variant Inventory Tracker") is not None
        )
    except ValueError:
        return "in stock"
    if not gone:
        return "in stock"
    return "backorder" if str(own.get("Variant Inventory Policy")).lower() == "continue" else "out of stock"
