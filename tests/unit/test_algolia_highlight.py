"""Highlighting: the words the search goes by, safe in a page, and what Algolia's clients read from it."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodega.service.algolia.highlight import Marks, Wanted, highlighted, snippet

BARS = Marks("[", "]")


def marked(query: str, text: str, *others: str) -> str:
    value: str = highlighted(text, Wanted.of(query, *others), BARS)["value"]
    return value


@pytest.mark.parametrize(
    ("query", "text", "shown"),
    [
        ("shoe", "Running Shoes", "Running [Shoes]"),
        ("running shoes", "Shoe for runs", "[Shoe] for [runs]"),
        ("sho", "Shoes, shorts, tattooshop", "[Sho]es, [sho]rts, tattooshop"),
        ("s", "Shoes", "Shoes"),
        ("red sho ", "Shoes", "Shoes"),
        ("wifi", "Wi-Fi router", "[Wi-Fi] router"),
        ("wi fi", "Wi-Fi wifi", "[Wi]-[Fi] wifi"),
        ("wi-fi", "wifi Wi-Fi", "[wifi] [Wi-Fi]"),
        ("55 inch", '55" TV, 55inch, 55-inch', '[55]" TV, [55inch], [55]-[inch]'),
        ("4k", "4K TV", "[4K] TV"),
        ("cafe", "Café noir", "[Café] noir"),
        ("levis", "Levi's 501 & Levi’s", "[Levi's] 501 & [Levi’s]"),
        ("牛奶", "纯牛奶 250毫升", "纯[牛奶] 250毫升"),
        ("纯牛奶", "蒙源纯牛奶", "蒙源[纯牛奶]"),
        ("耳机", "藍牙耳機", "藍牙[耳機]"),
        ("牛奶 milk", "Milk 牛奶", "[Milk] [牛奶]"),
        ("", "Anything", "Anything"),
        ("!!!", "Anything", "Anything"),
        ("the", "The end of the line", "[The] end of [the] line"),
        ("straße", "Straße", "[Straße]"),
    ],
)
def test_found_words_are_marked(query, text, shown):
    assert marked(query, text) == shown


def test_a_correction_and_a_synonym_find_words_too():
    assert marked("headpones", "Headphones") == "Headphones"
    assert marked("headpones", "Headphones", "headphones") == "[Headphones]"
    assert marked("tv", "Television", "television") == "[Television]"


def test_how_much_was_found():
    wanted = Wanted.of("trail shoes for men")
    assert highlighted("Trail shoe", wanted, BARS)["matchLevel"] == "partial"
    assert highlighted("Men's trail shoe", wanted, BARS)["matchLevel"] == "full", "stop words are not needed"
    full = highlighted("Trail shoe, men", wanted, BARS)
    assert full == {
        "value": "[Trail] [shoe], [men]",
        "matchLevel": "full",
        "matchedWords": ["men", "shoes", "trail"],
        "fullyHighlighted": True,
    }
    none = highlighted("Rain coat", wanted, BARS)
    assert none == {"value": "Rain coat", "matchLevel": "none", "matchedWords": []}
    assert highlighted("Trail map", wanted, BARS)["fullyHighlighted"] is False


def test_lists_and_objects_keep_their_shape():
    wanted = Wanted.of("trail")
    value = {"lvl0": "Shoes", "lvl1": "Shoes > Trail", "n": 5}
    found = highlighted(value, wanted, BARS)
    assert list(found) == ["lvl0", "lvl1"]
    assert found["lvl1"]["value"] == "Shoes > [Trail]"
    assert [each["value"] for each in highlighted(["Trail", 3, "x"], wanted, BARS)] == ["[Trail]", "x"]


HOSTILE = '<img src=x onerror="alert(1)"> shoe & <b>co</b>'


def test_text_is_escaped_where_the_tags_are_markup_and_only_there():
    wanted = Wanted.of("shoe img")
    safe = highlighted(HOSTILE, wanted, Marks())["value"]
    assert "<em>shoe</em> &amp; &lt;b&gt;" in safe
    assert set(re.findall(r"<[^>]*>", safe)) == {"<em>", "</em>"}
    raw = highlighted(HOSTILE, wanted, Marks("__ais-highlight__", "__/ais-highlight__"))["value"]
    assert raw.replace("__ais-highlight__", "").replace("__/ais-highlight__", "") == HOSTILE


@given(query=st.text(max_size=40), text=st.text(max_size=200))
def test_nothing_but_marks_is_ever_added(query, text):
    """Without its marks a highlighted text is the text itself; escaped, it holds no markup but the marks."""
    marks = Marks("\ue000", "\ue001")
    text = text.replace("\ue000", "").replace("\ue001", "")
    wanted = Wanted.of(query)
    value = highlighted(text, wanted, marks)["value"]
    assert value.replace("\ue000", "").replace("\ue001", "") == text
    assert value.count("\ue000") == value.count("\ue001")
    safe = highlighted(text, wanted, Marks())["value"]
    assert html.unescape(safe.replace("<em>", "").replace("</em>", "")) == html.unescape(html.escape(text))
    assert "<" not in safe.replace("<em>", "").replace("</em>", "")


@given(query=st.text(max_size=20), text=st.text(max_size=300), words=st.integers(1, 30))
def test_a_snippet_is_part_of_the_text(query, text, words):
    found = snippet(text, Wanted.of(query), Marks("", ""), words, "")
    assert found["value"] in text


def test_a_snippet_shows_the_words_around_the_first_one_found():
    text = "One two three four five six trail shoe seven eight nine ten eleven"
    found = snippet(text, Wanted.of("trail"), BARS, 5, "…")
    assert found == {"value": "…six [trail] shoe seven eight…", "matchLevel": "full"}
    assert snippet(text, Wanted.of("nothing"), BARS, 3, "…") == {"value": "One two three…", "matchLevel": "none"}
    assert snippet("Short", Wanted.of("short"), BARS, 3, "…")["value"] == "[Short]"
    assert snippet(5, Wanted.of("x"), BARS, 3, "…") is None


def test_a_long_text_is_looked_at_only_so_far_and_shown_whole():
    text = "trail " * 3_000
    value = marked("trail", text)
    assert value.replace("[", "").replace("]", "") == text
    assert 800 < value.count("[") < 900
