"""Magento's catalog export (CSV): `additional_attributes` packs what does not have a column, `configurable_variations`
tells which simple products are variants of which.

The simple rows come first and do not know their parent, so a file is read twice: once for the variants, once for the
rows; memory grows with the variants (about 300 bytes each), not with the rows. A configurable row with variants is no
item of its own: its variants carry their own titles and texts. Not for: price rules, customers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bodega.catalog.draft import Draft, first_of, is_missing
from bodega.feeds import Feed, RawRow

FIELDS = {
    "id": "sku",
    "title": "name",
    "description": "description",
    "category": "categories",
    "price": "price",
    "sale_price": "special_price",
    "stock": "qty",
    "availability": "is_in_stock",
    "images": "base_image",
    "created": "created_at",
    "updated": "updated_at",
    "url": "url_key",
    "tags": "meta_keywords",
    "related": "related_skus",
    "upsell": "upsell_skus",
    "crosssell": "crosssell_skus",
}
LINKS = ("related_skus", "upsell_skus", "crosssell_skus")
IMAGES = ("base_image", "image", "small_image", "additional_images")
BRANDS = ("brand", "manufacturer")
_PAIR = re.compile(r",(?=[A-Za-z_]\w*=)")
Variant = tuple[str, dict[str, object]]


class Magento:
    """A Magento 2 catalog export."""

    name = "magento"

    def __init__(self, columns: Sequence[str]) -> None:
        present = set(columns)
        self.mapping = {field: column for field, column in FIELDS.items() if column in present}
        self.mapping |= {"attributes": "additional_attributes"} if "additional_attributes" in present else {}
        self.mapping |= {"group": "configurable_variations"} if "configurable_variations" in present else {}

    def drafts(self, rows: Iterable[RawRow]) -> Iterator[Draft]:
        if not isinstance(rows, Feed):
            rows = list(rows)
        variants: dict[str, Variant] = {}
        linked: dict[str, dict[str, object]] = {}
        for row in rows:
            packed = row.values.get("configurable_variations")
            if not is_missing(packed):
                parent = str(row.values.get("sku", ""))
                variants |= {sku: (parent, options) for sku, options in _variations(str(packed))}
                linked[parent] = {name: row.values.get(name) for name in LINKS}
        for row in rows:
            if row.error:
                yield Draft(row.line, row.values, error=row.error)
            elif not is_missing(row.values.get("configurable_variations")):
                yield Draft(row.line, row.values, part=True)
            else:
                variant = variants.get(str(row.values.get("sku", "")))
                yield _draft(row, variant, linked.get(variant[0], {}) if variant else {})


def _draft(row: RawRow, variant: Variant | None, linked: Mapping[str, object]) -> Draft:
    """What a variant does not link itself, its product links."""
    own = row.values | {name: value for name, value in linked.items() if is_missing(row.values.get(name))}
    values: dict[str, object] = {field: own.get(column) for field, column in FIELDS.items()}
    values["description"] = first_of(own, "description", "short_description")
    paths = [tuple(path.split("/")) for path in str(own.get("categories") or "").split(",") if path.strip()]
    values["category"] = sorted(paths, key=len, reverse=True)
    images = [one for column in IMAGES for one in str(own.get(column) or "").split(",") if one.strip()]
    values["images"] = list(dict.fromkeys(images))
    if str(own.get("product_online", "1")) in ("0", "2"):
        values["availability"] = "discontinued"
    attributes: dict[str, object] = {}
    for name, value in _pairs(str(own.get("additional_attributes") or "")):
        attributes[name] = value.split("|") if "|" in value else value
    brand = next((attributes.pop(name) for name in BRANDS if name in attributes), None)
    values["brand"] = first_of(own, *BRANDS) or brand
    if not is_missing(own.get("weight")):
        attributes["weight"] = own["weight"]
    options: dict[str, object] = {}
    if variant:
        values["group"], options = variant
        attributes = {name: value for name, value in attributes.items() if name not in options}
    return Draft(row.line, row.values, values, attributes, options)


def _variations(packed: str) -> Iterator[tuple[str, dict[str, object]]]:
    """ "sku=A,size=S,color=Red|sku=B,size=M,color=Red" as (sku, options)."""
    for one in packed.split("|"):
        pairs: dict[str, object] = dict(_pairs(one))
        sku = str(pairs.pop("sku", ""))
        if sku:
            yield sku, pairs


def _pairs(packed: str) -> Iterator[tuple[str, str]]:
    """ "a=b,c=d e, f" as pairs: a comma only separates where a name and "=" follow."""
    for one in _PAIR.split(packed):
        name, found, value = one.partition("=")
        if found and name.strip() and value.strip():
            yield name.strip(), value.strip().strip('"')
