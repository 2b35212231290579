"""How do several workers share what they have in common? They are forked from a process that loaded it before.

What a snapshot maps is shared by any processes; what is made of it when it is opened, what is counted since, and all
the libraries (240 MB for 92,000 items) are not, unless processes share their pages until one is written. So one process
imports, opens, verifies, counts and warms, leaves nothing to write into (`settling`), and forks. Its connections are
closed by then, it has no thread and holds no lock, so that nothing is inherited half done; it only waits: a worker that
dies is forked again, within a tenth of a second and without reading the snapshot anew.
Cost: memory of 4 workers against one: docs/decisions/0057. Not for: Windows.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bodega.service.metrics import worker_gone
from bodega.service.settling import settle
from bodega.service.telemetry import LOGGER
from bodega.service.workers import COUNT, LISTEN, NEWS, READY

GRACE = 15.0
"""Seconds that a worker is given to stop; more than the server gives its requests."""
LOOK_EVERY = 0.05
PAUSES = (0.0, 0.2, 1.0, 5.0, 15.0)
"""Seconds before a worker is forked again that died young, by how often that happened in a row."""
YOUNG = 10.0

Work = Callable[[Callable[[], None]], None]
"""What a worker does, in its own process, until it is told to stop; it calls what it is given once it answers."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a supervisor handed to this process."""

    listener: socket.socket
    count: int
    news: str
    """Path of the ring of news."""


def inheritance() -> Inheritance | None:
    """What a supervisor handed to this process; None for one that was started by a person."""
    number = os.environ.get(LISTEN, "")
    if not number:
        return None
    listener = socket.socket(fileno=int(number))
    listener.setblocking(False)
    return Inheritance(listener, int(os.environ.get(COUNT, "1")), os.environ.get(NEWS, ""))


@dataclass(slots=True)
class Place:
    """Where one worker runs, or will again."""

    pid: int = 0
    started: float = 0.0
    failures: int = 0
    again: float = 0.0


class Brood:
    """Forks workers and keeps their number."""

    def __init__(self, count: int, work: Work) -> None:
        self._work = work
        self._places = [Place() for _ in range(count)]
        self._stop = False
        self._waiting: set[int] = set()
        """Workers that do not answer yet."""
        self._told = False

    def run(self) -> int:
        """Until SIGTERM. Tells the supervisor when everybody answers. Returns the exit code."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        signal.signal(signal.SIGTERM, self._signalled)
        signal.signal(signal.SIGINT, self._signalled)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor's business
        settle()
        parent = os.getppid()
        while not self._stop and os.getppid() == parent:
            self._replaced()
            for place in self._places:
                if not place.pid and time.monotonic() >= place.again:
                    self._fork(place, writing)
            self._heard(reading)
            time.sleep(LOOK_EVERY)
        return self._end()

    def _signalled(self, *_: object) -> None:
        self._stop = True

    def _fork(self, place: Place, writing: int) -> None:
        pid = os.fork()
        if pid:
            place.pid, place.started = pid, time.monotonic()
            self._waiting.add(pid)
            return
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            with orphaned():
                self._work(lambda: _answers(writing))
            code = 0
        except KeyboardInterrupt:
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _heard(self, reading: int) -> None:
        with contextlib.suppress(BlockingIOError):
            heard = os.read(reading, 4_096)
            for start in range(0, len(heard), 8):
                self._waiting.discard(int.from_bytes(heard[start : start + 8], "little"))
        if not self._told and not self._waiting and all(place.pid for place in self._places):
            self._told = True
            _tell_supervisor()

    def _replaced(self) -> None:
        """See who died."""
        for place in self._places:
            if place.pid and (code := _ended(place.pid)) is not None:
                young = time.monotonic() - place.started < YOUNG
                place.failures = place.failures + 1 if young else 0
                pause = PAUSES[min(place.failures, len(PAUSES) - 1)]
                LOGGER.error("a worker died", extra={"facts": {"pid": place.pid, "code": code, "again_in": pause}})
                self._waiting.discard(place.pid)
                worker_gone(place.pid)
                place.pid, place.again = 0, time.monotonic() + pause
                if not self._told and place.failures >= len(PAUSES):
                    LOGGER.error("workers do not come up")
                    self._stop = True

    def _end(self) -> int:
        """Everybody finishes; whoever does not within the grace is killed, and then the code says so."""
        pids = [place.pid for place in self._places if place.pid]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        until, late = time.monotonic() + GRACE, False
        while pids:
            pids = [pid for pid in pids if _ended(pid) is None]
            if pids and time.monotonic() > until and not late:
                late = True
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
            time.sleep(LOOK_EVERY)
        gc.unfreeze()
        return 1 if late or not self._told else 0


def preload(app: Any) -> None:
    """Load what serving an application loads (event loop, protocol), so that forked workers share it."""
    from bodega.service.server import configured

    configured(app).load()


@contextlib.contextmanager
def orphaned() -> Iterator[None]:
    """Stops this process when its parent is gone: nobody would replace it, tell it to stop, or hold its memory."""
    parent, done = os.getppid(), threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="bodega-orphan", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _answers(writing: int) -> None:
    os.write(writing, os.getpid().to_bytes(8, "little"))


def _tell_supervisor() -> None:
    number = os.environ.pop(READY, "")
    if number:
        with contextlib.suppress(OSError):
            os.write(int(number), b"!")
            os.close(int(number))


def _ended(pid: int) -> int | None:
    """How a child ended; None while it runs."""
    try:
        gone, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return -1
    return os.waitstatus_to_exitcode(status) if gone else None
