"""What is left of a page when a part of the engine fails? Everything else, and the name of what is missing.

Whoever asks a source or a stage does it through here. A part that raises, or answers nonsense, is left out of this one
page and named in `degraded`; a part that fails (or dawdles) three times running is not asked at all for a second, then
for two, then for four: a broken part costs nothing, and is back within seconds of being mended. Three, because one
query that a source stumbles over must not take it from everybody else.
Cost: half a microsecond a call. Not for: what to show instead (`ladder`), or errors of the caller, which pass through.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bodega.engine.deadline import TooLate, now
from bodega.errors import AccessError, LimitError, UsageError
from bodega.schema.arrays import Floats, Ints

STRIKES = 3
"""Failures in a row after which a part is left alone."""
SLOW = 0.25
"""Seconds of one call that count as a failure, where the settings say nothing else: a whole page has 25 ms."""
REST = 1.0
LONGEST_REST = 4.0
"""Seconds that a part is left alone, at first and at most: what is mended is back within five."""

LOGGER = logging.getLogger("bodega.engine")

T = TypeVar("T")


class Nonsense(ValueError):
    """A part answered what cannot be."""


@dataclass(slots=True)
class Losses:
    """What was lost on the way to one page: {part: why}."""

    named: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """As `degraded` says it: "transition: left out, it failed (ValueError)"."""
        return tuple(f"{name}: {why}" for name, why in self.named.items())


_LOSSES: ContextVar[Losses | None] = ContextVar("bodega_losses", default=None)


@contextmanager
def counting() -> Iterator[Losses]:
    """Inside it, what is lost is counted for one page."""
    losses = Losses()
    token = _LOSSES.set(losses)
    try:
        yield losses
    finally:
        _LOSSES.reset(token)


def lose(name: str, why: str) -> None:
    """Say that a part is missing on this page (the first reason is kept)."""
    losses = _LOSSES.get()
    if losses is not None:
        losses.named.setdefault(name, why)


def losses() -> Losses | None:
    """What was lost so far on the way to the page that is being made; None outside of one."""
    return _LOSSES.get()


def is_lost(name: str) -> bool:
    """Was this part lost on the way to the page that is being made?"""
    losses = _LOSSES.get()
    return losses is not None and name in losses.named


def is_callers(error: Exception) -> bool:
    """Is it the caller who has to mend it? Such errors are answers, and no part's fault."""
    return isinstance(error, UsageError | AccessError | LimitError)


@dataclass(slots=True)
class _Patient:
    """A part that failed lately."""

    strikes: int = 0
    until: float = 0.0
    rest: float = REST
    why: str = ""


class Health:
    """Which parts fail at the moment? One for all pages of a snapshot; safe from several threads (a lost update costs
    one more question to a broken part)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.slow = SLOW
        """Seconds of one call that count as a failure (`answer.slow_ms`); infinite: none does."""
        self._patients: dict[str, _Patient] = {}

    def ask(self, name: str, call: Callable[[], T], otherwise: Callable[[], T]) -> T:
        """What `call` gives; `otherwise` where it fails or is being left alone, and then the part is named."""
        late = now().late(name)
        if late:
            lose(name, late)
            return otherwise()
        patient = self._patients.get(name)
        started = self._clock()
        if patient is not None and started < patient.until:
            lose(name, f"left out, {patient.why}")
            return otherwise()
        try:
            found = call()
        except TooLate as error:
            self._strike(name, str(error), None)
            lose(name, str(error))
            return otherwise()
        except Exception as error:
            if is_callers(error):
                raise
            self._strike(name, f"it failed ({type(error).__name__})", error)
            lose(name, f"left out, it failed ({type(error).__name__})")
            return otherwise()
        taken = self._clock() - started
        if taken > self.slow:
            self._strike(name, f"it took {taken:.2g} s", None)
        elif patient is not None:
            self._patients.pop(name, None)
        return found

    def resting(self) -> tuple[str, ...]:
        """The parts that are left alone at this moment."""
        now = self._clock()
        return tuple(sorted(name for name, patient in list(self._patients.items()) if now < patient.until))

    def _strike(self, name: str, why: str, error: Exception | None) -> None:
        patient = self._patients.setdefault(name, _Patient())
        patient.strikes += 1
        patient.why = why
        if patient.strikes == 1:
            LOGGER.error("a part of the engine fails", exc_info=error, extra={"facts": {"part": name, "why": why}})
        if patient.strikes >= STRIKES:
            patient.until = self._clock() + patient.rest
            patient.rest = min(2 * patient.rest, LONGEST_REST)


def rows_of(items: NDArray[np.integer], size: int) -> Ints:
    """The rows that a source retrieved. Raises Nonsense for what is no row of a table of this size."""
    if items.ndim != 1 or items.dtype.kind != "i":
        raise Nonsense(f"{items.dtype} of {items.ndim} dimensions instead of rows")
    if len(items) and (int(items.min()) < 0 or int(items.max()) >= size):
        raise Nonsense(f"rows that a table of {size:,} does not have")
    return items.astype(np.int32, copy=False)


def scores_of(scores: Floats, count: int) -> Floats:
    """The scores that a source gave; NaN is no opinion. Raises Nonsense for another shape, or infinities."""
    if scores.shape != (count,):
        raise Nonsense(f"scores of shape {scores.shape} for {count:,} rows")
    if count and bool(np.isinf(scores).any()):
        raise Nonsense("infinite scores")
    return scores
