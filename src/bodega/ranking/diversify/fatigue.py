"""What has this shopper had enough of? Shown often without a click, nearly what was dismissed, just bought for years.

Each item of a list gets a weariness from 0 (fresh) to 1, the largest of three:

    shown      w / (w + 3), w = times shown since the last click on it, each half after `half_life_days`
    dismissed  how like it is to something that was dismissed or returned, from half alike on (a copy: 1)
    bought     the chance that nobody buys it again, half 30 days after the purchase

Dismissed items themselves are not shown at all (`engine.pool`); a click or purchase ends the count of what was shown.
Cost: .1 ms for 50 items and 200 impressions. Not for: what was seen by everybody (popularity), or the order itself.
Paper: Ma, Liu & Shen 2016 (user fatigue in online news); the three forms are ours, nothing to fit them on is public.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from bodega.ranking.diversify.likeness import Likeness
from bodega.schema import EVENT_CODES, Context
from bodega.schema.arrays import Doubles, Floats, Ints

PATIENCE: Final = 3.0
"""Times shown at which an item is half worn."""
NEAR: Final = 0.5
"""Likeness to something dismissed from which an item is disliked with it."""
DISMISSED: Final = 20
"""Dismissed items that are looked at."""
OWNED_DAYS: Final = 30.0
"""Days after which a purchase that nobody repeats weighs half."""
DAY: Final = 86_400.0
_BOUGHT: Final = EVENT_CODES["purchase"]


class Rebuys(Protocol):
    """What knows how likely a buyer of an item buys it again (`retrieval.repeat` does)."""

    propensity: Floats
    """Logit of that chance, one an item of the snapshot."""


@dataclass(frozen=True, slots=True)
class Weariness:
    """Why each of n items is worn, 0 to 1 each: (n,)."""

    shown: Doubles
    dismissed: Doubles
    bought: Doubles

    @property
    def most(self) -> Doubles:
        out: Doubles = np.maximum(np.maximum(self.shown, self.dismissed), self.bought)
        return out


@dataclass(frozen=True, slots=True)
class Tired:
    """Says how tired a shopper is of the items of a list. `rows` are shelf rows, `known` the rows the context speaks of
    (-1: unknown to it); both (n,)."""

    likeness: Likeness
    rebuys: Rebuys | None = None

    def of(self, context: Context, rows: Ints, known: Ints, half_life_days: float) -> Weariness:
        """How worn each of the rows is."""
        return Weariness(
            _shown(context, known, half_life_days * DAY),
            self._dismissed(context, rows),
            self._bought(context, known),
        )

    def _dismissed(self, context: Context, rows: Ints) -> Doubles:
        away = context.disliked[-DISMISSED:]
        if not len(away) or not len(rows):
            return np.zeros(len(rows))
        nearest = self.likeness.against(rows, away).max(axis=1).astype(np.float64)
        out: Doubles = np.clip((nearest - NEAR) / (1 - NEAR), 0, 1)
        return out

    def _bought(self, context: Context, known: Ints) -> Doubles:
        if self.rebuys is None or not len(context.history):
            return np.zeros(len(known))
        bought = context.actions == _BOUGHT
        last = _newest(known, context.history[bought], context.times[bought])
        logit = np.full(len(known), np.inf)
        inside = (known >= 0) & (known < len(self.rebuys.propensity))
        logit[inside] = self.rebuys.propensity[known[inside]]
        never = 1 / (1 + np.exp(np.clip(logit, -50, 50)))
        return _halved(never, context.now - last, OWNED_DAYS * DAY)


def _shown(context: Context, known: Ints, half_life: float) -> Doubles:
    """How worn by having been shown; impressions after `now` count as new."""
    out = np.zeros(len(known))
    if not len(context.shown) or not len(known):
        return out
    times = _halved(np.ones(len(context.shown)), context.now - context.shown_times, half_life)
    order = np.argsort(known, kind="stable")
    at = np.minimum(np.searchsorted(known[order], context.shown), len(known) - 1)
    hit = known[order][at] == context.shown
    np.add.at(out, order[at[hit]], times[hit])
    worn: Doubles = out / (out + PATIENCE)
    return worn


def _newest(known: Ints, items: Ints, times: Doubles) -> Doubles:
    """When each known row was last among the items; -inf where it never was."""
    out = np.full(len(known), -np.inf)
    order = np.argsort(known, kind="stable")
    if len(known) and len(items):
        at = np.minimum(np.searchsorted(known[order], items), len(known) - 1)
        hit = known[order][at] == items
        np.maximum.at(out, order[at[hit]], times[hit])
    return out


def _halved(amount: Doubles, age: Doubles, half_life: float) -> Doubles:
    """The amount after so many seconds; nothing is left where the age is infinite."""
    out: Doubles = amount * np.exp2(-np.maximum(age, 0) / half_life)
    return out
