"""Shops whose truth is known: mining must find it, must not be taken in by words that only look like values, and must
know how sure it is."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bodega.schema import Item, ItemTable
from bodega.understanding.facts import Miner

COLOURS = ("Red", "Blue", "Green", "Black")
NOUNS = ("Lamp", "Chair", "Desk", "Shelf", "Stool", "Bench")
STARTS, ENDS = ("Vor", "Kel", "Mun", "Tas", "Rid", "Osk", "Pel"), ("ax", "ine", "oro", "umi", "eth", "ady")
BRANDS = [start + end for start in STARTS for end in ENDS]


def shop(n: int = 600, *, filled: float = 0.6, seed: int = 3) -> tuple[list[Item], dict[str, dict[str, str]]]:
    """Items whose titles say colour and brand, and (in their collection's name) a colour that is not theirs; the
    columns of some are empty. The maker's line "Capri" is always for women, "Torro" for men."""
    rng = np.random.default_rng(seed)
    items, truth = [], {}
    for row in range(n):
        colour, brand = COLOURS[rng.integers(4)], BRANDS[rng.integers(len(BRANDS))]
        line, audience = (("Capri", "Women"), ("Torro", "Men"))[rng.integers(2)]
        title = f"{brand} {line} {NOUNS[rng.integers(6)]} {row % 83} {colour}"
        decoy = f"Silver Line. Goes well with {COLOURS[rng.integers(4)]} walls."
        known = rng.random() < filled
        attributes = {"color": colour, "fits": audience} if known else {}
        items.append(
            Item(id=str(row), title=title, description=decoy, brand=brand if known else "", attributes=attributes)
        )
        truth[str(row)] = {"color": colour, "fits": audience, "brand": brand}
    return items, truth


def repainted(item: Item, colour: str) -> Item:
    """The item with another colour at the end of its title."""
    return msgspec.structs.replace(item, title=" ".join([*item.title.split()[:-1], colour]))


@pytest.fixture(scope="module")
def world() -> tuple[list[Item], dict[str, dict[str, str]], Miner]:
    items, truth = shop()
    return items, truth, Miner().fit(ItemTable.of(items))


def _judged(items: list[Item], truth: dict[str, dict[str, str]], miner: Miner, name: str) -> tuple[float, float]:
    """(precision, recall) at .9 of the items whose column is empty."""
    right = said = there = 0
    for item in items:
        if item.brand:
            continue
        there += 1
        for fact in miner.mine(item):
            if fact.attribute == name and fact.confidence >= 0.9:
                said, right = said + 1, right + (fact.value == truth[item.id][name])
    return right / max(1, said), right / there


@pytest.mark.parametrize(("name", "recall"), [("color", 0.95), ("fits", 0.95), ("brand", 0.9)])
def test_hidden_values_are_found(world: tuple, name: str, recall: float) -> None:
    precision, found = _judged(*world, name)
    assert precision >= 0.97
    assert found >= recall


def test_a_colour_in_the_description_is_less_sure_than_one_in_the_title(world: tuple) -> None:
    miner: Miner = world[2]
    sure = miner.mine(Item(id="n", title="Vorax Capri Lamp 7 Red", description="Silver Line."))
    unsure = miner.mine(Item(id="n", title="Vorax Capri Lamp 7", description="Goes well with Red walls."))
    of = lambda facts: max((one.confidence for one in facts if one.attribute == "color"), default=0.0)  # noqa: E731
    assert of(sure) >= 0.9
    assert of(unsure) < 0.9


def test_guesses_name_the_words_they_go_by(world: tuple) -> None:
    fact = next(one for one in world[2].mine(Item(id="n", title="Zzz Torro Desk 9")) if one.attribute == "fits")
    assert fact.value == "Men"
    assert any(one.how == "words" and "Torro" in one.text for one in fact.evidence)


def test_what_the_shop_says_is_not_repeated_and_contradictions_are_shown(world: tuple) -> None:
    item = Item(id="n", title="Vorax Capri Lamp 7 Red", brand="Vorax", attributes={"color": "Red", "fits": "Women"})
    assert not [one for one in world[2].mine(item) if one.attribute in ("color", "brand", "fits")]
    wrong = msgspec.structs.replace(item, attributes={"color": "Blue", "fits": "Women"})
    (fact,) = [one for one in world[2].mine(wrong) if one.attribute == "color"]
    assert (fact.value, fact.conflicts) == ("Red", ("Blue",))


def test_a_word_that_lies_is_not_believed() -> None:
    """The broken twin: titles name a colour at random. Whatever is mined there, nothing is sure."""
    items, _ = shop(400)
    rng = np.random.default_rng(5)
    lying = [repainted(one, COLOURS[rng.integers(4)]) for one in items]
    miner = Miner().fit(ItemTable.of(lying))
    facts = [fact for one in lying for fact in miner.mine(one) if fact.attribute == "color" and not fact.conflicts]
    assert not [fact for fact in facts if fact.confidence >= 0.6]


def test_confidence_means_what_it_says() -> None:
    """Three of four titles tell the truth: nobody may be told .9."""
    items, _ = shop(800)
    rng = np.random.default_rng(5)
    some = [one if rng.random() < 0.75 else repainted(one, COLOURS[rng.integers(4)]) for one in items]
    miner = Miner().fit(ItemTable.of(some))
    sure = [fact.confidence for one in some if not one.brand for fact in miner.mine(one) if fact.attribute == "color"]
    assert 0.7 <= float(np.median(sure)) <= 0.9


@pytest.mark.skipif(importlib.util.find_spec("pycrfsuite") is None, reason="the extra `tagger` is not installed")
def test_brands_that_no_list_holds_are_tagged(world: tuple) -> None:
    facts = world[2].mine(Item(id="n", title="Quxenta Capri Desk 12 Green"))
    (brand,) = [one for one in facts if one.attribute == "brand"]
    assert brand.value == "Quxenta"
    assert brand.evidence[0].how == "tagger"


def test_the_same_catalog_gives_the_same_bytes(world: tuple, tmp_path: Path) -> None:
    items, _, miner = world
    again = Miner().fit(ItemTable.of(items))
    for name, made in (("one", miner), ("two", again)):
        made.save(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert files
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
    opened = Miner.load(tmp_path / "one")
    assert [opened.mine(item) for item in items[:50]] == [miner.mine(item) for item in items[:50]]


def test_variants_do_not_vouch_for_each_other() -> None:
    """Forty variants of one product say "Ultra" and are Red: one product is no proof."""
    items, _ = shop(300)
    twins = [
        Item(id=f"v{n}", title="Ultra", group="ultra", attributes={"color": "Red", "fits": "Men"}) for n in range(40)
    ]
    miner = Miner().fit(ItemTable.of([*items, *twins]))
    assert not [one for one in miner.mine(Item(id="n", title="Ultra thing")) if one.attribute == "fits"]


def test_a_shop_without_columns_goes_by_everyday_words() -> None:
    items = [
        Item(id=str(n), title=f"{('Women', 'Men')[n % 2]}'s {('red', 'blue')[n % 2]} shirt {n}") for n in range(60)
    ]
    miner = Miner().fit(ItemTable.of(items))
    facts = {(one.attribute, one.value): one.confidence for one in miner.mine(items[0])}
    assert facts["colour", "red"] >= 0.9
    assert facts["audience", "women"] >= 0.9


def test_an_empty_catalog_mines_nothing() -> None:
    miner = Miner().fit(ItemTable.of(()))
    assert not [fact for fact in miner.mine(Item(id="1", title="")) if fact.confidence >= 0.9]


HOSTILE: list[Callable[[], Item]] = [
    lambda: Item(id="1", title="\0\ud7ff\u202e" * 50, description="<script>" * 1_000),
    lambda: Item(id="\u3400" * 90, title="９" * 499, description="x" * 20_000),
    lambda: Item(id="1", title="1 x " * 120, description="9" * 5_000 + "ml"),
    lambda: Item(id="1", title="不" * 500, attributes={"color": ["a"] * 200, "n": float("nan"), "long": "y" * 900}),
    lambda: Item(id="1", title="red" * 5_000, brand="\u200b", category=("a" * 999,) * 30),
]


@pytest.mark.parametrize("make", HOSTILE)
def test_hostile_texts_are_only_texts(world: tuple, make: Callable[[], Item]) -> None:
    for fact in world[2].mine(make()):
        assert 0 <= fact.confidence <= 1
        assert len(fact.value) <= 500
