"""A generated world that does not stand still: tastes turn, kinds come into fashion, goods arrive; the truth of a day.

    turn      every shopper's taste turns by so much (radians) towards another shopper's; how different people are from
              each other stays the same
    season    what each kind gains or loses with everybody by the end (deviation of the affinity)
    late      part of the catalog that arrives one by one while the shop is open

The same world, change and seed give the same days, in whatever order they are asked for. Not for: claims about real
shops.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np

from bodega.schema import Availability, Event, Item
from bodega.schema.arrays import Doubles, Flags
from bodega.testing._visits import CLICK_AT
from bodega.testing.world import GeneratedWorld

DAY = 86_400.0
ARRIVED = 0.75
"""Part of the time after which all goods are there."""


@dataclass(frozen=True, slots=True)
class Change:
    """How much changes from the first day to the last."""

    turn: float = 0.0
    season: float = 0.0
    late: float = 0.0


class Tastes:
    """Who likes what on which day, and what is for sale by then."""

    def __init__(self, world: GeneratedWorld, change: Change, days: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 11])
        truth = world.truth
        mean = truth.affinity.mean(axis=0).astype(np.float64)
        self._mean, own = mean, truth.affinity - mean
        shoppers, n_items = own.shape
        self._own, self._other = own, own[np.roll(np.arange(shoppers), 1)[rng.permutation(shoppers)]]
        kinds = sorted(set(truth.kinds))
        fashion = change.season * rng.standard_normal(len(kinds))
        self._fashion = fashion[[kinds.index(kind) for kind in truth.kinds]]
        self.world, self._turn, self._days = world, change.turn, max(days, 1)
        late = rng.permutation(n_items)[: round(change.late * n_items)]
        self.arrives = np.full(n_items, -1)
        """(n_items,): the day on which an item arrives, -1: it was there before."""
        self.arrives[late] = 1 + np.arange(len(late)) * max(round(ARRIVED * days) - 1, 1) // max(len(late), 1)
        self._there = np.array([item.availability is not Availability.OUT_OF_STOCK for item in world.items], np.bool_)

    def liking(self, day: int) -> Doubles:
        """Chance of a click on an item that is looked at: (n_shoppers, n_items)."""
        part = min(day / self._days, 1.0)
        angle = self._turn * part
        affinity = self._mean + np.cos(angle) * self._own + np.sin(angle) * self._other + part * self._fashion
        found: Doubles = 1.0 / (1.0 + np.exp(CLICK_AT - affinity))
        return found

    def for_sale(self, day: int) -> Flags:
        """What can be bought on this day: (n_items,)."""
        there: Flags = self._there & (self.arrives <= day)
        return there

    def arrivals(self, day: int) -> list[Item]:
        """What arrives on this day."""
        moment = datetime.fromtimestamp(self.world.end + day * DAY, UTC)
        rows = np.flatnonzero(self.arrives == day).tolist() if day > 0 else []
        return [msgspec.structs.replace(self.world.items[row], created=moment) for row in rows]

    def start(self) -> tuple[list[Item], list[Event]]:
        """What the shop sells, and what it knows of its shoppers, on the first day."""
        names = {item.id for item, day in zip(self.world.items, self.arrives.tolist(), strict=True) if day >= 0}
        items = [item for item in self.world.items if item.id not in names]
        events = [event for event in self.world.events if event.item not in names]
        return items, [msgspec.structs.replace(event, request_id="") for event in events]
