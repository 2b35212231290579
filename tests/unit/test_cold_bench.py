"""The cold-start benchmark on two small folders whose answers are known, and on folders that cannot be used."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from bodega.bench import cold
from bodega.bench._cold_sets import RARE, first_day, read_cold
from bodega.bench._office import history_log, is_office, read_office
from bodega.bench.cold import ColdOptions
from bodega.bench.result import BenchResult
from bodega.errors import BadFeed, BadRequest, LeakFound
from bodega.evaluation import Case, check_no_leak

FAMILIES, EACH = 12, 9
WORDS = ["amber", "birch", "cedar", "dune", "ember", "flint", "grove", "heath", "iris", "jade", "knoll", "larch"]


def titles() -> list[str]:
    return [f"{word} {word}ware piece {number}" for word in WORDS for number in range(EACH)]


def walks(seed: int, shoppers: int = 240) -> list[list[int]]:
    """Everybody stays in one family; its last three items are rare, and nobody takes an item twice."""
    rng = np.random.default_rng(seed)
    out = []
    for user in range(shoppers):
        family = user % FAMILIES
        own = rng.permutation(EACH - 3)[:4].tolist()
        if user < 5 * FAMILIES:  # a rare item now and then, at the end
            own[-1] = EACH - 3 + int(rng.integers(3))
        out.append([family * EACH + number for number in own])
    return out


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    lines = [f"u{user} " + " ".join(f"i{item}" for item in own) for user, own in enumerate(walks(3))]
    (folder / "sequences.txt").write_text("\n".join(lines) + "\n")
    rows = [f"i{number}\tA{number}\t{title}" for number, title in enumerate(titles())]
    (folder / "items.tsv").write_text("item_id\tasin\ttitle\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same shop as the office files tell it: descriptions of raw HTML inside printed lists."""
    folder = tmp_path_factory.mktemp("office")
    with gzip.open(folder / "items.jsonl.gz", "wt", encoding="utf-8") as file:
        for number, title in enumerate(titles()):
            dirt = f"['<style>.h {{color: red}}</style><b>Fine</b> &amp; {title}', '<br>']"
            row = {"item_id": number, "title": title, "description": dirt, "brand": "Oak", "categories": ""}
            file.write(json.dumps(row | {"published_sid": ["<a_1>"]}) + "\n")
    for name, seed in (("valid.csv", 4), ("test.csv", 5)):
        with (folder / name).open("w", newline="") as file:
            write = csv.writer(file)
            write.writerow(["user_id", "history_item_ids", "target_item_id"])
            for user, own in enumerate(walks(seed)):
                known = f"V{user}" if name == "valid.csv" or user % 2 else f"T{user}"
                for size in (2, 3):
                    write.writerow([known, " ".join(map(str, own[:size])), own[size]])
    return folder


@pytest.fixture(scope="module")
def result(families: Path) -> BenchResult:
    return cold.run(ColdOptions(families, cases=150, encoder="none"))


def test_words_find_what_events_cannot(result: BenchResult) -> None:
    figures = result.figures
    for source in ("content", "dense"):
        assert figures[f"{source}.recall@10"] > 0.9, source
        assert figures[f"{source}.recall@10.first_day"] > 0.9, source
        assert figures[f"{source}.recall@10.first_click"] > 0.9, source
    assert figures["popular.recall@10"] < 0.2
    assert figures["random.recall@10"] < 0.3
    assert figures["popular.recall@10.first_day"] < 0.3
    low, _ = result.intervals["content_vs_popular.ndcg@10"]
    assert low > 0


def test_every_promised_name_is_there(result: BenchResult) -> None:
    names = ("random", "popular", "transition", "content", "dense", "fusion_words", "fusion")
    for source in names:
        for metric in cold.METRICS:
            assert f"{source}.{metric}" in result.figures
            low, high = result.intervals[f"{source}.{metric}"]
            assert low - 1e-9 <= result.figures[f"{source}.{metric}"] <= high + 1e-9
        for metric in cold.FEWER:
            for suffix in (".cold", ".all", ".first_click"):
                assert f"{source}.{metric}{suffix}" in result.figures
    assert "sentences.ndcg@10" not in result.figures
    assert result.facts["encoders"] == {"dense": "static"}
    assert set(result.facts["weights"]) == {"fusion_words", "fusion"}


