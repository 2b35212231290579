"""Edit distance, corrections and suggestions, each against the plain way to do it."""

from __future__ import annotations

import doctest
import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodega.bench._known_items import misspelled
from bodega.retrieval.lexical import ENOUGH_PEOPLE, Lexical, _suggest, _words
from bodega.retrieval.lexical._words import Words, distance, find, span
from bodega.schema import EVENT_CODES, Item, ItemTable, Log, Texts, World

LETTERS = st.text("abc", max_size=7)


def slow_distance(one: str, two: str) -> int:
    """Optimal string alignment by its recursive definition."""
    table = {(0, column): column for column in range(len(two) + 1)} | {(row, 0): row for row in range(len(one) + 1)}
    for row in range(1, len(one) + 1):
        for column in range(1, len(two) + 1):
            best = min(table[row - 1, column] + 1, table[row, column - 1] + 1)
            best = min(best, table[row - 1, column - 1] + (one[row - 1] != two[column - 1]))
            if row > 1 and column > 1 and one[row - 2 : row] == two[column - 2 : column][::-1]:
                best = min(best, table[row - 2, column - 2] + 1)
            table[row, column] = best
    return table[len(one), len(two)]


@given(LETTERS, LETTERS, st.integers(1, 2))
def test_distance_is_the_textbook_one_cut_off(one, two, most):
    assert distance(one, two, most) == min(slow_distance(one, two), most + 1)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(_words) == (0, 1)


@given(st.lists(st.text("abé蓝", max_size=4), unique=True), st.text("abé蓝", max_size=3))
def test_lookups_are_those_of_a_list(words, word):
    texts = Texts.of(sorted(words))
    assert (find(texts, word) >= 0) == (word in words)
    low, high = span(texts, word)
    assert list(texts)[low:high] == sorted(other for other in words if other.startswith(word))


def test_most_typing_errors_are_mended_and_known_words_stay():
    """The dictionary is the shop's own; the words are common English product words."""
    text = (
        "headphones wireless keyboard monitor television speaker charger adapter bluetooth printer camera battery "
        "laptop tablet router memory gaming controller leather jacket trousers running waterproof hiking backpack "
        "mattress kitchen blender toaster coffee grinder vacuum cleaner washing machine refrigerator microwave"
    )
    known = text.split()
    words = Words.of(dict.fromkeys(known, 20))
    rng = random.Random(5)
    typed = [(word, misspelled(rng, word)) for word in known * 5]
    typed = [(word, wrong) for word, wrong in typed if wrong not in known]
    right = [words.nearest(wrong) == word for word, wrong in typed]
    assert np.mean(right) >= 0.95
    assert words.nearest("zzzzzzzz") == ""


def test_what_is_never_corrected():
    words = Words.of({"cat": 50, "table": 50, "stable": 3, "one1": 9, "rare": 1, "headphones": 30})
    assert words.nearest("cot") == ""  # too short
    assert words.nearest("tabl3") == ""  # not only letters
    assert words.nearest("rarr") == ""  # the shop itself wrote it only once
    assert words.nearest("tabel") == "table"
    assert words.nearest("headfones") == "headphones"  # two errors in a long word
    assert words.nearest("tabxxe") == ""
    assert words.nearest("xable") == "table"  # a wrong first letter needs a frequent word
    assert Words.of({"table": 5}).nearest("xable") == ""


def test_a_word_is_cut_where_the_rarer_half_is_most_frequent():
    words = Words.of({"air": 90, "fryer": 10, "airf": 3, "ryer": 3, "green": 4, "christmas": 4})
    assert words.halves("airfryer") == ("air", "fryer")
    assert words.halves("greenchristmas") == ("green", "christmas")
    assert words.halves("airplane") is None
    assert words.halves("abc") is None


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
    assert max(len(text) for text, _ in suggested("running")) <= _suggest.LONGEST


def test_a_title_names_its_item():
    world = World(ItemTable.of(ITEMS), asked([]), 0.0)
    (found,) = Lexical().fit(world).suggest("comet 2", 8)
    assert (found.kind, found.item) == ("title", 1)


def test_a_typing_error_in_a_prefix_is_forgiven():
    assert ("Rain jacket", "title") in suggested("rain jackte")


@pytest.mark.parametrize(("people", "expected"), [(ENOUGH_PEOPLE, True), (ENOUGH_PEOPLE - 1, False)])
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
