"""Which export is it? Told by columns that only one system writes; anything else is a general table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from bodega.catalog.draft import Draft
from bodega.catalog.exports.general import General
from bodega.catalog.exports.google import GOOGLE_MARKS, Google
from bodega.catalog.exports.magento import Magento
from bodega.catalog.exports.shopify import Shopify
from bodega.catalog.exports.woocommerce import WooCommerce
from bodega.feeds import RawRow
from bodega.feeds.mapping import plain

EXPORTS = ("shopify", "woocommerce", "google", "magento", "algolia")


class Export(Protocol):
    """How one system's rows become drafts. `mapping` is {our field: their column}, to be shown."""

    name: str
    mapping: dict[str, str]

    def drafts(self, rows: Iterable[RawRow]) -> Iterator[Draft]: ...


def recognise(
    columns: Sequence[str], sample: Sequence[RawRow], told: Mapping[str, str], *, feed: str, named: str = ""
) -> Export:
    """The export with these columns. `feed` is the file format; `named` is what the user called it, if anything."""
    name = named or _by_columns(columns, feed)
    if name == "shopify":
        return Shopify(columns)
    if name == "woocommerce":
        return WooCommerce(columns)
    if name == "google":
        return Google(columns)
    if name == "magento" and "variants" not in columns and "attributes" not in columns:
        return Magento(columns)
    return General(columns, sample, told, name=name or feed)


def _by_columns(columns: Sequence[str], feed: str) -> str:
    names = set(columns)
    plains = {plain(column) for column in columns}
    if {"Handle", "Title"} <= names and any(name.startswith(("Variant ", "Option1 ")) for name in names):
        return "shopify"
    if {"Type", "SKU", "Name"} <= names and names & {"Regular price", "Parent", "Categories", "In stock?"}:
        return "woocommerce"
    if feed == "xml" or any(name.startswith("g:") for name in names) or len(plains & GOOGLE_MARKS) >= 3:
        return "google"
    if "sku" in names and names & {"additional_attributes", "configurable_variations", "attribute_set_code"}:
        return "magento"
    if "sku" in names and "attribute_set" in names:
        return "magento"
    return "algolia" if "objectID" in names else ""
