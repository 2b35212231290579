"""Are these weights the ones that were tested? Files of encoders that packages carry are pinned by SHA-256.

Other bytes are refused before anything reads them. Cost: a read of the file (80 MB: .1 s). Not for: what a shop learned
itself (a snapshot verifies its own files).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from bodega.errors import SnapshotCorrupt


def verify(path: Path, digest: str, command: str) -> None:
    """Raise SnapshotCorrupt, which names the `command` that mends it, unless the file is there, byte for byte."""
    try:
        with path.open("rb") as stream:
            got = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SnapshotCorrupt("the encoder's file cannot be read", where=str(path), got=error, next=command) from error
    if got != digest:
        raise SnapshotCorrupt(
            "the encoder's file is not the one this version was tested with",
            where=str(path),
            allowed=f"sha256 {digest}",
            got=f"sha256 {got}",
            next=command,
        )
