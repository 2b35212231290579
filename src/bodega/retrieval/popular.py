"""What do many people want now? Time-decayed popularity, per category, and what is rising; always has an answer.

An event counts by its type and half as much every 21 days before `until`; the score is log(count), on a fixed grid so
that lifting a category never reorders its items. Categories that the shopper prefers are lifted as naive Bayes would
(what a person takes = taste in categories x popularity within), the anchors' categories come first; on `trending` the
score compares the last week with what the item's own past leads to expect.
Cost: one pass over the log; a request merges a few presorted lists (.05 ms). Not for: finding the right item for one
person, but no list should be published without it as a baseline.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.retrieval._index import interest, load_facts, save_arrays, save_facts, strength, top_k
from bodega.schema import Candidates, Context, ItemTable, Log, World
from bodega.schema.arrays import NO_INTS, Doubles, Floats, Ints, Longs
from bodega.schema.table import mapped

GRID = 1024.0
"""Scores and boosts are multiples of 1/1024: their float32 sums are exact, so presorted lists merge exactly."""

DAY = 86_400.0

IMPERSONAL = frozenset({"popular", "trending"})
"""Lists that are the same for everybody."""


class PopularOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The few numbers, chosen on the supermarket's validation baskets (docs/log.md)."""

    half_life_days: float = 21.0
    trend_days: float = 7.0
    trend_prior: float = 5.0
    """Events added to both sides of recent / expected: an item needs about this many to rise at all."""
    taste: float = 300.0
    """Events of their own that a shopper needs to be believed about categories as much as the crowd is."""
    anchored: float = 6.0
    """Lift of the anchors' own categories, in units of log count: they come before almost everything else."""


class _Facts(msgspec.Struct, frozen=True):
    options: PopularOptions
    basis: str
    until: float = 0.0


