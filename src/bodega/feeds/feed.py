"""A feed and its rows: what every reader of this room hands on.

A `Feed` can be read several times; each reading opens the file anew and holds a few rows at a time.
Not for: what the columns mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from bodega.errors import BadFeed


class RawRow(msgspec.Struct):
    """One row as read: column name -> value. `error` says why a row could not be split; then `values` is empty.

    `line` is the physical line where the row starts (1-based, the header counts); in Parquet and XML, which have no
    lines, it is the number of the row.
    """

    line: int
    values: dict[str, object]
    error: str = ""


class Feed(ABC):
    """A file as rows: `format`, `columns`, and iteration, as often as wanted, in constant memory.

    `columns` are the names found in the header (or in the first rows, where a format has no header);
    `notes` say in words what was found out about the file, e.g. its encoding.
    """

    format: str

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: list[str] = []
        self.notes: list[str] = []

    @abstractmethod
    def __iter__(self) -> Iterator[RawRow]: ...

    def sample(self, n: int = 200) -> list[RawRow]:
        """The first n rows (those that could be split). Damage further down is raised when reading gets there."""
        rows: list[RawRow] = []
        try:
            rows.extend(islice(self, n))
        except BadFeed:
            if not rows:
                raise
        return [row for row in rows if not row.error]
