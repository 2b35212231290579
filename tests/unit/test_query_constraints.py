"""Conditions word by word: what is a price, an amount, a refusal or an article number, and what only looks like one."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from bodega.schema import Item, ItemTable
from bodega.understanding.query.chinese import number_of
from bodega.understanding.query.claims import Claim
from bodega.understanding.query.codes import is_code
from bodega.understanding.query.gazetteer import Gazetteer
from bodega.understanding.query.measures import Measures
from bodega.understanding.query.prices import Prices, prices_in
from bodega.understanding.query.reading import read
from bodega.understanding.query.refusals import refusals_in
from bodega.understanding.query.sizes import sizes_in
from bodega.understanding.query.titles import Titles
from bodega.understanding.query.units import worths

DOLLARS = Prices("USD", 1.0, 2.0, 2_000.0)
YUAN = Prices("CNY", 1.0, 2.0, 20_000.0)


@pytest.mark.parametrize(
    "name", ["chinese", "codes", "colours", "naming", "reading", "refusals", "understood", "units", "wording"]
)
def test_the_examples_in_the_docstrings_hold(name):
    found = doctest.testmod(import_module(f"bodega.understanding.query.{name}"))
    assert found.attempted >= 1
    assert found.failed == 0


def price(query: str, prices: Prices = DOLLARS) -> Claim | None:
    found = list(prices_in(read(query), prices))
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("query", "low", "high", "said"),
    [
        ("red dress under 50", None, 50, "under 50"),
        ("below $50", None, 50, "below $50"),
        ("tv less than 1,200 usd", None, 1200, "less than 1,200 usd"),
        ("dress between 20 and 40", 20, 40, "between 20 and 40"),
        ("20-40 dollars shoes", 20, 40, "20-40 dollars"),
        ("$20-$40 shoes", 20, 40, "$20-$40"),
        ("shoes from $20 to $40", 20, 40, "from $20 to $40"),
        ("shoes over $100", 100, None, "over $100"),
        ("$100 or less", None, 100, "$100 or less"),
        ("$100+ shoes", 100, None, "$100+"),
        ("gifts for men under $25.50", None, 25.5, "under $25.50"),
        ("laptop under $1k", None, 1000, "under $1k"),
        ("2 in 1 laptop under 500 for school", None, 500, "under 500"),
        ("headphones < 100", None, 100, "< 100"),
        ("skirt for girls under 500", None, 500, "under 500"),
        ("dress for under 50 not silk", None, 50, "for under 50"),
    ],
)
def test_prices_in_english(query, low, high, said):
    found = price(query)
    assert found is not None
    assert (found.meaning.low, found.meaning.high, found.meaning.hard, found.removes) == (low, high, True, True)
    assert query[found.low : found.high] == said


@pytest.mark.parametrize(
    ("query", "low", "high", "said"),
    [
        ("苹果 100元以下", None, 100, "100元以下"),
        ("50到100元", 50, 100, "50到100元"),
        ("100-200元手机壳", 100, 200, "100-200元"),
        ("不超过200块", None, 200, "不超过200块"),
        ("二百元以内", None, 200, "二百元以内"),
        ("一百块以内的连衣裙", None, 100, "一百块以内的"),
        ("两百块钱以下", None, 200, "两百块钱以下"),
        ("五百元到一千元", 500, 1000, "五百元到一千元"),
        ("500元以上手机", 500, None, "500元以上"),
        ("¥100以下", None, 100, "¥100以下"),
        ("耳机100以下", None, 100, "100以下"),
        ("低于100", None, 100, "低于100"),
        ("預算三百元以內", None, 300, "预算三百元以内"),
    ],
)
def test_prices_in_chinese(query, low, high, said):
    found = price(query, YUAN)
    assert found is not None
    assert (found.meaning.low, found.meaning.high, found.meaning.hard) == (low, high, True)
    assert read(query).text[found.low : found.high] == said


@pytest.mark.parametrize(
    "query",
    [
        "under armour",
        "under 18",
        "under 18s football",
        "kids under 10",
        "games for ages under 12",
        "size under 50 cm",
        "tv under 50 inch",
        "dumbbells under 50 pounds",
        "30 under 30",
        "level under 5",
        "under 50 first dates",
        "20-40",
        "100 or less",
        "$50 gift card",
        "100 dollar bill wallet",
        "50 first dates",
        "iphone 5",
        "24/7",
        "100% cotton",
        "laptop under 1k",
        "100元话费",
        "3岁以下玩具",
        "18以下",
        "浴室柜宽40以内",
        "一本书",
        "千元手机",
    ],
)
def test_what_is_no_price(query):
    assert price(query) is None
    assert price(query, YUAN) is None


def test_what_a_price_may_be_depends_on_the_shop():
    cars = Prices("USD", 1.0, 8_000.0, 90_000.0)
    assert price("van under 50", cars) is None
    assert price("van under 9000", cars) is not None


def test_what_only_prefers_a_price():
    over, cheap, around = price("shoes over 100"), price("cheap shoes"), price("shoes around 80 dollars")
    assert over is not None
    assert (over.meaning.low, over.meaning.hard, over.removes) == (100, False, False)
    assert cheap is not None
    assert (cheap.meaning.values, cheap.meaning.hard) == (("low",), False)
    assert around is not None
    assert (around.meaning.low, around.meaning.high, around.meaning.hard) == (60, 100, False)
    foreign = price("shoes 50 to 100 eur")
    assert foreign is not None
    assert (foreign.meaning.hard, foreign.removes) == (False, True)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("二百", 200),
        ("十", 10),
        ("十五", 15),
        ("二十", 20),
        ("一百零五", 105),
        ("一千五", 1500),
        ("一万二", 12000),
        ("三百五十", 350),
        ("二五", 25),
        ("千", 1000),
        ("万", 10000),
        ("1,200", 1200),
        ("12.5", 12.5),
        ("abc", None),
    ],
)
def test_chinese_numerals(text, number):
    assert number_of(text) == number


@pytest.fixture(scope="module")
def measures() -> Measures:
    held: list[dict[str, str | float | list[str]]] = [
        {"screen_cm": 139.7, "Storage": "128 GB", "size": ["42", "EU 43", "XL"]},
        {"screen_cm": 109.22, "pieces_count": 6.0},
        {"weight_g": 1000.0, "color": "3 pack"},
    ]
    return Measures.learn(ItemTable.of(Item(id=str(n), attributes=one) for n, one in enumerate(held)), worths())


def sizes(query: str, measures: Measures) -> list[Claim]:
    return list(sizes_in(read(query), measures, worths()))


@pytest.mark.parametrize(
    ("query", "field", "middle", "said"),
    [
        ("55 inch tv", "screen_cm", 139.7, "55 inch"),
        ('55" tv', "screen_cm", 139.7, '55"'),
        ("tv 55in", "screen_cm", 139.7, "55in"),
        ("苹果2斤装", "weight_g", 1000, "2斤装"),
        ("1kg apples", "weight_g", 1000, "1kg"),
        ("500ml bottle", "", 500, "500ml"),
        ("1.5 l kettle", "", 1500, "1.5 l"),
        ("128gb phone", "Storage", 128, "128gb"),
        ("phone 128g", "Storage", 128, "128g"),
        ("6ft cable", "", 182.88, "6ft"),
        ("60w bulb", "", 60, "60w"),
    ],
)
def test_amounts_in_base_units(query, field, middle, said, measures):
    found = sizes(query, measures)[0]
    assert (found.meaning.kind, found.meaning.field, found.meaning.hard) == ("size", field, False)
    assert found.meaning.low < middle < found.meaning.high
    assert query[found.low : found.high] == said
    assert not found.removes


@pytest.mark.parametrize(
    "query",
    [
        "iphone 5",
        "playstation 3",
        "windows 7",
        "level 5",
        "50 first dates",
        "iphone 5 in black",
        "5g phone",
        "4 in 1",
        "24/7",
        "100% cotton",
        "5x7 rug",
        '"playstation 3"',
        "windows 10 in stock",
        "奥迪a4l",
        "plus size women",
        "8g",
        "一米八床",
        "3克拉钻戒",
        "b460m",
    ],
)
def test_what_is_no_amount(query, measures):
    assert sizes(query, measures) == []


@pytest.mark.parametrize("query", ["pack of 6", "6 pack", "6-pack cola", "6件装", "六包装", "6 pcs"])
def test_quantities_are_no_sizes(query, measures):
    found = sizes(query, measures)
    assert {claim.meaning.kind for claim in found} == {"quantity"}
    assert (found[0].meaning.field, found[0].meaning.low, found[0].meaning.high) == ("pieces_count", 6, 6)


@pytest.mark.parametrize(
    ("query", "values"),
    [("size 42", ("42",)), ("42码 鞋", ("42",)), ("shoes size eu 43", ("EU 43",)), ("xl码", ("XL",))],
)
def test_sizes_of_clothes(query, values, measures):
    [found] = sizes(query, measures)
    assert (found.meaning.field, found.meaning.values) == ("size", values)


def test_an_open_range_goes_to_the_column_and_out_of_the_text(measures):
    [under] = [claim for claim in sizes("tv under 50 inch", measures) if claim.removes]
    assert (under.meaning.field, under.meaning.low, under.meaning.high) == ("screen_cm", None, 127.0)
    unknown = sizes("bottle under 500 ml", measures)[0]
    assert (unknown.meaning.high, unknown.removes) == (500.0, False)


@pytest.fixture(scope="module")
def refuse():
    held = [("Silk dress", "Silk"), ("Cotton dress", "Cotton"), ("Wool dress", "Wool")]
    held += [("Shirt with hood", "Cotton"), ("Jacket with hood", "Wool"), ("Glass beads necklace", "Glass")] * 2
    held += [("No show socks", "Cotton"), ("Necklace with beads", "Glass"), ("头戴式耳机", "塑料"), ("拉链靴", "皮革")]
    held += [("Mattress without springs", "Latex"), ("Mattress with springs", "Steel"), ("Cape no lining", "Felt")]
    held += [("Cape with lining", "Felt")]
    items = ItemTable.of(
        Item(id=str(n), title=title, brand="Acme", attributes={"material": material})
        for n, (title, material) in enumerate(held)
    )
    titles = Titles.learn(items.titles)
    names = Gazetteer.learn(items, titles.df)

    def refused(query: str) -> list[tuple[str, tuple[str, ...], str]]:
        reading = read(query)
        found = refusals_in(reading, reading.tokens(), names, titles)
        return [(one.meaning.field, one.meaning.values, reading.text[one.low : one.high]) for one in found]

    return refused


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("dress not silk", [("material", ("Silk",), "not silk")]),
        ("dress not of silk", [("material", ("Silk",), "not of silk")]),
        ("-silk dress", [("material", ("Silk",), "-silk")]),
        ("non wool dress", [("material", ("Wool",), "non wool")]),
        ("dress no wool", [("material", ("Wool",), "no wool")]),
        ("dress not silk or wool", [("material", ("Silk",), "not silk"), ("material", ("Wool",), "or wool")]),
        ("jacket without a hood", [("", ("hood",), "without a hood")]),
        ("necklace without glass beads", [("", ("glass beads",), "without glass beads")]),
        ("dress without unicorns", [("", ("unicorns",), "without unicorns")]),
        ("mattress no springs", [("", ("springs",), "no springs")]),
        ("cape without lining", [("", ("lining",), "without lining")]),
        ("dress without acme", [("brand", ("Acme",), "without acme")]),
        ("耳机 不要头戴式", [("", ("头戴式",), "不要头戴式")]),
        ("不要拉链的靴子", [("", ("拉链",), "不要拉链的")]),
        ("靴子 不要皮革", [("material", ("皮革",), "不要皮革")]),
    ],
)
def test_refusals(query, expected, refuse):
    assert refuse(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        "mattress without springs",
        "cape non lining",
        "no show socks",
        "non slip dress",
        "not enough",
        "sugar free dress",
        "无糖",
        "不锈钢",
        "no unicorn",
        "no 5",
        "the food is not enough dress",
        "t-shirt",
        "spider-man - far from home",
        "hood without hood",
        "猫咪不喜欢的味道",
        "no",
        "without",
        "-",
        "not not not",
    ],
)
def test_what_refuses_nothing(query, refuse):
    assert refuse(query) == []


@pytest.mark.parametrize(
    "text", ["WH-1000XM4", "wh1000xm4", "4006381333931", "096009010836", "B07XJ8C8F5", "3rt1044-bb40", "c2000pro"]
)
def test_codes(text):
    assert is_code(text)


@pytest.mark.parametrize(
    "text",
    [
        "12345",
        "iphone13",
        "windows10",
        "500ml",
        "55inch",
        "1080p",
        "2020",
        "24/7",
        "ps5",
        "usb-c",
        "red dress",
        "level5",
        "4x4",
        "12.5",
        "蓝牙5.0",
        "playstation-5",
        "128gb",
    ],
)
def test_no_codes(text):
    assert not is_code(text)
