"""Corrections: from the words of the shop and its shoppers, by what stands beside, and never of what is right."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from bodega.bench._known_items import misspelled
from bodega.bench._typos import ERRORS, measure, typos, wrong
from bodega.retrieval.lexical import Lexical
from bodega.schema import EVENT_CODES, Item, ItemTable, Log, Texts, World
from bodega.understanding.query.habits import PEOPLE, Pairs, asked, habits
from bodega.understanding.query.spelling import Speller, error_cost
from bodega.understanding.query.vocabulary import TWO_ERRORS, Words, find, span

WORDS = st.text("abcdeé", min_size=4, max_size=11)


def log_of(searches: list[tuple[str, int]], clicks: list[tuple[str, int, int]] = []) -> Log:  # noqa: B006
    """Searches (query, user), then clicks (query, user, item)."""
    rows = [(query, user, -1, "search") for query, user in searches]
    rows += [(query, user, item, "click") for query, user, item in clicks]
    queries = sorted({query for query, _, _, _ in rows})
    count = len(rows)
    user = np.array([user for _, user, _, _ in rows], np.int32)
    return Log(
        time=np.arange(count, dtype=np.float64),
        type=np.array([EVENT_CODES[kind] for _, _, _, kind in rows], np.int8),
        user=user,
        session=user,
        item=np.array([item for _, _, item, _ in rows], np.int32),
        quantity=np.ones(count, np.float32),
        value=np.full(count, np.nan, np.float32),
        query=np.array([queries.index(query) for query, _, _, _ in rows], np.int32),
        position=np.full(count, -1, np.int32),
        n_users=int(user.max(initial=-1)) + 1,
        n_sessions=int(user.max(initial=-1)) + 1,
        queries=tuple(queries),
    )


def everybody(query: str, people: int = PEOPLE) -> list[tuple[str, int]]:
    return [(query, user) for user in range(people)]


def shop(titles: list[str], log: Log | None = None) -> Lexical:
    items = [Item(id=str(row), title=title) for row, title in enumerate(titles)]
    return Lexical().fit(World(ItemTable.of(items), log or log_of([]), 0.0))


def speller(known: str, count: int = 20) -> Speller:
    return Speller(Words.of(dict.fromkeys(known.split(), count)))


@given(st.lists(WORDS, min_size=1, max_size=30, unique=True), WORDS)
def test_near_words_are_those_of_a_plain_scan(known, typed):
    words = Words.of(dict.fromkeys(known, 1))
    expected = []
    for other in sorted(known):
        errors = OSA.distance(typed, other)
        if errors <= 1 or (errors == 2 and max(len(typed), len(other)) >= TWO_ERRORS and len(typed) >= TWO_ERRORS - 2):
            expected.append((other, errors, 1))
    assert words.near(typed) == [entry for entry in expected if len(entry[0]) >= TWO_ERRORS - 2 or entry[1] < 2]


@given(st.lists(st.text("abé蓝\U0001f34e", max_size=4), unique=True), st.text("abé蓝\U0001f34e", max_size=3))
def test_lookups_are_those_of_a_list(words, word):
    texts = Texts.of(sorted(words))
    assert (find(texts, word) >= 0) == (word in words)
    low, high = span(texts, word)
    assert list(texts)[low:high] == sorted(other for other in words if other.startswith(word))


def test_most_typing_errors_are_mended():
    """The dictionary is the shop's own; the words are common English product words, alone."""
    known = (
        "headphones wireless keyboard monitor television speaker charger adapter bluetooth printer camera battery "
        "laptop tablet router memory gaming controller leather jacket trousers running waterproof hiking backpack "
        "mattress kitchen blender toaster coffee grinder vacuum cleaner washing machine refrigerator microwave"
    )
    found = speller(known)
    rng = random.Random(5)
    typed = [(word, misspelled(rng, word)) for word in known.split() * 5]
    typed = [(word, error) for word, error in typed if error not in known.split()]
    right = [found.correct([error]).words == (word,) for word, error in typed]
    assert np.mean(right) >= 0.95
    twice = [(word, wrong(rng, word, 2)) for word in known.split() * 3 if len(word) >= TWO_ERRORS]
    assert np.mean([found.correct([error]).words == (word,) for word, error in twice]) >= 0.95


