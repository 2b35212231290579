"""One shopper behind many ids: the same whatever came first, the same at request time and when learning."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodega.engine.privacy import Doors, Privacy
from bodega.events import build_log
from bodega.events.border import Border
from bodega.events.identity import Stitched, stitched
from bodega.events.pseudonyms import VARIABLE, Secrets, fresh
from bodega.schema import Event, EventType, Item, ItemTable
from bodega.schema.people import Link, Word
from bodega.settings import Ingest
from bodega.settings import Privacy as Chosen
from bodega.testing.fakes import MemoryStores

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEFAULTS = Chosen()
KEYS = Secrets(Path(), {VARIABLE: fresh()})

users = st.sampled_from(["u1", "u2", "u3", "u4", "u5"])
visits = st.sampled_from(["s1", "s2", "s3"])
accounts = (
    st.tuples(users, users).filter(lambda pair: pair[0] != pair[1]).map(lambda p: (f"user:{p[0]}", f"user:{p[1]}"))
)
guests = st.tuples(users, visits).map(lambda p: (f"user:{p[0]}", f"session:{p[1]}"))
links = st.lists(
    st.tuples(st.one_of(accounts, guests), st.booleans(), st.integers(1, 9)).map(
        lambda each: Link.of(*each[0], apart=each[1] and each[2] > 6, time=float(each[2]))
    ),
    max_size=8,
)
done = st.lists(st.tuples(st.one_of(st.just(""), users), visits), max_size=12)


def final(said: Iterable[Link]) -> list[Link]:
    """What a store holds in the end: the newest word on each pair."""
    stores = MemoryStores()
    stores.people.link(list(said), who="test")
    return stores.people.links()


@settings(max_examples=50)
@given(links, st.randoms(use_true_random=False))
def test_the_order_of_evidence_changes_nothing(said, random):
    shuffled = list(said)
    random.shuffle(shuffled)
    assert stitched(final(said), 3) == stitched(final(shuffled), 3)
    assert order_matters(stitched, said, shuffled) is False


def greedy(said: Iterable[Link], limit: int) -> Stitched:
    """Broken: merges as links come, and stops when a shopper is full."""
    key_of: dict[str, str] = {}
    for link in said:
        one, other = (side.partition(":")[2] for side in (link.left, link.right))
        members = [
            name
            for name in {*key_of, one, other}
            if key_of.get(name, name) in (key_of.get(one, one), key_of.get(other, other))
        ]
        if link.left.startswith("user:") and not link.apart and len(members) <= limit:
            key_of.update(dict.fromkeys(members, key_of.get(one, one)))
    return Stitched(key_of)


def order_matters(stitch, said: list[Link], shuffled: list[Link]) -> bool:
    return stitch(said, 2) != stitch(shuffled, 2)


def test_a_merge_that_depends_on_order_is_caught():
    said = [Link.of("user:u1", "user:u2"), Link.of("user:u2", "user:u3")]
    assert order_matters(greedy, said, said[::-1])
    assert not order_matters(stitched, said, said[::-1])


def a_shop(said: Iterable[Link] = (), events: Iterable[Event] = (), chosen: Chosen = DEFAULTS) -> Privacy:
    stores = MemoryStores()
    stores.events.append(list(events))
    stores.people.link(list(said), who="test")
    doors = Doors(stores.people, stores.events, KEYS, Border(KEYS, pseudonyms=False), forget=lambda *_: None)
    return Privacy(doors, chosen)


def click(user: str, session: str = "", minute: int = 0) -> Event:
    return Event(
        type=EventType.CLICK, time=NOON + timedelta(minutes=minute), user=user, session=session, item=f"i{minute}"
    )


def shopper(privacy: Privacy, user: str, session: str) -> str:
    """Who an event of this user and visit belongs to."""
    return privacy.of_user(user).key if user else privacy.of_session(session).key or f"guest {session}"


@settings(max_examples=40)
@given(links, done, st.lists(st.tuples(st.one_of(users, visits), st.booleans(), st.integers(1, 5)), max_size=3))
def test_requests_and_learning_agree_on_who_is_who(said, rows, words):
    events = [click(user, session, minute) for minute, (user, session) in enumerate(rows)]
    privacy = a_shop(said, events, Chosen(ids_per_profile=3))
    kinds = [("user" if name.startswith("u") else "session", name, granted, time) for name, granted, time in words]
    privacy.say([Word(f"{kind}:{name}", "learning", granted, float(time)) for kind, name, granted, time in kinds])
    items = ItemTable.of([Item(id=f"i{number}") for number in range(12)])
    log, facts = build_log(privacy.events.scan(), items, Ingest(), privacy.people())
    learned = dict(zip(log.item.tolist(), log.user.tolist(), strict=True))
    asked = {minute: shopper(privacy, user, session) for minute, (user, session) in enumerate(rows)}
    agreed = {minute for minute, (user, session) in enumerate(rows) if privacy.standing(user, session).learning}
    assert set(learned) == agreed, "requests and learning disagree on who agreed"
    assert facts.withheld == len(rows) - len(agreed)
    for one in agreed:
        for other in agreed:
            assert (learned[one] == learned[other]) == (asked[one] == asked[other]), (rows[one], rows[other])


def test_web_app_and_till_are_one_shopper():
    events = [click("web", "v1", 0), click("", "v1", 1), click("app", "phone", 2), click("card", "", 3)]
    privacy = a_shop([Link.of("user:web", "user:card"), Link.of("user:app", "user:card")], events)
    assert {shopper(privacy, name, "") for name in ("web", "app", "card")} == {"app"}
    for name in ("web", "app", "card"):
        steps = privacy.steps(privacy.of_user(name).key, "", 10)
        assert steps.item == ["i0", "i1", "i2", "i3"]


def test_a_kiosk_belongs_to_nobody():
    events = [click("", "kiosk", 0), click("ann", "kiosk", 1), click("", "kiosk", 2)]
    assert shopper(a_shop([], events), "", "kiosk") == "ann"
    both = a_shop([], [*events, click("bob", "kiosk", 3)])
    assert shopper(both, "", "kiosk") == "guest kiosk"
    assert both.steps("ann", "", 10).item == ["i1"]
    assert both.steps("bob", "", 10).item == ["i3"]
    family = a_shop([Link.of("user:ann", "user:bob")], [*events, click("bob", "kiosk", 3)])
    assert shopper(family, "", "kiosk") == "ann", "two accounts of one shopper share no kiosk"


def test_a_crowd_is_not_one_shopper():
    terminal = [Link.of("user:terminal", f"user:u{number}") for number in range(20)]
    privacy = a_shop(terminal, chosen=Chosen(ids_per_profile=20))
    assert {privacy.of_user(f"u{number}").users for number in range(20)} == {(f"u{n}",) for n in range(20)}
    assert privacy.people().who.crowds
    assert a_shop(terminal[:19]).of_user("u3").key == "terminal"


def test_a_wrong_merge_is_undone_and_audited():
    privacy = a_shop([], [click("ann", "v", 0), click("eve", "w", 1)])
    privacy.identify("ann", aliases=["card", "eve"], who="till")
    privacy.identify("card", aliases=["eve"], who="till")
    assert privacy.of_user("eve").users == ("ann", "card", "eve")
    assert privacy.part("ann", aliases=["eve"], who="support") == 2, "every link that holds eve there is cut"
    assert privacy.of_user("eve").users == ("eve",)
    assert privacy.of_user("card").users == ("ann", "card")
    assert [(line.what, line.who) for line in privacy.audit("eve")][:2] == [("apart", "support")] * 2
    privacy.part("ann", session="v", who="support")
    assert shopper(privacy, "", "v") == "guest v"


@pytest.mark.parametrize("wrong", [{"user": ""}, {"user": "a"}, {"user": "a", "aliases": ["a"]}])
def test_nonsense_is_refused(wrong):
    from bodega.errors import BadRequest

    with pytest.raises(BadRequest):
        a_shop().identify(**wrong)
