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


class Explore(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one place tries out, and how much of its page it may spend on that. Off by default.

    A page is never changed but in slots that may be tried, and there only against items that nearly made the page.

    >>> Explore().off, Explore(policy="thompson").off
    (True, False)
    """

    policy: Literal["off", "epsilon", "thompson", "linear", "linucb", "cascade", "cascade_ucb"] = "off"
    """How what is tried is chosen: evenly (`epsilon`), Thompson sampling from clicks of each item (`thompson`) or from
    what items have in common (`linear`), upper confidence bound (`linucb`), or either for people who read a list from
    its top and stop at the first thing they like (`cascade`, `cascade_ucb`)."""
    share: Part = 0.1
    """The budget: chance that a slot is decided by the policy instead of the ranking."""
    loss: Part = 0.02
    """The other budget: at most this part of a page's score is given up in expectation; `share` shrinks to fit."""
    first: Annotated[int, msgspec.Meta(ge=1, le=100)] = 2
    """The first slot that may be tried (1: the top of the page)."""
    slots: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    """The last slot that may be tried."""
    among: Annotated[int, msgspec.Meta(ge=1, le=16)] = 4
    """Challengers of one slot."""
    reach: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 60
    """Challengers are at most this many places below the end of the page."""
    within: Part = 0.3
    """Challengers score at most this much less than the last item of the page (0 to 1 is the whole list)."""
    floor: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1
    """Part of a decided slot's chance that is spread evenly: no challenger ever has none."""
    half_life_days: Annotated[float, msgspec.Meta(gt=0)] = 14.0
    """After so many days a click counts half for what is believed of an item."""

    @property
    def off(self) -> bool:
        """Is nothing tried at all?"""
        return self.policy == "off" or self.share == 0
