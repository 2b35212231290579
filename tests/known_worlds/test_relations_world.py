"""Substitutes and complements where the answer is known on paper: torches, batteries, and what is only looked at."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.retrieval.relations import Complements, RelationOptions, Substitutes
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World
from bodega.testing.world import make_world

DAY = 86_400.0
TORCH, LAMP, BATTERIES, MILK, TENT, RADIO = range(6)


def world_of(visits, n_items=6):
    """visits: (user, day, looked, bought); everything of one visit is one session, a minute apart."""
    rows = []
    for number, (user, day, looked, bought) in enumerate(visits):
        deeds = [("view", item) for item in looked] + [("purchase", item) for item in bought]
        rows += [(day * DAY + 60 * at, kind, user, number, item) for at, (kind, item) in enumerate(deeds)]
    rows.sort(key=lambda row: row[0])
    n = len(rows)
    log = Log(
        time=np.array([row[0] for row in rows], np.float64),
        type=np.array([EVENT_CODES[row[1]] for row in rows], np.int8),
        user=np.array([row[2] for row in rows], np.int32),
        session=np.array([row[3] for row in rows], np.int32),
        item=np.array([row[4] for row in rows], np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=1 + max((visit[0] for visit in visits), default=0),
        n_sessions=len(visits),
    )
    return World(ItemTable.of(Item(id=str(row)) for row in range(n_items)), log, 100 * DAY)


def market():
    """40 buy a torch with batteries after comparing it with a lamp; 400 buy batteries, all buy milk; tents alone."""
    visits = []
    for user in range(40):
        visits.append((user, 1, [TORCH, LAMP, BATTERIES], [TORCH, BATTERIES, MILK]))
    for user in range(40, 60):
        visits.append((user, 2, [LAMP, TORCH], [LAMP, MILK]))
    for user in range(60, 440):
        visits.append((user, 3, [BATTERIES], [BATTERIES, MILK]))
    for user in range(440, 500):
        visits.append((user, 4, [TENT], [TENT]))
    return visits


def around(item, place):
    return Context(place=place, now=100 * DAY, items=np.array([item], np.int32))


def listed(source, item, place):
    return source.retrieve(around(item, place), 10).items.tolist()


def test_a_complement_has_a_direction():
    source = Complements(RelationOptions(direction=0.2)).fit(world_of(market()))
    assert listed(source, TORCH, "together")[0] == BATTERIES, "every torch was sold with batteries"
    assert TORCH not in listed(source, BATTERIES, "together"), "one in ten batteries was sold with a torch"
    assert TENT not in listed(source, TORCH, "together")


def test_popularity_is_corrected():
    """A torch is bought with milk 45 times and with batteries 40 times; everybody buys milk, few buy batteries."""
    visits = [(user, 1, [], [TORCH, MILK]) for user in range(45)]
    visits += [(user, 1, [], [TORCH, BATTERIES]) for user in range(45, 85)]
    visits += [(user, 1, [], [MILK, TENT]) for user in range(85, 1085)]
    world = world_of(visits)
    plain = Complements(RelationOptions(correction=0.0)).fit(world)
    assert listed(plain, TORCH, "basket") == [MILK, BATTERIES]
    assert listed(Complements().fit(world), TORCH, "basket") == [BATTERIES, MILK]


def test_the_two_lists_share_no_item():
    """Torch and lamp are compared and never bought together; torch and batteries are compared *and* bought together."""
    world = world_of(market())
    substitutes, complements = Substitutes().fit(world), Complements().fit(world)
    assert listed(substitutes, TORCH, "similar") == [LAMP]
    assert LAMP not in listed(complements, TORCH, "together")
    assert BATTERIES not in listed(substitutes, TORCH, "similar")
    for item in range(6):
        assert not set(listed(substitutes, item, "similar")) & set(listed(complements, item, "together"))


def test_two_of_a_hundred_comparisons_do_not_make_a_complement():
    """Two lamps are compared in 100 visits, each bought in 50, both in 2: still alternatives."""
    visits = [(user, 1, [TORCH, LAMP], [TORCH] if user % 2 else [LAMP]) for user in range(98)]
    visits += [(user, 1, [TORCH, LAMP], [TORCH, LAMP]) for user in (98, 99)]
    world = world_of(visits)
    assert listed(Substitutes().fit(world), TORCH, "similar") == [LAMP]
    assert listed(Complements().fit(world), TORCH, "together") == []


def test_what_is_bought_after_is_a_complement_onwards_only():
    """The radio is bought a week after the tent, never with it."""
    visits = []
    for user in range(30):
        visits += [(user, 1, [], [TENT]), (user, 8, [], [RADIO])]
    world = world_of(visits)
    source = Complements(RelationOptions(later=0.3, direction=0.2)).fit(world)
    assert listed(source, TENT, "together") == [RADIO]
    assert listed(source, RADIO, "together") == []
    late = Complements(RelationOptions(later_days=3.0)).fit(world)
    assert listed(late, TENT, "together") == []


@pytest.mark.parametrize("source", [Substitutes, Complements])
@pytest.mark.parametrize("place", ["home", "search", "popular", "category", "repeat", "trending", "recent"])
def test_silent_elsewhere(source, place):
    fitted = source().fit(world_of(market()))
    assert len(fitted.retrieve(around(TORCH, place), 10)) == 0
    history = Context(
        place="similar", history=np.array([TORCH], np.int32), times=np.zeros(1), actions=np.zeros(1, np.int8)
    )
    assert len(fitted.retrieve(history, 10)) == 0, "without an anchor there is nothing to answer"


@pytest.mark.parametrize("source", [Substitutes, Complements])
def test_one_visit_is_not_believed(source):
    world = world_of([(0, 1, [TORCH, LAMP], [TENT, RADIO])])
    for item in range(6):
        assert listed(source().fit(world), item, "together") == []


def test_a_log_without_views_has_no_substitutes():
    world = world_of([(user, day, [], bought) for user, day, _, bought in market()])
    assert listed(Substitutes().fit(world), TORCH, "similar") == []
    assert listed(Complements().fit(world), TORCH, "together")[0] == BATTERIES


def test_the_generated_shop_is_told_apart():
    """Of the first five around each item: substitutes are of its kind, complements of a kind that follows it."""
    generated = make_world()
    world, kinds = generated.world(), np.array(generated.truth.kinds)
    follows = {}
    for kind, after in generated.truth.complements:
        follows.setdefault(kind, set()).add(after)
    substitutes, complements = Substitutes().fit(world), Complements().fit(world)
    alike, follow, mixed = [], [], []
    for item in range(len(world.items)):
        for other in listed(substitutes, item, "similar")[:5]:
            alike.append(kinds[other] == kinds[item])
        for other in listed(complements, item, "together")[:5]:
            mixed.append(kinds[other] == kinds[item])
            if kinds[item] in follows:
                follow.append(kinds[other] in follows[kinds[item]])
    assert np.mean(alike) > 0.9, np.mean(alike)  # measured .95; transition .72
    assert np.mean(follow) > 0.5, np.mean(follow)  # measured .58; by chance .05
    assert np.mean(mixed) < 0.05, np.mean(mixed)
