"""What do we know right now, about this item, this shopper and how they fit? One definition trains and serves.

A `Feature` turns (context, items, state) into named columns of numbers. What it has to remember lies in the `State`:
counters that every event writes (`State.writes`), and what the catalog says of each item. Training computes the columns
with the state as `State.fit` finds it in a log; serving with the same state, written on event by event. A test replays
a log and compares the two value by value; events may come late or out of order, the state is the same.

All columns are finite float32 and describe the item or the shopper, never their ids. What the sources think of an item
is not here (`ranking.learned.opinions` has it, under the same protocol): this floor lies below the sources.
Cost: 500 items x 24 columns in .3 ms; a state of 100,000 items 25 MB. Not for: scores, order, anything learned.
Paper: the form (state, writes, value) follows Metarank's features; McMahan et al. 2013 (decayed counts in production).
"""

from __future__ import annotations

from bodega.features.feature import Asked, Feature, table, widths
from bodega.features.items import Attention, Price
from bodega.features.match import Match
from bodega.features.moment import Moment
from bodega.features.reviews import Reviewed
from bodega.features.shopper import Affinity, Habits, Touched
from bodega.features.state import State

__all__ = [
    "STANDARD",
    "Affinity",
    "Asked",
    "Attention",
    "Feature",
    "Habits",
    "Match",
    "Moment",
    "Price",
    "Reviewed",
    "State",
    "Touched",
    "every",
    "table",
    "widths",
]

STANDARD: tuple[Feature, ...] = (Attention(), Price(), Habits(), Touched(), Affinity(), Match(), Moment())
"""The features of every ranker, in the order of their columns."""


def every(features: tuple[Feature, ...], state: State) -> tuple[Feature, ...]:
    """The features and those that this state knows enough for: reviews cost nothing where there are none."""
    return features if state.ratings is None else (*features, Reviewed())
