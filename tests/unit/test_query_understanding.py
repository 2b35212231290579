"""What a query says, end to end: the words that are searched, the conditions, the wishes, and where they were typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bodega.schema import Item, ItemTable, Log, Meaning, World
from bodega.settings import Settings
from bodega.understanding.query import Understanding, Understood, relaxations, spares, speaks_of
from bodega.understanding.query.spelling import Speller
from bodega.understanding.query.vocabulary import Words

Ask = Callable[[str], Understood]


def catalog() -> list[Item]:
    rows: list[tuple[str, str, tuple[str, ...], dict[str, str | float]]] = [
        ("Red silk dress", "Zara", ("Clothing", "Dresses"), {"color": "Red", "material": "Silk"}),
        ("Burgundy cotton dress", "Zara", ("Clothing", "Dresses"), {"color": "Burgundy", "material": "Cotton"}),
        ("Navy linen dress", "Zara", ("Clothing", "Dresses"), {"color": "Navy", "material": "Linen"}),
        ("Air shoes black", "Nike", ("Shoes",), {"color": "Black", "size": "42"}),
        ("iPhone 5", "Apple", ("Electronics", "Phones"), {"storage": "16 GB"}),
        ("Case for Apple iPhone 5", "Spigen", ("Electronics", "Cases"), {"color": "Black"}),
        ("Fresh apples", "Farm", ("Food", "Apples"), {"weight_g": 1000.0}),
        ("LED TV 55 inch 4k", "Samsung", ("Electronics", "TVs"), {"screen_cm": 139.7}),
        ("LED TV 43 inch", "LG", ("Electronics", "TVs"), {"screen_cm": 109.22}),
        ("Cola sugar free", "Pepsi", ("Food", "Cola"), {}),
        ("Cola with sugar", "Pepsi", ("Food", "Cola"), {}),
        ("Brown sugar", "Farm", ("Food", "Sugar"), {}),
        ("蓝牙耳机 头戴式", "索尼/Sony", ("电子", "耳机"), {}),
        ("蓝牙耳机 入耳式", "华为", ("电子", "耳机"), {}),
        ("红色连衣裙", "ONLY", ("服装", "连衣裙"), {"color": "红色"}),
        ("红富士苹果 2斤装", "果园", ("食品", "苹果"), {"weight_g": 1000.0}),
        ("Running shirt", "Under Armour", ("Clothing", "Shirts"), {"material": "Cotton"}),
        ("No show socks", "Hanes", ("Clothing", "Socks"), {"material": "Cotton"}),
        ("Laptop HP 15", "Hewlett-Packard", ("Electronics", "Laptops"), {}),
        ("Printer HP", "Hewlett-Packard", ("Electronics", "Printers"), {}),
        ("Ink HP 5", "Hewlett-Packard", ("Electronics", "Ink"), {}),
        ("Jacket", "Without Walls", ("Clothing", "Jackets"), {}),
        ("Leather belt", "Gap", ("Clothing", "Belts"), {"material": "Leather"}),
    ]
    return [
        Item(id=str(n), title=title, brand=brand, category=path, price=10.0 * (n + 1), attributes=dict(held))
        for n, (title, brand, path, held) in enumerate(rows)
    ]


def world(items: list[Item]) -> World:
    doubles, ints, floats, codes = np.empty(0), np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int8)
    return World(ItemTable.of(items), Log(doubles, codes, ints, ints, ints, floats, floats, ints, ints, 0, 0), 0.0)


@pytest.fixture(scope="module")
def shop() -> Understanding:
    return Understanding().fit(world(catalog()), Settings())


@pytest.fixture(scope="module")
def ask(shop: Understanding) -> Ask:
    def understood(query: str) -> Understood:
        found = shop.understand(query)
        for meaning in found.meanings:
            assert query[meaning.start : meaning.end] == meaning.text != ""
        return found

    return understood


def held(found: Understood, kind: str) -> list[Meaning]:
    return [meaning for meaning in found.meanings if meaning.kind == kind]


def kinds(found: Understood) -> set[str]:
    return {meaning.kind for meaning in found.meanings}


def test_a_dress_of_a_colour_under_a_price_and_not_of_silk(ask):
    found = ask("red dress under 50 not silk")
    assert found.text == "red dress"
    [price] = held(found, "price")
    assert (price.text, price.field, price.low, price.high, price.hard) == ("under 50", "price", None, 50.0, True)
    [refused] = held(found, "not")
    assert (refused.text, refused.field, refused.values) == ("not silk", "material", ("Silk",))
    assert refused.hard
    assert refused.excludes
    [colour] = held(found, "colour")
    assert {"Red", "Burgundy"} <= set(colour.values)
    assert not colour.hard
    assert held(found, "category")[0].values == ("Clothing > Dresses",)


def test_an_amount_finds_its_column(ask):
    for query in ("55 inch tv", '55" tv', "4k tv 55in", "tv 55-inch"):
        [size] = held(ask(query), "size")
        assert size.field == "screen_cm"
        assert size.low < 139.7 < size.high
        assert not size.hard
        assert ask(query).text == query


def test_a_range_of_sizes_is_a_wish_and_not_words(ask):
    found = ask("tv 40-50 inch")
    [size] = held(found, "size")
    assert (size.field, size.low, size.high, found.text) == ("screen_cm", 101.6, 127.0, "tv")


def test_chinese_weight_fruit_and_price(ask):
    found = ask("2斤装 苹果 100元以下")
    assert found.text == "2斤装 苹果"
    assert found.language == "zh"
    [size] = held(found, "size")
    assert size.field == "weight_g"
    assert size.low < 1000 < size.high
    [price] = held(found, "price")
    assert (price.high, price.hard, price.text) == (100.0, True, "100元以下")
    assert held(found, "category")[0].values == ("食品 > 苹果",)


def test_brand_and_shoe_size(ask):
    found = ask("nike shoes size 42")
    assert held(found, "brand")[0].values == ("Nike",)
    assert held(found, "size")[0].values == ("42",)
    assert held(found, "size")[0].field == "size"
    assert found.text == "nike shoes size 42"


def test_a_model_number_is_no_amount(ask):
    found = ask("iphone 5 case black")
    assert not kinds(found) & {"size", "price", "quantity"}
    assert found.text == "iphone 5 case black"
    assert held(found, "colour")[0].values == ("Black",)


def test_without_sugar_is_no_category_and_spares_sugar_free(ask):
    found = ask("without sugar cola")
    [refused] = held(found, "not")
    assert found.text == "cola"
    assert (refused.field, refused.values, refused.hard) == ("", ("sugar",), True)
    titles = ("Cola sugar free", "Cola with sugar", "无 sugar", "Sugarless cola", "Sugar bowl, sugar free", "Cola")
    assert [speaks_of(refused, title) for title in titles] == [False, True, False, False, True, False]
    assert [spares(refused, title) for title in titles] == [True, False, True, False, False, False]


@pytest.mark.parametrize("query", ["100% cotton", "24/7", "apple", "under armour", "no show socks", "sugar free cola"])
def test_what_only_looks_like_a_condition_is_none(ask, query):
    found = ask(query)
    assert found.text == query
    assert not any(meaning.hard for meaning in found.meanings)


def test_apple_is_a_brand_and_a_fruit_and_neither_is_sure(ask):
    found = ask("apple")
    assert kinds(found) == {"brand", "category"}
    assert all(meaning.confidence < 0.8 for meaning in found.meanings)


def test_traditional_characters_are_simplified_and_shown_as_typed(ask):
    found = ask("紅色連衣裙")
    assert found.text == "红色连衣裙"
    assert held(found, "colour")[0].text == "紅色"
    assert {"红色", "Red"} <= set(held(found, "colour")[0].values)
    assert held(found, "category")[0].values == ("服装 > 连衣裙",)


def test_a_chinese_refusal(ask):
    found = ask("蓝牙耳机 不要头戴式")
    assert found.text == "蓝牙耳机"
    [refused] = held(found, "not")
    assert (refused.values, refused.hard, refused.excludes) == (("头戴式",), True, True)
    assert speaks_of(refused, "蓝牙耳机 头戴式")
    assert not speaks_of(refused, "蓝牙耳机 入耳式")


def test_a_name_of_several_words_wins_over_a_condition(ask):
    assert kinds(ask("without walls jacket")) == {"brand", "category"}
    found = ask("under armour shirt under 50")
    assert held(found, "brand")[0].values == ("Under Armour",)
    assert held(found, "price")[0].start == 19
    assert found.text == "under armour shirt"


def test_brands_are_found_by_their_other_names(ask):
    for query in ("hewlett packard laptop", "HP laptop", "hewlettpackard laptop", "Hewlett-Packard"):
        assert held(ask(query), "brand")[0].values == ("Hewlett-Packard",)
    assert held(ask("sony 耳机"), "brand")[0].values == ("索尼/Sony",)
    assert held(ask("索尼耳机"), "brand")[0].values == ("索尼/Sony",)


def test_plurals_of_categories_meet(ask):
    assert not held(ask("hewlett, packard"), "brand")
    for query in ("dress", "dresses"):
        assert held(ask(query), "category")[0].values == ("Clothing > Dresses",)


def test_chinese_words_are_not_found_inside_others(ask):
    assert not kinds(ask("苹果醋"))


def test_a_colour_means_its_family_unless_it_is_exact(ask):
    assert set(held(ask("blue dress"), "colour")[0].values) == {"Navy"}
    assert held(ask("burgundy dress"), "colour")[0].values == ("Burgundy",)


def test_a_code_is_left_alone(ask):
    found = ask("WH-1000XM4")
    assert found.text == "WH-1000XM4"
    assert [meaning.kind for meaning in found.meanings] == ["code"]


def test_only_a_price_leaves_nothing_to_search(ask):
    assert ask("under 50").text == ""
    assert ask("cheap").text == "cheap"
    assert ask("cheap dress").text == "dress"


def test_what_a_condition_leaves_is_tidy(ask):
    assert ask("dress, under 50, and not silk”").text == "dress"
    assert ask('tv under 500 55"').text == 'tv under 500 55"'
    assert ask('55" tv for under $500').text == '55" tv'


def test_a_number_of_titles_is_searched_and_another_is_a_price(ask):
    assert ask("dress over 70").text == "dress"
    assert held(ask("dress over 70"), "price")[0].low == 70
    assert ask("tv over 43").text == "tv over 43"


def test_cheap_is_a_third_of_what_the_category_costs(ask):
    [cheap] = held(ask("cheap dress"), "price")
    assert (cheap.values, cheap.high, cheap.hard) == (("low",), 20.0, False)
    assert held(ask("cheap unicorn"), "price")[0].high == pytest.approx(83.333, abs=0.01)


def test_verbatim_is_untouched(shop):
    found = shop.understand("  red dress under 50 ", verbatim=True)
    assert found == Understood("  red dress under 50 ", "  red dress under 50 ")


@pytest.mark.parametrize("query", ["", "   ", "\t\n", "\x00", "\u200b", "，。", "🙂"])
def test_nothing_said_means_nothing(shop, query):
    assert shop.understand(query).meanings == ()


def test_an_empty_shop_understands_prices_softly_and_nothing_else():
    found = Understanding().fit(world([]), Settings()).understand("red dress under 50 not silk")
    assert found.text == "red dress not silk"
    assert [(meaning.kind, meaning.hard) for meaning in found.meanings] == [("price", False)]


def test_prices_in_other_money_only_lift():
    items = [Item(id=str(n), title="Kettle", price=30.0 + n, currency="EUR") for n in range(5)]
    shop = Understanding().fit(world(items), Settings())
    assert shop.currency == "EUR"
    for query, hard in (("kettle 20 to 50 eur", True), ("kettle under 50 usd", False), ("kettle under 50", True)):
        [price] = held(shop.understand(query), "price")
        assert (price.hard, shop.understand(query).text) == (hard, "kettle")
    assert shop.understand("under 50 usd").text == "under 50 usd"


def test_a_shop_where_few_items_have_a_price_has_no_price_condition():
    items = [Item(id=str(n), title="Kettle", price=30.0 if n == 0 else None) for n in range(5)]
    [price] = held(Understanding().fit(world(items), Settings()).understand("kettle under 50"), "price")
    assert not price.hard


def test_saved_and_loaded_it_understands_the_same_and_bytes_are_equal(shop, tmp_path: Path):
    other = Understanding().fit(world(catalog()), Settings())
    for name, one in (("a", shop), ("b", other)):
        (tmp_path / name).mkdir()
        one.save(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) > 5
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    opened = Understanding.load(tmp_path / "a", ItemTable.of(catalog()))
    for query in ("red dress under 50 not silk", "55 inch tv", "2斤装 苹果 100元以下", "nike size 42", "sony 16gb"):
        assert opened.understand(query) == shop.understand(query)


def spelled() -> Understanding:
    words = ("dress", "silk", "red", "headphones", "sugar", "leather", "shoes", "belt", "inches")
    speller = Speller(Words.of(dict.fromkeys(words, 10)))
    return Understanding().fit(world(catalog()), Settings()).spelled_by(speller)


def test_unknown_words_are_corrected_and_conditions_still_found():
    query = "red drees under 50 not slik shoes"
    found = spelled().understand(query)
    assert found.text == "red dress shoes"
    assert found.corrected == "red dress under 50 not silk shoes"
    assert [(m.text, m.values) for m in held(found, "spelling")] == [("drees", ("dress",)), ("slik", ("silk",))]
    [refused] = held(found, "not")
    assert (refused.text, refused.field) == ("not slik", "material")
    assert all(query[m.start : m.end] == m.text for m in found.meanings)


@pytest.mark.parametrize("query", ["zara dress", "55 inch", "wh-1000xm4", "headpho", "sz 42 belt", "samsung 16gb"])
def test_names_units_codes_and_beginnings_are_not_corrected(query):
    assert spelled().understand(query).corrected == ""


def test_a_colour_in_chinese_is_translated_where_only_english_titles_say_it():
    items = [Item(id=str(n), title="Blue kettle", price=3.0) for n in range(3)]
    found = Understanding().fit(world(items), Settings()).understand("蓝色 kettle")
    assert found.alternatives == (("蓝色", ("blue",)),)


def test_relaxations_give_up_the_price_last_and_refusals_never(shop):
    found = shop.understand("dress under 50 not silk")
    steps = relaxations(found)
    assert [name for name, _ in steps] == ["price"]
    assert [m.kind for m in steps[-1][1].meanings if m.hard] == ["not"]
    size = Meaning(kind="size", text="x", start=0, end=1, field="width_cm", low=1.0, hard=True)
    more = Understood(found.typed, found.text, meanings=(*found.meanings, size))
    assert [name for name, _ in relaxations(more)] == ["width_cm", "price"]
    assert relaxations(Understood("dress", "dress")) == []
