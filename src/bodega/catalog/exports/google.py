"""Google Merchant feeds, XML or TSV: https://support.google.com/merchants/answer/7052112 names the fields.

Fields are compared without case, spaces and `g:`. Rows of one `item_group_id` are variants, set apart by colour, size,
material and pattern. Not for: shipping, tax and campaign fields, which say nothing about the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bodega.catalog.draft import Draft, is_missing
from bodega.feeds import RawRow
from bodega.feeds.mapping import plain

_MARKS = (
    "link imagelink condition gtin mpn itemgroupid producttype saleprice googleproductcategory additionalimagelink"
    " identifierexists"
)
GOOGLE_MARKS = frozenset(_MARKS.split())
"""Columns that hardly any other table has; three of them tell a Google feed."""
FIELDS = {
    "id": "id",
    "title": "title",
    "description": "description",
    "brand": "brand",
    "price": "price",
    "saleprice": "sale_price",
    "availability": "availability",
    "itemgroupid": "group",
    "link": "url",
    "quantity": "stock",
    "selltoquantity": "stock",
    "contentlanguage": "language",
}
IMAGES = ("imagelink", "additionalimagelink")
OPTIONS = frozenset({"color", "size", "material", "pattern"})
IGNORED = (
    "shipping tax ads customlabel promotionid identifierexists excludeddestination includeddestination mobilelink pause"
    " salepriceeffectivedate costofgoodssold adsredirect summary displayads installment loyalty"
)


class Google:
    """A Google Merchant feed."""

    name = "google"

    def __init__(self, columns: Sequence[str]) -> None:
        self._plain = {column: plain(column) for column in columns}
        self.mapping = {FIELDS[name]: column for column, name in self._plain.items() if name in FIELDS}
        for field, names in (("images", IMAGES), ("category", ("producttype", "googleproductcategory"))):
            found = next((column for name in names for column, other in self._plain.items() if other == name), None)
            if found:
                self.mapping[field] = found

    def drafts(self, rows: Iterable[RawRow]) -> Iterator[Draft]:
        ignored = tuple(IGNORED.split())
        for row in rows:
            if row.error:
                yield Draft(row.line, row.values, error=row.error)
                continue
            by_name = {
                self._plain.get(column) or plain(column): value
                for column, value in row.values.items()
                if not is_missing(value)
            }
            values = {field: by_name.pop(name) for name, field in FIELDS.items() if name in by_name}
            values["images"] = [one for name in IMAGES for one in _listed(by_name.pop(name, None))]
            values["category"] = _category(by_name.pop("producttype", None), by_name.pop("googleproductcategory", None))
            details = by_name.pop("productdetail", None)
            own = {column: name for column, name in self._plain.items() if name in by_name}
            rest = {column: by_name[name] for column, name in own.items() if not name.startswith(ignored)}
            attributes = {column.removeprefix("g:").replace(" ", "_").lower(): value for column, value in rest.items()}
            attributes |= _details(details)
            options = {}
            if "group" in values:
                options = {name: attributes.pop(name) for name in OPTIONS & attributes.keys()}
            yield Draft(row.line, row.values, values, attributes, dict(sorted(options.items())))


def _category(own: object, google: object) -> object:
    """The shop's own path; else Google's, unless that is only a number of its taxonomy. In TSV, paths end at commas."""
    value = google if is_missing(own) else own
    if not isinstance(value, str):
        return value
    if value.strip().isdigit():
        return None
    return value.split(",") if ">" in value and "," in value.partition(">")[2] else value


def _details(value: object) -> dict[str, object]:
    """`product_detail`: dicts in XML, "section:name:value" in TSV."""
    found: dict[str, object] = {}
    for detail in _listed(value):
        if isinstance(detail, dict) and "attribute_name" in detail:
            found[str(detail["attribute_name"])] = detail.get("attribute_value")
        elif isinstance(detail, str) and detail.count(":") >= 2:
            _, name, text = detail.split(":", 2)
            found[name.strip()] = text
    return found


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if is_missing(value) else [value]
