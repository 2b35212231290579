"""What mining reads: words that know their place, amounts, values with their negations, article numbers."""

from __future__ import annotations

import pytest

from bodega.schema import Item, ItemTable
from bodega.understanding.facts.amounts import amounts_in
from bodega.understanding.facts.clues import clue_words
from bodega.understanding.facts.columns import columns_of
from bodega.understanding.facts.lexicon import kind_of
from bodega.understanding.facts.mentions import Spotter
from bodega.understanding.facts.passages import TEXT_LIMIT, folded, key_of, passages_of, words_in
from bodega.understanding.query.units import worths

COLOURS = ("Gray", "Navy Blue", "Blue", "Red")


def _items() -> list[Item]:
    return [
        Item(id=f"i{n}", title=f"Shirt {n}", attributes={"color": COLOURS[n % 4], "sale": True, "cut": f"cut {n % 3}"},
             options={"size": ("S", "M", "28")[n % 3]})
        for n in range(60)
    ]  # fmt: skip


def _spot(item: Item) -> dict[str, set[str]]:
    columns = columns_of(ItemTable.of(_items()), chinese_shop=False)
    found: dict[str, set[str]] = {}
    for target, value in Spotter(columns, worths()).spot(passages_of(item)):
        found.setdefault(columns.targets[target].column, set()).add(value)
    return found


@pytest.mark.parametrize("text", ["ＣAFÉ Größe 紅色 ½", "İstanbul ﬁne", "a\u0301b\u200dc", "", "…"])
def test_folding_keeps_every_character_in_its_place(text: str) -> None:
    assert len(folded(text)) == len(text)
    for word in words_in(text):
        assert 0 <= word.start < word.end <= len(text)


def test_words_are_singular_and_chinese_is_cut() -> None:
    assert [word.text for word in words_in("Men's wool-blend Socks 纯棉袜子")] == [
        "men",
        "wool",
        "blend",
        "sock",
        "纯棉",
        "袜子",
    ]
    assert key_of("Hewlett-Packard") == key_of("hewlett packard")


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("Cola 6 x 330 ml", [("ml", 1980.0)]),
        ("cola 6x330ml can", [("ml", 1980.0)]),
        ("牛奶250ml*12盒", [("ml", 3000.0)]),
        ("净含量2.5千克", [("g", 2500.0)]),
        ("2斤装 苹果", [("g", 1000.0)]),
        ("pack of 12 pens", [("count", 12.0)]),
        ("30片装 面膜", [("count", 30.0)]),
        ("phone 5g 64gb", [("gb", 64.0)]),
        ("stand, holds up to 200 lbs", []),
        ("planner (791200G)", []),
        ("iphone 5", []),
        ("size 7", []),
    ],
)
def test_amounts(text: str, amounts: list[tuple[str, float]]) -> None:
    assert [(one.base, one.number) for one in amounts_in(folded(text), worths())] == amounts


def test_everyday_words_become_the_shops_own_values() -> None:
    assert _spot(Item(id="x1", title="Grey shirt"))["color"] == {"Gray"}
    assert _spot(Item(id="x1", title="藏青色衬衫, 灰色"))["color"] >= {"Gray"}
    assert _spot(Item(id="x1", title="navy blue shirt"))["color"] == {"Navy Blue"}, "the longest wins"


@pytest.mark.parametrize("title", ["not red", "no red dye", "red-free", "red look shirt", "without red"])
def test_what_is_refused_is_not_named(title: str) -> None:
    assert "Red" not in _spot(Item(id="x1", title=title)).get("color", set())


def test_a_letter_is_a_size_in_article_numbers_and_beside_the_word_only() -> None:
    assert "size" not in _spot(Item(id="x1", title="Model S shirt 28"))
    assert _spot(Item(id="AB-S-Red", title="Shirt"))["size"] == {"S"}
    assert _spot(Item(id="x1", title="Shirt size M"))["size"] == {"M"}
    assert _spot(Item(id="x1", title="衬衫 28码"))["size"] == {"28"}
    assert "id" not in {one.field for one in passages_of(Item(id="12345", title="t"))}, "a number alone is no text"


def test_flags_and_unknown_columns_are_not_mined() -> None:
    columns = {target.column for target in columns_of(ItemTable.of(_items()), chinese_shop=False).targets}
    assert {"color", "size", "cut", "material", "size_g"} <= columns
    assert "sale" not in columns
    assert "colour" not in columns, "the shop's own column is the one"


def test_a_chinese_shop_gets_chinese_values() -> None:
    columns = columns_of(ItemTable.of([Item(id="1", title="连衣裙")]), chinese_shop=True)
    found = {
        value for _, value in Spotter(columns, worths()).spot(passages_of(Item(id="1", title="纯棉红色连衣裙 女")))
    }
    assert {"棉", "红色", "女"} <= found


def test_evidence_points_at_what_was_read() -> None:
    item = Item(id="x1", title="Summer Shirt, RED, new")
    columns = columns_of(ItemTable.of(_items()), chinese_shop=False)
    candidates = Spotter(columns, worths()).spot(passages_of(item)).values()
    red = next(one for one in candidates if one.value == "Red")
    (one,) = red.evidence()
    assert (one.field, item.title[one.start : one.end], one.text, one.how) == ("title", "RED", "RED", "dictionary")


def test_clue_words_are_words_pairs_and_category_steps() -> None:
    words = clue_words(passages_of(Item(id="1", title="The iPhone case", category=("Phones", "Cases"))))
    assert {"iphone", "case", "iphone case", "\0Phones", "\0Phones > Cases"} <= set(words)
    assert "the" not in words


def test_long_descriptions_are_read_from_their_beginning() -> None:
    item = Item(id="x1", title="t", description="x " * 500_000 + "red")
    text = next(one for one in passages_of(item) if one.field == "description")
    assert len(text.text) == TEXT_LIMIT


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("Base_Colour", "colour"),
        ("颜色", "colour"),
        ("Gender", "audience"),
        ("面料", "material"),
        ("plug", "attribute"),
    ],
)
def test_columns_are_known_by_their_names(column: str, kind: str) -> None:
    assert kind_of(column) == kind
