"""What does this shopper take of what is shown to them? Clicks and looks: what was passed over counts, too.

Counts of clicks say what was shown often; a list that learns from them shows it more often still. Here a showing is
taken or not with a chance of factors, the click's place among them, each shrunk to 1 by as many clicks as nothing is
known of it by (gamma priors on Poisson rates, fitted in turn; a showing counts half after `half_life_days`):

    chance = place x category x item            learned from the log, who was shown it taken out
             x shopper in category x in brand   from the request: what they took, and what they were shown and left

So an item is not liked because it was shown to those who like its kind, a kind that a shopper passes over goes down on
the very next page, and an item nobody saw yet stands where its category and its brand do with this shopper.
Cost: a sort of the impressions; a request touches an array of all items (12,000: 60 us). Not for: shops that do not
record impressions (it is silent there), nor what an item goes with.
Papers: Richardson, Dominowska & Ragno 2007 (position x attraction); Chen, Pavlov & Canny 2009 (Poisson factors with
gamma priors of clicks and looks); Lee et al. 2014 (impressions without a click are evidence).
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.retrieval._index import interest, load_facts, save_arrays, save_facts, top_k
from bodega.schema import EVENT_CODES, Candidates, Context, ItemTable, Log, World
from bodega.schema.arrays import NO_INTS, Doubles, Floats, Ints, Longs
from bodega.schema.table import mapped

DAY, HOUR = 86_400.0, 3_600.0
IMPRESSION = EVENT_CODES["impression"]
PLACES = 50
"""Places further down count as the last one."""
ROUNDS = 8
"""Times that the factors are fitted in turn; 6 and 12 order the generated world alike."""
FEWEST = 200
"""Showings below which it is silent."""


class AppealOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Clicks that each factor is shrunk by, and how long a showing counts."""

    half_life_days: float = 14.0
    place: float = 20.0
    category: float = 5.0
    item: float = 3.0
    taste: float = 1.0
    """Of a shopper in a category: people differ by category more than by anything else."""
    brand: float = 2.0


class _Facts(msgspec.Struct, frozen=True):
    options: AppealOptions
    look: float = 0.0


