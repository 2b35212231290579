"""What shoppers say about consent comes through the stream among their clicks: in order, and once, wherever it ends."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

import bodega
from bodega.errors import BadRequest
from bodega.events.consuming import Consumer
from bodega.settings import Settings, Streams
from bodega.testing.streams import MemoryBroker

NOW = 1_795_344_000.0


def said(user: str, at: float | None = None, **purposes: bool) -> tuple[str, bytes]:
    return user, json.dumps({"type": "consent", "user": user, "purposes": purposes, "time": at}).encode()


def clicked(user: str, number: int) -> tuple[str, bytes]:
    row = {"type": "click", "id": f"{user}-{number}", "user": user, "item": f"i{number}", "time": NOW - 1_000 + number}
    return user, json.dumps(row).encode()


def diary(user: str) -> list[tuple[str, bytes]]:
    """Five clicks, no to everything, five clicks that may not be kept, yes again, five clicks; no time of its own."""
    clicks = [clicked(user, number) for number in range(15)]
    no, yes = said(user, NOW - 990, personalisation=False, learning=False), said(user, personalisation=True)
    return [*clicks[:5], no, *clicks[5:10], yes, *clicks[10:]]


def reader(broker: MemoryBroker, shop: bodega.Shop, batch: int) -> Consumer:
    return Consumer(
        lambda: broker.stream(shop.stores.events.offsets),
        lambda events, along: shop.events.submit(events, along=along),
        Settings(streams=Streams(batch=batch)),
    )


def items_of(shop: bodega.Shop, user: str) -> list[str]:
    return [event.item for event in shop.stores.events.recent(user=user, session="", limit=100)]


KEPT = [f"i{number}" for number in (*range(5), *range(10, 15))]


@pytest.mark.parametrize("batch", [1, 4, 1_000])
def test_a_word_holds_from_where_it_stands_whatever_the_batches(tmp_path: Path, batch: int):
    broker = MemoryBroker()
    for pair in zip(diary("ann"), diary("bob"), strict=True):
        broker.publish(pair)
    with bodega.open(tmp_path / "shop") as shop:
        done = reader(broker, shop, batch).drain(quiet=0)
        assert sorted(items_of(shop, "ann"), key=KEPT.index) == sorted(items_of(shop, "bob"), key=KEPT.index) == KEPT
        assert (done.added, done.withheld, done.words, done.dead) == (20, 10, 6, 0)
        assert shop.stores.dead.counts() == {}
        standing = shop.privacy.standing(user="ann")
        assert (standing.personalisation, standing.learning) == (True, False)


def test_delivered_again_or_cut_short_anywhere_it_is_the_same(tmp_path: Path):
    broker, rng = MemoryBroker(), random.Random(2)
    broker.publish(diary("ann"))
    with bodega.open(tmp_path / "shop") as shop:
        failures = 0

        def perhaps() -> None:
            nonlocal failures
            if rng.random() < 0.6:
                failures += 1
                raise KeyboardInterrupt  # the process is gone: nothing catches it

        def dying(events, along):
            perhaps()
            done = shop.events.submit(events, along=along)
            done.result()
            perhaps()
            return done

        for _ in range(200):
            small = Settings(streams=Streams(batch=9))
            member = Consumer(lambda: broker.stream(shop.stores.events.offsets), dying, small)
            try:
                while member.step():
                    pass
                break
            except KeyboardInterrupt:
                continue
        assert failures > 0
        assert not any(broker.stream(shop.stores.events.offsets).lag().values())
        assert set(items_of(shop, "ann")) == set(KEPT)
        words = sorted((word.purpose, word.granted) for word in shop.privacy.store.words())
        assert words == [("learning", False), ("personalisation", True)]
        times = {word.time for word in shop.privacy.store.words()}
        # Published once more, behind the yes: what is stored counts once, what was withheld is as new as anything.
        broker.redeliver()
        again = reader(broker, shop, 1_000).drain(quiet=0)
        assert (again.added, again.unchanged) == (5, 10)
        assert {word.time for word in shop.privacy.store.words()} == times


def test_what_says_nothing_clear_is_put_aside_and_a_bad_event_beside_a_word_takes_nothing_down(tmp_path: Path):
    broker = MemoryBroker()
    broker.publish([said("ann", learning="perhaps"), ("", json.dumps({"type": "consent"}).encode()), said("ann")])  # type: ignore[arg-type]
    broker.publish([clicked("bob", 1), said("bob", NOW - 5, personalisation=False, learning=False), clicked("bob", 2)])
    with bodega.open(tmp_path / "shop") as shop:
        refused = []

        def choosy(events, along):
            """A store that cannot keep one of the events."""
            if any(event.item == "i1" for event in events):
                refused.append(len(events))
                raise BadRequest("this event cannot be kept")
            return shop.events.submit(events, along=along)

        member = Consumer(lambda: broker.stream(shop.stores.events.offsets), choosy, Settings())
        done = member.drain(quiet=0)
        assert (done.dead, done.words, done.withheld, done.added) == (4, 2, 1, 0)
        assert refused == [2, 1]
        assert shop.stores.dead.counts() == {("event", "bad_value"): 3, ("event", "bad_text"): 1}
        assert items_of(shop, "bob") == []
        assert not shop.privacy.standing(user="bob").learning


def test_a_visit_that_others_share_does_not_bind_who_is_signed_in(tmp_path: Path):
    """A guest's no on a visit holds for the guest's clicks behind it, in the same batch, on every store alike."""
    rows = [
        {"type": "click", "id": "a", "session": "s", "item": "i1", "time": NOW - 9},
        {"type": "consent", "session": "s", "purposes": {"personalisation": False, "learning": False}, "time": NOW - 8},
        {"type": "click", "id": "b", "session": "s", "item": "i2", "time": NOW - 7},
        {"type": "click", "id": "c", "session": "t", "item": "i3", "time": NOW - 6},
    ]
    broker = MemoryBroker(partitions=1)
    broker.publish([("s", json.dumps(row).encode()) for row in rows])
    with bodega.open(tmp_path / "shop") as shop:
        done = reader(broker, shop, 100).drain(quiet=0)
        assert (done.added, done.withheld, done.words) == (2, 1, 2)
        assert {event.id for event in shop.stores.events.recent(user="", session="s", limit=9)} == {"a"}
