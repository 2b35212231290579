"""Which facts act, what they do to columns, and that structured data wins unless somebody says otherwise."""

from __future__ import annotations

import numpy as np

from bodega.catalog.knowledge import fact_findings, in_force, merged, with_status
from bodega.schema import Item, ItemTable
from bodega.schema.facts import EVERY_ITEM, Fact, FactCount, FactKey


def _fact(item: str, value: str = "Red", *, sure: float = 0.95, against: tuple[str, ...] = ()) -> Fact:
    return Fact(item=item, attribute="color", value=value, confidence=sure, conflicts=against)


def _table(count: int = 40, coloured: int = 20) -> ItemTable:
    return ItemTable.of(
        Item(id=f"i{n}", title="x", attributes={"color": "Blue"} if n < coloured else {}) for n in range(count)
    )


def _colours(table: ItemTable, row: int, name: str = "color") -> list[str]:
    column = table.coded[name]
    return [column.vocabulary[int(code)] for code in column.codes[column.starts[row] : column.starts[row + 1]]]


def test_confidence_decides_unless_somebody_did() -> None:
    sure, unsure, against = _fact("i30"), _fact("i30", sure=0.7), _fact("i1", against=("Blue",))
    assert [in_force(fact, {}, 0.9) for fact in (sure, unsure, against)] == [True, False, False]
    accepted = {unsure.key: True, against.key: True, sure.key: True}
    assert all(in_force(fact, accepted, 0.9) for fact in (unsure, against))
    assert not in_force(sure, {sure.key: False}, 0.9)


def test_a_decision_for_every_item_gives_way_to_one_for_this_item() -> None:
    fact = _fact("i30")
    every = {FactKey(EVERY_ITEM, "color", "Red"): False}
    assert not in_force(fact, every, 0.9)
    assert in_force(fact, every | {fact.key: True}, 0.9)
    assert [one.status for one in with_status([fact], every)] == ["rejected"]


def test_empty_columns_are_filled_and_full_ones_stay() -> None:
    table = merged(_table(), [_fact("i30"), _fact("i2"), _fact("nobody")])
    assert _colours(table, 30) == ["Red"]
    assert _colours(table, 2) == ["Blue"]
    assert _colours(table, 31) == []
    assert list(table.coded["color"].vocabulary) == ["Blue", "Red"]
    assert table.documents.raw(30) == _table().documents.raw(30), "documents stay what the shop sent"


def test_an_accepted_contradiction_replaces_what_the_shop_says() -> None:
    table = merged(_table(), [_fact("i2", against=("Blue",))])
    assert _colours(table, 2) == ["Red"]


def test_a_new_column_needs_enough_items() -> None:
    facts = [Fact(item=f"i{n}", attribute="material", value="wool") for n in range(19)]
    assert "material" not in merged(_table(), facts).coded
    facts.append(Fact(item="i19", attribute="material", value="wool"))
    assert len(merged(_table(), facts).coded["material"].codes) == 20
    assert "material" in merged(_table(), facts[:1], {"material"}, least=10**9).coded, "a snapshot has it already"


def test_numbers_fill_numbers() -> None:
    table = ItemTable.of(Item(id=f"i{n}", title="x", attributes={"size_g": 5.0} if n < 3 else {}) for n in range(5))
    facts = [Fact(item=f"i{n}", attribute="size_g", value="7", number=7.0) for n in (0, 4)]
    got = merged(table, facts).numbers["size_g"]
    assert got[[0, 1, 2, 4]].tolist() == [5, 5, 5, 7]
    assert np.isnan(got[3])


def test_without_facts_the_table_is_the_same() -> None:
    table = _table()
    assert merged(table, []) is table


def test_the_doctor_tells_of_gaps_and_contradictions() -> None:
    counts = [FactCount(attribute="color", kind="colour", facts=30, items=30, conflicts=2, accepted=0, rejected=0)]
    found = {one.code: one for one in fact_findings(counts, [_fact("i1", against=("Blue",))], [_fact("i30")], 100)}
    assert found["conflict"].count == 2
    assert "Blue" in found["conflict"].examples[0].detail
    assert found["missing_colour_minable"].count == 28
    assert fact_findings([], [], [], 100) == ()
