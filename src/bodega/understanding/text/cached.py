"""How is nothing encoded twice? Queries: the most recent ones in memory. Catalogs: every vector on disk by its content.

`CachedEncoder` wraps an encoder for serving: shops see the same few thousand queries over and over. `encode_all`
encodes a catalog into a folder, a block at a time: a run that is killed goes on where it was, and after a change only
new texts are encoded. What is stored is found by the digest of encoder and text, so another encoder or a changed title
can never be given an old vector.
Cost: on disk 4 bytes a dimension and text. Not for: the static encoder, which is faster than a disk.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodega import failpoints
from bodega.errors import StoreError
from bodega.protocols import Encoder, EncoderInfo, NoProgress, Progress
from bodega.schema.arrays import Floats

CACHE_BYTES = 32 * 2**20
"""Some 18,000 queries at 384 dimensions."""
LONGEST_KEPT = 500
"""Characters of the longest query that is kept."""
BATCH = 64
"""Larger batches are no queries of shoppers and pass through."""
OVERHEAD = 300
"""Bytes of Python objects around one kept row."""

BLOCK = 1_024
"""Texts between two writes: at most so many are lost to a kill."""
PARTS = 8
"""More files than this, or twice as many vectors as asked for, are rewritten as one."""


class CachedEncoder:
    """Implements `protocols.Encoder` around another; threads may share it."""

    def __init__(self, encoder: Encoder, size: int = CACHE_BYTES) -> None:
        """`size` in bytes."""
        self.info: EncoderInfo = encoder.info
        self._encoder = encoder
        self._size = size
        self._used = 0
        self._rows: OrderedDict[tuple[bool, str], Floats] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        """What the wrapped encoder says, remembered."""
        if len(texts) > BATCH:
            return self._encoder.encode(texts, query=query)
        with self._lock:
            found = {text: row for text in texts if (row := self._recall((query, text))) is not None}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            fresh = self._encoder.encode(missing, query=query)
            found.update(zip(missing, fresh, strict=True))
            with self._lock:
                for text, row in zip(missing, fresh, strict=True):
                    self._remember((query, text), row)
        rows = np.empty((len(texts), self.info.dimensions), np.float32)
        for place, text in enumerate(texts):
            rows[place] = found[text]
        return rows

    @property
    def used(self) -> int:
        """Bytes held now, at most `size`."""
        return self._used

    def _recall(self, key: tuple[bool, str]) -> Floats | None:
        row = self._rows.get(key)
        if row is not None:
            self._rows.move_to_end(key)
        return row

    def _remember(self, key: tuple[bool, str], row: Floats) -> None:
        if len(key[1]) > LONGEST_KEPT or key in self._rows:
            return
        self._rows[key] = row.copy()  # not a view that would keep its whole batch alive
        self._used += _bytes(key, row)
        while self._used > self._size:
            self._used -= _bytes(*self._rows.popitem(last=False))


def _bytes(key: tuple[bool, str], row: Floats) -> int:
    return row.nbytes + 4 * len(key[1]) + OVERHEAD


class KeptEncoder:
    """Implements `protocols.Encoder` around a slow one for learning: no passage is encoded twice, in memory and, with a
    folder, on disk. Queries are remembered like `CachedEncoder` does. Not for: more passages than fit into memory
    (a million at 384 dimensions: 1.6 GB)."""

    def __init__(self, encoder: Encoder, folder: Path | None = None) -> None:
        self.info: EncoderInfo = encoder.info
        self._encoder = encoder
        self._queries = CachedEncoder(encoder)
        self._folder = folder
        self._rows: dict[str, Floats] = {}

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        """What the wrapped encoder says, or said before."""
        if query:
            return self._queries.encode(texts, query=True)
        missing = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if missing:
            if self._folder is None:
                fresh = self._encoder.encode(missing)
            else:
                fresh = encode_all(self._encoder, missing, self._folder, tidy=False)
            self._rows.update(zip(missing, np.asarray(fresh, np.float32), strict=True))
        if not len(texts):
            return np.zeros((0, self.info.dimensions), np.float32)
        return np.stack([self._rows[text] for text in texts])


def encode_all(
    encoder: Encoder,
    texts: Sequence[str],
    folder: Path,
    progress: Progress | None = None,
    *,
    tidy: bool = True,
) -> NDArray[np.float32]:
    """(len(texts), dimensions): every text as a passage; what `folder` holds already is not encoded again.

    The folder may be shared by encoders and by processes, and may be deleted at any time. Raises StoreError when it
    cannot be written, and what the encoder raises (an endpoint that fails); what was encoded before that is kept.
    With `tidy` the vectors of other texts may be dropped: these are then taken for the whole catalog.
    """
    progress = progress or NoProgress()
    digests = [_digest(text) for text in texts]
    store = _Vectors(folder / _name(encoder.info), encoder.info.dimensions)
    known = store.read(set(digests))
    missing = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
    todo = sorted(missing.items(), key=lambda pair: (len(pair[1]), pair[0]))  # alike in length: quicker in batches
    progress.start(f"encode with {encoder.info.name}", len(todo))
    try:
        for start in range(0, len(todo), BLOCK):
            block = todo[start : start + BLOCK]
            rows = np.asarray(encoder.encode([text for _, text in block]), np.float32)
            fresh = dict(zip((digest for digest, _ in block), rows, strict=True))
            store.append(fresh)
            known.update(fresh)
            progress.advance(len(block))
    finally:
        store.close()
        progress.finish()
    if tidy:
        store.tidy(known)
    if not digests:
        return np.zeros((0, encoder.info.dimensions), np.float32)
    return np.stack([known[digest] for digest in digests])


class _Vectors:
    """Vectors of one encoder in a folder: files of records (digest, checksum, row), of which only the newest grows.

    A record that a kill or a power loss cut is known by its length or its checksum, and is as if it had never been.
    """

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._folder = folder
        self._record = np.dtype([("digest", "V16"), ("sum", "<u4"), ("row", "<f4", (dimensions,))])
        self._old: list[Path] = []
        self._stored = 0
        self._descriptor = -1
        self._newest = folder

    def read(self, wanted: set[bytes]) -> dict[bytes, Floats]:
        """{digest: row} of those wanted; damaged records are passed over."""
        known: dict[bytes, Floats] = {}
        self._old = sorted(self._folder.glob("*.vectors"))
        for path in self._old:
            try:
                size = path.stat().st_size // self._record.itemsize
                records = np.fromfile(path, self._record, size)
            except OSError:
                continue  # tidied away by another process between the two lines
            self._stored += len(records)
            for digest, total, row in zip(records["digest"].tolist(), records["sum"], records["row"], strict=True):
                if digest in wanted and digest not in known and zlib.crc32(digest + row.tobytes()) == total:
                    known[digest] = row.astype(np.float32)
        return known

    def append(self, rows: dict[bytes, Floats]) -> None:
        """Add to this run's own file; survives a kill when it returns. Raises StoreError."""
        try:
            if self._descriptor < 0:
                self._folder.mkdir(parents=True, exist_ok=True)
                path = self._newest = self._folder / f"{secrets.token_hex(8)}.vectors"
                self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            _write(self._descriptor, self._bytes(rows))
            if failpoints.ON:
                failpoints.reach("vectors.append", self._newest)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Put this run's file on disk."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                os.fsync(descriptor)
            except OSError as error:
                raise self._failed(error) from error
            finally:
                os.close(descriptor)

    def tidy(self, rows: dict[bytes, Floats]) -> None:
        """Rewrite as one file where there are many, or mostly vectors of texts that are gone. Raises StoreError."""
        if len(self._old) < PARTS and self._stored <= 2 * len(rows) + BLOCK:
            return
        old = sorted(self._folder.glob("*.vectors"))
        self.append(rows)
        self.close()
        for path in old:
            path.unlink(missing_ok=True)

    def _bytes(self, rows: dict[bytes, Floats]) -> bytes:
        records = np.zeros(len(rows), self._record)
        for place, (digest, row) in enumerate(rows.items()):
            records[place] = (np.void(digest), zlib.crc32(digest + row.tobytes()), row)
        return records.tobytes()

    def _failed(self, error: OSError) -> StoreError:
        return StoreError(
            "vectors could not be kept",
            where=str(self._folder),
            got=error,
            next="make room there, or name another folder",
        )


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def _name(info: EncoderInfo) -> str:
    """Folder of an encoder: another name, other weights or, behind an endpoint, another address are another encoder."""
    facts = "\0".join((info.name, info.digest or info.origin, str(info.dimensions)))
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
