"""What items are for, in the words of descriptions and queries, English and Chinese."""

from __future__ import annotations

import pytest

from bodega.understanding.graph.needs import mine, said


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("Ideal for trail running, yoga and your daily commute.", ["trail running", "yoga", "daily commute"]),
        ("A mat for hot yoga with a non-slip surface", ["hot yoga"]),
        ("gift for a runner", ["runner"]),
        ("a perfect birthday gift", ["perfect birthday gift"]),
        ("轻便透气，适合跑步和登山。", ["跑步", "登山"]),
        ("適合跑步使用", ["跑步"]),
        ("精美礼盒，送女友", ["送女友"]),
        ("under 50, for 20", []),
        ("it is for you", []),
        ("for example", []),
        ("", []),
    ],
)
def test_needs_are_read(text, needs):
    assert list(said(text)) == needs


def test_a_need_is_kept_where_enough_serve_it_and_not_the_whole_shop():
    texts = ["for hiking"] * 3 + ["for fun"] * 8 + ["for Hiking trips"] + [""] * 8
    found = mine(texts, [], [frozenset()] * len(texts), 3)
    assert [(need.text, len(need.items)) for need in found] == [("fun", 8), ("hiking", 3)]
    assert mine(["for hiking"] * 2, [], [frozenset()] * 2, 3) == []
    assert mine(["for hiking"] * 9 + [""], [], [frozenset()] * 10, 3) == [], "what most serve says nothing"


def test_queries_and_titles_count_too():
    texts = ["for hiking", "for hiking", *[""] * 8]
    words = [frozenset({"hike", "pole"}) if row == 3 else frozenset() for row in range(10)]
    (need,) = mine(texts, [("poles for hiking", [2])], words, 3)
    assert need.items == {0: 1.0, 1: 1.0, 2: 1.0, 3: 0.5}


def test_hostile_text_ends():
    assert len(list(said("for " * 100_000))) < 2_000
    assert list(said("适合" * 100_000)) is not None
    assert not list(said("\x00\ud800 for \u202e"))
