"""Shopper states: the last click counts at once, late events go where they belong, twice is once."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bodega.engine.online import Shoppers
from bodega.protocols import Steps
from bodega.schema import EVENT_CODES, Event, EventType, Item, ItemTable
from bodega.testing.fakes import MemoryEvents

TABLE = ItemTable.of(Item(id=name) for name in "abcdef")
START = datetime(2026, 1, 1, tzinfo=UTC)


def event(
    number: int, item: str, kind: str = "click", *, user: str = "", session: str = "s", stars: float | None = None
) -> Event:
    return Event(
        id=f"e{number}",
        type=EventType(kind),
        time=START + timedelta(minutes=number),
        user=user,
        session=session,
        item=item,
        value=stars,
    )


def shoppers(stored: list[Event] | None = None, limit: int = 100) -> Shoppers:
    kept = stored or []

    def recent(user: str, session: str, most: int) -> Steps:
        store = MemoryEvents()
        store.append(kept)
        return store.steps(user=user, session=session, limit=most)

    return Shoppers(recent, limit=limit)


def seen(states: Shoppers, *, user: str = "", session: str = "") -> list[str]:
    return [TABLE.ids[row] for row in states.history(user, session, TABLE).items]


def test_nobody_and_strangers_have_no_history() -> None:
    states = shoppers()
    assert seen(states) == []
    assert seen(states, user="never seen", session="neither") == []


def test_a_click_is_in_the_next_history() -> None:
    states = shoppers([event(1, "a")])
    assert seen(states, session="s") == ["a"]
    states.observe([event(2, "b")])
    assert seen(states, session="s") == ["a", "b"]


def test_an_event_seen_twice_counts_once() -> None:
    states = shoppers([event(1, "a")])
    assert seen(states, session="s") == ["a"]
    states.observe([event(1, "a"), event(1, "a")])
    assert seen(states, session="s") == ["a"]


def test_any_order_of_arrival_gives_the_sorted_replay() -> None:
    events = [event(number, random.Random(number).choice("abcdef")) for number in range(40)]
    wanted = [e.item for e in events]
    for seed in range(10):
        shuffled = list(events)
        random.Random(seed).shuffle(shuffled)
        states = shoppers()
        seen(states, session="s")
        states.observe(shuffled)
        assert seen(states, session="s") == wanted


def test_only_the_newest_are_kept() -> None:
    states = shoppers(limit=3)
    seen(states, session="s")
    states.observe(event(number, item) for number, item in enumerate("abcde"))
    assert seen(states, session="s") == ["c", "d", "e"]


def test_signing_in_takes_the_guests_clicks_along_in_time_order() -> None:
    stored = [
        event(1, "a", user="u", session="old"),
        event(3, "c", user="u", session="old"),
        event(2, "b", session="s"),
    ]
    states = shoppers(stored)
    assert seen(states, user="u", session="s") == ["a", "b", "c"]
    assert seen(states, user="u") == ["a", "c"]
    assert seen(states, session="s") == ["b"]


def test_impressions_searches_and_bad_ratings_are_not_interest() -> None:
    states = shoppers(
        [
            event(1, "a", "impression"),
            event(2, "", "search"),
            event(3, "b", "rating", stars=1),
            event(4, "c", "rating", stars=5),
        ]
    )
    assert seen(states, session="s") == ["c"]


def test_dismissed_items_are_disliked_until_they_are_wanted_again() -> None:
    states = shoppers([event(1, "a"), event(2, "a", "dismiss"), event(3, "b", "return")])
    disliked = states.history("", "s", TABLE).disliked
    assert [TABLE.ids[row] for row in disliked] == ["a", "b"]
    states.observe([event(4, "a", "cart")])
    assert [TABLE.ids[row] for row in states.history("", "s", TABLE).disliked] == ["b"]


def test_actions_and_times_have_the_shape_of_the_items() -> None:
    history = shoppers([event(1, "a"), event(2, "b", "purchase")]).history("", "s", TABLE)
    assert history.actions.tolist() == [EVENT_CODES["click"], EVENT_CODES["purchase"]]
    assert np.diff(history.times).tolist() == [60.0]


def test_unknown_items_are_left_out_and_appear_with_a_table_that_knows_them() -> None:
    states = shoppers([event(1, "a"), event(2, "new")])
    assert seen(states, session="s") == ["a"]
    wider = ItemTable.of([Item(id="a"), Item(id="new")])
    assert states.history("", "s", wider).items.tolist() == [0, 1]


@pytest.mark.parametrize("capacity", [1, 2])
def test_the_least_recently_seen_shopper_is_dropped_and_read_again(capacity: int) -> None:
    reads: list[str] = []

    def recent(user: str, session: str, most: int) -> Steps:
        reads.append(session)
        return Steps.of([event(1, "a", session=session)])

    states = Shoppers(recent, limit=10, capacity=capacity)
    for session in ("s1", "s2", "s3", "s1"):
        assert len(states.history("", session, TABLE).items) == 1
    assert reads == ["s1", "s2", "s3", "s1"]


def looked(states: Shoppers, *, user: str = "", session: str = "") -> list[str]:
    return [TABLE.ids[row] for row in states.history(user, session, TABLE).shown]


def test_what_was_shown_is_kept_until_it_is_clicked() -> None:
    states = shoppers()
    assert looked(states, session="s") == []
    states.observe([event(1, "a", "impression"), event(2, "b", "impression"), event(3, "a", "impression")])
    assert looked(states, session="s") == ["a", "b", "a"]
    states.observe([event(4, "a")])
    assert looked(states, session="s") == ["b"]
    assert seen(states, session="s") == ["a"]
    states.observe([event(5, "a", "impression"), event(5, "a", "impression")])
    assert looked(states, session="s") == ["b", "a"]
    assert states.history("", "s", TABLE).shown_times.tolist() == [event(n, "a").time.timestamp() for n in (2, 5)]


def test_what_was_shown_in_any_order_of_arrival_is_the_sorted_replay() -> None:
    kinds = ["impression", "impression", "click", "dismiss"]
    events = [
        event(number, random.Random(number).choice("abcdef"), random.Random(number + 99).choice(kinds))
        for number in range(60)
    ]
    whole = shoppers(events)
    wanted = looked(whole, session="s")
    assert wanted
    for seed in range(10):
        shuffled = list(events)
        random.Random(seed).shuffle(shuffled)
        states = shoppers()
        looked(states, session="s")
        for one in shuffled:
            states.observe([one])
            looked(states, session="s")
        assert looked(states, session="s") == wanted
        assert seen(states, session="s") == seen(whole, session="s")


def test_impressions_push_no_click_out_of_the_history() -> None:
    states = shoppers(limit=3)
    seen(states, session="s")
    states.observe([event(1, "a"), *(event(2 + n, "b", "impression") for n in range(500))])
    assert seen(states, session="s") == ["a"]
    assert len(looked(states, session="s")) == 200


def test_impressions_do_not_make_the_history_be_resolved_anew() -> None:
    states = shoppers()
    states.observe([event(1, "a")])
    seen(states, session="s")
    states.observe([event(1, "a")])
    before = states.history("", "s", TABLE).items
    states.observe([event(2, "b", "impression")])
    assert states.history("", "s", TABLE).items is before


def test_a_click_after_signing_in_ends_what_the_visit_was_shown() -> None:
    states = shoppers()
    seen(states, user="u", session="s")
    states.observe([event(1, "a", "impression"), event(2, "b", "impression"), event(3, "a", user="u")])
    assert looked(states, user="u", session="s") == ["b"]


def test_a_history_read_after_every_event_is_the_one_read_at_the_end() -> None:
    rng = random.Random(11)
    events = [
        event(number, rng.choice("abcdefxyz"), rng.choice(["click", "purchase", "dismiss"])) for number in range(90)
    ]
    rng.shuffle(events)
    read_often, read_once = shoppers(limit=25), shoppers(limit=25)
    for states in (read_often, read_once):
        states.history("", "s", TABLE)
    for each in events:
        read_often.observe([each])
        read_often.history("", "s", TABLE)
        read_once.observe([each])
    often, once = read_often.history("", "s", TABLE), read_once.history("", "s", TABLE)
    assert len(once.items) > 5
    for name in ("items", "times", "actions", "disliked"):
        assert np.array_equal(getattr(often, name), getattr(once, name)), name
