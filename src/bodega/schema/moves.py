"""The nouns of moving house: what a table held, what a move, a backup or a restore did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableCopy:
    """One table of a store: how many rows, and the SHA-256 of its content in key order, equal on every database."""

    name: str
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class MoveReport:
    """What `bodega migrate` did. It exists only where every digest of the target equals the source's."""

    source: str
    target: str
    tables: tuple[TableCopy, ...]
    resumed: bool
    """Did it go on where an earlier one had stopped?"""
    seconds: float

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What `bodega backup` wrote, or `bodega restore` put back and compared."""

    folder: str
    store: str
    tables: tuple[TableCopy, ...]
    snapshot: str
    """Id of the snapshot; "" where the shop had not learned."""
    files: int
    bytes: int
    seconds: float

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)
