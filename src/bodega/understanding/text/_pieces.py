"""Of which pieces is a text made, and under which number does each stand? Words (stems) and the letter runs in them.

A word that the shop writes often has a vector of its own; every word also has its letter runs ("<sof", "ofa", "fa>"),
so that a rare, new or misspelled word still means nearly what its spelling says. Chinese words are made of characters
and pairs of characters. Pieces are kept as 64-bit hashes, sorted: a lookup needs no strings in memory and the file
tells nobody which words were typed. Cost: .7 microseconds a word, .1 a run. Not for: splitting text (`language`).
Paper: Bojanowski et al. 2017 (subword n-grams), without their buckets: runs of the fewest words are left out instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from bodega.understanding import language

LONGEST_TEXT = 2_000
"""Characters of a text that are looked at."""
MOST_TERMS = 128
"""Different words of a text that count, the first ones."""
SHORTEST_RUN, LONGEST_RUN = 3, 5
LONGEST_WORD = 24
"""Letters of a word that letter runs are taken from."""

Keys = NDArray[np.uint64]


def terms(text: str) -> list[str]:
    """The different words of a text in order, stemmed, at most `MOST_TERMS`.

    >>> terms("Trail shoes, trail running")
    ['trail', 'shoe', 'run']
    """
    return list(dict.fromkeys(language.tokens(text[:LONGEST_TEXT])))[:MOST_TERMS]


@lru_cache(maxsize=50_000)
def runs(term: str) -> tuple[str, ...]:
    """The letter runs of a word, each once: 3 to 5 letters with its ends marked; 1 or 2 Chinese characters.

    >>> runs("sofa")
    ('<so', 'sof', 'ofa', 'fa>', '<sof', 'sofa', 'ofa>', '<sofa', 'sofa>')
    >>> runs("耳机")
    ('耳', '机', '耳机')
    """
    if term and term[0] >= "\u2e80":  # Chinese, kana, emoji: one character says much already
        short, long, marked = 1, 2, term[:LONGEST_WORD]
    else:
        short, long, marked = SHORTEST_RUN, LONGEST_RUN, f"<{term[:LONGEST_WORD]}>"
    found = (marked[at : at + n] for n in range(short, long + 1) for at in range(len(marked) - n + 1))
    return tuple(dict.fromkeys(found))


def term_key(term: str) -> int:
    """The 64-bit hash under which a word stands."""
    return int.from_bytes(blake2b(term.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def run_key(run: str) -> int:
    """The number under which a letter run stands. 32 bits, so that it is never that of a word (one word in four billion
    is so low). Two of 50,000 runs may share one; an unknown word has ten others."""
    return crc32(run.encode("utf-8", "replace"))


def keys_of(numbers: Iterable[int], count: int) -> Keys:
    return np.fromiter(numbers, np.uint64, count)


def find(keys: Keys, wanted: Keys) -> NDArray[np.int64]:
    """The row of each wanted key in the sorted `keys`, -1 where it is not there."""
    if not len(keys):
        return np.full(len(wanted), -1, np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def coded(texts: Iterable[str]) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """(the different words of all texts, the words of each text as rows of them, where each text ends: (n + 1,))."""
    code: dict[str, int] = {}
    flat: list[int] = []
    ends = [0]
    for text in texts:
        flat += [code.setdefault(term, len(code)) for term in terms(text)]
        ends.append(len(flat))
    return list(code), np.asarray(flat, np.int64), np.asarray(ends, np.int64)


def runs_of(words: Sequence[str]) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Like `coded`, for the letter runs of words."""
    code: dict[str, int] = {}
    flat: list[int] = []
    ends = [0]
    for word in words:
        flat += [code.setdefault(run, len(code)) for run in runs(word)]
        ends.append(len(flat))
    return list(code), np.asarray(flat, np.int64), np.asarray(ends, np.int64)
