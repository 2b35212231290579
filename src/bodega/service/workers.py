"""Who keeps several processes answering on one port? A supervisor that holds the socket and does nothing else.

    supervisor   holds the socket, starts a nursery, replaces it, passes signals on          (this file: 15 MB)
    nursery      opens and verifies the snapshot once, forks the workers, replaces one that dies       (`nursery`)
    worker       the same application as a single process, on the same socket, over the same memory

The supervisor computes nothing and imports nothing of the engine, so there is nothing in it that could fail under load,
and a new version of everything else can be started beside the old one. The socket stays open all the time: while
workers are replaced connections wait in its queue, none is refused.

    SIGTERM, SIGINT   stop: workers finish what is under way and write what waits, then all leave
    SIGHUP            renew: fresh workers (settings, code, snapshot) answer, then the old ones stop

A renewal that does not come up changes nothing: the old workers go on. Cost: see docs/decisions/0032. Not for: one
process (`server.run` is all), Windows, or several machines.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

LISTEN = "BODEGA_LISTEN_FD"
"""Environment variable: the number of the socket that a nursery inherits."""
READY = "BODEGA_READY_FD"
"""... and of the pipe on which it says that all its workers answer."""
COUNT = "BODEGA_WORKERS"
"""... and how many these are."""
NEWS = "BODEGA_NEWS"
"""... and the path of the ring by which workers hear of each other."""
COUNTED = "PROMETHEUS_MULTIPROC_DIR"
"""... and the folder in which they count together (read by prometheus_client)."""
BLAS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""One thread each: BLAS threads of several workers spin for the same cores (39 ms of CPU for a page of 18 ms), and what
has threads cannot be forked."""
GRACE = 20.0
"""Seconds that a nursery is given to stop; more than its workers are."""
START_SECONDS = 300.0
LOOK_EVERY = 0.1
PAUSES = (0.0, 0.5, 2.0, 5.0, 15.0)
"""Seconds before a nursery is started again that died young, by how often that happened in a row."""
YOUNG = 30.0
"""Seconds of life under which a death counts as another failure to start."""


@dataclass(frozen=True, slots=True)
class Team:
    """What is to run."""

    command: Sequence[str]
    """The command line of a nursery; it finds the rest in its environment."""
    listener: int
    """File descriptor of the socket, open and listening."""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Nursery:
    """One running generation."""

    process: subprocess.Popen[bytes]
    pipe: int
    started: float
    leaving: float = 0.0
    """When it was told to stop; 0: it was not."""


