"""The recommend benchmark on a folder small enough to know what must come out, and on folders that cannot be used."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bodega.bench import recommend
from bodega.bench._sequences import read_sequences, shuffle_runs
from bodega.bench._table import print_result
from bodega.bench.recommend import RecommendOptions
from bodega.errors import BadFeed, BadRequest

N_ITEMS = 60


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shoppers walk round a ring of items, one step at a time: after i comes i + 1."""
    folder = tmp_path_factory.mktemp("chain")
    rng = np.random.default_rng(1)
    lines = []
    for user in range(400):
        start, length = int(rng.integers(N_ITEMS)), int(rng.integers(5, 9))
        lines.append(" ".join([f"u{user}", *(f"i{(start + step) % N_ITEMS}" for step in range(length))]))
    (folder / "sequences.txt").write_text("\n".join(lines) + "\n")
    (folder / "item2attributes.json").write_text(json.dumps({f"i{item}": [item % 3] for item in range(N_ITEMS)}))
    return folder


@pytest.fixture(scope="module")
def result(chain: Path) -> recommend.BenchResult:
    return recommend.run(RecommendOptions(chain))


def timeless(result: recommend.BenchResult) -> dict[str, float]:
    """The figures that are not times."""
    return {name: figure for name, figure in result.figures.items() if not name.endswith("cpu_s")}


def test_order_is_found_by_who_looks_at_it(result: recommend.BenchResult) -> None:
    figures = result.figures
    assert figures["transition.ndcg@10"] > 0.9
    assert figures["popular.ndcg@10"] < 0.3
    assert figures["fusion.ndcg@10"] > 0.9
    assert figures["fusion.hit@10"] == figures["fusion.recall@10"]


def test_every_promised_name_is_there(result: recommend.BenchResult) -> None:
    for source in ("popular", "transition", "collaborative", "matrix", "graph", "slim", "fusion", "ranked"):
        for name in (*recommend.METRICS, "coverage@10", "novelty@10", "popularity@10", "gini@10"):
            assert f"{source}.{name}" in result.figures
        for name in recommend.UNMASKED:
            assert f"{source}.{name}.unmasked" in result.figures
            low, high = result.intervals[f"{source}.{name}"]
            assert low <= result.figures[f"{source}.{name}"] <= high
    assert "repeat.ndcg@10" not in result.figures
    assert any(note.startswith("repeat:") for note in result.notes)
    assert result.intervals["fusion_vs_best.ndcg@10"][0] <= result.figures["fusion_vs_best.ndcg@10"]
    assert {"ranked_vs_fusion.ndcg@10", "ranked_vs_best.recall@10", "training.cpu_s"} <= set(result.figures)
    assert any(note.startswith("home: ") and "the sum" in note for note in result.notes), "the ranker's verdict"
    assert result.facts["cases"] == 400
    assert result.facts["best_single"] == "transition"


def test_slices_part_the_cases(result: recommend.BenchResult) -> None:
    slices = result.slices
    assert slices["target has < 5 events"]["cases"] + slices["target has >= 5 events"]["cases"] == 400
    assert slices["target never with the history"]["cases"] + slices["target seen with the history"]["cases"] == 400


@pytest.mark.slow
def test_it_is_the_same_again(chain: Path, result: recommend.BenchResult) -> None:
    again = recommend.run(RecommendOptions(chain))
    assert timeless(again) == timeless(result)
    assert again.intervals == result.intervals


@pytest.mark.slow
def test_a_draw_of_users_is_smaller_and_said(chain: Path) -> None:
    few = recommend.run(RecommendOptions(chain, users=50))
    assert few.facts["cases"] == 50
    assert any("seeded draw of 50" in note for note in few.notes)