def test_the_benchmark_counts_what_it_says():
    known = ["leather jacket with zipper", "kitchen blender with grinder", "washing machine cleaner"]
    found = shop(known * 3).speller
    figures = measure(found, known, 300, seed=1)
    assert figures["harmed"] == 0.0
    assert figures["fixed"] >= 0.95
    assert figures["fixed"] >= figures["fixed_exact"]
    assert figures["unknown_word"] == 0.0
    assert measure(found, ["zebra giraffe"], 50, seed=1)["unknown_word"] == 1.0
    for case in typos(known, 200, random.Random(2)):
        typed = case.words[case.place]
        assert typed != case.meant
        assert 1 <= OSA.distance(typed, case.meant) <= case.errors
    assert len(ERRORS) == 5


def test_what_is_never_corrected():
    found = Speller(Words.of({"cat": 50, "table": 50, "stable": 3, "one1": 9, "galaxy": 30, "headphones": 30}))
    for right in ("cat", "table", "one1", "cot", "tabl3", "1080p", "wh1000xm4", "蓝牙", "x" * 60, ""):
        assert not found.correct([right]).changed, right
    assert found.correct(["tabel"]).words == ("table",)
    assert found.correct(["headfones"]).words == ("headphones",)  # two errors in a long word
    assert not found.correct(["tabxxe"]).changed  # two errors in a short one
    assert found.correct(["tabel"], sure=frozenset({0})).words == ("tabel",)
    assert not found.correct(["zzzzzzzz"]).changed
    assert found.correct([]).words == ()


def test_a_correction_is_made_from_what_stands_beside():
    titles = ["garden chair"] * 90 + ["table cover"] * 50 + ["usb cable"] * 150 + ["coffee table"] * 50
    found = shop(titles).speller
    assert found.correct(["coffee", "xable"]).words == ("coffee", "table")
    assert found.correct(["usb", "xable"]).words == ("usb", "cable")
    assert found.correct(["xable"]).words == ("cable",)  # alone: the more frequent one


def test_pairs_of_the_log_count_too():
    titles = ["silver ring"] * 30 + ["silver king"] * 30
    plain = shop(titles).speller
    heard = shop([*titles, "pocket"], log_of(everybody("pocket ring"))).speller
    assert plain.correct(["pocket", "xing"]).words == ("pocket", "king")  # ties by spelling
    assert heard.correct(["pocket", "xing"]).words == ("pocket", "ring")


def test_likely_errors_cost_less():
    assert error_cost("tabel", "table", 1) < error_cost("tabxe", "table", 1)  # swapped
    assert error_cost("tabble", "table", 1) < error_cost("tabxle", "table", 1)  # doubled
    assert error_cost("tavle", "table", 1) < error_cost("tazle", "table", 1)  # the key beside
    assert error_cost("xable", "table", 1) > error_cost("taxle", "table", 1)  # the first letter
    assert error_cost("table", "table", 0) == 0.0


def test_words_are_cut_and_joined():
    titles = ["air fryer"] * 9 + ["green christmas tree"] * 4 + ["wireless headphones"] * 5 + ["airf", "ryer"]
    found = shop(titles).speller
    assert found.halves("airfryer") == ("air", "fryer")
    assert found.halves("greenchristmas") == ("green", "christmas")
    assert found.halves("airplane") is None
    assert found.halves("abc") is None
    assert found.correct(["xl", "airfryer"]).words == ("xl", "air", "fryer")
    joined = found.correct(["wireless", "headp", "hones"])
    assert joined.words == ("wireless", "headphones")
    assert joined.fixes[0][:2] == (1, 2)


def test_german_compounds_are_cut_into_the_shops_words():
    titles = ["Damen Schuhe aus Leder"] * 5 + ["Leder Tasche"] * 3 + ["Liebling Geschenk"] * 3
    found = shop(titles).speller
    assert found.correct(["lederschuhe"]).words == ("leder", "schuhe")
    assert found.correct(["lieblingsgeschenk"]).words == ("liebling", "geschenk")  # with the s between


