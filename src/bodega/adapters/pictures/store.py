"""Which vectors do we have of the pictures that items name? A book for each encoder, appended to, never rewritten.

    <shop>/pictures/current                    which of the books is in use
    <shop>/pictures/<encoder>/encoder.json     its `EncoderInfo`
    <shop>/pictures/<encoder>/keys.bin         64 bytes a picture: reference, stamp, content, perceptual hash, checksum
    <shop>/pictures/<encoder>/rows.bin         one float16 row a picture, memory-mapped

Rows are on disk before the keys that point at them: after a kill or a power loss, what is not whole was never there,
and the next append writes over it. A key carries a checksum of itself and its row, so bit rot is a missing picture and
not a wrong one. The newest key of a reference counts. One writer at a time (a lock of the operating system); readers
see what was appended as soon as it is there. Cost: 2.6 kB a picture at 1,280 dimensions, some 20 us a looked-up row.
Not for: the pictures themselves; they stay where they are.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega import failpoints
from bodega.errors import StoreError
from bodega.protocols import EncoderInfo
from bodega.schema.arrays import Floats

FOLDER = "pictures"
"""Folder of a shop that holds the books; may be deleted, `bodega pictures` makes it again."""
CURRENT, INFO, KEYS, ROWS, LOCK = "current", "encoder.json", "keys.bin", "rows.bin", "lock"

_KEY = np.dtype(
    [
        ("reference", "<u8", (2,)),
        ("stamp", "<u8"),
        ("content", "<u8", (2,)),
        ("look", "<u8"),
        ("sum", "<u4"),
        ("spare", "<u4", (3,)),
    ]
)
_SUMMED = 48
"""Bytes of a key that its checksum covers, beside the row."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One picture to keep."""

    reference: str
    """As it stands in `Item.images`."""
    stamp: int
    """Changes when the reference may show something else: size and time of a file; 0 where nothing tells."""
    content: bytes
    """Digest of the bytes, 16 bytes."""
    look: int
    """Perceptual hash, 64 bits."""
    vector: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What a book holds, newest entry of each reference: columns of equal length."""

    reference: NDArray[np.uint64]
    """(n, 2)."""
    stamp: NDArray[np.uint64]
    content: NDArray[np.uint64]
    """(n, 2)."""
    look: NDArray[np.uint64]
    row: NDArray[np.int64]


class PictureBook:
    """Implements `protocols.PictureVectors`; safe to share between threads. Opening an absent one makes nothing."""

    def __init__(self, folder: Path, encoder: EncoderInfo | None = None) -> None:
        """`folder`: of the shop. `encoder`: the book of that encoder, else the one in use."""
        self._root = folder / FOLDER
        self._fixed = encoder
        self._state: _State | None = None

    @property
    def info(self) -> EncoderInfo | None:
        """The encoder; None where no picture was ever looked at."""
        state = self._fresh()
        return state.info if state else self._fixed

    @property
    def folder(self) -> Path:
        """Where this book lies."""
        return self._root / (name_of(self._fixed) if self._fixed else self._in_use() or "none")

    def __len__(self) -> int:
        """References with a vector."""
        state = self._fresh()
        return len(state.kept.row) if state else 0

    def of(self, references: Sequence[str]) -> Floats:
        """(len(references), info.dimensions); rows of zeros for what was not read."""
        state = self._fresh()
        if state is None:
            return np.zeros((len(references), self._fixed.dimensions if self._fixed else 0), np.float32)
        rows = np.zeros((len(references), state.info.dimensions), np.float32)
        places = state.places(references)
        for at in np.flatnonzero(places >= 0).tolist():
            found = state.row(int(places[at]))
            if found is not None:
                rows[at] = found
        return rows

    def has(self, references: Sequence[str]) -> NDArray[np.bool_]:
        """Which of them have a vector."""
        state = self._fresh()
        return state.places(references) >= 0 if state else np.zeros(len(references), np.bool_)

    def stamps(self, references: Sequence[str]) -> list[int | None]:
        """The stamp that each was kept with; None where it was not read."""
        state = self._fresh()
        if state is None:
            return [None] * len(references)
        places = state.places(references)
        return [int(state.kept.stamp[place]) if place >= 0 else None for place in places.tolist()]

    def looks(self, references: Sequence[str]) -> list[tuple[int, bytes] | None]:
        """(perceptual hash, digest of the bytes) of each; None where it was not read."""
        state = self._fresh()
        if state is None:
            return [None] * len(references)
        kept = state.kept
        return [
            (int(kept.look[place]), kept.content[place].tobytes()) if place >= 0 else None
            for place in state.places(references).tolist()
        ]

    def by_content(self, contents: Sequence[bytes]) -> list[Floats | None]:
        """The vector of the same bytes under any reference, where there is one."""
        state = self._fresh()
        if state is None:
            return [None] * len(contents)
        return [state.row(place) if (place := state.content.get(one, -1)) >= 0 else None for one in contents]

    def append(self, entries: Sequence[Entry]) -> None:
        """Keep them; durable when it returns. Only for a book of a given encoder. Raises StoreError."""
        assert self._fixed is not None, "only the book of an encoder is written"
        if not entries:
            return
        try:
            with self._locked() as folder:
                self._write(folder, entries)
        except OSError as error:
            raise self._failed(error) from error

    def use(self) -> None:
        """From now on this book is the one in use. Raises StoreError."""
        assert self._fixed is not None, "only the book of an encoder can be chosen"
        try:
            with self._locked():
                _replace(self._root / CURRENT, name_of(self._fixed).encode())
        except OSError as error:
            raise self._failed(error) from error

    def tidy(self, references: Sequence[str]) -> int:
        """Drop what none of these references names, and the books of encoders that are not in use; bytes freed."""
        state = self._fresh()
        freed = 0
        try:
            if state is not None and self._fixed is not None:
                keep = state.places(references)
                keep = np.unique(keep[keep >= 0])
                if len(keep) < state.total:
                    freed += self._rewrite(state, keep)
            used = {self._in_use(), name_of(self._fixed) if self._fixed else ""}
            for folder in self._root.iterdir() if self._root.is_dir() else ():
                if (folder / INFO).is_file() and folder.name not in used and (folder / KEYS).is_file():
                    freed += sum(path.stat().st_size for path in folder.iterdir())
                    shutil.rmtree(folder)
        except OSError as error:
            raise self._failed(error) from error
        return freed

    def _rewrite(self, state: _State, keep: NDArray[np.int64]) -> int:
        with self._locked() as folder:
            rows = state.kept.row[keep]
            before = (folder / ROWS).stat().st_size + (folder / KEYS).stat().st_size
            keys, vectors = np.array(state.keys[rows]), np.array(state.rows[rows])
            _replace(folder / KEYS, b"")  # keys that point at other rows must never be seen
            _replace(folder / ROWS, vectors.tobytes())
            _replace(folder / KEYS, keys.tobytes())
            return int(before - keys.nbytes - vectors.nbytes)

    def _write(self, folder: Path, entries: Sequence[Entry]) -> None:
        assert self._fixed is not None
        width = 2 * self._fixed.dimensions
        rows = np.stack([np.asarray(one.vector, np.float16) for one in entries])
        keys = np.zeros(len(entries), _KEY)
        for place, one in enumerate(entries):
            keys[place]["reference"] = np.frombuffer(digest_of(one.reference), "<u8")
            keys[place]["stamp"] = one.stamp
            keys[place]["content"] = np.frombuffer(one.content, "<u8")
            keys[place]["look"] = one.look
            keys[place]["sum"] = _sum(keys[place].tobytes(), rows[place].tobytes())
        whole = min(_size(folder / KEYS) // _KEY.itemsize, _size(folder / ROWS) // width)
        _put(folder / ROWS, whole * width, rows.tobytes())
        if failpoints.ON:
            failpoints.reach("pictures.append", folder / ROWS)
        _put(folder / KEYS, whole * _KEY.itemsize, keys.tobytes())

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        """The folder of this book, there, and ours alone to write into."""
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                import fcntl

                fcntl.flock(handle, fcntl.LOCK_EX)
            except ImportError:
                pass  # not a POSIX system: whoever runs two jobs at once is told by the docs not to
            if self._fixed and not (folder / INFO).is_file():
                _replace(folder / INFO, msgspec.json.encode(self._fixed))
            yield folder
        finally:
            os.close(handle)

    def _in_use(self) -> str:
        try:
            return (self._root / CURRENT).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def _fresh(self) -> _State | None:
        """The state of the files as they are now; None where there is no book."""
        folder = self.folder
        try:
            told = (folder / KEYS).stat()
            mark = (folder, told.st_ino, told.st_size, told.st_mtime_ns)
        except OSError:
            return None
        state = self._state
        if state is None or state.mark != mark:
            state = _State.read(folder, mark)
            self._state = state
        return state

    def _failed(self, error: OSError) -> StoreError:
        return StoreError(
            "vectors of pictures could not be kept", where=str(self._root), got=error, next="make room there"
        )


class _State:
    """One look at the files."""

    def __init__(self, mark: object, info: EncoderInfo, keys: NDArray[np.void], rows: NDArray[np.float16]) -> None:
        self.mark, self.info, self.keys, self.rows = mark, info, keys, rows
        self.total = len(keys)
        first = keys["reference"][:, 0]
        order = np.argsort(first, kind="stable")
        last = np.append(first[order][1:] != first[order][:-1], True) if len(order) else np.zeros(0, np.bool_)
        newest = order[last]
        self.kept = Kept(
            keys["reference"][newest], keys["stamp"][newest], keys["content"][newest], keys["look"][newest], newest
        )
        self.content = {one.tobytes(): place for place, one in enumerate(self.kept.content)}

    @classmethod
    def read(cls, folder: Path, mark: object) -> _State | None:
        try:
            info = msgspec.json.decode((folder / INFO).read_bytes(), type=EncoderInfo)
            count = min(_size(folder / KEYS) // _KEY.itemsize, _size(folder / ROWS) // (2 * info.dimensions))
            keys = np.fromfile(folder / KEYS, _KEY, count)
            shape = (count, info.dimensions)
            rows = np.memmap(folder / ROWS, np.float16, "r", shape=shape) if count else np.zeros(shape, np.float16)
        except (OSError, msgspec.MsgspecError, ValueError):
            return None
        return cls(mark, info, keys, rows)

    def places(self, references: Sequence[str]) -> NDArray[np.int64]:
        """Where each lies among the kept; -1 for none."""
        kept = self.kept.reference
        if not len(kept) or not len(references):
            return np.full(len(references), -1, np.int64)
        asked = np.frombuffer(b"".join(digest_of(one) for one in references), "<u8").reshape(-1, 2)
        found = np.minimum(np.searchsorted(kept[:, 0], asked[:, 0]), len(kept) - 1)
        return np.where((kept[found] == asked).all(axis=1), found, -1).astype(np.int64)

    def row(self, place: int) -> Floats | None:
        """The vector of the kept at `place`, of length 1; None where its bytes rotted."""
        at = int(self.kept.row[place])
        raw = self.rows[at]
        key = self.keys[at]
        if _sum(key.tobytes(), raw.tobytes()) != int(key["sum"]):
            return None
        row = np.asarray(raw, np.float32)
        length = float(np.linalg.norm(row))
        return row / np.float32(length) if length > 0 else row


def digest_of(reference: str) -> bytes:
    """What a reference is found by: 16 bytes."""
    return hashlib.sha256(reference.encode("utf-8", "surrogatepass")).digest()[:16]


def name_of(info: EncoderInfo) -> str:
    """Folder of an encoder: another name, other weights or another width are another encoder."""
    facts = "\0".join((info.name, info.digest or info.origin, str(info.dimensions)))
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _sum(key: bytes, row: bytes) -> int:
    return zlib.crc32(row, zlib.crc32(key[:_SUMMED]))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _put(path: Path, at: int, data: bytes) -> None:
    """Write at that place, cut off what lay behind, and wait until it is on disk."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        os.ftruncate(handle, at)
        rest = memoryview(data)
        while rest:
            written = os.pwrite(handle, rest, at)
            rest, at = rest[written:], at + written
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(path: Path, data: bytes) -> None:
    """The whole file anew, or as it was: write aside, sync, rename, sync the folder."""
    aside = path.with_name(f"{path.name}.new")
    _put(aside, 0, data)
    aside.replace(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
