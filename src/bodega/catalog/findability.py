"""How well can a shopper find an item? A score of 0 to 100 from nine parts, so that a merchant knows where to begin.

    part          weight  1 means
    title           18    8 to 200 characters, of more than one word            (one word, or too long: .5)
    words           16    what sets it apart is said: no other product has the same title
    category        14    a path of two levels or more                          (one level: .7)
    price           12    there is one, and it is not far from its category's   (far: .3); what is not sold needs none
    picture         12    at least one
    text            10    a description of 40 characters or more                (a shorter one: .5)
    attributes      10    the share it fills of the columns that half of its category fills
    found           18    the shop's own search gives it among the first ten for its own title (places 11 to 50: .5)
    shown           10    somebody saw or chose it in the days that were looked at

A part that is not known (never looked up, no events yet, no common columns) is left out and the others weigh more:
score = 100 x sum(weight x part) / sum(weight of the known parts). The shop's score takes the mean of each part over
the items where it is known, with the same weights, so that a sampled part counts for all. The weights are a judgement,
in the order of what `catalog.doctor` takes off for the same flaws; they are no measurement of revenue.
Cost: 12 us an item. Not for: whether people want it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from bodega.catalog.doctor import LONG_TITLE, PRODUCT, SHORT_TITLE, _length
from bodega.catalog.outliers import odd_prices
from bodega.schema import Item
from bodega.settings import Kind

WEIGHTS: dict[str, float] = {
    "title": 18.0,
    "words": 16.0,
    "category": 14.0,
    "price": 12.0,
    "picture": 12.0,
    "text": 10.0,
    "attributes": 10.0,
    "found": 18.0,
    "shown": 10.0,
}
PARTS = tuple(WEIGHTS)
FIRST, NEAR = 10, 50
"""Places of the shop's own search: found, and found at all."""
LONG_TEXT = 40
COMMON = 0.5
"""A column that so large a share of a category fills is one that its items are compared by."""
FEWEST = 5
"""Items of a category below which nothing is common."""


class ItemScore(msgspec.Struct, frozen=True):
    """One item."""

    id: str
    title: str
    category: str
    score: float
    parts: dict[str, float]
    """{part: 0 to 1}, only those that are known."""
    missing: tuple[str, ...] = ()
    """Columns that its category fills and it does not, the most common first, at most five."""

    @property
    def worst(self) -> tuple[str, ...]:
        """The parts that cost most, dearest first."""
        lost = {name: WEIGHTS[name] * (1 - value) for name, value in self.parts.items() if value < 1}
        return tuple(sorted(lost, key=lambda name: (-lost[name], name)))


class ShopScore(msgspec.Struct, frozen=True):
    """The whole shop."""

    score: float
    low: float
    high: float
    """95 % interval: parts of which only a sample is known make it wide."""
    parts: dict[str, float]
    known: dict[str, int]
    """{part: items where it is known}."""
    histogram: tuple[int, ...]
    """Items by score: ten bars from 0 to 100."""


