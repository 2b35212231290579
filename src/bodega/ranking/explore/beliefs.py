"""What is believed of an item? Clicks for having been seen, newest first in weight, and what items have in common.

Every decided page is folded once, every outcome once; both are sums with weights that only depend on the page's own
time, so the order of arrival does not matter and every process that saw the same pages believes the same.

    seen      by place (`examination`), or up to the last click where people are taken to read from the top (cascade)
    item      sum of seen and of wanted: a Beta belief of how often it is wanted when it is seen
    common    ridge regression on features that all items have, plus what the item itself adds (a shrunken residual)

One person counts at most once a week for one item: of that week's showings the one whose request id has the smallest
digest speaks for all, a draw that nobody can steer and that stays an honest sample. The nameless share 64 names.
Cost: 40 us a slot folded; 200 bytes an item, at most 20,000 items a place. Not for: keeping pages (a store does).
Papers: Lagree et al. 2016 (seen by place), Kveton et al. 2015 (cascade).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from bodega.schema.arrays import Doubles, Longs
from bodega.schema.trials import Decision, Slot

FEATURES = ("one", "relevance", "novelty", "fame", "kinship")
"""What is known of each arm: 1; its score (0 to 1 in this list); how new it is, how popular (0 to 1 each); the share of
the shopper's newest items in its category."""
WIDTH = len(FEATURES)

DAY = 86_400.0
WEEK = 7 * DAY
ITEMS = 20_000
PAGES = 20_000
"""Newest pages that outcomes can still be joined with."""
CELLS = 200_000
NAMELESS = 64
PRIOR_SEEN = 10.0
"""An item nobody saw is believed to be as good as all, as if seen so often."""
PRIOR_RATE, PRIOR_RATE_SEEN = 0.05, 20.0
RIDGE = 5.0
OWN = 20.0
"""An item's own part counts half once it was seen so often."""
RESCALE = 40.0

SEEN, WANTED, SQUARE, CROSS = range(4)
"""The first columns of `Beliefs.sums`; the features' sums follow."""


def examination(positions: Sequence[int] | Longs | Doubles) -> Doubles:
    """How likely each place (0-based) is looked at: the discount of NDCG. All arms of a slot share it."""
    return np.asarray(1.0 / np.log2(np.asarray(positions, np.float64) + 2.0))


@dataclass(slots=True)
class _Cell:
    """The showing that speaks for one person, item and week."""

    digest: bytes
    request: str
    item: str
    weight: float
    seen: float
    wanted: float
    features: Doubles


@dataclass(slots=True)
class _Page:
    keys: tuple[tuple[str, str, int], ...]
    items: tuple[str, ...]
    seen: Doubles
    wanted: set[str] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class Common:
    """The regression: believed rate of an arm, `features @ mean`, to which the item's own part is added."""

    mean: Doubles
    root: Doubles
    """(d, d): root @ root.T is the covariance of `mean`."""
    noise: float
    """Variance of one observation."""


