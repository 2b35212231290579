"""The word index on small shops: what a shopper types finds what the shopper means."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bodega.retrieval.lexical import Lexical, _matcher
from bodega.schema import Context, Item, ItemTable, Log, World


def no_log() -> Log:
    whole, real = np.empty(0, np.int32), np.empty(0, np.float32)
    return Log(np.empty(0), np.empty(0, np.int8), whole, whole, whole, real, real, whole, whole, 0, 0)


def fitted(items: Sequence[Item]) -> Lexical:
    return Lexical().fit(World(ItemTable.of(items), no_log(), 0.0))


SHOP = [
    Item(id="SKU-001", title="Sony WH-1000XM4 wireless headphones", brand="Sony", category=("Audio", "Headphones")),
    Item(id="SKU-002", title="Headphones stand, oak", brand="Woody", category=("Audio", "Accessories")),
    Item(id="SKU-003", title="Running shoes for women", brand="Fleet", category=("Shoes", "Running")),
    Item(
        id="SKU-004", title="Trail shoe", brand="Fleet", description="Made for running in the wet", tags=("waterproof",)
    ),
    Item(id="SKU-005", title='Acme 55" LED television', brand="Acme", attributes={"colour": "black", "sku": "TV55-9"}),
    Item(id="SKU-006", title="Acme 43inch LED television", brand="Acme"),
    Item(id="SKU-007", title="Wi-Fi router", brand="Netix"),
    Item(id="SKU-008", title="PlayStation console", brand="Sony"),
    Item(id="😀", title="Smile mug 😀", brand="Woody"),
    Item(id="蓝-1", title="蓝牙降噪耳机 头戴式", brand="索尼", category=("数码", "耳机"), language="zh"),
    Item(id="蓝-2", title="轻薄羽绒服 女 短款", brand="雪人", category=("服装",), language="zh"),
    Item(id="x", title=""),
]


@pytest.fixture(scope="module")
def shop() -> Lexical:
    return fitted(SHOP)


def found(index: Lexical, query: str) -> list[str]:
    return [SHOP[row].id for row in index.match(query).items]


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("sony headphones", "SKU-001"),
        ("wh1000xm4", "SKU-001"),
        ("wh 1000 xm4", "SKU-001"),
        ("WH-1000XM4", "SKU-001"),
        ("headphone", "SKU-002"),  # the shorter title says nothing but that
        ("run shoe woman", "SKU-003"),
        ("women's running shoes", "SKU-003"),
        ("waterproof shoe", "SKU-004"),
        ("55 inch tv television", "SKU-005"),
        ('55"', "SKU-005"),
        ("43 inch television", "SKU-006"),
        ("55inch", "SKU-005"),
        ("wifi router", "SKU-007"),
        ("wi fi router", "SKU-007"),
        ("wi-fi", "SKU-007"),
        ("play station", "SKU-008"),
        ("black television", "SKU-005"),
        ("fleet trail", "SKU-004"),
        ("蓝牙耳机", "蓝-1"),
        ("耳机", "蓝-1"),
        ("女 羽绒服", "蓝-2"),
        ("索尼", "蓝-1"),
        ("数码", "蓝-1"),
        ("😀", "😀"),
    ],
)
def test_the_item_that_is_meant_comes_first(shop, query, best):
    assert found(shop, query)[0] == best


@pytest.mark.parametrize(
    ("query", "best"),
    [("SKU-002", "SKU-002"), ("sku 002", "SKU-002"), ("sku002", "SKU-002"), ("tv55-9", "SKU-005"), ("蓝-2", "蓝-2")],
)
def test_an_id_or_article_number_comes_first(shop, query, best):
    assert found(shop, query)[0] == best
    context = Context(place="search", query=query)
    assert SHOP[shop.retrieve(context, 3).items[0]].id == best
    assert shop.retrieve(context, 3).score[0] >= 1_000


@pytest.mark.parametrize(
    ("typed", "corrected", "best"),
    [
        ("sony headpones", "sony headphones", "SKU-001"),
        ("haedphones stand", "headphones stand", "SKU-002"),
        ("runing shoes", "running shoes", "SKU-003"),
        ("telivison acme", "television acme", "SKU-005"),
    ],
)
def test_a_typing_error_is_corrected_and_told(typed, corrected, best):
    twice = fitted([*SHOP, *(Item(id=f"again {item.id}", title=item.title) for item in SHOP[:8])])
    match = twice.match(typed)
    assert match.corrected == corrected
    assert match.items[0] in (row for row, item in enumerate([*SHOP, *SHOP[:8]]) if item.id == best)


def test_two_words_written_as_one_are_cut():
    items = [
        Item(id=str(number), title=title) for number, title in enumerate(["air fryer", "air fryer xl", "air pump"] * 3)
    ]
    match = fitted(items).match("airfryer")
    assert match.corrected == "air fryer"
    assert set(match.items.tolist()) >= {0, 1}


def test_words_of_the_shop_and_numbers_are_never_corrected():
    items = [Item(id=str(row), title="samsung galaxy 1080") for row in range(50)] + [
        Item(id="one", title="samsang 1081")
    ]
    index = fitted(items)
    assert index.match("samsang").corrected == ""
    assert index.match("samsang").items.tolist() == [50]
    assert index.match("1082").total == 0
    assert index.match("1082").corrected == ""


def test_the_last_word_may_be_unfinished(shop):
    assert found(shop, "headph")[:2] == found(shop, "headphones")[:2]
    assert found(shop, "sony playst")[0] == "SKU-008"
    assert found(shop, "羽绒") == ["蓝-2"]
    assert shop.match("headph").corrected == ""


def test_items_with_all_words_are_preferred_and_relaxed_when_few():
    items = [Item(id=f"both {row}", title="red shirt") for row in range(12)]
    items += [Item(id=f"red {row}", title="red hat") for row in range(5)]
    index = fitted(items)
    both = index.match("red shirt")
    assert (both.total, both.at_least, both.words) == (12, 2, 2)
    few = index.match("red hat")
    assert (few.total, few.at_least, few.words) == (17, 1, 2)
    assert set(few.items[:5].tolist()) == set(range(12, 17))


def test_stop_words_need_not_match(shop):
    match = shop.match("the shoes for the women")
    assert SHOP[match.items[0]].id == "SKU-003"
    assert match.words == 2


@pytest.mark.parametrize(
    "hostile",
    [
        '" OR *:* --',
        '"unbalanced quotes headphones',
        "title:headphones AND NOT sony",
        "headphones^1000 (((",
        "[a TO z] {1 TO *}",
        "'; DROP TABLE items; --",
        "\\",
        "\x00\x01\ud800".encode("utf-8", "replace").decode(),
        '+-&&||!(){}[]^"~*?:/',
    ],
)
def test_nothing_typed_is_a_query_language(shop, hostile):
    match = shop.match(hostile)
    assert np.isfinite(match.score).all()
    assert len(match.items) == len(set(match.items.tolist()))
    shop.suggest(hostile, 5)
    shop.retrieve(Context(query=hostile), 5)


def test_operators_are_only_words(shop):
    assert "SKU-001" in found(shop, "title:headphones AND NOT sony")
    assert found(shop, '" OR *:* --') == []  # `or` stands in no title, and * is no word


@pytest.mark.parametrize(
    "long", ["headphones " * 100_000, "x" * 1_000_000, "😀" * 250_000, "蓝" * 300_000, "=" * 1_000_000]
)
def test_a_megabyte_is_cut(shop, long):
    match = shop.match(long)
    assert len(match.corrected) <= 1_000
    shop.suggest(long, 5)
    shop.score(Context(query=long), np.arange(3, dtype=np.int32))


@pytest.mark.parametrize("empty", ["", " ", "\n\t", "?!", "zzzqqqxx"])
def test_a_query_without_words_matches_nothing(shop, empty):
    assert len(shop.retrieve(Context(query=empty), 10)) == 0
    assert shop.match(empty)[0].shape == (0,)
    assert shop.match(empty).total == 0
    assert np.isnan(shop.score(Context(query=empty), np.arange(5, dtype=np.int32))).all()
    assert shop.suggest(empty, 5) == []


def test_limits_of_nothing_are_no_panic(shop):
    assert len(shop.retrieve(Context(query="headphones"), 0)) == 0
    assert len(shop.match("headphones", limit=0).items) == 0
    assert shop.match("headphones", limit=1).total == 2
    assert len(shop.match("headphones", limit=1).items) == 1
    assert shop.suggest("head", 0) == []
    assert fitted([]).match("headphones").total == 0
    assert fitted([Item(id="", title="")]).match("headphones").total == 0


def test_retrieve_is_the_best_of_score_and_ignores_earlier_questions(shop):
    everything = np.arange(len(SHOP), dtype=np.int32)
    for query in ("running shoes", "acme television", "sony", "the", "headph", "SKU-003"):
        context = Context(place="search", query=query)
        score = shop.score(context, everything)
        shop.retrieve(Context(query="something else entirely"), 3)
        hits = shop.retrieve(context, 50)
        order = np.lexsort((everything, -np.nan_to_num(score, nan=-1)))[: int(np.isfinite(score).sum())]
        assert hits.items.tolist() == order.tolist()
        assert np.array_equal(hits.score, score[order])
        assert np.array_equal(shop.score(context, everything[3:7]), score[3:7], equal_nan=True)


def test_matches_beyond_the_head_follow_in_falling_order(monkeypatch):
    index = fitted([Item(id=str(row), title="red shirt" + " long" * (row % 7)) for row in range(300)])
    monkeypatch.setattr("bodega.retrieval.lexical.HEAD", 50)
    match = index.match("red shirt")
    assert match.total == 300
    assert sorted(match.items.tolist()) == list(range(300))
    assert (np.diff(match.score) <= 1e-6).all()
    assert set((match.items[:40] % 7).tolist()) == {0}


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("size", [_matcher.SEGMENT, 700, 100], ids=["one segment", "three segments", "six segments"])
def test_equal_catalogs_give_equal_bytes_that_open_and_search(tmp_path, monkeypatch, size):
    monkeypatch.setattr(_matcher, "SEGMENT", size)
    rng = np.random.default_rng(3)
    count = 2_000
    words = rng.integers(0, 4_000, (count, 12))
    items = [Item(id=str(row), title=" ".join(f"w{word}" for word in line)) for row, line in enumerate(words)]
    world = World(ItemTable.of(items), no_log(), 0.0)
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        index = Lexical().fit(world)
        index.save(folder)
    assert digests(first) == digests(second)
    assert not [name for name in digests(first) if name.endswith(".lock")]
    loaded = Lexical.load(first, world.items)
    assert loaded._matcher is not None
    assert (loaded._matcher.searcher.num_segments > 1) == (size < count)
    assert loaded._matcher.searcher.num_segments <= _matcher.MOST_SEGMENTS
    for row in (0, 7, count - 1):
        query = f"w{words[row, 0]} w{words[row, 1]} w{words[row, 2]}"
        assert np.array_equal(loaded.match(query).items, index.match(query).items)
        assert loaded.match(query).items[0] == row
    assert digests(first) == digests(second), "opening wrote into the folder"


def test_a_saved_index_answers_like_the_fitted_one_from_a_read_only_folder(shop, tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    shop.save(folder)
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        loaded = Lexical.load(folder, ItemTable.of(SHOP))
        for query in ("running shoes", "sony headpones", "headph", "蓝牙耳机", "SKU-002"):
            assert np.array_equal(loaded.match(query).items, shop.match(query).items)
            assert np.array_equal(loaded.match(query).score, shop.match(query).score)
            assert loaded.suggest(query[:4], 5) == shop.suggest(query[:4], 5)
        again = tmp_path / "again"
        again.mkdir()
        loaded.save(again)
        assert digests(again) == digests(folder)
    finally:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_the_index_beside_agrees_with_the_index_itself(shop):
    """The same items found by looking at all of them, without tantivy: same matches, same scores."""
    beside = shop.beside(ItemTable.of(SHOP))
    for query in ("running shoes", "acme television", "headphones", "headph", "蓝牙耳机", "sku-002", "sony headpones"):
        main = shop.match(query)
        other = beside.match(query, at_least=main.at_least)
        assert other.items.tolist() == main.items.tolist()
        assert np.array_equal(other.score, main.score)
        context = Context(query=query)
        assert np.array_equal(beside.retrieve(context, 5).score, shop.retrieve(context, 5).score)


def test_new_items_are_found_beside_and_their_words_are_not_corrected(shop):
    news = ItemTable.of([Item(id="new", title="Zyxophone headphones"), Item(id="other", title="Zyxophone case")])
    beside = shop.beside(news)
    assert beside.match("zyxophone").items.tolist() == [1, 0] or beside.match("zyxophone").total == 2
    assert beside.match("zyxophone headphones").items.tolist() == [0]
    assert beside.match("new").items[0] == 0  # by its id
    assert shop.match("headphonez").corrected == "headphones"
    made_up = shop.beside(ItemTable.of([Item(id="z", title="Headphonez")]))
    assert shop.match("headphonez", beside=made_up).corrected == ""
    assert len(beside.match("running shoes").items) == 0


def test_a_rare_word_weighs_as_in_the_whole_shop(shop):
    news = ItemTable.of([Item(id=str(row), title="Wi-Fi router") for row in range(50)])
    beside = shop.beside(news)
    assert beside.match("router").score[0] == pytest.approx(float(shop.match("router").score[0]), rel=1e-5)


def test_other_ways_to_say_a_word_match_below_the_word_itself(shop):
    ways = (("sneaker", ("running shoes", "trail shoe", "no such thing")),)
    match = shop.match("sneaker", alternatives=ways)
    assert {SHOP[row].id for row in match.items} == {"SKU-003", "SKU-004"}
    both = (("television", ("router",)),)
    match = shop.match("television", alternatives=both)
    assert [SHOP[row].id for row in match.items[:2]] == ["SKU-006", "SKU-005"] or match.total == 3
    assert SHOP[match.items[-1]].id == "SKU-007"
    assert match.score[-1] < match.score[1]
    context = Context(query="television", alternatives=both)
    everything = np.arange(len(SHOP), dtype=np.int32)
    assert np.isfinite(shop.score(context, everything)).sum() == 3
    assert set(shop.retrieve(context, 10).items.tolist()) == set(match.items.tolist())
    assert np.isfinite(shop.score(Context(query="television"), everything)).sum() == 2


def test_a_way_of_several_words_matches_where_all_of_them_stand(shop):
    ways = (("sneaker", ("running shoes",)),)
    assert {SHOP[row].id for row in shop.match("sneaker", alternatives=ways).items} == {"SKU-003", "SKU-004"}
    ways = (("cans", ("sony headphones",)),)
    assert found(shop, "cans") == []
    assert [SHOP[row].id for row in shop.match("cans", alternatives=ways).items] == ["SKU-001"]
    phrase = (("wireless audio", ("oak",)),)
    assert {SHOP[row].id for row in shop.match("wireless audio", alternatives=phrase).items[:2]} == {
        "SKU-001",
        "SKU-002",
    }


def test_verbatim_neither_corrects_nor_completes(shop):
    twice = fitted([*SHOP, *SHOP[:8]])
    assert twice.match("sony headpones").corrected == "sony headphones"
    typed = twice.match("sony headpones", verbatim=True)
    assert typed.corrected == ""
    assert typed.words == 1
    assert shop.match("headph").total == 2
    assert shop.match("headph", verbatim=True).total == 0
    as_typed = (("headpones", ()),)  # a word without another way to say it is meant as it is
    assert twice.match("sony headpones", alternatives=as_typed).corrected == ""
    assert np.isnan(twice.score(Context(query="headpones", alternatives=as_typed), np.arange(3, dtype=np.int32))).all()


def test_which_items_hold_a_word(shop):
    everything = np.arange(len(SHOP), dtype=np.int32)
    assert [SHOP[row].id for row in np.flatnonzero(shop.holds("Shoes", everything))] == ["SKU-003", "SKU-004"]
    assert [SHOP[row].id for row in np.flatnonzero(shop.holds("running shoe", everything))] == ["SKU-003", "SKU-004"]
    assert [SHOP[row].id for row in np.flatnonzero(shop.holds("耳机", everything))] == ["蓝-1"]
    assert not shop.holds("silk", everything).any()
    assert not shop.holds("", everything).any()
    assert shop.holds("shoes", everything[3:1:-1]).tolist() == [True, True]
    assert shop.holds("shoes", everything[:0]).shape == (0,)


def test_a_compound_also_finds_its_parts_where_they_belong_together():
    leather = ["Lederschuhe Damen", "Schuhe aus Leder", "Schuhe Leder Herren", "Leder und Schuhe"]
    others = [f"Ding{row} Sache" for row in range(200)] + ["Disc overy", "Discovery kit"]
    titles = leather + others
    index = fitted([Item(id=str(row), title=title) for row, title in enumerate(titles)])
    match = index.match("lederschuhe")
    assert match.corrected == ""
    assert match.items[0] == 0  # the word itself before its parts
    assert set(match.items.tolist()) == {0, 1, 2, 3}
    assert index.match("lederschuhe", verbatim=True).items.tolist() == [0]
    assert index.match("discovery").items.tolist() == [len(titles) - 1]  # "disc overy" stands together only once
    assert index.match("lederschuhe damen").items[0] == 0


def test_compounds_are_saved(tmp_path):
    titles = ["Lederschuhe", "Schuhe Leder", "Leder Schuhe"] + [f"Ding{row}" for row in range(100)]
    index = fitted([Item(id=str(row), title=title) for row, title in enumerate(titles)])
    index.save(tmp_path)
    loaded = Lexical.load(tmp_path, ItemTable.of([]))
    assert loaded.match("lederschuhe").items.tolist() == index.match("lederschuhe").items.tolist() == [0, 1, 2]
