"""How does a console ask for something that takes minutes? As a job: one at a time, beside the pages, its result kept.

    <folder>/office/<name>.json         the last result that was whole, with its time and what was asked
    <folder>/office/<name>.state.json   what is going on: task, how far, since when; or what went wrong

A lock on the state decides who works, so of several processes that are asked at once one does the work and the others
show how far it is; a job whose process died is told from one that runs by that same lock. A result appears by a rename:
a reader finds the old one or the new one. Cost: a file of a few hundred bytes twice a second while it runs.
Not for: work that must survive a restart (it is begun again), nor for anything that a page waits for.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from bodega.errors import BodegaError, StoreError
from bodega.protocols import Progress

if os.name == "posix":
    import fcntl

LOGGER = logging.getLogger("bodega.office")
FOLDER = "office"
"""In a shop's folder."""
TELL_EVERY = 0.5
"""Seconds between two words on how far a job is."""

Result = TypeVar("Result")


class JobState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is."""

    state: str = "never"
    """`never`, `running`, `done`, `failed`, or `lost` (its process ended before it did)."""
    task: str = ""
    """What it is doing, in words."""
    done: float = 0.0
    total: float | None = None
    started: float = 0.0
    """Seconds since 1970 UTC, as all times."""
    finished: float = 0.0
    error: str = ""
    next: str = ""


class Job(Generic[Result]):
    """One kind of work in one shop's folder. Calls are safe from several threads and processes."""

    def __init__(self, folder: Path, name: str, kind: type[Result]) -> None:
        self._folder = folder / FOLDER
        self._name = name
        self._kind = kind
        self._held: tuple[tuple[int, int], Result] | None = None
        self._thread: threading.Thread | None = None

    def state(self) -> JobState:
        """What is going on."""
        try:
            found = msgspec.json.decode(self._state.read_bytes(), type=JobState)
        except (OSError, msgspec.MsgspecError):
            return JobState()
        if found.state == "running" and not self._is_locked():
            return msgspec.structs.replace(found, state="lost", next="start it again")
        return found

    def result(self) -> Result | None:
        """The last whole result; None where there is none, or one of another version."""
        path = self._folder / f"{self._name}.json"
        try:
            stat = path.stat()
            mark = (stat.st_mtime_ns, stat.st_size)
            if self._held is None or self._held[0] != mark:
                self._held = mark, msgspec.json.decode(path.read_bytes(), type=self._kind)
            return self._held[1]
        except (OSError, msgspec.MsgspecError):
            return None

    def start(self, work: Callable[[Progress], Result]) -> bool:
        """Begin in a thread of its own; False where it runs already, here or elsewhere. Raises StoreError."""
        lock = self._lock()
        if lock is None:
            return False
        self._thread = threading.Thread(target=self._run, args=(work, lock), name=f"office-{self._name}", daemon=True)
        self._thread.start()
        return True

    def run(self, work: Callable[[Progress], Result]) -> Result | None:
        """The same, waited for: the result; None where it failed (the state says why) or runs elsewhere."""
        lock = self._lock()
        return None if lock is None else self._run(work, lock)

    def wait(self, seconds: float) -> JobState:
        """Until it has ended here, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self.state()

    def _run(self, work: Callable[[Progress], Result], lock: int) -> Result | None:
        teller = _Teller(self._tell)
        try:
            found = work(teller)
            self._put(f"{self._name}.json", msgspec.json.encode(found))
            teller.end("done")
            return found
        except BodegaError as error:
            teller.end("failed", error.what, str(error.next or ""))
        except Exception as error:  # whatever it was, the state must say so: nobody waits for a thread
            LOGGER.error("the job %s failed", self._name, exc_info=error)
            teller.end("failed", type(error).__name__, "the log of the server says more")
        finally:
            os.close(lock)
        return None

    @property
    def _state(self) -> Path:
        return self._folder / f"{self._name}.state.json"

    def _tell(self, state: JobState) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end the work; the result will say so
            self._put(self._state.name, msgspec.json.encode(state))

    def _put(self, name: str, content: bytes) -> None:
        fresh = self._folder / f".{name}-{os.getpid()}"
        fresh.write_bytes(content)
        fresh.replace(self._folder / name)

    def _lock(self) -> int | None:
        """A locked file; None where another holds it. Raises StoreError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._folder / f".{self._name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(
                "the shop's folder cannot be written",
                code="jobs.folder",
                where=str(self._folder),
                got=str(error),
                next="give write access or free space",
            ) from error
        if _taken(lock):
            os.close(lock)
            return None
        return lock

    def _is_locked(self) -> bool:
        try:
            lock = os.open(self._folder / f".{self._name}.lock", os.O_RDWR)
        except OSError:
            return False
        try:
            return _taken(lock)
        finally:
            os.close(lock)


class _Teller:
    """A `Progress` that keeps the state on disk up to date."""

    def __init__(self, tell: Callable[[JobState], None]) -> None:
        self._tell = tell
        self._state = JobState(state="running", started=time.time())
        self._told = 0.0
        self._say(now=True)

    def start(self, task: str, total: float | None = None) -> None:
        self._state = msgspec.structs.replace(self._state, task=task, done=0.0, total=total)
        self._say(now=True)

    def advance(self, amount: float = 1.0) -> None:
        self._state = msgspec.structs.replace(self._state, done=self._state.done + amount)
        self._say()

    def finish(self) -> None:
        self._say(now=True)

    def end(self, state: str, error: str = "", next_step: str = "") -> None:
        self._state = msgspec.structs.replace(
            self._state, state=state, error=error, next=next_step, finished=time.time()
        )
        self._say(now=True)

    def _say(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._told > TELL_EVERY:
            self._told = time.monotonic()
            self._tell(self._state)


def _taken(lock: int) -> bool:
    """Does another hold this file? If not, it is held from now on, until it is closed."""
    if os.name != "posix":  # one process a shop there
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def counted(progress: Progress, rows: Iterator[Result], every: int = 500) -> Iterator[Result]:
    """The rows, telling now and then how many there were."""
    for number, row in enumerate(rows, 1):
        yield row
        if not number % every:
            progress.advance(every)
