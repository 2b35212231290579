"""Stored events become arrays: coded, sessionised, linked to the catalog, without bots and echoes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bodega.adapters.sql import SqlStore
from bodega.events import build_log
from bodega.schema import EVENT_CODES, Event, EventType, Item, ItemTable
from bodega.settings import Ingest

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ITEMS = ItemTable.of([Item(id=name) for name in ("a", "b", "c")])


@pytest.fixture
def store(tmp_path) -> Iterator[SqlStore]:
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        yield store


def act(second: float, item: str = "a", kind: str = "view", **values) -> Event:
    values = {"user": "u"} | values
    return Event(type=EventType(kind), time=NOON + timedelta(seconds=second), item=item, **values)


def log_of(store: SqlStore, events: list[Event], *, chunk: int = 100_000, **settings):
    store.events.append(events)
    return build_log(store.events.scan(chunk=chunk), ITEMS, Ingest(**settings))


def test_columns(store):
    log, facts = log_of(
        store,
        [
            act(0, "b", user="u", session="s1", position=3),
            act(10, "a", "purchase", user="v", session="s2", quantity=2.0),
            Event(type=EventType.SEARCH, time=NOON + timedelta(seconds=20), user="u", session="s1", query="milk"),
            act(30, "c", "rating", user="u", session="s1", value=4.0),
        ],
    )
    assert log.time.tolist() == [NOON.timestamp() + s for s in (0, 10, 20, 30)]
    assert log.type.tolist() == [EVENT_CODES[name] for name in ("view", "purchase", "search", "rating")]
    assert log.item.tolist() == [1, 0, -1, 2]
    assert (log.user.tolist(), log.n_users) == ([0, 1, 0, 0], 2)
    assert (log.session.tolist(), log.n_sessions) == ([0, 1, 0, 0], 2)
    assert (log.query.tolist(), log.queries) == ([-1, -1, 0, -1], ("milk",))
    assert (log.position.tolist(), log.quantity.tolist()) == ([3, -1, -1, -1], [1, 2, 1, 1])
    assert np.isnan(log.value).tolist() == [True, True, True, False]
    dtypes = {name: getattr(log, name).dtype.name for name in ("time", "type", "user", "session", "item", "query")}
    assert dtypes == {
        "time": "float64", "type": "int8", "user": "int32", "session": "int32", "item": "int32", "query": "int32"
    }  # fmt: skip
    assert (facts.events, facts.kept, facts.unknown_items, facts.cut_sessions) == (4, 4, 0, 0)
    assert facts.types == {"view": 1, "purchase": 1, "search": 1, "rating": 1}


def test_no_events(store):
    log, facts = log_of(store, [])
    assert (len(log), log.n_users, log.n_sessions, facts.events) == (0, 0, 0, 0)
    assert log.item.dtype == np.int32


def test_an_event_may_come_before_its_item(store):
    store.events.append([act(0, "late"), act(60, "a")])
    before, facts = build_log(store.events.scan(), ITEMS, Ingest())
    assert (before.item.tolist(), facts.unknown_items, facts.unknown_ids) == ([-1, 0], 1, ("late",))
    grown = ItemTable.of([Item(id=name) for name in ("a", "b", "c", "late")])
    after, facts = build_log(store.events.scan(), grown, Ingest())
    assert (after.item.tolist(), facts.unknown_items, facts.unknown_ids) == ([3, 0], 0, ())


def test_a_guest_is_the_session_and_nobody_else(store):
    log, _ = log_of(store, [act(0, user="x"), act(60, user="", session="x"), act(120, user="", session="y")])
    assert log.n_users == 3, "a guest's session `x` is not the user `x`"


def test_sessions_are_cut_at_half_an_hour(store):
    minutes = [0, 10, 40, 71, 72]  # 40 -> 71 is a gap of 31 minutes, 10 -> 40 one of exactly 30
    events = [act(60 * m, "a", user=user) for m in minutes for user in ("u", "v")]
    log, facts = log_of(store, [*events, act(60 * 20, "b", user="u", session="given")])
    assert facts.cut_sessions == 4
    assert log.n_sessions == 5
    u = log.where((log.user == log.user[0]) & (log.item == 0))
    assert len(set(u.session[:3].tolist())) == 1
    assert len(set(u.session[3:].tolist())) == 1
    assert u.session[2] != u.session[3]
    by_session = {int(s): set(log.user[log.session == s].tolist()) for s in np.unique(log.session)}
    assert all(len(users) == 1 for users in by_session.values()), "two people share a session"


def test_bots_are_left_out_and_counted(store):
    bot = [act(0.4 * n, f"x{n}", user="bot") for n in range(130)]
    human = [act(3.0 * n, "a", user="human") for n in range(130)]
    log, facts = log_of(store, bot + human)
    assert (facts.bots, facts.bot_events, facts.users) == (1, 130, 1)
    assert set(log.item.tolist()) == {0}


def test_the_limit_is_exact(store):
    at = [act(0.4 * n, f"x{n}", user="at") for n in range(120)]
    over = [act(0.4 * n, f"x{n}", user="over") for n in range(121)]
    _, facts = log_of(store, at + over)
    assert (facts.bots, facts.bot_events) == (1, 121)


@pytest.mark.parametrize("kind", ["purchase", "impression"])
def test_a_long_receipt_is_no_bot(store, kind):
    log, facts = log_of(store, [act(0.001 * n, f"x{n}", kind) for n in range(500)])
    assert (len(log), facts.bots, facts.echoes) == (500, 0, 0)


def test_echoes_are_left_out_and_counted(store):
    events = [
        act(0.0, "a"),
        act(0.4, "a"),  # an echo
        act(0.5, "b"),  # another item
        act(0.6, "a", "click"),  # another deed
        act(0.7, "a", user="v"),  # another person
        act(5.0, "a"),  # later
        act(6.0, "a"),  # exactly one second later
        act(9.0, "z1"),
        act(9.1, "z2"),  # two unknown items are two
        act(20.0, "a", "purchase", price=1.0),
        act(20.1, "a", "purchase", price=2.0),  # two lines of a receipt
    ]
    log, facts = log_of(store, events)
    assert (facts.echoes, len(log)) == (1, 10)
    assert NOON.timestamp() + 0.4 not in log.time.tolist()


def test_codes_have_no_gaps_after_bots(store):
    bot = [
        Event(type=EventType.SEARCH, time=NOON + timedelta(seconds=0.1 * n), user="bot", session=f"b{n}", query=f"q{n}")
        for n in range(200)
    ]
    log, _ = log_of(store, [*bot, act(100, user="u", query="milk"), act(200, user="v")])
    assert (sorted(set(log.user.tolist())), log.n_users) == ([0, 1], 2)
    assert (sorted(set(log.session.tolist())), log.n_sessions) == ([0, 1], 2)
    assert (log.queries, log.query.tolist()) == (("milk",), [0, -1])


def test_chunks_do_not_matter(store):
    rng = np.random.default_rng(7)
    events = [
        act(float(s), f"{'abcdef'[i]}", user=f"u{u}", session=f"s{u}" if u % 2 else "", query="q" * int(i % 3))
        for s, i, u in zip(rng.uniform(0, 9e4, 500), rng.integers(0, 6, 500), rng.integers(0, 9, 500), strict=True)
    ]
    whole, facts = log_of(store, events)
    parts, again = build_log(store.events.scan(chunk=7), ITEMS, Ingest())
    assert facts == again
    for name in ("time", "type", "user", "session", "item", "quantity", "value", "query", "position"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
    assert whole.queries == parts.queries
