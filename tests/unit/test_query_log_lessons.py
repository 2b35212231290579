"""What the query log teaches: next queries and synonyms, only from enough different people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bodega.schema import Event, EventType, Item, ItemTable, Log
from bodega.testing.world import as_log
from bodega.understanding.query.following import Following
from bodega.understanding.query.synonyms import mine

TABLE = ItemTable.of([Item(id=name, title=name) for name in ("couch-a", "couch-b", "couch-c", "lamp", "tent")])
START = datetime(2026, 1, 1, tzinfo=UTC)


def visits(told: list[tuple[str, list[tuple[str, str]]]]) -> Log:
    """(user, [(query, clicked item or "")]) each as one visit, a minute a step."""
    events, minute = [], 0
    for visit, (user, steps) in enumerate(told):
        for query, item in steps:
            minute += 1
            events.append(
                Event(
                    id=str(minute),
                    type=EventType.CLICK if item else EventType.SEARCH,
                    time=START + timedelta(minutes=minute),
                    user=user,
                    session=f"s{visit}",
                    item=item,
                    query=query,
                )
            )
    return as_log(events, TABLE, tuple(dict.fromkeys(user for user, _ in told)))


def test_next_queries_need_enough_different_people() -> None:
    often = [(f"u{n}", [("Tent", ""), ("tent pegs", "")]) for n in range(5)]
    rare = [(f"u{n}", [("tent", ""), ("birthday surprise for anna", "")]) for n in range(4)]
    one = [("u9", [("tent", ""), ("tent for me", "")]) for _ in range(20)]
    following = Following.of(visits([*often, *rare, *one]), people=5)
    assert following.after("TENT!") == ("tent pegs",)
    assert following.after("birthday surprise for anna") == ()


def test_what_everybody_searches_does_not_follow_everything() -> None:
    told = [(f"a{n}", [("tent", ""), ("tent pegs", "")]) for n in range(6)]
    told += [(f"b{n}", [("tent", ""), ("phone", "")]) for n in range(7)]
    told += [(f"c{n}", [("phone", "")]) for n in range(200)]
    assert Following.of(visits(told), people=5).after("tent")[0] == "tent pegs"


def test_following_is_kept_as_it_was(tmp_path: Path) -> None:
    following = Following.of(visits([(f"u{n}", [("a b", ""), ("c d", "")]) for n in range(5)]), people=5)
    following.save(tmp_path)
    assert Following.load(tmp_path).after("b? a b") == ()
    assert Following.load(tmp_path).after("a b") == ("c d",)


def asked(query: str, items: list[str], people: int, first: int) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(f"u{first + n}", [(query, items[n % len(items)])]) for n in range(people)]


SOFAS = ["couch-a", "couch-b", "couch-c"]


def test_phrases_that_lead_to_the_same_items_are_proposed_once_with_their_evidence() -> None:
    told = asked("sofa bed", SOFAS, 9, 0) + asked("couch bed", SOFAS, 9, 20) + asked("desk lamp", ["lamp"], 9, 40)
    found = mine(visits(told), people=5)
    assert [(each.one, each.other) for each in found] == [("couch", "sofa")]
    assert found[0].agreement == pytest.approx(1.0)
    assert found[0].people == 9
    assert found[0].examples == (("couch bed", "sofa bed"),) or found[0].examples == (("sofa bed", "couch bed"),)


def test_other_items_too_few_people_and_narrower_phrases_are_no_synonyms() -> None:
    other = asked("red lamp", ["lamp"], 9, 0) + asked("red tent", ["tent"], 9, 20)
    assert mine(visits(other), people=5) == []
    few = asked("sofa bed", SOFAS, 9, 0) + asked("couch bed", SOFAS, 4, 20)
    assert mine(visits(few), people=5) == []
    narrower = asked("sofa", SOFAS, 9, 0) + asked("sofas", SOFAS, 9, 20) + asked("red sofa", SOFAS, 9, 40)
    assert mine(visits(narrower), people=5) == []
