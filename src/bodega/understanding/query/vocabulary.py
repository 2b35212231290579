"""Which words does this shop know, and which of them are near a word as typed? Sorted words, counts, and an index of
deletions.

Idea: two words within two errors of each other become equal when at most two letters are deleted from the first seven
letters of each. So every word is filed under all such shortened beginnings (29 for a long word), as 32-bit hashes; a
typed word looks up its own 29 and the finds are measured exactly (optimal string alignment). The time does not grow
with the vocabulary, only the memory: 240 bytes a word that may be a correction, mapped from disk.

Cost: 30 to 150 microseconds a lookup; a build takes about 3 s per 100,000 words.
Not for: choosing among the words found (`spelling`), Chinese.
Paper: Damerau 1964 (the errors); the deletion index is that of SymSpell (W. Garbe, 2012).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA

from bodega.schema import Texts
from bodega.schema.table import mapped

SHORTEST_TARGET = 4
"""Letters of the shortest word that is offered as a correction."""
TWO_ERRORS = 8
"""Letters of a word, as typed or as meant, from which two errors are forgiven."""
COMMON = 1
"""A correction must be written at least this often; 0 marks a word that is known but never offered."""
LONGEST = 40
_BEGINNING = 7
_BLOCK = 50_000
_FACTOR = 0x9E3779B97F4A7C15

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Sorted words, how often each is written, and the deletion index over those that may be corrections."""

    texts: Texts
    count: NDArray[np.int32]
    """(n_words,)"""
    keys: NDArray[np.uint32]
    """Hashes of shortened beginnings, sorted."""
    rows: NDArray[np.int32]
    """The word of each key."""

    @classmethod
    def of(cls, surfaces: Mapping[str, int]) -> Words:
        names = sorted(surfaces)
        count = np.fromiter((min(surfaces[name], 2**31 - 1) for name in names), np.int32, len(names))
        keys, rows = _index(names, count)
        return cls(Texts.of(names), count, keys, rows)

    def __len__(self) -> int:
        return len(self.texts)

    def find(self, word: str) -> int:
        """The row of a word, -1 when the shop does not know it."""
        return find(self.texts, word)

    def starting(self, prefix: str, limit: int) -> list[str]:
        """The most frequent words that start with `prefix`, best first (ties by spelling)."""
        low, high = span(self.texts, prefix)
        order = np.argsort(-self.count[low:high], kind="stable")[:limit]
        return [self.texts[low + int(row)] for row in order]

    def near(self, word: str) -> list[tuple[str, int, int]]:
        """(word, errors, count) of the possible corrections of a typed word, in the order of the vocabulary."""
        most = 2 if len(word) >= TWO_ERRORS - 2 else 1
        wanted = _hashes(np.array([_codes(word)]), most)[0]
        low = np.searchsorted(self.keys, wanted, side="left")
        high = np.searchsorted(self.keys, wanted, side="right")
        some = [self.rows[start:end] for start, end in zip(low.tolist(), high.tolist(), strict=True) if end > start]
        if not some:
            return []
        rows = np.unique(np.concatenate(some))
        ends = self.texts.offsets
        size = ends[rows + 1] - ends[rows]
        rows = rows[np.abs(size - len(word.encode())) <= 3 * most]  # an accented letter has two bytes, others up to 4
        found = []
        for row in rows.tolist():
            other = self.texts[row]
            errors = OSA.distance(word, other, score_cutoff=most)
            if errors <= 1 or (errors == 2 and max(len(word), len(other)) >= TWO_ERRORS):
                found.append((other, int(errors), int(self.count[row])))
        return found

    def save(self, folder: Path) -> None:
        save_texts(folder, "words", self.texts)
        for name in ("count", "keys", "rows"):
            np.save(folder / f"words.{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Words:
        arrays = (mapped(folder / f"words.{name}.npy") for name in ("count", "keys", "rows"))
        return cls(load_texts(folder, "words"), *arrays)


def correctable(word: str) -> bool:
    """May this word be a correction? Letters only, neither short nor hostile."""
    return SHORTEST_TARGET <= len(word) <= LONGEST and word.isalpha()


def find(texts: Texts, word: str) -> int:
    """The row of a text in sorted texts, -1 when absent. Some microseconds in 100,000: nothing is decoded, as bytes of
    UTF-8 sort like the letters that they stand for."""
    size, sought = len(texts), word.encode("utf-8", "surrogatepass")
    row = bisect_left(range(size), sought, key=texts.raw)
    return row if row < size and texts.raw(row) == sought else -1


def span(texts: Texts, prefix: str) -> tuple[int, int]:
    """The rows [low, high) of sorted texts that start with `prefix`."""
    return bisect_left(texts, prefix), bisect_left(texts, prefix + "\U0010ffff")


def save_texts(folder: Path, name: str, texts: Texts) -> None:
    np.save(folder / f"{name}.blob.npy", texts.blob)
    np.save(folder / f"{name}.offsets.npy", texts.offsets)


def load_texts(folder: Path, name: str) -> Texts:
    return Texts(mapped(folder / f"{name}.blob.npy"), mapped(folder / f"{name}.offsets.npy"))


def _index(names: list[str], count: NDArray[np.int32]) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """(keys, rows) of the deletion index, sorted by key, then row."""
    targets = [row for row, name in enumerate(names) if count[row] >= COMMON and correctable(name)]
    parts: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)]
    for most, chosen in (
        (1, [row for row in targets if len(names[row]) < TWO_ERRORS - 2]),
        (2, [row for row in targets if len(names[row]) >= TWO_ERRORS - 2]),
    ):
        for start in range(0, len(chosen), _BLOCK):
            block = np.array(chosen[start : start + _BLOCK], np.uint64)
            hashes = _hashes(np.array([_codes(names[int(row)]) for row in block]), most)
            parts.append(np.unique(hashes.astype(np.uint64) << np.uint64(32) | block[:, None]))
    pairs = np.sort(np.concatenate(parts))
    return (pairs >> np.uint64(32)).astype(np.uint32), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int32)


def _codes(word: str) -> list[int]:
    """The code points of the first letters, filled with zeros."""
    codes = [ord(letter) for letter in word[:_BEGINNING]]
    return codes + [0] * (_BEGINNING - len(codes))


def _hashes(codes: NDArray[np.int64], most: int) -> NDArray[np.uint32]:
    """Hashes of every beginning with up to `most` letters deleted: (n_words, n_ways). A zero is no letter, so that
    deleting one of the zeros that fill a short word changes nothing."""
    kept, factors = _ways(most)
    chosen = codes.astype(np.uint64)[:, kept]  # (n, ways, 7), the deleted ones moved to the end as zeros
    chosen[:, factors == 0] = 0
    mixed = (chosen * factors).sum(axis=2, dtype=np.uint64) * np.uint64(_FACTOR)
    out: NDArray[np.uint32] = (mixed >> np.uint64(32)).astype(np.uint32)
    return out


@lru_cache(maxsize=2)
def _ways(most: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """For each way to delete letters: which places are kept, and what a letter at each new place is multiplied by."""
    powers = [pow(0x100000001B3, place + 1, 2**64) for place in range(_BEGINNING)]
    kept, factors = [], []
    for deleted in range(most + 1):
        for gone in combinations(range(_BEGINNING), deleted):
            rest = [place for place in range(_BEGINNING) if place not in gone]
            kept.append(rest + [0] * deleted)
            factors.append(powers[: len(rest)] + [0] * deleted)
    return np.array(kept, np.int64), np.array(factors, np.uint64)
