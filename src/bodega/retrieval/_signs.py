"""Which rows could be near this vector, at a glance? One bit a direction, compared with exclusive or and a bit count.

Each vector is turned (a fixed random rotation) and only the signs are kept: 256 bits. The fewer bits differ, the
smaller the angle. From some size on, rows lie in *cells* of k-means, and only the cells nearest to the question are
looked at. What comes out are a few thousand rows for `_vectors` to score exactly, so that nothing here decides order.
How many cells and how many rows that takes depends on the encoder and the shop; it is measured when the index is built,
on questions with known answers, for all rows and for a tenth of them (`Effort`), and kept in between.
Cost: 32 bytes a row; 200,000 rows of 256 bits in .5 ms, with cells in .2. Build: 5 s per million rows and core.
Not for: vectors without any structure (there the measured effort becomes "score everything", and that is done).
Paper: Charikar 2002 (sign hashing); Sivic & Zisserman 2003 (inverted cells).
"""

from __future__ import annotations

from collections.abc import Iterator
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

LEAST_BITS = 256
"""Rows of 128 directions get two bits each: recall .958 -> .983 at the same number of scored rows."""
CELLS_FROM = 100_000
"""Below, a look at every row costs less than choosing cells."""
ROWS_A_CELL = 400
MOST_CELLS = 2_048
BLOCK = 8_192
MEASURED_K = 200
"""The list length at which effort is measured; longer lists get proportionally more."""
WANTED = 0.99
"""Recall on the measured questions: new questions keep .97 with room to spare."""
SAMPLED = 16_384
"""Distances that the cut is guessed from before it is counted."""


class Effort(msgspec.Struct, frozen=True):
    """What `WANTED` takes where `passing` rows may be answered: look at `look` of them, score `depth` of those."""

    passing: int
    look: int
    depth: int


