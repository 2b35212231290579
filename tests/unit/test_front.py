"""What a shop front asks beside lists: which orders make sense, variants with their axes, votes that count once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bodega.engine.access import export_visit, make_token, read_bearer, read_token
from bodega.engine.front import Front, Votes
from bodega.engine.shelf import Shelf
from bodega.errors import BadRequest, Unauthenticated, UnknownItem
from bodega.events.pseudonyms import VARIABLE, Secrets, fresh
from bodega.schema import Item, ItemTable, Review
from bodega.settings import Settings
from bodega.testing.canned import CannedShop
from bodega.testing.fakes import MemoryStores


def shoe(number: int, size: str, colour: str, **more: Any) -> Item:
    options = {"size": size, "colour": colour, "maker": "Acme"}
    return Item(id=f"s{number}", title=f"Shoe {size} {colour}", group="shoe", options=options, **more)


ITEMS = [
    shoe(1, "41", "red"),
    shoe(2, "42", "red"),
    shoe(3, "42", "blue", stock=0),
    Item(id="hat", title="Hat", attributes={"rating": 4.5}),
]


def front_of(items: list[Item], stores: MemoryStores | None = None, **changed: Item | None) -> Front:
    shelf = Shelf.of(ItemTable.of(items), changed)
    engine: Any = SimpleNamespace(shelf=shelf, learned=SimpleNamespace(sources={}))
    return Front(lambda: engine, (stores or MemoryStores()).reviews, Settings(name="Shoes"))


def test_variants_are_the_rows_of_the_group_and_axes_what_they_differ_in() -> None:
    told = front_of(ITEMS).variants("s2")
    assert [each.item for each in told.variants] == ["s1", "s2", "s3"]
    assert told.axes == {"size": ["41", "42"], "colour": ["red", "blue"]}, "all are made by Acme: that is no axis"
    assert [each.available for each in told.variants] == [True, True, False]
    assert told.group == "shoe"
    alone = front_of(ITEMS).variants("hat")
    assert ([each.item for each in alone.variants], alone.axes) == (["hat"], {})


def test_variants_follow_the_shelf() -> None:
    changed = front_of(ITEMS, s1=None, s2=shoe(2, "44", "red"))
    told = changed.variants("s3")
    assert sorted(each.item for each in told.variants) == ["s2", "s3"]
    assert set(told.axes["size"]) == {"42", "44"}
    with pytest.raises(UnknownItem):
        changed.variants("s1")


def test_only_orders_that_say_something_are_offered() -> None:
    assert front_of(ITEMS).offers().sorts == ["relevance", "price_up", "price_down", "-rating"]
    assert front_of(ITEMS[:3]).offers().sorts == ["relevance", "price_up", "price_down"]
    assert front_of(ITEMS).offers().variants
    assert not front_of(ITEMS[3:]).offers().variants
    assert front_of(ITEMS).offers().name == "Shoes"


def test_a_vote_counts_once_and_can_be_taken_back() -> None:
    stores = MemoryStores()
    stores.reviews.upsert([Review(id="r", item="hat", user="u", stars=5, text="Warm.", helpful=7)])
    front = front_of(ITEMS, stores)
    assert [front.helpful("r", "ann").helpful for _ in range(3)] == [8, 8, 8]
    assert front.helpful("r", "bob").helpful == 9
    assert front.helpful("r", "ann", helped=False).helpful == 8
    assert not front.helpful("r", "eve", helped=False).counted, "who never voted takes nothing back"
    assert stores.reviews.get(["r"])["r"].review.helpful == 8
    stores.reviews.decide(["r"], "hide")
    for name in ("r", "none"):
        with pytest.raises(BadRequest):
            front.helpful(name, "zoe")


def test_votes_are_remembered_within_bounds() -> None:
    votes = Votes(remembered=2)
    assert [votes.turn(name, "v", True) for name in ("a", "b", "c", "b", "a")] == [True, True, True, False, True]


def test_a_token_of_a_visit_is_no_token_of_a_user(tmp_path: Any) -> None:
    keys = Secrets(tmp_path, {VARIABLE: fresh()})
    guest = make_token(keys, session="s-1", now=100.0)
    assert read_bearer(keys, guest, now=200.0).session == "s-1"
    with pytest.raises(Unauthenticated):
        read_token(keys, guest, now=200.0)
    with pytest.raises(Unauthenticated):
        read_bearer(keys, guest, now=100.0 + 3_601)
    assert read_bearer(keys, make_token(keys, "u", session="s-1", now=100.0), now=200.0).session == ""


def test_a_guest_is_told_of_the_visit_but_not_of_who_signed_in_on_it() -> None:
    shop = CannedShop(ITEMS)
    from datetime import UTC, datetime

    from bodega.schema import Event, EventType

    moment = datetime(2026, 1, 2, tzinfo=UTC)
    shop.events.submit(
        [
            Event(id="1", type=EventType.VIEW, item="hat", session="s-1", time=moment),
            Event(id="2", type=EventType.VIEW, item="s1", session="s-1", user="ann", time=moment),
            Event(id="3", type=EventType.VIEW, item="s2", session="s-2", time=moment),
        ]
    ).result()
    told = export_visit(shop.privacy, "s-1")
    assert [event["item"] for event in told["events"]] == ["hat"]
    assert told["visits"] == ["s-1"]
