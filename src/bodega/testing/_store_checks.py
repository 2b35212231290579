"""The promises of the stores, one function each; `checks.check_catalog_store` and its siblings run them all.

Durability cannot be seen from inside a process: the fault tests kill one. Everything else that `protocols` promises
is asked here, of an empty store made for each check.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import numpy as np

from bodega.errors import BodegaError
from bodega.protocols import Along, CatalogStore, DeadLetterBox, EventStore, Offset, Written
from bodega.schema import EVENT_CODES, DeadLetter, Event, EventType, Item
from bodega.testing._broken import require

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)

ODD_IDS = ("\U0001f95b", "牛奶 1 l", "a" * 300, "o'brien; --", "A", "a", " a")
"""Ids as real feeds have them: emoji, spaces, quotes, upper and lower case apart."""


def _item(name: str, title: str = "Milk") -> Item:
    return Item(id=name, title=title, price=1.5, attributes={"fat": 3.5, "cold": True})


def _event(name: str, minute: float = 0.0, user: str = "u", item: str = "1") -> Event:
    return Event(type=EventType.CLICK, time=NOON + timedelta(minutes=minute), id=name, user=user, item=item)


def keeps_items_in_order_of_arrival(store: CatalogStore) -> None:
    items = [_item(name) for name in ("b", "a", "c")]
    _equal(store.upsert(items), Written(added=3), "upsert does not count new items as added")
    store.upsert([_item("b", "Oat milk"), _item("d")])
    _equal([item.id for item in store.scan()], ["b", "a", "c", "d"], "scan is not in order of first arrival")
    _equal(store.get(["b", "nothing"]), {"b": _item("b", "Oat milk")}, "get is wrong for a changed or unknown id")
    _equal(store.count(), 4, "count is wrong")


def counts_what_changed(store: CatalogStore) -> None:
    store.upsert([_item("a"), _item("b")])
    got = store.upsert([_item("a"), _item("b", "New"), _item("c")])
    _equal(got, Written(added=1, changed=1, unchanged=1), "an equal item counts as unchanged, another one as changed")
    _equal(store.upsert([]), Written(), "an empty batch is not an error")
    _equal(store.upsert([_item("d", "first"), _item("d", "last")]).added, 1, "of two with one id the last counts, once")
    _equal(store.get(["d"])["d"].title, "last", "of two with one id the last counts")


def deletes_and_takes_back(store: CatalogStore) -> None:
    store.upsert([_item("a"), _item("b")])
    _equal(store.delete(["a", "nothing", "a"]), 1, "delete counts what was there, once")
    _equal((store.get(["a"]), store.count()), ({}, 1), "a deleted item is still there")
    _equal(store.delete(["a"]), 0, "deleting twice counts once")
    store.upsert([_item("a", "Back")])
    _equal([item.title for item in store.scan()], ["Back", "Milk"], "an item that comes back has lost its place")


def tells_what_changed_since(store: CatalogStore) -> None:
    store.upsert([_item("a"), _item("b"), _item("c")])
    since = store.cursor()
    _equal(store.changes(since), (since, []), "nothing has changed since the newest cursor")
    store.upsert([_item("a")])
    _equal(store.cursor(), since, "an unchanged item moved the cursor")
    store.upsert([_item("c", "New")])
    store.delete(["b"])
    cursor, changes = store.changes(since)
    _equal(changes, [("c", _item("c", "New")), ("b", None)], "changes are not each id once, in order of change")
    _equal(store.changes(cursor), (cursor, []), "the returned cursor does not lead past its changes")
    everything = [name for name, _ in store.changes(0)[1]]
    _equal(sorted(everything), ["a", "b", "c"], "changes(0) does not start from the beginning")


def keeps_odd_items_whole(store: CatalogStore) -> None:
    items = [_item(name, title=f"{name} \u0301\U0001f95b\n\t\"'") for name in ODD_IDS]
    items.append(Item(id="full", title="x" * 100_000, tags=("a", "b"), options={"size": "1 l"}, created=NOON))
    store.upsert(items)
    _equal(list(store.scan()), items, "items do not come back as they were")
    _refuses(lambda: store.upsert([_item("good"), _item("")]), "an item without an id")
    _equal(store.get(["good"]), {}, "a refused batch left something behind")


def scans_what_was_there(store: CatalogStore) -> None:
    store.upsert([_item(f"{number:03d}") for number in range(50)])
    scan = store.scan()
    first = next(scan)
    store.upsert([_item("late")])
    names = [first.id, *(item.id for item in scan)]
    _equal(
        [name for name in names if name != "late"], [f"{n:03d}" for n in range(50)], "a scan was disturbed by writes"
    )


def keeps_events_once(store: EventStore) -> None:
    events = [_event("a", 1), _event("b", 2)]
    _equal(store.append(events), Written(added=2), "append does not count new events")
    _equal(store.append([*events, _event("c", 3)]), Written(added=1, unchanged=2), "delivering twice must count once")
    _equal(store.append([]), Written(), "an empty batch is not an error")
    _equal(store.append([_event("d", 4), _event("d", 4)]), Written(added=1, unchanged=1), "twice in one batch")
    _equal(store.count(), 4, "count is wrong")


def refuses_another_content(store: EventStore) -> None:
    store.append([_event("a", 1)])
    got = store.append([_event("a", 1, item="other"), _event("b", 2)])
    _equal((got.added, got.conflicts), (1, ("a",)), "the same id with another content is refused, the rest is kept")
    rows = next(iter(store.scan()))
    _equal(rows.item, ["1", "1"], "a refused event replaced the stored one")


def names_events_by_content(store: EventStore) -> None:
    _equal(store.append([_event(""), _event("")]).added, 1, "equal events without an id are one event")
    _equal(store.append([_event("", 1)]).added, 1, "different events without an id are two events")
    there = _event("", 0)
    elsewhere = msgspec.structs.replace(there, time=there.time.astimezone(timezone(timedelta(hours=8))))
    _equal(store.append([elsewhere]).added, 0, "the same moment in another zone is the same event")


def scans_in_order_of_time(store: EventStore) -> None:
    late = [_event(f"{number:02d}", minute) for number, minute in enumerate((5, 1, 3, 1, 4))]
    for event in late:
        store.append([event])
    chunks = list(store.scan(chunk=2))
    _equal([len(chunk.time) for chunk in chunks], [2, 2, 1], "scan does not give chunks of the size asked for")
    times = np.concatenate([chunk.time for chunk in chunks])
    wanted = [NOON.timestamp() + 60.0 * minute for minute in (1, 1, 3, 4, 5)]
    _equal(times.tolist(), wanted, "scan is not in (time, id) order, or not in seconds since 1970 UTC")
    store.append([msgspec.structs.replace(_event("asked", 2), query="milk")])
    queries = [query for chunk in store.scan(searched=True) for query in chunk.query]
    _equal(queries, ["milk"], "a scan of what was searched holds something else")


def orders_ids_by_code_points(store: EventStore) -> None:
    names = ["Z", "a", "B", "é", "e", "\uff5e", "\U0001f95b", "aa", "-", "牛", "_"]
    store.append([_event(name, item=name) for name in names])
    got = [name for chunk in store.scan(chunk=4) for name in chunk.item]
    _equal(got, sorted(names), "events of one moment are not in the order of their ids' code points")


def keeps_every_column(store: EventStore) -> None:
    full = Event(
        type=EventType.PURCHASE, time=NOON, id="full", user="u\U0001f95b", session="s", item="牛奶", query="milk",
        place="home", position=3, request_id="r", price=1.25, currency="EUR", quantity=2.0, channel="app",
    )  # fmt: skip
    rated = Event(type=EventType.RATING, time=NOON + timedelta(seconds=1), id="rated", session="s", item="x", value=4.0)
    store.append([rated, full])
    _equal(store.recent(user="", session="s", limit=5), [full, rated], "an event does not come back as it was")
    (rows,) = store.scan()
    _equal(rows.type.tolist(), [EVENT_CODES["purchase"], EVENT_CODES["rating"]], "event types are coded differently")
    _equal((rows.user, rows.session, rows.item), (["u\U0001f95b", ""], ["s", "s"], ["牛奶", "x"]), "ids are changed")
    _equal((rows.query, rows.position.tolist()), (["milk", ""], [3, -1]), "an unknown position is -1")
    _equal(rows.quantity.tolist(), [2.0, 1.0], "quantities are changed")
    _equal(np.isnan(rows.value).tolist(), [True, False], "value is NaN except for ratings")


def knows_the_newest_of_one(store: EventStore) -> None:
    store.append([_event(f"{minute}", minute, user="u" if minute % 2 else "v") for minute in range(10)])
    names = [event.id for event in store.recent(user="u", session="", limit=3)]
    _equal(names, ["5", "7", "9"], "recent is not the newest of this user, oldest first")
    _equal(store.recent(user="", session="", limit=3), [], "nobody has no history")
    _equal(store.recent(user="u", session="", limit=0), [], "limit=0 gives nothing")


def keeps_offsets_with_events(store: EventStore) -> None:
    place = Offset("s?group=g", 3, 10, 2)
    store.append([_event("a", 1)], along=Along([place, Offset("s?group=g", 0, 5)]))
    store.append([], along=Along([Offset("s?group=g", 3, 11), Offset("other", 3, 1)]))
    _equal(store.offsets("s?group=g")[3].position, 11, "an offset does not move on with its batch")
    store.append([_event("b", 2)], along=Along([place, Offset("s?group=g", 0, 5, 1)]))
    got = {number: (each.position, each.minor) for number, each in store.offsets("s?group=g").items()}
    _equal(got, {0: (5, 1), 3: (11, 0)}, "an older offset that comes late moved the stream back")
    store.append([], along=Along([Offset("s?group=g", 3, 1, anew=True)]))
    _equal(store.offsets("s?group=g")[3].position, 1, "a stream that was made anew does not begin anew")
    naive = _event("naive")
    naive = msgspec.structs.replace(naive, time=naive.time.replace(tzinfo=None))
    _refuses(lambda: store.append([naive], along=Along([Offset("s?group=g", 3, 99)])), "an event without a zone")
    _equal(store.offsets("s?group=g")[3].position, 1, "the offset of a batch that was refused is kept")


def tells_steps_and_what_came_since(store: EventStore) -> None:
    shown = [msgspec.structs.replace(_event(f"s{n}", n, item=f"{n}"), type=EventType.IMPRESSION) for n in range(10, 40)]
    store.append([_event(f"c{n}", n, item=f"{n}") for n in range(5)] + shown + [_event("v", 50, user="v")])
    steps = store.steps(user="u", session="", limit=4)
    clicks = [name for name, code in zip(steps.item, steps.code, strict=True) if code == EVENT_CODES["click"]]
    _equal(clicks[-4:], ["1", "2", "3", "4"], "impressions push clicks out of the steps")
    _equal(steps.time, sorted(steps.time), "steps are not oldest first")
    _equal(store.steps(user="", session="", limit=4).time, [], "nobody has no steps")
    later = [name for rows in store.since((NOON + timedelta(minutes=39)).timestamp()) for name in rows.user]
    _equal(later, ["v"], "since does not give what is later, and only that")


def takes_many_writers(store: EventStore) -> None:
    batches = [[_event(f"{writer}-{number}", number) for number in range(20)] for writer in range(8)]
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(store.append, batches))
    futures = [store.submit(batch) for batch in batches]
    again = [future.result(timeout=30) for future in futures]
    _equal(sum(one.added for one in written), 160, "writers at the same time lost or doubled events")
    _equal(sum(one.unchanged for one in again), 160, "submit does not count what was delivered before")
    _equal(store.count(), 160, "writers at the same time lost or doubled events")


def refuses_a_time_without_zone(store: EventStore) -> None:
    naive = _event("naive")
    naive = msgspec.structs.replace(naive, time=naive.time.replace(tzinfo=None))
    _refuses(lambda: store.append([_event("good"), naive]), "an event whose time has no zone")
    _equal(store.count(), 0, "a refused batch left something behind")


def keeps_letters_once(box: DeadLetterBox) -> None:
    bad = DeadLetter(kind="event", reason="no_item", message="which item?", source="a.csv", line=3, raw='{"x":1}')
    box.put([bad, bad])
    box.put([bad, msgspec.structs.replace(bad, line=4), msgspec.structs.replace(bad, kind="item", reason="bad_price")])
    _equal(box.counts(), {("event", "no_item"): 2, ("item", "bad_price"): 1}, "the same row is not kept once")
    _equal(len(box.list()), 3, "list does not show all letters")
    _equal([one.line for one in box.list(reason="no_item", limit=1)], [4], "the newest letters do not come first")
    _equal([one.reason for one in box.list(kind="item")], ["bad_price"], "list(kind=) does not filter")
    (kept,) = box.list(kind="item")
    _equal((kept.raw, kept.source, kept.time is not None), ('{"x":1}', "a.csv", True), "a letter lost its facts")


CATALOG_CHECKS: tuple[Callable[[CatalogStore], None], ...] = (
    keeps_items_in_order_of_arrival,
    counts_what_changed,
    deletes_and_takes_back,
    tells_what_changed_since,
    keeps_odd_items_whole,
    scans_what_was_there,
)

EVENT_CHECKS: tuple[Callable[[EventStore], None], ...] = (
    keeps_events_once,
    refuses_another_content,
    names_events_by_content,
    scans_in_order_of_time,
    orders_ids_by_code_points,
    keeps_every_column,
    knows_the_newest_of_one,
    keeps_offsets_with_events,
    tells_steps_and_what_came_since,
    takes_many_writers,
    refuses_a_time_without_zone,
)

LETTER_CHECKS: tuple[Callable[[DeadLetterBox], None], ...] = (keeps_letters_once,)


def _equal(got: object, wanted: object, what: str) -> None:
    require(got == wanted, what, got=f"{got!r} instead of {wanted!r}", fix="see bodega.protocols for the promise")


def _refuses(action: Callable[[], object], what: str) -> None:
    try:
        action()
    except BodegaError:
        return
    require(False, f"{what} was not refused", fix="raise bodega.errors.BadRequest before anything is written")
