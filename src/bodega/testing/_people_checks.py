"""The promises of a store of people, one function each; `checks.check_people_store` runs them all.

Each check is given a fresh store and the events beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations

from bodega.events.people import PeopleStore
from bodega.protocols import EventStore
from bodega.schema import Event, EventType
from bodega.schema.people import Link, Word
from bodega.testing._broken import require

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
Check = Callable[[PeopleStore, EventStore], None]


def _event(user: str, session: str = "", minute: int = 0) -> Event:
    return Event(
        type=EventType.CLICK, time=NOON + timedelta(minutes=minute), user=user, session=session, item=f"i{minute}"
    )


def keeps_links_once_with_their_trail(store: PeopleStore, events: EventStore) -> None:
    del events
    link = Link.of("user:b", "user:a", time=1.0)
    require(link.left == "user:a", "the lower subject is not the left one")
    require(store.link([link], who="ann") == 1, "a new link does not count")
    require(store.link([link], who="ann") == 0, "a link said twice counts twice")
    before = store.state()
    require(before.linked and not before.spoken and not before.buried, "the state does not say what is kept")
    require(store.link([Link.of("user:a", "user:b", apart=True, time=2.0)], who="bob") == 1, "apart changes nothing")
    require(store.state() != before, "a change does not show in the state")
    require(store.link([Link.of("user:a", "user:b", time=1.5)], who="ann") == 0, "an older word undoes a newer one")
    require([each.apart for each in store.links_of(["user:a"])] == [True], "the newest word does not hold")
    require(store.links_of(["user:c"]) == [], "a link touches whom it does not name")
    trail = [(line.what, line.who) for line in store.trail(["user:b"])]
    require(trail == [("apart", "bob"), ("link", "ann")], f"the trail is not newest first: {trail}")
    require(len(store.trail(since=1)) == 1 and store.trail(limit=0) == [], "the trail cannot be read in parts")


def holds_the_same_whatever_came_first(store: PeopleStore, events: EventStore) -> None:
    del events
    said = [
        Link.of("user:a", "user:b", time=1.0),
        Link.of("user:a", "user:b", apart=True, time=1.0),
        Link.of("user:a", "session:s", time=3.0),
    ]
    seen = set()
    for number, order in enumerate(permutations(said)):
        for link in order:
            sides = (f"{link.left}{number}", f"{link.right}{number}")
            store.link([Link.of(*sides, apart=link.apart, time=link.time)], who="t")
        mine = store.links_of([f"user:a{number}"])
        seen.add(tuple((each.left[:-1], each.apart, each.time) for each in mine))
    require(len(seen) == 1, "the order in which links arrive decides what is kept")


def keeps_the_newest_word(store: PeopleStore, events: EventStore) -> None:
    del events
    for time, granted in ((2.0, False), (1.0, True), (2.0, True)):
        store.say([Word("user:a", "learning", granted, time, "test")])
    store.say([Word("user:a", "personalisation", True, 1.0)])
    words = {word.purpose: word.granted for word in store.said(["user:a"])}
    require(words == {"learning": False, "personalisation": True}, f"not the newest, or not the denial: {words}")
    require(store.said(["user:b"]) == [] and len(store.words()) == 2, "words of others are told")


def tells_what_events_say(store: PeopleStore, events: EventStore) -> None:
    events.append(
        [_event("a", "s", 1), _event("", "s", 2), _event("b", "t", 3), _event("a", "t", 4), _event("", "g", 5)]
    )
    told = store.users_of(["s", "t", "g", "nothing"])
    require(told == {"s": frozenset({"a"}), "t": frozenset({"a", "b"})}, f"users_of is wrong: {told}")
    require(store.sessions_of(["a"], limit=5) == ["t", "s"], "sessions_of is not newest first")
    require(store.sessions_of(["a"], limit=1) == ["t"], "sessions_of keeps no limit")
    require(store.sessions_of(["a"], limit=5, guests=True) == ["s"], "guests does not mean visits with guest events")
    require(store.sessions_of([], limit=5) == [], "nobody has visits")
    require(store.names() == (["a", "b"], ["g", "s", "t"]), "names leaves somebody out")


def erases_everything_and_nothing_else(store: PeopleStore, events: EventStore) -> None:
    events.append([_event("a", "s", 1), _event("", "s", 2), _event("b", "s", 3), _event("", "g", 4)])
    store.link([Link.of("user:a", "user:c", time=1.0), Link.of("user:b", "user:d", time=1.0)], who="t")
    store.say([Word(subject, "learning", True, 1.0) for subject in ("user:a", "session:s", "user:b")])
    gone = store.erase(["a", "c"], ["s"])
    left = [(row.user, row.session) for row in events.scan()]
    require(left == [(["b", ""], ["s", "g"])], f"left behind, or taken from others: {left}")
    require((gone.rows["events"], gone.rows["identities"], gone.rows["consents"]) == (2, 1, 2), f"counts: {gone.rows}")
    require([link.left for link in store.links()] == ["user:b"], "a link of the forgotten is left")
    require(all("user:a" not in (line.left, line.right) for line in store.trail()), "the trail names the forgotten")
    require(store.erase(["a", "c"], ["s"]).rows["events"] == 0, "an erasure cannot be repeated")


def remembers_who_was_forgotten(store: PeopleStore, events: EventStore) -> None:
    del events
    before = store.state()
    store.bury(["user:x", "session:y"], time=5.0, erasure="r")
    require(store.buried(["user:x", "user:z"]) == {"user:x": 5.0}, "a tombstone is not found")
    require(store.state().erasures == before.erasures + 1 and store.state().buried, "an erasure does not show")
    store.put_receipt("r", time=5.0, state="rows", payload=b"1")
    store.put_receipt("r", time=5.0, state="done", payload=b"2")
    store.put_receipt("q", time=6.0, state="rows", payload=b"3")
    require(store.receipts() == [("q", b"3"), ("r", b"2")], "receipts are not newest first, each once")
    require(store.receipts(state="rows") == [("q", b"3")] and store.receipt("r") == b"2", "a receipt is not found")
    require(store.receipt("none") is None, "a receipt that is not there is found")


def keeps_to_a_retention(store: PeopleStore, events: EventStore) -> None:
    events.append([_event("a", minute=minute) for minute in range(10)])
    gone = store.expire((NOON + timedelta(minutes=4)).timestamp())
    require(gone.rows["events"] == 4 and events.count() == 6, "what is older than that is not what goes")
    require(store.claim("retained", 1000.0, 60.0), "a chore that was never done is not due")
    require(not store.claim("retained", 1059.0, 60.0), "a chore is done twice")
    require(store.claim("retained", 1061.0, 60.0), "a chore is never due again")


PEOPLE_CHECKS: tuple[Check, ...] = (
    keeps_links_once_with_their_trail,
    holds_the_same_whatever_came_first,
    keeps_the_newest_word,
    tells_what_events_say,
    erases_everything_and_nothing_else,
    remembers_who_was_forgotten,
    keeps_to_a_retention,
)
