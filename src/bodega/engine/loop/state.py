"""Where is the loop, and what did it do? One small file that says how far it is, one that only grows, one lock.

    <folder>/loop/state.json    the step that is next, and all that it needs: a run that was killed goes on there
    <folder>/loop/audit.jsonl   every step that was taken: when, by whom, with which figures
    <folder>/loop/lock          held while a process works: one at a time

State is written beside and renamed after it is on disk; a line of the trail is on disk before the state that follows,
so a crash between the two repeats a step and notes it twice, and never forgets one. Cost: two fsyncs a step.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from bodega.engine.loop.gate import GateReport
from bodega.errors import LimitError
from bodega.schema.said import Said

if os.name == "posix":
    import fcntl

FOLDER = "loop"
STATE, AUDIT, LOCK = "state.json", "audit.jsonl", "lock"
Step = Literal["idle", "judge", "learn", "gate", "contest", "approve", "promote"]
STEPS: tuple[Step, ...] = ("judge", "learn", "gate", "contest", "approve", "promote")


class ContestReading(msgspec.Struct, frozen=True, kw_only=True):
    """What shoppers said so far of candidate against current."""

    state: Literal["open", "better", "worse", "harmless"] = "open"
    """`harmless`: not surely better, and surely no more than the margin worse, after all pages that were planned."""
    pages: int = 0
    planned: int = 0
    difference: float = 0.0
    """Clicks a page of the candidate less those of what is served, with an interval that holds whenever one looks."""
    low: float = 0.0
    high: float = 0.0
    text: str = ""


class LoopState(msgspec.Struct, frozen=True, kw_only=True):
    """How far the loop is."""

    run: int = 0
    step: Step = "idle"
    """What is next; `idle` between two runs."""
    began: float = 0.0
    served: str = ""
    """The snapshot that the candidate is weighed against."""
    candidate: str = ""
    until: float = 0.0
    """The candidate learns from events before this moment; what came later judges it."""
    newest: float = 0.0
    """Newest event when the run began."""
    gate: GateReport | None = None
    contest: str = ""
    """Id of the experiment that asks shoppers."""
    contest_began: float = 0.0
    reading: ContestReading | None = None
    outcome: str = ""
    """How the last run ended, or why this one waits, in words."""
    said: Said | None = None
    """The same with its code."""
    ended: float = 0.0
    without: tuple[str, ...] = ()
    """Accounts that candidates learn without, since they stood behind an attack."""


class AuditLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step that was taken."""

    time: float
    run: int
    step: str
    """One of `STEPS`, or `reject`, `approved`, `switch`, `clear`."""
    state: Literal["done", "pass", "fail", "open", "skip"] = "done"
    who: str = "loop"
    what: str = ""
    said: Said | None = None
    """`what` with its code; None where somebody typed it."""
    facts: dict[str, float | str] = {}


class LoopBook:
    """The three files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def state(self) -> LoopState:
        """As it stands; the start where there is none, or none that can be read."""
        try:
            return msgspec.json.decode((self.folder / STATE).read_bytes(), type=LoopState)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return LoopState()

    def put(self, state: LoopState) -> LoopState:
        """On disk when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = self.folder / f".{STATE}.{os.getpid()}"
        with made.open("wb") as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        made.replace(self.folder / STATE)
        return state

    def note(self, line: AuditLine) -> None:
        """One more line of the trail, on disk when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / AUDIT).open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def trail(self, limit: int = 100) -> list[AuditLine]:
        """The newest lines first; a line that was cut short by a crash is left out."""
        try:
            raw = (self.folder / AUDIT).read_bytes().splitlines()
        except OSError:
            return []
        out = []
        for line in reversed(raw):
            try:
                out.append(msgspec.json.decode(line, type=AuditLine))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            if len(out) == limit:
                break
        return out

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else works on the loop meanwhile. Raises LimitError where somebody does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOCK).open("a") as lock:
            if os.name == "posix":
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    raise LimitError(
                        "the loop of this shop is at work already",
                        code="loop.busy",
                        where=str(self.folder),
                        next="wait for it; `bodega loop status` says how far it is",
                    ) from error
            yield
