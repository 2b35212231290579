"""What is a feature? A name, its columns, and the numbers it gives for some items of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from bodega.features.state import State
from bodega.schema import Candidates, Context
from bodega.schema.arrays import Floats, Ints

NEWEST = 20
"""How many of the newest seeds (see `Context.seeds`) describe what the shopper wants now."""

FADE = 0.8
"""Weight of a seed for each place that it lies before the newest one."""


@dataclass(frozen=True)
class Asked:
    """One request's items, and what several features need of its shopper, computed once."""

    context: Context
    candidates: Candidates
    state: State

    @property
    def items(self) -> Ints:
        return self.candidates.items

    @cached_property
    def seeds(self) -> Ints:
        """The newest seeds that the catalog knows, newest first, at most `NEWEST`."""
        return self.context.seeds[: -NEWEST - 1 : -1]

    @cached_property
    def weights(self) -> Floats:
        """How much each seed counts; the sum is 1 (empty without seeds)."""
        faded = (FADE ** np.arange(len(self.seeds))).astype(np.float32)
        return faded / faded.sum() if len(faded) else faded


class Feature(Protocol):
    """Contract: any context and any items (none, too) give finite numbers, never an exception; the value of an item
    does not depend on the other items asked about (but for what compares scores inside a request); nothing is written.
    """

    @property
    def name(self) -> str:
        """What its columns begin with."""
        ...

    def columns(self, sources: Sequence[str]) -> tuple[str, ...]:
        """Names of the columns for candidates with scores of these sources: `<feature>.<what>`."""
        ...

    def value(self, asked: Asked) -> Floats:
        """(n_columns, n_items) float32, finite: one row a column, so that each lies in one piece."""
        ...


def table(features: Sequence[Feature], asked: Asked) -> Floats:
    """The rows of all features, one after the other: (n_columns, n_items)."""
    if not features:
        return np.empty((0, len(asked.items)), np.float32)
    return np.concatenate([feature.value(asked) for feature in features])


def widths(features: Sequence[Feature], sources: Sequence[str]) -> tuple[str, ...]:
    """The names of the rows of `table`."""
    return tuple(name for feature in features for name in feature.columns(sources))
