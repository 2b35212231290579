"""What has this shopper done before, and what of it concerns the item? From the request's own history."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bodega.features.feature import Asked
from bodega.schema.arrays import Flags, Floats, Ints, Longs

DEEPEST = 200
"""How far back in the history a touch is looked for, in events."""


class Habits:
    """The length of the history, how varied it is, how popular its newest items are, and how many anchors there are.

    The same for all items of a request: they only matter together with other features.
    """

    name = "shopper"

    def columns(self, sources: Sequence[str]) -> tuple[str, ...]:
        del sources
        return tuple(f"{self.name}.{name}" for name in ("length", "variety", "mainstream", "anchors"))

    def value(self, asked: Asked) -> Floats:
        context, state = asked.context, asked.state
        newest = context.history[-DEEPEST:]
        leaves = state.leaf[newest]
        facts = (
            np.log1p(len(context.history)),
            np.count_nonzero(np.bincount(leaves + 1)) / len(newest) if len(newest) else 0.0,
            float(asked.weights @ state.percentile(asked.seeds)) if len(asked.seeds) else 0.5,
            np.log1p(len(context.items)),
        )
        return np.repeat(np.array(facts, np.float32)[:, None], len(asked.items), axis=1)


class Touched:
    """How lately did the shopper touch the item, its category, its brand? 1 / steps back (1 = newest), 0 never; and
    how often the item itself (logarithm)."""

    name = "touched"

    def columns(self, sources: Sequence[str]) -> tuple[str, ...]:
        del sources
        return tuple(f"{self.name}.{name}" for name in ("item", "times", "category", "brand"))

    def value(self, asked: Asked) -> Floats:
        items, state = asked.items, asked.state
        history = asked.context.history[: -DEEPEST - 1 : -1]
        out = np.zeros((4, len(items)), np.float32)
        if not len(history) or not len(items):
            return out
        same = items[:, None] == history  # 100 x 200 comparisons take 10 us, three sorts of the history 90
        times = np.count_nonzero(same, axis=1)
        mine = np.flatnonzero(times)
        out[0, mine] = 1 / (1 + same[mine].argmax(axis=1))
        out[1, mine] = np.log1p(times[mine])
        out[2] = _closeness(state.leaf[history], state.leaf[items])
        out[3] = _closeness(state.brand[history], state.brand[items])
        return out


class Affinity:
    """Which part of what the shopper wants now has the item's category, its brand?"""

    name = "affinity"

    def columns(self, sources: Sequence[str]) -> tuple[str, ...]:
        del sources
        return (f"{self.name}.category", f"{self.name}.brand")

    def value(self, asked: Asked) -> Floats:
        seeds, state, items = asked.seeds, asked.state, asked.items
        return np.stack([_share(held[seeds], asked.weights, held[items]) for held in (state.leaf, state.brand)])


def _closeness(past: Ints, codes: Ints) -> Floats:
    """1 / (1 + place of the first equal code in `past`), 0 where there is none; -1 equals nothing."""
    first, hit = _first(past, codes)
    out: Floats = np.where(hit, 1 / (1 + first), 0).astype(np.float32)
    return out


def _share(past: Ints, weights: Floats, codes: Ints) -> Floats:
    """Sum of the weights of the equal codes in `past`."""
    if not len(past):
        return np.zeros(len(codes), np.float32)
    total = np.bincount((past[:, None] == past).argmax(axis=1), weights=weights, minlength=len(past))
    first, hit = _first(past, codes)
    out: Floats = np.where(hit, total[first], 0).astype(np.float32)
    return out


def _first(past: Ints, codes: Ints) -> tuple[Longs, Flags]:
    """(place of the first equal code in `past`, is there one?), (len(codes),) each; -1 equals nothing."""
    same = codes[:, None] == past
    first = same.argmax(axis=1)
    return first, same.any(axis=1) & (codes >= 0)
