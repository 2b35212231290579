"""Which rows could be near this vector, at a glance? One bit a direction, compared with exclusive or and a bit count.

Each vector is turned (fixed random rotations) and only the signs are kept: 512 bits. Of two vectors at an angle a, each
bit differs with probability a / pi, whatever the data: so once the k best so far are scored exactly, it is known how
many bits a row as good as the k-th of them may differ in, and every row within that many is scored too (`MARGIN`).
Easy questions cost a few hundred scored rows, hard ones many, and nothing here decides the order.
From some size on, rows lie in *cells* of k-means, and the cells nearest to the question are looked at first. How far to
look depends on the encoder and the shop; it is measured when the index is built (`Effort`), and a search whose last
looked-at cells still gave results goes on.
Cost: 64 bytes a row; 50,000 rows in .1 ms, and .06 ms per 1,000 rows scored. Build: 5 s per million rows and core.
Not for: vectors without any structure (they are found, but nearly every row is scored).
Paper: Charikar 2002 (sign hashing); Sivic & Zisserman 2003 (inverted cells).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.retrieval._index import save_arrays
from bodega.schema.arrays import Flags, Floats, Ints, Longs
from bodega.schema.table import mapped

Words = NDArray[np.uint64]

LEAST_BITS = 512
"""Two bits a direction and more: against 256 bits, half as many rows have to be scored for the same recall."""
CELLS_FROM = 100_000
"""With fewer rows, a look at them all costs less than choosing cells."""
FEW = 16_384
"""Where a filter leaves fewer than these, all of them are looked at, cells or not."""
ROWS_A_CELL = 400
MOST_CELLS = 2_048
BLOCK = 8_192
MEASURED_K = 200
"""The list length at which effort is measured; longer lists get proportionally more."""
WANTED = 0.99
"""Share of the nearest rows that the looked-at cells hold, on the measured questions."""
MARGIN = 1.25
"""Standard deviations of differing bits that are allowed for: loses 10 % of the rows at the very edge, few better ones.
1 gives recall .986 to .998 on four sets and 2 gives .9998, for 60 and 170 % of the rows that 1.5 has scored."""
LATE = 0.02
"""Where the last quarter of the looked-at rows gave more than this share of the best k, twice as many are looked at."""
STRETCH = 32_768
"""Codes that are compared at once: 8 bytes of each stay in the cache of a core."""
IN_BYTES = 3
"""Words of 64 bits whose differing bits are summed in one byte."""
SAMPLED = 16_384
"""Distances that a cut is guessed from before it is counted."""

Scorer = Callable[[Ints], Floats]
"""Rows -> their exact cosines."""


class Effort(msgspec.Struct, frozen=True):
    """Where `passing` rows may be answered, `look` of them, in the nearest cells, hold nearly all of the nearest."""

    passing: int
    look: int


@dataclass(frozen=True, slots=True, eq=False)
class Signs:
    """Bit codes of n rows, cell by cell: place p of `words` (bits / 64, n) is row `order[p]`, cell c holds the places
    `starts[c]` to `starts[c + 1]`."""

    rotation: Floats
    """(d, bits): a bit is set where the turned vector is positive."""
    words: Words
    order: Ints
    starts: Longs
    centres: Floats
    """(cells, d), length 1."""
    efforts: tuple[Effort, ...] = ()
    """Measured for a tenth of the rows, and for all."""

    @classmethod
    def of(cls, rows: Rows) -> Signs:
        """Codes of all rows. `efforts` stay empty until `measured`."""
        rng = np.random.default_rng(0)
        rotation = _rotation(rows.dimensions, rng)
        centres = _cells(rows, rng)
        codes = np.empty((len(rows), rotation.shape[1] // 64), np.uint64)
        cell = np.zeros(len(rows), np.int32)
        for start, block in rows.blocks():
            part = slice(start, start + len(block))
            codes[part] = _pack(block @ rotation > 0)
            if len(centres) > 1:
                cell[part] = (block @ centres.T).argmax(axis=1)
        order = np.argsort(cell, kind="stable").astype(np.int32)
        starts = np.zeros(len(centres) + 1, np.int64)
        np.cumsum(np.bincount(cell, minlength=len(centres)), out=starts[1:])
        return cls(rotation, np.ascontiguousarray(codes[order].T), order, starts, centres)

    def measured(self, rows: Rows, questions: Floats, alive: Flags) -> Signs:
        """The same codes with the effort that these questions (m, d) need, over all rows and over every tenth."""
        tenth = np.zeros(len(alive), np.bool_)
        tenth[::10] = True
        efforts = [self._effort(rows, questions, keep) for keep in (alive & tenth, alive)]
        return Signs(self.rotation, self.words, self.order, self.starts, self.centres, tuple(efforts))

    def near(self, question: Floats, k: int, keep: Flags, score: Scorer) -> tuple[Ints, Floats]:
        """(rows, cosines) of which `keep` holds, in no order, among them nearly all of the k nearest."""
        passing = int(np.count_nonzero(keep))
        code = _pack((question @ self.rotation > 0)[None])[0]
        cells = np.argsort(-(self.centres @ question), kind="stable")
        look = self.look(k, passing)
        while True:
            rows, distances = self._look(cells, code, look, keep, passing)
            places, scores = _scored(rows, distances, k, 64 * len(code), score)
            if len(rows) >= passing or not _came_late(places, scores, k, len(rows)):
                return rows[places], scores
            look *= 2

    def look(self, k: int, passing: int) -> int:
        """How many of `passing` rows to look at: between the measured points in proportion to the logarithm."""
        few, many = self.efforts
        if passing < FEW or many.look >= many.passing:
            return passing
        way = math.log(max(1, passing) / max(1, few.passing)) / math.log(max(2, many.passing) / max(1, few.passing))
        way, more = min(1.0, max(0.0, way)), max(1.0, k / MEASURED_K)
        look = math.exp((1 - way) * math.log(max(1, few.look)) + way * math.log(max(1, many.look)))
        return min(passing, math.ceil(more * look))

    def save(self, folder: Path, name: str) -> None:
        """Arrays only; the efforts are the caller's facts."""
        save_arrays(folder, {f"{name}.{part}": getattr(self, part) for part in _ARRAYS})

    @classmethod
    def load(cls, folder: Path, name: str, efforts: tuple[Effort, ...]) -> Signs:
        arrays = {part: mapped(folder / f"{name}.{part}.npy") for part in _ARRAYS}
        return cls(**arrays, efforts=efforts)

    def _look(self, cells: Longs, code: Words, look: int, keep: Flags, passing: int) -> tuple[Ints, NDArray[np.uint16]]:
        """(rows, differing bits) of at least `look` rows that may be answered, nearest cells first."""
        size = len(self.order)
        allowed = keep[self.order] if passing < size else None
        spans = [(0, size)]
        if look < passing and len(cells) > 1:
            held = np.diff(self.starts)
            if allowed is not None:
                inside = np.add.reduceat(allowed, np.minimum(self.starts[:-1], size - 1), dtype=np.int64)
                held = np.where(held > 0, inside, 0)
            few = cells[: int(np.searchsorted(np.cumsum(held[cells]), look)) + 1]
            spans = list(zip(self.starts[few].tolist(), self.starts[few + 1].tolist(), strict=True))
        if allowed is None:
            parts = [[array[low:high] for low, high in spans] for array in (self.order, *self.words)]
            rows, *words = (part[0] if len(part) == 1 else np.concatenate(part) for part in parts)
            return rows, _differing(words, code)
        places = np.concatenate([np.flatnonzero(allowed[low:high]) + low for low, high in spans])
        return self.order[places], _differing([word[places] for word in self.words], code)

    def _effort(self, rows: Rows, questions: Floats, keep: Flags) -> Effort:
        passing = int(np.count_nonzero(keep))
        if not passing or len(self.centres) == 1:
            return Effort(passing, passing)
        answers = rows.nearest(questions, min(MEASURED_K, passing), keep)
        return Effort(passing, self._cells_needed(questions, answers, keep, passing))

    def _cells_needed(self, questions: Floats, answers: Ints, keep: Flags, passing: int) -> int:
        """How many passing rows the nearest cells have to hold so that nearly all answers are among them."""
        cell_of = np.empty(len(self.order), np.int32)
        cell_of[self.order] = np.repeat(np.arange(len(self.centres), dtype=np.int32), np.diff(self.starts))
        sizes = np.bincount(cell_of[keep], minlength=len(self.centres))
        needed = []
        for question, answer in zip(questions, answers, strict=True):
            cells = np.argsort(-(self.centres @ question), kind="stable")
            upto = np.empty(len(cells), np.int64)
            upto[cells] = np.cumsum(sizes[cells])
            needed.append(upto[cell_of[answer]])
        look = int(np.quantile(np.concatenate(needed), WANTED))
        return look if look < passing / 2 else passing


