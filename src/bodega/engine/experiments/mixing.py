"""One list of two: the pages of two arms drafted into one, with the team of every item and what a click on it counts.

Both arms answer the same request from its top; captains pick in turns (`evaluation.experiments.team_draft`) by coins
that are a digest of the experiment, the shopper and what was asked: the second page of a list goes on where the first
ended. Beside the team stands the debiased count of a click, for the second arm, over 64 drafts and an attention that
falls as 1 / log2(1 + place); `bodega bench experiments` prints what a wrong curve costs.
Cost: a second answer, and .1 to 1 ms. Not for: deciding who prefers what (`evaluation.experiments.preference`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np

from bodega.evaluation.experiments import team_draft
from bodega.evaluation.experiments.interleaving import coins, weights
from bodega.schema import Hit, Page, Request
from bodega.schema.arrays import Doubles

DRAFTS = 64
LONGEST = 100
"""Lists are drafted so far; below, the control's goes on."""


@dataclass(frozen=True, slots=True)
class Mixed:
    """A drafted page."""

    page: Page
    teams: tuple[int, ...]
    """Row of the arm that each hit was drafted by."""
    credit: tuple[float, ...]
    """What a click on each hit counts for the second arm."""


def whole(request: Request) -> Request:
    """The request for everything down to the end of its page, from the top."""
    return msgspec.structs.replace(request, offset=0, k=request.offset + request.k)


def mixed(request: Request, control: Page, other: Page, seed: str) -> Mixed:
    """The page of a request drafted from both arms' lists, which begin at the top."""
    a, b = control.hits, other.hits
    number = {hit.id: at for at, hit in enumerate({each.id: each for each in (*a, *b)}.values())}
    held: dict[int, Hit] = {number[hit.id]: hit for hit in (*b, *a)}
    first, second = [number[hit.id] for hit in a], [number[hit.id] for hit in b]
    k = request.offset + request.k
    flips = coins(f"{seed}\0{request.place}\0{request.query}\0{','.join(request.items)}", (k + 1) // 2)
    draft = team_draft(first, second, k, flips)
    counts = weights(second, first, attention(k), DRAFTS)
    rows = draft.items.tolist()[request.offset :]
    hits = tuple(msgspec.structs.replace(held[row], position=request.offset + at) for at, row in enumerate(rows))
    page = msgspec.structs.replace(control, hits=hits, total=max(control.total, other.total))
    teams = tuple(draft.teams.tolist()[request.offset :])
    return Mixed(page, teams, tuple(round(counts.get(row, 0.0), 6) for row in rows))


@lru_cache(maxsize=64)
def attention(k: int) -> Doubles:
    """The chance that each place is looked at, (k,), relative to the first."""
    curve: Doubles = 1 / np.log2(np.arange(2, k + 2, dtype=np.float64))
    return curve


def clicked(items: Sequence[str], values: Sequence[float], clicks: set[str]) -> float:
    """The sum of these values over the items that were clicked."""
    return sum(value for item, value in zip(items, values, strict=False) if item in clicks)
