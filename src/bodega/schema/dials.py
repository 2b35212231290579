"""How mixed should a list be? The dial of one place; `ranking.diversify` turns it into an order.

Everything is off by default: then a list is exactly what the ranking made it. It lies here, below the settings, so that
a shop's settings and the stage that obeys them mean the same thing. Not for: what may be shown at all (filters, rules).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Part = Annotated[float, msgspec.Meta(ge=0, le=1)]
Most = Annotated[int, msgspec.Meta(ge=0)]


class Diversity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one place gives up of the plain order, and for what. All parts are 0 (nothing) to 1 (everything).

    >>> Diversity().off, Diversity(strength=0.2).off
    (True, False)
    """

    method: Literal["mmr", "dpp"] = "dpp"
    """How likeness is avoided: `dpp` (the whole list spans much) or `mmr` (no item like one above it)."""
    strength: Part = 0.0
    """How much unlikeness counts against the score."""
    novelty: Part = 0.0
    """How much is added for being little known."""
    per_category: Most = 0
    """At most so many items of one deepest category among the first `within`; 0: any number."""
    per_brand: Most = 0
    """At most so many items of one brand among the first `within`; 0: any number."""
    within: Annotated[int, msgspec.Meta(ge=1, le=200)] = 10
    """How many places the caps speak of."""
    fatigue: Part = 0.0
    """How much is taken from what was shown often without a click, is nearly what was dismissed, or was just bought
    and is not bought again."""
    half_life_days: Annotated[float, msgspec.Meta(gt=0)] = 7.0
    """After so many days having been shown counts half."""
    head: Annotated[int, msgspec.Meta(ge=2, le=200)] = 50
    """How many of the first items are put in a new order; what is behind them stays."""

    @property
    def off(self) -> bool:
        """Does it leave every list as it is?"""
        return not (self.strength or self.novelty or self.per_category or self.per_brand or self.fatigue)