class Popular:
    """Decayed popularity, the fallback of every list.

    Answers: popular, trending, category, home; any other list as a fallback.
    Needs: nothing (without events it orders by newest, then by how much is told of an item, then by the catalog's
    order, and `basis` says so).
    Good for: guests, cold shops, the head. Not for: the tail, taste.
    Cost: two float32 an item and two presorted lists. Relations: the baseline of every other source.
    """

    name = "popular"

    def __init__(self, options: PopularOptions | None = None) -> None:
        self.options = options or PopularOptions()
        self.basis = "order"
        """What the order rests on: "events", else "newest" (date of arrival), else "order" (best described, then as in
        the catalog)."""
        self.level = self.rising = self.shares = np.empty(0, np.float32)
        self.until = 0.0
        """The moment (seconds since 1970) as of which all is counted; 0 in a snapshot that did not keep it."""
        self.recent = self.expected = np.empty(0, np.float32)
        """(n_items,) interest of the last `trend_days`, and what the items' past led to expect: what `rising` compares.
        Empty on a first day."""
        self.events: Ints = NO_INTS
        """(n_items,): events of interest of each item, undecayed. Empty in a snapshot that did not keep it."""
        self.leaf = self.order = self.trend = self.shelves = NO_INTS
        self.shelf_starts: Longs = np.zeros(1, np.int64)
        self._latest: tuple[Context, tuple[Ints, Floats]] | None = None

    def fit(self, world: World) -> Self:
        self._latest = None
        log = interest(world.log)
        self.leaf = np.asarray(world.items.leaf_category)
        self.basis, self.level = _level(log, world, self.options)
        self.events = np.bincount(log.item, minlength=len(world.items)).astype(np.int32)
        self.rising, self.until = self.level, world.until
        if self.basis == "events":
            self.recent, self.expected = _trend(log, world, self.options)
            self.rising = risen(self.recent, self.expected, self.options.trend_prior)
        self.order, self.trend = top_k(self.level, len(self.level)), top_k(self.rising, len(self.level))
        known = self.order[self.leaf[self.order] >= 0]
        self.shelves = known[np.argsort(self.leaf[known], kind="stable")]
        n_leaves = len(world.items.coded["category"].vocabulary)
        self.shelf_starts = np.searchsorted(self.leaf[self.shelves], np.arange(n_leaves + 1)).astype(np.int64)
        level = self.level[known].astype(np.float64)
        weights = np.exp(level - level.max(initial=-np.inf))  # against the best: exp of a newest-first rank overflows
        counts = np.bincount(self.leaf[known], weights=weights, minlength=n_leaves)
        self.shares = (counts / max(counts.sum(), 1e-12)).astype(np.float32)
        return self

    def retrieve(self, context: Context, k: int) -> Candidates:
        if self._guesses(context):
            return Candidates.none(self.name)
        base, order = (self.rising, self.trend) if context.place == "trending" else (self.level, self.order)
        leaves, lifts = self._lifted_for(context)
        if not len(leaves):
            best = order[: max(k, 0)].copy()  # a view would let the caller change our order
            return Candidates.of(self.name, best, base[best])
        pool, scores = self._reaching(leaves, lifts, max(k, 0))
        best = top_k(scores, k)
        return Candidates.of(self.name, pool[best], scores[best])

    def _reaching(self, leaves: Ints, lifts: Floats, k: int) -> tuple[Ints, Floats]:
        """Items (ascending) that hold the k best, with scores: of each category only what can still reach the list.

        The first few of every category give a score that k items reach at least; a category goes deeper only if its
        last item so far reaches it too. With 200 categories a tenth of the work of scoring the whole catalog.
        """
        starts, sizes = self.shelf_starts[leaves], self.shelf_starts[leaves + 1] - self.shelf_starts[leaves]
        lead = self.order[:k]
        lifted = np.zeros(len(self.shares) + 1, np.bool_)
        lifted[leaves] = True
        rest = lead[~lifted[self.leaf[lead]]]
        depth = np.minimum(sizes, 4)
        while True:
            ends = np.cumsum(depth)
            rows = np.arange(ends[-1]) + np.repeat(starts - (ends - depth), depth)
            pool = np.concatenate([rest, self.shelves[rows]])
            scores = self.level[pool]
            scores[len(rest) :] += np.repeat(lifts, depth)
            reached = np.partition(scores, len(scores) - k)[len(scores) - k] if 0 < k < len(scores) else -np.inf
            deeper = (depth < sizes) & (scores[len(rest) - 1 + ends] >= reached)
            if k == 0 or not deeper.any():
                break
            depth = np.where(deeper, np.minimum(sizes, depth * 4), depth)
        near = np.flatnonzero(scores >= reached)
        near = near[np.argsort(pool[near])]
        return pool[near], scores[near]

    def score(self, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        if self._guesses(context):
            return np.full(len(items), np.nan, np.float32)
        if context.place == "trending":
            return self.rising[items]
        return self._lifted(items, *self._lifted_for(context))

    def _guesses(self, context: Context) -> bool:
        """Would it order the answers to a question by nothing but when items arrived? Then it has no opinion."""
        return self.basis != "events" and bool(context.query)

    def _lifted(self, items: Ints, leaves: Ints, lifts: Floats) -> Floats:
        scores: Floats = self.level[items]
        if len(leaves):
            lift = np.zeros(len(self.shares) + 1, np.float32)
            lift[leaves] = lifts
            scores = scores + lift[self.leaf[items]]
        return scores

    def lifts(self, context: Context, leaf: Ints) -> Floats:
        """By how much items of these categories (-1 none) are lifted for this context: (len(leaf),)."""
        leaves, lifts = self._lifts(context)
        lift = np.zeros(len(self.shares) + 1, np.float32)
        lift[leaves] = lifts
        out: Floats = lift[leaf]
        return out

    def _lifted_for(self, context: Context) -> tuple[Ints, Floats]:
        """`_lifts`, once for the request under way."""
        latest = self._latest
        if latest is None or latest[0] is not context:
            latest = (context, self._lifts(context))
            self._latest = latest
        return latest[1]

    def _lifts(self, context: Context) -> tuple[Ints, Floats]:
        """The categories to lift and by how much (multiples of 1 / GRID)."""
        if context.place in IMPERSONAL or not len(self.shares):
            return NO_INTS, np.empty(0, np.float32)
        around = context.items if len(context.items) else context.history
        leaves = self.leaf[around]
        counts = np.bincount(leaves[leaves >= 0], minlength=len(self.shares))
        counts[self.shares == 0] = 0
        mine = np.flatnonzero(counts)
        if len(context.items):
            lifts = np.full(len(mine), self.options.anchored)
        else:
            lifts = np.log1p(counts[mine] / (self.options.taste * np.maximum(self.shares[mine], 1e-6)))
        return mine.astype(np.int32), on_grid(lifts)

    def save(self, folder: Path) -> None:
        save_arrays(folder, {name: getattr(self, name) for name in ARRAYS})
        save_facts(folder, _Facts(self.options, self.basis, self.until))

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        del items
        facts = load_facts(folder, _Facts)
        source = cls(facts.options)
        source.basis, source.until = facts.basis, facts.until
        for name in ARRAYS:
            if name not in LATER or (folder / f"{name}.npy").is_file():
                setattr(source, name, mapped(folder / f"{name}.npy"))
        return source


LATER = ("recent", "expected", "events")
"""What older snapshots do not hold; they are served without what is made of it."""

ARRAYS = ("level", "rising", "shares", "leaf", "order", "trend", "shelves", "shelf_starts", *LATER)


def on_grid(values: NDArray[np.floating]) -> Floats:
    """Rounded to multiples of 1 / GRID; NaN stays."""
    return (np.round(values * GRID) / GRID).astype(np.float32)


def _level(log: Log, world: World, options: PopularOptions) -> tuple[str, Floats]:
    """(what it rests on, log of the decayed count; NaN for items without events)."""
    n_items = len(world.items)
    if len(log):
        return "events", _log_counts(_decayed(log, world.until, n_items, options))
    created, rich = world.items.created, _richness(world.items)
    newest_last = np.lexsort((-np.arange(n_items), rich, np.where(np.isfinite(created), created, -np.inf)))
    rank = np.empty(n_items)
    rank[newest_last] = np.arange(1, n_items + 1)
    if np.isfinite(created).any():
        return "newest", np.where(np.isfinite(created), on_grid(rank / GRID), np.float32(np.nan))
    return "order", on_grid(rank / GRID)


def _richness(items: ItemTable) -> Ints:
    """How much is told of each item: the facts that are filled in, and how often its description doubles (n_items,).

    On a shop's first day nothing else tells what its owner cares about; an item of one word sells badly anyway.
    """
    filled = np.zeros(len(items), np.int32)
    for name in sorted(items.coded):
        filled += np.diff(items.coded[name].starts) > 0
    for name in sorted(items.numbers):
        filled += np.isfinite(items.numbers[name])
    length = np.log2(np.maximum(np.diff(items.documents.offsets), 1)).astype(np.int32)
    return filled + length


def _decayed(log: Log, until: float, n_items: int, options: PopularOptions) -> Doubles:
    age = np.maximum(until - log.time, 0) / (options.half_life_days * DAY)
    weights = strength(log.type) * np.exp2(-age)
    return np.bincount(log.item, weights=weights, minlength=n_items).astype(np.float64)


def _log_counts(counts: Doubles) -> Floats:
    return on_grid(np.log(counts, where=counts > 0, out=np.full(len(counts), np.nan)))


def risen(recent: NDArray[np.floating], expected: NDArray[np.floating], prior: float) -> Floats:
    """log((recent + prior) / (expected + prior)); NaN for items without a recent event."""
    ratio = np.log((recent + prior) / (expected + prior))
    return on_grid(np.where(recent > 0, ratio, np.nan))


def _trend(log: Log, world: World, options: PopularOptions) -> tuple[Floats, Floats]:
    """(interest of the last `trend_days`, what the past of each item leads to expect), the same sum, (n_items,)."""
    n_items, start = len(world.items), world.until - options.trend_days * DAY
    recent_log, past = log.where(log.time >= start), log.where(log.time < start)
    recent = np.bincount(recent_log.item, weights=strength(recent_log.type), minlength=n_items)
    expected = _decayed(past, start, n_items, options) * (np.log(2) / options.half_life_days * options.trend_days)
    if expected.sum() > 0:
        expected *= recent.sum() / expected.sum()
    return recent.astype(np.float32), expected.astype(np.float32)