class Findability:
    """Scores items. See them all (`saw`), then `close`; what is looked up and what was shown is told in between."""

    def __init__(self, kinds: Mapping[str, Kind] | None = None) -> None:
        self._kinds = kinds or {}
        self.items: list[tuple[str, str, str]] = []
        """(id, title, category) in the order seen."""
        self._parts: list[dict[str, float]] = []
        self._columns: list[frozenset[str]] = []
        self._titles: dict[str, list[int]] = defaultdict(list)
        self._families: list[str] = []
        self._prices: list[tuple[float, tuple[tuple[str, ...], str]]] = []

    def saw(self, item: Item) -> None:
        row = len(self.items)
        self.items.append((item.id, item.title, " > ".join(item.category)))
        self._families.append(item.group or f"\0{item.id}")
        parts = {"title": _title(item.title), "picture": float(bool(item.images))}
        parts["category"] = 1.0 if len(item.category) > 1 else 0.7 if item.category else 0.0
        parts["text"] = 1.0 if _length(item.description) >= LONG_TEXT else 0.5 if item.description else 0.0
        kind = self._kinds.get(item.kind)
        if item.kind == PRODUCT or (kind is not None and kind.sold):
            parts["price"] = 0.0 if item.price is None else 1.0
        self._parts.append(parts)
        self._columns.append(frozenset((*item.attributes, *item.options, *(("brand",) if item.brand else ()))))
        self._prices.append((math.nan if item.price is None else item.price, (item.category, item.currency)))
        if item.title:
            self._titles[" ".join(item.title.casefold().split())].append(row)

    def tell_found(self, places: Mapping[int, int | None]) -> None:
        """{row: its place (from 0) when its own title is searched, None where it is not found}."""
        for row, place in places.items():
            close = place is not None and place < FIRST
            self._parts[row]["found"] = 1.0 if close else 0.5 if place is not None and place < NEAR else 0.0

    def tell_shown(self, shown: frozenset[str] | set[str]) -> None:
        """The ids of all items that somebody saw or chose."""
        for (name, _, _), parts in zip(self.items, self._parts, strict=True):
            parts["shown"] = float(name in shown)

    def close(self) -> list[ItemScore]:
        """Every item with its score, in the order seen."""
        self._say_twins()
        self._say_prices()
        missing = self._say_columns()
        return [
            ItemScore(name, title, category, _score(parts), _in_order(parts), lacks)
            for (name, title, category), parts, lacks in zip(self.items, self._parts, missing, strict=True)
        ]

    def _say_twins(self) -> None:
        for rows in self._titles.values():
            single = len({self._families[row] for row in rows}) == 1
            for row in rows:
                self._parts[row]["words"] = float(single)

    def _say_prices(self) -> None:
        places: dict[tuple[tuple[str, ...], str], int] = {}
        codes = np.array([places.setdefault(place, len(places)) for _, place in self._prices], np.int64)
        prices = np.array([price for price, _ in self._prices], np.float64)
        known = np.flatnonzero(np.isfinite(prices))
        for row in known[np.flatnonzero(odd_prices(prices[known], codes[known]))].tolist():
            if "price" in self._parts[row]:
                self._parts[row]["price"] = 0.3

    def _say_columns(self) -> list[tuple[str, ...]]:
        size: Counter[str] = Counter(category for _, _, category in self.items)
        held: dict[str, Counter[str]] = defaultdict(Counter)
        for (_, _, category), columns in zip(self.items, self._columns, strict=True):
            held[category].update(columns)
        common = {
            category: [name for name, count in sorted(tally.items(), key=lambda one: (-one[1], one[0]))
                       if count >= COMMON * size[category]]
            for category, tally in held.items() if size[category] >= FEWEST
        }  # fmt: skip
        out: list[tuple[str, ...]] = []
        for (_, _, category), columns, parts in zip(self.items, self._columns, self._parts, strict=True):
            wanted = common.get(category, [])
            lacks = [name for name in wanted if name not in columns]
            if wanted:
                parts["attributes"] = 1 - len(lacks) / len(wanted)
            out.append(tuple(lacks[:5]))
        return out


def shop_score(scores: Sequence[ItemScore]) -> ShopScore:
    """The shop's score of these items; 0 without any."""
    held = {name: np.array([one.parts[name] for one in scores if name in one.parts]) for name in PARTS}
    known = {name: values for name, values in held.items() if len(values)}
    whole = sum(WEIGHTS[name] for name in known) or 1.0
    mean = sum(WEIGHTS[name] * values.mean() for name, values in known.items()) / whole
    # what is known of every item has no error; of a sample, that of a mean without replacement
    variance = sum(
        (WEIGHTS[name] / whole) ** 2 * values.var() / len(values) * (1 - len(values) / max(len(scores), 1))
        for name, values in known.items()
    )
    reach = 1.96 * math.sqrt(variance)
    bars = np.histogram([one.score for one in scores], bins=10, range=(0, 100))[0]
    return ShopScore(
        score=round(100 * float(mean), 2),
        low=round(100 * max(0.0, float(mean - reach)), 2),
        high=round(100 * min(1.0, float(mean + reach)), 2),
        parts={name: round(float(values.mean()), 4) for name, values in known.items()},
        known={name: len(values) for name, values in known.items()},
        histogram=tuple(bars.tolist()),
    )


def _title(title: str) -> float:
    length = _length(title)
    if not length:
        return 0.0
    return 1.0 if SHORT_TITLE <= length <= LONG_TITLE and (len(title.split()) > 1 or not title.isascii()) else 0.5


def _score(parts: Mapping[str, float]) -> float:
    whole = sum(WEIGHTS[name] for name in parts)
    return round(100 * sum(WEIGHTS[name] * value for name, value in parts.items()) / whole, 1) if whole else 0.0


def _in_order(parts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(parts[name], 3) for name in PARTS if name in parts}


def worst_first(scores: Iterable[ItemScore]) -> list[ItemScore]:
    """Those that need most first."""
    return sorted(scores, key=lambda one: (one.score, one.id))
