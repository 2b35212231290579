"""What was shown by chance is kept once, whatever is delivered twice, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bodega.adapters.sql import SqlStore
from bodega.schema import Event, EventType
from bodega.schema.trials import Decision, Outcome, Slot


@pytest.fixture(params=["sqlite", "postgresql"])
def sql(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    url = (
        f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else request.getfixturevalue("fresh_postgres_url")
    )
    with SqlStore.open(url) as store:
        yield store


def decision(number: int, **values: object) -> Decision:
    slots = (Slot(1, 1, ("a", f"b{number}"), (0.875, 0.125), ((1.0, 0.5), (1.0, 0.25))),)
    found = {"request_id": f"x-home-{number:03}", "time": 1_000.0 + number, "user": f"u{number % 3}", "worker": "w1"}
    return Decision(**{"place": "home", "policy": "thompson", "slots": slots, **found, **values})  # type: ignore[arg-type]


def test_what_was_put_comes_back_as_it_was_and_once(sql):
    pages = [decision(number) for number in range(20)]
    wanted = [Outcome(request_id="x-home-003", item="b3", time=1_005.5, worker="w1")]
    sql.decisions.put(pages, wanted)
    sql.decisions.put(pages[::-1], wanted * 2)
    assert sql.decisions.count() == (20, 1)
    assert list(sql.decisions.scan()) == pages
    assert sql.decisions.outcomes() == wanted == sql.decisions.outcomes_of(["x-home-003", "x-home-004"])
    slot = pages[3].slots[0]
    assert (slot.item, slot.chance) == ("b3", 0.125)


def test_the_newest_of_other_processes_in_order(sql):
    sql.decisions.put([decision(number, worker=f"w{number % 2}") for number in range(10)], [])
    assert [page.time for page in sql.decisions.newest(3)] == [1_007.0, 1_008.0, 1_009.0]
    assert [page.time for page in sql.decisions.newest(9, since=1_004.0, besides="w1")] == [1_004.0, 1_006.0, 1_008.0]
    assert [page.time for page in sql.decisions.scan(1_002.0, 1_004.0)] == [1_002.0, 1_003.0]
    assert sql.decisions.outcomes(besides="w1") == []


def test_pages_are_pruned_and_people_forgotten_with_what_came_of_them(sql):
    pages = [decision(number, session=f"s{number}") for number in range(12)]
    sql.decisions.put(pages, [Outcome(request_id=page.request_id, item="a", time=page.time) for page in pages])
    assert sql.decisions.forget(users=["u1"], sessions=["s0"]) == 5
    assert {page.user for page in sql.decisions.scan()} == {"u0", "u2"}
    assert sql.decisions.count() == (7, 7)
    assert sql.decisions.prune(1_006.0) == 3
    assert sql.decisions.count() == (4, 4)
    assert sql.decisions.forget(users=["", "nobody"], sessions=[""]) == 0


def test_clicks_are_joined_from_all_stored_events(sql):
    def event(kind: EventType, request: str, item: str, number: int) -> Event:
        return Event(
            type=kind, time=datetime.fromtimestamp(1_000 + number, UTC), id=f"e{number}", user="u", item=item,
            request_id=request,
        )  # fmt: skip

    sql.decisions.put([decision(1)], [Outcome(request_id="x-home-001", item="a", time=1_002.0)])
    sql.events.append(
        [
            event(EventType.CLICK, "x-home-001", "b1", 5), event(EventType.IMPRESSION, "x-home-001", "c", 6),
            event(EventType.CLICK, "0123", "z", 7), event(EventType.CLICK, "x-home-001", "old", -500),
            event(EventType.DISMISS, "x-home-001", "d", 8), event(EventType.CLICK, "x.", "y", 9),
        ]
    )  # fmt: skip
    wanted, seen = sql.decisions.joined(900.0)
    assert wanted == {("x-home-001", "a"), ("x-home-001", "b1")}
    assert seen == {("x-home-001", "c")}
