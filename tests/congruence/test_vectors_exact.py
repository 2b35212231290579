"""The vector index against brute force: does it find the true 200 nearest, under filters, after changes?"""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from bodega.bench._vector_sets import clustered, directions
from bodega.retrieval import _graph, _signs, _vectors
from bodega.retrieval._graph import Graph
from bodega.retrieval._vectors import EXACT, VectorIndex
from bodega.understanding.language import tokens

K = 200
LEAST = 0.97
PASSING = (1.0, 0.1, 0.01)
DATA = Path(os.environ.get("BODEGA_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
TITLES = DATA / "bestbuy_retrotech" / "products.csv.gz"


def title_vectors(dimensions: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """(titles, halves of other titles) as vectors: words hashed to random directions, rare words longer."""
    with gzip.open(TITLES, "rt", encoding="utf-8", newline="") as file:
        titles = [tokens(row["name"] or "") for row in csv.DictReader(file)]
    number: dict[str, int] = {}
    for words in titles:
        for word in words:
            number.setdefault(word, len(number))
    seen = np.bincount([number[word] for words in titles for word in set(words)], minlength=len(number))
    known = np.random.default_rng(0).standard_normal((len(number), dimensions)).astype(np.float32)
    known *= np.log1p(len(titles) / seen).astype(np.float32)[:, None]

    def encode(texts: list[list[str]]) -> np.ndarray:
        rows = [known[[number[word] for word in words]].sum(axis=0) for words in texts]
        rows = np.array(rows, np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

    chosen = np.random.default_rng(1).choice(len(titles), 160, replace=False)
    return encode(titles), encode([titles[row][::2] for row in chosen if titles[row]])


def brute(vectors: np.ndarray, query: np.ndarray, keep: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    """(cosines of all rows, -inf where not kept; the k-th best)."""
    cosines = np.where(keep, vectors @ query, -np.inf)
    return cosines, float(np.sort(cosines)[::-1][min(k, int(keep.sum())) - 1])


def recall(index: VectorIndex, vectors: np.ndarray, queries: np.ndarray, keep: np.ndarray) -> float:
    """Mean share of the true K nearest that are found (equal cosines count alike), lists checked on the way."""
    shares = []
    for query in queries:
        cosines, least = brute(vectors, query, keep, K)
        rows, scores = index.search(query, K, keep)
        assert keep[rows].all()
        assert len(np.unique(rows)) == len(rows) == min(K, int(keep.sum()))
        assert np.allclose(scores, cosines[rows], atol=2e-4)
        assert (np.diff(scores) <= 0).all()
        shares.append(np.count_nonzero(cosines[rows] >= least - 2e-4) / len(rows))
    return float(np.mean(shares))


def passing(size: int, share: float) -> np.ndarray:
    return np.random.default_rng(5).random(size) < share


SETS = ("random", "clustered", "many clustered", "titles")


@pytest.fixture(scope="module", params=SETS)
def case(request: pytest.FixtureRequest) -> tuple[VectorIndex, np.ndarray, np.ndarray]:
    if request.param == "titles":
        if not TITLES.exists():
            pytest.skip(f"no {TITLES}: set BODEGA_DATA")
        vectors, queries = title_vectors()
        return VectorIndex.build(vectors, queries[80:]), vectors, queries[:80]
    rng = np.random.default_rng(2)
    if request.param == "random":
        vectors, queries = directions(rng, 16_000, 64), directions(rng, 40, 64)
    else:
        size = 16_000 if request.param == "clustered" else _signs.CELLS_FROM
        vectors, queries = clustered(size, 64, 40, seed=2)
    return VectorIndex.build(vectors), vectors, queries


@pytest.mark.parametrize("share", PASSING)
def test_recall_under_filters(case: tuple[VectorIndex, np.ndarray, np.ndarray], share: float) -> None:
    index, vectors, queries = case
    keep = passing(len(vectors), share)
    got = recall(index, vectors, queries, keep)
    assert got >= LEAST
    if keep.sum() <= EXACT:
        assert got == 1.0


def test_the_cells_are_used_and_leave_most_rows_alone() -> None:
    vectors, _ = clustered(_signs.CELLS_FROM, 32, 1, seed=3)
    index = VectorIndex.build(vectors)
    assert index.signs is not None
    assert len(index.signs.centres) > 100
    assert index.signs.look(K, len(vectors)) < len(vectors) / 3


@pytest.mark.parametrize("far", [False, True], ids=["near the question", "far from it"])
def test_a_filter_that_agrees_or_disagrees_with_the_question(far: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that leaves only what is far from the question empties the nearest cells: the search has to go on."""
    monkeypatch.setattr(_signs, "CELLS_FROM", 10_000)
    vectors, queries = clustered(60_000, 32, 12, seed=4)
    index = VectorIndex.build(vectors)
    assert index.signs is not None
    assert index.signs.look(K, 30_000) < 10_000
    found = []
    for query in queries:
        cosines = vectors @ query
        keep = (cosines < np.median(cosines)) if far else (cosines > np.median(cosines))
        found.append(recall(index, vectors, query[None], keep))
    assert np.mean(found) >= LEAST


def test_added_rows_are_found_and_lost_rows_are_not() -> None:
    rng = np.random.default_rng(6)
    vectors, queries = clustered(15_000, 48, 20, seed=6)
    fresh = queries[:10] + 0.05 * directions(rng, 10, 48)
    fresh /= np.linalg.norm(fresh, axis=1, keepdims=True)
    index = VectorIndex.build(vectors)
    gone = np.array([index.search(query, 1)[0][0] for query in queries])
    grown = index.adding(fresh[:4]).adding(fresh[4:]).without(gone)
    every = np.concatenate([vectors, fresh]).astype(np.float32)
    keep = np.ones(len(every), bool)
    keep[gone] = False
    assert len(grown) == len(every)
    assert recall(grown, every, queries, keep) >= LEAST
    for number, query in enumerate(queries[:10]):
        assert grown.search(query, 1)[0][0] == 15_000 + number
    assert len(index) == 15_000, "the old index changed"
    assert index.search(queries[0], 1)[0][0] == gone[0], "the old index changed"
    settled = grown.settled()
    assert not len(settled.tail)
    assert recall(settled, every, queries, keep) >= LEAST


def test_mapped_equals_in_memory_and_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    vectors, queries = clustered(12_000, 32, 10, seed=7)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        VectorIndex.build(vectors, queries).save(folder)
    names = sorted(path.name for path in folders[0].iterdir())
    assert {"codes.npy", "signs.words.npy", "facts.json"} <= set(names)
    assert all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in names)
    whole, mapped = VectorIndex.build(vectors, queries), VectorIndex.load(folders[0])
    assert not mapped.base.codes.flags.writeable
    for query in queries:
        for keep in (None, passing(len(vectors), 0.9)):
            for k in (1, 50, 3_000):
                one, two = whole.search(query, k, keep), mapped.search(query, k, keep)
                assert np.array_equal(one[0], two[0])
                assert np.array_equal(one[1], two[1])


def test_long_lists_and_equal_vectors() -> None:
    vectors, queries = clustered(12_000, 32, 10, seed=8)
    vectors[4_000:8_000] = vectors[:4_000]
    vectors[9_000] = 0.0
    index = VectorIndex.build(vectors)
    for query in queries:
        rows, scores = index.search(query, 12_000)
        assert len(rows) == 11_999
        assert 9_000 not in rows
        tied = np.flatnonzero(np.diff(scores) == 0)
        assert len(tied) >= 4_000
        assert (np.diff(rows)[tied] > 0).all()
        assert np.mean(np.isin(index.search(query, 300)[0], rows[:300])) >= 0.95


@pytest.fixture(scope="module")
def graphed() -> tuple[VectorIndex, np.ndarray, np.ndarray]:
    pytest.importorskip("faiss", reason="the extra 'vectors' is not installed")
    vectors, queries = clustered(12_000, 32, 40, seed=9)
    index = VectorIndex.build(vectors, graph_from=10_000)
    assert index.graph is not None
    return index, vectors, queries


@pytest.mark.parametrize("share", [1.0, 0.95, 0.5])
def test_the_graph_keeps_recall_under_filters(
    graphed: tuple[VectorIndex, np.ndarray, np.ndarray], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, vectors, queries = graphed
    walked = []
    near = Graph.near
    monkeypatch.setattr(Graph, "near", lambda *args: walked.append(1) or near(*args))
    assert recall(index, vectors, queries, passing(len(vectors), share)) >= LEAST
    assert len(walked) == (len(queries) if share > 0.5 else 0)


def test_the_graph_knows_changes(graphed: tuple[VectorIndex, np.ndarray, np.ndarray]) -> None:
    index, vectors, queries = graphed
    gone = np.array([index.search(query, 1)[0][0] for query in queries])
    changed = index.without(gone).adding(queries[:3])
    for number, query in enumerate(queries):
        rows, _ = changed.search(query, 20)
        assert not np.isin(gone, rows).any()
        assert number >= 3 or rows[0] == len(vectors) + number


def test_the_graph_is_saved_in_equal_bytes_and_opens_without_its_library(
    graphed: tuple[VectorIndex, np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, vectors, queries = graphed
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, made in zip(folders, (index, VectorIndex.build(vectors, graph_from=10_000)), strict=True):
        folder.mkdir()
        made.save(folder)
    assert (folders[0] / "graph.npy").read_bytes() == (folders[1] / "graph.npy").read_bytes()
    mapped = VectorIndex.load(folders[0])
    assert mapped.graph is not None
    assert not mapped.notes
    for query in queries:
        assert np.array_equal(mapped.search(query, 50)[0], index.search(query, 50)[0])
    for module in (_vectors, _graph):
        monkeypatch.setattr(module, "installed", lambda: False)
    bare = VectorIndex.load(folders[0])
    assert bare.graph is None
    assert "pip install 'bodega[vectors]'" in bare.notes[0]
    assert recall(bare, vectors, queries, bare.alive) >= LEAST


def test_a_graph_that_finds_too_little_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss", reason="the extra 'vectors' is not installed")
    monkeypatch.setattr(_graph, "WIDTHS", (5,))
    vectors, _ = clustered(12_000, 32, 1, seed=9)
    index = VectorIndex.build(vectors, graph_from=10_000)
    assert index.graph is None
    assert index.signs is not None
