"""The filter language by example: what is meant by what is written, and how a mistake is shown."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.engine import browse
from bodega.engine.expression import (
    DEPTH_LIMIT,
    LENGTH_LIMIT,
    TERMS_LIMIT,
    And,
    Between,
    Is,
    Not,
    Or,
    all_of,
    any_of,
    bounded,
    conditions,
    keep,
    parse,
)
from bodega.engine.shelf import Shelf
from bodega.errors import BadRequest
from bodega.schema import Availability, Filter, Item, ItemTable

TABLE = ItemTable.of(
    [
        Item(id="trail", brand="Acme", category=("Shoes", "Trail"), price=90.0, attributes={"waterproof": True}),
        Item(id="road", brand="Bolt", category=("Shoes", "Road"), price=19.99, tags=("used",), options={"size": "42"}),
        Item(id="cap", brand="Blue Acme", category=("Hats",), attributes={"weight": 80.5}),
        Item(id="耳机", brand="索尼", category=("数码", "耳机"), price=299.0, availability=Availability.OUT_OF_STOCK),
    ]
)
SHELF = Shelf.of(TABLE)


def kept(text: str) -> list[str]:
    flags = browse.narrow(SHELF, (), text).all
    assert flags.tolist() == keep(TABLE, parse(text)).tolist()
    return [TABLE.ids[row] for row in np.flatnonzero(flags)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("brand = Acme", ["trail"]),
        ('brand = "Blue Acme"', ["cap"]),
        ("brand: 'Blue Acme'", ["cap"]),
        ("brand IN (Acme, Bolt, Nobody)", ["trail", "road"]),
        ("brand not in (Acme, Bolt)", ["cap", "耳机"]),
        ("category = Shoes", ["trail", "road"]),
        ('category = "Shoes > Trail"', ["trail"]),
        ('category = "Shoes>Trail"', ["trail"]),
        ("price < 90", ["road"]),
        ("price <= 90", ["trail", "road"]),
        ("price > 19.99", ["trail", "耳机"]),
        ("price >= 19.99", ["trail", "road", "耳机"]),
        ("price 19.99..90", ["trail", "road"]),
        ("price: 19.99..90", ["trail", "road"]),
        ("price BETWEEN 19.99 AND 90 AND brand != Acme", ["road"]),
        ("price ..50", ["road"]),
        ("price 50..", ["trail", "耳机"]),
        ("price = 19.99", ["road"]),
        ("price = 19.990", ["road"]),
        ("NOT price < 90", ["trail", "cap", "耳机"]),
        ("tags != used", ["trail", "cap", "耳机"]),
        ("available = true", ["trail", "road", "cap"]),
        ("available != TRUE", ["耳机"]),
        ("waterproof = true", ["trail"]),
        ("size = 42", ["road"]),
        ("weight = 80.5 or weight = 81", ["cap"]),
        ("brand = Acme OR brand = Bolt AND price > 50", ["trail"]),
        ("(brand = Acme OR brand = Bolt) AND price < 50", ["road"]),
        ("not (brand = Acme or brand = Bolt)", ["cap", "耳机"]),
        ("NOT NOT brand = Acme", ["trail"]),
        ("brand = 索尼 AND price ≥ 100", ["耳机"]),
        ("（brand ＝ 索尼 OR brand：Acme）", ["trail", "耳机"]),
        ("brand = “索尼”", ["耳机"]),
        ("brand\n=\tAcme\u3000", ["trail"]),
        ("brand = mauve", []),
    ],
)
def test_what_is_written_is_meant(text: str, names: list[str]) -> None:
    assert kept(text) == names


def test_escapes_give_the_character_itself() -> None:
    assert parse(r'"the \"size\"" = "5\\6" AND a = "\n"') == And(
        (Is('the "size"', ("5\\6",)), Is("a", ("n",))),
    )


def test_and_binds_closer_than_or_and_brackets_decide() -> None:
    a, b, c = Is("a", ("1",)), Is("b", ("2",)), Is("c", ("3",))
    assert parse("a=1 OR b=2 AND c=3") == Or((a, And((b, c))))
    assert parse("(a=1 OR b=2) AND c=3") == And((Or((a, b)), c))
    assert parse("NOT a=1 AND b=2") == And((Not(a), b))
    assert str(parse("NOT (a:1 or b!=2)")) == 'NOT (a = "1" OR NOT b = "2")'


@pytest.mark.parametrize(
    ("text", "at", "what", "allowed"),
    [
        ("", 1, "empty", "a condition"),
        ("   ", 4, "empty", "a condition"),
        ("brand", 6, "ends too early", "="),
        ("brand =", 8, "ends too early", "a value"),
        ("brand = Blue Acme", 14, "cannot stand here", "AND, OR, or the end"),
        ("brand = and", 9, "quotation marks", "a value"),
        ("brand = 'x", 9, "never closed", ""),
        ("(brand = x", 11, "ends too early", "closing bracket"),
        ("brand = x)", 10, "cannot stand here", "the end"),
        ("brand IN x", 10, "cannot stand here", "opening bracket"),
        ("brand IN (x y)", 13, "cannot stand here", "comma"),
        ("brand IN ()", 11, "cannot stand here", "a value"),
        ("price < cheap", 9, "cannot stand here", "a number"),
        ("price 50..10", 7, "ends before it begins", ""),
        ("price BETWEEN 50 AND 10", 22, "ends before it begins", ""),
        ("price < 1e39", 9, "too large", ""),
        ("brand = x OR", 13, "ends too early", "a condition"),
        ("1 = 1", 1, "cannot stand here", "a condition"),
        ('"" = x', 1, "empty", ""),
        ("brand = \x00", 9, "U+0000", ""),
        ("colour = red", 1, "no item has this field", "brand"),
        ("brand = x AND titel = y", 15, "no item has this field", "tags"),
        ("title = x", 1, "free text", "brand"),
        ("brand > 5", 1, "field of numbers", "price"),
        ("price = cheap", 1, "holds numbers", "10..50"),
    ],
)
def test_a_mistake_is_shown_at_its_place(text: str, at: int, what: str, allowed: str) -> None:
    with pytest.raises(BadRequest) as refused:
        browse.narrow(SHELF, (), text) if text.strip() else parse(text)
    error = refused.value
    assert what in error.what
    assert error.where == f"filter expression, character {at}"
    assert allowed in error.allowed
    line, caret = error.got.splitlines()[1:]
    assert line.strip() == "".join(char if char.isprintable() else "·" for char in text).strip()
    assert caret == "  " + " " * (at - 1) + "^"


def test_the_caret_stands_below_chinese_and_within_long_texts() -> None:
    with pytest.raises(BadRequest) as refused:
        parse("品牌 = 索尼 索尼")
    assert refused.value.got == "\n  品牌 = 索尼 索尼\n  " + " " * 12 + "^"
    with pytest.raises(BadRequest) as refused:
        parse("brand = x AND " * 100 + "!")
    line, caret = refused.value.got.splitlines()[1:]
    assert line.startswith("  ...")
    assert len(line) < 80
    assert line[caret.index("^")] == "!"


def test_the_nearest_field_comes_first() -> None:
    with pytest.raises(BadRequest) as refused:
        browse.narrow(SHELF, (), "brnad = Acme")
    assert refused.value.allowed.startswith("brand, ")
    assert refused.value.next == "did you mean 'brand'?"
    with pytest.raises(BadRequest) as refused:
        browse.narrow(SHELF, [Filter(field="prize", low=1.0)])
    assert refused.value.allowed.startswith("price, ")


def test_limits_are_named() -> None:
    for text, limit in (
        ("a" * (LENGTH_LIMIT + 1), f"{LENGTH_LIMIT:,}"),
        ("NOT " * DEPTH_LIMIT + "brand = x", str(DEPTH_LIMIT)),
        (f"brand IN ({','.join(['x'] * (TERMS_LIMIT + 1))})", str(TERMS_LIMIT)),
    ):
        with pytest.raises(BadRequest) as refused:
            parse(text)
        assert limit in refused.value.allowed
    assert parse("NOT " * (DEPTH_LIMIT - 1) + "brand = x")
    assert parse("(" * 1_000 + "brand = x" + ")" * 1_000) == Is("brand", ("x",))  # these brackets change nothing


def test_trees_from_code_are_checked_too() -> None:
    tree: Is | Not = Is("brand", ("x",))
    for _ in range(DEPTH_LIMIT):
        tree = Not(tree)
    with pytest.raises(BadRequest):
        bounded(tree)
    for make in (
        lambda: Is("brand", ()),
        lambda: Is("", ("x",)),
        lambda: Between("price"),
        lambda: Between("price", 1.0, 2.0, strict=True),
        lambda: Between("price", float("nan")),
        lambda: And((Is("a", ("b",)),)),
        lambda: Or(()),
    ):
        with pytest.raises(BadRequest):
            make()
    a, b = Is("a", ("1",)), Between("b", low=2.0)
    assert (all_of([]), any_of([a]), all_of([a, b]), any_of([a, b])) == (None, a, And((a, b)), Or((a, b)))
    assert list(conditions(Not(Or((a, And((b, a))))))) == [a, b, a]


def test_what_was_read_before_is_remembered() -> None:
    assert parse("brand = Acme AND price < 5") is parse("brand = Acme AND price < 5")


def test_stock_that_is_newer_than_the_table_decides() -> None:
    sold_out = np.zeros(len(TABLE), np.bool_)
    assert not keep(TABLE, parse("available = true"), sold_out).any()
    assert browse.keep(TABLE, [Filter(field="brand", values=("Acme",))], where="price > 5").tolist() == [
        True, False, False, False,
    ]  # fmt: skip


def test_available_is_true_or_false() -> None:
    with pytest.raises(BadRequest, match="true, false"):
        browse.narrow(SHELF, (), "available = perhaps")
