"""Whatever is written as CSV or JSON by the standard library is read back cell by cell."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodega.feeds import open_feed

CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\\\ufeff"), max_size=30)
ROWS = st.lists(st.tuples(CELL, CELL, CELL).filter(any), min_size=1, max_size=8)
QUIET = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUIET
@given(
    rows=ROWS,
    delimiter=st.sampled_from(",;\t|"),
    ends=st.sampled_from(["\r\n", "\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_csv(rows: list[tuple[str, ...]], delimiter: str, ends: str, encoding: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.csv"
        with path.open("w", encoding=encoding, newline="") as file:
            writer = csv.writer(file, delimiter=delimiter, lineterminator=ends, quoting=csv.QUOTE_ALL)
            writer.writerow(("id", "title", "brand"))
            writer.writerows(rows)
        read = list(open_feed(path))
        assert [tuple(row.values.values()) for row in read] == rows
        assert not any(row.error for row in read)


SCALAR = st.none() | st.booleans() | st.integers(-(2**50), 2**50) | CELL
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CELL, inner, max_size=3), max_leaves=6
)
RECORD = st.fixed_dictionaries({"id": CELL, "value": VALUE})


@QUIET
@given(records=st.lists(RECORD, min_size=1, max_size=6), array=st.booleans(), indent=st.sampled_from([None, 1]))
def test_json(records: list[dict[str, object]], array: bool, indent: int | None) -> None:
    text = json.dumps(records, indent=indent) if array else "\n".join(json.dumps(one) for one in records)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.json"
        path.write_text(text)
        assert [row.values for row in open_feed(path)] == records
