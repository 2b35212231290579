"""Which items mean what these items mean? Vectors of passages, asked from a history or from anchors instead of words.

The seeds (as every item-to-item source takes them: the anchors, or the newest steps of the history, each half the
weight of the next) become one direction: the weighted sum of how each differs from the middle of the catalog. Without
the middle taken out, what all titles share ("Pack of 2") drowns what they do not: on Office, targets with at most 5
events, NDCG@10 .074 against .076, recall@50 .208 against .219. A seed's nearness to itself is taken out, so that what
the shopper has does not fill the list. One direction costs one search; nothing is learned and nothing more is stored.
Cost: some vectors an answer, then that of `_vectors.search`. Not for: what goes together without meaning the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bodega.retrieval._item_to_item import seeds_of
from bodega.retrieval._vectors import VectorIndex
from bodega.schema import Context
from bodega.schema.arrays import NO_INTS, Flags, Floats, Ints

HISTORY_DECAY = 0.5
"""Weight of a seed for each step before the newest: .5 .082, .7 .074, .9 .061 (Office, NDCG@10, validation)."""


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """One question around items."""

    direction: Floats
    """(d,) of length 1."""
    seeds: Ints
    """Distinct, ascending."""
    weights: Floats
    """(len(seeds),), as they enter the direction."""
    own: Floats
    """(len(seeds),): the part of each seed's cosine that is its nearness to itself."""
    hidden: Ints
    """The anchors: no item is like itself."""

    def elsewhere(self) -> Likeness:
        """The same question to an index that holds none of the seeds."""
        return replace(self, seeds=NO_INTS, own=self.own[:0], hidden=NO_INTS)

    def scores(self, index: VectorIndex, items: Ints) -> Floats:
        """Cosine of the direction and each item, without what a seed gives itself: (len(items),); NaN unknown."""
        return self._among_others(items, index.scores(self.direction, items))

    def nearest(self, index: VectorIndex, k: int, keep: Flags | None) -> tuple[Ints, Floats]:
        """(items, scores) of the k best by `scores`, best first, ties by the lower item."""
        items, cosines = index.search(self.direction, k + len(self.seeds) + len(self.hidden) if k > 0 else 0, keep)
        found = self._among_others(items, cosines)
        known = np.isfinite(found)
        items, found = items[known], found[known]
        order = np.lexsort((items, -found))[: max(k, 0)]
        return items[order], found[order]

    def _among_others(self, items: Ints, cosines: Floats) -> Floats:
        """These cosines (written to) without what a seed gives itself, NaN for the anchors."""
        if len(self.seeds):
            place = np.minimum(np.searchsorted(self.seeds, items), len(self.seeds) - 1)
            mine = np.flatnonzero(self.seeds[place] == items)
            cosines[mine] -= self.own[place[mine]]
        if len(self.hidden):
            cosines[np.isin(items, self.hidden)] = np.nan
        return cosines


def middle_of(background: Floats) -> Floats:
    """The middle of the catalog, (d,): the mean of the vectors of items drawn evenly, `background` (m, d)."""
    middle: Floats = background.mean(axis=0) if len(background) else np.zeros(background.shape[1], np.float32)
    return middle


def likeness(index: VectorIndex, middle: Floats, context: Context, decay: float = HISTORY_DECAY) -> Likeness | None:
    """The direction in which the context's seeds lie from the middle of the catalog; None without a seed that has a
    vector."""
    seeds, weights = seeds_of(context, decay)
    if not len(seeds) or not len(index):
        return None
    distinct, place = np.unique(seeds, return_inverse=True)
    weight = np.bincount(place, weights=weights, minlength=len(distinct)).astype(np.float32)
    vectors = index.vectors(distinct)
    weight[~vectors.any(axis=1)] = 0
    apart = vectors - middle
    direction = weight @ apart
    length = float(np.linalg.norm(direction))
    if not weight.any() or length < 1e-6:
        return None
    direction = (direction / length).astype(np.float32)
    own = (weight * np.vecdot(vectors, apart) / length).astype(np.float32)
    return Likeness(direction, distinct.astype(np.int32), weight, own, np.unique(context.items).astype(np.int32))


def towards(vectors: Floats, weights: Floats, middle: Floats) -> Likeness | None:
    """The direction of items that the index does not hold: their own `vectors` (m, d), weighted."""
    direction = weights @ (vectors - middle)
    length = float(np.linalg.norm(direction))
    if length < 1e-6:
        return None
    none = np.empty(0, np.float32)
    return Likeness((direction / length).astype(np.float32), NO_INTS, none, none, NO_INTS)


def led_by(like: Likeness, index: VectorIndex, items: Ints, limit: int) -> Ints:
    """For each item the seeds nearest to it, the strongest first: (len(items), limit), -1 = no more."""
    out = np.full((len(items), limit), -1, np.int32)
    if not len(like.seeds) or not len(items):
        return out
    share = (index.vectors(items) @ index.vectors(like.seeds).T) * like.weights
    share = share.round(6)  # twins of one title tie: a product of matrices rounds each by where it lies in memory
    share[items[:, None] == like.seeds[None, :]] = -np.inf
    order = np.argsort(-share, axis=1, kind="stable")[:, :limit]
    led = np.where(np.take_along_axis(share, order, axis=1) > 0, like.seeds[order], -1)
    out[:, : led.shape[1]] = led
    return out
