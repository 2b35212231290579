"""Which vectors point the same way as this one? The k nearest of n by cosine, under any filter, in about a millisecond.

    few rows may be answered                    -> all of them are scored
    more than `_graph` needs, nearly all may be  -> `_graph` names some hundred rows, and those are scored
    else                                        -> `_signs` names some thousand

Scores are always the exact cosines of the stored vectors, computed row by row with one function, so a row has the same
score whoever found it, and equal scores are ordered by the lower row. Rows that arrive later stand in a tail that is
always scored; rows that go are masked. An index is immutable: `adding` and `without` give a new one that shares the
arrays of the old one, so that a search under way sees one state.
Cost: 2 bytes a number and 32 bytes a row, memory-mapped and shared by all processes; the figures, and why there is no
library under it, are in docs/decisions/0013-vector-index.md.
Not for: what the vectors mean (`dense`), or distances other than the cosine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.retrieval._graph import GRAPH_FROM, Graph, installed
from bodega.retrieval._index import load_facts, save_arrays, save_facts
from bodega.retrieval._signs import Effort, Rows, Signs
from bodega.schema.arrays import NO_INTS, Flags, Floats, Ints
from bodega.schema.table import mapped

EXACT = 8_192
"""So many rows are scored in .5 ms: no shortcut is worth it."""
SCORED = 512
"""Rows scored at a time: half a megabyte of float32 stays in the cache."""
MOST = 0.9
"""Share of the rows that may be answered, from which the graph is walked: a walk does not see a filter coming."""
LONGEST = 1_000
"""Longer lists are not walked for: the walk gets as wide as the list."""
QUESTIONS = 64
"""Rows that stand in for questions where none are given."""

NONE = (NO_INTS, np.empty(0, np.float32))


class _Facts(msgspec.Struct, frozen=True):
    rows: int
    dimensions: int
    efforts: tuple[Effort, ...]
    width: int
    """Of the graph; 0 without one."""
    format: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class VectorIndex:
    """n vectors; row numbers never change."""

    base: Rows
    """The vectors that the shortcut knows."""
    tail: Rows
    """Vectors added since, rows `len(base)` and on; always scored."""
    alive: Flags
    """(n,): may be answered: not taken out, and not a row of zeros."""
    signs: Signs | None
    """The shortcut over `base`, where there are enough rows for one."""
    graph: Graph | None = None
    """The other one, where there are very many rows and faiss is installed."""
    notes: tuple[str, ...] = ()
    """What would make it faster."""

    @classmethod
    def build(cls, vectors: Floats, questions: Floats | None = None, *, graph_from: int = GRAPH_FROM) -> Self:
        """An index of these vectors, (n, d), each of length 1, or 0 for "says nothing" (never found).

        `questions` (m, d) are examples of what will be asked: the effort of a search is measured on them, 64 are
        enough. Without them the rows stand in. Equal input gives equal bytes. From `graph_from` rows on a graph is
        built where faiss is installed. Cost: 1 s per 100,000 rows; with the graph 10 s.
        """
        rows = Rows.of(vectors)
        return cls._of(rows, _some(rows), questions, graph_from)

    def __len__(self) -> int:
        return len(self.alive)

    @property
    def dimensions(self) -> int:
        return self.base.dimensions

    def search(self, query: Floats, k: int, keep: Flags | None = None) -> tuple[Ints, Floats]:
        """(rows, cosines) of the k nearest, best first, ties by the lower row; `query` (d,) of any length.

        `keep` (n,) says which rows may be answered. Exact where `EXACT` rows or fewer may; else at least 97 % of the
        true 200 nearest. None for a query of zeros.
        """
        question = _direction(query)
        if question is None or k < 1 or not len(self):
            return NONE
        allowed = self.alive if keep is None else self.alive & keep
        rows, scores = self._candidates(question, k, allowed)
        some = scores >= np.partition(scores, len(scores) - k)[len(scores) - k] if len(scores) > k else slice(None)
        rows, scores = rows[some], scores[some]
        best = np.lexsort((rows, -scores))[:k]
        return rows[best], scores[best]

    def scores(self, query: Floats, rows: NDArray[np.integer[Any]]) -> Floats:
        """The exact cosine of each of these rows, (len(rows),); NaN for rows that may not be answered."""
        out = np.full(len(rows), np.nan, np.float32)
        question = _direction(query)
        if question is None:
            return out
        known = np.flatnonzero(self.alive[rows])
        out[known] = self._cosines(question, rows[known])
        return out

    def vectors(self, rows: NDArray[np.integer[Any]]) -> Floats:
        """The stored vectors of these rows: (len(rows), d) float32."""
        return Rows(self._codes(rows))[:]

    def adding(self, vectors: Floats) -> VectorIndex:
        """With these vectors at the end, found from now on. Every search scores them all: meant for thousands."""
        fresh = Rows.of(vectors)
        tail = Rows(np.concatenate([self.tail.codes, fresh.codes]))
        return replace(self, tail=tail, alive=np.concatenate([self.alive, _some(fresh)]))

    def without(self, rows: NDArray[np.integer[Any]]) -> VectorIndex:
        """With these rows taken out; the others keep their numbers."""
        alive = self.alive.copy()
        alive[rows] = False
        return replace(self, alive=alive)

    def settled(self, questions: Floats | None = None, *, graph_from: int = GRAPH_FROM) -> VectorIndex:
        """The same answers with the tail worked into the shortcut and the lost rows emptied."""
        if not len(self.tail) and bool(self.alive.all()):
            return self
        codes = np.concatenate([self.base.codes, self.tail.codes])
        codes[~self.alive] = 0
        return self._of(Rows(codes), self.alive, questions, graph_from)

    def save(self, folder: Path) -> None:
        """Flat arrays and one JSON; an index with a tail has to be `settled` first."""
        assert not len(self.tail), "save index.settled()"
        save_arrays(folder, {"codes": self.base.codes, "alive": self.alive})
        if self.signs is not None:
            self.signs.save(folder, "signs")
        if self.graph is not None:
            self.graph.save(folder)
        efforts, width = self.signs.efforts if self.signs else (), self.graph.width if self.graph else 0
        save_facts(folder, _Facts(len(self), self.dimensions, efforts, width))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Memory-map what `save` wrote."""
        facts = load_facts(folder, _Facts)
        rows = Rows(mapped(folder / "codes.npy"))
        signs = Signs.load(folder, "signs", facts.efforts) if facts.efforts else None
        graph = Graph.load(folder, facts.width) if facts.width and installed() else None
        tail = Rows(np.empty((0, facts.dimensions), np.int16))
        wanted = facts.width > 0 or facts.rows >= GRAPH_FROM
        return cls(rows, tail, mapped(folder / "alive.npy"), signs, graph, _notes(facts.rows, wanted))

    @classmethod
    def _of(cls, rows: Rows, alive: Flags, questions: Floats | None, graph_from: int) -> Self:
        tail = Rows(np.empty((0, rows.dimensions), np.int16))
        questions = _questions(rows, alive, questions)
        if len(rows) <= EXACT or not len(questions):
            return cls(rows, tail, alive, None)
        signs = Signs.of(rows).measured(rows, questions, alive)
        wanted = len(rows) >= graph_from
        graph = Graph.build(rows, questions, alive) if wanted and installed() else None
        return cls(rows, tail, alive, signs, graph, _notes(len(rows), wanted))

    def _candidates(self, question: Floats, k: int, allowed: Flags) -> tuple[Ints, Floats]:
        """(rows, cosines) worth sorting: all that are allowed, or those that the shortcut names and the tail."""
        size = len(self.base)
        own = allowed[:size] if len(self.tail) else allowed
        passing = int(np.count_nonzero(own))
        if self.signs is None or passing <= EXACT:
            rows = np.flatnonzero(allowed).astype(np.int32)
            return rows, self._cosines(question, rows)
        found, scores = NONE
        if self.graph is not None and passing >= MOST * size and k <= LONGEST:
            found = self.graph.near(question, k, own)
            scores = self._cosines(question, found)
        if len(found) < k:
            found, scores = self.signs.near(question, k, own, lambda rows: self._cosines(question, rows))
        if not len(self.tail):
            return found, scores
        late = np.flatnonzero(allowed[size:]).astype(np.int32) + np.int32(size)
        return np.concatenate([found, late]), np.concatenate([scores, self._cosines(question, late)])

    def _cosines(self, question: Floats, rows: NDArray[np.integer[Any]]) -> Floats:
        """Row by row (a matrix product would round a row differently in other company): (len(rows),)."""
        out = np.empty(len(rows), np.float32)
        asked = question * Rows.SCALE
        room = np.empty((min(len(rows), SCORED), self.dimensions), np.float32)
        for start in range(0, len(rows), SCORED):
            part = rows[start : start + SCORED]
            room[: len(part)] = self._codes(part)
            np.vecdot(room[: len(part)], asked, out=out[start : start + SCORED])
        return out

    def _codes(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int16]:
        size = len(self.base)
        if not len(self.tail):
            held: NDArray[np.int16] = self.base.codes.take(rows, axis=0)
            return held
        out = np.empty((len(rows), self.dimensions), np.int16)
        late = rows >= size
        out[~late] = self.base.codes[rows[~late]]
        out[late] = self.tail.codes[rows[late] - size]
        return out


def _notes(rows: int, graph_wanted: bool) -> tuple[str, ...]:
    if not graph_wanted or installed():
        return ()
    return (f"without faiss {rows:,} vectors are searched several times slower. next: pip install 'bodega[vectors]'",)


def _questions(rows: Rows, alive: Flags, given: Floats | None) -> Floats:
    """The given questions that say something, or rows in their stead."""
    if given is not None and given.any():
        return given[given.any(axis=1)]
    known = np.flatnonzero(alive)
    return rows[known[np.linspace(0, len(known) - 1, min(len(known), QUESTIONS)).astype(np.int64)]]


def _direction(query: Floats) -> Floats | None:
    """The query with length 1, or None for zeros (or what is no number)."""
    length = float(np.linalg.norm(query))
    return np.asarray(query / np.float32(length), np.float32) if 0 < length < np.inf else None


def _some(rows: Rows) -> Flags:
    return np.asarray(rows.codes.any(axis=1), np.bool_)
