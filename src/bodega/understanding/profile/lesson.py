"""What is learned from, and by which numbers? Pairs that belong together, over what is known of items and queries.

Not for: how it is learned (`training`), or where the pairs come from (`retrieval.profile`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from bodega.schema.arrays import Flags, Floats, Longs
from bodega.understanding.profile.inputs import Inputs


class ProfileOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chosen on validation cases of Beauty and Office (docs/decisions/0039-item-profile.md)."""

    dimensions: int = 128
    seed: int = 7
    batch: int = 512
    """Pairs a step; in a small shop half of its items."""
    strangers: int = 256
    """Items drawn evenly as further contrast, a step."""
    epochs: float = 30.0
    """How often each item is looked at, at most."""
    steps: tuple[int, int] = (60, 1_200)
    """Fewest and most."""
    rate: float = 0.003
    gate_rate: float = 0.003
    temperature: float = 0.1
    hidden: float = 0.3
    """Chance of each modality to be hidden on one side of a pair."""
    hidden_behaviour: float = 0.6
    """The same of behaviour: what is cold has none."""
    selves: float = 0.5
    """Share of pairs that are one item seen twice, where behaviour tells pairs of two."""
    asked: float = 0.25
    """Share of pairs from queries, where there are as many as items (fewer: in proportion)."""
    plain: float = -2.0
    """Where the gates of words and attributes begin, against 0 of text and image, in a shop where no pairs of items
    teach them: which words tell one item from all others is not what makes two alike."""
    unjudged: float = 0.25
    """Part of the way from the start where there are no held-out pairs to ask."""
    log_q: float = 0.0
    """1: scores say how likely; 0: how much likelier than by chance, which is fair to what nobody knows."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """m pairs of rows: `left` belongs to `right`, `weight` (m,) times as often as another."""

    left: Longs
    right: Longs
    weight: Floats
    half: Longs
    """(m,): which of `Lesson.items` is looked at."""

    @classmethod
    def none(cls) -> Pairs:
        empty = np.empty(0, np.int64)
        return cls(empty, empty, np.empty(0, np.float32), empty)

    def __len__(self) -> int:
        return len(self.left)

    def where(self, keep: Flags) -> Pairs:
        """Those that are kept, (m,)."""
        return Pairs(self.left[keep], self.right[keep], self.weight[keep], self.half[keep])

    def at_most(self, share: float, beside: Pairs) -> Pairs:
        """These, weighed so that they are at most this share of what is drawn of both."""
        own, others = float(self.weight.sum(dtype=float)), float(beside.weight.sum(dtype=float))
        factor = min(1.0, share / (1 - share) * others / own) if own else 1.0
        return Pairs(self.left, self.right, self.weight * np.float32(factor), self.half)

    def beside(self, other: Pairs) -> Pairs:
        """These, then the others."""
        columns = ("left", "right", "weight", "half")
        return Pairs(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in columns))


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """All that is learned from."""

    items: tuple[Inputs, ...]
    """The catalog, once for every half of the log: they differ in `behaviour` alone."""
    together: Pairs = field(default_factory=Pairs.none)
    """Items wanted together."""
    queries: Inputs | None = None
    asked: Pairs = field(default_factory=Pairs.none)
    """`left` are rows of `queries`."""
    twin: Longs | None = None
    """(n_items,): the first item that reads the same: no contrast to it."""
    held: Pairs = field(default_factory=Pairs.none)
    """Pairs of shoppers that nothing else was made of."""
    judged: Inputs | None = None
    """The catalog as `held` may see it."""
    start: Mapping[str, Floats] = field(default_factory=dict)
    """Where projections begin: {modality: (inputs, d)}; random ones elsewhere."""
