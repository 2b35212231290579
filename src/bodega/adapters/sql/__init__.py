"""The durable store of a shop: SQLAlchemy Core over SQLite today, over PostgreSQL by another URL.

`SqlStore.open(url)` migrates and opens; `.catalog`, `.events`, `.dead`, `.keys` and `.rules` implement
`bodega.protocols`.
"""

from bodega.adapters.sql.store import SqlStore

__all__ = ["SqlStore"]
