"""Suggestions from the words of the catalog and the queries of many."""

from __future__ import annotations

import time
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from bodega.engine.completing import Completing
from bodega.engine.shelf import Shelf
from bodega.retrieval.lexical import Lexical, _entries
from bodega.schema import EVENT_CODES, Availability, Context, Item, ItemTable, Log, World
from bodega.understanding.query.habits import PEOPLE


def asked(query_users: list[tuple[str, int]]) -> Log:
    queries = sorted({query for query, _ in query_users})
    count = len(query_users)
    whole = np.full(count, -1, np.int32)
    user = np.array([user for _, user in query_users], np.int32)
    return Log(
        time=np.arange(count, dtype=np.float64),
        type=np.full(count, EVENT_CODES["search"], np.int8),
        user=user,
        session=user,
        item=whole,
        quantity=np.ones(count, np.float32),
        value=np.full(count, np.nan, np.float32),
        query=np.array([queries.index(query) for query, _ in query_users], np.int32),
        position=whole,
        n_users=int(user.max(initial=-1)) + 1,
        n_sessions=int(user.max(initial=-1)) + 1,
        queries=tuple(queries),
    )


ITEMS = [
    Item(id="1", title="Running shoe Comet", brand="Runfast", category=("Running", "Shoes")),
    Item(id="2", title="Running shoe Comet 2 with a title far too long to be read while typing, really much too long"),
    Item(id="3", title="Rain jacket", brand="Runfast", category=("Rain",)),
    Item(id="4", title="蓝牙耳机 头戴式"),
    Item(id="5", title="Rain jacket"),
]


def suggested(prefix: str, log: Log | None = None, k: int = 8) -> list[tuple[str, str]]:
    world = World(ItemTable.of(ITEMS), log or asked([]), 0.0)
    return [(found.text, found.kind) for found in Lexical().fit(world).suggest(prefix, k)]


def test_categories_then_brands_then_titles_complete_what_is_typed():
    found = suggested("ru")
    assert found[:2] == [("Running", "category"), ("Runfast", "brand")]
    assert ("Running shoe Comet", "title") in found
    assert suggested("running sh")[0] == ("Running shoe Comet", "title")
    assert suggested("comet")[0][0] == "Running shoe Comet"  # any word may be the beginning
    assert suggested("shoes ") == [("Shoes", "category")]  # a blank ends the word
    assert suggested("蓝牙耳") == [("蓝牙耳机 头戴式", "title")]
    assert suggested("") == []


def test_equal_titles_are_suggested_once_and_long_ones_cut():
    found = suggested("rain")
    assert found == [("Rain", "category"), ("Rain jacket", "title")]
    assert max(len(text) for text, _ in suggested("running")) <= _entries.LONGEST


def test_a_title_names_its_item():
    world = World(ItemTable.of(ITEMS), asked([]), 0.0)
    (found,) = Lexical().fit(world).suggest("comet 2", 8)
    assert (found.kind, found.item) == ("title", 1)


def test_a_typing_error_in_a_prefix_is_forgiven():
    assert ("Rain jacket", "title") in suggested("rain jackte")


@pytest.mark.parametrize(("people", "expected"), [(PEOPLE, True), (PEOPLE - 1, False)])
def test_a_query_is_suggested_only_when_enough_people_asked_it(people, expected):
    log = asked([("running vest", user) for user in range(people)] + [("running vest", 0)] * 50)
    assert (("running vest", "query") in suggested("run", log)) == expected
    if expected:
        assert suggested("run", log)[0] == ("running vest", "query")


def test_suggestions_come_while_typing():
    rng = np.random.default_rng(2)
    titles = rng.integers(0, 5_000, (20_000, 5))
    items = [Item(id=str(row), title=" ".join(f"w{word}" for word in line)) for row, line in enumerate(titles)]
    index = Lexical().fit(World(ItemTable.of(items), asked([]), 0.0))
    spent = []
    for row in range(60):
        before = time.thread_time()
        index.suggest(f"w{titles[row, 0]} w{titles[row, 1]}"[: 2 + row % 9], 8)
        spent.append(time.thread_time() - before)
    assert np.median(spent) < 0.005, f"{np.median(spent) * 1e3:.1f} ms; about .3 ms on an idle machine"


