"""Who looked at whom, who switched which snapshot? An audit trail in the shop's folder, one line an act, kept for good.

    <folder>/office/trail.jsonl     {"time": ..., "who": "key label", "what": "look", "about": "...", "detail": "..."}

A person is named by the keyed digest of their id (as tombstones are): whoever knows the id finds the lines about it,
nobody reads an id out of them, and forgetting somebody leaves the proof of who looked while it leaves no name. A line
is on disk before what it speaks of is shown; where it cannot be written, nothing is shown. Several processes append to
one file, a line at a time. Cost: .1 to 5 ms a line (an fsync). Several servers keep a trail each.
Not for: changes of rules, identities and keys, which their stores keep.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bodega.engine.office.jobs import FOLDER
from bodega.errors import StoreError

FILE = "trail.jsonl"
_BLOCK = 1 << 16


class TrailLine(msgspec.Struct, frozen=True, kw_only=True):
    """One act."""

    time: float
    """Seconds since 1970 UTC."""
    who: str
    """Label (or id) of the API key."""
    what: str
    """`look`, `list`, `export`, `forget`, `promote`, `rollback`."""
    about: str = ""
    """Keyed digest of a shopper's id, or the id of a snapshot."""
    detail: str = ""
    """What of them: `state`, `timeline`, `lists`, ...; never an id."""


class Trail:
    """The audit trail of one folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FOLDER / FILE

    def write(self, who: str, what: str, about: str = "", detail: str = "") -> TrailLine:
        """Keep one line; on disk when this returns. Raises StoreError."""
        line = TrailLine(time=time.time(), who=who[:200], what=what, about=about, detail=detail[:400])
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, msgspec.json.encode(line) + b"\n")  # one write of one line: O_APPEND keeps it whole
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise StoreError(
                "the audit trail cannot be written, so nothing is shown",
                code="shoppers.trail",
                where=str(self._path),
                got=str(error),
                next="give write access or free space",
            ) from error
        return line

    def read(self, *, about: str = "", what: tuple[str, ...] = (), limit: int = 100) -> list[TrailLine]:
        """The newest lines first: about this where given, of these acts where given. Broken lines are left out."""
        out: list[TrailLine] = []
        for raw in self._backwards():
            try:
                line = msgspec.json.decode(raw, type=TrailLine)
            except msgspec.MsgspecError:
                continue
            if (not about or line.about == about) and (not what or line.what in what):
                out.append(line)
                if len(out) >= limit:
                    break
        return out

    def _backwards(self) -> Iterator[bytes]:
        try:
            file = self._path.open("rb")
        except OSError:
            return
        with file:
            place, rest = file.seek(0, os.SEEK_END), b""
            while place > 0:
                size = min(_BLOCK, place)
                place -= size
                file.seek(place)
                first, *lines = (file.read(size) + rest).split(b"\n")
                yield from (line for line in reversed(lines) if line)
                rest = first
            if rest:
                yield rest
