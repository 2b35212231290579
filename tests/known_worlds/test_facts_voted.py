"""Shops where no word names a value, but many words, or the category, decide it together: the votes must find it, count
what they show, judge sets value by value, and stay silent where words say nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from bodega.schema import Item, ItemTable
from bodega.schema.facts import Fact
from bodega.understanding.facts import Miner
from bodega.understanding.facts.votes import Taught

WORDS = {"Lounge": ("soft", "calm", "slow", "warm", "easy"), "Racing": ("hard", "loud", "fast", "cold", "firm")}
CLIMATE = {"Sunny": "parasol", "Snowy": "mitten", "Rainy": "umbrella"}


def shop(n: int = 400, *, agree: float = 0.8, seed: int = 4) -> tuple[list[Item], dict[str, set[str]]]:
    """Each item has five words; each word is one of its own use with the chance `agree`. At .8 a majority of five is
    right .94 of the time, a single word .8. `weather` is a set: each of its values goes by one word of its own. The
    article number begins with the letter of the use in every second item. Four of ten columns are empty."""
    rng = np.random.default_rng(seed)
    items, truth = [], {}
    for row in range(n):
        use, other = (("Lounge", "Racing"), ("Racing", "Lounge"))[rng.integers(2)]
        said = [WORDS[use if rng.random() < agree else other][at] for at in range(5)]
        weather = sorted(name for name in CLIMATE if rng.random() < 0.5) or ["Sunny"]
        text = " ".join([*rng.permutation(said).tolist(), *(CLIMATE[name] for name in weather)])
        known = rng.random() < 0.6
        attributes: dict[str, object] = {"use": use, "weather": weather} if known else {}
        items.append(Item(id=f"{row}x", title=f"Thing {row}", description=text, attributes=attributes))
        truth[f"{row}x"] = {use, *weather}
    return items, truth


def facts_of(items: list[Item], column: str) -> list[Fact]:
    miner = Miner().fit(ItemTable.of(items))
    return [fact for item in items if not item.attributes for fact in miner.mine(item) if fact.attribute == column]


def test_words_that_are_weak_alone_are_sure_together() -> None:
    items, truth = shop(800)
    empty = sum(not item.attributes for item in items)
    sure = [fact for fact in facts_of(items, "use") if fact.confidence >= 0.9]
    assert (
        len(sure) >= 0.5 * empty
    )  # all five words agree, or four: .33 + .41 of the items, both right .98 of the time and more
    assert np.mean([fact.value in truth[fact.item] for fact in sure]) >= 0.9
    assert all(0.7 <= one.have / one.had < 1 for fact in sure for one in fact.evidence)


def test_words_that_say_nothing_are_not_believed() -> None:
    """The broken twin: every word is as often said of the other use."""
    items, _ = shop(agree=0.5)
    assert not [fact for fact in facts_of(items, "use") if fact.confidence >= 0.9]


def test_sets_are_judged_value_by_value() -> None:
    items, truth = shop()
    sure = [fact for fact in facts_of(items, "weather") if fact.confidence >= 0.9]
    there = sum(len(truth[item.id]) - 1 for item in items if not item.attributes)
    assert np.mean([fact.value in truth[fact.item] for fact in sure]) >= 0.97
    assert len(sure) >= 0.9 * there
    assert any(one.text == "parasol" for fact in sure if fact.value == "Sunny" for one in fact.evidence)


@pytest.mark.parametrize("path", [("Men", "Tops"), ("Women", "Tops")])
def test_a_category_says_how_many_of_its_products_have_the_value(path: tuple[str, ...]) -> None:
    """Of each 40 men's tops and women's tops all are plain and striped; the path's last level is the same."""
    items = [
        Item(id=f"{n}x", title=f"Thing {n}", category=own, attributes={"surface": value})
        for own, value in ((("Men", "Tops"), "Plain"), (("Women", "Tops"), "Striped"))
        for n in range(sum(map(ord, own[0])), sum(map(ord, own[0])) + 40)
    ]
    miner = Miner().fit(ItemTable.of(items))
    (fact,) = [one for one in miner.mine(Item(id="new", title="Thing", category=path)) if one.attribute == "surface"]
    assert fact.value == ("Plain" if path[0] == "Men" else "Striped")
    assert fact.confidence >= 0.9
    assert ("category", 40, 40) in {(one.how, one.have, one.had) for one in fact.evidence}


def test_products_do_not_vote_for_themselves() -> None:
    """Words that only one product says, random values: the votes on those that took no part are right half the time."""
    rng = np.random.default_rng(1)
    names = [f"p{n}" for n in range(200)]
    tokens = [{f"word\0w{word}": ("title", 0, 1, "w") for word in rng.integers(0, 60, 8).tolist()} for _ in names]
    said = [{0: frozenset((("A", "B")[rng.integers(2)],))} for _ in names]
    votes, held = Taught(names, tokens).votes(said, [0])
    column = votes.values.index((0, "A"))
    right = np.mean([(held[row, column] > 0.5) == ("A" in said[row][0]) for row in range(len(names))])
    assert 0.35 <= right <= 0.65


def test_votes_are_kept_with_the_miner(tmp_path: Path) -> None:
    items, _ = shop(200)
    miner = Miner().fit(ItemTable.of(items))
    miner.save(tmp_path)
    opened = Miner.load(tmp_path)
    assert opened.ballot.votes == miner.ballot.votes
    assert [opened.mine(item) for item in items] == [miner.mine(item) for item in items]


def test_a_miner_kept_before_there_were_votes_opens(tmp_path: Path) -> None:
    tones = ("Matte", "Glossy")
    items = [
        Item(id=f"{n}x", title=f"{tones[n % 2]} thing {n}", attributes={"tone": tones[n % 2]} if n % 3 else {})
        for n in range(120)
    ]
    Miner().fit(ItemTable.of(items)).save(tmp_path)
    stored = msgspec.json.decode((tmp_path / "miner.json").read_bytes())
    del stored["votes"]
    for belief in stored["beliefs"]:
        if belief is not None:
            belief["weights"] = belief["weights"][:-3]
    (tmp_path / "miner.json").write_bytes(msgspec.json.encode(stored))
    opened = Miner.load(tmp_path)
    facts = [fact for item in items for fact in opened.mine(item)]
    assert {fact.item for fact in facts if fact.confidence >= 0.9} == {one.id for one in items if not one.attributes}
    assert not [one for fact in facts for one in fact.evidence if one.had]
