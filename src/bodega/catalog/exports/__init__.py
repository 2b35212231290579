"""Which shop system wrote this file, and how do its rows become drafts?

Useful for: Shopify, WooCommerce, Google Merchant, Algolia and Magento exports, and any other table. Every export is
one class with `name`, `mapping` (shown to the user) and `drafts(rows)`; `recognise` picks one from the columns.
Not for: cleaning values (`building.py`). Invariant: memory does not grow with the rows (Magento: with the variants).
"""

from bodega.catalog.exports.recognising import EXPORTS, Export, recognise

__all__ = ["EXPORTS", "Export", "recognise"]
