"""CSV and TSV as shops really export them: encodings, delimiters, quotes, line ends, damage."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bodega.errors import BadFeed
from bodega.feeds import infer, open_feed

CHINESE = "商品编号,标题,价格\n1,红色连衣裙夏季新款,99\n2,无线蓝牙耳机降噪,199\n3,儿童运动鞋防滑,59\n"


def _read(path: Path) -> list[dict[str, object]]:
    return [row.values for row in open_feed(path)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gbk", "gb18030"])
def test_chinese_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "商品.csv"
    path.write_bytes(CHINESE.encode(encoding))
    assert open_feed(path).columns == ["商品编号", "标题", "价格"]
    assert _read(path)[1] == {"商品编号": "2", "标题": "无线蓝牙耳机降噪", "价格": "199"}


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "id,title\n1,crème brûlée für Käsefreunde\n2,Möbel für Küche und Flur\n"),
        ("cp1251", "id,title\n1,Красное платье летнее\n2,Беспроводные наушники\n"),
        ("big5", "id,title\n1,紅色連衣裙夏季新款\n2,無線藍牙耳機降噪\n"),
        ("cp932", "id,title\n1,赤いワンピースの夏服\n2,ワイヤレスイヤホン\n"),
    ],
)
def test_other_encodings_are_guessed(tmp_path: Path, encoding: str, text: str) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(text.encode(encoding))
    assert [row["title"] for row in _read(path)] == [line.split(",")[1] for line in text.splitlines()[1:]]


@pytest.mark.parametrize("title", ["蓝牙音箱", "连衣裙", "保温杯", "儿童书包", "剃须刀"])
def test_one_short_chinese_title_is_enough(tmp_path: Path, title: str) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(f"id,title\n1,{title}\n".encode("gbk"))
    assert _read(path) == [{"id": "1", "title": title}]


def test_chinese_far_behind_ascii_is_still_seen(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    lines = ["id,title"] + [f"{n},plain {'x' * 90}" for n in range(20_000)]
    lines += [f"{n},红色连衣裙夏季新款{n}" for n in range(20_000, 40_000)]
    path.write_bytes("\n".join(lines).encode("gbk"))
    assert path.stat().st_size > 2 << 20
    assert _read(path)[-1]["title"] == "红色连衣裙夏季新款39999"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["items.csv", "items.tsv", "items.txt", "items"])
def test_the_delimiter_is_found_whatever_the_name(tmp_path: Path, delimiter: str, name: str) -> None:
    path = tmp_path / name
    path.write_text(delimiter.join(("id", "title", "price")) + "\n" + delimiter.join(("1", '"a, b; c | d"', "2.50")))
    feed = open_feed(path)
    assert (feed.columns, feed.format) == (["id", "title", "price"], "tsv" if delimiter == "\t" else "csv")
    assert _read(path) == [{"id": "1", "title": "a, b; c | d", "price": "2.50"}]


def test_mixed_line_ends_quoted_newlines_and_the_line_of_each_row(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_bytes(b'id,title\r\n1,"two\nlines"\n2,"say ""hi"""\r3,plain\r\n\r\n4,last')
    rows = list(open_feed(path))
    assert [row.values["title"] for row in rows] == ["two\nlines", 'say "hi"', "plain", "last"]
    assert [row.line for row in rows] == [2, 4, 5, 7]


def test_rows_that_do_not_fit_the_header(tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("id,title,brand\n1,short\n2,long,b,c,d\n3,trailing,b,,\n4,good,b\n")
    rows = list(open_feed(path))
    assert rows[0].values == {"id": "1", "title": "short"}
    assert (rows[1].values, rows[1].error) == ({}, "5 cells where the header has 3")
    assert [row.error for row in rows[2:]] == ["", ""]


def test_backslash_escaped_quotes(tmp_path: Path) -> None:
    path = tmp_path / "mysql.csv"
    path.write_text('"id","title","text"\n"1","TV","19\\" wide, black"\n"2","b","c"\n')
    assert _read(path)[0]["text"] == '19" wide, black'


def test_a_title_of_a_megabyte_and_a_quote_that_never_closes(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(f'id,title\n1,{"x" * 1_000_000}\n2,"{"y" * 1_000_000}"\n')
    assert [len(str(row["title"])) for row in _read(path)] == [1_000_000, 1_000_000]
    path.write_text('id,title\n1,ok\n2,"never closed\n' + "3,swallowed title of some length\n" * 600_000)
    rows = list(open_feed(path))
    assert rows[0].values == {"id": "1", "title": "ok"}
    assert "line 3" in rows[1].error
    assert rows[-1].values["title"] == "swallowed title of some length"


def test_gzip_is_recognised_by_its_bytes_and_a_cut_one_named(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    text = "id,title\n" + "".join(f"{n},item {n * n}\n" for n in range(20_000))
    path.write_bytes(gzip.compress(text.encode()))
    assert len(_read(path)) == 20_000
    path.write_bytes(gzip.compress(text.encode())[:-20_000])
    with pytest.raises(BadFeed, match="breaks off") as caught:
        _read(path)
    assert "rows before that were read" in caught.value.what
    assert caught.value.next


@pytest.mark.parametrize("content", [b"", b"  \n\n"])
def test_an_empty_file_is_no_feed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.csv"
    path.write_bytes(content)
    with pytest.raises(BadFeed, match="empty") as caught:
        open_feed(path)
    assert caught.value.where == str(path)


def test_other_things_that_are_no_feed(tmp_path: Path) -> None:
    with pytest.raises(BadFeed, match="does not exist"):
        open_feed(tmp_path / "absent.csv")
    with pytest.raises(BadFeed, match="folder"):
        open_feed(tmp_path)
    workbook = tmp_path / "items.csv"
    workbook.write_bytes(b"PK\x03\x04 something")
    with pytest.raises(BadFeed, match="Excel") as caught:
        open_feed(workbook)
    assert "CSV" in caught.value.next
    workbook.write_text("id\n1\n")
    with pytest.raises(BadFeed, match="format") as caught:
        open_feed(workbook, format="xlsx")
    assert caught.value.got == "xlsx"


def test_names_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text(" id ,,title,title\n1,2,3,4\n")
    assert open_feed(path).columns == ["id", "column 2", "title", "title.2"]


def test_inference_prefers_telling_names_and_columns_with_something_in_them() -> None:
    from bodega.feeds import RawRow

    rows = [RawRow(2, {"Name": "", "product name": "Shoe", "SKU": "a"})]
    fields = {"title": ["name", "product_name"], "id": ["id", "sku"], "brand": ["brand"]}
    assert infer(["Name", "product name", "SKU"], rows, fields) == {"title": "product name", "id": "SKU"}
    assert infer(["Name", "product name"], [], fields) == {"title": "Name"}
