"""Bad input of every kind: each is repaired and counted, put into the dead letter box, or refused with a next step."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from bodega.catalog import ItemOptions, import_items
from bodega.errors import BadFeed, StoreError, TooManyBadRows
from bodega.protocols import Written
from bodega.schema import Availability, Item
from bodega.settings import Ingest, Settings
from bodega.testing.fakes import MemoryCatalog, MemoryLetters


class Shop:
    """A store and a dead letter box in memory."""

    def __init__(self) -> None:
        self.store, self.dead = MemoryCatalog(), MemoryLetters()

    def add(self, source: object, /, **options: object):  # type: ignore[no-untyped-def]
        return import_items(source, self.store, self.dead, ItemOptions(**options))  # type: ignore[arg-type]

    def item(self, name: str) -> Item:
        return self.store.get([name])[name]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def _csv(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join((header, *rows)), encoding="utf-8")
    return path


def test_prices_that_are_none(shop: Shop, tmp_path: Path) -> None:
    path = _csv(
        tmp_path / "p.csv",
        "id,title,price",
        "1,a,NaN",
        "2,b,-3",
        "3,c,inf",
        "4,d,call us",
        "5,e,",
        '6,f,"1.299,00 €"',
        "7,g,¥99",
        "8,h,0",
    )
    report = shop.add(path)
    assert [item.price for item in shop.store.scan()] == [None, None, None, None, None, 1299.0, 99.0, 0.0]
    assert [shop.item(name).currency for name in "5678"] == ["", "EUR", "CNY", "USD"]
    assert (report.dead, report.reasons) == (0, {"bad_price": 4})
    assert any("4 prices are no amount" in note for note in report.notes)
    assert any("5 of 8 items are without a price (62%)" in note for note in report.notes)


def test_nan_prices_in_parquet(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    price = "CASE WHEN range < 3 THEN 'NaN'::DOUBLE WHEN range = 3 THEN NULL ELSE 5 END"
    sql = f"SELECT range AS id, 'item' AS title, {price} AS price FROM range(9)"
    duckdb.connect().execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
    assert shop.add(path).reasons == {"bad_price": 3}
    assert [item.price for item in shop.store.scan()] == [None] * 4 + [5.0] * 5


def test_a_title_of_a_megabyte_is_cut_and_said(shop: Shop, tmp_path: Path) -> None:
    path = _csv(
        tmp_path / "p.csv", "id,title,description", f"1,{'x' * 1_000_000},{'<p>word</p>' * 200_000}", "2,short,text"
    )
    report = shop.add(path)
    item = shop.item("1")
    assert len(item.title) == Settings().ingest.text_limit
    assert 0 < len(item.description) <= Settings().ingest.text_limit
    assert any("texts were cut" in note for note in report.notes)


@pytest.mark.parametrize("batch", [4, 12, 1_000])
def test_the_last_of_duplicate_ids_wins_and_they_are_counted(shop: Shop, tmp_path: Path, batch: int) -> None:
    rows = [f"{n % 10},title {n}" for n in range(25)]
    report = shop.add(_csv(tmp_path / "p.csv", "id,title", *rows), settings=Settings(ingest=Ingest(batch=batch)))
    assert shop.store.count() == 10
    assert shop.item("3").title == "title 23"
    assert any("15 rows repeat an id" in note for note in report.notes)


def test_an_id_of_emoji_and_other_unusual_ids(shop: Shop) -> None:
    names = ["🛒👩‍👩‍👧", "商品-1", " padded ", "0042", 7, 8.0, "a/b?c#d", "x" * 512]
    report = shop.add([{"id": name, "title": "t"} for name in names])
    assert [item.id for item in shop.store.scan()] == [
        "🛒👩‍👩‍👧",
        "商品-1",
        "padded",
        "0042",
        "7",
        "8",
        "a/b?c#d",
        "x" * 512,
    ]
    assert report.dead == 0
    shop.add(
        [{"id": name, "title": "t"} for name in [None, "", math.nan, "x" * 513, "a\x00b", "\ud800", "null"]], limit=1.0
    )
    assert shop.dead.counts() == {("item", "no_id"): 4, ("item", "bad_id"): 3}
    assert shop.dead.list(reason="bad_id")[0].raw


def test_no_id_column_teaches_the_mapping(shop: Shop, tmp_path: Path) -> None:
    path = _csv(tmp_path / "p.csv", "Ref,Wording,price", "a,Shoe,3")
    with pytest.raises(BadFeed, match="id") as caught:
        shop.add(path)
    error = caught.value
    assert error.where == "p.csv"
    assert error.got == "columns: Ref, Wording, price"
    assert 'mapping={"id": "Ref"}' in error.next
    report = shop.add(path, mapping={"id": "Ref", "title": "Wording"})
    assert (shop.item("a").title, report.mapping) == ("Shoe", {"price": "price", "id": "Ref", "title": "Wording"})


@pytest.mark.parametrize(("mapping", "word"), [({"titel": "Wording"}, "titel"), ({"title": "Words"}, "Words")])
def test_a_wrong_mapping_names_what_there_is(shop: Shop, tmp_path: Path, mapping: dict[str, str], word: str) -> None:
    path = _csv(tmp_path / "p.csv", "id,Wording", "a,Shoe")
    with pytest.raises(BadFeed, match=word) as caught:
        shop.add(path, mapping=mapping)
    assert ("title" if word == "titel" else "Wording") in caught.value.allowed


def test_a_column_can_be_left_out_or_put_together(shop: Shop, tmp_path: Path) -> None:
    path = _csv(tmp_path / "p.csv", "id,title,brand,aisle,shelf", "a,Shoe,Acme,Front,Top/Left")
    shop.add(path, mapping={"brand": "", "category": "aisle > shelf"})
    item = shop.item("a")
    assert (item.brand, item.category, item.attributes) == ("", ("Front", "Top/Left"), {"brand": "Acme"})


def test_too_many_bad_rows_stop_but_keep_what_was_good(shop: Shop, tmp_path: Path) -> None:
    rows = [f"{n},good" for n in range(90)] + [",nameless"] * 60 + [f"{n},never read" for n in range(500, 900)]
    path = _csv(tmp_path / "p.csv", "id,title", *rows)
    with pytest.raises(TooManyBadRows, match="no_id") as caught:
        shop.add(path)
    error = caught.value
    assert (shop.store.count(), shop.dead.counts()) == (90, {("item", "no_id"): 23})
    assert error.what.startswith("23 of 113 rows cannot be used (no_id 23)")
    assert (error.allowed, "90 good rows were stored" in error.got) == ("up to 20% bad rows", True)
    assert "dead letter box" in error.next
    report = shop.add(path, limit=1.0)
    assert (report.rows, report.dead, shop.store.count()) == (550, 60, 490)


def test_a_short_file_is_judged_at_its_end(shop: Shop, tmp_path: Path) -> None:
    path = _csv(tmp_path / "p.csv", "id,title", "1,a", ",b", "3,c", "4,d,e,f", ",g")
    with pytest.raises(TooManyBadRows, match=r"3 of 5 rows.*no_id 2, unreadable 1"):
        shop.add(path)
    assert shop.store.count() == 2
    letters = {letter.line: letter for letter in shop.dead.list()}
    assert sorted(letters) == [3, 5, 6]
    assert json.loads(letters[3].raw) == {"id": "", "title": "b"}
    assert (letters[5].source, letters[5].kind) == ("p.csv", "item")


def test_twenty_percent_exactly_is_allowed(shop: Shop) -> None:
    rows = [{"id": n if n % 5 != 4 else "", "title": "t"} for n in range(500)]
    assert shop.add(rows).dead == 100


def test_a_row_with_nothing_but_an_id_is_refused(shop: Shop) -> None:
    report = shop.add([{"id": 1, "title": ""}, {"id": 2, "title": "<p> </p>"}, {"id": 3, "price": 5}], limit=1.0)
    assert (report.reasons, [item.id for item in shop.store.scan()]) == ({"nothing_left": 2}, ["3"])


def test_a_truncated_parquet_changes_nothing(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    duckdb.connect().execute(
        f"COPY (SELECT range AS id, 'x' || range AS title FROM range(5000)) TO '{path}' (FORMAT parquet)"
    )
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadFeed, match="cut off"):
        shop.add(path)
    assert shop.store.count() == 0


def test_what_came_before_the_damage_stays(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"id": n, "title": f"t{n}"} for n in range(2_000)])[:-30])
    with pytest.raises(BadFeed, match="1,999 rows before"):
        shop.add(path)
    assert shop.store.count() == 1_999


def test_a_failing_store_is_not_hidden(shop: Shop) -> None:
    class Full(MemoryCatalog):
        def upsert(self, items: object) -> Written:
            raise StoreError("the disk is full")

    shop.store = Full()
    with pytest.raises(StoreError, match="full"):
        shop.add([{"id": 1, "title": "t"}])


def test_a_header_alone_is_an_empty_import(shop: Shop, tmp_path: Path) -> None:
    report = shop.add(_csv(tmp_path / "p.csv", "id,title"))
    assert (report.rows, report.added, report.notes) == (0, 0, ())
    assert shop.add([]).rows == 0


def test_items_and_dicts_from_a_program(shop: Shop) -> None:
    good = Item(id="a", title="A", price=3.0, currency="EUR", attributes={"x": 1.0})
    made: Iterator[object] = iter(
        [good, Item(id="b", price=math.nan, stock=-2), Item(id=" "), {"id": "c", "title": "C", "attributes": {"y": 2}}]
    )
    report = shop.add(made, limit=1.0, source="sync")
    assert shop.item("a") == good
    assert (shop.item("b").price, shop.item("b").stock) == (None, 0)
    assert shop.item("c").attributes == {"y": 2.0}
    assert (report.rows, report.dead, report.source, report.reasons) == (4, 1, "sync", {"no_id": 1, "bad_price": 1})
    assert shop.add([{"id": "d", "title": "D"}, "nonsense"], limit=1.0).reasons == {"unreadable": 1}


def test_every_field_of_a_dict_arrives(shop: Shop) -> None:
    row = {
        "id": "x",
        "kind": "article",
        "title": "T",
        "description": "D",
        "brand": {"name": "B"},
        "category": ["A", "B"],
        "price": "12.50",
        "currency": "eur",
        "availability": "preorder",
        "stock": "3.0",
        "images": '["https://x/1.jpg", "javascript:alert(1)", "/rel.jpg"]',
        "tags": "red; blue，green",
        "group": 7,
        "options": {"Size": "500 ml"},
        "language": "zh-CN",
        "created": "2026-01-02",
        "updated": "nonsense",
        "seller": "S",
        "url": "data:text/html,x",
        "year": "2011",
    }
    report = shop.add([row])
    item = shop.item("x")
    assert (item.kind, item.brand, item.category, item.price, item.currency) == (
        "article",
        "B",
        ("A", "B"),
        12.5,
        "EUR",
    )
    assert (item.availability, item.stock, item.group) == (Availability.PREORDER, 3, "7")
    assert (item.images, item.tags) == (("https://x/1.jpg", "/rel.jpg"), ("red", "blue", "green"))
    assert (item.options, item.attributes) == ({"Size": "500 ml"}, {"year": 2011.0, "size_ml": 500.0})
    assert (item.language, item.created and item.created.isoformat(), item.updated) == (
        "zh",
        "2026-01-02T00:00:00+00:00",
        None,
    )
    assert (item.seller, item.url) == ("S", "")
    assert any("2 addresses" in note for note in report.notes)
    assert any("1 dates" in note for note in report.notes)


def test_cents_among_units_are_reported_with_their_lines(shop: Shop, tmp_path: Path) -> None:
    rows = [f"{n},t,{10 + n % 7},Shoes" for n in range(60)]
    rows[40] = "40,t,1400,Shoes"
    report = shop.add(_csv(tmp_path / "p.csv", "id,title,price,category", *rows))
    assert any("1 prices are far from the others of their category (lines 42)" in note for note in report.notes)


def test_importing_twice_changes_nothing(shop: Shop, tmp_path: Path) -> None:
    path = _csv(tmp_path / "p.csv", "id,title,price", "1,a,2", "2,b,3")
    assert (shop.add(path).added, shop.add(path).unchanged) == (2, 2)
    assert shop.store.count() == 2


def test_progress_and_counts_add_up(shop: Shop) -> None:
    class Bar:
        total = 0.0
        finished = False

        def start(self, task: str, total: float | None = None) -> None:
            assert "items" in task

        def advance(self, amount: float = 1.0) -> None:
            self.total += amount

        def finish(self) -> None:
            self.finished = True

    bar = Bar()
    rows = [{"id": n or "", "title": "t"} for n in range(2_345)]
    report = shop.add(rows, progress=bar)
    assert (bar.total, bar.finished) == (2_345, True)
    assert report.added + report.dead == report.rows == 2_345


def test_undecodable_bytes_are_counted(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    good = "".join(f"{n},红色连衣裙{n}\n" for n in range(50_000))
    path.write_bytes(b"id,title\n" + good.encode() + b"x,bad \xff\xfe bytes\n")
    report = shop.add(path)
    assert shop.item("7").title == "红色连衣裙7"
    assert "\ufffd" in shop.item("x").title
    assert any("could not be decoded" in note for note in report.notes)


def test_formulas_and_markup_are_only_text(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("id", "title"), ("1", "=cmd|'/c calc'!A1"), ("2", "<img src=x onerror=alert(1)>Hat"), ("3", "A & B < C")]
        )
    shop.add(path)
    assert [item.title for item in shop.store.scan()] == ["=cmd|'/c calc'!A1", "Hat", "A & B < C"]
