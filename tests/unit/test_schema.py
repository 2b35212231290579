"""The nouns refuse what is wrong, and the columns say the same as the items they were made from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodega.schema import (
    EVENT_CODES,
    Availability,
    Candidates,
    Coded,
    Context,
    Event,
    EventType,
    Hit,
    Item,
    ItemTable,
    Page,
    Texts,
    to_plain,
)
from bodega.schema.arrays import NO_INTS
from bodega.schema.table import category_paths
from bodega.testing.world import GeneratedWorld

ITEMS = [
    Item(id="1", title="Trail shoe", brand="Fox", category=("Shoes", "Trail"), price=89.0, group="g", tags=("b", "a")),
    Item(id="2", title="Trail shoe 43", brand="Fox", category=("Shoes",), group="g", attributes={"drop": 4.0}),
    Item(id="牛奶", title="牛奶", stock=0, attributes={"colour": ["red", "blue"], "vegan": True, "price": 3.0}),
    Item(id="\U0001f95b", title="", created=datetime(2025, 1, 1, tzinfo=UTC), options={"size": "1 l"}),
]
TABLE = ItemTable.of(ITEMS)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b'{"id": 1}', "$.id"),
        (b'{"title": "x"}', "id"),
        (b'{"id": "1", "colour": "red"}', "colour"),
        (b'{"id": "1", "price": "cheap"}', "$.price"),
        (b'{"id": "1", "availability": "perhaps"}', "$.availability"),
        (b'{"id": "1", "category": "Shoes"}', "$.category"),
    ],
)
def test_a_wrong_item_is_refused_with_its_path(text: bytes, path: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(text, type=Item)
    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("item", "available"),
    [
        (Item(id="1"), True),
        (Item(id="1", stock=3), True),
        (Item(id="1", stock=0), False),
        (Item(id="1", availability=Availability.OUT_OF_STOCK, stock=3), False),
        (Item(id="1", availability=Availability.DISCONTINUED), False),
        (Item(id="1", availability=Availability.PREORDER), True),
        (Item(id="1", availability=Availability.BACKORDER, stock=0), False),
    ],
)
def test_what_may_be_bought(item: Item, available: bool) -> None:
    assert item.available is available


def test_event_codes_never_change() -> None:
    """Stored events use them: new types are added at the end."""
    assert EVENT_CODES == {
        "impression": 0, "view": 1, "click": 2, "cart": 3, "purchase": 4, "search": 5, "rating": 6, "dismiss": 7,
        "return": 8,
    }  # fmt: skip


def test_a_page_is_the_list_of_its_hits_and_its_json() -> None:
    hits = tuple(
        Hit(id=item.id, position=place, score=1.0, document=msgspec.Raw(msgspec.json.encode(item)))
        for place, item in enumerate(ITEMS)
    )
    page = Page(request_id="r", place="home", hits=hits, total=4)
    assert (len(page), page[1].id, [hit.id for hit in page], page.ids) == (4, "2", page.ids, [i.id for i in ITEMS])
    assert page[2].item == ITEMS[2]
    assert msgspec.json.decode(page.json())["hits"][2]["document"]["title"] == "牛奶"
    assert to_plain(Event(type=EventType.CLICK, time=datetime(2025, 1, 1, tzinfo=UTC), item="1"))["type"] == "click"


@given(st.lists(st.text(), max_size=20))
def test_texts_come_back(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    made = Texts.of(texts)
    assert list(made) == texts
    assert [made[row] for row in range(len(made))] == texts
    assert texts == [] or made[-1] == texts[-1]
    with pytest.raises(IndexError):
        made[len(texts)]


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=4, unique=True), max_size=12), st.data())
def test_coded_columns_are_carried_like_in_a_loop(rows: list[list[str]], data: st.DataObject) -> None:
    column = Coded.of(rows)
    words = sorted({word for row in rows for word in row})
    assert list(column.vocabulary) == words
    some = np.asarray(data.draw(st.lists(st.integers(0, max(len(rows) - 1, 0)), unique=True)) if rows else [], np.int32)
    for word in words:
        wanted = np.arange(len(words)) == column.code_of[word]
        assert column.having(wanted, some).tolist() == [word in rows[row] for row in some]
    assert [column.vocabulary[code] if code >= 0 else None for code in column.first()] == [
        row[0] if row else None for row in rows
    ]


def test_columns_say_what_the_items_say() -> None:
    assert len(TABLE) == 4
    assert [TABLE.item(row) for row in range(4)] == ITEMS
    assert TABLE.index["牛奶"] == 2
    assert TABLE.rows(["\U0001f95b", "nothing", "1"]).tolist() == [3, 0]
    assert TABLE.group.tolist() == [0, 0, 2, 3], "an item without variants is its own group"
    assert TABLE.available.tolist() == [True, True, False, True]
    assert list(TABLE.coded["category"].vocabulary) == ["Shoes", "Shoes > Trail"]
    assert TABLE.leaf_category.tolist() == [1, 0, -1, -1], "the deepest level"
    assert np.isnan(TABLE.numbers["price"]).tolist() == [False, True, True, True], "a reserved name stays ours"
    assert TABLE.numbers["drop"][1] == 4.0
    assert list(TABLE.coded["colour"].vocabulary) == ["blue", "red"]
    assert list(TABLE.coded["size"].vocabulary) == ["1 l"]
    assert TABLE.created[3] == datetime(2025, 1, 1, tzinfo=UTC).timestamp()


def test_a_saved_table_comes_back_and_equal_tables_give_equal_bytes(tmp_path: Path, world: GeneratedWorld) -> None:
    for items in (ITEMS, world.items, []):
        one, two = tmp_path / f"a{len(items)}", tmp_path / f"b{len(items)}"
        ItemTable.of(items).save(one)
        ItemTable.of(items).save(two)
        files = sorted(path.name for path in one.iterdir())
        assert files == sorted(path.name for path in two.iterdir())
        assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)
        loaded = ItemTable.load(one)
        assert [loaded.item(row) for row in range(len(loaded))] == items
        assert list(loaded.coded) == sorted(ItemTable.of(items).coded)


def test_category_paths() -> None:
    assert category_paths(("Shoes", "Trail")) == ["Shoes", "Shoes > Trail"]
    assert category_paths(()) == []


def test_candidates_are_taken_by_rows_and_flags() -> None:
    items, score = np.array([5, 3, 9], np.int32), np.array([3.0, 2.0, 1.0], np.float32)
    made = Candidates.of("popular", items, score)
    assert made.take(np.array([2, 0])).items.tolist() == [9, 5]
    assert made.take(np.array([True, False, True])).score.tolist() == [3.0, 1.0]
    assert made.column("popular").tolist() == [3.0, 2.0, 1.0]
    assert len(Candidates.none("popular")) == 0
    with pytest.raises(ValueError):
        made.column("nobody")


def test_seeds_are_the_anchors_or_else_the_history() -> None:
    history, anchors = np.array([1, 2], np.int32), np.array([7], np.int32)
    assert Context(history=history, items=anchors).seeds is anchors
    assert Context(history=history, items=NO_INTS).seeds is history


def test_a_log_is_cut_strictly_before(small_world: GeneratedWorld) -> None:
    log = small_world.log
    moment = float(log.time[100])
    cut = log.before(moment)
    assert cut.time.max() < moment
    assert len(cut) == int((log.time < moment).sum()) == len(cut.item) == len(cut.position)
    assert (cut.n_users, cut.queries) == (log.n_users, log.queries), "codes stay"


def test_numbers_that_no_column_can_hold_are_unknown() -> None:
    table = ItemTable.of(
        [Item(id="a", price=1e300, attributes={"weight": -1e39}), Item(id="b", attributes={"weight": 2.0})]
    )
    assert np.isnan(table.numbers["price"]).all()
    assert np.isnan(table.numbers["weight"][0])
    assert table.numbers["weight"][1] == 2.0
