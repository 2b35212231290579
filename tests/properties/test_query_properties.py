"""Whatever is typed: a query is understood quickly, nothing is raised, and every finding points at what was typed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodega.schema import Item, ItemTable, Log, World
from bodega.settings import Settings
from bodega.understanding.query import Understanding, relaxations, speaks_of
from bodega.understanding.query.reading import read
from bodega.understanding.query.spelling import Speller
from bodega.understanding.query.vocabulary import Words

_PARTS = (
    "red 红色 紅色 dress 连衣裙 under 50 below $ between and 20 - 40 not silk without sugar -silk 不要 真丝 的 "
    '100元以下 2斤装 55 inch " size 42 42码 pack of 6 6件装 usd 二百 元 以内 cheap 便宜 nike wh-1000xm4 24/7 100% '
    "é ﬁ ½ 🙂 \u202e \x00 \ud800 \u0301 ' , . drees or ~ to + < ¥"
)
_SAID = st.lists(st.sampled_from(_PARTS.split(" ")), max_size=12).map(" ".join)
_GLUED = st.lists(st.sampled_from(_PARTS.split(" ")), max_size=12).map("".join)
_ANY = st.text(st.characters(), max_size=80)


def _shop() -> Understanding:
    items = [
        Item(
            id="1", title="Red silk dress", brand="Nike", category=("Dresses",), price=5.0, attributes={"color": "Red"}
        ),
        Item(
            id="2", title="真丝连衣裙 sugar", brand="华为", price=90.0, attributes={"material": "真丝", "w_g": 1000.0}
        ),
        Item(id="3", title="Silk shirt sugar", price=50.0, attributes={"material": "Silk", "size": "42"}),
    ]
    doubles, ints, floats, codes = np.empty(0), np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int8)
    log = Log(doubles, codes, ints, ints, ints, floats, floats, ints, ints, 0, 0)
    speller = Speller(Words.of({"dress": 9, "silk": 9, "sugar": 9}))
    return Understanding().fit(World(ItemTable.of(items), log, 0.0), Settings()).spelled_by(speller)


SHOP = _shop()


@settings(max_examples=600, deadline=None)
@given(st.one_of(_SAID, _GLUED, _ANY))
def test_every_finding_lies_where_it_was_typed(query):
    found = SHOP.understand(query)
    assert found.typed == query
    for meaning in found.meanings:
        assert 0 <= meaning.start < meaning.end <= len(query)
        assert query[meaning.start : meaning.end] == meaning.text
        assert 0 < meaning.confidence <= 1
        assert meaning.low is None or meaning.high is None or meaning.low <= meaning.high
        assert not meaning.excludes or meaning.values
    assert len(relaxations(found)) == sum(m.hard and not m.excludes for m in found.meanings)


@settings(max_examples=300, deadline=None)
@given(st.one_of(_SAID, _GLUED, _ANY))
def test_a_soft_wish_never_empties_the_query(query):
    found = SHOP.understand(query)
    if query.strip() and not any(meaning.hard for meaning in found.meanings) and query.isprintable():
        assert found.text
    assert "  " not in found.text
    assert found.text == found.text.strip()
    assert all(char.isprintable() or ord(char) > 0x7F for char in found.text)


@settings(max_examples=200, deadline=None)
@given(st.one_of(_SAID, _ANY))
def test_the_same_query_is_understood_the_same_and_verbatim_is_itself(query):
    assert SHOP.understand(query) == SHOP.understand(query)
    assert SHOP.understand(query, verbatim=True).text == query


@settings(max_examples=300, deadline=None)
@given(_ANY)
def test_reading_keeps_the_way_back(text):
    reading = read(text)
    assert len(reading.text) == len(reading.start) == len(reading.end)
    assert list(reading.start) == sorted(reading.start)
    assert all(start < end <= len(text) for start, end in zip(reading.start, reading.end, strict=True))
    for token in reading.tokens():
        assert reading.text[token.low : token.high] == token.word


@settings(max_examples=100, deadline=None)
@given(_SAID, _ANY)
def test_any_title_can_be_asked_about_a_refusal(query, title):
    for meaning in SHOP.understand(query + " not silk").meanings:
        assert speaks_of(meaning, title) in (True, False)


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "9",
        "一",
        "1-",
        "under ",
        "not ",
        "不要",
        '"',
        "$1 ",
        "红",
        "- ",
        "1 to ",
        "\u0301",
        "\u202e",
        "🙂",
        "é",
        "9.",
        "x1",
    ],
)
def test_ten_thousand_characters_take_no_longer_than_five_hundred(part):
    spent = []
    for length in (500, 10_000):
        query = (part * length)[:length]
        SHOP.understand(query)
        started = time.thread_time()
        SHOP.understand(query)
        spent.append(time.thread_time() - started)
    assert spent[1] < max(0.1, 4 * spent[0])