def counter(items: list[Item], log: Log | None = None, changed: dict[str, Item | None] | None = None) -> Completing:
    table = ItemTable.of(items)
    return Completing(Lexical().fit(World(table, log or asked([]), 0.0)), Shelf.of(table, changed))


def texts(completing: Completing, typed: str, context: Context | None = None, k: int = 8) -> list[str]:
    return [found.text for found in completing.complete(typed, k, context=context)]


def looked_at(*rows: int) -> Context:
    items = np.array(rows, np.int32)
    return Context(history=items, times=np.arange(len(rows), dtype=np.float64), actions=np.zeros(len(rows), np.int8))


SOLD_OUT = Availability.OUT_OF_STOCK


def test_a_query_that_is_misspelt_or_finds_nothing_is_not_repeated_to_others():
    log = asked([(query, user) for query in ("running shoe", "runing shoe", "runes of zork") for user in range(PEOPLE)])
    found = suggested("run", log)
    assert ("running shoe", "query") in found
    assert "runing shoe" not in [text for text, _ in found]
    assert "runes of zork" not in [text for text, _ in found]


def test_what_has_nothing_to_show_is_left_out():
    log = asked([("rain jacket", user) for user in range(PEOPLE)])
    assert texts(counter(ITEMS, log), "rain")[:2] == ["rain jacket", "Rain"]
    gone = {"3": None, "5": None}
    assert texts(counter(ITEMS, log, gone), "rain") == []
    one = {"3": None}  # another item bears the title, but none is in the category
    assert texts(counter(ITEMS, log, one), "rain") == ["rain jacket"]
    dry = [Item(id=item.id, title=item.title, brand=item.brand, category=item.category) for item in ITEMS]
    dry[2] = Item(id="3", title="Rain jacket", category=("Rain",), availability=SOLD_OUT)
    dry[4] = Item(id="5", title="Rain jacket", availability=SOLD_OUT)
    assert texts(counter(dry, log), "rain") == []


def test_a_title_names_an_item_that_can_be_bought():
    both = [Item(id="a", title="Rain jacket", availability=SOLD_OUT), Item(id="b", title="Rain jacket")]
    (found,) = counter(both).complete("rain", 8)
    assert (found.kind, found.item) == ("title", "b")
    assert [found.item for found in counter(both, changed={"b": None}).complete("rain", 8)] == []


def test_new_and_changed_items_are_completed_at_once():
    new = Item(id="9", title="Zyxophone stand", brand="Zyxo", category=("Music", "Stands"))
    renamed = Item(id="1", title="Walking boot Meteor", brand="Runfast")
    shop = counter(ITEMS, changed={"9": new, "1": renamed})
    assert [(found.text, found.kind, found.item) for found in shop.complete("zyxo", 8)] == [
        ("Zyxo", "brand", ""),
        ("Zyxophone stand", "title", "9"),
    ]
    assert texts(shop, "stan") == ["Stands", "Zyxophone stand"]
    assert texts(shop, "meteor") == ["Walking boot Meteor"]
    assert "Running shoe Comet" not in texts(shop, "comet")
    assert texts(shop, "runfast").count("Runfast") == 1  # both tables have the brand


def test_a_changed_item_keeps_its_popularity():
    items = [Item(id="a", title="Comet one"), Item(id="b", title="Comet two"), Item(id="c", title="Comet three")]
    log = asked([("", 0)] * 30)
    log = replace(log, item=np.array([2] * 20 + [0] * 10, np.int32), query=np.full(30, -1, np.int32))
    assert texts(counter(items, log), "comet") == ["Comet three", "Comet one", "Comet two"]
    cheaper = {"c": Item(id="c", title="Comet three", price=1.0)}
    assert texts(counter(items, log, cheaper), "comet") == ["Comet three", "Comet one", "Comet two"]


