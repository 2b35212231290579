"""Rows of any spelling become reviews or dead letters with a reason; files come in once, whatever is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

import bodega
from bodega.catalog.reviews import REASONS, ReviewReader
from bodega.errors import BadFeed, TooManyBadRows
from bodega.schema import DeadLetter, Review
from bodega.settings import Settings

NOW = 1_800_000_000.0


def read(values: dict[str, Any], **mapping: str) -> Review | DeadLetter:
    reader = ReviewReader(Settings(), mapping, mask=lambda name: f"~{name}" if name else "")
    return reader.read(values, now=NOW, source="test", line=7)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"sku": "a", "rating": "4"}, Review(item="a", stars=4)),
        (
            {"asin": "a", "overall": 5.0, "reviewText": "Dry", "summary": "Yes"},
            Review(item="a", stars=5, title="Yes", text="Dry"),
        ),
        ({"商品编号": 12.0, "评分": "80%", "评论": "很好"}, Review(item="12", stars=4, text="很好")),
        ({"item": "a", "stars": "8 out of 10"}, Review(item="a", stars=4)),
        ({"item": "a", "stars": "★★★☆☆"}, Review(item="a", stars=3)),
        ({"item": "a", "stars": 0, "text": "no stars"}, Review(item="a", text="no stars")),
        ({"item": "a", "stars": None, "text": "<b>bold</b> &amp; fine"}, Review(item="a", text="bold & fine")),
        (
            {"item": "a", "user": 7.0, "text": "x", "verified_purchase": "true"},
            Review(item="a", user="~7", text="x", verified=True),
        ),
        ({"item": "a", "text": "x", "helpful": [3, 4]}, Review(item="a", text="x", helpful=3)),
        ({"item": "a", "text": "broken \ud800 half"}, Review(item="a", text="broken ? half")),
    ],
)
def test_spellings(row: dict[str, Any], expected: Review) -> None:
    assert read(row) == expected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"stars": 5}, "no_item"),
        ({"item": " ", "stars": 5}, "no_item"),
        ({"item": "a"}, "empty"),
        ({"item": "a", "text": "  <p></p> "}, "empty"),
        ({"item": "a", "stars": 6}, "bad_stars"),
        ({"item": "a", "stars": "NaN"}, "bad_stars"),
        ({"item": "a", "stars": float("inf")}, "bad_stars"),
        ({"item": "a", "stars": "3/4"}, "bad_stars"),
        ({"item": "a", "stars": 5, "time": "yesterday-ish"}, "bad_time"),
        ({"item": "a", "stars": 5, "time": NOW + 9_000}, "future_time"),
        ({"item": "a", "stars": 5, "helpful": "many"}, "bad_helpful"),
        ({"item": "a\0", "stars": 5}, "bad_text"),
        ({"item": "a", "user": "x" * 513, "stars": 5}, "bad_text"),
        ({"item": "a", "text": "x" * 2_000_001}, "too_large"),
    ],
)
def test_refusals_teach(row: dict[str, Any], reason: str) -> None:
    letter = read(row)
    assert isinstance(letter, DeadLetter)
    assert (letter.kind, letter.reason, letter.line) == ("review", reason, 7)
    assert letter.message == REASONS[reason]
    assert len(letter.raw) < 10_000


def test_a_letter_holds_no_raw_name_and_no_column_that_we_do_not_know() -> None:
    letter = read({"user": "ann@mail.example", "email": "ann@mail.example", "stars": 5})
    assert isinstance(letter, DeadLetter)
    assert json.loads(letter.raw) == {"user": "~ann@mail.example", "stars": 5}


def test_long_words_are_cut() -> None:
    found = read({"item": "a", "text": "long " * 40_000, "title": "t" * 5_000})
    assert isinstance(found, Review)
    assert len(found.text) <= Settings().reviews.text_limit
    assert len(found.title) <= 300


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    with bodega.open(tmp_path / "shop") as opened:
        yield opened


ROWS = [{"sku": f"i{n % 3}", "review": f"Words {n}", "rating": 1 + n % 5, "reviewer": f"u{n}"} for n in range(30)]


def written(folder: Path, form: str) -> Path:
    path = folder / f"reviews.{form}"
    if form == "csv":
        lines = [",".join(ROWS[0]), *(",".join(str(value) for value in row.values()) for row in ROWS)]
        path.write_text("\n".join(lines), "utf-8")
    elif form == "jsonl":
        path.write_bytes(b"\n".join(map(msgspec.json.encode, ROWS)))
    else:
        import duckdb

        source = written(folder, "csv")
        duckdb.sql(f"COPY (SELECT * FROM read_csv('{source}')) TO '{path}' (FORMAT parquet)")
    return path


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_file_counts_once(form: str, shop: Any, tmp_path: Path) -> None:
    path = written(tmp_path, form)
    first, second = shop.reviews.add(path), shop.reviews.add(path)
    assert (first.rows, first.added, first.dead, first.kind) == (30, 30, 0, "reviews")
    assert (second.added, second.changed, second.unchanged) == (0, 0, 30)
    assert first.mapping["item"] == "sku"
    assert shop.reviews.count() == 30


def test_a_cell_without_end_costs_one_row(shop: Any, tmp_path: Path) -> None:
    """The feed reads 16 MB of a cell at most (`tests/unit/test_feeds_memory.py` measures it), the reader 2 MB."""
    path = tmp_path / "reviews.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("item,stars,text\na,5,fine\nb,4,")
        for _ in range(18):
            file.write("x" * 1_000_000)
        file.write("\nc,3,fine too\n")
    report = shop.reviews.add(path)
    assert report.dead >= 1
    kept = {kept.review.item: kept.review for kept in shop.stores.reviews.scan()}
    assert kept["a"].text == "fine"
    assert sum(len(review.text) for review in kept.values()) < 100
    assert all(len(letter.raw) < 10_000 for letter in shop.events.dead(kind="review"))


def test_a_file_of_something_else_stops(shop: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(BadFeed, match="no column names the item"):
        shop.reviews.add(path)
    with pytest.raises(TooManyBadRows):
        shop.reviews.add([{"item": "a", "stars": 99}] * 200)
    assert shop.events.dead(kind="review", limit=1)[0].reason == "bad_stars"


def test_the_command_line(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from bodega.cli import app

    def said(*words: str) -> str:
        found = CliRunner().invoke(app, [*words, "--shop", str(tmp_path / "shop")], catch_exceptions=False)
        assert found.exit_code == 0, found.output
        return found.stdout

    bodega.open(tmp_path / "shop").close()
    rows = [*ROWS, {"sku": "i0", "review": "see www.spam.example", "rating": 5, "reviewer": "eve"}]
    (tmp_path / "r.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, rows)))
    assert json.loads(said("import", "reviews", str(tmp_path / "r.jsonl"), "--json"))["added"] == 31
    told = json.loads(said("reviews", "summary", "i0", "--json"))
    assert told["stats"]["count"] == 10
    assert "not analysed yet" in said("reviews", "summary", "i0")
    assert "no reviews of" in said("reviews", "summary", "nothing")
    (suspect,) = json.loads(said("reviews", "spam", "--json"))["reviews"]
    assert suspect["flags"] == ["links"]
    assert "links" in said("reviews", "spam")
    assert json.loads(said("reviews", "keep", suspect["id"], "--json")) == {"changed": 1}
    assert json.loads(said("reviews", "list", "i0", "--limit", "100", "--json"))["total"] == 11
    assert "Words" in said("reviews", "list", "i0", "--order", "lowest")
    said("reviews", "hide", suspect["id"])
    said("reviews", "undecide", suspect["id"])
    assert json.loads(said("reviews", "summary", "i0", "--json"))["stats"]["flagged"] == 1
