"""How many requests did this caller just make, whichever worker answered them? Token buckets in memory that all share.

    caller -> keyed digest -> group of 8 slots -> its slot, or the one that was quiet longest

With buckets of its own each of N workers would grant the whole rate. So the buckets of a shop with several workers lie
in one small file that all map; a lock on a slot's group (given back by the system when its holder dies) makes a look
and a spend one step. The table is bounded: who is pushed out by newer callers begins with a full bucket again, so
nobody can starve others by pretending to be many. The file dies with the server that made it.
Cost: 5 us a request and 400 kB. Not for: several machines; a balancer in front spreads callers over them anyway.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from bodega.service.limits import Buckets
from bodega.service.workers import NEWS

GROUPS = 2_048
WAYS = 8
START = 4_096
_SLOT = struct.Struct("=Qdd")
"""Key (0: free), tokens left, when they were counted (monotonic seconds, the same clock in all processes)."""
_GROUP = struct.Struct("=" + "Qdd" * WAYS)


class SharedBuckets:
    """`Buckets` for the processes of one machine."""

    def __init__(self, path: Path, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Join the table in this file, or begin it."""
        self._rate, self._burst, self._clock = rate, float(burst), clock
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = START + GROUPS * _GROUP.size
        fcntl.lockf(self._file, fcntl.LOCK_EX, START, 0)
        try:
            if os.fstat(self._file).st_size != size:
                os.ftruncate(self._file, 0)
                os.ftruncate(self._file, size)
                os.pwrite(self._file, os.urandom(16), 0)  # nobody can choose whose slots he falls on
            self._map = mmap.mmap(self._file, size)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, START, 0)
        self._seed = self._map[:16]

    def renew(self, rate: float, burst: int) -> None:
        """Another rate from now on; what callers have left stays, up to the new burst."""
        with self._lock:
            self._rate, self._burst = rate, float(burst)

    def __len__(self) -> int:
        """Callers in the table, of all workers."""
        return sum(
            bool(key)
            for number in range(GROUPS)
            for key in _GROUP.unpack_from(self._map, START + number * _GROUP.size)[::3]
        )

    def take(self, caller: str) -> float:
        """Spend one; returns 0.0, or the seconds until the next one when there is none left."""
        digest = blake2b(caller.encode("utf-8", "surrogatepass"), key=self._seed, digest_size=16).digest()
        key = int.from_bytes(digest[:8], "little") or 1
        at = START + int.from_bytes(digest[8:], "little") % GROUPS * _GROUP.size
        with self._lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX, _GROUP.size, at)
            try:
                return self._spent(key, at)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _GROUP.size, at)

    def _spent(self, key: int, at: int) -> float:
        now = self._clock()
        group = _GROUP.unpack_from(self._map, at)
        keys, moments = group[::3], group[2::3]
        if key in keys:
            way = keys.index(key)
            tokens, then = group[3 * way + 1], moments[way]
        else:
            way = keys.index(0) if 0 in keys else moments.index(min(moments))
            tokens, then = self._burst, now
        if not 0.0 <= tokens <= self._burst:  # torn by a process that was killed here
            tokens = self._burst
        tokens = min(self._burst, tokens + max(now - then, 0.0) * self._rate)
        granted = tokens >= 1.0
        _SLOT.pack_into(self._map, at + way * _SLOT.size, key, tokens - 1.0 if granted else tokens, now)
        return 0.0 if granted else (1.0 - tokens) / self._rate if self._rate > 0 else 60.0

    def close(self) -> None:
        """Leave the table; the file stays for the others."""
        self._map.close()
        os.close(self._file)


def buckets_of(name: str, rate: float, burst: int) -> Buckets | SharedBuckets:
    """Buckets for one kind of caller: those that all workers of this server share, where there are several."""
    news = os.environ.get(NEWS, "")
    return SharedBuckets(file_of(news, name), rate, burst) if news else Buckets(rate, burst)


def file_of(news: str, name: str) -> Path:
    """Where the table lies: beside the ring of news, which is one for a server."""
    return Path(f"{news}.{name}")
