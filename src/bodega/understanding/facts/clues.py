"""Which words go with a value elsewhere in the shop, though they do not name it? "iPhone" goes with Apple.

Idea: among the items whose value is known, how many of those that say a word in their title (or lie in a category)
have the value? A word is a clue where nearly all do, clearly more than among all items. Variants of one product count
as one. Cost: one sparse product. Not for: proof; `belief` learns what a clue of this strength is worth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.understanding.facts.passages import Passage
from bodega.understanding.language import STOP_WORDS

LEAST_SHARE = 0.6
"""Of the items with the word, this many must have the value."""
LEAST = 3.0
"""Products that must say the word."""
CATEGORY = "\0"
"""Begins the clue that a category path is."""
MOST_WORDS = 60
"""Words of one item that are looked at."""


class Clue(NamedTuple):
    """`share` of the items with the word have the value, a little less where few say it."""

    target: int
    value: str
    share: float


Clues = dict[str, list[Clue]]


def clue_words(passages: Iterable[Passage]) -> dict[str, tuple[str, int, int]]:
    """{word, pair of words or category: (field, start, end)} of an item."""
    found: dict[str, tuple[str, int, int]] = {}
    for passage in passages:
        if passage.place == "title":
            before = None
            for word in passage.words[:MOST_WORDS]:
                if (len(word.text) > 1 or not word.text.isascii()) and word.text not in STOP_WORDS:
                    found.setdefault(word.text, (passage.field, word.start, word.end))
                if before is not None:
                    found.setdefault(f"{before.text} {word.text}", (passage.field, before.start, word.end))
                before = word
        elif passage.place == "category":
            at = 0
            while at >= 0:
                at = passage.text.find(" > ", at + 1)
                end = at if at >= 0 else len(passage.text)
                found[CATEGORY + passage.text[:end]] = (passage.field, 0, end)
    return found


class Counted:
    """Clue words of many items as a matrix, ready to be counted for any part of them."""

    def __init__(self, words: Sequence[Iterable[str]], weight: NDArray[np.float64]) -> None:
        code: dict[str, int] = {}
        lengths = []
        flat: list[int] = []
        for own in words:
            codes = [code.setdefault(word, len(code)) for word in own]
            flat += codes
            lengths.append(len(codes))
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        shape = (len(lengths), max(1, len(code)))
        self._said = sparse.csr_matrix((np.repeat(weight, lengths), np.array(flat, np.int64), starts), shape)
        self._names = list(code)

    def clues(
        self, target: int, values: sparse.csr_matrix, names: Sequence[str], rows: NDArray[np.bool_], into: Clues
    ) -> None:
        """Add the clues for one target; `values` (n_items, n_values), `rows`: those to learn from, all known."""
        places = np.flatnonzero(rows)
        if not len(places) or not values.shape[1]:
            return
        said, had = self._said[places], values[places]
        times = np.asarray(said.sum(axis=0)).ravel()
        weight = np.asarray(said.max(axis=1).todense()).ravel()
        base = (had.T @ weight) / max(1e-9, weight.sum())
        both = (said.T @ had).tocoo()
        share = both.data / (times[both.row] + 1.0)
        floor = np.maximum(LEAST_SHARE, base[both.col] + 0.3 * (1 - base[both.col]))
        kept = (share >= floor) & (both.data >= LEAST - 1e-9)
        for row, col, strength in sorted(
            zip(both.row[kept].tolist(), both.col[kept].tolist(), share[kept].tolist(), strict=True)
        ):
            into.setdefault(self._names[row], []).append(Clue(target, names[col], round(strength, 4)))
