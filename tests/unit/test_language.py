"""Text becomes the same tokens for a product and for the query that means it."""

from __future__ import annotations

import doctest
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodega.understanding import language
from bodega.understanding.language import detect, fold, stem, tokens, words


def test_the_examples_in_the_docstrings_hold():
    found = doctest.testmod(language)
    assert found.attempted >= 5
    assert found.failed == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Running Shoes", "run shoe"),
        ("CAFÉ crème", "cafe creme"),
        ("Größe Straße", "grosse strasse"),
        ("ＡＢＣ１２３", "abc123"),
        ("Levi’s", "levis"),
        ("men's", "mens"),
        ('55" TV', "55 inch tv"),
        ("12'' x 10''", "12 inch x 10 inch"),
        ('"playstation 3"', "playstation 3"),
        ("1,000 pieces", "1000 pieces"),
        ("3,5 mm", "3.5 mm"),
        ("Ⅳ", "iv"),
        ("蓝牙耳机", "蓝牙 耳机"),
        ("無線藍牙耳機", "无线蓝牙耳机"),
        ("紅色連衣裙 乾淨", "红色连衣裙 干净"),
    ],
)
def test_what_people_do_not_distinguish_is_equal(one, other):
    assert tokens(one) == tokens(other)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("wi-fi", ["wi", "fi", "wifi"]),
        ("55inch", ["55", "inch", "55inch"]),
        ("WH-1000XM4", ["wh", "1000", "xm", "4", "wh1000xm4"]),
        ("2.4GHz", ["2.4", "ghz", "2.4ghz"]),
        ("4k 1080p i7", ["4k", "1080p", "i7"]),
        ("a-b-c-d-e", ["a", "b", "c", "d", "e"]),
    ],
)
def test_compounds_are_kept_whole_and_in_parts(text, parts):
    assert tokens(text) == parts


def test_chinese_is_cut_into_words_and_unknown_runs_into_pairs():
    assert {"蓝牙", "耳机", "降噪"} <= set(tokens("索尼蓝牙降噪耳机"))
    assert {"羽绒服", "短款"} <= set(words("羽绒服女短款"))
    pairs = words("龘靐齉")
    assert {"龘", "靐", "齉"} <= set(pairs)
    assert {"龘靐", "靐齉"} <= set(pairs)


def test_mixed_scripts_keep_both():
    found = tokens("Sony 蓝牙耳机 WH-1000XM4 😀")
    assert {"soni", "蓝牙", "耳机", "wh1000xm4", "😀"} <= set(found)
    assert tokens("한국어 케이스") == ["한국어", "케이스"]
    assert tokens("スマホ") == ["スマ", "マホ"]
    assert tokens("Чайник й") == ["чайник", "й"]


def test_only_latin_letters_lose_their_marks():
    assert fold("é й が") == "e й が"


def test_another_language_than_english_is_not_stemmed_as_english():
    assert tokens("running", "en") == ["run"]
    assert tokens("running", "de") == ["running"]


def test_language_is_told_by_script():
    assert detect("蓝牙耳机 Sony") == "zh"
    assert detect("Sony headphones 耳机 for running outdoors") == "en"
    assert detect("") == "en"


def test_stems_of_stems_do_not_change_numbers_and_names_with_digits():
    assert [stem(word) for word in ("1080p", "xm4", "2.4", "耳机")] == ["1080p", "xm4", "2.4", "耳机"]


@given(st.text(max_size=60))
def test_any_text_gives_clean_tokens_and_folding_twice_is_folding_once(text):
    for token in tokens(text):
        assert token
        assert not any(char.isspace() for char in token)
        assert len(token) <= 2 * language.LONGEST_TOKEN
    assert tokens(text) == tokens(fold(text))
    assert words(text) == words(text.casefold())


@pytest.mark.parametrize("hostile", ["a" * 1_000_000, "a-" * 500_000, "1," * 500_000, "蓝" * 300_000, '"' * 1_000_000])
def test_a_megabyte_of_anything_is_cut_quickly(hostile):
    before = time.thread_time()
    tokens(hostile)
    assert time.thread_time() - before < 5.0


def test_a_title_takes_microseconds():
    titles = [f"Acme Trail running shoes men size {number} waterproof wi-fi 55inch" for number in range(2_000)]
    spent = []
    for _ in range(3):
        before = time.thread_time()
        for title in titles:
            tokens(title)
        spent.append((time.thread_time() - before) / len(titles))
    assert min(spent) < 200e-6, f"{min(spent) * 1e6:.0f} us of CPU; about 15 without coverage"


def test_texts_that_no_encoding_allows_are_simplified_where_they_can_be():
    assert fold("\ud800無線\x00") == "\ud800无线\x00"
