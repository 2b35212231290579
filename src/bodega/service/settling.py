"""How is a process made ready to be forked, so that its children share what it loaded? Nothing is left to write into.

Pages of memory are shared until one is written. Two things write into pages that hold somebody else's data: a garbage
collection (it marks every object), and an allocation that is put into a hole between objects which stay: after an hour
of loading there are holes on every page, and a child that needs 2 MB of small things comes to own 20 MB of copies. So
what is loaded is taken out of the collector's lists, pages without anything in them are given back, and every hole is
taken once and for all: what a child allocates lies on fresh pages, side by side.
Cost: .3 s, and no memory but a few MB of bookkeeping. Not for: a process that will not be forked.
"""

from __future__ import annotations

import ctypes
import gc

POOL = 1 << 14
"""Bytes of the pools in which Python keeps objects of one size (a pool never holds two sizes)."""
SMALL = range(16, 513, 16)
"""Sizes of objects that Python keeps in pools; larger ones are the C library's business."""
POOLS = 8
"""Pools' worth of objects that are taken at once."""
LARGE = tuple(size for shift in range(20, 6, -1) for size in (1 << shift, 3 << shift >> 2))
"""Sizes in which holes of the C library's heap are taken, the largest first: 1 MB down to 96 bytes."""
ARENA_MAX = -8
"""glibc's number of `M_ARENA_MAX`: children's threads take turns in Python anyway, and need no heaps of their own."""
MOST = 200_000
"""Holes of one size that are taken at most: a guard, far above what there is."""

_TAKEN: list[object] = []
"""What holes were filled with; never given back."""


def settle() -> None:
    """Call it last, right before the first fork, while there is one thread. Does what the system allows."""
    gc.collect()
    _c_library()
    _pools()
    gc.freeze()


def _pools() -> None:
    """Take the free places of every pool that is in use: a run of objects then fills whole pools, one after the
    other."""
    for size in SMALL:
        each = POOLS * POOL // size
        while len(_TAKEN) < MOST * len(SMALL):
            objects = [_object(size) for _ in range(each)]
            _TAKEN.append(objects)
            if len({id(one) // POOL for one in objects}) <= POOLS + 2:
                break


def _object(size: int) -> object:
    """A new object that takes this many bytes of a pool."""
    if size == SMALL[0]:
        return object()
    if size == SMALL[1]:
        return float(size)
    return bytes(size - b"".__sizeof__())


def _c_library() -> None:
    """Give back pages without anything in them, then take every hole below the end of the heap. glibc alone can."""
    library = ctypes.CDLL(None)
    if not all(hasattr(library, name) for name in ("malloc_trim", "sbrk", "malloc")):
        return
    library.malloc.restype = library.sbrk.restype = ctypes.c_void_p
    library.malloc.argtypes, library.sbrk.argtypes = [ctypes.c_size_t], [ctypes.c_ssize_t]
    if hasattr(library, "mallopt"):
        library.mallopt(ARENA_MAX, 1)
    library.malloc_trim(0)
    end = library.sbrk(0) or 0
    for size in LARGE:
        for _ in range(MOST):
            place = library.malloc(size)
            if not place or place >= end:
                break  # beyond the heap as it was: there is no such hole any more
