"""What did the other processes of this shop do a moment ago? A ring of records in a file that all of them map.

One writer at a time (a lock on the file, given back by the system when its holder dies) copies its record behind the
last one and only then moves `head`; a reader compares `head` with where it stopped, one 8-byte load, and copies what is
new. Nobody waits for readers: one that was lapped is told so and reads the store instead. What is in the ring is
already durable elsewhere, so the file is never flushed and dies with the server that made it.
Cost: .2 us to see that nothing is new, 6 us to tell, 3 us to read a record; 16 MB of shared memory, about a minute of
1,000 events a second. Not for: several machines (Redis does that), or keeping anything.

    word 0 magic | 1 capacity | 2 claimed | 3 head | 4 birth        then, from byte 4096, `capacity` bytes in a circle
    record: length, CRC-32 of all that follows, who wrote it, kind, body; padded to 8 bytes
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from bodega import failpoints
from bodega.errors import BadSettings, StoreError
from bodega.protocols import Told

MAGIC = 0x676E_6952_0001_0001
START = 4_096
CAPACITY = 16 * 2**20
LARGEST = 2**20
"""Longest body of one record, in bytes; who has more to tell tells it in parts."""
_FRAME = struct.Struct("<IIII")
_CAPACITY, _CLAIMED, _HEAD, _BIRTH = 1, 2, 3, 4


class Ring:
    """Implements `protocols.News` between the processes of one machine; threads may share one."""

    def __init__(self, path: Path, place: int | None = None) -> None:
        """Join the ring in this file, from a `place` noted before (None: from now on).

        Raises StoreError for a file that is none.
        """
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        size = os.fstat(self._file).st_size
        try:
            if size <= START:
                raise ValueError("too short")
            self._map = mmap.mmap(self._file, size)
        except ValueError as error:
            os.close(self._file)
            raise StoreError("this file is no ring of events", where=str(path), got=f"{size} bytes") from error
        self._words = memoryview(self._map).cast("Q")
        self._capacity = int(self._words[_CAPACITY])
        if self._words[0] != MAGIC or START + self._capacity != size:
            self.close()
            raise StoreError("this file is no ring of events", where=str(path), got=f"{size} bytes")
        self._me = int.from_bytes(os.urandom(4), "little")
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._at = int(self._words[_HEAD]) if place is None else place

    @property
    def place(self) -> int:
        """How far this reader has come."""
        return self._at

    @classmethod
    def create(cls, path: Path, capacity: int = CAPACITY) -> Self:
        """A new ring in this file; whoever still holds an older one goes on in a file without a name."""
        if capacity % 8 or capacity < 1_024:
            raise BadSettings("a ring holds a multiple of 8 bytes, 1,024 or more", where="ring", got=str(capacity))
        fresh = path.with_name(f"{path.name}-{os.getpid()}")
        head = struct.pack("<5Q", MAGIC, capacity, 0, 0, int.from_bytes(os.urandom(8), "little"))
        fresh.write_bytes(head)
        os.truncate(fresh, START + capacity)
        fresh.rename(path)
        return cls(path)

    def tell(self, kind: int, body: bytes) -> None:
        """Put a record behind the last one; when this returns, every process sees it. Raises StoreError (too long)."""
        size = _padded(_FRAME.size + len(body))
        if len(body) > LARGEST or 2 * size > self._capacity:
            raise StoreError(
                "too long for one record", where="ring", allowed=f"{LARGEST:,} bytes", got=f"{len(body):,}"
            )
        rest = struct.pack("<II", self._me, kind) + body
        record = (struct.pack("<II", len(body), zlib.crc32(rest)) + rest).ljust(size, b"\0")
        with self._lock, self._alone():
            head = self._words[_HEAD]
            if failpoints.ON:
                failpoints.reach("ring.tell")
            self._words[_CLAIMED] = head + size  # before the first byte: readers of what stood here see it and give up
            self._put(head, record)
            self._words[_HEAD] = head + size

    def waiting(self) -> bool:
        """Is there anything that was not read yet?"""
        return bool(self._words[_HEAD] != self._at)

    def read(self) -> list[Told] | None:
        """What others told since the last call, oldest first; None where so much came that some of it is lost."""
        with self._reading:
            head, start = int(self._words[_HEAD]), self._at
            self._at = head
            if head == start:
                return []
            if head - start > self._capacity:
                return None
            data = self._get(start, head - start)
            if self._words[_CLAIMED] - start > self._capacity:
                return None  # overwritten while it was copied
            return self._parsed(data)

    def skip(self) -> None:
        """Everything so far is known from elsewhere."""
        with self._reading:
            self._at = int(self._words[_HEAD])

    def close(self) -> None:
        """Leave the ring; the file stays for the others."""
        self._words.release()
        self._map.close()
        os.close(self._file)

    def _parsed(self, data: bytes) -> list[Told] | None:
        found, at = [], 0
        while at < len(data):
            if len(data) - at < _FRAME.size:
                return None
            length, check, who, kind = _FRAME.unpack_from(data, at)
            end = at + _FRAME.size + length
            if end > len(data) or zlib.crc32(data[at + 8 : end]) != check:
                return None  # torn: as good as lost
            if who != self._me:
                found.append(Told(kind, data[at + _FRAME.size : end]))
            at += _padded(_FRAME.size + length)
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _put(self, at: int, data: bytes) -> None:
        place = at % self._capacity
        first = min(len(data), self._capacity - place)
        self._map[START + place : START + place + first] = data[:first]
        if first < len(data):
            self._map[START : START + len(data) - first] = data[first:]

    def _get(self, at: int, size: int) -> bytes:
        place = at % self._capacity
        first = min(size, self._capacity - place)
        return self._map[START + place : START + place + first] + self._map[START : START + size - first]


def _padded(size: int) -> int:
    return -(-size // 8) * 8
