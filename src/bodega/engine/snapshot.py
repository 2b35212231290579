"""How does a learned shop become bytes that can be trusted? As an immutable, content-addressed folder.

A snapshot is everything a server needs. Its `manifest.json` lists every file with its SHA-256, and the snapshot's id is
the SHA-256 of that manifest: same inputs, same bytes, same id. Publishing writes to a hidden folder, flushes every
file, renames, flushes the parent, and only then moves the `CURRENT` pointer (written beside and renamed). Loading
verifies every byte first; a snapshot that fails is never served, the newest good one before it is. With a `Depot`
(a folder that several servers share) the depot's pointer counts, and this folder is the cache of one server.
Cost: one hash pass over the files at load (about 1 GB/s). Not for: state that changes between two learns.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bodega import failpoints
from bodega.engine.depot import Depot
from bodega.errors import NotLearned, SnapshotCorrupt, StoreError, UsageError

MANIFEST = "manifest.json"
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What damaged JSON may raise: a flipped bit is seldom one that leaves the text UTF-8."""
POINTER = "CURRENT"
DRAFT = ".draft-"
"""How the folder begins in which a process writes a snapshot; its number follows."""
KEPT = 3
"""Snapshots that stay on disk: the served one and a way back."""


class Entry(msgspec.Struct, frozen=True):
    """One file of a snapshot."""

    path: str
    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot holds. It carries no wall-clock time: equal inputs must give equal bytes."""

    format: int
    code: str
    """Version of Bodega that wrote it."""
    facts: dict[str, Any]
    """Data range, counts, catalog cursor, metrics: see `learn`."""
    files: tuple[Entry, ...]


class Published(msgspec.Struct, frozen=True):
    id: str
    time: datetime


class Pointer(msgspec.Struct, frozen=True):
    """Which snapshot is served, and which were before it (newest last)."""

    current: str
    history: tuple[Published, ...] = ()


class SnapshotInfo(msgspec.Struct, frozen=True):
    """One line of `bodega snapshots`."""

    id: str
    time: datetime
    current: bool
    bytes: int
    facts: dict[str, Any]


class Snapshots:
    """The folder that holds a shop's snapshots.

    >>> import tempfile
    >>> shelf = Snapshots(Path(tempfile.mkdtemp()))
    >>> first = shelf.publish(lambda folder: {"wrote": (folder / "a.txt").write_text("hello")}, code="1")
    >>> (shelf.open()[0] / "a.txt").read_text()
    'hello'
    """

    def __init__(self, folder: Path, depot: Depot | None = None) -> None:
        self.folder = folder
        self.depot = depot
        self._adrift = ""
        """Why the depot was not used when it was last asked; "" when it was."""
        self.needed: Callable[[], Collection[str]] = tuple
        """Names the snapshots that running experiments answer from."""
        self.workbench = folder / ".training"
        """For what a `learn` needs only while it runs."""

    @classmethod
    def of(cls, shop: Path, url: str = "") -> Snapshots:
        """Those of a shop's folder, shared at the `url` of the settings where there is one. Raises BadSettings."""
        return cls(shop / "snapshots", Depot.at(url, shop) if url else None)

    def publish(self, build: Callable[[Path], dict[str, Any]], *, code: str) -> str:
        """Let `build` write the files into an empty folder and return the facts; returns the new snapshot's id."""
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f"{DRAFT}{os.getpid()}"
        self._clear()
        draft.mkdir()
        try:
            facts = build(draft)
            entries = tuple(_entry(draft, path) for path in sorted(draft.rglob("*")) if path.is_file())
            if failpoints.ON:
                failpoints.reach("snapshot.write", _first(draft))
            manifest = msgspec.json.format(
                msgspec.json.encode(Manifest(1, code, facts, entries), order="sorted"), indent=1
            )
            (draft / MANIFEST).write_bytes(manifest)
            if failpoints.ON:
                failpoints.reach("snapshot.manifest", draft / MANIFEST)
            name = hashlib.sha256(manifest).hexdigest()[:16]
            _flush_tree(draft)
            if failpoints.ON:
                failpoints.reach("snapshot.publish")
            self._put(draft, name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        if failpoints.ON:
            failpoints.reach("snapshot.published")
        self._point_at(name)
        return name

    def _clear(self) -> None:
        """Remove the drafts of processes that are gone: they were killed while they wrote."""
        for path in self.folder.glob(f"{DRAFT}*"):
            number = path.name.removeprefix(DRAFT)
            if number == str(os.getpid()) or not (number.isdigit() and _runs(int(number))):
                shutil.rmtree(path, ignore_errors=True)

    def share(self, name: str = "") -> str:
        """Send a snapshot (default: the current one of this folder) to the depot and point at it; returns its id.

        `publish` does so by itself; this is for a snapshot that was learned while the shared folder was away.
        """
        local = self._local_pointer()
        name = name or (local.current if local is not None else "")
        if not name:
            raise NotLearned("there is nothing to share", where=str(self.folder), next="bodega learn")
        self.verify(name)
        self._point_at(name)
        return name

    def open(self, name: str = "") -> tuple[Path, Manifest, tuple[str, ...]]:
        """(folder, manifest, warnings) of the current snapshot, verified; falls back to the newest good one. Of the one
        that is named, and of no other.

        Raises NotLearned where there is none, SnapshotCorrupt where none is good.
        """
        if name:
            return self.folder / name, self._verified(name), ()
        pointer = self._pointer()
        if pointer is None:
            raise NotLearned(
                "this shop has not learned yet, so there is nothing to answer from",
                code="learn.never",
                where=str(self.folder),
                next="import items and events, then run `bodega learn`",
            )
        warnings: list[str] = []
        if self._adrift:
            warnings.append(self._adrift)
        for name in self._by_preference(pointer):
            try:
                manifest = self._verified(name)
                if self.depot is not None and not self._adrift:
                    self._follow(pointer, name)
                return self.folder / name, manifest, tuple(warnings)
            except (SnapshotCorrupt, StoreError) as error:
                warnings.append(f"snapshot {name} refused: {error.what}")
        raise SnapshotCorrupt(
            "no snapshot of this shop is intact", where=str(self.folder), got="; ".join(warnings), next="bodega learn"
        )

    def current(self) -> str:
        """Id of the snapshot that the pointer names; "" where there is none. One small file is read."""
        pointer = self._pointer()
        return "" if pointer is None else pointer.current

    def verify(self, name: str) -> Manifest:
        """Read every byte of a snapshot and compare; raises SnapshotCorrupt with the first file that differs."""
        folder = self.folder / name
        try:
            if failpoints.ON:
                failpoints.reach("snapshot.open", folder / MANIFEST)
            raw = (folder / MANIFEST).read_bytes()
            if hashlib.sha256(raw).hexdigest()[:16] != name:
                raise SnapshotCorrupt(f"the manifest of {name} was changed", where=str(folder / MANIFEST))
            manifest = msgspec.json.decode(raw, type=Manifest)
            for entry in manifest.files:
                if failpoints.ON:
                    failpoints.reach("snapshot.file", folder / entry.path)
                if _entry(folder, folder / entry.path) != entry:
                    raise SnapshotCorrupt(f"{entry.path} differs from its checksum", where=str(folder / entry.path))
        except (OSError, *UNREADABLE) as error:
            raise SnapshotCorrupt(f"{name} cannot be read ({error})", where=str(folder)) from error
        return manifest

    def infos(self) -> list[SnapshotInfo]:
        """Every published snapshot that is still on disk, newest last."""
        pointer = self._pointer()
        if pointer is None:
            return []
        found: dict[str, SnapshotInfo] = {}
        for entry in pointer.history:
            manifest = self._manifest(entry.id)
            if manifest is not None:
                size = sum(file.size for file in manifest.files)
                found.pop(entry.id, None)
                found[entry.id] = SnapshotInfo(entry.id, entry.time, entry.id == pointer.current, size, manifest.facts)
        return [*found.values()]

    def beside(self) -> list[str]:
        """Snapshots in this folder that were never pointed at: candidates (`workshop`)."""
        pointer = self._pointer()
        known = {entry.id for entry in pointer.history} if pointer is not None else set()
        return sorted(path.parent.name for path in self.folder.glob(f"*/{MANIFEST}") if path.parent.name not in known)

    def sweep(self) -> list[str]:
        """Delete every candidate: they were learned from what must not be known any more. Returns what went."""
        gone = self.beside()
        for name in gone:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return gone

    def rollback(self, name: str = "") -> str:
        """Serve `name` again (default: the snapshot before the current one), after verifying it."""
        known = [info.id for info in self.infos()]
        current = next((info.id for info in self.infos() if info.current), "")
        before = known[: known.index(current)] if current in known else known
        chosen = name or (before[-1] if before else "")
        if chosen not in known:
            raise UsageError(
                "there is no such snapshot to go back to",
                code="models.no_back",
                where="rollback",
                allowed=", ".join(known) or "none yet",
                got=name or "the one before the current",
                next="bodega snapshots",
            )
        self._verified(chosen)
        self._point_at(chosen)
        return chosen

    def prune(self, keep: int = KEPT) -> list[str]:
        """Delete all but the newest `keep` snapshots (the current one always stays); returns what went. What a running
        experiment needs stays, too, unless fewer than usual are kept (somebody was forgotten)."""
        infos = self.infos()
        needed = self.needed() if keep >= KEPT else ()
        gone = [info.id for info in infos[:-keep] if not info.current and info.id not in needed] if keep else []
        for name in gone:
            if failpoints.ON:
                failpoints.reach("snapshot.prune")
            shutil.rmtree(self.folder / name, ignore_errors=True)
        if self.depot is not None and infos:
            kept = [info.id for info in infos if info.id not in gone]
            found = [manifest for name in kept if (manifest := self._manifest(name)) is not None]
            self.depot.prune(kept, {entry.sha256 for manifest in found for entry in manifest.files})
        return gone

    def _verified(self, name: str) -> Manifest:
        """The snapshot in this folder, every byte read; fetched from the depot where it is not here, or not whole."""
        if self.depot is None:
            return self.verify(name)
        if (self.folder / name / MANIFEST).exists():
            with suppress(SnapshotCorrupt):
                return self.verify(name)
        return self._fetch(name, self.depot)

    def _follow(self, pointer: Pointer, served: str) -> None:
        """Remember the depot's pointer for when it is away, and keep no more copies here than a way back needs."""
        self._write_pointer(msgspec.json.encode(pointer))
        kept = {served, pointer.current, *self.needed(), *[entry.id for entry in pointer.history][-KEPT:]}
        for path in self.folder.iterdir():
            if (path / MANIFEST).is_file() and not path.name.startswith(".") and path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def _fetch(self, name: str, depot: Depot) -> Manifest:
        """Copy a snapshot out of the depot, hashing every byte. Raises SnapshotCorrupt, StoreError."""
        raw = depot.manifest(name)
        if raw is None:
            raise SnapshotCorrupt(f"{name} is not in the shared folder", where=str(depot.folder))
        manifest = msgspec.json.decode(raw, type=Manifest)
        draft = self.folder / f".fetch-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            draft.mkdir(parents=True)
            for entry in manifest.files:
                depot.fetch(entry.sha256, draft / entry.path)
            (draft / MANIFEST).write_bytes(raw)
            _flush_tree(draft)
            self._put(draft, name)
        except OSError as error:
            raise StoreError(
                "a snapshot cannot be fetched into this folder", where=str(self.folder), got=str(error),
                next="free space or give write access; the snapshot before it is served",
            ) from error  # fmt: skip
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return manifest

    def _manifest(self, name: str) -> Manifest | None:
        """What the snapshot says of itself, unverified; None where it is neither here nor in the depot."""
        path = self.folder / name / MANIFEST
        try:
            raw = path.read_bytes() if path.exists() else self.depot.manifest(name) if self.depot is not None else None
            return None if raw is None else msgspec.json.decode(raw, type=Manifest)
        except (OSError, SnapshotCorrupt, StoreError, *UNREADABLE):
            return None

    def _by_preference(self, pointer: Pointer) -> list[str]:
        names = dict.fromkeys([pointer.current, *(entry.id for entry in reversed(pointer.history))])
        return [name for name in names if name == pointer.current or self._manifest(name) is not None]

    def _pointer(self) -> Pointer | None:
        """The depot's where there is one that answers, else the one of this folder."""
        self._adrift = ""
        if self.depot is None:
            return self._local_pointer()
        try:
            raw = self.depot.pointer()
            return self._local_pointer() if raw is None else msgspec.json.decode(raw, type=Pointer)
        except (StoreError, *UNREADABLE) as error:
            said = error.what if isinstance(error, StoreError) else "its pointer is damaged"
            self._adrift = f"shared snapshots: {said}; served from this server's own copies"
            return self._local_pointer()

    def _local_pointer(self) -> Pointer | None:
        path = self.folder / POINTER
        if not path.exists():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=Pointer)
        except UNREADABLE:  # a damaged pointer is mended from the folders themselves, newest last
            folders = [entry for entry in self.folder.iterdir() if (entry / MANIFEST).exists()]
            found = sorted((datetime.fromtimestamp(entry.stat().st_mtime, UTC), entry.name) for entry in folders)
            return Pointer(found[-1][1], tuple(Published(name, time) for time, name in found)) if found else None

    def _put(self, draft: Path, name: str) -> None:
        target = self.folder / name
        if target.exists():
            try:
                self.verify(name)
                return  # the same content is there already
            except SnapshotCorrupt:
                shutil.rmtree(target)
        try:
            draft.rename(target)
        except OSError:  # another process of this server was faster
            self.verify(name)
        _flush(self.folder)

    def _point_at(self, name: str) -> None:
        old = self._pointer() if self.depot is not None or (self.folder / POINTER).exists() else None
        history = (*(old.history if old else ()), Published(name, datetime.now(UTC)))[-50:]
        content = msgspec.json.encode(Pointer(name, history))
        self._write_pointer(content)
        if self.depot is not None:
            self._send(name, content, self.depot)

    def _write_pointer(self, content: bytes) -> None:
        path = self.folder / POINTER
        if path.exists() and path.read_bytes() == content:
            return
        fresh = self.folder / f".{POINTER}-{os.getpid()}-{secrets.token_hex(4)}"
        fresh.write_bytes(content)
        _flush(fresh)
        if failpoints.ON:
            failpoints.reach("snapshot.point", fresh)
        fresh.rename(self.folder / POINTER)
        _flush(self.folder)

    def _send(self, name: str, pointer: bytes, depot: Depot) -> None:
        """The snapshot, then the pointer to it. Raises StoreError: it is served here, and `share` sends it later."""
        folder = self.folder / name
        raw = (folder / MANIFEST).read_bytes()
        files = msgspec.json.decode(raw, type=Manifest).files
        try:
            depot.publish(name, raw, ((entry.sha256, folder / entry.path) for entry in files))
            depot.point(pointer)
        except StoreError as error:
            error.next = f"mend the shared folder, then `bodega snapshots share`: {name} is published here only"
            raise


def _entry(folder: Path, path: Path) -> Entry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Entry(path.relative_to(folder).as_posix(), digest, path.stat().st_size)


def _first(folder: Path) -> Path:
    """The first file by name: the one that failpoints damage."""
    return min((path for path in folder.rglob("*") if path.is_file()), default=folder)


def _runs(pid: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 is no question
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's, or there is no asking on this system
        return True
    return True


def _flush_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        _flush(path)
    _flush(folder)


def _flush(path: Path) -> None:
    """fsync a file or a folder, so that a rename after it cannot be seen before it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