@dataclass(frozen=True, slots=True, eq=False)
class Signs:
    """Bit codes of n rows, cell by cell: place p of `words` (bits / 64, n) is row `order[p]`, cell c holds the places
    `starts[c]` to `starts[c + 1]`."""

    rotation: Floats
    """(d, bits)."""
    offset: Floats
    """(bits,): a bit is set where the turned vector is larger, the mean of the rows."""
    words: Words
    order: Ints
    starts: Longs
    centres: Floats
    """(cells, d), length 1."""
    efforts: tuple[Effort, ...] = ()

    @classmethod
    def of(cls, rows: Rows) -> Signs:
        """Codes of all rows. `efforts` stay empty until `measured`."""
        rng = np.random.default_rng(0)
        sample = rows[_spread(len(rows), 20_000)]
        rotation = _rotation(rows.dimensions, rng)
        offset = sample.mean(axis=0) @ rotation
        centres = _cells(rows, rng)
        codes = np.empty((len(rows), rotation.shape[1] // 64), np.uint64)
        cell = np.zeros(len(rows), np.int32)
        for start, block in rows.blocks():
            part = slice(start, start + len(block))
            codes[part] = _pack(block @ rotation > offset)
            if len(centres) > 1:
                cell[part] = (block @ centres.T).argmax(axis=1)
        order = np.argsort(cell, kind="stable").astype(np.int32)
        starts = np.zeros(len(centres) + 1, np.int64)
        np.cumsum(np.bincount(cell, minlength=len(centres)), out=starts[1:])
        return cls(rotation, offset, np.ascontiguousarray(codes[order].T), order, starts, centres)

    def measured(self, rows: Rows, questions: Floats, alive: Flags) -> Signs:
        """The same codes with the effort that these questions (m, d) need, over all rows and over every tenth."""
        tenth = np.zeros(len(alive), np.bool_)
        tenth[::10] = True
        efforts = [self._effort(rows, questions, keep) for keep in (alive & tenth, alive)]
        return Signs(self.rotation, self.offset, self.words, self.order, self.starts, self.centres, tuple(efforts))

    def near(self, question: Floats, k: int, keep: Flags, passing: int) -> Ints:
        """Rows (ascending) of which `keep` holds, among them nearly all of the k nearest; `passing` counts `keep`."""
        effort = self.effort(k, passing)
        rows, distances = self._look(question, effort.look, keep, passing)
        return np.sort(rows[_nearest(distances, effort.depth)])

    def effort(self, k: int, passing: int) -> Effort:
        """What is done for k of `passing` rows: between the measured points in proportion to the logarithm."""
        at = np.log([float(max(1, effort.passing)) for effort in self.efforts])
        where, more = np.log(max(1, passing)), max(1.0, k / MEASURED_K)
        look, depth = (
            int(more * np.exp(np.interp(where, at, np.log([float(max(1, value)) for value in values]))))
            for values in zip(*((effort.look, effort.depth) for effort in self.efforts), strict=True)
        )
        return Effort(passing, min(look, passing), max(k, min(depth, passing)))

    def save(self, folder: Path, name: str) -> None:
        """Arrays only; the efforts are the caller's facts."""
        save_arrays(folder, {f"{name}.{part}": getattr(self, part) for part in _ARRAYS})

    @classmethod
    def load(cls, folder: Path, name: str, efforts: tuple[Effort, ...]) -> Signs:
        arrays = {part: mapped(folder / f"{name}.{part}.npy") for part in _ARRAYS}
        return cls(**arrays, efforts=efforts)

    def _look(self, question: Floats, look: int, keep: Flags, passing: int) -> tuple[Ints, NDArray[Any]]:
        """(rows, differing bits) of at least `look` rows that may be answered, nearest cells first."""
        code = _pack((question @ self.rotation > self.offset)[None])[0]
        size = len(self.order)
        if look >= passing or len(self.centres) == 1:
            spans = [(0, size)]
            rows = self.order
            allowed = keep[rows] if passing < size else None
        else:
            cells = np.argsort(-(self.centres @ question), kind="stable")
            upto = np.cumsum(self.starts[cells + 1] - self.starts[cells])
            wanted = look * size / passing
            while True:  # where the nearest cells hold little of what may be answered, look further
                few = cells[: int(np.searchsorted(upto, wanted)) + 1]
                spans = list(zip(self.starts[few].tolist(), self.starts[few + 1].tolist(), strict=True))
                rows = np.concatenate([self.order[low:high] for low, high in spans])
                allowed = keep[rows] if passing < size else None
                if allowed is None or len(few) == len(cells) or np.count_nonzero(allowed) >= look:
                    break
                wanted *= 2
        if allowed is not None:
            rows = rows[allowed]
        return rows, self._distances(spans, allowed, code)

    def _distances(self, spans: list[tuple[int, int]], allowed: Flags | None, code: Words) -> NDArray[Any]:
        """Differing bits of the places in `spans`. 256 bits in a uint8: an exact opposite reads 0, and is merely
        scored in vain."""
        wide = np.uint16 if len(code) > 4 else np.uint8
        total: NDArray[Any] | None = None
        for word, own in zip(self.words, code, strict=True):
            part = word[slice(*spans[0])] if len(spans) == 1 else np.concatenate([word[a:b] for a, b in spans])
            if allowed is not None:
                part = part[allowed]
            count = np.bitwise_count(part ^ own)
            total = count.astype(wide) if total is None else np.add(total, count, dtype=wide)
        assert total is not None
        return total

    def _effort(self, rows: Rows, questions: Floats, keep: Flags) -> Effort:
        passing = int(np.count_nonzero(keep))
        k = min(MEASURED_K, passing)
        if not k:
            return Effort(0, 0, 0)
        answers = rows.nearest(questions, k, keep)
        look = self._cells_needed(questions, answers, keep, passing)
        needed = []
        for question, answer in zip(questions, answers, strict=True):
            looked, distances = self._look(question, look, keep, passing)
            upto = np.cumsum(np.bincount(distances))
            needed.append(upto[distances[np.isin(looked, answer)]])
        allowed = np.sort(np.concatenate(needed))
        reached = min(int(np.ceil(WANTED * k * len(questions))), len(allowed))
        return Effort(passing, look, int(allowed[reached - 1]))

    def _cells_needed(self, questions: Floats, answers: Ints, keep: Flags, passing: int) -> int:
        """How many passing rows have to be looked at so that the cells hold nearly all (half the error) answers."""
        if len(self.centres) == 1:
            return passing
        cell_of = np.empty(len(self.order), np.int32)
        cell_of[self.order] = np.repeat(np.arange(len(self.centres), dtype=np.int32), np.diff(self.starts))
        sizes = np.bincount(cell_of[keep], minlength=len(self.centres))
        needed = []
        for question, answer in zip(questions, answers, strict=True):
            cells = np.argsort(-(self.centres @ question), kind="stable")
            upto = np.empty(len(cells), np.int64)
            upto[cells] = np.cumsum(sizes[cells])
            needed.append(upto[cell_of[answer]])
        look = int(np.quantile(np.concatenate(needed), (1 + WANTED) / 2))
        return look if look < passing / 2 else passing


_ARRAYS = ("rotation", "offset", "words", "order", "starts", "centres")


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


def _nearest(distances: NDArray[Any], depth: int) -> Flags | slice:
    """Where the `depth` smallest distances lie, all of the last one's equals with them."""
    if depth >= len(distances):
        return slice(None)
    sample = distances[:: max(1, len(distances) // SAMPLED)]
    place = depth * len(sample) // len(distances)
    limit = int(np.partition(sample, place)[place])
    while np.count_nonzero(distances <= limit) < depth:
        limit += 1
    while limit and np.count_nonzero(distances <= limit - 1) >= depth:
        limit -= 1
    within: Flags = distances <= limit
    return within
