"""What is for sale? Files of any shop system become clean items, and a doctor says what keeps them from being found.

Useful for: importing products with variants, prices, stock and attributes from CSV, TSV, JSON, Parquet and the
exports of Shopify, WooCommerce, Google Merchant, Algolia and Magento. Not for: storing (`adapters`), searching
(`retrieval`). Invariants: every row of a feed is an item, a part of one, or a dead letter with its reason; cleaning
leaves out or cuts, and counts it, but never invents a value.
"""

from bodega.catalog.doctor import Diagnosis, Finding, examine
from bodega.catalog.importing import ItemOptions, import_items

__all__ = ["Diagnosis", "Finding", "ItemOptions", "examine", "import_items"]
