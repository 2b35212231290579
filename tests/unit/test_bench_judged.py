"""Any judged set: files of several shapes are read and joined, stages are judged, clicks teach and weigh."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from bodega.bench._judged import JudgedFiles, read_judged
from bodega.bench.judged import JudgedOptions, run
from bodega.errors import BadFeed
from bodega.evaluation import Ranked
from bodega.evaluation.graded import graded_ndcg

COUCHES = [
    f"{colour} couch {size}" for colour in ("red", "blue", "green", "grey") for size in ("small", "large", "corner")
]
LAMPS = [f"{colour} desk lamp {kind}" for colour in ("red", "blue", "green", "grey") for kind in ("led", "clip", "arc")]
OTHERS = [
    f"{kind} {thing}" for kind in ("oak", "pine", "steel", "glass") for thing in ("table", "shelf", "chair", "door")
]


def write(path: Path, head: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return path


@pytest.fixture
def files(tmp_path: Path) -> JudgedFiles:
    """40 items; "sofa" is in no title, people who type it click couches."""
    titles = [*COUCHES, *LAMPS, *OTHERS]
    items = write(tmp_path / "items.csv", ["product_id", "title"], [[f"P{n}", title] for n, title in enumerate(titles)])
    asked = ["red couch", "desk lamp led", "oak table", "comfy sofa"]
    queries = write(tmp_path / "queries.csv", ["query_id", "query"], [[f"q{n}", text] for n, text in enumerate(asked)])
    grades: list[list[object]] = [["q0", f"P{n}", 2 if n < 3 else 1] for n in range(12)]
    grades += [["q1", "P12", "Exact"], ["q1", "P13", "Partial"], ["q2", "P24", 1], ["q2", "P99", 1], ["q9", "P1", 1]]
    grades += [["q3", f"P{n}", 1] for n in range(12)]
    judgments = write(tmp_path / "judgments.csv", ["query_id", "product_id", "relevance"], grades)
    clicks = [
        [f"{word} sofa {size}", f"P{n}", 3] for n in range(12) for word in ("big", "cosy", "soft") for size in (n,)
    ]
    clicks += [[title, f"P{n}", 2] for n, title in enumerate(titles)]
    clicks += [[f"{title} cheap", f"P{n}", 1] for n, title in enumerate(titles)]
    clicks += [[f"new {title}", f"P{n}", 1] for n, title in enumerate(titles)]
    clicks += [[f"buy {title} {k}", f"P{n}", 1] for n, title in enumerate(titles) for k in range(4)]
    return JudgedFiles(
        items, queries, judgments, write(tmp_path / "clicks.csv", ["query", "product_id", "clicks"], clicks)
    )


def options(files: JudgedFiles, *, clicks: bool) -> JudgedOptions:
    return JudgedOptions(files, beside="none", teacher="none", clicks=clicks)


def test_files_are_joined_by_id_and_what_cannot_be_joined_is_counted(files: JudgedFiles) -> None:
    judged = read_judged(files, seed=1)
    assert len(judged.table) == 40
    assert [case.context.query for case in judged.cases] == ["red couch", "desk lamp led", "oak table", "comfy sofa"]
    assert judged.facts["unjoined_judgments"] == 2
    assert sorted(judged.gain[:12].tolist()) == [1.0] * 9 + [2.0] * 3
    titles = [judged.table.titles[row] for row in judged.cases[2].relevant]
    assert titles == ["oak table"]
    assert judged.log.queries


def test_qrels_without_a_header_and_json_lines_are_read(files: JudgedFiles, tmp_path: Path) -> None:
    qrels = tmp_path / "grades.qrels"
    qrels.write_text("q0 0 P0 3\nq0 0 P1 0\n", "utf-8")
    lines = tmp_path / "queries.jsonl"
    lines.write_text(json.dumps({"id": "q0", "text": "red couch"}) + "\n", "utf-8")
    judged = read_judged(JudgedFiles(files.items, lines, qrels), seed=1)
    assert judged.gain.tolist() == [3.0]
    assert len(judged.log) == 0


def test_stages_are_judged_and_a_click_log_teaches_words_that_no_title_holds(files: JudgedFiles) -> None:
    without = run(options(files, clicks=False))
    taught = run(options(files, clicks=True))
    for stage in ("bm25", "lexical", "dense", "rrf", "fusion"):
        for metric in ("ndcg@10", "mrr", "recall@100"):
            assert 0 <= without.figures[f"{stage}.{metric}"] <= 1
            assert f"{stage}.{metric}" in without.intervals
    assert taught.facts["validation_queries"] >= 30
    assert taught.facts["encoders"] == {"dense": "static"}
    assert without.facts["validation_queries"] == 0
    for found in (without, taught):  # "comfy sofa" is in no title: only meaning, or what others clicked, finds a couch
        assert found.figures["fusion.ndcg@10"] > found.figures["lexical.ndcg@10"]
    assert taught.figures["asked.mrr"] > 0.5 > 0.1 > without.figures["asked.mrr"]  # without clicks: chance


def test_a_missing_column_or_no_join_at_all_is_told(files: JudgedFiles, tmp_path: Path) -> None:
    odd = write(tmp_path / "odd.csv", ["a", "b"], [[1, 2]])
    with pytest.raises(BadFeed, match="column"):
        read_judged(JudgedFiles(files.items, files.queries, odd), seed=1)
    stranger = write(tmp_path / "stranger.csv", ["query_id", "product_id", "grade"], [["x", "y", 1]])
    with pytest.raises(BadFeed, match="no judgment"):
        read_judged(JudgedFiles(files.items, files.queries, stranger), seed=1)
    words = write(tmp_path / "words.csv", ["query_id", "product_id", "grade"], [["q0", "P0", "lovely"]])
    with pytest.raises(BadFeed, match="grade"):
        read_judged(JudgedFiles(files.items, files.queries, words), seed=1)


def test_graded_ndcg_on_paper() -> None:
    ranked = Ranked(np.array([2.0, 1.0, 5.0]), np.array([5, 6, 7]), np.array([0, 0, 1]), np.array([9, 9]))
    found = graded_ndcg(ranked, np.array([3.0, 1.0, 2.0]), 4)
    best = 3 + 1 / np.log2(3)
    np.testing.assert_allclose(found, [(3 / np.log2(3) + 1) / best, 0.0])