def test_the_table_shows_every_source(result: recommend.BenchResult) -> None:
    console = Console(width=140, file=StringIO())
    print_result(result, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for word in ("transition", "fusion", "ndcg@10", "±", "unmasked", "fusion_vs_best", "seed 7", result.facts["hash"]):
        assert word in text


def test_item_order_does_not_change_the_figures(chain: Path, result: recommend.BenchResult) -> None:
    """Another shuffle of the ids moves only what ties decide: next to nothing, and never in favour of anybody."""
    other = recommend.run(RecommendOptions(chain, seed=8))
    for source in ("transition", "collaborative"):
        assert other.figures[f"{source}.ndcg@10"] == pytest.approx(result.figures[f"{source}.ndcg@10"], abs=0.02)


def test_ids_are_shuffled(chain: Path) -> None:
    data = read_sequences(chain, seed=3)
    assert list(data.items.ids) != sorted(data.items.ids)
    assert list(data.items.ids) == list(read_sequences(chain, seed=3).items.ids)
    assert list(data.items.ids) != list(read_sequences(chain, seed=4).items.ids)


def test_runs_in_ascending_order_are_shuffled_inside_only() -> None:
    place = np.arange(10)
    sequence = np.array([3, 5, 9, 2, 4, 1, 0, 7], np.int32)  # runs: 3 5 9 | 2 4 | 1 | 0 7
    seen = set()
    for seed in range(60):
        mixed, moved = shuffle_runs(sequence, place, np.random.default_rng(seed))
        assert moved == 7
        assert [sorted(part.tolist()) for part in np.split(mixed, [3, 5, 6])] == [[3, 5, 9], [2, 4], [1], [0, 7]]
        seen.add(tuple(mixed.tolist()))
    assert len(seen) > 15


def test_shuffled_ties_destroy_an_order_that_is_only_sorted(tmp_path: Path) -> None:
    """Six neighbours in ascending ASIN order: in file order the last is certain, shuffled it is any of them."""
    rng = np.random.default_rng(2)
    starts = rng.integers(0, 34, 300)
    lines = [" ".join(["u", *(str(item) for item in range(start, start + 6))]) for start in starts]
    (tmp_path / "sequences.txt").write_text("\n".join(lines))
    (tmp_path / "items.tsv").write_text("item_id\tasin\n" + "\n".join(f"{i}\tB{i:04}" for i in range(40)))
    as_filed = recommend.run(RecommendOptions(tmp_path)).figures
    shuffled = recommend.run(RecommendOptions(tmp_path, ties="shuffled"))
    assert shuffled.figures["transition.ndcg@10"] < as_filed["transition.ndcg@10"] - 0.05
    assert any("ascending ASIN order" in note for note in shuffled.notes)


def test_people_who_take_things_again_are_judged_without_a_mask(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    lines = []
    for user in range(200):
        own = rng.permutation(50)[:3]
        lines.append(" ".join([str(user), *(str(item) for item in np.tile(own, 4)[: int(rng.integers(7, 12))])]))
    (tmp_path / "sequences.txt").write_text("\n".join(lines))
    result = recommend.run(RecommendOptions(tmp_path))
    assert result.figures["repeat.recall@5"] > 0.9
    assert result.figures["repeat.recall@5"] == result.figures["repeat.recall@5.unmasked"]


@pytest.mark.parametrize(
    ("files", "error", "word"),
    [
        ({}, BadFeed, "sequences.txt"),
        ({"sequences.txt": ""}, BadFeed, "empty"),
        ({"sequences.txt": "u1 a b c\nu2\n"}, BadFeed, ":2"),
        ({"sequences.txt": "u1 a\nu2 b\n"}, BadRequest, "at least 3"),
        ({"sequences.txt": "u1 a b c\n", "item2attributes.json": "[1]"}, BadFeed, "attributes"),
    ],
)
def test_folders_that_cannot_be_used_say_why(
    tmp_path: Path, files: dict[str, str], error: type[Exception], word: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(error, match=word):
        recommend.run(RecommendOptions(tmp_path))


def test_unknown_options_say_what_is_allowed(chain: Path) -> None:
    with pytest.raises(BadRequest, match="file or shuffled"):
        recommend.run(RecommendOptions(chain, ties="random"))
    with pytest.raises(BadRequest, match="1 or more"):
        recommend.run(RecommendOptions(chain, users=0))
