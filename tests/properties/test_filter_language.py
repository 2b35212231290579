"""Whatever is written as a filter is read as a bounded tree or refused with its place, quickly; nothing escapes."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodega.engine import browse
from bodega.engine.expression import (
    LENGTH_LIMIT,
    And,
    Between,
    Expression,
    Is,
    Not,
    Or,
    bounded,
    conditions,
    keep,
    parse,
)
from bodega.engine.shelf import Shelf
from bodega.errors import BadRequest
from bodega.schema import Item, ItemTable

SHELF = Shelf.of(
    ItemTable.of(
        [
            Item(id="1", brand="Acme", category=("Shoes", "Trail"), price=9.99, tags=("new", "used")),
            Item(id="2", brand="耐克", price=50.0, attributes={"size": "42", "weight": 2.5, "waterproof": True}),
            Item(id="3", brand='O"Neill \\ Co', category=("Hats",), stock=0, attributes={"care note": "a) OR (b"}),
        ]
    )
)
MANY, FEW = 100_000, 4_000
LONGEST_SECONDS = 5.0
"""CPU time of one string, on a machine that does other things too; the longest legal ones take 0.02."""

names = st.one_of(
    st.sampled_from(["brand", "price", "in", "NOT", "care note", "品牌"]), st.text(min_size=1, max_size=8)
)
numbers = st.floats(-1e30, 1e30, allow_nan=False).map(lambda number: number + 0.0)
ranges = st.builds(lambda name, low, high: Between(name, min(low, high), max(low, high)), names, numbers, numbers)
leaves = st.one_of(
    st.builds(Is, names, st.lists(st.text(max_size=8), min_size=1, max_size=3).map(tuple)),
    ranges,
    st.builds(lambda name, end, strict: Between(name, low=end, strict=strict), names, numbers, st.booleans()),
    st.builds(lambda name, end, strict: Between(name, high=end, strict=strict), names, numbers, st.booleans()),
)
trees: st.SearchStrategy[Expression] = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.builds(And, st.lists(parts, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(parts, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


@given(trees)
def test_a_tree_and_its_text_say_the_same(tree: Expression) -> None:
    text = str(tree)
    if len(text) > LENGTH_LIMIT:
        return
    assert parse(text) == tree
    assert str(parse(text)) == text


@given(st.text(max_size=60))
def test_no_value_breaks_out_of_its_quotation_marks(value: str) -> None:
    for mark in "\"'":
        written = value.replace("\\", "\\\\").replace(mark, "\\" + mark)
        assert parse(f"brand = {mark}{written}{mark} AND price < 5") == And(
            (Is("brand", (value,)), Between("price", high=5.0, strict=True))
        )


@given(st.text(max_size=120))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    check_survives(text)


@given(st.lists(st.sampled_from([*"()'\"\\,=<>!:*;-", " ", "AND", " or ", "not ", "brand", "price", "5", "..", "in"])))
def test_any_soup_of_the_languages_own_parts_is_read_or_refused(parts: list[str]) -> None:
    check_survives("".join(parts))


def test_thousands_of_fuzzed_filters_never_crash_nor_hang() -> None:
    read = sum(check_survives(text) for text in fuzzed(seed=7, count=FEW))
    assert FEW * 0.1 < read < FEW * 0.9, "a fuzzer that is always right or always wrong tests little"


@pytest.mark.slow
def test_a_hundred_thousand_fuzzed_filters_never_crash_nor_hang() -> None:
    read = sum(check_survives(text) for text in fuzzed(seed=11, count=MANY))
    assert MANY * 0.1 < read < MANY * 0.9


def check_survives(text: str) -> bool:
    """Read, checked, applied and written again, or refused by BadRequest alone; was it read? Anything else fails."""
    before = time.thread_time()
    tree = told(lambda: parse(text))
    assert time.thread_time() - before < LONGEST_SECONDS, text
    if isinstance(tree, BadRequest):
        assert tree.what
        assert tree.where.startswith("filter expression")
        return False
    assert bounded(tree) is tree
    assert all(0 <= each.at < len(text) for each in conditions(tree))
    assert parse(str(tree)) == tree or len(str(tree)) > LENGTH_LIMIT
    chosen = told(lambda: browse.narrow(SHELF, (), text))
    if isinstance(chosen, BadRequest):
        assert chosen.allowed
    else:
        assert chosen.all.tolist() == keep(SHELF.base, tree).tolist()
    return True


T = TypeVar("T")


def told(call: Callable[[], T]) -> T | BadRequest:
    """What a call gives, or the error that teaches."""
    try:
        return call()
    except BadRequest as error:
        return error


# -- the fuzzer -------------------------------------------------------------------------------------------------------

FIELDS = [
    "brand",
    "price",
    "category",
    "tags",
    "size",
    "weight",
    "available",
    "waterproof",
    "品牌",
    '"care note"',
    "colour",
]
VALUES = [
    "Acme",
    '"Acme"',
    "'x y'",
    "耐克",
    '"Shoes > Trail"',
    "true",
    "5",
    "-2.5",
    "1e3",
    '"a\\"b"',
    "“q”",
    "😀",
    "été",
]
ATTACKS = [
    "' OR 1=1 --", '"; DROP TABLE items; --', "brand = \"\" UNION SELECT * FROM keys", "${7*7}", "{{config}}",
    "__import__('os').system('id')", "brand = x); import os; (", "%00", "../../etc/passwd", "\x00\x1b[31m", "NaN",
    "a" * 500, "(" * 300, "NOT " * 300, '"' * 99, "\\" * 99, "brand = " + "(" * 50, "price = 9" + "9" * 400, "1e999",
    "price < nan", "price < inf", "price > 1e39", "price 5..1", "x..y", "....", "= = =", "AND", "brand IN ()",
    "\ud800", "\ufeffbrand = x", "ｂｒａｎｄ ＝ Ａ", "（brand＝Acme）", "price≥5", "brand<>x", "brand == x",
    "<script>alert(1)</script>", "brand IN (,)", "\u202eprice < 5", "price 2\x1d..", "price ..\x1c9",
]  # fmt: skip
PIECES = [
    *FIELDS,
    *VALUES,
    "AND",
    "or",
    "Not",
    "IN",
    "BETWEEN",
    "(",
    ")",
    ",",
    "=",
    "!=",
    "<",
    "<=",
    ">",
    "..",
    ":",
    '"',
    "'",
]


def fuzzed(seed: int, count: int) -> Iterator[str]:
    """Attacks, right filters, right filters with mistakes, soup of the language's parts, soup of characters."""
    rng = random.Random(seed)
    yield from ATTACKS
    for number in range(count - len(ATTACKS)):
        kind = number % 5
        if kind == 0:
            yield right(rng, rng.randrange(4))
        elif kind in (1, 2):
            yield mistaken(rng, right(rng, rng.randrange(4)))
        elif kind == 3:
            yield " ".join(rng.choices([*PIECES, *ATTACKS[:10]], k=rng.randrange(1, 12)))
        else:
            yield "".join(chr(character(rng)) for _ in range(rng.randrange(40)))