def test_the_same_seed_gives_the_same_figures(families: Path, result: BenchResult) -> None:
    again = cold.run(ColdOptions(families, cases=150, encoder="none"))
    assert again.figures == result.figures
    assert again.intervals == result.intervals


def test_every_answer_is_cold_and_no_case_leaks(families: Path) -> None:
    data = read_cold(families, limit=500, seed=7)
    counts = np.bincount(data.test.log.item, minlength=len(data.items))
    assert data.test.cases
    assert all(counts[case.relevant].max() <= RARE for case in data.test.cases)
    assert all((counts[case.masked] > RARE).all() for case in data.test.cases)
    assert any(counts[case.relevant].min() > RARE for case in data.everyone.cases)
    for asked in (data.valid, data.everyone, data.strangers):
        check_no_leak(asked.log, asked.cases)
    told = data.everyone.cases[0]
    with pytest.raises(LeakFound):
        check_no_leak(data.everyone.log, [_future(told)])


def _future(case: Case) -> Case:
    from dataclasses import replace

    return Case(replace(case.context, now=0.0), case.relevant, user=case.user)


def test_nothing_is_learned_of_a_stranger(families: Path) -> None:
    data = read_cold(families, limit=60, seed=7)
    assert len(data.strangers.cases) > 40
    assert len(data.strangers.log) < 0.9 * len(data.test.log)
    for case in data.strangers.cases:
        assert len(case.context.history) == 1
        assert case.user == -1
    pages = first_day(data.strangers.cases)
    assert all(case.context.place == "similar" and not len(case.context.history) for case in pages)


def test_the_office_files_come_through_the_import(office: Path) -> None:
    assert is_office(office)
    data = read_office(office)
    assert len(data.items) == FAMILIES * EACH
    assert data.dropped == 0
    said = data.items.item(0).description
    assert "Fine & " in said
    assert not any(dirt in said for dirt in ("<", "[", "color", "&amp;"))
    assert "published_sid" not in data.items.coded, "what the authors learned from these shoppers is no text of an item"


def test_the_office_windows_hold_no_answer(office: Path) -> None:
    data = read_office(office)
    before, after = history_log(data.valid, targets=False), history_log(data.valid, targets=True)
    users = len({row.user for row in data.valid})
    assert len(before) == 2 * users
    assert len(after) == 4 * users
    kept = read_cold(office, limit=100, seed=7)
    known = {row.user for row in data.valid}
    assert 0 < kept.strangers.among == sum(row.user not in known for row in data.test)


def test_the_office_runs(office: Path) -> None:
    figures = cold.run(ColdOptions(office, cases=60, encoder="none")).figures
    assert figures["content.recall@10"] > 0.9
    assert figures["popular.recall@10"] < 0.3


def test_what_cannot_be_used_says_so(tmp_path: Path, families: Path, office: Path) -> None:
    with pytest.raises(BadFeed, match=r"sequences"):
        cold.run(ColdOptions(tmp_path))
    with pytest.raises(BadRequest, match="too few cases"):
        cold.run(ColdOptions(families, cases=0))
    broken = tmp_path / "office"
    broken.mkdir()
    for name in ("items.jsonl.gz", "valid.csv"):
        (broken / name).write_bytes((office / name).read_bytes())
    (broken / "test.csv").write_text("user_id,history_item_ids\nx,1\n")
    with pytest.raises(BadFeed, match="not a user, a history and a target") as caught:
        cold.run(ColdOptions(broken))
    assert caught.value.where.endswith("test.csv:2")


def test_no_catalog_of_only_well_known_items_is_called_cold(tmp_path: Path) -> None:
    lines = [f"u{user} " + " ".join(f"i{(user + step) % 4}" for step in range(4)) for user in range(200)]
    (tmp_path / "sequences.txt").write_text("\n".join(lines) + "\n")
    with pytest.raises(BadRequest, match="no case whose answer is cold"):
        cold.run(ColdOptions(tmp_path, encoder="none"))


@pytest.mark.data
@pytest.mark.slow
def test_cold_items_of_the_real_office(data_folder: Path) -> None:
    figures = cold.run(ColdOptions(data_folder / "amazon2018_office", cases=300, encoder="none")).figures
    assert figures["content.ndcg@10"] > 0.04
    assert figures["dense.ndcg@10"] > 0.04
    assert figures["popular.ndcg@10"] < 0.01
