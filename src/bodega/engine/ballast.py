"""Where does room come from when the disk is full? From a file that holds nothing, and is given up first.

SQLite needs room to delete: every change goes through its log. So a serving shop keeps `room.ballast` in its folder; an
erasure that finds the disk full lets it go, removes its rows in small parts, and takes the room back when there is
some. Cost: 16 MB of disk. Not for: anything but erasing; a full disk refuses new events (507), as it should.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bodega.errors import StoreError

Result = TypeVar("Result")
FILE = "room.ballast"
SIZE = 16 * 1024 * 1024
"""Bytes: four times what the log grows by while 250 scattered rows are removed."""


class Ballast:
    """The ballast of one shop's folder."""

    def __init__(self, folder: Path | None, size: int = SIZE) -> None:
        self.path = folder / FILE if folder is not None else None
        self._size = size

    def take(self) -> bool:
        """Fill the file; is it whole?"""
        if self.path is None:
            return False
        try:
            if self.path.exists() and self.path.stat().st_size == self._size:
                return True
            with self.path.open("wb") as file:
                block = bytes(1024 * 1024)  # written, not merely reserved: a hole would hold no room
                for start in range(0, self._size, len(block)):
                    file.write(block[: self._size - start])
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
            return False
        return True

    def drop(self) -> None:
        """Give the room up."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)

    def spent_on(self, work: Callable[[], Result]) -> Result:
        """Do the work; where the disk is full, once more with the room of the ballast."""
        try:
            return work()
        except (StoreError, OSError):
            if self.path is None or not self.path.exists():
                raise
            self.drop()
            try:
                return work()
            finally:
                self.take()
