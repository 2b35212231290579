"""A shop that is handed to forked processes goes on where it was counted, hears what was told since, and knows when
what it was handed does not hold any more."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bodega.engine.hearing import Hearing, Kind
from bodega.engine.shop import Shop
from bodega.features.state import State
from bodega.schema import EVENT_CODES, Event, EventType, Item
from bodega.wiring import Shared, open_news, open_shared, open_shop

AMONG = ("home", "popular", "trending")


@pytest.fixture
def folder(tmp_path: Path, small_shop: Shop) -> Path:
    shutil.copytree(small_shop.folder, tmp_path / "shop")
    with open_shop(tmp_path / "shop") as shop:
        shop.events.record(_clicks(small_shop, "before", 6))
        shop.catalog.upsert([Item(id="later", title="Zanzibar lantern", price=5.0)])
    return tmp_path / "shop"


@pytest.fixture
def before(folder: Path) -> set[threading.Thread]:
    """Threads of shops that other tests left open."""
    del folder
    return set(threading.enumerate())


@pytest.fixture
def shared(folder: Path) -> Iterator[Shared]:
    open_news(folder / ".news", fresh=True).close()
    held = open_shared(folder, folder / ".news", lambda _: None)
    yield held
    held.shop.close()


def _clicks(shop: Shop, name: str, count: int) -> list[Event]:
    shelf, moment = shop.engine.shelf, datetime.now(UTC) - timedelta(minutes=5)
    return [
        Event(type=EventType.CART, time=moment + timedelta(seconds=2 * n), id=f"{name}-{n}", session=f"{name}-{n % 3}",
              item=shelf.id(n % 4))
        for n in range(count)
    ]  # fmt: skip


def _state(shop: Shop) -> tuple[object, ...]:
    """What counts, as it is for anybody: counts since the snapshot, and pages."""
    learned = shop.engine.learned
    assert learned.live is not None
    assert learned.live.follows is not None
    learned.live.settle()
    pages = [shop.recommend(place=place, k=10).ids for place in AMONG]
    return (learned.live.counted, learned.live.follows.plain(), shop.search("zanzibar lantern").ids[:1], pages)


def _tell(folder: Path, kind: Kind, events: list[Event]) -> None:
    """As another worker does, whose events are durable."""
    with closing(open_news(folder / ".news")) as ring:
        hearing = Hearing(ring, Deaf())
        hearing.tell_events(events) if events else hearing.tell(kind)


class Deaf:
    def observe(self, events: object) -> None: ...
    def restock(self) -> None: ...
    def forget(self) -> None: ...
    def stepped(self, told: bytes) -> None: ...


def test_what_was_handed_answers_as_a_shop_that_counted_by_itself(
    folder: Path, before: set[threading.Thread], shared: Shared
) -> None:
    begun = {each.name for each in threading.enumerate() if each not in before}
    assert not begun & {"bodega-commit", "bodega-answers", "bodega-trials"}, "a thread would not survive the fork"
    resumed = shared.resumed()
    assert resumed is shared.shop
    with open_shop(folder) as alone:
        assert _state(resumed) == _state(alone)
        assert resumed.search("zanzibar lantern").ids[:1] == ["later"]


def test_what_was_told_since_is_heard_once_and_what_was_counted_too_is_not_counted_twice(
    folder: Path, shared: Shared, small_shop: Shop
) -> None:
    told = _clicks(small_shop, "since", 4)
    with open_shop(folder) as other:
        other.events.record(told)
    _tell(folder, Kind.EVENTS, [*_clicks(small_shop, "before", 6)[:2], *told])  # the first two were counted before
    resumed = shared.resumed()
    live = resumed.engine.learned.live
    assert live is not None
    live.settle()
    with open_shop(folder) as alone:
        alone_live = alone.engine.learned.live
        assert alone_live is not None
        assert alone_live.follows is not None
        assert live.follows is not None
        assert live.follows.plain() == alone_live.follows.plain()


def test_what_does_not_hold_any_more_is_counted_anew(folder: Path, shared: Shared, small_shop: Shop) -> None:
    with open_shop(folder) as other:
        other.events.record(_clicks(small_shop, "imported", 4))
    _tell(folder, Kind.FORGET, [])  # events were imported: nobody said which
    before = shared.handed.learned.live
    resumed = shared.resumed()
    assert resumed.engine.learned.live is not before
    with open_shop(folder) as alone:
        assert _state(resumed) == _state(alone)


def test_changed_settings_open_another_shop(folder: Path, shared: Shared) -> None:
    settings = folder / "bodega.toml"
    settings.write_text(settings.read_text("utf-8") + "\n[answer]\ndeadline_ms = 77\n", "utf-8")
    with shared.resumed() as resumed:
        assert resumed is not shared.shop
        assert resumed.settings.answer.deadline_ms == 77
        assert len(resumed.recommend(place="home", k=5)) == 5


def test_counters_that_are_counted_on_leave_those_that_were_handed_as_they_are(small_shop: Shop) -> None:
    handed = State.empty(small_shop.engine.shelf.base)
    own = handed.apart()
    own.writes(3, EVENT_CODES["purchase"], 1_000.0)
    assert own.ever([3]).tolist() == [1.0]
    assert handed.ever([3]).tolist() == [0.0]
    assert own.bags is handed.bags, "what is not written is shared"
