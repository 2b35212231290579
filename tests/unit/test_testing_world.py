"""Is the generated world what it says? Every promise of its truth is found again in what the shoppers did."""

from __future__ import annotations

import time
from collections import Counter, defaultdict

import msgspec
import numpy as np
import pytest

from bodega.schema import EVENT_CODES, EventType, Item
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world, without_truth

DAY = 86_400.0
PURCHASE = EVENT_CODES["purchase"]


def late_first_purchases(world: GeneratedWorld) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(shoppers, items) bought in the last 14 days by those who never had them, and purchases an item before."""
    log, cut = world.log, world.end - 14 * DAY
    n = len(world.truth.shoppers)
    known = (log.type == PURCHASE) & (log.user < n)
    before, after = known & (log.time < cut), known & (log.time >= cut)
    had = np.zeros((n, len(world.items)), bool)
    had[log.user[before], log.item[before]] = True
    user, item = log.user[after], log.item[after]
    new = ~had[user, item]
    return user[new], item[new], np.bincount(log.item[before], minlength=len(world.items))


def test_the_same_spec_gives_the_same_world_and_another_seed_another() -> None:
    spec = WorldSpec(n_items=60, n_shoppers=15, days=20)
    one, two, other = make_world(spec), make_world(spec), make_world(WorldSpec(60, 15, 20, seed=8))
    encode = msgspec.json.encode
    assert encode(one.items) == encode(two.items)
    assert encode(one.events) == encode(two.events)
    assert np.array_equal(one.truth.affinity, two.truth.affinity)
    assert encode(one.events) != encode(other.events)


def test_a_default_world_takes_no_more_than_a_world_of_a_tenth_of_it_allows() -> None:
    spent = []
    for spec in (WorldSpec(n_items=40, n_shoppers=30), WorldSpec()):
        start = time.thread_time()
        world = make_world(spec)
        spent.append(time.thread_time() - start)
    # About .6 s and .05 s on an idle core: what grows with the square of the world would take a hundred times as long.
    assert spent[1] < 40 * spent[0] + 1, spent
    assert len(world.items) == 400
    assert len(world.events) > 30_000


def test_the_catalog_looks_like_a_shop(world: GeneratedWorld) -> None:
    items = world.items
    assert len({item.id for item in items}) == len(items)
    assert all(item.title and item.brand and item.category and (item.price or 0) > 0 for item in items)
    chinese = [item for item in items if item.language == "zh"]
    assert 0.05 < len(chinese) / len(items) < 0.3
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in item.title) for item in chinese)
    groups = Counter(item.group for item in items)
    assert sum(count > 1 for count in groups.values()) > 30, "no variants"
    by_group: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_group[item.group].append(item)
    assert all(len({one.options["size"] for one in group}) == len(group) for group in by_group.values())
    assert 0 < sum(not item.available for item in items) < 40


def test_events_are_in_order_and_well_formed(world: GeneratedWorld) -> None:
    times = [event.time for event in world.events]
    assert times == sorted(times)
    assert [event.id for event in world.events] == sorted({event.id for event in world.events})
    assert {event.type for event in world.events} == set(EventType)
    known = {item.id for item in world.items}
    assert all(event.item in known or event.type is EventType.SEARCH for event in world.events)
    assert all(event.user or event.session for event in world.events)
    assert any(not event.user for event in world.events), "no guests"


def test_the_true_ranking_beats_popularity_by_far(world: GeneratedWorld) -> None:
    user, item, popularity = late_first_purchases(world)
    truth = world.truth.affinity
    assert len(user) > 500
    true_rank = (truth[user] > truth[user, item][:, None]).sum(1)
    popular_rank = (popularity[None] > popularity[item][:, None]).sum(1)
    assert (true_rank < 20).mean() > 3 * (popular_rank < 20).mean()


def test_shuffled_tastes_are_worth_nothing(world: GeneratedWorld, rng: np.random.Generator) -> None:
    """The guard of the test above: somebody else's taste must not predict."""
    user, item, _ = late_first_purchases(world)
    truth = world.truth.affinity
    stranger = rng.permutation(len(truth))[user]
    own = ((truth[user] > truth[user, item][:, None]).sum(1) < 20).mean()
    foreign = ((truth[stranger] > truth[stranger, item][:, None]).sum(1) < 20).mean()
    assert own > 2.5 * foreign


def test_ideal_is_the_order_of_affinity(world: GeneratedWorld) -> None:
    ideal = world.truth.ideal("u0003")
    row = dict(zip(world.truth.items, world.truth.affinity[3].tolist(), strict=True))
    assert sorted(ideal) == sorted(item.id for item in world.items)
    assert [row[item] for item in ideal] == sorted(row.values(), reverse=True)


