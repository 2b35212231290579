"""Who changed what beside the rules and experiments, which keep trails of their own? Keys and settings, line by line.

`audit.jsonl` in the shop's folder: one JSON object a line, only ever appended, on disk before the change is answered.
It never holds the text of a key or a password. Cost: one write and one fsync a change. Not for: what shoppers do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

FILE = "audit.jsonl"
READ_LIMIT = 4_000_000
"""Bytes of the newest lines that are looked at."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change."""

    time: datetime
    who: str
    """Label of the key that asked, or `cli`."""
    area: str
    """`keys` or `settings`."""
    what: str
    """`create`, `revoke`, `change`."""
    name: str = ""
    """Whose: the id of the key, or the file."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}


class Trail:
    """The trail of one shop. Several processes may write at a time: a line is one appended write."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def add(
        self, who: str, area: str, what: str, name: str, changed: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})
    ) -> Line:
        """Write a line down; `changed` is (before, after). Raises OSError when the disk does not take it."""
        before, after = changed
        line = Line(
            time=datetime.now(UTC), who=who, area=area, what=what, name=name, before=dict(before), after=dict(after)
        )
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # A new line first: what a crash cut off must not take this line with it.
            os.write(handle, b"\n" + msgspec.json.encode(line) + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        return line

    def list(self, *, area: str = "", limit: int = 100) -> list[Line]:
        """The newest first. A line that a crash cut off is left out."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - READ_LIMIT))
                rows = file.read().split(b"\n")
        except FileNotFoundError:
            return []
        found: list[Line] = []
        for row in reversed(rows):
            if len(found) >= limit:
                break
            try:
                line = msgspec.json.decode(row, type=Line)
            except (msgspec.DecodeError, msgspec.ValidationError):
                continue
            if not area or line.area == area:
                found.append(line)
        return found
