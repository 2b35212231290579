"""Suggestions from the words of the catalog and the queries of many."""

from __future__ import annotations

import time

import numpy as np
import pytest

from bodega.retrieval.lexical import Lexical, _entries
from bodega.schema import EVENT_CODES, Item, ItemTable, Log, World
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
        before = time.process_time()
        index.suggest(f"w{titles[row, 0]} w{titles[row, 1]}"[: 2 + row % 9], 8)
        spent.append(time.process_time() - before)
    assert np.median(spent) < 0.005, f"{np.median(spent) * 1e3:.1f} ms; about .3 ms on an idle machine"
