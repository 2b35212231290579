"""Which words begin with what was typed, exactly or with one error? The vocabulary as a table of letters.

Idea: the words are sorted, so those with one beginning are neighbours; the rows that agree with the first i letters as
typed are found by i binary searches. One error at place i then means that the rest of the letters must agree, shifted
by one or not: a few comparisons of whole columns. No second index is needed. The first letter must be right.
For beginnings that very many suggestions share, the best ones are stored, computed from the longest beginnings up.

Cost: 32 bytes a word; 20 microseconds exact, .2 to .5 ms with an error among 300,000 words.
Not for: two errors (the speller corrects whole words before).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WIDTH = 16
"""Letters of a word that are compared."""
_EAST = 0x2E80
"""From here on a character is a word or a syllable, not a letter."""
SHORTEST = 4
"""Letters from which an error is forgiven."""

Letters = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Span:
    """Rows [low, high) of the vocabulary."""

    low: int
    high: int


def letters_of(words: Sequence[str]) -> Letters:
    """(n_words, WIDTH): code points, 0 after the end; characters beyond the basic plane are all 0xFFFF."""
    table = np.zeros((len(words), WIDTH), np.uint16)
    for row, word in enumerate(words):
        codes = [min(ord(letter), 0xFFFF) for letter in word[:WIDTH]]
        table[row, : len(codes)] = codes
    return table


def codes_of(word: str) -> NDArray[np.uint16]:
    return np.array([min(ord(letter), 0xFFFF) for letter in word[: WIDTH - 2]], np.uint16)


def spans(letters: Letters, codes: NDArray[np.uint16]) -> list[Span]:
    """The rows that agree with the first 0, 1, 2, ... letters; as long as there are any."""
    low, high = 0, len(letters)
    out = [Span(low, high)]
    for place, code in enumerate(codes.tolist()):
        column = letters[low:high, place]
        low, high = low + int(np.searchsorted(column, code)), low + int(np.searchsorted(column, code, side="right"))
        if low == high:
            break
        out.append(Span(low, high))
    return out


def near(letters: Letters, word: str, *, complete: bool) -> NDArray[np.int64]:
    """The words of which a beginning (the whole, if `complete`) is exactly one error away from `word`; sorted rows.

    Errors: a letter left out, put in, replaced, or swapped with the next; not the first letter.
    """
    codes = codes_of(word)
    if len(word) < SHORTEST or not word.isalpha() or codes.max() >= _EAST:
        return np.empty(0, np.int64)
    ends = complete and len(word) <= WIDTH - 2
    found = []
    for place, span in enumerate(spans(letters, codes)):
        if place == 0:
            continue
        block = letters[span.low : span.high]
        hit = np.zeros(len(block), np.bool_)
        for taken, skipped in ((1, 1), (0, 1), (1, 0)):  # replaced, left out, put in
            if place + taken <= len(codes) and not (place == len(codes) and not ends):
                hit |= _agrees(block, place + skipped, codes[place + taken :], ends=ends)
        if place + 1 < len(codes):
            swapped = (block[:, place] == codes[place + 1]) & (block[:, place + 1] == codes[place])
            hit |= swapped & _agrees(block, place + 2, codes[place + 2 :], ends=ends)
        found.append(np.flatnonzero(hit) + span.low)
    rows = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
    if len(rows) == 0:
        return rows
    same = np.all(letters[rows, : len(codes)] == codes, axis=1)  # no error at all
    if ends:
        same &= letters[rows, len(codes)] == 0
    different: NDArray[np.int64] = rows[~same]
    return different


def _agrees(block: Letters, start: int, rest: NDArray[np.uint16], *, ends: bool) -> NDArray[np.bool_]:
    """Do the letters from `start` on read `rest` (and end there)?"""
    hit = np.ones(len(block), np.bool_)
    if len(rest):
        hit &= block[:, start + len(rest) - 1] == rest[-1]  # the last letter excludes most
        for place, code in enumerate(rest[:-1].tolist(), start):
            hit &= block[:, place] == code
    if ends:
        hit &= block[:, start + len(rest)] == 0
    elif start > 1:
        hit &= block[:, start - 1] != 0  # nothing stands after a word's end
    return hit


def best_of_beginnings(
    letters: Letters, starts: NDArray[np.int64], postings: NDArray[np.int32], heavy: int, keep: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """For every beginning that more than `heavy` postings share: (spans as (low, high) rows, starts, best postings).

    Postings are entry numbers, best first, so the best are the smallest; the list of a beginning is merged from those
    of the beginnings one letter longer.
    """
    lists: dict[tuple[int, int], NDArray[np.int32]] = {}

    def best(low: int, high: int, depth: int) -> NDArray[np.int32]:
        part = postings[starts[low] : starts[high]]
        if len(part) <= heavy or depth >= WIDTH:
            return np.unique(part)[:keep]
        cuts = np.flatnonzero(np.diff(letters[low:high, depth])) + low + 1
        edges = [low, *cuts.tolist(), high]
        children = [best(one, two, depth + 1) for one, two in pairwise(edges)]
        found = np.unique(np.concatenate(children))[:keep]
        if high - low > 1:
            lists[low, high] = found
        return found

    best(0, len(letters), 0)
    keys = sorted(lists)
    ends = np.zeros(len(keys) + 1, np.int64)
    np.cumsum([len(lists[key]) for key in keys], out=ends[1:])
    rows = np.concatenate([np.empty(0, np.int32), *(lists[key] for key in keys)])
    return np.array(keys, np.int64).reshape(-1, 2), ends, rows
