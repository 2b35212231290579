"""Files of events get in: streamed, once, with the unusable rows apart and a stop when too many are bad."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from bodega.adapters.sql import SqlStore
from bodega.errors import BadFeed, TooManyBadRows
from bodega.events import EventOptions, import_events
from bodega.schema import Event, EventType
from bodega.settings import Ingest, Settings

NOW = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
SMALL = Settings(ingest=Ingest(batch=50))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        yield store


def options(**values: object) -> EventOptions:
    return EventOptions(**{"now": NOW, "settings": SMALL, **values})  # type: ignore[arg-type]


def rows(count: int, bad: int = 0) -> list[dict[str, object]]:
    """`bad` of `count` rows have no item, spread evenly."""
    every = count // bad if bad else count + 1
    return [
        {"type": "view", "time": 1_769_940_000 + n, "user": f"u{n % 9}", "item": f"i{n}" if (n + 1) % every else ""}
        for n in range(count)
    ]


def test_a_csv_is_imported_once(store, tmp_path):
    path = tmp_path / "clicks.csv"
    lines = [f"2026-02-01 10:{n % 60:02d}:00 UTC,view,p{n},u{n % 5},1.5" for n in range(120)]
    path.write_text("\n".join(["event_time,event_type,product_id,user_id,price", *lines, lines[0]]) + "\n")
    report = import_events(path, store.events, store.dead, options())
    assert (report.rows, report.added, report.unchanged, report.dead) == (121, 120, 1, 0)
    assert report.mapping == {
        "time": "event_time", "type": "event_type", "item": "product_id", "user": "user_id", "price": "price"
    }  # fmt: skip
    again = import_events(path, store.events, store.dead, options())
    assert (again.added, again.unchanged, store.events.count()) == (0, 121, 120)


def test_a_mapping_wins(store, tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("when,who,item,really\n2026-02-01,u1,wrong,right\n")
    mapping = {"time": "when", "user": "who", "item": "really"}
    report = import_events(path, store.events, store.dead, options(mapping=mapping, type="view"))
    assert (report.added, store.events.recent(user="u1", session="", limit=1)[0].item) == (1, "right")
    with pytest.raises(BadFeed, match="nonsense"):
        import_events(path, store.events, store.dead, options(mapping={"time": "nonsense"}))
    with pytest.raises(BadFeed, match="not an event type"):
        import_events(path, store.events, store.dead, options(type="yawn"))


def test_receipts_without_a_type_are_purchases(store, tmp_path):
    path = tmp_path / "till.csv"
    path.write_text(
        "household_id,basket_id,product_id,quantity,sales_value,transaction_timestamp\n"
        "1,b1,p1,2,3.0,2026-02-01 09:00:00\n1,b1,p2,-1,-1.5,2026-02-01 09:00:00\n1,b1,p3,0,0,2026-02-01 09:00:00\n"
    )
    report = import_events(path, store.events, store.dead, options())
    assert (report.added, report.reasons) == (2, {"bad_quantity": 1})
    assert any("taken for a purchase" in note for note in report.notes)
    assert any("1 returns" in note for note in report.notes)
    found = store.events.recent(user="1", session="", limit=9)
    assert sorted((one.type.value, one.item, one.quantity, one.price) for one in found) == [
        ("purchase", "p1", 2.0, 1.5),
        ("return", "p2", 1.0, 1.5),
    ]


def test_every_poisoned_row_is_in_the_box(store):
    report = import_events(rows(1_000, bad=100), store.events, store.dead, options())
    assert (report.added, report.dead, report.reasons) == (900, 100, {"no_item": 100})
    assert store.dead.counts() == {("event", "no_item"): 100}
    letter = store.dead.list(limit=1)[0]
    assert (letter.source, json.loads(letter.raw)["item"]) == ("rows", "")
    assert {one.line for one in store.dead.list(limit=1_000)} == set(range(10, 1_001, 10))


def test_too_many_bad_rows_stop_the_import(store):
    with pytest.raises(TooManyBadRows, match="no_item") as caught:
        import_events(rows(1_000, bad=250), store.events, store.dead, options())
    assert "bodega events dead" in str(caught.value)
    assert store.events.count() < 100, "it did not stop early"
    report = import_events(rows(1_000, bad=250), store.events, store.dead, options(bad_rows_limit=1.0))
    assert (store.events.count(), report.dead) == (750, 250)


def test_a_short_file_is_never_stopped(store):
    assert import_events(rows(99, bad=33), store.events, store.dead, options()).dead == 33


def test_unused_types_and_bots_do_not_stop_it(store):
    many = [{**row, "type": "scroll"} for row in rows(300)] + [{**row, "channel": "bot"} for row in rows(300)]
    report = import_events(many + rows(10), store.events, store.dead, options())
    assert (report.added, report.reasons) == (10, {"unused_type": 300, "bot": 300})


def test_conflicts_become_letters(store):
    event = Event(type=EventType.VIEW, time=datetime(2026, 2, 1, tzinfo=UTC), id="e1", user="u", item="a")
    other = msgspec.structs.replace(event, item="b")
    report = import_events([event, event], store.events, store.dead, options())
    assert (report.added, report.unchanged) == (1, 1)
    report = import_events([other, *rows(3)], store.events, store.dead, options())
    assert (report.added, report.reasons) == (3, {"conflict": 1})
    assert '"item":"b"' in store.dead.list(reason="conflict")[0].raw


def test_events_are_checked_too(store):
    good = Event(type=EventType.VIEW, time=datetime(2026, 2, 1, tzinfo=UTC), user="u", item="a")
    bad = [
        msgspec.structs.replace(good, time=datetime(2027, 1, 1, tzinfo=UTC)),
        msgspec.structs.replace(good, time=datetime(2026, 2, 1)),  # noqa: DTZ001
        msgspec.structs.replace(good, user=""),
        msgspec.structs.replace(good, item=""),
        msgspec.structs.replace(good, quantity=float("nan")),
    ]
    report = import_events([good, *bad], store.events, store.dead, options())
    assert report.added == 1
    assert report.reasons == {"future_time": 1, "bad_time": 1, "nobody": 1, "no_item": 1, "bad_quantity": 1}


def test_rows_that_cannot_be_split_are_kept(store, tmp_path):
    path = tmp_path / "broken.jsonl"
    path.write_text('{"type":"view","time":1769940000,"user":"u","item":"i"}\n{"type":"view",,}\n')
    report = import_events(path, store.events, store.dead, options())
    assert (report.added, report.reasons) == (1, {"unreadable": 1})
    assert store.dead.list()[0].line == 2


def test_thirty_percent_duplicates_count_once(store):
    """R2: 100,000 deliveries, 30 % of them repeats, in batches that overlap and come from several threads."""
    rng = random.Random(7)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    unique = [
        Event(
            type=EventType.VIEW, time=start + timedelta(seconds=n), id=f"e{n}", user=f"u{n % 100}", item=f"i{n % 500}"
        )
        for n in range(70_000)
    ]
    deliveries = unique + rng.choices(unique, k=30_000)
    rng.shuffle(deliveries)
    futures = [store.events.submit(deliveries[n : n + 500]) for n in range(0, 100_000, 500)]
    written = [future.result() for future in futures]
    assert sum(one.added for one in written) == store.events.count() == 70_000
    assert sum(one.unchanged for one in written) == 30_000
    assert not any(one.conflicts for one in written)
    assert len({item for chunk in store.events.scan() for item in zip(chunk.time, chunk.item, strict=True)}) == 70_000


@pytest.mark.data
def test_rees46_sample(store, data_folder):
    path = data_folder / "event_and_ctr_samples" / "rees46_2019-10_first1000.csv"
    report = import_events(path, store.events, store.dead, options(now=None))
    assert report.rows == report.added + report.unchanged + report.dead == 1_000
    assert report.dead == 0
    assert report.mapping["session"] == "user_session"
    assert {EventType.VIEW.value, "purchase"} <= set(_types(store))


@pytest.mark.data
def test_opensearch_ubi(store, data_folder, tmp_path):
    packed = data_folder / "esci_search" / "ubi_queries_events.ndjson.gz"
    path = tmp_path / "ubi.jsonl"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    report = import_events(path, store.events, store.dead, options(now=None))
    assert report.rows == 473 + 3_448
    assert report.rows == report.added + report.unchanged + report.dead
    types = _types(store)
    assert types["click"] > 250
    assert types["cart"] > 200
    assert types["impression"] > 1_500
    assert types["search"] >= 400


def _types(store: SqlStore) -> dict[str, int]:
    names = list(EventType)
    counts: dict[str, int] = {}
    for chunk in store.events.scan():
        for code in chunk.type.tolist():
            counts[names[code].value] = counts.get(names[code].value, 0) + 1
    return counts
