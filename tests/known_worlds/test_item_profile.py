"""A shop whose kinds are known: half of it is named, half is only shown, and people want things of one kind together.

Six kinds of ten items. Even items have a word of their kind, odd ones only a picture of it; a third has both. What a
word means in pictures is told by those that have both, what belongs together by the log.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest

from bodega.evaluation.splits import sequence_log
from bodega.protocols import EncoderInfo
from bodega.retrieval._behaviour import Behaviour
from bodega.retrieval.profile import Profile, Senses
from bodega.schema import Context, Item, ItemTable, World
from bodega.schema.arrays import Floats, Ints
from bodega.testing.fakes import FakeEncoder
from bodega.understanding.profile import ProfileOptions

KINDS = ("lamp", "mug", "rug", "boot", "scarf", "drill")
EACH = 15
LOOKS = np.random.default_rng(11).standard_normal((len(KINDS), 16)).astype(np.float32)
NO_PICTURE = np.empty(0, np.float32)


class Looks:
    """Pictures of a kind are near one direction; the reference names the item."""

    info: EncoderInfo | None = EncoderInfo("looks", 16, "0" * 16)

    def of(self, references: Sequence[str]) -> Floats:
        rows = [looks(int(name)) if name.isdigit() else np.zeros(16, np.float32) for name in references]
        return np.stack(rows) if rows else np.zeros((0, 16), np.float32)


def looks(number: int) -> Floats:
    noise = np.random.default_rng(number).standard_normal(16)
    row = LOOKS[number % len(KINDS)] + 0.3 * noise
    return (row / np.linalg.norm(row)).astype(np.float32)


def catalog() -> ItemTable:
    """Item n is of kind n % 6; by its row within the kind it is named, shown, or both."""
    items = []
    for number in range(len(KINDS) * EACH):
        kind, way = KINDS[number % len(KINDS)], number // len(KINDS) % 3
        title = f"{kind} model {number}" if way != 1 else f"article {number}"
        items.append(Item(id=f"i{number}", title=title, images=(str(number),) if way else ()))
    return ItemTable.of(items)


def log_of(n_shoppers: int = 120) -> list[Ints]:
    """Everybody wants five things of one kind; the last three of each kind are wanted by nobody."""
    rng = np.random.default_rng(5)
    wanted = EACH - 3
    return [
        (rng.choice(wanted, 5, replace=False) * len(KINDS) + rng.integers(len(KINDS))).astype(np.int32)
        for _ in range(n_shoppers)
    ]


@pytest.fixture(scope="module")
def world() -> World:
    log = sequence_log(log_of())
    return World(catalog(), log, until=float(log.time[-1]) + 1)


@pytest.fixture(scope="module")
def senses() -> Senses:
    return Senses(lambda world: FakeEncoder(), lambda info: FakeEncoder(), Looks())


@pytest.fixture(scope="module")
def profile(world: World, senses: Senses) -> Profile:
    return Profile(senses, ProfileOptions(dimensions=32, steps=(150, 150))).fit(world)


def share(found: Ints, kind: int, k: int = 10) -> float:
    return float(np.mean(found[:k] % len(KINDS) == kind))


def nearest(profile: Profile, context: Context) -> Ints:
    return profile.retrieve(context, 10).items


def around(row: int) -> Context:
    return Context(place="similar", items=np.array([row], np.int32))


def test_all_parts_together_know_the_kind(profile: Profile, world: World) -> None:
    found = [share(nearest(profile, around(row)), row % len(KINDS)) for row in range(len(world.items))]
    assert np.mean(found) > 0.9


def test_what_nobody_touched_is_found_by_its_word_or_its_picture(profile: Profile, world: World) -> None:
    cold = range(len(KINDS) * (EACH - 3), len(world.items))
    assert np.mean([share(nearest(profile, around(row)), row % len(KINDS)) for row in cold]) > 0.8


def test_a_photo_finds_items_that_have_no_picture(profile: Profile, world: World) -> None:
    """Only the items with both tell which word looks how."""
    named_only = np.array([row for row in range(len(world.items)) if row // len(KINDS) % 3 == 0], np.int32)
    hits = []
    for kind in range(len(KINDS)):
        scores = profile.score(Context(place="search", picture=looks(600 + kind)), named_only)
        hits.append(share(named_only[np.argsort(-scores)], kind, k=4))
    assert np.mean(hits) > 0.6  # by chance 1 in 6


def test_words_find_what_is_only_shown(profile: Profile, world: World) -> None:
    shown_only = np.array([row for row in range(len(world.items)) if row // len(KINDS) % 3 == 1], np.int32)
    hits = []
    for kind, word in enumerate(KINDS):
        scores = profile.score(Context(place="search", query=word), shown_only)
        hits.append(share(shown_only[np.argsort(-scores)], kind, k=4))
    assert np.mean(hits) > 0.6


def test_photo_and_words_are_one_question(profile: Profile) -> None:
    both = profile.question("mug", looks(600))
    photo, words = profile.question("", looks(600)), profile.question("mug", NO_PICTURE)
    assert both is not None
    assert photo is not None
    assert words is not None
    assert float(both @ photo) > float(words @ photo)
    assert float(both @ words) > float(words @ photo)


def test_new_items_join_with_what_they_have(profile: Profile, world: World) -> None:
    new = ItemTable.of(
        [Item(id="n0", title="drill brand new"), Item(id="n1", title="just in", images=("605",)), Item(id="n2")]
    )
    beside = profile.beside(new)
    boot, drill = KINDS.index("boot"), KINDS.index("drill")
    rows = np.arange(3, dtype=np.int32)
    of_drill, of_boot = beside.score(around(drill), rows), beside.score(around(boot), rows)
    assert (of_drill[:2] > of_boot[:2]).all()
    assert np.isnan(of_drill[2])
    told = profile.gates(rows)
    assert all(abs(sum(each.values()) - 1) < 0.02 for each in told)
    assert [set(each) for each in beside.gates(rows)] == [{"text", "words"}, {"text", "image"}, set()]


def test_a_new_item_has_its_profile_within_fifty_milliseconds(profile: Profile) -> None:
    """CPU time of this thread, the median of nine: text, words and picture read, projected, gated, indexed."""
    table = ItemTable.of([Item(id="n0", title="drill brand new", images=("605",))])
    spent = []
    for _ in range(9):
        began = time.thread_time()
        made = profile.beside(table)
        spent.append(time.thread_time() - began)
        assert len(made) == 1
        assert set(made.gates(np.zeros(1, np.int32))[0]) == {"text", "words", "image"}
    assert np.median(spent) < 0.05


def test_looking_through_one_modality_sees_only_what_has_it(profile: Profile, world: World) -> None:
    pictures = profile.looking(world, "image")
    rows = np.arange(len(world.items), dtype=np.int32)
    seen = np.isfinite(pictures.score(Context(place="search", picture=looks(601)), rows))
    assert seen.tolist() == [row // len(KINDS) % 3 != 0 for row in rows.tolist()]


def test_a_shop_without_pictures_or_events_still_answers(world: World) -> None:
    silent = World(world.items, sequence_log([]), until=0.0)
    plain = Profile(options=ProfileOptions(dimensions=16, steps=(20, 20))).fit(silent)
    assert plain.modalities == ("words",)
    assert share(nearest(plain, around(0)), 0, k=4) == 1.0
    assert plain.question("", looks(600)) is None  # it never learned to look
    assert len(nearest(plain, Context(place="search", picture=looks(600)))) == 0


def test_links_of_the_shop_teach_what_the_catalog_does_not_say(senses: Senses) -> None:
    """Lamps are linked with rugs, mugs with boots, scarves with drills: nothing in word or picture says so."""
    table = catalog()
    pair = {0: 2, 2: 0, 1: 3, 3: 1, 4: 5, 5: 4}
    hidden = set(range(len(KINDS) * (EACH - 3), len(table)))

    def with_links(row: int) -> Item:
        item = table.item(row)
        ids = tuple(f"i{other}" for other in range(len(table)) if other % 6 == pair[row % 6] and other not in hidden)
        return item if row in hidden else Item(id=item.id, title=item.title, images=item.images, links={"related": ids})

    told = ItemTable.of(with_links(row) for row in range(len(table)))
    source = Profile(senses, ProfileOptions(dimensions=32, steps=(150, 150))).fit(World(told, sequence_log([]), 0.0))
    got = [source.score(around(row), np.arange(len(table), dtype=np.int32)) for row in sorted(hidden)]
    lift = []
    for row, scores in zip(sorted(hidden), got, strict=True):
        kinds = np.arange(len(table)) % 6
        others = ~np.isin(kinds, (row % 6, pair[row % 6]))
        lift.append(np.nanmean(scores[kinds == pair[row % 6]]) - np.nanmean(scores[others]))
    assert np.mean(lift) > 0.1


def test_pairs_are_taught_with_places_that_do_not_know_them() -> None:
    """A pair that one shopper alone made is in the places of the other half's pairs, never in its own."""
    rows = log_of(200)
    done = Behaviour.of(sequence_log(rows), len(KINDS) * EACH, 8, seed=7)
    assert done is not None
    shares = [places.events.sum() for places, _ in done.halves]
    assert sum(shares) == done.taught.events.sum() < done.whole.events.sum() == sum(map(len, rows))
    (first, own), (second, _) = done.halves
    only_first = np.flatnonzero((first.events > 0) & (second.events == 0))
    assert np.isin(own.left, np.flatnonzero(first.events)).all()
    assert not second.vectors[only_first].any()


def test_too_short_a_log_says_nothing() -> None:
    assert Behaviour.of(sequence_log([np.array([0, 1], np.int32)]), 5, 8, seed=7) is None
