"""Which slots of this page, against which challengers, inside the budget? And the draw itself.

Each slot that may be tried gets challengers of its own from just below the page, the most promising first; no item is
an arm of two slots. So slots are independent, the chance of an item in its slot needs no sum over the other slots, and
the chance of the page is a product. A slot is left to the ranking with chance 1 - share, else the policy decides it:

    chance(arm) = (1 - share) [arm is the ranking's] + share * policy(arm)

`share` shrinks until the page gives up at most `loss` of its score in expectation, which is linear in it. What is shown
instead changes places with what it replaces: the list loses nothing. The draw is seeded by the request id, so a page
can be drawn again from its log line. Guardrails: pins, what is sold out, what was not scored closely: all stay put.
Cost: .5 ms a page. Not for: what is believed (`beliefs`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from bodega.ranking.explore.beliefs import Beliefs
from bodega.ranking.explore.policies import Arms, chances
from bodega.schema import Explore
from bodega.schema.arrays import Doubles, Flags, Floats, Ints, Longs

LEAST_SHARE = 1e-3
"""Where the budget leaves less than this, nothing is tried."""
LEAST_CHANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Field:
    """A ranked list, and what is known of its rows."""

    rows: Ints
    """The whole list in the order in which it would be shown."""
    score: Floats
    """(len(rows),) 0 to 1; NaN for what was not scored closely."""
    fixed: Flags
    """(len(rows),): pinned, sold out, or otherwise not to be moved."""
    k: int
    """Length of the page."""
    names: Callable[[Ints], list[str]]
    features: Callable[[Ints, Floats], Doubles]
    """(rows, their scores) -> (n, d), see `FEATURES`."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What may stand in the slots of one page."""

    positions: Longs
    """(S,) 0-based."""
    places: Longs
    """(S, n) where each arm stands in the list; -1 for none. The first is the position itself."""
    chance: Doubles
    """(S, n); 0 for none, rows sum to 1."""
    features: Doubles
    """(S, n, d)."""
    items: tuple[tuple[str, ...], ...]
    """Ids of the arms of each slot."""
    share: float
    """The chance that a slot was left to the policy, after the budget."""
    loss: float
    """Part of the page's score that is given up in expectation."""


def trial(field: Field, dial: Explore, beliefs: Beliefs, now: float) -> Trial | None:
    """What may be tried on this page; None where nothing may."""
    free = ~field.fixed & np.isfinite(field.score)
    last = min(dial.slots, field.k, len(field.rows))
    positions = np.flatnonzero(free[:last])
    positions = positions[positions >= dial.first - 1]
    below = _below(field, dial, free)
    if dial.off or not len(positions) or not len(below):
        return None
    known = _known(field, np.concatenate([positions, below]), beliefs, now)
    order = np.arange(len(positions), len(positions) + len(below))
    if dial.policy != "epsilon":
        promise = known.arms(order[None], beliefs, now).promise()[0]
        order = order[np.lexsort((np.arange(len(below)), -promise))]
    dealt = _dealt(np.arange(len(positions)), order, dial.among)
    arms = known.arms(dealt, beliefs, now)
    decided = chances(dial.policy, arms, dial.floor)
    places = np.where(dealt >= 0, known.places[dealt], -1)
    score = np.where(places >= 0, field.score[places], np.nan)
    share, loss = _share(decided, score, positions, field, dial)
    if share < LEAST_SHARE:
        return None
    items = tuple(tuple(known.names[arm] for arm in slot if arm >= 0) for slot in dealt.tolist())
    return Trial(positions[: len(places)], places, mixed(decided, share), arms.features, items, share, loss)


def mixed(decided: Doubles, share: float) -> Doubles:
    """The ranking's own arm with chance 1 - share, else what the policy decides; rows sum to 1, rounded as logged."""
    chance = np.where(decided > 0, np.maximum(np.round(share * decided, 9), LEAST_CHANCE), 0.0)
    chance[:, 0] = np.maximum(1.0 - chance[:, 1:].sum(axis=1), LEAST_CHANCE)
    return chance


def drawn(request_id: str, chance: Doubles) -> Longs:
    """Which arm is shown in each slot, (S,): the same for the same request id and chances."""
    seed = int.from_bytes(blake2b(request_id.encode(), digest_size=16).digest(), "big")
    point = np.random.default_rng(seed).random(len(chance))
    total = np.cumsum(chance, axis=1)
    arm = (point[:, None] * total[:, -1:] >= total).sum(axis=1)
    return np.asarray(np.minimum(arm, (chance > 0).sum(axis=1) - 1), np.int64)


def arranged(rows: Ints, trial_: Trial, shown: Longs) -> Ints:
    """The list with the arms that were drawn in their slots; what they replace stands where they stood."""
    out = rows.copy()
    for slot, position in enumerate(trial_.positions.tolist()):
        place = int(trial_.places[slot, shown[slot]])
        out[position], out[place] = rows[place], rows[position]
    return out


def _below(field: Field, dial: Explore, free: Flags) -> Longs:
    """Places of the rows that may challenge, in their order."""
    page = field.score[: field.k]
    page = page[np.isfinite(page)]
    if not len(page):
        return np.empty(0, np.int64)
    places = np.arange(field.k, min(field.k + dial.reach, len(field.rows)))
    near = free[places] & (np.nan_to_num(field.score[places], nan=-1.0) >= page.min() - dial.within)
    return np.asarray(places[near], np.int64)


def _dealt(positions: Longs, below: Longs, among: int) -> Longs:
    """(S, n): each slot with its challengers, dealt in turn; -1 where there is none. Slots without any are left out."""
    slots = min(len(positions), len(below))
    used = below[: slots * among]
    deal = np.full((slots, -(-len(used) // slots)), -1, np.int64)
    deal.T.flat[: len(used)] = used
    return np.column_stack([positions[:slots], deal])


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known of m rows of a field: looked up once for a page."""

    places: Longs
    names: list[str]
    features: Doubles
    sums: Doubles

    def arms(self, dealt: Longs, beliefs: Beliefs, now: float) -> Arms:
        """The rows as arms: `dealt` (S, n) are numbers of rows, -1 for none."""
        present = dealt >= 0
        features, sums = self.features[dealt], self.sums[dealt]
        features[~present] = 0.0
        return Arms(present, features, sums, beliefs.rate(now), beliefs.total(now)[0], beliefs.common(now))


def _known(field: Field, places: Longs, beliefs: Beliefs, now: float) -> _Known:
    rows = field.rows[places]
    names = field.names(rows)
    features = np.round(field.features(rows, field.score[places]), 4)
    return _Known(places, names, features, beliefs.sums(names, now))


def _share(decided: Doubles, score: Doubles, positions: Longs, field: Field, dial: Explore) -> tuple[float, float]:
    """(share after the budget of score, expected loss at it): both in parts of the whole."""
    page = np.nan_to_num(field.score[: field.k], nan=0.0).astype(np.float64)
    worth = float((page / np.log2(np.arange(len(page)) + 2.0)).sum())
    gap = np.maximum(score[:, :1] - np.nan_to_num(score, nan=0.0), 0.0)
    lost = float(((decided * gap).sum(axis=1) / np.log2(positions[: len(decided)] + 2.0)).sum())
    if worth <= 0 or lost <= 0:
        return dial.share, 0.0
    share = min(dial.share, dial.loss * worth / lost)
    return share, share * lost / worth
