"""May the frozen ranker be corrected by what shoppers just did? Small, bounded steps, and only while they prove right.

    impression, clicked or not, at a place -> chance = sigmoid(offset of the place + w . x)
                                           -> judged first, then learned from (progressive validation)
    the guard                              -> the correction is used only while the lower bound of its gain is above 0

`Correction` is a linear model over a few features of an item (and one number an item), learned by FTRL-proximal with
per-coordinate rates. Position bias is in the offset: how often a place is clicked whatever stands there, so a step only
learns what the place does not explain. Each weight and the whole correction are bounded, and one item teaches at most
`PER_PERSON` times from one shopper: a farm of few accounts moves little, however often it clicks.
Cost: 15 microseconds an impression; a request adds one product. Off by default (docs/decisions/0033).
Papers: McMahan et al. 2013 (FTRL-proximal in production); Duchi, Hazan & Singer 2011; Blum, Kalai & Langford 1999
(progressive validation). Not for: replacing what `learn` does.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from bodega.errors import SnapshotCorrupt
from bodega.schema.arrays import Doubles, Floats, Ints

MOST: Final = 0.5
"""The correction moves no item by more (in deviations of the order's scores)."""
PER_PERSON: Final = 5
"""Impressions of one item to one shopper that are learned from, clicked or not: counting clicks alone would bias it."""
PEOPLE: Final = 200_000
"""(shopper, item) pairs whose impressions are remembered, the newest: 30 MB."""
WINDOW: Final = 2_000
"""Newest impressions that the guard looks back on."""
SURE: Final = 2.58
"""Deviations of the lower bound: 99.5 % one-sided, since it is looked at again and again."""
FEWEST: Final = 500
"""Impressions before a correction may be used at all."""
PLACES: Final = 50


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of FTRL-proximal (McMahan 2013, algorithm 1)."""

    alpha: float = 0.1
    beta: float = 1.0
    l1: float = 0.5
    l2: float = 1.0


@dataclass
class Weights:
    """FTRL-proximal over numbered coordinates: z and n of each that was ever touched."""

    rates: Rates = field(default_factory=Rates)
    z: dict[int, float] = field(default_factory=dict)
    n: dict[int, float] = field(default_factory=dict)

    def at(self, key: int) -> float:
        """The weight of one coordinate, at most `MOST` either way."""
        z = self.z.get(key, 0.0)
        rates = self.rates
        if abs(z) <= rates.l1:
            return 0.0
        held = -(z - math.copysign(rates.l1, z)) / ((rates.beta + math.sqrt(self.n[key])) / rates.alpha + rates.l2)
        return max(-MOST, min(MOST, held))

    def step(self, key: int, gradient: float) -> None:
        """One step down the gradient of the loss."""
        n = self.n.get(key, 0.0)
        sigma = (math.sqrt(n + gradient * gradient) - math.sqrt(n)) / self.rates.alpha
        self.z[key] = self.z.get(key, 0.0) + gradient - sigma * self.at(key)
        self.n[key] = n + gradient * gradient


class Guard:
    """Is the corrected prediction better than the frozen one on what came after? Losses are kept in a moving window."""

    def __init__(self, window: int = WINDOW) -> None:
        self.gains: deque[float] = deque(maxlen=window)
        self.seen = 0
        self.rolled_back = 0
        """How often a correction that had been used was taken back."""
        self.open = False

    def judge(self, frozen: float, corrected: float) -> None:
        """Losses of both predictions of one impression, made before it was learned from."""
        self.gains.append(frozen - corrected)
        self.seen += 1
        if self.seen % 50 == 0:
            was, self.open = self.open, self.low > 0
            self.rolled_back += was and not self.open

    @property
    def low(self) -> float:
        """Lower bound of the mean gain over the window; -inf while too little was seen."""
        count = len(self.gains)
        if self.seen < FEWEST or count < 2:
            return -math.inf
        gains = np.fromiter(self.gains, np.float64, count)
        return float(gains.mean() - SURE * gains.std(ddof=1) / math.sqrt(count))


class Correction:
    """A correction of one place's order.

    >>> correction = Correction(("new",))
    >>> correction.of(np.array([3], np.int32), np.array([[1.0]], np.float32)).tolist()
    [0.0]
    """

    def __init__(self, features: tuple[str, ...], rates: Rates | None = None) -> None:
        self.features = features
        self.weights = Weights(rates or Rates())
        self.guard = Guard()
        self._shown = [0.0] * PLACES
        self._clicked = [0.0] * PLACES
        self._people: dict[tuple[str, int], int] = {}

    def learn(self, item: int, x: Floats, position: int, *, clicked: bool, person: str) -> None:
        """One impression: judged first, then learned from. `x` (n_features,), finite; `position` from 0; `item` -1: an
        item that the snapshot does not know teaches its features alone."""
        place = min(max(position, 0), PLACES - 1)
        offset = self._offset(place)
        shift = self._shift(item, x)
        self.guard.judge(_loss(offset, clicked=clicked), _loss(offset + shift, clicked=clicked))
        told = self._people.pop((person, item), 0) + 1
        self._people[person, item] = told  # at the end: whoever was quiet longest is dropped first
        if len(self._people) > PEOPLE:
            del self._people[next(iter(self._people))]
        if told <= PER_PERSON:
            gradient = _chance(offset + shift) - clicked
            for key, value in enumerate(x.tolist()):
                self.weights.step(key, gradient * value)
            if item >= 0:
                self.weights.step(len(self.features) + item, gradient)
            self._shown[place] += 1
            self._clicked[place] += clicked

    def of(self, items: Ints, x: Floats) -> Floats:
        """What to add to each item's score, in deviations: (n,), 0 everywhere while the guard is shut."""
        if not self.guard.open:
            return np.zeros(len(items), np.float32)
        return self.proposed(items, x)

    def proposed(self, items: Ints, x: Floats) -> Floats:
        """The same whatever the guard says."""
        linear = np.array([self.weights.at(key) for key in range(len(self.features))], np.float32)
        own = np.array(
            [self.weights.at(len(self.features) + item) if item >= 0 else 0.0 for item in items.tolist()], np.float32
        )
        moved: Floats = np.clip(x @ linear + own, -MOST, MOST).astype(np.float32)
        return moved

    def _shift(self, item: int, x: Floats) -> float:
        return float(self.proposed(np.array([item], np.int32), x.reshape(1, -1))[0])

    def _offset(self, place: int) -> float:
        """How often this place is clicked, as log odds; drawn to the mean of all places while little is known."""
        shown, clicked = sum(self._shown), sum(self._clicked)
        usual = (clicked + 1) / (shown + 20)
        rate = (self._clicked[place] + 20 * usual) / (self._shown[place] + 20)
        return math.log(rate / (1 - rate))

    def save(self, path: Path) -> None:
        """Equal corrections give equal bytes."""
        guard = self.guard
        kept = _Kept(
            features=self.features,
            rates=self.weights.rates,
            z=sorted(self.weights.z.items()),
            n=sorted(self.weights.n.items()),
            gains=list(guard.gains),
            seen=guard.seen,
            rolled_back=guard.rolled_back,
            open=guard.open,
            shown=self._shown,
            clicked=self._clicked,
            people=list(self._people.items()),
        )
        path.write_bytes(msgspec.json.encode(kept))

    @classmethod
    def load(cls, path: Path, features: tuple[str, ...]) -> Correction:
        """What `save` wrote. Raises SnapshotCorrupt, also where it was learned with other features."""
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError) as error:
            raise SnapshotCorrupt("a correction cannot be read", where=str(path), got=str(error)) from error
        if kept.features != features:
            raise SnapshotCorrupt(
                "a correction was learned with other features",
                where=str(path),
                allowed=", ".join(features),
                got=", ".join(kept.features),
                next="delete the file: the frozen order is served",
            )
        made = cls(features, kept.rates)
        made.weights.z, made.weights.n = dict(kept.z), dict(kept.n)
        made.guard.gains.extend(kept.gains)
        made.guard.seen, made.guard.rolled_back, made.guard.open = kept.seen, kept.rolled_back, kept.open
        made._shown, made._clicked, made._people = kept.shown, kept.clicked, dict(kept.people)
        return made


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    features: tuple[str, ...]
    rates: Rates
    z: list[tuple[int, float]]
    n: list[tuple[int, float]]
    gains: list[float]
    seen: int
    rolled_back: int
    open: bool
    shown: list[float]
    clicked: list[float]
    people: list[tuple[tuple[str, int], int]]


def replay(correction: Correction, seen: list[tuple[int, Floats, int, bool, str]]) -> Doubles:
    """Let a correction live through (item, x, position, clicked, person) one after the other; the guard's lower bound
    after each hundredth."""
    bounds = []
    for number, (item, x, position, clicked, person) in enumerate(seen):
        correction.learn(item, x, position, clicked=clicked, person=person)
        if number % 100 == 99:
            bounds.append(correction.guard.low)
    return np.array(bounds)


def _chance(odds: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))


def _loss(odds: float, *, clicked: bool) -> float:
    chance = min(max(_chance(odds), 1e-9), 1 - 1e-9)
    return -math.log(chance if clicked else 1 - chance)
