"""Rare items: the way that finds them is chosen where it is known on paper, and the list shows nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import bodega
from bodega.engine.choosing import FEWEST, FITTED, WAYS, WORDS, Choice, choose
from bodega.engine.shop import Shop
from bodega.evaluation import Case
from bodega.schema import Candidates, Context, Event, EventType, Item
from bodega.settings import Learn, Settings, Understand
from bodega.wiring import init_shop

SOURCES = ("content", "dense", "profile", "pictures")
N_ITEMS = 40
START = datetime(2026, 1, 1, tzinfo=UTC)


def asked(told: dict[str, float], n_cases: int = 120, sources: tuple[str, ...] = SOURCES) -> Choice:
    """What is chosen where each source tells the right one of 40 items so loudly, and noise beside it."""
    rng = np.random.default_rng(3)
    rows = np.arange(N_ITEMS, dtype=np.int32)
    cases, candidates = [], []
    for _ in range(n_cases):
        right = int(rng.integers(N_ITEMS))
        scores = rng.standard_normal((N_ITEMS, len(sources)))
        scores[right] += [3.0 * told.get(name, 0.0) for name in sources]
        cases.append(Case(Context(place="rare"), np.array([right], np.int32)))
        candidates.append(Candidates(rows, scores.astype(np.float32), np.full(N_ITEMS, np.nan, np.float32), sources))
    return choose(cases, candidates)


def test_where_pictures_say_all_pictures_are_served() -> None:
    found = asked({"pictures": 1.0})
    assert found.weights.get("pictures", 0.0) == 1.0
    assert all(weight < 0.2 for name, weight in found.weights.items() if name != "pictures")
    assert found.against[found.name][1] > 0.3


def test_where_words_say_all_words_alone_are_served() -> None:
    found = asked({"content": 1.0})
    assert found.name == WORDS
    assert found.weights == {"content": 1.0}
    assert "served" in found.told


def test_where_what_people_do_says_all_the_profile_is_served() -> None:
    found = asked({"profile": 1.0})
    assert found.weights.get("profile", 0.0) == 1.0
    assert found.weights.get("content", 0.0) < 0.2


def test_where_words_and_profile_say_half_each_their_sum_is_served() -> None:
    found = asked({"content": 0.6, "profile": 0.6})
    assert found.name in ("words and profile", FITTED)
    assert min(found.weights["content"], found.weights["profile"]) > 0.5
    assert found.figures["words and profile"] > max(found.figures["profile"], found.figures[WORDS])


def test_noise_never_replaces_words() -> None:
    assert asked({}).name == WORDS


def test_too_few_answers_choose_nothing() -> None:
    found = asked({"profile": 1.0}, n_cases=20)
    assert (found.name, found.weights, found.cases) == ("", {}, 20)
    assert "too few" in found.told


def test_ways_that_the_shop_lacks_are_not_asked() -> None:
    assert set(asked({"content": 1.0}, sources=("content",)).figures) == {WORDS}
    assert all(set(way) <= set(SOURCES) | {"sentences"} for way in WAYS.values())


KINDS = {"red": "lamp", "blue": "rug"}
POPULAR, SCARCE, SHOPPERS = 10, 60, 900


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Red and blue things; of each colour ten are taken every day, sixty by hardly anybody."""
    folder = tmp_path_factory.mktemp("rare") / "shop"
    init_shop(
        folder,
        Settings(
            understand=Understand(encoder="none", teacher="none"), learn=Learn(taught_cases=0, evaluated_users=40)
        ),
    )
    items = [
        Item(id=f"{colour}{number}", title=f"{colour} {thing} {colour}{chr(97 + number // 9)}{chr(97 + number % 9)}")
        for colour, thing in KINDS.items()
        for number in range(POPULAR + SCARCE)
    ]
    rng = np.random.default_rng(2)
    events = []
    for user in range(SHOPPERS):
        taken = rng.permutation(POPULAR)[:3].tolist()
        scarce = [POPULAR + user // 4 % SCARCE] if user % 4 < 2 else []
        events += [
            Event(
                type=EventType.PURCHASE,
                time=START + timedelta(hours=user, minutes=5 * step),
                user=f"u{user}",
                session=f"s{user}",
                item=f"{[*KINDS][user % 2]}{number}",
            )
            for step, number in enumerate([*taken, *scarce])
        ]
    with bodega.open(folder) as shop:
        shop.catalog.upsert(items)
        shop.events.record(events)
        shop.learn()
        yield shop


def test_the_list_shows_what_hardly_anybody_touched(shop: Shop) -> None:
    page = shop.recommend(place="rare", user="u0", k=200)
    rare = {f"{colour}{number}" for colour in KINDS for number in range(POPULAR, POPULAR + SCARCE)}
    assert {hit.id for hit in page} == rare - {f"red{POPULAR}"}  # u0 has that one, and nobody here buys again


def test_first_what_is_like_what_the_shopper_has(shop: Shop) -> None:
    for user, colour in (("u0", "red"), ("u1", "blue")):
        page = shop.recommend(place="rare", user=user, k=5)
        assert [hit.id.startswith(colour) for hit in page] == [True] * 5
        assert all(each.text.startswith(("Like", "Popular")) for hit in page for each in hit.why)


def test_the_manifest_and_the_report_say_what_was_chosen(shop: Shop) -> None:
    facts = shop.snapshots()[-1].facts
    told = facts["rare"]
    assert told["cases"] >= FEWEST
    assert told["name"] in (*WAYS, FITTED)
    assert facts["weights"]["rare"] == told["weights"]
    assert set(told["against"]) == set(told["figures"]) >= {WORDS}


def test_what_came_after_the_last_learn_is_rare(shop: Shop) -> None:
    shop.catalog.upsert([Item(id="red-new", title="red lamp new")])
    assert "red-new" in {hit.id for hit in shop.recommend(place="rare", user="u0", k=200)}


def test_a_list_of_rare_items_needs_nobody_known(shop: Shop) -> None:
    page = shop.recommend(place="rare", k=5)
    assert len(page) == 5
    assert all(int(hit.id.lstrip("redblu-nw") or POPULAR) >= POPULAR for hit in page)
