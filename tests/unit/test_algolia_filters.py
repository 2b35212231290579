"""Algolia's filters as conditions of ours: what they say, what they refuse, what becomes a tick, what an expression."""

from __future__ import annotations

import random

import pytest

from bodega.engine.expression import And, Between, Is, Not, Or, parse
from bodega.errors import BadRequest
from bodega.schema import Filter
from bodega.service.algolia.conditions import either, every, opposite, ticked, where
from bodega.service.algolia.fields import Attributes
from bodega.service.algolia.filters import facet_filters, numeric_filters, parsed, tag_filters


class Shop:
    """A shop with a few fields."""

    def fields(self) -> list[str]:
        return ["available", "brand", "category", "colour", "OR", "price", "shoe size", "tags", "organic"]

    def values(self, field: str) -> list[str]:
        return ["Men", "Men > Shoes", "Women", "Women > Shoes", "Women > Shoes > Trail"] if field == "category" else []


MAKER = Attributes(Shop())
ACME, BOLT = Is("brand", ("Acme",)), Is("brand", ("Bolt",))
USED = Is("tags", ("used",))
CHEAP = Between("price", high=50.0, strict=True)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("brand:Acme", ACME),
        ("brand:'Acme'", ACME),
        ('"brand":"Acme"', ACME),
        ('brand:"Tom \\"T\\" O\'Neil"', Is("brand", ('Tom "T" O\'Neil',))),
        ("brand:'O\\'Neil'", Is("brand", ("O'Neil",))),
        ('"shoe size":42', Is("shoe size", ("42",))),
        ("brand:http://a.b/c?d=1", Is("brand", ("http://a.b/c?d=1",))),
        ("brand:AND", Is("brand", ("AND",))),
        ("OR:x", Is("OR", ("x",))),
        ("brand:Acme AND (price < 50 OR NOT tags:used)", And((ACME, Or((CHEAP, Not(USED)))))),
        ("brand:Acme AND (price<50 OR NOT _tags:used)", And((ACME, Or((CHEAP, Not(USED)))))),
        ("brand:Acme OR brand:Bolt", Is("brand", ("Acme", "Bolt"))),
        ("colour:red AND brand:Acme OR brand:Bolt", Or((BOLT, And((Is("colour", ("red",)), ACME))))),
        ("NOT NOT brand:Acme", ACME),
        ("((((brand:Acme))))", ACME),
        ("price:10 TO 50", Between("price", 10.0, 50.0)),
        ("price: 10 TO 50.5", Between("price", 10.0, 50.5)),
        ("price:50 TO 10", False),
        ("price = 10", Between("price", 10.0, 10.0)),
        ("price != 10", Not(Between("price", 10.0, 10.0))),
        ("price >= -1e3", Between("price", low=-1000.0)),
        ("price > 1e300", Between("price", low=3.4028234663852886e38, strict=True)),
        ("used", USED),
        ("brand:Acme<score=3> OR brand:Bolt<score=1>", Is("brand", ("Acme", "Bolt"))),
        ("organic:true", Is("organic", ("true", "True"))),
        ("available:maybe", False),
        ("hierarchicalCategories.lvl1:'Men > Shoes'", Is("category", ("Men > Shoes",))),
        ("hierarchicalCategories.lvl1:'Men>Shoes'", Is("category", ("Men > Shoes",))),
        ("hierarchicalCategories.lvl0:'Men > Shoes'", False),
        ("categories:Shoes", Is("category", ("Men > Shoes", "Women > Shoes"))),
        ("categories:Hats", False),
        ("nobody:x", False),
        ("NOT nobody:x", True),
        ("brand:Acme OR nobody > 3", ACME),
        ("brand:Acme AND nobody:1 TO 2", False),
        ("", True),
        ("  ", True),
    ],
)
def test_a_filter_string_says(text, meant):
    assert parsed(text, MAKER) == meant


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("brand:Acme AND", 15),
        ("brand:", 7),
        ("(brand:Acme", 12),
        ("brand:Acme brand:Bolt", 12),
        ("brand:'Acme", 7),
        ("price < fifty", None),
        ("price < nan", None),
        ("price:1 TO inf", None),
        ("= 5", 1),
        (")", 1),
        ("brand:Acme; DROP TABLE items", 13),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(text, place):
    with pytest.raises(BadRequest) as caught:
        parsed(text, MAKER)
    if place is not None:
        assert caught.value.where == f"filters, character {place}"


