"""Texts, categories, availability, amounts and attributes: one dirty value in, one clean value out."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.catalog.attributes import column_kinds, put
from bodega.catalog.categories import path_of, paths_of, slashed
from bodega.catalog.outliers import odd_prices
from bodega.catalog.stock import availability_of
from bodega.catalog.text import clean_line, clean_text
from bodega.catalog.units import amount_of
from bodega.feeds import RawRow
from bodega.schema import Availability
from bodega.schema.nouns import AttributeValue


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("<p>Warm &amp; <b>soft</b></p><ul><li>wool</li><li>blue</li></ul>", "Warm & soft\nwool\nblue"),
        ("a<br/>b<style>.x{color:red}</style><script>alert(1)</script><!-- c -->", "a\nb"),
        ("['An Amazon Brand.', '', 'Second <i>part</i>']", "An Amazon Brand.\nSecond part"),
        ('["It\'s good"]', "It's good"),
        ("['', '']", ""),
        ("['It's unescaped\\nhere', '']", "It's unescaped\nhere"),
        ("[not a list] really", "[not a list] really"),
        ("[1, 2]", "[1, 2]"),
        ("3 < 5 & 7 > 2", "3 < 5 & 7 > 2"),
        ("tab\there\x00nul\x07bell\u200bzero\ufeff", "tab here nul bell zero"),
        ("cafe\u0301", "café"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("emoji 👩‍👩‍👧 stays", "emoji 👩‍👩‍👧 stays"),
        ("a\r\n\r\n\r\nb   c", "a\nb c"),
        ("[" * 5000 + "]" * 5000, "[" * 5000 + "]" * 5000),
    ],
)
def test_texts(dirty: str, clean: str) -> None:
    assert clean_text(dirty, 20_000) == clean


def test_lines_are_one_line_and_cut() -> None:
    assert clean_line("  Red\n<b>Shoe</b> ", 100) == "Red Shoe"
    assert clean_line("x" * 1_000_000, 20_000) == "x" * 20_000
    assert len(clean_text("<p>" + "y " * 500_000, 20_000)) <= 20_000


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ("Shoes > Trail", [("Shoes", "Trail")]),
        ("Shoes>Trail>Trail", [("Shoes", "Trail")]),
        ("Home » Women | Tops", [("Women", "Tops")]),
        ("COOKIES/CONES", [("COOKIES/CONES",)]),
        ("服饰 / 女装 / 连衣裙", [("服饰", "女装", "连衣裙")]),
        (["Electronics", "Phones"], [("Electronics", "Phones")]),
        (["Men > Tops", "Sale > Summer"], [("Men", "Tops"), ("Sale", "Summer")]),
        ([["Men", "Tops"], ["Sale"]], [("Men", "Tops"), ("Sale",)]),
        ({"lvl0": "Men", "lvl1": "Men > Tops"}, [("Men", "Tops")]),
        ({"lvl0": ["A", "B"], "lvl1": ["A > C", "B > D"]}, [("A", "C"), ("B", "D")]),
        (("FRZN ICE", "ICE | CUBED"), [("FRZN ICE", "ICE | CUBED")]),
        ("n/a", []),
        (None, []),
        ("", []),
    ],
)
def test_categories(value: object, paths: list[tuple[str, ...]]) -> None:
    assert paths_of(value) == paths


def test_a_bare_slash_separates_only_where_the_column_looks_like_paths() -> None:
    assert slashed(["Men/Tops/Tees", "Men/Tops/Hoodies", "Women/Pants", "Women/Tops", "Gear/Bags", "Gear/Watches"])
    assert not slashed(["COOKIES/CONES", "TEA", "ICE - CRUSHED/CUBED", "PNT BTR/JELLY", "BREAD", "MILK"])
    assert not slashed([])
    assert path_of("Default Category/Men/Tops", True) == ("Men", "Tops")


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("in stock", Availability.IN_STOCK),
        ("In_Stock", Availability.IN_STOCK),
        ("http://schema.org/OutOfStock", Availability.OUT_OF_STOCK),
        ("sold out", Availability.OUT_OF_STOCK),
        ("0", Availability.OUT_OF_STOCK),
        ("12", Availability.IN_STOCK),
        ("False", Availability.OUT_OF_STOCK),
        ("pre-order", Availability.PREORDER),
        ("onbackorder", Availability.BACKORDER),
        ("有货", Availability.IN_STOCK),
        ("缺货", Availability.OUT_OF_STOCK),
        ("下架", Availability.DISCONTINUED),
        ("who knows", None),
    ],
)
def test_availability(word: str, meaning: Availability | None) -> None:
    assert availability_of(word) == meaning


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("22 LB", (9979.03, "g")),
        ("500 ml", (500.0, "ml")),
        ("1.5 kg", (1500.0, "g")),
        ("1,5 kg", (1500.0, "g")),
        ("12 OZ", (340.194, "g")),
        ("12 fl oz", (354.882, "ml")),
        ("2 L", (2000.0, "ml")),
        ("6 x 330 ml", (1980.0, "ml")),
        ("1/2 GAL", (1892.71, "ml")),
        ("300 CT(1)", (300.0, "count")),
        ('55"', (139.7, "cm")),
        ("净500克", None),
        ("500克", (500.0, "g")),
        ("32 GB", None),
        ("XL", None),
        ("5 M", None),
        ("10", None),
        ("6/12 OZ", (2041.17, "g")),
        ("12 PK/12 OZ", (4082.33, "g")),
        ("2/3 OZ", (170.097, "g")),
        ("1/0 lb", None),
        ("9" * 39 + "g", None),
    ],
)
def test_amounts(text: str, amount: tuple[float, str] | None) -> None:
    assert amount_of(text) == amount


def test_attributes_get_one_type_a_column_and_a_comparable_amount() -> None:
    rows = [
        RawRow(2, {"year": "2011", "zip_code": "01234", "eco": "yes", "mixed": "7"}),
        RawRow(3, {"year": "2.5", "mixed": "XL"}),
    ]
    kinds = column_kinds(["year", "zip_code", "eco", "mixed", "void"], rows)
    assert kinds == {"year": "number", "zip_code": "text", "eco": "flag", "mixed": "text", "void": "text"}
    held: dict[str, AttributeValue] = {}
    assert put(held, "package_size", "22 LB")
    assert not put(held, "material", "Wool|Fleece")
    put(held, "deep", {"Fit ": "loose", "nan": float("nan")})
    put(held, "weight", "1.5 kg")
    put(held, "when", None)
    put(held, "big", float("inf"))
    assert held == {
        "package_size": "22 LB",
        "size_g": 9979.03,
        "material": ["Wool", "Fleece"],
        "deep.Fit": "loose",
        "weight": "1.5 kg",
        "weight_g": 1500.0,
    }


def test_cents_among_units_stand_out_and_small_groups_do_not() -> None:
    rng = np.random.default_rng(7)
    prices = np.exp(rng.normal(3.0, 0.5, 400))
    prices[[5, 250]] *= 100
    prices[7] = np.nan
    groups = np.repeat([0, 1], 200)
    assert np.flatnonzero(odd_prices(prices, groups)).tolist() == [5, 250]
    assert not odd_prices(np.array([1.0] * 18 + [1e6]), np.zeros(19, np.int64)).any()
    assert odd_prices(np.array([1.0] * 19 + [1e6]), np.zeros(20, np.int64)).tolist() == [False] * 19 + [True]
    assert odd_prices(np.empty(0), np.empty(0, np.int64)).shape == (0,)
