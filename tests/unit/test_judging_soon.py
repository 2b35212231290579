"""The queue of judging does not wait for a long log: it says what is known, and that somebody is counting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bodega.engine.judged import door
from bodega.engine.judged.door import JudgedDoors, Judgments
from bodega.protocols import EventRows
from bodega.schema import Event, EventType, Item
from bodega.settings import Settings, Understand
from bodega.testing.fakes import MemoryEvents, MemoryStores

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Slow(MemoryEvents):
    """A log that is read when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def scan(self, *, chunk: int = 100_000, since: int | None = None, searched: bool = False) -> Iterator[EventRows]:
        assert self.go.wait(20)
        return super().scan(chunk=chunk, since=since, searched=searched)


def shop_over(stores: MemoryStores, folder: Path) -> Judgments:
    settings = Settings(understand=Understand(people=20))
    return Judgments(JudgedDoors(folder, stores, settings, lambda: None, lambda *_: ["i0", "i1"], lambda: ({}, "", "")))


def searches() -> list[Event]:
    return [
        Event(type=EventType.SEARCH, user=f"u{n}", session=f"s{n}", query=query, time=BEGAN + timedelta(minutes=n))
        for query, people in (("milk", 30), ("bread", 25), ("secret", 3))
        for n in range(people)
    ]


def test_the_queue_says_that_it_is_being_counted_and_then_what_a_whole_count_says(tmp_path, monkeypatch):
    monkeypatch.setattr(door, "PATIENT", 0.01)
    slow = Slow()
    stores = MemoryStores(events=slow)
    stores.catalog.upsert([Item(id=f"i{n}", title=f"Thing {n}") for n in range(2)])
    stores.events.append(searches())
    shop = shop_over(stores, tmp_path / "one")
    assert shop.queue("ann") == []
    assert shop.counting
    assert shop.progress().counting
    slow.go.set()
    assert shop._counting is not None
    shop._counting.join(20)
    asked, counting = shop.asked_soon()
    assert not counting
    assert asked == [("milk", 30), ("bread", 25)], "what too few asked is in no list"
    assert [each.query for each in shop.queue("ann")] == ["milk", "bread"]
    other = shop_over(stores, tmp_path / "two")
    other.from_clicks()
    assert other.asked() == asked, "counting alone and grading clicks find the same"
    slow.go.clear()  # another process knows what this one counted, and does not read the log
    again = shop_over(stores, tmp_path / "one")
    assert again.asked_soon() == (asked, False)
