"""What was worked out a moment ago and cannot have changed? A few thousand answers by their question, least used first.

Shoppers ask the same few hundred words all day; what such a query says and what its words find follows from the
snapshot and the shelf alone, and whoever remembers it (one `Finder`, which is made anew when either changes) forgets it
with them. Arrays that are kept are made read-only: whoever writes to one finds out at once.
Cost: .5 us a look; at most `size` bytes. Not for: anything that knows a shopper, a clock or a filter.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Kept = TypeVar("Kept")


class Remembered(Generic[Kept]):
    """Answers by question, in bounded memory; safe from several threads (a lost update costs one more look)."""

    def __init__(self, size: int, weigh: Callable[[Kept], int]) -> None:
        """`size` in bytes, and what one answer takes of it. What takes a tenth of all is not kept."""
        self._size = size
        self._weigh = weigh
        self._used = 0
        self._held: OrderedDict[Hashable, tuple[Kept, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def of(self, question: Hashable, work: Callable[[], Kept]) -> Kept:
        """The answer to a question, from memory where it is there."""
        found = self._held.get(question)
        if found is not None:
            with contextlib.suppress(KeyError):  # another thread dropped it just now
                self._held.move_to_end(question)
            return found[0]
        answer = work()
        weight = self._weigh(answer)
        if 10 * weight <= self._size:
            self._held[question] = (answer, weight)
            self._used += weight
            while self._used > self._size and self._held:
                self._used -= self._held.popitem(last=False)[1][1]
        return answer
