"""The shop in numbers: right counts on a log small enough to count by hand, and only what changed is copied again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bodega.adapters.analytics import Analytics
from bodega.adapters.sql import SqlStore
from bodega.errors import StoreError
from bodega.schema import Event, EventType

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def act(hours: float, kind: str, item: str = "", session: str = "s", query: str = "") -> Event:
    time = NOON + timedelta(hours=hours)
    return Event(type=EventType(kind), time=time, item=item, session=session, query=query)


@pytest.fixture
def store(tmp_path):
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        yield store


def test_counts(store, tmp_path):
    store.events.append(
        [
            act(0, "search", session="s1", query="milk"),
            act(0.1, "click", "a", "s1", "milk"),
            act(0.2, "cart", "a", "s1"),
            act(0.3, "purchase", "a", "s1"),
            act(1, "search", session="s2", query="unicorn"),
            act(2, "search", session="s3", query="unicorn"),
            act(25, "view", "b", "s4"),
            act(26, "view", "b", "s4"),
            act(-24 * 40, "purchase", "old", "s0"),
        ]
    )
    found = Analytics(store.events, tmp_path / "events").summary(days=30)
    assert found.events == 8
    assert found.per_day == (
        ("2026-03-01", "cart", 1), ("2026-03-01", "click", 1), ("2026-03-01", "purchase", 1),
        ("2026-03-01", "search", 3), ("2026-03-02", "view", 2),
    )  # fmt: skip
    assert found.top_items == (("a", 1, 1), ("b", 2, 0))
    assert found.funnel == {"seen": 2, "cart": 1, "purchase": 1}
    assert found.top_queries == (("unicorn", 2), ("milk", 1))
    assert found.unanswered == (("unicorn", 2),)
    assert Analytics(store.events, tmp_path / "events").summary(days=60).events == 9


def test_only_what_changed_is_copied(store, tmp_path):
    analytics = Analytics(store.events, tmp_path / "events")
    assert analytics.summary().events == 0
    store.events.append([act(24 * day, "view", "a") for day in range(100)])
    first = analytics.refresh()
    assert first >= 4
    assert analytics.refresh() == 0
    store.events.append([act(24 * 10 + 1, "view", "late"), act(24 * 10 + 1, "view", "late")])
    assert analytics.refresh() == 1, "a late event changes one file"
    assert len(list((tmp_path / "events").iterdir())) == first
    assert analytics.summary(days=200).events == 101


def test_a_folder_that_cannot_be_written_is_said(store, tmp_path):
    store.events.append([act(0, "view", "a")])
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StoreError, match="the events themselves are safe"):
        Analytics(store.events, tmp_path / "taken").refresh()
