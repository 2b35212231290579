"""What past queries led to: the same words find it, near words find less of it, strangers nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from bodega.retrieval.asked import Asked
from bodega.schema import Context, Event, EventType, Item, ItemTable, World
from bodega.testing.world import as_log

TABLE = ItemTable.of([Item(id="couch", title="Couch"), Item(id="chair", title="Chair"), Item(id="lamp", title="Lamp")])
START = datetime(2026, 1, 1, tzinfo=UTC)


def fitted(asked: list[tuple[str, str, int]]) -> Asked:
    """(query, item, how many clicks), one a minute by different people."""
    events, people = [], []
    for query, item, times in asked:
        for _ in range(times):
            user = f"u{len(people)}"
            people.append(user)
            moment = START + timedelta(minutes=len(events))
            events.append(Event(id=user, type=EventType.CLICK, time=moment, user=user, item=item, query=query))
    log = as_log(events, TABLE, tuple(people))
    return Asked().fit(World(TABLE, log, START.timestamp() + 1e6))


def best(source: Asked, query: str) -> list[str]:
    return [TABLE.ids[row] for row in source.retrieve(Context(place="search", query=query), 5).items]


def test_a_query_finds_what_it_led_to_before_most_chosen_first() -> None:
    source = fitted([("comfy sofa", "couch", 9), ("comfy sofa", "chair", 2), ("bright light", "lamp", 5)])
    assert best(source, "comfy sofa") == ["couch", "chair"]
    assert best(source, "sofa, comfy!") == ["couch", "chair"], "words in another order are the same query"


def test_a_query_that_shares_half_of_the_words_counts_for_less_and_a_stranger_for_nothing() -> None:
    source = fitted([("comfy sofa", "couch", 9), ("bright sofa", "lamp", 9)])
    same = source.score(Context(query="comfy sofa"), np.array([0, 2], np.int32))
    assert same[0] > 4 * same[1] > 0
    assert best(source, "hammer drill") == []
    assert np.isnan(source.score(Context(query="hammer drill"), np.array([0], np.int32))).all()


def test_one_click_is_weaker_evidence_than_twenty() -> None:
    source = fitted([("red seat", "chair", 1), ("soft seat", "couch", 20)])
    weak = source.score(Context(query="red seat"), np.array([1], np.int32))
    strong = source.score(Context(query="soft seat"), np.array([0], np.int32))
    assert strong[0] > 2 * weak[0]


def test_events_without_a_query_teach_nothing() -> None:
    source = fitted([("", "couch", 5)])
    assert best(source, "couch") == []
