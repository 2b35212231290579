"""Which rows could be near this vector, when there are many hundred thousand? A graph of neighbours, walked greedily.

HNSW by faiss, over 8-bit numbers; what it names is scored exactly by `_vectors`, so it decides no order. It needs the
extra `vectors`; without it, and for filters that leave less than nine tenths of the rows, `_signs` answers, at any
size. How wide to walk is measured when it is built, on questions with known answers; where no width of `WIDTHS` finds
enough of them (twins and near-twins cut a graph into islands), there is no graph.
Built by one thread, row after row: equal input gives equal bytes. The file is mapped, not read.
Cost: 100 to 200 s per million rows of 128 directions; 270 bytes a row and one a direction; .4 to 1 ms a question.
Not for: small catalogs (the signs are as fast, and are built 30 times faster).
Paper: Malkov & Yashunin 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module, util
from pathlib import Path
from typing import Any

import numpy as np

from bodega.retrieval._signs import MEASURED_K, Rows
from bodega.schema.arrays import Flags, Floats, Ints
from bodega.schema.table import mapped

GRAPH_FROM = 2_000_000
"""Below, looking at the signs of every row takes 1 to 4 ms. At a million rows a graph saves 1.7 ms a question and costs
447 s of every `learn` (256 directions: over 10 minutes); the signs are built in 28 s."""
LINKS = 32
"""Neighbours a row (twice that on the ground floor). Own static encoder, 46,000 rows: 32 find .985 at a width of 400,
16 need 600 for .982; the build takes a quarter longer."""
BUILT_WITH = 80
"""Width of the walk while building."""
WIDTHS = (200, 300, 400, 600, 800, 1_200)
WANTED = 0.98
"""Share of the true nearest on the measured questions."""
TRAINED = 20_000
"""Rows that the 8-bit scale is taken from."""


def installed() -> bool:
    """Is faiss here? (Looks, imports nothing.)"""
    return util.find_spec("faiss") is not None


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """An opened HNSW index over n rows."""

    index: Any
    width: int
    """Rows kept in hand while walking, for 200 answers."""
    held: tuple[object, ...] = ()
    """The mapped file and its reader, which have to outlive the index."""

    @classmethod
    def build(cls, rows: Rows, questions: Floats, alive: Flags) -> Graph | None:
        """The graph over all rows, or None where it would find too little."""
        faiss = _faiss()
        index = faiss.IndexHNSWSQ(rows.dimensions, faiss.ScalarQuantizer.QT_8bit, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = BUILT_WITH
        threads = faiss.omp_get_max_threads()  # the process's, so it is put back
        faiss.omp_set_num_threads(1)
        try:
            index.train(rows[np.linspace(0, len(rows) - 1, min(len(rows), TRAINED)).astype(np.int64)])
            for _, block in rows.blocks():
                index.add(block)
        finally:
            faiss.omp_set_num_threads(threads)
        k = min(MEASURED_K, int(np.count_nonzero(alive)))
        answers = rows.nearest(questions, k, alive)
        for width in WIDTHS:
            graph = cls(index, width)
            found = [
                np.isin(answer, graph.near(question, k, alive)).mean()
                for question, answer in zip(questions, answers, strict=True)
            ]
            if np.mean(found) >= WANTED:
                return graph
        return None

    def near(self, question: Floats, k: int, keep: Flags) -> Ints:
        """Rows (ascending) of which `keep` holds, among them nearly all of the k nearest."""
        faiss = _faiss()
        width = max(self.width, -(-self.width * k // MEASURED_K))
        options = faiss.SearchParametersHNSW(efSearch=width)
        if not keep.all():
            bits = np.packbits(keep, bitorder="little")  # has to live until the search is over
            options.sel = faiss.IDSelectorBitmap(len(keep), faiss.swig_ptr(bits))
        _, found = self.index.search(question[None], min(width, len(keep)), params=options)
        rows = found[0]
        return np.sort(rows[rows >= 0]).astype(np.int32)

    def save(self, folder: Path) -> None:
        """faiss's own bytes, as an array."""
        faiss = _faiss()
        np.save(folder / "graph.npy", faiss.serialize_index(self.index))

    @classmethod
    def load(cls, folder: Path, width: int) -> Graph:
        """Map what `save` wrote."""
        faiss = _faiss()
        raw = mapped(folder / "graph.npy")
        reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(raw), raw.nbytes)
        return cls(faiss.read_index(reader), width, (raw, reader))


def _faiss() -> Any:
    """faiss, untyped: its stubs do not know what swig makes of it."""
    return import_module("faiss")
