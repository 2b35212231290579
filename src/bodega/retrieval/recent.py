"""What did this shopper look at last? Newest first, each item once.

Answers: `recent`. Needs: a history. Good for: getting back to something. Not for: finding anything new.
Cost: nothing is learned; microseconds a request. Relations: `repeat` orders what was bought by when it is due.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bodega.schema import Candidates, Context, ItemTable, World


class Recent:
    """The shopper's own history as a source; the score is minus the age in seconds.

    >>> context = Context(now=10.0, history=np.array([4, 7, 4], np.int32), times=np.array([1.0, 2.0, 3.0]))
    >>> Recent().retrieve(context, 5).items.tolist()
    [4, 7]
    """

    name = "recent"

    def fit(self, world: World) -> Self:
        """Nothing to learn."""
        del world
        return self

    def retrieve(self, context: Context, k: int) -> Candidates:
        items, score = _newest(context)
        order = np.lexsort((items, -score))[: max(k, 0)]
        return Candidates.of(self.name, items[order], score[order])

    def score(self, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        mine, score = _newest(context)
        if len(mine) == 0:
            return np.full(len(items), np.nan, np.float32)
        place = np.minimum(np.searchsorted(mine, items), len(mine) - 1)
        return np.where(mine[place] == items, score[place], np.nan).astype(np.float32)

    def save(self, folder: Path) -> None:
        del folder

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        del folder, items
        return cls()


def _newest(context: Context) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Each item of the history once (sorted by item), with minus the age of its newest event."""
    items, last = np.unique(context.history[::-1], return_index=True)
    times = context.times[::-1][last] if len(context.history) else context.times
    return items.astype(np.int32), (times - context.now).astype(np.float32)