def right(rng: random.Random, depth: int) -> str:
    """A filter that the grammar allows."""
    if depth and rng.random() < 0.7:
        parts = [right(rng, depth - 1) for _ in range(rng.randrange(1, 4))]
        joined = rng.choice([" AND ", " or ", " OR\n"]).join(f"({part})" for part in parts)
        return f"NOT ({joined})" if rng.random() < 0.3 else joined
    field, value, other = rng.choice(FIELDS), rng.choice(VALUES), rng.choice(VALUES)
    low, high, sign = rng.randrange(50), rng.randrange(50, 99), rng.choice(["<", "<=", ">", ">=", "＜", "≥"])
    return rng.choice(
        [
            f"{field} = {value}", f"{field}:{value}", f"{field} != {value}", f"{field} IN ({value}, {other})",
            f"{field} not in ({value})", f"price {sign} {low}", f"price {low}..{high}", f"price = ..{high}",
            f"weight BETWEEN {low} AND {high}", f"{field} {low}.. ",
        ]
    )  # fmt: skip


def mistaken(rng: random.Random, text: str) -> str:
    """A filter with one to three characters or pieces lost, doubled, swapped or put in."""
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            text = text[:at] + text[at + rng.randrange(1, 5) :]
        elif kind == 1:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif kind == 2:
            text = text[:at] + chr(character(rng)) + text[at:]
        else:
            text = text[:at] + text[at : at + 6] * rng.randrange(2, 5) + text[at:]
    return text


def character(rng: random.Random) -> int:
    """ASCII mostly, else anything that Python calls a character."""
    if rng.random() < 0.7:
        return ord(rng.choice(string.printable))
    return rng.choice(
        [rng.randrange(0x20), rng.randrange(0x110000), rng.randrange(0x4E00, 0x9FFF), 0x202E, 0xFEFF, 0x200B]
    )
