"""What a shopper has had enough of sinks: shown without a click, nearly dismissed, bought for good."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.ranking.diversify import Diversify, Diversity, Likeness, Shown, Tired
from bodega.schema import EVENT_CODES, Candidates, Context, Item, ItemTable
from bodega.schema.arrays import Ints

DAY = 86_400.0
NOW = 1e9
TABLE = ItemTable.of(
    [
        Item(id="kettle", title="Steel kettle", category=("Kitchen",)),
        Item(id="red", title="Summer dress red", brand="Moda", category=("Clothes", "Dresses")),
        Item(id="blue", title="Summer dress blue", brand="Moda", category=("Clothes", "Dresses")),
        Item(id="grill", title="Garden grill", category=("Garden",)),
        Item(id="milk", title="Fresh milk", category=("Food",)),
    ]
)
KETTLE, RED, BLUE, GRILL, MILK = range(5)
ROWS: Ints = np.arange(5, dtype=np.int32)


class Habits:
    """Milk is bought again by 95 of 100, nothing else by more than 5."""

    propensity = np.array([-3.0, -3.0, -3.0, -3.0, 3.0], np.float32)


def tired(context: Context, half_life: float = 7.0) -> np.ndarray:
    return Tired(Likeness((TABLE,)), Habits()).of(context, ROWS, ROWS, half_life).most


def shown(*times: float, item: int = KETTLE) -> Context:
    return Context(now=NOW, shown=np.full(len(times), item, np.int32), shown_times=np.array(times, np.float64))


def bought(item: int, days_ago: float) -> Context:
    return Context(
        now=NOW,
        history=np.array([item], np.int32),
        times=np.array([NOW - days_ago * DAY]),
        actions=np.array([EVENT_CODES["purchase"]], np.int8),
    )


def test_nobody_is_tired_of_anything() -> None:
    assert tired(Context(now=NOW)).tolist() == [0, 0, 0, 0, 0]


def test_three_looks_without_a_click_wear_an_item_to_the_half() -> None:
    assert tired(shown(NOW, NOW, NOW))[KETTLE] == pytest.approx(0.5)
    assert tired(shown(NOW, NOW, NOW))[RED] == 0
    assert tired(shown(NOW))[KETTLE] < tired(shown(NOW, NOW))[KETTLE]


def test_weariness_of_what_was_shown_wears_off() -> None:
    fresh, week = tired(shown(NOW, NOW, NOW))[KETTLE], tired(shown(*[NOW - 7 * DAY] * 3))[KETTLE]
    assert week == pytest.approx(1.5 / 4.5)
    assert tired(shown(*[NOW - 700 * DAY] * 3))[KETTLE] < 1e-6 < fresh


def test_an_impression_of_the_future_counts_as_new() -> None:
    assert tired(shown(NOW + DAY))[KETTLE] == pytest.approx(0.25)


def test_what_is_nearly_what_was_dismissed_sinks_with_it() -> None:
    found = tired(Context(now=NOW, disliked=np.array([RED], np.int32)))
    assert found[RED] == pytest.approx(1, abs=1e-5)
    assert 0 < found[BLUE] < 1
    assert found[KETTLE] == found[GRILL] == 0


def test_what_nobody_buys_again_sinks_after_a_purchase_and_returns() -> None:
    assert tired(bought(GRILL, 0))[GRILL] > 0.9
    assert tired(bought(GRILL, 30))[GRILL] == pytest.approx(tired(bought(GRILL, 0))[GRILL] / 2)
    assert tired(bought(MILK, 0))[MILK] < 0.1


def test_a_view_is_no_purchase() -> None:
    context = bought(GRILL, 0)
    seen = Context(now=NOW, history=context.history, times=context.times, actions=np.zeros(1, np.int8))
    assert tired(seen)[GRILL] == 0


def test_items_unknown_to_the_context_are_fresh() -> None:
    unknown = np.array([-1, -1], np.int32)
    found = Tired(Likeness((TABLE,)), Habits()).of(shown(NOW), ROWS[:2], unknown, 7.0)
    assert found.most.tolist() == [0, 0]


def test_a_tired_item_moves_down_the_list_and_stays_on_it() -> None:
    score = np.linspace(1, 0, 5, dtype=np.float32)
    candidates = Candidates(ROWS, score.reshape(-1, 1), score, ("popular",))
    stage = Diversify(Shown((TABLE,)), {"home": Diversity(fatigue=0.6)})
    assert stage.rank(Context(now=NOW), candidates) is candidates
    worn = stage.rank(shown(*[NOW] * 9), candidates)
    assert worn.items.tolist() == [RED, KETTLE, BLUE, GRILL, MILK]
    assert stage.rank(shown(*[NOW] * 9), candidates).items.tobytes() == worn.items.tobytes()
