"""Who was forgotten was never there: rows, lists, models byte by byte, suggestions, backups; with a receipt."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from bodega.engine.ballast import Ballast
from bodega.engine.erasure import LEDGER, Receipt
from bodega.engine.shop import Shop
from bodega.errors import BadRequest, StoreError
from bodega.events.consent import read_words
from bodega.events.people import Erased
from bodega.protocols import NoProgress
from bodega.schema import Event, EventType, Request
from bodega.schema.people import Word
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world
from bodega.wiring import back_up, open_shop, restore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CARD = "canary-card"


@pytest.fixture(scope="module")
def town() -> GeneratedWorld:
    return make_world(WorldSpec(n_items=50, n_shoppers=16, days=25))


def shop_in(folder: Path, *tables: str) -> Shop:
    folder.mkdir(parents=True, exist_ok=True)
    if tables and not (folder / "bodega.toml").exists():
        (folder / "bodega.toml").write_text("\n".join(tables))
    return open_shop(folder)


def people_of(town: GeneratedWorld) -> tuple[str, str]:
    """(the heaviest, the lightest shopper)."""
    counts = Counter(event.user for event in town.events if event.user).most_common()
    return counts[0][0], counts[-1][0]


def as_guest(town: GeneratedWorld, user: str) -> list[Event]:
    """What the user did on the own visits before signing in, and at the till with a card."""
    mine = [event for event in town.events if event.user == user and event.session and event.item][:5]
    early = [msgspec.structs.replace(each, user="", id="", time=each.time - timedelta(seconds=40)) for each in mine]
    till = [msgspec.structs.replace(each, user=CARD, id="", session="") for each in mine]
    return [*early, *till]


def files_of(shop: Shop) -> dict[str, bytes]:
    """Every file of the snapshot that is served."""
    folder = shop.folder / "snapshots" / shop.engine.learned.snapshot
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def never(town: GeneratedWorld, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a shop learns that never had them."""
    gone = people_of(town)
    with shop_in(tmp_path_factory.mktemp("never")) as shop:
        shop.catalog.upsert(town.items)
        shop.events.record([event for event in town.events if event.user not in gone])
        assert shop.learn().published
        return files_of(shop)


def fill(shop: Shop, town: GeneratedWorld) -> tuple[str, str]:
    """A shop that has everybody; the heaviest shopper also as a guest and with a card."""
    heaviest, lightest = people_of(town)
    shop.catalog.upsert(town.items)
    shop.events.record([*town.events, *as_guest(town, heaviest)])
    shop.privacy.identify(heaviest, aliases=[CARD], who="till")
    return heaviest, lightest


def learned_without(shop: Shop, town: GeneratedWorld) -> dict[str, bytes]:
    for user in fill(shop, town):
        shop.erasures.forget(user)
    assert shop.learn().published
    return files_of(shop)


