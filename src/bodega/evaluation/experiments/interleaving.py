"""Which of two orders do shoppers like better? Ask the same shopper at the same moment, in one list.

`team_draft` mixes two lists as captains pick teams (Radlinski, Kurup & Joachims 2008): a coin decides who picks first,
each picks its best item that is left. Clicks are then credited in one of two ways:

    teams      a click counts for the team that picked the item. Simple, but items that both lists place alike are given
               to a team by the coin: noise, and the difference has no unit.
    debiased   a click on item d counts (e(rank in A) - e(rank in B)) / p(d): what more attention A would have given it,
               over the attention it had in expectation over all coins. Where clicks are attention times attraction this
               is an unbiased estimate of clicks under A less clicks under B, in clicks a page, and items that both
               place alike count nothing. (Horvitz-Thompson over the draft; the idea of Bi et al., "Debiased balanced
               interleaving at Amazon Search", CIKM 2022.)

All coins of a draft come from the digest of the request's id, so a list can be drawn again from the log. Cost: 30 us a
page, the weights 100 us. Not for: what shoppers buy elsewhere on their visit, prices, layouts: an A/B test is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from bodega.evaluation.experiments.anytime import FEWEST, Effect, half_width
from bodega.schema.arrays import Doubles, Longs

EXACT = 10
"""Up to so many coins all drafts are gone through; above, 1,024 drawn ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """One mixed list."""

    items: Longs
    """(k,)"""
    teams: Longs
    """(k,) 0 where the first list picked the item, 1 where the second did."""


def coins(request_id: str, rounds: int) -> list[bool]:
    """The coins of a request: True where the first list picks first."""
    bits = int.from_bytes(blake2b(request_id.encode("utf-8", "surrogatepass"), digest_size=32).digest(), "little")
    return [bool(bits >> number & 1) for number in range(rounds)]


def team_draft(a: Sequence[int], b: Sequence[int], k: int, flips: Sequence[bool]) -> Draft:
    """Mix two lists of items into one of k; `flips` holds a coin for every two places."""
    lists, at, taken = (list(a), list(b)), [0, 0], set[int]()
    items: list[int] = []
    teams: list[int] = []

    def pick(team: int) -> None:
        mine = lists[team]
        while at[team] < len(mine) and mine[at[team]] in taken:
            at[team] += 1
        if at[team] < len(mine) and len(items) < k:
            taken.add(mine[at[team]])
            items.append(mine[at[team]])
            teams.append(team)

    for first in flips[: (k + 1) // 2]:
        pick(0 if first else 1)
        pick(1 if first else 0)
    return Draft(np.asarray(items, np.int64), np.asarray(teams, np.int64))


def team_credit(draft: Draft, clicked: Sequence[int]) -> float:
    """Clicks of the first list's team less those of the second's."""
    mine = draft.teams[np.isin(draft.items, np.asarray(list(clicked), np.int64))]
    return float((mine == 0).sum() - (mine == 1).sum())


def weights(a: Sequence[int], b: Sequence[int], examination: Doubles, most: int = 1_024) -> dict[int, float]:
    """{item: what a click on it counts for the first list} under the debiased credit, over at most so many drafts.

    `examination` (k,): the chance that each place is looked at, as `ranking.explore` or a click model estimates it.
    """
    k = len(examination)
    seen: dict[int, float] = {}
    drafts = _drafts((k + 1) // 2, most)
    for flips in drafts:
        for place, item in enumerate(team_draft(a, b, k, flips).items.tolist()):
            seen[item] = seen.get(item, 0.0) + float(examination[place]) / len(drafts)
    first, second = _looks(a, examination), _looks(b, examination)
    return {
        item: (first.get(item, 0.0) - second.get(item, 0.0)) / chance for item, chance in seen.items() if chance > 0
    }


def debiased_credit(counts: dict[int, float], clicked: Sequence[int]) -> float:
    """What the clicks of one page say: an estimate of clicks under the first list less those under the second."""
    return float(sum(counts.get(item, 0.0) for item in clicked))


def preference(credit: Doubles, planned: int, alpha: float = 0.05) -> Effect:
    """The mean credit a page, (n,), with an interval that holds whenever one looks. `control` is 0: there is none."""
    n, mean = len(credit), float(np.mean(credit)) if len(credit) else 0.0
    if n < FEWEST:
        return Effect(mean, -np.inf, np.inf, 0.0, n)
    half = half_width(n, float(np.var(credit, ddof=1)), planned, alpha)
    return Effect(mean, mean - half, mean + half, 0.0, n)


def _looks(items: Sequence[int], examination: Doubles) -> dict[int, float]:
    return {int(item): float(chance) for item, chance in zip(items, examination, strict=False)}


@lru_cache(maxsize=64)
def _drafts(rounds: int, most: int) -> tuple[tuple[bool, ...], ...]:
    """The coins of all drafts of so many rounds, or, where that were more, of `most` drawn once and for all."""
    if rounds <= EXACT and 2**rounds <= most:
        return tuple(tuple(bool(number >> bit & 1) for bit in range(rounds)) for number in range(2**rounds))
    drawn = np.random.default_rng(rounds).integers(0, 2, (most, rounds)).astype(bool)
    return tuple(tuple(row) for row in drawn.tolist())
