"""Between two learns: what must the very next answer know? On a small shop whose right answers are known on paper."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import bodega
from bodega import Event, EventType, Item, Request, Shop
from bodega.settings import FILE

NOW = datetime.now(UTC).replace(microsecond=0)
KINDS = ("pasta", "sauce", "tea")
QUERIES = {"pasta": "pasta", "sauce": "sauce", "tea": "tea"}
PEOPLE = 3


def catalog() -> list[Item]:
    shelves = {"pasta": ("Food", "Pasta"), "sauce": ("Food", "Sauce"), "tea": ("Drinks", "Tea")}
    return [
        Item(id=f"{kind}{n}", title=f"{kind} number {n}", category=shelves[kind], brand=kind.title(), price=1.0 + n)
        for kind in KINDS
        for n in range(6)
    ]


def log() -> list[Event]:
    """40 cooks buy a pasta and its sauce on the same visit, weekly; 40 tea drinkers buy two teas; ended a day ago."""
    events = []
    for shopper in range(80):
        for week in range(8):
            time = NOW - timedelta(days=57 - 7 * week, minutes=shopper)
            n = (shopper + week) % 6
            bought = [f"pasta{n}", f"sauce{n}"] if shopper < 40 else [f"tea{n}", f"tea{(n + 1) % 6}"]
            events += [did("purchase", item, f"u{shopper}", f"s{shopper}-{week}", time) for item in bought]
    return events


def did(kind: str, item: str, user: str, session: str = "", time: datetime = NOW, query: str = "") -> Event:
    name = f"{user}-{session}-{item}-{kind}-{time.timestamp()}"
    return Event(id=name, type=EventType(kind), time=time, user=user, session=session, item=item, query=query)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live") / "shop"
    with bodega.open(folder):
        pass
    settings = folder / FILE
    settings.write_text(settings.read_text("utf-8") + f"\n[understand]\npeople = {PEOPLE}\n", "utf-8")
    with bodega.open(folder) as opened:
        opened.catalog.upsert(catalog())
        opened.events.record(log())
        assert opened.learn().published
    return folder


@pytest.fixture
def shop(tmp_path: Path, learned: Path) -> Iterator[Shop]:
    shutil.copytree(learned, tmp_path / "shop")
    with bodega.open(tmp_path / "shop") as opened:
        yield opened


def test_a_new_item_is_recommended_by_what_people_do_with_it(shop: Shop) -> None:
    shop.catalog.upsert([Item(id="gong", title="Bronze gong", category=("Music",), price=50.0)])
    assert "gong" not in shop.together("pasta0", k=5).ids
    shop.events.record([did("purchase", item, "", "odd", NOW) for item in ("pasta0", "tea0")])
    for guest in range(4):
        shop.events.record(
            [
                did("purchase", "pasta0", "", f"g{guest}", NOW + timedelta(seconds=guest)),
                did("purchase", "gong", "", f"g{guest}", NOW + timedelta(seconds=guest, milliseconds=300)),
            ]
        )
    assert "gong" in shop.together("pasta0", k=5).ids
    assert "pasta0" in shop.together("gong", k=5).ids
    assert "gong" in shop.complete(["pasta0"], k=5).ids
    shop.events.record([did("view", "pasta0", "", "fresh", NOW + timedelta(seconds=30))])
    home = shop.recommend("home", session="fresh", k=18).ids
    assert home.index("gong") < min(home.index(name) for name in home if name.startswith("tea") and name != "tea0")


def test_what_rises_is_popular_and_trending_at_once(shop: Shop) -> None:
    assert shop.recommend("popular", k=18).ids.index("tea5") > 0
    for guest in range(60):
        shop.events.record([did("purchase", "tea5", "", f"p{guest}", NOW + timedelta(seconds=guest))])
    assert shop.recommend("popular", k=3).ids[0] == "tea5"
    assert shop.recommend("trending", k=3).ids[0] == "tea5"


def test_what_is_chosen_after_a_query_is_found_by_it(shop: Shop) -> None:
    assert not shop.search("grandmother", k=10).ids or "sauce2" not in shop.search("grandmother", k=10).ids
    for guest in range(4):
        time = NOW + timedelta(seconds=guest)
        shop.events.record([did("click", "sauce2", "", f"q{guest}", time, query="grandmother")])
    assert shop.search("grandmother", k=10).ids[0] == "sauce2"


def test_a_new_query_is_suggested_when_enough_people_asked_it(shop: Shop) -> None:
    def ask(person: int) -> None:
        time = NOW + timedelta(seconds=person)
        shop.events.record([did("click", "tea1", f"asker{person}", f"a{person}", time, query="zen garden tea")])

    for person in range(PEOPLE - 1):
        ask(person)
        ask(person)
    assert not [found for found in shop.suggest("zen") if found.text == "zen garden tea"]
    ask(PEOPLE)
    assert [found for found in shop.suggest("zen") if found.text == "zen garden tea"]


LISTS: dict[str, Callable[[Shop, str], list[str]]] = {
    "home": lambda shop, user: shop.recommend("home", user=user, k=50).ids,
    "popular": lambda shop, user: shop.recommend("popular", user=user, k=50).ids,
    "trending": lambda shop, user: shop.recommend("trending", user=user, k=50).ids,
    "category": lambda shop, user: shop.search("", user=user, k=50).ids,
    "repeat": lambda shop, user: shop.recommend("repeat", user=user, k=50).ids,
    "recent": lambda shop, user: shop.recommend("recent", user=user, k=50).ids,
    "similar": lambda shop, user: shop.similar("sauce1", user=user, k=50).ids,
    "together": lambda shop, user: shop.together("sauce0", user=user, k=50).ids,
    "basket": lambda shop, user: shop.complete(["sauce0"], user=user, k=50).ids,
    "search": lambda shop, user: shop.search("pasta", user=user, k=50).ids,
}


@pytest.mark.parametrize("kind", ["dismiss", "return"])
def test_what_is_turned_away_is_on_no_list(shop: Shop, kind: str) -> None:
    shop.events.record([did("view", "pasta0", "picky", "v0", NOW), did("purchase", "pasta0", "picky", "v0", NOW)])
    before = {name: "pasta0" in ask(shop, "picky") for name, ask in LISTS.items()}
    assert all(before[name] for name in LISTS if name != "similar"), before
    shop.events.record([did(kind, "pasta0", "picky", "v1", NOW + timedelta(seconds=5))])
    assert not [name for name, ask in LISTS.items() if "pasta0" in ask(shop, "picky")]
    others = [name for name, ask in LISTS.items() if "pasta0" in ask(shop, "u1")]
    assert {"home", "popular", "category", "together", "search"} <= set(others)


@pytest.mark.parametrize("kind", ["dismiss", "return"])
def test_what_is_new_and_turned_away_is_on_no_list(shop: Shop, kind: str) -> None:
    shop.catalog.upsert([Item(id="pasta-new", title="pasta number new", category=("Food", "Pasta"), price=1.0)])
    for guest in range(4):
        at = NOW + timedelta(seconds=guest)
        shop.events.record(
            [did("purchase", "sauce0", "", f"g{guest}", at), did("purchase", "pasta-new", "", f"g{guest}", at)]
        )
    shop.events.record([did("purchase", "pasta-new", "picky", "v0", NOW)])
    seen = [name for name, ask in LISTS.items() if "pasta-new" in ask(shop, "picky")]
    assert {"popular", "category", "search", "recent", "repeat", "basket", "together"} <= set(seen), seen
    shop.events.record([did(kind, "pasta-new", "picky", "v1", NOW + timedelta(seconds=60))])
    assert not [name for name, ask in LISTS.items() if "pasta-new" in ask(shop, "picky")]


def mean_place(names: list[str]) -> float:
    """Where the pastas and sauces stand."""
    return sum(at for at, name in enumerate(names) if name.startswith(("pasta", "sauce"))) / 12


def test_the_present_visit_outweighs_the_long_past(shop: Shop) -> None:
    """A tea drinker of eight weeks looks at a pasta: pastas and sauces come, tea stays."""
    before = shop.recommend("home", user="u50", k=6).ids
    assert all(name.startswith("tea") for name in before)
    shop.events.record([did("view", "pasta2", "u50", "now", NOW), did("cart", "pasta2", "u50", "now", NOW)])
    after = shop.recommend("home", user="u50", session="now", k=8).ids
    assert [name for name in after if name.startswith(("pasta", "sauce"))]
    assert [name for name in after if name.startswith("tea")]


def test_a_guests_click_turns_the_next_search(shop: Shop) -> None:
    before = shop.search("number", session="guest", k=18).ids
    shop.events.record([did("view", "pasta2", "", "guest", NOW), did("cart", "sauce2", "", "guest", NOW)])
    assert mean_place(shop.search("number", session="guest", k=18).ids) < mean_place(before)
    assert shop.search("number", session="another", k=18).ids == before


def test_a_restart_answers_as_before(shop: Shop) -> None:
    shop.catalog.upsert([Item(id="gong", title="Bronze gong", category=("Music",), price=50.0)])
    shop.events.record([did("purchase", item, "", "odd", NOW) for item in ("pasta3", "tea0")])
    for guest in range(5):
        at = NOW + timedelta(seconds=guest)
        shop.events.record(
            [did("purchase", "pasta3", "", f"g{guest}", at), did("purchase", "gong", "", f"g{guest}", at)]
        )
    requests = [Request(place="together", items=("pasta3",), k=10), Request(place="popular", k=10)]
    requests += [Request(place="home", user="u3", k=10, time=NOW), Request(place="together", items=("gong",), k=10)]
    lived = [shop.answer(request).ids for request in requests]
    assert "gong" in lived[0]
    with bodega.open(shop.folder) as again:
        assert [again.answer(request).ids for request in requests] == lived
    shop.recount()
    assert [shop.answer(request).ids for request in requests] == lived


def test_without_counts_nothing_of_it_happens(tmp_path: Path, shop: Shop) -> None:
    """The broken twin: a shop that does not count fails what the shop above passes."""
    settings = shop.folder / FILE
    settings.write_text(settings.read_text("utf-8") + "\n[updates]\ncounts = false\n", "utf-8")
    with bodega.open(shop.folder) as frozen:
        for guest in range(60):
            frozen.events.record([did("purchase", "tea5", "", f"p{guest}", NOW + timedelta(seconds=guest))])
        assert frozen.engine.live is None
        assert frozen.recommend("popular", k=18).ids.index("tea5") > 0
