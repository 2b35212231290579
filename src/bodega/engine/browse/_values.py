"""Which values of a facet read like what was typed? `nik` finds Nike, `bal` finds New Balance, `nkie` Nike.

Three steps, best first: the value begins so; one of its words does; it holds the letters somewhere. Only where none of
these finds anything, a beginning with one mistake (two from eight letters on) is taken, and it must begin with the same
letter. Of a category the last step is read, not the path above it.
Cost: 1 ms for 6,000 values; folding the values is done once a field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bodega.engine.browse._tally import Joint
from bodega.engine.columns import PATHS
from bodega.schema import Coded
from bodega.schema.table import PATH_SEPARATOR
from bodega.understanding.language import fold

LONGEST = 64
"""Characters of what was typed that are looked at."""
_MISTAKES = ((8, 2), (4, 1))
"""(from so many letters on, so many mistakes)."""
_WORD = re.compile(r"\w+")

Starts = dict[str, list[int]]
"""What typing may begin with: each word with what follows it in its value, and the codes of the values it stands in."""

_FOLDED: WeakKeyDictionary[Coded, tuple[list[str], Starts]] = WeakKeyDictionary()


def reading_like(joint: Joint, name: str, numbers: NDArray[np.int64], text: str) -> list[NDArray[np.int64]]:
    """Those of the numbers whose values read like the text, the better steps first; each number once."""
    typed = fold(text[:LONGEST]).strip()
    if not typed:
        return [numbers]
    folded = _folded(joint, name)
    begins: list[int] = []
    word: list[int] = []
    inside: list[int] = []
    for number in numbers.tolist():
        value = folded[number]
        at = value.find(typed)
        if at == 0:
            begins.append(number)
        elif at > 0:
            (word if _starts_word(value, typed) else inside).append(number)
    if begins or word or inside:
        return [np.array(each, np.int64) for each in (begins, word, inside)]
    return [_misspelt(joint, name, numbers, typed)]


def _misspelt(joint: Joint, name: str, numbers: NDArray[np.int64], typed: str) -> NDArray[np.int64]:
    from rapidfuzz.distance import OSA

    allowed = next((mistakes for letters, mistakes in _MISTAKES if len(typed) >= letters), 0)
    if not allowed:
        return numbers[:0]
    lengths = (len(typed), len(typed) + 1, len(typed) - 1)
    meant = {
        number
        for start, owners in _starts(joint, name)
        if start[0] == typed[0]
        and any(OSA.distance(typed, start[:length], score_cutoff=allowed) <= allowed for length in lengths)
        for number in owners
    }
    return numbers[np.isin(numbers, list(meant))] if meant else numbers[:0]


def _starts_word(value: str, typed: str) -> bool:
    at = value.find(typed)
    while at > 0:
        if not (value[at - 1].isalnum() and value[at - 1].isascii()):  # within Chinese every character may begin a word
            return True
        at = value.find(typed, at + 1)
    return False


def _folded(joint: Joint, name: str) -> list[str]:
    """The values as they are compared, by number."""
    old = [] if joint.old is None else _read(joint.old, name)[0]
    if joint.new is None or joint.size == len(old):
        return old
    new, numbers = _read(joint.new, name)[0], joint.translated
    return [*old, *(new[code] for code in np.flatnonzero(numbers >= len(old)).tolist())]


def _starts(joint: Joint, name: str) -> Iterator[tuple[str, list[int]]]:
    """All beginnings, with the numbers of their values."""
    if joint.old is not None:
        yield from _read(joint.old, name)[1].items()
    if joint.new is not None:
        for start, codes in _read(joint.new, name)[1].items():
            yield start, joint.translated[codes].tolist()


def _read(coded: Coded, name: str) -> tuple[list[str], Starts]:
    """(values folded, beginnings) of one vocabulary: read once, and kept as long as its table."""
    found = _FOLDED.get(coded)
    if found is None:
        last = name == PATHS
        folded = [fold(text.rpartition(PATH_SEPARATOR)[2] if last else text) for text in coded.vocabulary]
        starts: Starts = {}
        for code, value in enumerate(folded):
            for word in _WORD.finditer(value):
                starts.setdefault(value[word.start() : word.start() + LONGEST + 1], []).append(code)
        found = _FOLDED[coded] = (folded, starts)
    return found
