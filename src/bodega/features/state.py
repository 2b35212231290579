"""What is remembered of every item: how much it was wanted, when, by what action, and what the catalog says of it.

A counter loses half of itself every 1, 7 or 30 days, or never. Each item's counters stand as of its own newest event
(`clock`); an event that comes late is added with what would be left of it, so that the state after some events does not
depend on the order in which they came, and a batch over a log equals one event after the other (rounding apart).
Serving maps the arrays copy-on-write: what a worker writes is its own.
Cost: 64 bytes an item for the counters, 12 for the facts, 8 for each word; fit of 1M events about 1 s; a write 10 us.
Not for: what one shopper did (the request's `Context` brings that).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bodega.errors import SnapshotCorrupt
from bodega.features._bags import Bags
from bodega.schema import EVENT_CODES, ItemTable, Ratings, World
from bodega.schema.arrays import Codes, Doubles, Floats, Ints

DAY = 86_400.0
HALF_LIVES = (1.0, 7.0, 30.0, np.inf)
"""Days after which a count is worth half."""

ACTIONS = ("looked", "carted", "bought")
_KIND = np.full(len(EVENT_CODES), -1, np.int8)
for _name, _kind in (("view", 0), ("click", 0), ("cart", 1), ("purchase", 2), ("rating", 2)):
    _KIND[EVENT_CODES[_name]] = _kind

_KIND_OF: tuple[int, ...] = tuple(_KIND.tolist())
_RATING = EVENT_CODES["rating"]
_LIVES = np.array(HALF_LIVES) * DAY
_EVERY_LIFE = np.tile(_LIVES, len(ACTIONS))
_WIDTH = len(ACTIONS) * len(HALF_LIVES)

RATINGS = "ratings"
"""Folder of what reviews say, where there are any."""
ARRAYS = ("counts", "clock", "first", "brand", "leaf", "level", "reference")


@dataclass(slots=True, eq=False)
class State:
    """Everything that features remember. n items; all arrays as long as the catalog."""

    counts: Floats
    """(n, actions x half-lives) decayed counts as of `clock`, by action, then by half-life."""
    clock: Doubles
    """(n,) time of the item's newest event, seconds since 1970; -inf: none."""
    first: Doubles
    """(n,) time of the item's first event; +inf: none."""
    brand: Ints
    """(n,) code of the brand, -1 unknown."""
    leaf: Ints
    """(n,) code of the deepest category, -1 unknown."""
    level: Floats
    """(n,) where the price stands among those of its category, 0 cheapest to 1 dearest; .5 unknown."""
    reference: Floats
    """Undecayed counts of all items, ascending, as of `fit`: what a popularity percentile is relative to."""
    bags: Bags
    """Words and attribute values of each item."""
    ratings: Ratings | None = None
    """What reviews say of each item, each as of its own time; None in a shop without any."""

    @classmethod
    def empty(cls, items: ItemTable) -> Self:
        """No events yet."""
        n, leaf = len(items), items.leaf_category
        return cls(
            counts=np.zeros((n, _WIDTH), np.float32),
            clock=np.full(n, -np.inf),
            first=np.full(n, np.inf),
            brand=items.coded["brand"].first(),
            leaf=leaf,
            level=_levels(items.numbers["price"], leaf),
            reference=np.zeros(n, np.float32),
            bags=Bags.of(items),
        )

    @classmethod
    def fit(cls, world: World) -> Self:
        """All events of a log at once."""
        state, log = cls.empty(world.items), world.log
        state.ratings = world.ratings
        kind = _kinds(log.type, log.value)
        rows = np.flatnonzero((log.item >= 0) & (kind >= 0))
        item, time, kind = log.item[rows], log.time[rows], kind[rows]
        np.maximum.at(state.clock, item, time)
        np.minimum.at(state.first, item, time)
        age = state.clock[item] - time
        slot = item.astype(np.int64) * _WIDTH + kind.astype(np.int64) * len(HALF_LIVES)
        for number, life in enumerate(_LIVES):
            share = np.bincount(slot + number, weights=np.exp2(-age / life), minlength=state.counts.size)
            state.counts += share[: state.counts.size].reshape(state.counts.shape).astype(np.float32)
        state.settle()
        return state

    def writes(self, item: int, action: int, time: float, value: float = np.nan) -> None:
        """One event: item index, event code, seconds since 1970, stars of a rating. Only interest counts."""
        kind = _KIND_OF[action]
        if action == _RATING and not value >= 3:
            kind = -1
        if kind < 0 or not 0 <= item < len(self.clock) or not np.isfinite(time):
            return
        clock = self.clock[item]
        own = slice(kind * len(HALF_LIVES), (kind + 1) * len(HALF_LIVES))
        if time >= clock:
            if clock > -np.inf:
                self.counts[item] *= np.exp2((clock - time) / _EVERY_LIFE).astype(np.float32)
            self.clock[item] = time
            self.counts[item, own] += 1
        else:
            self.counts[item, own] += np.exp2((time - clock) / _LIVES).astype(np.float32)
        self.first[item] = min(self.first[item], time)

    def absorb(self, items: Ints, actions: Codes, times: Doubles, values: Floats) -> None:
        """Many events at once, as `writes` one after the other would take them: (n,) each."""
        kind = _kinds(actions, values)
        rows = np.flatnonzero((kind >= 0) & (items >= 0) & (items < len(self.clock)) & np.isfinite(times))
        if not len(rows):
            return
        item, time, kind = items[rows], times[rows], kind[rows]
        touched = np.unique(item)
        before = self.clock[touched]
        np.maximum.at(self.clock, item, time)
        np.minimum.at(self.first, item, time)
        known = np.isfinite(before)
        gap = np.where(known, before - self.clock[touched], 0.0)
        self.counts[touched] *= np.tile(np.exp2(gap[:, None] / _LIVES), len(ACTIONS)).astype(np.float32)
        age = self.clock[item] - time
        slot = np.searchsorted(touched, item) * _WIDTH + kind.astype(np.int64) * len(HALF_LIVES)
        for number, life in enumerate(_LIVES):
            share = np.bincount(slot + number, weights=np.exp2(-age / life), minlength=len(touched) * _WIDTH)
            self.counts[touched] += share.reshape(len(touched), _WIDTH).astype(np.float32)

    def settle(self) -> None:
        """Take the counts as they are now for what percentiles are relative to."""
        self.reference = np.sort(self.ever(np.arange(len(self.clock), dtype=np.int32)))

    def ever(self, items: Ints) -> Floats:
        """All events of interest of each item, undecayed."""
        last = len(HALF_LIVES) - 1
        total: Floats = (
            self.counts[items, last :: len(HALF_LIVES)].sum(axis=1) if len(items) else np.empty(0, np.float32)
        )
        return total

    def recent(self, items: Ints, now: float) -> Floats:
        """(len(items), actions, half-lives) decayed counts as of `now`; an event after it counts whole."""
        gap = np.maximum(now - self.clock[items], 0)
        decay = np.exp2(-np.minimum(gap, 1e12)[:, None] / _LIVES).astype(np.float32)
        held = self.counts[items].reshape(len(items), len(ACTIONS), len(HALF_LIVES))
        out: Floats = held * decay[:, None, :]
        return out

    def percentile(self, items: Ints) -> Floats:
        """Popularity among all items: 0 least, 1 most; ties at their middle."""
        own, n = self.ever(items), max(len(self.reference), 1)
        low = np.searchsorted(self.reference, own, "left")
        high = np.searchsorted(self.reference, own, "right")
        return ((low + high) / (2 * n)).astype(np.float32)

    def with_blank(self) -> Self:
        """The same state with one more row: an item of which nothing is known (one that is newer than the state)."""
        return replace(
            self,
            counts=np.concatenate([self.counts, np.zeros((1, _WIDTH), np.float32)]),
            clock=np.append(self.clock, -np.inf),
            first=np.append(self.first, np.inf),
            brand=np.append(self.brand, np.int32(-1)),
            leaf=np.append(self.leaf, np.int32(-1)),
            level=np.append(self.level, np.float32(0.5)),
            bags=self.bags.with_blank(),
        )

    def apart(self) -> Self:
        """The same state with counters of its own: what is written to one is not in the other."""
        return replace(self, counts=self.counts.copy(), clock=self.clock.copy(), first=self.first.copy())

    def save(self, folder: Path) -> None:
        """Flat arrays; equal states give equal bytes."""
        for name in ARRAYS:
            np.save(folder / f"{name}.npy", np.ascontiguousarray(getattr(self, name)))
        self.bags.save(folder)
        if self.ratings is not None:
            (folder / RATINGS).mkdir()
            self.ratings.save(folder / RATINGS)

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        """Map what `save` wrote, copy-on-write. Raises SnapshotCorrupt for NaN or a wrong shape."""
        n = len(items)
        held = {name: _opened(folder / f"{name}.npy") for name in ARRAYS}
        for name, array in held.items():
            shape = (n, _WIDTH) if name == "counts" else (n,)
            if array.shape != shape or np.isnan(array).any():
                raise SnapshotCorrupt(
                    "the state of the features cannot be used",
                    where=str(folder / f"{name}.npy"),
                    allowed=f"shape {shape}, no NaN",
                    got=f"shape {array.shape}" + (", NaN" if np.isnan(array).any() else ""),
                    next="bodega learn",
                )
        told = folder / RATINGS
        return cls(**held, bags=Bags.load(folder), ratings=Ratings.load(told) if told.is_dir() else None)


def _opened(path: Path) -> NDArray[Any]:
    small = path.stat().st_size <= 4096
    return np.asarray(np.load(path, mmap_mode=None if small else "c", allow_pickle=False))


def _kinds(types: Codes, stars: Floats) -> Codes:
    """Row of ACTIONS of each event, -1 for what is no interest (a rating under 3 stars, an impression)."""
    kind: Codes = _KIND[types]
    poor = (types == EVENT_CODES["rating"]) & ~(stars >= 3)
    return np.where(poor, np.int8(-1), kind)


def _levels(price: Floats, leaf: Ints) -> Floats:
    """Percentile of each price inside its category."""
    out = np.full(len(price), 0.5, np.float32)
    known = np.flatnonzero(np.isfinite(price))
    order = known[np.lexsort((price[known], leaf[known]))]
    starts = np.flatnonzero(np.diff(leaf[order], prepend=-2))
    sizes = np.diff([*starts, len(order)])
    place = np.arange(len(order)) - np.repeat(starts, sizes)
    out[order] = (place + 0.5) / np.repeat(sizes, sizes)
    return out
