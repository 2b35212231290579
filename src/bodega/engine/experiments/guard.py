"""Who stops an experiment that does harm while everybody sleeps? One look at all that run, every few minutes.

    mismatch   arms of the wrong size: something drops shoppers of one arm, so nothing can be learned any more
    harm       a guardrail surely got worse than allowed (its whole interval lies beyond)
    unserved   an arm's snapshot cannot be opened here

Then the experiment is stopped, the control serves everybody (in this process at once, in others within a second), and
the audit trail says why, as does a log line and a metric. All intervals hold at all times together, so looking often
stops no more harmless experiments than looking once. Of several processes of one machine one looks: whoever gets the
lock file, and nobody when somebody looked just now. Cost: one brief reading each.
Not for: promoting; that is for a person or a gate to do.
"""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bodega.engine.experiments.reading import Tried
from bodega.errors import BodegaError, Conflict
from bodega.schema.experiments import KeptExperiment
from bodega.settings import Settings

FILE = "experiments.guard"
WHO = "guard"
LOGGER = logging.getLogger("bodega.experiments")


class Steers(Protocol):
    """What a guard watches; `Experiments` fits."""

    def list(self) -> list[KeptExperiment]: ...
    def read(self, experiment: str, *, brief: bool = False) -> Tried: ...
    def stop(self, experiment: str, *, who: str, why: str = "") -> KeptExperiment: ...
    def unserved(self) -> dict[str, str]: ...


@dataclass(slots=True)
class Watched:
    """What the guard did so far, for metrics."""

    looks: int = 0
    stopped: int = 0
    failures: int = 0


class Guard:
    """Stops what does harm."""

    def __init__(self, steers: Steers, folder: Path, settings: Settings) -> None:
        self._steers = steers
        self._file = folder / FILE
        self.renew(settings)
        self._next = 0.0
        self._thread: threading.Thread | None = None
        self.tally = Watched()

    def renew(self, settings: Settings) -> None:
        """Guard as these say from now on."""
        self._every = settings.experiments.guard_minutes * 60.0
        self._on = settings.experiments.guard

    def turn(self) -> None:
        """Look if it is time, on a thread of its own; never raises, never waits. Called every few seconds by whatever
        keeps the shop running."""
        busy = self._thread is not None and self._thread.is_alive()
        if self._on and not busy and time.monotonic() >= self._next:
            self._next = time.monotonic() + min(self._every, 30.0)
            self._thread = threading.Thread(target=self._guarded, name="bodega-guard", daemon=True)
            self._thread.start()

    def _guarded(self) -> None:
        try:
            if any(each.state == "running" for each in self._steers.list()):
                self._alone()
        except BodegaError as error:
            self.tally.failures += 1
            LOGGER.error("%s", error.what, extra={"facts": error.as_dict()})
        except Exception as error:  # a guard that fails is told; the shop goes on
            self.tally.failures += 1
            LOGGER.error("experiments could not be guarded", exc_info=error)

    def _alone(self) -> None:
        """Look, unless another process does, or did just now."""
        with self._file.open("a+") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return
            held.seek(0)
            last = held.read().strip()
            if last and 0 <= time.time() - float(last) < self._every:
                return
            self.look()
            held.seek(0)
            held.truncate()
            held.write(repr(time.time()))

    def look(self) -> list[str]:
        """Read all that run and stop what must be; the ids of what was stopped. Raises StoreError."""
        stopped = []
        broken = self._steers.unserved()
        for kept in self._steers.list():
            if kept.state != "running":
                continue
            why = broken.get(kept.id) or reason(self._steers.read(kept.id, brief=True))
            if why:
                try:
                    self._steers.stop(kept.id, who=WHO, why=why)
                except Conflict:  # somebody was quicker
                    continue
                stopped.append(kept.id)
                LOGGER.warning("an experiment was stopped", extra={"facts": {"experiment": kept.id, "why": why}})
        self.tally.looks += 1
        self.tally.stopped += len(stopped)
        return stopped


def reason(found: Tried) -> str:
    """Why it must not go on, in words; "" where it may."""
    if found.verdict == "mismatch":
        shares = " to ".join(f"{count:,}" for count in found.units)
        return f"arms are not as large as planned: {shares}, p = {found.ratio_p:.2g}"
    for arm in found.arms:
        if arm.harmed:
            parts = [f"{name} {_change(arm.metrics[name].lift)}" for name in arm.harmed]
            return f"arm {arm.arm} does harm: {', '.join(parts)} (surely beyond what is allowed)"
    return ""


def _change(lift: float | None) -> str:
    return "changed" if lift is None else f"{lift:+.0%}"