class Appeal:
    """Taken of what was shown.

    Answers: home, and any list of a shop that records impressions. Needs: impressions, with places where possible.
    Good for: small catalogs that people see often; what is not wanted. Not for: logs of purchases alone.
    Cost: a float32 and two int32 an item. Relations: `popular` counts what was wanted and forgets how often it was
    shown; fatigue (`ranking.diversify`) tires of single items.
    """

    name = "appeal"

    def __init__(self, options: AppealOptions | None = None) -> None:
        self.options = options or AppealOptions()
        self.level: Floats = np.empty(0, np.float32)
        """Chance of an item to be taken at the first place by anybody, (n_items,); empty: nothing was learned."""
        self.leaf = self.brand = NO_INTS
        """Codes of each item, the last of them "none"."""
        self.looks: Floats = np.empty(0, np.float32)
        """Chance that each place of a list is looked at, beside the first one: (PLACES,); empty: as `level`."""
        self.look = 0.0
        """The same of a showing that was left."""
        self._latest: tuple[Context, Floats] | None = None

    def fit(self, world: World) -> Self:
        self._latest = None
        items = world.items
        self.leaf, self.brand = _codes(np.asarray(items.leaf_category)), _codes(_brands(items))
        self.level, self.looks, self.look = np.empty(0, np.float32), np.empty(0, np.float32), 0.0
        shown = _Showings.of(world.log, world.until, self.options.half_life_days)
        if len(shown.item) >= FEWEST and shown.taken.any():
            self.level, self.looks, self.look = self._factors(shown)
        return self

    def _factors(self, shown: _Showings) -> tuple[Floats, Floats, float]:
        """(level of every item, looks at each place, chance of a look at what was left)."""
        options, leaf, brand = self.options, self.leaf[shown.item], self.brand[shown.item]
        _, taste = np.unique(shown.user.astype(np.int64) << 32 | leaf, return_inverse=True)
        _, liked = np.unique(shown.user.astype(np.int64) << 32 | brand, return_inverse=True)
        groups = (
            (shown.place, options.place), (leaf, options.category), (shown.item, options.item),
            (taste, options.taste), (liked, options.brand),
        )  # fmt: skip
        factors = [np.ones(int(codes.max(initial=-1)) + 1) for codes, _ in groups]
        clicks = shown.weight * shown.taken
        base = float(clicks.sum() / shown.weight.sum())
        expected: Doubles = base * shown.weight
        for _ in range(ROUNDS):
            for number, (codes, prior) in enumerate(groups):
                size = len(factors[number])
                rest = expected / factors[number][codes]
                won = np.bincount(codes, weights=clicks, minlength=size) + prior
                factors[number] = won / (np.bincount(codes, weights=rest, minlength=size) + prior)
                expected = rest * factors[number][codes]
        place, category, item = factors[:3]
        level = np.full(len(self.leaf), base * place[0])
        level *= _padded(category, int(self.leaf.max(initial=-1)) + 1)[self.leaf] * _padded(item, len(level))
        looks = _padded(place, 2 * PLACES) / place[0]
        left = looks[shown.place][~shown.taken]
        here = np.minimum(looks[:PLACES], 1.0).astype(np.float32)
        return level.astype(np.float32), here, float(left.mean()) if len(left) else 1.0

    def retrieve(self, context: Context, k: int) -> Candidates:
        scores = self._scores(context)
        best = top_k(scores, k)
        return Candidates.of(self.name, best.astype(np.int32), scores[best])

    def score(self, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        scores = self._scores(context)
        return scores[items] if len(scores) else np.full(len(items), np.nan, np.float32)

    def _scores(self, context: Context) -> Floats:
        """Logarithm of the chance of every item, once for the request under way; empty where nothing was learned."""
        latest = self._latest
        if latest is None or latest[0] is not context:
            latest = (context, self._asked(context) if len(self.level) else self.level)
            self._latest = latest
        return latest[1]

    def _asked(self, context: Context) -> Floats:
        n_items = len(self.level)
        taken, when = _once(context.history, context.times, n_items)
        left = (context.shown >= 0) & (context.shown < n_items)
        rows = np.concatenate([taken, context.shown[left]])
        if not len(rows):
            return np.log(self.level)
        age = context.now - np.concatenate([when, context.shown_times[left]])
        weight = np.exp2(-np.maximum(age, 0) / (self.options.half_life_days * DAY))
        clicks = np.where(np.arange(len(rows)) < len(taken), weight, 0.0)
        looks = weight * self.level[rows] * np.where(clicks > 0, 1.0, self.look)
        leaf = _taste(self.leaf, rows, (clicks, looks), self.options.taste)
        brand = _taste(self.brand, rows, (clicks, looks * leaf[self.leaf[rows]]), self.options.brand)
        scores: Floats = np.log(self.level * leaf[self.leaf] * brand[self.brand]).astype(np.float32)
        return scores

    def save(self, folder: Path) -> None:
        save_arrays(folder, {"level": self.level, "looks": self.looks, "leaf": self.leaf, "brand": self.brand})
        save_facts(folder, _Facts(self.options, self.look))

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        del items
        facts = load_facts(folder, _Facts)
        source = cls(facts.options)
        source.level, source.looks, source.look = mapped(folder / "level.npy"), mapped(folder / "looks.npy"), facts.look
        source.leaf, source.brand = mapped(folder / "leaf.npy"), mapped(folder / "brand.npy")
        return source


class _Showings:
    """Items that were shown on a visit, once each: arrays (n,)."""

    __slots__ = ("item", "place", "taken", "user", "weight")

    def __init__(self, log: Log, first: Longs, taken: NDArray[np.bool_], weight: Doubles) -> None:
        self.item, self.user, self.taken, self.weight = log.item[first], log.user[first], taken, weight
        at = np.clip(log.position[first], 0, PLACES - 1)
        # what is searched is taken more often than what a home page shows: places of searches count on their own
        self.place = np.where(log.query[first] >= 0, at + PLACES, at)

    @classmethod
    def of(cls, log: Log, until: float, half_life: float) -> _Showings:
        shown = np.flatnonzero((log.type == IMPRESSION) & (log.item >= 0))
        key = log.session[shown].astype(np.int64) << 32 | log.item[shown]
        key, at = np.unique(key, return_index=True)
        wanted = interest(log)
        took = np.unique(wanted.session.astype(np.int64) << 32 | wanted.item)
        first = shown[at]
        weight = np.exp2(-np.maximum(until - log.time[first], 0) / (half_life * DAY))
        return cls(log, first, np.isin(key, took), weight)


def _taste(code: Ints, rows: Ints, counts: tuple[Doubles, Doubles], prior: float) -> Doubles:
    """How much more than others this shopper takes of each code: (clicks + prior) / (looks + prior)."""
    size = int(code.max(initial=-1)) + 1
    own = code[rows]
    clicks, looks = (np.bincount(own, weights=each, minlength=size) for each in counts)
    found: Doubles = (clicks + prior) / (looks + prior)
    return found


def _once(items: Ints, times: Doubles, n_items: int) -> tuple[Ints, Doubles]:
    """What was wanted, once an hour: a click, a basket and a purchase are one wish. (items, times)."""
    known = (items >= 0) & (items < n_items)
    items, times = items[known], times[known]
    key = (times // HOUR).astype(np.int64) << 32 | items
    _, first = np.unique(key, return_index=True)
    return items[first], times[first]


def _codes(raw: Ints) -> Ints:
    """The codes, with one more for "none"."""
    return np.where(raw < 0, int(raw.max(initial=-1)) + 1, raw).astype(np.int32)


def _brands(items: ItemTable) -> Ints:
    """Each item's (first) brand, -1 without one."""
    out = np.full(len(items), -1, np.int32)
    column = items.coded.get("brand")
    if column is not None:
        has = np.diff(column.starts) > 0
        out[has] = column.codes[column.starts[:-1][has]]
    return out


def _padded(values: Doubles, size: int) -> Doubles:
    """The factors, and 1 for what was never shown."""
    return np.concatenate([values, np.ones(max(size - len(values), 0))])
