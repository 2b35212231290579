"""How fast are the nearest vectors found, and how many of them? Our index beside brute force and the libraries for it.

For each set: build in seconds, time of a top-200 question, and recall@200 against brute force (equal cosines count
alike), without a filter and where a random tenth and a hundredth of the rows may be answered. Times are CPU
milliseconds of the whole process, median over the questions: on a busy machine the clock says little. The sets are
`clustered` ones of any size, and with `data` the real titles of a shop under its own static encoder.

    exact     one float32 matrix product and a partial sort: what recall is measured against
    index     `retrieval._vectors` as a base install has it (sign bits, exact scores)
    graph     the same with faiss's HNSW in front (extra `vectors`)
    hnsw, sq8 faiss alone: HNSW over float16 (32 links, efSearch 400), 8-bit numbers looked at one by one
    usearch   HNSW over float16 with its own defaults and expansion 400, where that package happens to be installed
Not for: judging an encoder (`bench search`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bodega.bench import search
from bodega.bench._judged import no_log
from bodega.bench._vector_sets import clustered
from bodega.bench.result import BenchResult
from bodega.errors import BadRequest
from bodega.retrieval._graph import installed
from bodega.retrieval._vectors import VectorIndex
from bodega.retrieval.dense import halves
from bodega.schema import World
from bodega.schema.arrays import Flags, Floats, Ints
from bodega.understanding.text.passages import passage
from bodega.understanding.text.training import TrainingOptions, train

K = 200
SHARES = {"": 1.0, "_tenth": 0.1, "_hundredth": 0.01}
"""{suffix of a metric: share of the rows that may be answered}."""
PRACTICE = 64
ROUNDING = 2e-4
"""Cosines that differ by less count as equal: indexes store rounded numbers."""
EVERY = 10**9

Answer = Callable[[Floats, Flags | None], Ints]
"""(question, which rows may be answered) -> rows, best first."""

Maker = Callable[[Floats, Floats], Answer]
"""(rows, questions to practise on) -> an index over the rows."""


@dataclass(frozen=True, slots=True)
class VectorOptions:
    """`sizes` x `dimensions` clustered sets; `data` (the folder of `bench search`) adds the real one.

    `train_seconds` bounds the training of the real set's encoder.
    """

    sizes: tuple[int, ...] = (48_000, 100_000, 200_000)
    dimensions: tuple[int, ...] = (128, 256)
    questions: int = 100
    seed: int = 7
    data: Path | None = None
    train_seconds: float = 20.0
    contestants: tuple[str, ...] = ("exact", "index", "graph", "hnsw", "sq8", "usearch")


class Vectors(NamedTuple):
    """One set to search in."""

    name: str
    rows: Floats
    questions: Floats
    practice: Floats
    """Other questions, that an index may measure itself on."""


def run(options: VectorOptions) -> BenchResult:
    """Measure. Raises BadFeed where `data` lacks a file, BadRequest for sets or contestants that cannot be."""
    began = time.perf_counter()
    _check(options)
    names = [name for name in options.contestants if _possible(name)]
    figures: dict[str, float] = {}
    sets = []
    for known in _sets(options):
        sets.append(known.name)
        for name in names:
            measured = _measured(MAKERS[name], known, filters=name in ("exact", "index", "graph"))
            figures |= {f"{name}.{metric}.{known.name}": value for metric, value in measured.items()}
    return BenchResult(
        bench="vectors",
        data=", ".join(sets),
        seconds=round(time.perf_counter() - began, 1),
        figures=figures,
        facts={"seed": options.seed, "questions": options.questions, "k": K, "contestants": names},
        notes=(
            "ms: CPU milliseconds of the process for one question, median; build_s: CPU seconds",
            "recall@200 against brute force; rows whose cosine equals that of a true one count as true",
            *(f"{name} is not installed and left out" for name in options.contestants if name not in names),
        ),
    )


def _check(options: VectorOptions) -> None:
    unknown = [name for name in options.contestants if name not in MAKERS]
    if unknown:
        raise BadRequest("there is no such contestant", where="contestants", allowed=", ".join(MAKERS), got=unknown)
    if (
        min((*options.sizes, *options.dimensions, options.questions), default=1) < 2
        or min(options.sizes, default=K) < K
    ):
        raise BadRequest(
            "these sets are too small to measure", where="sizes, dimensions, questions",
            allowed=f"{K} rows, 2 dimensions, 2 questions or more",
            got=(options.sizes, options.dimensions, options.questions),
        )  # fmt: skip


def _sets(options: VectorOptions) -> Iterator[Vectors]:
    """The sets, one at a time (a million rows of 256 directions are a gigabyte)."""
    if options.data is not None:
        yield _titles(options, options.data)
    for size in options.sizes:
        for dimensions in options.dimensions:
            rows, asked = clustered(size, dimensions, options.questions + PRACTICE, options.seed)
            yield Vectors(f"clustered_{size // 1_000}k_{dimensions}d", rows, asked[PRACTICE:], asked[:PRACTICE])


def _titles(options: VectorOptions, data: Path) -> Vectors:
    """Real passages, and halves of titles as questions, under an encoder learned from them."""
    read = search.read_data(search.SearchOptions(data, generated=0))
    world = World(read.table, no_log(), 0.0)
    encoder, _ = train(world, TrainingOptions(seconds=options.train_seconds))
    rows = encoder.encode([passage(item) for item in read.items])
    asked = encoder.encode([text for _, text in halves(read.table, options.questions + PRACTICE)], query=True)
    asked = np.random.default_rng(options.seed).permutation(asked[asked.any(axis=1)])
    name = f"titles_{len(rows) // 1_000}k_{rows.shape[1]}d"
    return Vectors(name, rows, asked[PRACTICE:], asked[:PRACTICE])


def _measured(make: Maker, known: Vectors, *, filters: bool) -> dict[str, float]:
    before = time.process_time()
    answer = make(known.rows, known.practice)
    figures = {"build_s": time.process_time() - before}
    rng = np.random.default_rng(0)
    for suffix, share in SHARES.items() if filters else [("", 1.0)]:
        keep = rng.random(len(known.rows)) < share if share < 1 else None
        shares, spent = [], []
        for question in known.questions:
            before = time.process_time()
            rows = answer(question, keep)
            spent.append((time.process_time() - before) * 1_000)
            shares.append(_recall(known.rows, question, keep, rows))
        figures |= {f"recall@{K}{suffix}": float(np.mean(shares)), f"ms{suffix}": float(np.median(spent))}
    return figures


def _recall(vectors: Floats, question: Floats, keep: Flags | None, rows: Ints) -> float:
    cosines = vectors @ question
    if keep is not None:
        cosines[~keep] = -np.inf
    wanted = min(K, len(cosines) if keep is None else int(np.count_nonzero(keep)))
    least = np.partition(cosines, len(cosines) - wanted)[len(cosines) - wanted]
    return float(np.count_nonzero(cosines[rows] >= least - ROUNDING)) / max(1, wanted)


def _exact(rows: Floats, _: Floats) -> Answer:
    def answer(question: Floats, keep: Flags | None) -> Ints:
        cosines = rows @ question
        if keep is not None:
            cosines[~keep] = -np.inf
        best = np.argpartition(cosines, len(cosines) - K)[len(cosines) - K :]
        best = best[np.argsort(-cosines[best], kind="stable")]
        return np.asarray(best[np.isfinite(cosines[best])], np.int32)

    return answer


def _index(rows: Floats, practice: Floats) -> Answer:
    index = VectorIndex.build(rows, practice, graph_from=EVERY)
    return lambda question, keep: index.search(question, K, keep)[0]


def _graph(rows: Floats, practice: Floats) -> Answer:
    index = VectorIndex.build(rows, practice, graph_from=0)
    return lambda question, keep: index.search(question, K, keep)[0]


def _hnsw(rows: Floats, _: Floats) -> Answer:
    faiss: Any = import_module("faiss")
    index = faiss.IndexHNSWSQ(rows.shape[1], faiss.ScalarQuantizer.QT_fp16, 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 80
    index.train(rows[:100])
    index.add(rows)
    options = faiss.SearchParametersHNSW(efSearch=400)
    return lambda question, _: _found(index.search(question[None], K, params=options)[1][0])


def _sq8(rows: Floats, _: Floats) -> Answer:
    faiss: Any = import_module("faiss")
    index = faiss.IndexScalarQuantizer(rows.shape[1], faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    index.train(rows)
    index.add(rows)
    return lambda question, _: _found(index.search(question[None], K)[1][0])


def _usearch(rows: Floats, _: Floats) -> Answer:
    kind: Any = import_module("usearch.index").Index
    index = kind(ndim=rows.shape[1], metric="ip", dtype="f16", expansion_search=400)
    index.add(np.arange(len(rows)), rows)
    return lambda question, _: _found(index.search(question, K).keys.astype(np.int64))


def _found(rows: Any) -> Ints:
    return np.asarray(rows[rows >= 0], np.int32)


MAKERS: dict[str, Maker] = {
    "exact": _exact,
    "index": _index,
    "graph": _graph,
    "hnsw": _hnsw,
    "sq8": _sq8,
    "usearch": _usearch,
}


def _possible(name: str) -> bool:
    """Is what this contestant needs installed?"""
    if name == "usearch":
        return util.find_spec("usearch") is not None
    return name in ("exact", "index") or installed()