def test_the_shoppers_own_shelves_come_first_among_near_equals():
    items = [
        Item(id="a", title="Ball for dogs", brand="Waff", category=("Pets",)),
        Item(id="b", title="Ball for football", brand="Kick", category=("Sport",)),
        Item(id="c", title="Boots", brand="Kick", category=("Sport",)),
        Item(id="d", title="Bone", brand="Waff", category=("Pets",)),
    ]
    shop = counter(items)
    anybody = texts(shop, "ball")
    assert anybody == ["Ball for dogs", "Ball for football"]
    assert texts(shop, "ball", looked_at(2)) == ["Ball for football", "Ball for dogs"]  # same brand and category
    assert texts(shop, "ball", looked_at(3)) == anybody
    assert texts(shop, "ball", looked_at(1)) == ["Ball for football", "Ball for dogs"]
    popular = asked([("", 0)] * 40)
    popular = replace(popular, item=np.zeros(40, np.int32), query=np.full(40, -1, np.int32))
    assert texts(counter(items, popular), "ball", looked_at(2)) == anybody  # no near-equal any more
    changed = {"b": Item(id="b", title="Ball for football", brand="Kick", category=("Sport",), price=2.0)}
    assert texts(counter(items, changed=changed), "ball", looked_at(2)) == ["Ball for football", "Ball for dogs"]


def test_without_a_history_everybody_gets_the_same_bytes():
    log = asked([("running shoe", user) for user in range(PEOPLE)])
    shop = counter(ITEMS, log, {"9": Item(id="9", title="Runway lamp")})
    plain = [msgspec.json.encode(shop.complete(typed, 8)) for typed in ("r", "ru", "running", "rain", "runnign")]
    again = [
        msgspec.json.encode(shop.complete(typed, 8, context=Context(now=float(moment))))
        for moment, typed in enumerate(("r", "ru", "running", "rain", "runnign"))
    ]
    assert plain == again
    assert texts(shop, "r", looked_at(2)) != []


def test_errors_are_forgiven_in_what_is_typed():
    titles = ["Wireless headphones", "Waterproof camera", "Coffee grinder"]
    shop = counter([Item(id=title, title=title) for title in titles * 1])
    for typed in (
        "wirless",
        "wireles hea",
        "headpho",
        "headohones",
        "haedphones",
        "hedaphones wir",
        "wireless headpohn",
    ):
        assert texts(shop, typed) == ["Wireless headphones"], typed
    assert texts(shop, "watterprof") == ["Waterproof camera"]  # two errors: by the speller
    assert texts(shop, "cofee grnder") == ["Coffee grinder"]
    assert texts(shop, "xireless") == ["Wireless headphones"]  # the first letter, in a whole word
    assert texts(shop, "qqqq") == []


def test_chinese_is_completed_by_its_characters():
    shop = counter([Item(id="4", title="蓝牙降噪耳机 头戴式"), Item(id="5", title="轻薄羽绒服")])
    for typed in ("蓝", "蓝牙", "蓝牙降", "蓝牙降噪耳", "耳机", "头戴"):
        assert texts(shop, typed) == ["蓝牙降噪耳机 头戴式"], typed
    assert texts(shop, "轻薄羽") == ["轻薄羽绒服"]


@pytest.mark.parametrize(
    "hostile", ["", " ", "\x00", "a" * 10_000, "?!*(", "😀", "\u202e abc", "'; DROP TABLE", "蓝" * 500]
)
def test_nothing_typed_hurts(hostile):
    shop = counter(ITEMS)
    assert len(shop.complete(hostile, 8)) <= 8
    assert shop.complete("run", 0) == []
    assert counter([Item(id="x", title="")]).complete(hostile, 8) == []


def test_a_saved_completer_answers_the_same(tmp_path):
    log = asked([("running shoe", user) for user in range(PEOPLE)])
    table = ItemTable.of(ITEMS)
    fitted = Lexical().fit(World(table, log, 0.0))
    fitted.save(tmp_path)
    loaded = Lexical.load(tmp_path, table)
    for typed in ("r", "run", "runnign", "rain j", "蓝牙"):
        assert Completing(loaded, Shelf.of(table)).complete(typed, 8) == Completing(fitted, Shelf.of(table)).complete(
            typed, 8
        )
