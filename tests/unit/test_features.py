"""Does each feature say what its name says? Small catalogs whose values are known on paper; and hostile requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bodega.errors import SnapshotCorrupt
from bodega.features import STANDARD, Asked, Feature, State, table, widths
from bodega.features.state import DAY
from bodega.schema import EVENT_CODES, Candidates, Context, Item, ItemTable

BOUGHT, LOOKED = EVENT_CODES["purchase"], EVENT_CODES["view"]

ITEMS = ItemTable.of(
    [
        Item(id="a", title="red trail shoe", brand="North", category=("Shoes", "Trail"), price=50.0),
        Item(id="b", title="blue trail shoe", brand="North", category=("Shoes", "Trail"), price=100.0),
        Item(id="c", title="green tea", brand="Leaf", category=("Food", "Tea"), price=4.0),
        Item(id="d", title="black tea", brand="Leaf", category=("Food", "Tea")),
        Item(id="e", title="gift card"),
    ]
)
ALL = np.arange(len(ITEMS), dtype=np.int32)


def asked(state: State, history: list[int], *, now: float = 10 * DAY, anchors: list[int] | None = None) -> Asked:
    held = np.array(history, np.int32)
    context = Context(
        "home", now, held, np.arange(len(held)) * 60.0, np.full(len(held), BOUGHT, np.int8),
        np.array(anchors or [], np.int32),
    )  # fmt: skip
    scores = np.full((len(ALL), 1), np.nan, np.float32)
    return Asked(context, Candidates(ALL, scores, scores[:, 0], ("none",)), state)


def named(question: Asked) -> dict[str, np.ndarray]:
    return dict(zip(widths(STANDARD, ("none",)), table(STANDARD, question), strict=True))


@pytest.fixture
def state() -> State:
    """a: bought on days 3 and 10, seen on day 10; c: bought on day 9; nothing else happened."""
    state = State.empty(ITEMS)
    for item, action, day in ((0, BOUGHT, 3), (0, BOUGHT, 10), (0, LOOKED, 10), (2, BOUGHT, 9)):
        state.writes(item, action, day * DAY)
    state.settle()
    return state


def test_counts_lose_half_in_their_half_life(state: State) -> None:
    seen = named(asked(state, []))
    np.testing.assert_allclose(np.expm1(seen["item.bought7"]), [1.5, 0, 2 ** (-1 / 7), 0, 0], rtol=1e-5)
    np.testing.assert_allclose(np.expm1(seen["item.bought1"]), [1 + 2**-7, 0, 0.5, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(np.expm1(seen["item.looked7"]), [1, 0, 0, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(np.expm1(seen["item.ever"]), [3, 0, 1, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(np.expm1(seen["item.age"])[[0, 2]], [7, 1], rtol=1e-5)
    np.testing.assert_allclose(np.expm1(seen["item.rest"])[[0, 2]], [0, 1], atol=1e-5)


def test_popularity_is_a_percentile_with_ties_in_the_middle(state: State) -> None:
    np.testing.assert_allclose(named(asked(state, []))["item.popularity"], [0.9, 0.3, 0.7, 0.3, 0.3], rtol=1e-5)


def test_what_the_shopper_touched_is_counted_in_steps(state: State) -> None:
    seen = named(asked(state, [2, 1, 0]))
    np.testing.assert_allclose(seen["touched.item"], [1, 1 / 2, 1 / 3, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(seen["touched.category"], [1, 1, 1 / 3, 1 / 3, 0], rtol=1e-5)
    np.testing.assert_allclose(seen["touched.brand"], [1, 1, 1 / 3, 1 / 3, 0], rtol=1e-5)
    np.testing.assert_allclose(np.expm1(named(asked(state, [0, 2, 0]))["touched.times"]), [2, 0, 1, 0, 0], rtol=1e-5)


def test_affinity_is_the_faded_share_of_the_history(state: State) -> None:
    seen = named(asked(state, [2, 0]))
    np.testing.assert_allclose(seen["affinity.category"], [1 / 1.8, 1 / 1.8, 0.8 / 1.8, 0.8 / 1.8, 0], rtol=1e-5)
    np.testing.assert_array_equal(seen["affinity.category"], seen["affinity.brand"])


def test_prices_stand_within_their_category(state: State) -> None:
    seen = named(asked(state, [1]))
    np.testing.assert_allclose(seen["price.level"], [0.25, 0.75, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(seen["price.gap"], [0.5, 0, 0.25, 0.25, 0.25])


def test_match_reads_words_and_brands(state: State) -> None:
    seen = named(asked(state, [2, 0]))
    assert seen["match.last"][0] == pytest.approx(1, abs=1e-5)
    assert seen["match.last"][1] > 0.3
    assert seen["match.last"][2:4].max() == 0
    assert seen["match.best"][3] > 0.2
    newest, before = (named(asked(state, [item]))["match.last"] for item in (0, 2))
    np.testing.assert_allclose(seen["match.profile"], (newest + 0.8 * before) / 1.8, rtol=1e-4, atol=1e-6)


def test_anchors_stand_in_for_the_history(state: State) -> None:
    seen = named(asked(state, [2], anchors=[0]))
    assert seen["match.last"][0] == pytest.approx(1, abs=1e-5)
    assert seen["shopper.anchors"][0] == pytest.approx(np.log1p(1))


@pytest.mark.parametrize("feature", STANDARD, ids=lambda feature: feature.name)
@pytest.mark.parametrize(
    "history", [[], [4], list(range(5)) * 2_000, [0] * 10_000], ids=["nothing", "one", "10,000", "one 10,000 times"]
)
def test_hostile_histories_give_finite_numbers(feature: Feature, history: list[int], state: State) -> None:
    question = asked(state, history, now=-1e15)
    got = feature.value(question)
    assert got.shape == (len(feature.columns(("none",))), len(ALL))
    assert got.dtype == np.float32
    assert np.isfinite(got).all()
    none = Asked(question.context, question.candidates.take(np.empty(0, np.int64)), state)
    assert feature.value(none).shape == (len(got), 0)


@pytest.mark.parametrize("feature", STANDARD, ids=lambda feature: feature.name)
def test_an_item_is_described_alike_whatever_stands_beside_it(feature: Feature, state: State) -> None:
    question = asked(state, [1, 2])
    alone = [Asked(question.context, question.candidates.take(np.array([row])), state) for row in ALL]
    one_by_one = np.concatenate([feature.value(each) for each in alone], axis=1)
    np.testing.assert_allclose(feature.value(question), one_by_one, rtol=1e-5, atol=1e-6)


def test_a_catalog_without_words_or_events_is_described() -> None:
    bare = ItemTable.of([Item(id=str(number)) for number in range(5)])
    seen = named(asked(State.empty(bare), [0, 1]))
    assert all(np.isfinite(value).all() for value in seen.values())


def test_a_state_with_nan_is_refused(state: State, tmp_path: Path) -> None:
    state.save(tmp_path)
    counts = state.counts.copy()
    counts[2, 3] = np.nan
    np.save(tmp_path / "counts.npy", counts)
    with pytest.raises(SnapshotCorrupt, match="NaN"):
        State.load(tmp_path, ITEMS)
    np.save(tmp_path / "counts.npy", counts[:-1])
    with pytest.raises(SnapshotCorrupt, match="shape"):
        State.load(tmp_path, ITEMS)