def test_length_and_depth_have_bounds():
    with pytest.raises(BadRequest, match="too long"):
        parsed("a" * 10_001, MAKER)
    deep = "brand:A OR (brand:B AND price < 1 AND NOT (" * 30 + "brand:Z" + "))" * 30
    with pytest.raises(BadRequest, match="too deep"):
        where(parsed(deep, MAKER))
    assert parsed("NOT " * 100 + "brand:Acme", MAKER) == ACME
    with pytest.raises(BadRequest, match="too deep"):
        parsed("NOT " * 2_400 + "brand:Acme", MAKER)
    with pytest.raises(BadRequest, match="too many values"):
        where(parsed(" OR ".join(f"brand:b{number}" for number in range(300)), MAKER))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("brand:Acme", ACME),
        ("brand:Acme,colour:red", And((ACME, Is("colour", ("red",))))),
        (["brand:Acme", "tags:used"], And((ACME, USED))),
        ([["brand:Acme", "brand:Bolt"]], Is("brand", ("Acme", "Bolt"))),
        ([["brand:Acme", "brand:Bolt"], "tags:used"], And((Is("brand", ("Acme", "Bolt")), USED))),
        ([["brand:Acme", ["brand:Bolt", "tags:used"]]], Or((ACME, And((BOLT, USED))))),
        (["brand:-Acme"], Not(ACME)),
        (["-brand:Acme"], Not(ACME)),
        (["brand:\\-5"], Is("brand", ("-5",))),
        (["brand:a:b"], Is("brand", ("a:b",))),
        ([["nobody:x", "brand:Acme"]], ACME),
        (["nobody:x"], False),
        ([], True),
        ([[]], True),
        ("", True),
        (None, True),
    ],
)
def test_facet_filters_say(given, meant):
    assert facet_filters(given, MAKER) == meant


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["price>=10", "price<=50"], And((Between("price", low=10.0), Between("price", high=50.0)))),
        ([["price=1", "price=2"]], Or((Between("price", 1.0, 1.0), Between("price", 2.0, 2.0)))),
        (["price:10 TO 50"], Between("price", 10.0, 50.0)),
        ("price>1,price<5", And((Between("price", low=1.0, strict=True), Between("price", high=5.0, strict=True)))),
        (["shoe size >= 42"], Between("shoe size", low=42.0)),
        (["price:10"], Between("price", 10.0, 10.0)),
        (["nobody>1"], False),
    ],
)
def test_numeric_filters_say(given, meant):
    assert numeric_filters(given, MAKER) == meant


def test_tag_filters_say():
    assert tag_filters("used", MAKER) == USED
    assert tag_filters(["used", ["new", "-sale"]], MAKER) == And(
        (USED, Or((Is("tags", ("new",)), Not(Is("tags", ("sale",))))))
    )


@pytest.mark.parametrize("given", [5, {"a": 1}, [5], [[None]], [[[[[["brand:x"]]]]]], ["brand"], [":x"], [["price>x"]]])
def test_a_wrong_shape_is_refused(given):
    for reader in (facet_filters, numeric_filters):
        with pytest.raises(BadRequest):
            reader(given, MAKER)


def test_what_a_shopper_ticks_becomes_filters_and_the_rest_an_expression():
    condition = every((either((ACME, BOLT)), Between("price", 10.0, 50.0), CHEAP, opposite(USED), Or((ACME, USED))))
    filters, rest = ticked(condition)
    assert filters == (
        Filter(field="brand", values=("Acme", "Bolt")),
        Filter(field="price", low=10.0, high=50.0),
    )
    assert rest == And((CHEAP, Not(USED), Or((ACME, USED))))
    assert ticked(True) == ((), True)
    assert ticked(False) == ((), False)
    many = every(Is("brand", (str(number),)) for number in range(60))
    filters, rest = ticked(many)
    assert len(filters) == 50
    assert len(rest.parts) == 10


def test_truths_melt_away():
    assert every([True, ACME, ACME]) == ACME
    assert every([ACME, False]) is False
    assert either([ACME, True]) is True
    assert either([]) is False
    assert opposite(True) is False
    assert opposite(opposite(ACME)) == ACME
    assert where(True) == ""


def test_hostile_strings_never_become_anything_but_values():
    """What is read can be written in the shop's own language and read again as the same: nothing escapes its quotes."""
    rng = random.Random(7)
    pieces = [
        "brand", ":", "Acme", '"', "'", "\\", " ", "AND", "OR", "NOT", "(", ")", "<", ">", "=", "!=", "price", "5",
        "TO", "IN", "..", "tags", "-", "<score=1>", "\x00", "\u202e", "😀", "红", "DROP TABLE", "1e999", "nan",
    ]  # fmt: skip
    read = 0
    for _ in range(5_000):
        text = "".join(rng.choice(pieces) for _ in range(rng.randrange(1, 14)))
        try:
            condition = parsed(text, MAKER)
            said = where(condition)
        except BadRequest:
            continue
        if not isinstance(condition, bool):
            read += 1
            assert parse(said) == condition, text
    assert read > 100
