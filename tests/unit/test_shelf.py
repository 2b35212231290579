"""The live shelf: what changed since the snapshot is shown from its new row and known by its old one."""

from __future__ import annotations

import numpy as np

from bodega.engine.shelf import GONE, Shelf
from bodega.schema import Availability, Item, ItemTable

BASE = ItemTable.of(Item(id=name, title=f"old {name}", price=1.0) for name in "abc")


def test_an_untouched_shelf_is_its_base() -> None:
    shelf = Shelf.of(BASE)
    assert shelf.all_rows().tolist() == [0, 1, 2]
    assert shelf.current(np.array([2, 0])).tolist() == [2, 0]
    assert shelf.title(1) == "old b"


def test_a_changed_item_keeps_its_row_for_the_models_and_shows_the_new_text() -> None:
    shelf = Shelf.of(BASE).with_changes([("b", Item(id="b", title="new b", price=2.0))])
    row = shelf.row("b")
    assert shelf.current(np.array([1])).tolist() == [row]
    assert shelf.known_as[row] == 1
    assert shelf.title(row) == "new b"
    assert shelf.price[row] == 2.0
    assert sorted(shelf.id(row) for row in shelf.all_rows()) == ["a", "b", "c"]


def test_a_new_item_is_on_the_shelf_and_unknown_to_the_models() -> None:
    shelf = Shelf.of(BASE).with_changes([("d", Item(id="d", title="d"))])
    row = shelf.row("d")
    assert row == 3
    assert shelf.known_as[row] == GONE
    assert len(shelf.all_rows()) == 4


def test_a_deleted_item_is_shown_from_nowhere_and_can_come_back() -> None:
    gone = Shelf.of(BASE).with_changes([("a", None)])
    assert gone.row("a") == GONE
    assert gone.current(np.array([0])).tolist() == [GONE]
    assert gone.all_rows().tolist() == [1, 2]
    back = gone.with_changes([("a", Item(id="a", title="back"))])
    assert back.title(back.row("a")) == "back"
    assert back.known_as[back.row("a")] == 0


def test_an_older_shelf_does_not_change() -> None:
    shelf = Shelf.of(BASE)
    shelf.with_changes([("a", None)])
    assert shelf.row("a") == 0


def test_stock_follows_the_change() -> None:
    sold_out = Item(id="c", availability=Availability.OUT_OF_STOCK)
    shelf = Shelf.of(BASE).with_changes([("c", sold_out)])
    assert not shelf.available[shelf.row("c")]


def test_rows_split_into_the_two_tables() -> None:
    shelf = Shelf.of(BASE).with_changes([("d", Item(id="d"))])
    parts = [(len(table), rows.tolist()) for table, rows in shelf.split(np.array([2, 3, 0], np.int32))]
    assert parts == [(3, [2, 0]), (1, [0])]


def test_a_variant_group_stays_one_when_its_variants_stand_in_both_tables():
    base = ItemTable.of(
        [
            Item(id="red", group="shoe"),
            Item(id="blue", group="shoe"),
            Item(id="cap", attributes={"group": "shoe"}, description='{"group":"shoe"}'),
        ]
    )
    shelf = Shelf.of(base, {"green": Item(id="green", group="shoe"), "blue": Item(id="blue"), "hat": Item(id="hat")})
    group = {shelf.id(row): int(shelf.group[row]) for row in shelf.all_rows()}
    assert group["green"] == group["red"]
    assert len({group[name] for name in ("red", "blue", "cap", "hat")}) == 4  # blue has left the group
    assert shelf.has_variants


def test_what_is_shown_is_the_id_and_the_item_of_each_row_old_or_new() -> None:
    old = Shelf.of(BASE)
    new = old.with_changes([("b", Item(id="b", title="new b")), ("d", Item(id="d", title="é"))])
    for shelf, rows in ((old, [2, 0, 2]), (new, [0, new.row("d"), new.row("b")]), (new, [0, 2]), (old, [])):
        expected = [(shelf.id(row), shelf.document(row)) for row in rows]
        assert shelf.shown(np.array(rows, np.int32)) == expected