def test_complements_follow_into_the_basket(world: GeneratedWorld) -> None:
    kind = dict(zip(world.truth.items, world.truth.kinds, strict=True))
    baskets: dict[str, Counter[str]] = defaultdict(Counter)
    for event in world.events:
        if event.type is EventType.PURCHASE:
            baskets[event.session][kind[event.item]] += 1
    assert len(world.truth.complements) == 10
    for first, second in world.truth.complements:
        with_first = [basket for basket in baskets.values() if basket[first]]
        share = np.mean([basket[second] > 0 for basket in with_first])
        usual = np.mean([basket[second] > 0 for basket in baskets.values()])
        assert share > 0.35, (first, second, share)
        assert share > 3 * usual, (first, second, share, usual)


@pytest.mark.parametrize("name", ["milk", "bread", "coffee"])
def test_rhythms_are_kept(world: GeneratedWorld, name: str) -> None:
    """The median gap between purchases of a household's most bought item of the kind is the known rhythm."""
    members = set(world.truth.of_kind(name))
    days: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in world.events:
        if event.type is EventType.PURCHASE and event.item in members and event.user:
            days[event.user, event.item].append(event.time.timestamp() / DAY)
    gaps = [gap for times in days.values() if len(times) >= 4 for gap in np.diff(times) if gap > 0.5]
    assert len(gaps) > 30
    assert np.median(gaps) == pytest.approx(world.truth.rhythm[name], rel=0.2)


def test_clicks_follow_examination_and_taste(world: GeneratedWorld) -> None:
    """Position bias is the known one, once the taste for what was shown is divided out."""
    shown, clicked = np.zeros(8), np.zeros(8)
    for event in world.events:
        if event.place == "home" and event.user and event.position is not None:
            if event.type is EventType.CLICK:
                clicked[event.position] += 1
            elif event.type is EventType.IMPRESSION:
                shown[event.position] += world.truth.click_chance(event.user, event.item, event.position)
    assert clicked[0] / clicked[7] > 2.5, "no position bias"
    assert clicked / shown == pytest.approx(np.ones(8), abs=0.25)


def test_trending_items_rise(world: GeneratedWorld) -> None:
    log, table = world.log, world.table
    rows = table.rows(world.truth.trending)
    seen = (log.type == EVENT_CODES["impression"]) & np.isin(log.item, rows)
    last = seen & (log.time >= world.end - 7 * DAY)
    week_before = seen & (log.time < world.end - 14 * DAY) & (log.time >= world.end - 21 * DAY)
    assert last.sum() > 3 * week_before.sum() > 0


def test_queries_lead_to_clicks_of_their_kind(world: GeneratedWorld) -> None:
    kind = dict(zip(world.truth.items, world.truth.kinds, strict=True))
    clicks = [event for event in world.events if event.place == "search" and event.type is EventType.CLICK]
    plain = [event for event in clicks if event.query in world.truth.kinds]
    assert len(plain) > 0.4 * len(clicks) > 50
    assert all(kind[event.item] == event.query for event in plain)
    assert any("\u4e00" <= letter <= "\u9fff" for event in clicks for letter in event.query)


def test_columns_agree_with_events(small_world: GeneratedWorld) -> None:
    log = small_world.log
    for row in (0, 17, len(log) - 1):
        event = small_world.events[row]
        assert log.time[row] == event.time.timestamp()
        assert log.type[row] == EVENT_CODES[event.type]
        assert small_world.items[log.item[row]].id == event.item or event.type is EventType.SEARCH
        if event.user:
            assert small_world.truth.shoppers[log.user[row]] == event.user
        if event.query:
            assert log.queries[log.query[row]] == event.query
    assert log.n_users > len(small_world.truth.shoppers), "guests have no codes"


def test_a_context_knows_the_past_only(small_world: GeneratedWorld) -> None:
    middle = small_world.spec.opening.timestamp() + 20 * DAY
    context = small_world.context("u0001", until=middle)
    assert 0 < len(context.history) < len(small_world.context("u0001").history)
    assert np.all(context.times < middle)
    assert np.all(np.diff(context.times) >= 0)
    assert len(small_world.context("stranger").history) == 0
    assert np.all(small_world.world(until=middle).log.time < middle)


def test_cold_items_lose_their_events(small_world: GeneratedWorld) -> None:
    world = small_world.world()
    cold = np.array([1, 2], np.int32)
    assert np.isin(world.log.item, cold).any()
    assert not np.isin(without_truth(world, cold).log.item, cold).any()


@pytest.mark.parametrize("n_items", [16, 1_500])
def test_other_sizes_work(n_items: int) -> None:
    world = make_world(WorldSpec(n_items=n_items, n_shoppers=5, days=10))
    assert len(world.items) == n_items == len({item.id for item in world.items})
    assert len({item.title for item in world.items}) > 0.9 * n_items
    assert world.truth.complements
    assert world.events
