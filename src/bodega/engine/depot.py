"""How do several servers get the same snapshot? Through a shared folder that is used like an object store.

    objects/<sha-256>          the bytes of a file, under the hash of the bytes: written once, shared by snapshots
    manifests/<id>.json        which files make up a snapshot; its id is the hash of this very text
    CURRENT                    which snapshot is served, and which were before it

Only three things are asked of the folder: put a whole object, get one, list names. Nothing is renamed once it is there,
no folder is locked, and a reader trusts nothing: what it fetches is hashed on the way into its own cache, so a damaged
object is never served. The pointer is written last: whoever reads it finds all that it names.
Cost: a snapshot is copied once a server, about 200 MB/s. Not for: a network file system that hangs (a page never waits
for it, fetching does).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bodega.errors import BadSettings, SnapshotCorrupt, StoreError

OBJECTS, MANIFESTS, POINTER = "objects", "manifests", "CURRENT"
GRACE = 86_400.0
"""Seconds that an object nobody names is kept: somebody may be about to name it."""
_BLOCK = 1 << 20


class Depot:
    """The shared folder. Every method may raise StoreError: the folder is away, full or may not be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def at(cls, url: str, relative_to: Path) -> Depot:
        """The depot at a path (relative to the shop's folder) or a `file://` URL. Raises BadSettings."""
        parts = urlsplit(url)
        if parts.scheme == "file" and parts.netloc in ("", "localhost"):
            return cls(Path(unquote(parts.path)))
        if "://" in url:
            raise BadSettings(
                "snapshots cannot be shared there",
                where="snapshots.url",
                allowed="a path, or file:///path",
                got=url,
                next="mount the bucket or the share as a folder and name that",
            )
        return cls(relative_to / Path(url).expanduser())

    def pointer(self) -> bytes | None:
        """What CURRENT holds; None before the first snapshot."""
        return self._read(self.folder / POINTER)

    def point(self, content: bytes) -> None:
        self._put(POINTER, content)

    def manifest(self, name: str) -> bytes | None:
        """The text whose hash is the snapshot's id, or None. Raises SnapshotCorrupt where it is not that text."""
        raw = self._read(self.folder / MANIFESTS / f"{name}.json")
        if raw is not None and hashlib.sha256(raw).hexdigest()[:16] != name:
            raise SnapshotCorrupt(f"the shared manifest of {name} was changed", where=str(self.folder))
        return raw

    def publish(self, name: str, manifest: bytes, files: Iterable[tuple[str, Path]]) -> None:
        """Put a snapshot there: its files as (sha256, path), then its manifest. What is there already is not sent."""
        for digest, path in files:
            there = self.folder / OBJECTS / digest
            if not there.exists() or there.stat().st_size != path.stat().st_size or _hash_of(there) != digest:
                self._put(f"{OBJECTS}/{digest}", path)
        self._put(f"{MANIFESTS}/{name}.json", manifest)

    def fetch(self, digest: str, to: Path) -> None:
        """Copy an object into a file, hashing it on the way. Raises SnapshotCorrupt."""
        source = self.folder / OBJECTS / digest
        found = hashlib.sha256()
        try:
            to.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as given, to.open("wb") as kept:
                while block := given.read(_BLOCK):
                    found.update(block)
                    kept.write(block)
                kept.flush()
                os.fsync(kept.fileno())
        except FileNotFoundError as error:
            raise SnapshotCorrupt(f"the shared object {digest[:16]} is missing", where=str(source)) from error
        except OSError as error:
            raise self._away(error) from error
        if found.hexdigest() != digest:
            raise SnapshotCorrupt(f"the shared object {digest[:16]} differs from its checksum", where=str(source))

    def prune(self, keep: Iterable[str], named: Iterable[str]) -> None:
        """Remove manifests other than of `keep`, and objects other than `named` that have been there for a day."""
        names, digests = {f"{name}.json" for name in keep}, set(named)
        try:
            for path in _listed(self.folder / MANIFESTS):
                if path.name not in names:
                    path.unlink(missing_ok=True)
            for path in _listed(self.folder / OBJECTS):
                if path.name not in digests and time.time() - path.stat().st_mtime > GRACE:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise self._away(error) from error

    def _read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            if not self.folder.is_dir():
                raise self._away(FileNotFoundError(str(self.folder))) from None
            return None
        except OSError as error:
            raise self._away(error) from error

    def _put(self, key: str, content: bytes | Path) -> None:
        """One object, whole or not at all."""
        target = self.folder / key
        part = target.with_name(f".{target.name}-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            target.parent.mkdir(exist_ok=True)  # never the folder itself: it may be a share that is not mounted
            with part.open("wb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    with content.open("rb") as given:
                        shutil.copyfileobj(given, file, _BLOCK)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise self._away(error) from error

    def _away(self, error: OSError) -> StoreError:
        return StoreError(
            "the shared folder of snapshots cannot be used",
            where=str(self.folder),
            got=str(error),
            next="make or mount it, free space, give access; servers go on with the snapshots they have",
        )


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
