"""How much of the catalog do shoppers get to see? A counter of different items that needs no set of them.

Linear counting (Whang, Vander-Zanden, Taylor 1990): every item sets one of a million bytes, and the number of bytes
that are still zero tells how many different items there were, to .1 % at 100,000 and .3 % at a million. Cost: 1 MB,
.1 us an item shown. Not for: which items are never shown (`bodega bench diversity` lists them).
"""

from __future__ import annotations

import math
import threading

from bodega.schema import Page

SIZE = 1 << 20


class Shown:
    """Different items shown.

    >>> shown = Shown()
    >>> shown.count()
    0.0
    """

    def __init__(self) -> None:
        self._seen = bytearray(SIZE)
        self._lock = threading.Lock()
        self.since = ""
        """Id of the snapshot since which it counts."""

    def add(self, page: Page) -> None:
        """All items of a page."""
        seen = self._seen
        for hit in page.hits:
            seen[hash(hit.id) & (SIZE - 1)] = 1

    def begin(self, snapshot: str) -> None:
        """Count anew when another snapshot is served."""
        with self._lock:
            if self.since and snapshot != self.since:
                self._seen = bytearray(SIZE)
            self.since = snapshot

    def count(self) -> float:
        """How many different items, estimated."""
        zeros = self._seen.count(0)
        return -SIZE * math.log(max(zeros, 1) / SIZE) if zeros < SIZE else 0.0

    def share(self, items: int) -> float:
        """Of so many items, 0 to 1."""
        return min(1.0, self.count() / items) if items else 0.0
