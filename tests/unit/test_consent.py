"""Who agreed to what: the newest word, at once, for events too; nothing kept or learned without."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest

import bodega
from bodega.errors import BadRequest
from bodega.events import build_log
from bodega.events.consent import NOBODY, Standing, read_consents, read_words, standing
from bodega.schema import Event, EventType, Item, ItemTable, Request
from bodega.schema.people import Word
from bodega.settings import Ingest, Privacy
from bodega.wiring import open_shop

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DENIED = {"personalisation": False, "learning": False}


def click(user: str, session: str = "", minute: int = 0, item: str = "1") -> Event:
    return Event(type=EventType.CLICK, time=NOON + timedelta(minutes=minute), user=user, session=session, item=item)


def shop_of(folder: Path, *lines: str) -> bodega.Shop:
    folder.mkdir(exist_ok=True)
    (folder / "bodega.toml").write_text("\n".join(["[privacy]", *lines]))
    return open_shop(folder)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[bodega.Shop]:
    with shop_of(tmp_path / "shop") as opened:
        yield opened


def say(shop: bodega.Shop, **row: object) -> None:
    shop.privacy.say(read_words(row, NOON.timestamp(), "test"))


def test_the_order_of_words_changes_nothing():
    said = [Word("user:u", "learning", granted, time) for granted, time in ((True, 1.0), (False, 3.0), (True, 3.0))]
    found = {standing(order, Privacy()) for order in permutations(said)}
    assert found == {Standing(learning=False, said=frozenset({"learning"}))}


def test_gpc_denies_what_was_not_expressly_granted():
    silent = standing([], Privacy())
    assert (silent.under_gpc().personalisation, silent.under_gpc().learning) == (False, False)
    granted = standing([Word("user:u", "personalisation", True, 1.0)], Privacy())
    assert (granted.under_gpc().personalisation, granted.under_gpc().learning) == (True, False)


def test_words_are_read_in_any_spelling():
    row = {"type": "consent", "user": "u", "session": "s", "personalization": "granted", "analytics": False}
    found = {(word.subject, word.purpose, word.granted) for word in read_words(row, 10.0, "t")}
    assert found == {
        (who, *what) for who in ("user:u", "session:s") for what in (("personalisation", True), ("learning", False))
    }
    ahead = read_words({"user": "u", "purposes": {"learning": 1 == 1}, "time": "2099-01-01"}, 10.0, "t")
    assert [word.time for word in ahead] == [10.0], "a word from the future is one of now"


@pytest.mark.parametrize(
    "row",
    [
        {"purposes": {"learning": True}},
        {"user": "u"},
        {"user": "u", "purposes": {"selling": True}},
        {"user": "u", "purposes": {"learning": "perhaps"}},
        {"user": "u", "purposes": {"learning": True}, "time": "soon"},
        {"user": "u", "purposes": []},
    ],
)
def test_unclear_words_are_refused_and_named(row):
    with pytest.raises(BadRequest):
        read_words(row, 10.0, "t")
    words, letters = read_consents([{"type": "view"}, {"type": "consent", **row}], 10.0)
    assert (words, [number for number, _ in letters]) == ([], [1])


def test_what_nobody_agreed_to_is_not_kept(shop):
    say(shop, user="eve", purposes=DENIED)
    written = shop.events.record([click("eve"), click("ann", minute=1)])
    assert (written.added, written.withheld) == (1, 1)
    report = shop.events.add([{"type": "view", "user": "eve", "time": 1772366400, "item": "1"}])
    assert (report.added, shop.events.count()) == (0, 1)


def test_or_kept_without_a_name(tmp_path):
    with shop_of(tmp_path / "shop", 'without_consent = "anonymous"') as shop:
        say(shop, user="eve", purposes=DENIED)
        for _ in range(2):
            shop.events.record([click("eve", "canary-visit")])
        (rows,) = shop.stores.events.scan()
        assert rows.user == [""]
        assert rows.session[0].startswith(NOBODY), "delivered twice it is one event"
        log, facts = build_log(shop.stores.events.scan(), ItemTable.of([Item(id="1")]), Ingest(), shop.privacy.people())
        assert (len(log), facts.withheld) == (0, 1), "nameless, and still not learned from"


def test_one_purpose_without_the_other(shop):
    say(shop, user="own", purposes={"learning": False})
    say(shop, user="all", purposes={"personalisation": False})
    shop.events.record([click("own"), click("all", minute=1), click("free", minute=2)])
    table = ItemTable.of([Item(id="1")])
    log, facts = build_log(shop.stores.events.scan(), table, Ingest(), shop.privacy.people())
    assert (shop.events.count(), len(log), facts.withheld) == (3, 2, 1)
    assert [event.user for event in shop.privacy.taught([click("own"), click("all")])] == ["all"]
    assert shop.privacy.asked(Request(user="own")).user == "own"
    assert shop.privacy.asked(Request(user="all", session="s")) == Request()
    unaware, _ = build_log(shop.stores.events.scan(), table, Ingest())
    assert len(unaware) == 3, "the twin: a log made without asking would hold it"


def test_shops_may_ask_first(tmp_path):
    with shop_of(tmp_path / "shop", 'personalisation = "denied"', 'learning = "denied"') as shop:
        assert shop.events.record([click("eve"), click("", "guest", 1)]).withheld == 2
        say(shop, session="guest", purposes={"personalisation": True})
        assert shop.events.record([click("", "guest", 1)]).added == 1
        assert shop.privacy.asked(Request(session="guest")).session == "guest"
        assert shop.privacy.asked(Request(user="eve")) == Request()


def test_a_word_said_as_a_guest_holds_after_signing_in_and_for_all_ids(shop):
    shop.events.record([click("ann", "phone")])
    shop.privacy.identify("ann", aliases=["card"], who="t")
    say(shop, session="phone", purposes={"personalisation": False})
    for who in ({"user": "ann"}, {"user": "card"}, {"session": "phone"}, {"user": "ann", "session": "other"}):
        assert shop.privacy.asked(Request(**who)) == Request(), who


def test_another_process_hears_of_it(shop):
    with open_shop(shop.folder) as other:
        assert other.privacy.asked(Request(user="eve")).user == "eve"
        say(shop, user="eve", purposes=DENIED)
        other.restock()
        assert other.privacy.asked(Request(user="eve")) == Request()


def test_guests_who_sign_in_bring_their_clicks_along_at_once(shop):
    table = ItemTable.of([Item(id="1"), Item(id="2"), Item(id="3")])

    def history(user: str = "", session: str = "") -> list[int]:
        who = shop.privacy.asked(Request(user=user, session=session))
        return shop.shoppers.history(who.user, who.session, table).items.tolist()

    assert history("ann") == []
    shop.events.record([click("", "phone", 1, "1")])
    assert history("ann", "phone") == [0], "the same visit counts, before any event carries both"
    assert history("ann") == []
    shop.events.record([click("ann", "phone", 2, "2")])
    assert history("ann") == [0, 1], "from the first event that carries both it is one shopper everywhere"
    assert history("ann", "phone") == [0, 1], "and counts once"
    shop.events.record([click("", "phone", 3, "3")])
    assert history("ann") == [0, 1, 2]