_ARRAYS = ("rotation", "words", "order", "starts", "centres")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """n vectors of length 1 (or 0), kept as int16: a component is `codes / 32767`. Half the memory of float32, 14 times
    faster to read back than float16 (numpy converts those one by one), and ten times as exact."""

    codes: NDArray[np.int16]

    SCALE = np.float32(1 / 32_767)

    @classmethod
    def of(cls, vectors: NDArray[np.floating[Any]]) -> Rows:
        codes = np.empty(vectors.shape, np.int16)
        for start in range(0, len(vectors), BLOCK):
            part = slice(start, start + BLOCK)
            codes[part] = np.rint(np.clip(vectors[part], -1, 1) * np.float32(32_767))
        return cls(codes)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def dimensions(self) -> int:
        return int(self.codes.shape[1])

    def __getitem__(self, rows: NDArray[np.integer[Any]] | slice) -> Floats:
        """The vectors of these rows as float32."""
        found: Floats = self.codes[rows].astype(np.float32)
        found *= self.SCALE
        return found

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """(first row, vectors), block by block."""
        return ((start, self[start : start + BLOCK]) for start in range(0, len(self), BLOCK))

    def nearest(self, questions: Floats, k: int, keep: Flags) -> Ints:
        """The k nearest kept rows of each question, in no order, by brute force: (len(questions), k)."""
        allowed = np.flatnonzero(keep).astype(np.int32)
        found = []
        for few in np.array_split(questions, max(1, len(questions) // 16)):
            scores = np.empty((len(few), len(allowed)), np.float32)
            for start in range(0, len(allowed), BLOCK):
                scores[:, start : start + BLOCK] = few @ self[allowed[start : start + BLOCK]].T
            found.append(allowed[np.argpartition(-scores, k - 1, axis=1)[:, :k]])
        return np.concatenate(found)


def _spread(size: int, count: int) -> Longs:
    """`count` places (or all), evenly spread."""
    return np.unique(np.linspace(0, size - 1, min(size, count)).astype(np.int64)) if size else np.empty(0, np.int64)


def _rotation(dimensions: int, rng: np.random.Generator) -> Floats:
    """Random orthogonal directions side by side: (dimensions, bits)."""
    bits = max(LEAST_BITS, -(-dimensions // 64) * 64)
    turns = [np.linalg.qr(rng.standard_normal((dimensions, dimensions)))[0] for _ in range(-(-bits // dimensions))]
    return np.ascontiguousarray(np.concatenate(turns, axis=1)[:, :bits], np.float32)


def _pack(flags: Flags) -> Words:
    return np.packbits(flags, axis=1).view(np.uint64)


def _cells(rows: Rows, rng: np.random.Generator) -> Floats:
    """Centres of spherical k-means on a sample; a single one where the rows are few."""
    count = min(MOST_CELLS, len(rows) // ROWS_A_CELL) if len(rows) >= CELLS_FROM else 1
    if count == 1:
        return np.zeros((1, rows.dimensions), np.float32)
    sample = rows[_spread(len(rows), 40 * count)]
    centres = sample[rng.choice(len(sample), count, replace=False)]
    for _ in range(6):
        nearest = np.concatenate([(part @ centres.T).argmax(axis=1) for part in np.array_split(sample, 8)])
        order = np.argsort(nearest, kind="stable")
        held, first = np.unique(nearest[order], return_index=True)
        centres[held] = np.add.reduceat(sample[order], first, axis=0)
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
    return centres


def _differing(words: Sequence[Words], code: Words) -> NDArray[np.uint16]:
    """How many bits differ from `code`, row by row; `words` are the columns of the rows' codes.

    In stretches that stay in the processor's cache, counts of three words (at most 192) in bytes: 92,000 codes of 512
    bits in .36 ms instead of .86.
    """
    size = len(words[0])
    total = np.zeros(size, np.uint16)
    room = min(size, STRETCH)
    other, count, part = np.empty(room, np.uint64), np.empty(room, np.uint8), np.empty(room, np.uint8)
    for low in range(0, size, STRETCH):
        here = slice(low, min(size, low + STRETCH))
        bits, more, few = (array[: here.stop - low] for array in (other, count, part))
        for at, (word, own) in enumerate(zip(words, code, strict=True)):
            np.bitwise_xor(word[here], own, out=bits)
            np.bitwise_count(bits, out=more if at % IN_BYTES else few)
            if at % IN_BYTES:
                np.add(few, more, out=few)
            if at % IN_BYTES == IN_BYTES - 1 or at == len(code) - 1:
                np.add(total[here], few, out=total[here])
    return total


def _scored(rows: Ints, distances: NDArray[np.uint16], k: int, bits: int, score: Scorer) -> tuple[Longs, Floats]:
    """(places in `rows`, cosines) of all rows that may be among the k nearest by the bits they differ in."""
    limit = _limit(distances, 2 * k)
    places = np.flatnonzero(distances <= limit)
    scores = score(rows[places])
    if len(places) == len(rows) or len(places) < k:
        return places, scores
    worst = float(np.partition(scores, len(scores) - k)[len(scores) - k])
    share = math.acos(min(1.0, max(-1.0, worst))) / math.pi
    reach = math.ceil(bits * share + MARGIN * math.sqrt(bits * share * (1 - share)))
    if reach <= limit:
        return places, scores
    more = np.flatnonzero((distances > limit) & (distances <= reach))
    return np.concatenate([places, more]), np.concatenate([scores, score(rows[more])])


def _came_late(places: Longs, scores: Floats, k: int, looked: int) -> bool:
    """Did the last quarter of what was looked at give more than its due of the k best?"""
    if len(places) <= k:
        return True
    best = places[np.argpartition(scores, len(scores) - k)[len(scores) - k :]]
    return int(np.count_nonzero(best >= 0.75 * looked)) > LATE * k


def _limit(distances: NDArray[np.uint16], count: int) -> int:
    """The smallest distance within which `count` rows (or all) lie."""
    if count >= len(distances):
        return int(distances.max(initial=0))
    sample = distances[:: max(1, len(distances) // SAMPLED)]
    place = count * len(sample) // len(distances)
    limit = int(np.partition(sample, place)[place])
    while np.count_nonzero(distances <= limit) < count:
        limit += 1
    while limit and np.count_nonzero(distances <= limit - 1) >= count:
        limit -= 1
    return limit
