"""Parquet through DuckDB and Google Merchant XML through defusedxml."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from bodega.errors import BadFeed
from bodega.feeds import open_feed

RSS = """<?xml version="1.0"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title><link>http://x</link>
<item><g:id>A1</g:id><title>Red &amp; blue shirt</title><g:price>15.00 USD</g:price>
<g:additional_image_link>http://x/1.jpg</g:additional_image_link><g:additional_image_link>http://x/2.jpg</g:additional_image_link>
<g:shipping><g:country>US</g:country><g:price>5 USD</g:price></g:shipping></item>
<item><g:id>A2</g:id><title>裙子</title></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><title>Shop</title>
<entry><g:id>A1</g:id><title>Shirt</title><link href="http://x/a1"/></entry></feed>"""


def _parquet(path: Path, sql: str) -> Path:
    duckdb.connect().execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
    return path


def test_parquet_keeps_types_order_and_nulls(tmp_path: Path) -> None:
    sql = (
        "SELECT range AS id, CASE WHEN range % 2 = 0 THEN 'a' END AS brand, ['x','y'] AS tags, 'NaN'::DOUBLE AS price,"
        " TIMESTAMP '2026-01-02' AS created FROM range(10000)"
    )
    feed = open_feed(_parquet(tmp_path / "items [1]*.parquet", sql))
    rows = list(feed)
    assert feed.columns == ["id", "brand", "tags", "price", "created"]
    assert [row.values["id"] for row in rows] == list(range(10_000)) == [row.line - 1 for row in rows]
    assert rows[1].values["brand"] is None
    assert rows[0].values["tags"] == ["x", "y"]
    assert rows[0].values["created"] == datetime(2026, 1, 2)  # noqa: DTZ001 - a timestamp without a zone


def test_parquet_is_recognised_by_its_bytes(tmp_path: Path) -> None:
    assert open_feed(_parquet(tmp_path / "items.csv", "SELECT 1 AS id")).format == "parquet"


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_truncated_parquet_is_named_as_such(tmp_path: Path, share: float) -> None:
    path = _parquet(tmp_path / "items.parquet", "SELECT range AS id, md5(range::VARCHAR) AS title FROM range(5000)")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadFeed, match="cut off") as caught:
        list(open_feed(path))
    error = caught.value
    assert error.where == str(path)
    assert "PAR1" in error.allowed
    assert error.got
    assert "again" in error.next


def test_parquet_damaged_inside_is_named_too(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "items.parquet", "SELECT range AS id, md5(range::VARCHAR) AS title FROM range(5000)")
    data = bytearray(path.read_bytes())
    data[200 : len(data) // 2] = bytes(len(data) // 2 - 200)
    path.write_bytes(data)
    with pytest.raises(BadFeed, match="damaged"):
        list(open_feed(path))


def test_merchant_xml(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_text(RSS)
    first, second = open_feed(path)
    assert first.values["id"] == "A1"
    assert first.values["title"] == "Red & blue shirt"
    assert first.values["additional_image_link"] == ["http://x/1.jpg", "http://x/2.jpg"]
    assert first.values["shipping"] == {"country": "US", "price": "5 USD"}
    assert second.values == {"id": "A2", "title": "裙子"}
    path.write_text(ATOM)
    assert [row.values for row in open_feed(path)] == [{"id": "A1", "title": "Shirt", "link": "http://x/a1"}]


def test_entity_bombs_and_external_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    bomb = '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]>'
    path.write_text(bomb + "<rss><channel><item><id>&b;</id></item></channel></rss>")
    with pytest.raises(BadFeed, match="refused"):
        open_feed(path)
    outside = '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    path.write_text(outside + "<rss><channel><item><id>&a;</id></item></channel></rss>")
    with pytest.raises(BadFeed, match="refused"):
        open_feed(path)


def test_cut_xml_and_xml_without_products(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_text(RSS.replace("</channel></rss>", ""))
    with pytest.raises(BadFeed, match="2 rows before that"):
        list(open_feed(path))
    path.write_text("<html><body>Not found</body></html>")
    with pytest.raises(BadFeed, match="no products"):
        open_feed(path)
