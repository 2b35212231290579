"""Whatever is delivered, in whatever order, cut as it may be: the same events are stored, and they read back equal."""

from __future__ import annotations

import random
import tempfile
from datetime import UTC, datetime

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bodega.adapters.sql import SqlStore
from bodega.events import parse_event
from bodega.schema import DeadLetter, Event, EventType
from bodega.settings import Settings

NOW = datetime(2030, 1, 1, tzinfo=UTC).timestamp()

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=12)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
MONEY = st.floats(0, 1e6, allow_nan=False)


@st.composite
def events(draw: st.DrawFn, ids: st.SearchStrategy[str] = TEXT) -> Event:
    kind = draw(st.sampled_from(EventType))
    counted = kind in (EventType.CART, EventType.PURCHASE, EventType.RETURN)
    return Event(
        type=kind,
        time=draw(TIMES),
        id=draw(ids),
        user=draw(TEXT),
        session=draw(st.one_of(st.just(""), TEXT)),
        item="" if kind == "search" else draw(TEXT),
        query=draw(TEXT) if kind == "search" else draw(st.one_of(st.just(""), TEXT)),
        place=draw(st.sampled_from(["", "home", "similar"])),
        position=draw(st.one_of(st.none(), st.integers(0, 10_000))),
        request_id=draw(st.one_of(st.just(""), TEXT)),
        price=draw(st.one_of(st.none(), MONEY)),
        currency=draw(st.sampled_from(["", "EUR", "CNY"])),
        quantity=draw(st.floats(0.01, 1e4)) if counted else 1.0,
        channel=draw(st.sampled_from(["web", "app", "store"])),
        value=draw(st.floats(-5, 10)) if kind == "rating" else None,
    )


@given(events())
def test_an_event_reads_back_as_it_was(event):
    row = msgspec.json.decode(msgspec.json.encode(event))
    found = parse_event(row, now=NOW, settings=Settings())
    assert not isinstance(found, DeadLetter), found
    assert found == event


@settings(max_examples=25)
@given(
    batch=st.lists(events(ids=st.sampled_from(["", "a", "b", "c", "d"])), max_size=12),
    seed=st.integers(0, 2**32),
)
def test_the_order_inside_a_batch_does_not_matter(batch, seed):
    shuffled = batch.copy()
    random.Random(seed).shuffle(shuffled)
    with tempfile.TemporaryDirectory() as folder:
        states = []
        for number, order in enumerate((batch, shuffled)):
            with SqlStore.open(f"sqlite:///{folder}/{number}.db") as store:
                written = store.events.append(order)
                again = store.events.append(order)
                assert again.added == 0
                with store.database.reading() as connection:
                    rows = [tuple(row) for row in connection.exec_driver_sql("SELECT * FROM events ORDER BY time, id")]
                states.append((written.added, written.unchanged, set(written.conflicts), rows))
                assert written.added == len(rows)
        assert states[0] == states[1]