class Beliefs:
    """What is believed of the items of one place. Not thread-safe; `engine.trials` holds a lock."""

    def __init__(self, half_life_days: float = 14.0, *, cascade: bool = False) -> None:
        self._half_life = half_life_days * DAY
        self._cascade = cascade
        self._reference: float | None = None
        self._row: dict[str, int] = {}
        self._sums = np.zeros((256, 4 + WIDTH))
        self._gram = np.zeros((WIDTH, WIDTH))
        self._moment = np.zeros(WIDTH)
        self._total = np.zeros(2)
        self._pages: OrderedDict[str, _Page] = OrderedDict()
        self._early: OrderedDict[str, set[str]] = OrderedDict()
        self._cells: OrderedDict[tuple[str, str, int], _Cell] = OrderedDict()
        self._common: Common | None = None

    def __len__(self) -> int:
        """Items that something is believed of."""
        return len(self._row)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._pages

    # -- taking in ------------------------------------------------------------------------------------------------

    def fold(self, decision: Decision) -> None:
        """Take in a page: what was shown in its slots was seen. A page that is known changes nothing."""
        if decision.request_id in self._pages or not decision.slots:
            return
        person = decision.person or f"?{_digest(decision.request_id)[0] % NAMELESS}"
        week = int(decision.time // WEEK)
        shown = decision.slots
        page = _Page(
            keys=tuple((person, slot.item, week) for slot in shown),
            items=tuple(slot.item for slot in shown),
            seen=np.ones(len(shown)) if self._cascade else examination([slot.position for slot in shown]),
            wanted=self._early.pop(decision.request_id, set()),
        )
        self._pages[decision.request_id] = page
        weight, digest = self._weight(decision.time), _digest(decision.request_id)
        for slot, key in zip(shown, page.keys, strict=True):
            held = self._cells.get(key)
            if held is not None and held.digest <= digest:
                continue
            if held is not None:
                self._add(held, -1.0)
            cell = _Cell(digest, decision.request_id, slot.item, weight, 0.0, 0.0, _features(slot))
            self._cells[key] = cell
        self._judge(decision.request_id, page, fresh=True)
        self._bound()

    def want(self, request_id: str, item: str) -> None:
        """Take in that an item of a page was wanted; before its page or after it, once or many times."""
        page = self._pages.get(request_id)
        if page is None:
            self._early.setdefault(request_id, set()).add(item)
            while len(self._early) > PAGES:
                self._early.popitem(last=False)
        elif item in page.items and item not in page.wanted:
            page.wanted.add(item)
            self._judge(request_id, page)

    def _judge(self, request: str, page: _Page, *, fresh: bool = False) -> None:
        """Bring the cells that this page speaks for up to date with what was wanted of it."""
        last = max((place for place, item in enumerate(page.items) if item in page.wanted), default=len(page.items))
        for place, (key, item) in enumerate(zip(page.keys, page.items, strict=True)):
            cell = self._cells.get(key)
            if cell is None or cell.request != request:
                continue
            seen = float(page.seen[place]) if not self._cascade or place <= last else 0.0
            wanted = float(item in page.wanted)
            if not fresh and (seen, wanted) == (cell.seen, cell.wanted):
                continue
            if not fresh:
                self._add(cell, -1.0)
            cell.seen, cell.wanted = seen, wanted
            self._add(cell, 1.0)

    def _add(self, cell: _Cell, sign: float) -> None:
        weight = sign * cell.weight
        seen, wanted, x = cell.seen, cell.wanted, cell.features
        row = self._row_of(cell.item)
        square, cross = weight * seen * seen, weight * seen * wanted
        self._sums[row, :4] += (weight * seen, weight * wanted, square, cross)
        self._sums[row, 4:] += square * x
        self._gram += square * np.outer(x, x)
        self._moment += cross * x
        self._total += (weight * seen, weight * wanted)
        self._common = None

    def _row_of(self, item: str) -> int:
        row = self._row.get(item)
        if row is None:
            row = self._row[item] = len(self._row)
            if row >= len(self._sums):
                self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
        return row

    def _weight(self, moment: float) -> float:
        """Later counts more: twice as much every half life. Sums are rescaled before weights grow large."""
        if self._reference is None:
            self._reference = moment
        exponent = (moment - self._reference) / self._half_life
        if exponent > RESCALE:
            factor = 2.0**-exponent
            for sums in (self._sums, self._gram, self._moment, self._total):
                sums *= factor
            for cell in self._cells.values():
                cell.weight *= factor
            self._reference, exponent = moment, 0.0
        return float(2.0**exponent)

    def _bound(self) -> None:
        while len(self._pages) > PAGES:
            self._pages.popitem(last=False)
        while len(self._cells) > CELLS:
            self._cells.popitem(last=False)
        if len(self._row) > ITEMS:
            kept = sorted(self._row, key=lambda item: -self._sums[self._row[item], SEEN])[: ITEMS * 3 // 4]
            self._sums = np.ascontiguousarray(self._sums[[self._row[item] for item in kept]])
            self._row = {item: row for row, item in enumerate(kept)}
            gone = [key for key, cell in self._cells.items() if cell.item not in self._row]
            for key in gone:
                del self._cells[key]

    # -- believing ------------------------------------------------------------------------------------------------

    def sums(self, items: Sequence[str], now: float) -> Doubles:
        """(n, 4 + d) decayed sums of each item; zeros for what is unknown."""
        rows = np.asarray([self._row.get(item, -1) for item in items], np.int64)
        out = self._sums[rows] * self.decay(now)
        out[rows < 0] = 0.0
        return out

    def decay(self, now: float) -> float:
        """What sums are worth now."""
        if self._reference is None:
            return 0.0
        return float(min(2.0 ** ((self._reference - now) / self._half_life), 2.0**RESCALE))

    def total(self, now: float) -> tuple[float, float]:
        """(times something was seen, times it was wanted), decayed."""
        seen, wanted = self._total * self.decay(now)
        return float(seen), float(wanted)

    def rate(self, now: float) -> float:
        """How often anything is wanted when it is seen, over all items of the place; 0.05 before anything happened."""
        seen, wanted = self.total(now)
        rate = (max(wanted, 0.0) + PRIOR_RATE * PRIOR_RATE_SEEN) / (max(seen, 0.0) + PRIOR_RATE_SEEN)
        return float(min(max(rate, 1e-4), 0.9))

    def common(self, now: float) -> Common:
        """What the features say of any item; computed again when something was taken in."""
        if self._common is None:
            rate, factor = self.rate(now), self.decay(now)
            precision = RIDGE * np.eye(WIDTH) + self._gram * factor
            moment = self._moment * factor
            moment[0] += RIDGE * rate
            mean = np.asarray(np.linalg.solve(precision, moment), np.float64)
            noise = rate * (1 - rate)
            root = np.asarray(np.linalg.inv(np.linalg.cholesky(precision)).T * np.sqrt(noise), np.float64)
            self._common = Common(mean, root, noise)
        return self._common


def _digest(request_id: str) -> bytes:
    return blake2b(request_id.encode(), digest_size=8).digest()


def _features(slot: Slot) -> Doubles:
    found = slot.features[slot.shown] if slot.shown < len(slot.features) else ()
    x = np.zeros(WIDTH)
    x[: min(len(found), WIDTH)] = found[:WIDTH]
    return x
