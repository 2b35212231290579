"""JSON Lines and JSON arrays, whole and broken."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from bodega.errors import BadFeed
from bodega.feeds import json_rows, open_feed

RECORDS = [{"id": n, "title": f"item {n} 红", "tags": ["a", "b"], "deep": {"x": 1}} for n in range(50)]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(json.dumps(one) for one in RECORDS),
        "\r\n\r\n".join(json.dumps(one, ensure_ascii=False) for one in RECORDS) + "\r\n",
        json.dumps(RECORDS),
        json.dumps(RECORDS, indent=2),
        "\n".join(json.dumps(one, indent=1) for one in RECORDS),
        json.dumps({"products": RECORDS, "page": 1}),
        json.dumps({"products": RECORDS}, indent=2),
    ],
    ids=["lines", "crlf", "array", "pretty array", "pretty objects", "wrapper", "pretty wrapper"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_same_records_in_every_shape(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "items.json"
    path.write_bytes(text.encode(encoding))
    feed = open_feed(path)
    assert [row.values for row in feed] == RECORDS
    assert (feed.columns, feed.format) == (["id", "title", "tags", "deep"], "jsonl")


def test_bad_lines_are_rows_with_errors_and_keep_their_line(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"id": 1}\n{"id": 2,,}\n\n[1, 2]\n{"id": NaN}\n"text"\n{"id": 3}\n')
    rows = list(open_feed(path))
    assert [(row.line, bool(row.error)) for row in rows] == [
        (1, False),
        (2, True),
        (4, True),
        (5, False),
        (6, True),
        (7, False),
    ]
    assert math.isnan(rows[3].values["id"])  # type: ignore[arg-type]
    assert "list" in rows[2].error


def test_an_array_larger_than_the_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "WINDOW", 37)
    path = tmp_path / "items.json"
    path.write_text(json.dumps(RECORDS, indent=1))
    rows = list(open_feed(path))
    assert [row.values for row in rows] == RECORDS
    lines = path.read_text().split("\n")
    assert all(lines[row.line - 1].strip() == "{" for row in rows)


@pytest.mark.parametrize("cut", [0.3, 0.77, 0.999])
def test_a_cut_array_stops_and_says_how_far_it_came(tmp_path: Path, cut: float) -> None:
    path = tmp_path / "items.json"
    text = json.dumps(RECORDS * 20)
    path.write_text(text[: int(len(text) * cut)])
    read: list[object] = []
    with pytest.raises(BadFeed, match="breaks off") as caught:
        read.extend(open_feed(path))
    assert len(read) == text[: int(len(text) * cut)].count('"deep": {"x": 1}}')
    assert f"{len(read):,} rows before" in caught.value.what


def test_text_that_is_no_json_teaches(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text("id,title\n1,2\n")
    with pytest.raises(BadFeed, match="JSON") as caught:
        open_feed(path)
    assert caught.value.next