class Supervisor:
    """Keeps one generation of workers answering."""

    def __init__(self, team: Team) -> None:
        self._team = team
        self._serving: Nursery | None = None
        self._fresh: Nursery | None = None
        """Started, does not answer yet."""
        self._old: list[Nursery] = []
        self._failures = 0
        self._again = 0.0
        self._stop = self._renew = False

    def run(self, greeting: str = "") -> int:
        """Until SIGTERM or Ctrl-C; says the greeting when everybody answers. Returns the exit code."""
        before = {number: signal.signal(number, self._signalled) for number in _SIGNALS}
        try:
            while not self._stop:
                if not self._look(greeting):
                    return 1
                time.sleep(LOOK_EVERY)
            return self._end()
        finally:
            for nursery in self._everybody():
                _kill(nursery)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._renew = True
        else:
            self._stop = True

    def _look(self, greeting: str) -> bool:
        """Go on with whatever is under way; False where not even the first generation came up."""
        if self._serving is not None and self._serving.process.poll() is not None:
            self._lost(self._serving)
            self._serving = None
        if self._fresh is None and (self._renew or self._serving is None) and time.monotonic() >= self._again:
            self._renew, self._fresh = False, self._started()
        if self._fresh is not None:
            first = self._serving is None and self._failures == 0 and bool(greeting)
            if not self._grown(self._fresh, greeting) and first:
                return False
        for nursery in list(self._old):
            if nursery.process.poll() is not None or time.monotonic() > nursery.leaving + GRACE:
                _kill(nursery)
                self._old.remove(nursery)
        return True

    def _grown(self, fresh: Nursery, greeting: str) -> bool:
        """Does the fresh generation answer by now? Then it takes over. False where it failed."""
        if _is_ready(fresh):
            old, self._serving, self._fresh = self._serving, fresh, None
            if old is not None:
                _tell_to_stop(old)
                self._old.append(old)
                _log("info", "renewed: fresh workers answer, the old ones finish", pid=fresh.process.pid)
            elif greeting and self._failures == 0:
                print(greeting, file=sys.stderr, flush=True)  # noqa: T201 - what the terminal is told
            self._failures = 0
            return True
        if fresh.process.poll() is None and time.monotonic() < fresh.started + START_SECONDS:
            return True
        self._fresh = None
        if self._serving is not None:
            _log("error", "a renewal did not come up: the old workers go on", code=fresh.process.poll())
            _kill(fresh)
        else:
            self._lost(fresh)
        return False

    def _lost(self, nursery: Nursery) -> None:
        """A generation died: another one, soon, or later where it happens again and again."""
        young = time.monotonic() - nursery.started < YOUNG
        self._failures = self._failures + 1 if young else 0
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._again = time.monotonic() + pause
        _log("error", "the workers are gone", pid=nursery.process.pid, code=nursery.process.poll(), again_in=pause)
        _kill(nursery)

    def _end(self) -> int:
        """Everybody finishes; whoever does not within the grace is killed, and then the code says so."""
        everybody = self._everybody()
        for nursery in everybody:
            _tell_to_stop(nursery)
        until, late = time.monotonic() + GRACE, 0
        for nursery in everybody:
            try:
                nursery.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                late += 1
        return 1 if late else 0

    def _everybody(self) -> list[Nursery]:
        return [each for each in (self._serving, self._fresh, *self._old) if each is not None]

    def _started(self) -> Nursery:
        reading, writing = os.pipe()
        environment = {
            **os.environ,
            **dict.fromkeys(BLAS, "1"),
            **self._team.environment,
            LISTEN: str(self._team.listener),
            READY: str(writing),
        }
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command
                list(self._team.command),
                env=environment,
                pass_fds=(self._team.listener, writing),
                stdin=subprocess.DEVNULL,
            )
        finally:
            os.close(writing)
        os.set_blocking(reading, False)
        return Nursery(process, reading, time.monotonic())


_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def supervised(team: Team, greeting: str) -> list[str]:
    """The command that becomes the supervisor of a team: `os.execve` it, so that nothing else stays in memory."""
    given = {"listener": team.listener, "greeting": greeting, "environment": dict(team.environment)}
    return [sys.executable, "-m", "bodega.service.workers", json.dumps(given), *team.command]


def _is_ready(nursery: Nursery) -> bool:
    with contextlib.suppress(BlockingIOError):
        return os.read(nursery.pipe, 1) == b"!"
    return False


def _tell_to_stop(nursery: Nursery) -> None:
    if not nursery.leaving:
        nursery.leaving = time.monotonic()
        nursery.process.terminate()


def _kill(nursery: Nursery) -> None:
    """Only the nursery: workers see that it is gone, and stop by themselves."""
    nursery.process.kill()
    nursery.process.wait()
    if nursery.pipe >= 0:
        os.close(nursery.pipe)
        nursery.pipe = -1


def _log(level: str, what: str, **facts: object) -> None:
    """A line like those of the service, whose libraries are not loaded here."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    print(json.dumps({"time": stamp, "level": level, "what": what, **facts}), file=sys.stderr, flush=True)  # noqa: T201


def main(arguments: Sequence[str]) -> int:
    """Be the supervisor that `supervised` describes."""
    given = json.loads(arguments[0])
    environment: dict[str, str] = given["environment"]
    try:
        return Supervisor(Team(arguments[1:], given["listener"], environment)).run(given["greeting"])
    finally:
        if NEWS in environment:
            news = Path(environment[NEWS])
            for path in (news, *news.parent.glob(f"{news.name}.*")):  # the ring, and the tables of rates beside it
                path.unlink(missing_ok=True)
        if COUNTED in environment:
            shutil.rmtree(environment[COUNTED], ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
