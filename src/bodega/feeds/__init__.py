"""What does this file say, row by row? Files of any usual kind as a stream of raw rows.

Useful for: CSV, TSV, JSON Lines, JSON arrays, Parquet and Google Merchant XML, gzipped or not, in the encodings shops
use. Not for: meaning (that is `catalog` and `events`). Invariants: memory does not grow with the number of rows; a
row knows its line; a row that cannot be split is handed on with its error, never dropped.
"""

from bodega.feeds.feed import Feed, RawRow
from bodega.feeds.mapping import infer
from bodega.feeds.opening import open_feed

__all__ = ["Feed", "RawRow", "infer", "open_feed"]