def differs(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def test_models_are_byte_equal_to_never_had_them(town, never, tmp_path):
    with shop_in(tmp_path) as shop:
        assert differs(learned_without(shop, town), never) == []


@pytest.mark.slow
def test_the_same_on_postgresql(town, never, tmp_path, fresh_postgres_url):
    with shop_in(tmp_path, f'[store]\nurl = "{fresh_postgres_url}"') as shop:
        assert differs(learned_without(shop, town), never) == []


def test_a_forget_that_leaves_the_visits_is_caught(town, never, tmp_path, monkeypatch):
    with shop_in(tmp_path) as shop:
        whole = type(shop.privacy.store).erase

        def careless(self, users, sessions) -> Erased:
            return whole(self, users, [])

        monkeypatch.setattr(type(shop.privacy.store), "erase", careless)
        assert differs(learned_without(shop, town), never)


@pytest.mark.slow
def test_who_did_not_agree_to_learning_is_in_no_model(town, never, tmp_path):
    with shop_in(tmp_path) as shop:
        for user in fill(shop, town):
            said = {"user": user, "purposes": {"learning": False}}
            shop.privacy.say(words(said))
        report = shop.learn()
        told = files_of(shop)
        assert differs(told, never) == ["manifest.json"], "the manifest counts the rows that were read and left out"
        assert report.facts["log"]["withheld"] > 0


def words(said: dict[str, object]) -> list[Word]:
    return read_words(said, NOON.timestamp(), "test")


# -- a small shop that has learned, and one shopper more ------------------------------------------------------------


@pytest.fixture(scope="module")
def learned_town(town, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("learned") / "shop"
    with shop_in(folder) as shop:
        shop.catalog.upsert(town.items)
        shop.events.record(town.events)
        assert shop.learn().published
    return folder


@pytest.fixture
def shop(learned_town: Path, tmp_path: Path) -> Iterator[Shop]:
    shutil.copytree(learned_town, tmp_path / "shop")
    with open_shop(tmp_path / "shop") as opened:
        yield opened


def click(user: str, session: str = "", item: str = "", minute: int = 0, **more) -> Event:
    return Event(
        type=EventType.CLICK, time=NOON + timedelta(minutes=minute), user=user, session=session, item=item, **more
    )


def canary_events(town: GeneratedWorld) -> list[Event]:
    ids = [item.id for item in town.items[:6]]
    return [
        click("canary", "canary-visit", ids[1], 1),
        click("", "canary-visit", ids[2], 2),
        click("canary", "", ids[3], 3),
    ]


def canary(shop: Shop, town: GeneratedWorld) -> list[Event]:
    """A shopper with traces everywhere."""
    events = canary_events(town)
    shop.events.record(events)
    shop.events.add([{"type": "yawn", "user": "canary", "time": 1772366400, "item": "1"}])
    shop.privacy.identify("canary", aliases=["canary-card"], who="test")
    shop.privacy.say(words({"user": "canary", "session": "canary-visit", "purposes": {"learning": True}}))
    shop.events.summary(days=3650)
    return events


def pages(shop: Shop, user: str = "", session: str = "") -> list[dict]:
    """Lists for somebody, without what is drawn anew for each page."""
    found = []
    for place, query in (("home", ""), ("search", "milk"), ("trending", "")):
        asked = Request(place=place, query=query, user=user, session=session, time=NOON + timedelta(hours=1), k=10)
        page = msgspec.json.decode(shop.answer(asked).json())
        found.append({name: value for name, value in page.items() if name not in ("request_id", "took_ms")})
    return found


def on_disk(folder: Path, word: str) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes())


def test_lists_forget_at_once_in_every_process(shop, town):
    canary(shop, town)
    with open_shop(shop.folder) as other:
        for each in (shop, other):
            assert pages(each, "canary") != pages(each)
            assert pages(each, "", "canary-visit") == pages(each, "canary")
        receipt = shop.erasures.forget("canary-card")
        assert pages(shop, "canary") == pages(shop, "", "canary-visit") == pages(shop)
        other.restock()  # what a server does every two seconds, and at once where it is told
        other.recount()  # started by it, beside the requests
        assert pages(other, "canary") == pages(other)
    assert receipt.removed["events"] == 3
    assert receipt.state == "rows"


def test_without_consent_lists_are_byte_equal_to_anonymous_ones(shop, town):
    canary(shop, town)
    assert pages(shop, "canary") != pages(shop)
    shop.privacy.say(words({"user": "canary", "purposes": {"personalisation": False}}))
    for who in ({"user": "canary"}, {"session": "canary-visit"}, {"user": "canary-card", "session": "new"}):
        assert pages(shop, **who) == pages(shop), who
    assert shop.suggest("mil", 5, user="canary") == shop.suggest("mil", 5)
    later = {"user": "canary", "purposes": {"personalisation": True}, "time": NOON.isoformat()}
    shop.privacy.say(read_words(later, NOON.timestamp() + 60, "test"))
    assert pages(shop, "canary") == pages(shop), "of two words at one moment the denial holds"


def test_what_was_forgotten_does_not_come_back(shop, town):
    events = canary(shop, town)
    with open_shop(shop.folder) as other:
        assert other.privacy.state.erasures == 0
        count = shop.events.count() - len(events)
        shop.erasures.forget("canary")
        assert shop.events.record(events).withheld == 3
        other.privacy.refresh = lambda: None  # a process that has not looked yet
        other.events.record(events)
        other.stores.events.append(events)
        assert shop.events.count() == count
    late = msgspec.structs.replace(events[0], id="late", time=datetime.now(UTC) + timedelta(seconds=30))
    assert shop.events.record([late]).added == 1, "who comes back is a new shopper"


def test_nothing_is_left_on_disk(shop, town):
    canary(shop, town)
    assert on_disk(shop.folder, "canary"), "the search sees what is there"
    receipt = shop.erasures.forget("canary")
    assert receipt.copies > 0
    assert shop.stores.people.compact()
    assert on_disk(shop.folder, "canary") == []
    assert "canary" not in (shop.folder / LEDGER).read_text()


def test_models_follow_and_the_receipt_says_so(shop, town):
    canary(shop, town)
    before = [info.id for info in shop.snapshots()]
    receipt = shop.erasures.forget("canary")
    assert shop.erasures.genuine(receipt)
    assert not shop.erasures.genuine(msgspec.structs.replace(receipt, removed={}))
    assert "canary" not in msgspec.json.encode(receipt).decode()
    report = shop.learn()
    after = shop.erasures.receipt(receipt.id)
    assert isinstance(after, Receipt)
    assert after.state == "done"
    assert report.snapshot in after.models
    assert set(after.snapshots) == set(before) - {report.snapshot}
    assert [info.id for info in shop.snapshots()] == [report.snapshot]
    assert shop.erasures.genuine(after)


def test_a_restored_backup_forgets_again(shop, town, tmp_path):
    canary(shop, town)
    folder, backup = shop.folder, tmp_path / "backup"
    back_up(folder, backup, NoProgress())
    shop.erasures.forget("canary")
    shop.close()
    restore(backup, tmp_path / "elsewhere", NoProgress())
    with open_shop(tmp_path / "elsewhere") as elsewhere:
        assert elsewhere.privacy.steps("canary", "", 10).item, "the backup holds what was forgotten later"
        (again,) = elsewhere.erasures.reapply(folder / LEDGER)
        assert again.removed["events"] == 3
        assert not elsewhere.privacy.steps("canary", "", 10).item
        assert (elsewhere.folder / LEDGER).read_bytes() == (folder / LEDGER).read_bytes()
        assert elsewhere.erasures.reapply() == [], "a second time there is nobody left"
    restore(backup, folder, NoProgress(), replace=True)
    with open_shop(folder) as restored:
        assert not restored.privacy.steps("canary", "", 10).item, "put back in its place it forgets by itself"
        assert restored.events.record(canary_events(town)).withheld == 3


def test_guests_and_nonsense(shop, town):
    shop.events.record([click("", "canary-guest", town.items[0].id)])
    assert shop.erasures.forget(session="canary-guest").removed["events"] == 1
    shop.events.record([click("ann", "hers", town.items[0].id)])
    for wrong in ({}, {"user": "a", "session": "b"}, {"session": "hers"}):
        with pytest.raises(BadRequest):
            shop.erasures.forget(**wrong)
    assert shop.erasures.forget("never seen").removed["events"] == 0


def test_others_keep_what_is_theirs(shop, town):
    kiosk = [click("canary", "kiosk", town.items[0].id, 1), click("bob", "kiosk", town.items[1].id, 2)]
    shop.events.record([*kiosk, click("", "kiosk", town.items[2].id, 3)])
    count = shop.events.count()
    assert shop.erasures.forget("canary").removed["events"] == 1
    assert shop.events.count() == count - 1


def test_old_events_go_once_a_day(shop, town):
    newest = max(event.time for event in town.events).timestamp()
    count = shop.events.count()
    kept = shop.erasures.retain(10, now=newest)
    assert kept.rows["events"] > 0
    assert shop.events.count() == count - kept.rows["events"]
    assert shop.erasures.retain(10, now=newest).rows["events"] == 0
    assert shop.erasures.daily() is None, "keep_days is 0: nothing is removed by itself"


@pytest.mark.slow
def test_a_suggestion_needs_as_many_people_after_an_erasure(town, tmp_path):
    with shop_in(tmp_path, "[understand]\npeople = 4") as shop:
        shop.catalog.upsert(town.items)
        title = town.items[0].title
        typed = f"{title.split()[0].lower()} zorgleblum"
        asked = [
            Event(type=EventType.SEARCH, time=NOON + timedelta(minutes=n), user=f"p{n}", query=typed) for n in range(4)
        ]
        clicks = [click(f"p{n}", "", town.items[0].id, n, query=typed) for n in range(4)]
        shop.events.record([*town.events, *asked, *clicks])
        shop.learn()
        assert typed in [found.text for found in shop.suggest(typed[:-3], 20)]
        shop.erasures.forget("p2")
        shop.learn()
        assert typed not in [found.text for found in shop.suggest(typed[:-3], 20)]


def test_the_ballast_makes_room(tmp_path):
    ballast = Ballast(tmp_path, size=1_000_000)
    assert ballast.take()
    assert (tmp_path / "room.ballast").stat().st_size == 1_000_000
    tries: list[bool] = []

    def work() -> str:
        tries.append(ballast.path.exists())
        if tries[-1]:
            raise StoreError("the disk is full; nothing of this batch was stored")
        return "done"

    assert ballast.spent_on(work) == "done"
    assert tries == [True, False]
    assert ballast.path.exists(), "the room is taken back"
    ballast.drop()

    def never() -> str:
        raise StoreError("full")

    with pytest.raises(StoreError):
        ballast.spent_on(never)
