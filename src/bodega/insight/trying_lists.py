"""Whose items do shoppers prefer in one list of two, and what did a block of time bring? The other two kinds.

    preferred     pages that two arms drafted: clicks of each team, and the debiased credit of every page, with an
                  interval that holds whenever one looks; positive is the second arm
    switched      a switchback: the mean of each block of time, treated blocks against the others

Cost: one pass over pages and events. Not for: what shoppers do elsewhere on their visit (`trying`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bodega.evaluation.experiments import Effect, assigned, block_means, preference, switchback
from bodega.insight.trying import Gathered, Log, blocks
from bodega.schema.experiments import KeptExperiment

CLICKS = ("click", "view", "cart", "purchase")
PLANNED = 2_000
"""Pages of an interleaving that nobody planned."""


@dataclass(frozen=True, slots=True)
class Preferred:
    """What the clicks of drafted lists say; positive: the second arm's order is preferred."""

    pages: int
    clicked: int
    """Pages with at least one click."""
    wins: tuple[int, int]
    """Clicked pages on which the (first, second) arm's team got more clicks."""
    debiased: Effect
    """Clicks a page that the second arm's list would have had more than the first's."""
    teams: Effect
    """Clicks a page of the second team less those of the first."""


def preferred(kept: KeptExperiment, log: Log) -> Preferred:
    """The verdict of an interleaving."""
    pages = {line.request_id: line for line in log.answers(kept.started) if line.teams and kept.id in line.arms}
    clicks: dict[str, set[str]] = {}
    for doing in log.doings(kept.started):
        if doing.type in CLICKS and doing.request_id in pages:
            clicks.setdefault(doing.request_id, set()).add(doing.item)
    debiased, team = np.zeros(len(pages)), np.zeros(len(pages))
    for row, (request, line) in enumerate(pages.items()):
        wanted = clicks.get(request, ())
        for item, side, credit in zip(line.items, line.teams, line.credit or (0.0,) * len(line.teams), strict=False):
            if item in wanted:
                debiased[row] += credit
                team[row] += 1.0 if side == 1 else -1.0
    planned = kept.experiment.units or PLANNED
    return Preferred(
        len(pages),
        len(clicks),
        (int((team < 0).sum()), int((team > 0).sum())),
        preference(debiased, planned),
        preference(team, planned),
    )


@dataclass(frozen=True, slots=True)
class Switched:
    """What a switchback says of one arm against the control."""

    arm: str
    effect: Effect
    blocks: tuple[int, int]
    """Blocks of the (control, arm)."""


def switched(kept: KeptExperiment, seen: Gathered, metric: str, alpha: float = 0.05) -> list[Switched]:
    """The verdict of a switchback, arm by arm, for who looks once."""
    experiment = kept.experiment
    length = 60.0 * experiment.block_minutes
    values, times = blocks(kept, seen, metric)
    numbers, means = block_means(values, times, length)
    unit = next(_anybody(kept), "")
    arms = [assigned(experiment, unit, (number + 0.5) * length) for number in numbers.tolist()]
    rows = np.array([experiment.arms.index(arm) for arm in arms if arm is not None], np.int64)
    out = []
    for row, arm in enumerate(experiment.arms[1:], 1):
        either = (rows == 0) | (rows == row)
        effect = switchback(means[either], rows[either] == row, alpha)
        out.append(Switched(arm.name, effect, (int((rows == 0).sum()), int((rows == row).sum()))))
    return out


def _anybody(kept: KeptExperiment) -> Iterator[str]:
    """A unit that takes part, for asking which arm a block had."""
    for number in range(100_000):
        if assigned(kept.experiment, f"u:{number}") is not None:
            yield f"u:{number}"
