"""Which time may a search look at? Folds before a window that confirms, before the test window that nobody touches.

    ... everything older ... | fold | fold | fold | confirm | test
                                search looks here   once      never (`bodega learn` takes its figures there)

A fold is learned from everything before it and judged on what shoppers did in it: time-aware cross-validation, with the
past growing from fold to fold. The windows are as long as the settings' validation window, shorter where the log is
short, so that at least half of it is always left to learn from. Cost: nothing. Not for: sequences without time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bodega.errors import BadRequest, LeakFound
from bodega.evaluation import Case, Window
from bodega.schema import Log
from bodega.settings import Settings

DAY = 86_400.0
LEFT = 0.5
"""Share of the log's span that is always left to learn from before the first fold."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The cuts, oldest first."""

    folds: tuple[Window, ...]
    confirm: Window
    test: Window


def windows(log: Log, settings: Settings, folds: int = 3) -> Windows:
    """The cuts of a log. Raises BadRequest for a log without events or without time."""
    if len(log) == 0 or log.time[-1] <= log.time[0]:
        raise BadRequest(
            "there is nothing to tune on: the log holds no span of time",
            where="bodega tune",
            allowed="events on several days",
            got=f"{len(log):,} events",
            next="bodega import events, then bodega learn; tune when some weeks have gone by",
        )
    end = float(np.nextafter(log.time[-1], np.inf))
    span = end - float(log.time[0])
    test = end - min(settings.learn.test_days * DAY, span / 10)
    length = min(settings.learn.validation_days * DAY, (test - float(log.time[0]) - LEFT * span) / (folds + 1))
    cuts = [test - length * back for back in range(folds + 1, -1, -1)]
    made = [Window(start, stop) for start, stop in pairwise(cuts)]
    return Windows(tuple(made[:-1]), made[-1], Window(test, end))


def check_untouched(known: Log, cases: Sequence[Case], cut: float, test: Window) -> None:
    """Raise LeakFound where a model learned from `cut` on, or where anything lies in the test window."""
    if len(known) and known.time[-1] >= cut:
        raise LeakFound(
            "the training data of a fold reaches into what the fold is judged on",
            where="bodega tune",
            allowed=f"events before {cut}",
            got=f"an event at {float(known.time[-1])}",
            next="learn from log.before(fold.start)",
        )
    latest = max((case.context.now for case in cases), default=-np.inf)
    if latest >= test.start:
        raise LeakFound(
            "a search for settings looks at the test window",
            where="bodega tune",
            allowed=f"cases before {test.start}",
            got=f"a case at {latest}",
            next="make the cases from the folds and the confirming window only",
        )