def test_the_plural_of_a_word_that_only_has_a_singular():
    found = shop(["steel kettle"] * 5).speller
    assert found.correct(["ketles"]).words == ("kettles",)
    assert found.correct(["kettles"]).changed is False


def test_confidence_is_a_chance():
    found = shop(["usb cable"] * 50 + ["coffee table"] * 50).speller
    sure, unsure = found.correct(["usb", "xable"]), found.correct(["xable"])
    assert 0 < unsure.confidence < sure.confidence <= 1
    assert found.correct(["usb"]).confidence == 1.0


def test_words_of_many_shoppers_are_known_and_those_of_few_are_not():
    titles = ["loud speakers"] * 30
    assert shop(titles, log_of(everybody("gramophone"))).speller.knows("gramophone")
    assert not shop(titles, log_of(everybody("gramophone", PEOPLE - 1))).speller.knows("gramophone")
    # without clicks a word near one of the catalog's is a typing error, however many make it
    assert shop(titles, log_of(everybody("speekers"))).match("speekers").corrected == "speakers"


def test_clicks_tell_an_own_word_from_an_error_that_many_make():
    titles = ["loud speakers"] * 300 + ["trainers"] * 3
    own = log_of(everybody("sneakers"), [("sneakers", user, 300 + user % 3) for user in range(9)])
    error = log_of(everybody("speekers"), [("speekers", user, user) for user in range(9)])
    assert shop(titles, own).match("sneakers").corrected == ""
    assert shop(titles, error).match("speekers").corrected == "speakers"


def test_a_word_of_one_person_is_never_offered_to_another():
    titles = ["loud speakers"] * 3 + ["trainers"] * 3
    log = log_of([("hildegunst", 0)], [("hildegunst", 0, 4)])
    found = shop(titles, log).speller
    assert found.knows("hildegunst")
    assert not found.correct(["hildegunt"]).changed
    assert shop(titles, log_of(everybody("hildegunst"))).speller.correct(["hildegunt"]).words == ("hildegunst",)


def test_queries_are_counted_by_people_and_spelled_as_most_do():
    log = log_of([*everybody("Red shoes", 12), *[("red  SHOES", user) for user in range(12, 20)], ("red shoes", 0)])
    (query,) = asked(log)
    assert (query.text, query.words, query.people, query.items) == ("Red shoes", ("red", "shoes"), 20, ())
    assert asked(log, people=21) == []
    assert asked(log_of([])) == []
    assert asked(log_of(everybody("!!!"))) == []


def test_pairs_and_words_are_saved(tmp_path):
    pairs = Pairs.of(asked(log_of([*everybody("red shoes"), *everybody("blue shoes", 30)])))
    pairs.save(tmp_path)
    loaded = Pairs.load(tmp_path)
    assert loaded.count(["red", "blue", "green"], ["shoes"]).tolist() == [20.0, 30.0, 0.0]
    words = Words.of({"table": 5, "cable": 7})
    words.save(tmp_path)
    assert Words.load(tmp_path).near("xable") == words.near("xable") == [("cable", 1, 7), ("table", 1, 5)]
    assert habits(log_of([]), ItemTable.of([]), words).words == {}


@pytest.mark.parametrize("hostile", ["\x00" * 500, "a" * 5_000, "\ud7ff\uffff", "ﷺ" * 30, "é" * 39, "ß" * 20])
def test_nothing_typed_hurts(hostile):
    found = shop(["usb cable"] * 5).speller
    assert len(found.correct([hostile, "cable"]).words) >= 1


def test_a_correction_takes_no_time():
    rng = np.random.default_rng(3)
    letters = np.array(list("abcdefghijklmnoprstu"))
    names = sorted({"".join(rng.choice(letters, rng.integers(5, 11))) for _ in range(20_000)})
    found = Speller(Words.of(dict.fromkeys(names, 3)))
    spent = []
    for name in names[::100]:
        before = time.thread_time()
        found.correct([name[:3] + "q" + name[3:]])
        spent.append(time.thread_time() - before)
    assert np.median(spent) < 0.0015, f"{np.median(spent) * 1e3:.2f} ms; about .2 ms on an idle machine"
