"""How is a real server started beside a test, hurt on purpose, and surely gone afterwards?

A `Process` runs one program on a free loopback port with a folder of its own. It can be killed, frozen and started
again on the same port, which is what a test of a failing dependency needs. A guard process holds a pipe to us: should
this process die without a word (`kill -9`), the guard ends the server and removes its folder.
Cost: one idle shell a server. Only processes started here are ever signalled, each by its own id.
Not for: Windows (signals), or servers that a shop depends on outside of tests.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

HOST = "127.0.0.1"
START_SECONDS = 120.0
"""How long a server may take until it answers; generous, for machines under load (PostgreSQL: 0.3 s on an idle one)."""

_POLL = 0.02


class ServerDidNotStart(RuntimeError):
    """The program ended, or did not answer in time; the message holds the end of its log."""


@dataclass(frozen=True)
class Command:
    """What to run, as whom."""

    line: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    """Numeric user to run as (only root may change it)."""
    stop: signal.Signals = signal.SIGTERM
    """What ends it politely."""
    abort: signal.Signals = signal.SIGKILL
    """What the guard sends when this process has died."""


class Process:
    """One server. Subclasses say what to run (`command`) and when it answers (`answers`)."""

    name = "server"

    def __init__(self, folder: Path | None = None, port: int = 0) -> None:
        self._own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"bodega-{self.name}-"))
        self.port = port or free_port()
        self.log = self.folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._paused: list[int] = []

    # -- what a subclass says ---------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """How clients find it."""
        raise NotImplementedError

    def command(self) -> Command:
        raise NotImplementedError

    def prepare(self) -> None:
        """Called once before the first start."""

    def answers(self) -> bool:
        """Does it take requests? Must not raise or hang."""
        raise NotImplementedError

    # -- life ---------------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Process id, 0 when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def start(self) -> Self:
        """Start it and wait until it answers. Does nothing when it runs. Raises ServerDidNotStart."""
        if self.pid:
            return self
        self._release_guard()
        command = self.command()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a program that a subclass names
                list(command.line),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=dict(os.environ) | dict(command.environment),
                user=command.user,
                start_new_session=True,
            )
        self._guard = self._guarded(self._process.pid, command.abort)
        self._wait_until_it_answers()
        return self

    def stop(self) -> None:
        """End it politely and wait; its folder stays for another `start`."""
        self._end(self.command().stop)

    def kill(self) -> None:
        """`kill -9`, it and its children, and wait until they are gone. Its folder stays for another `start`."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop politely, start again on the same port with the same data (a memory-only server has none left)."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing answers (a black hole), until `resume`."""
        if self.pid and not self._paused:
            _signal(self.pid, signal.SIGSTOP)  # the parent first: it must not make new children meanwhile
            self._paused = [self.pid, *children(self.pid)]
            for pid in self._paused[1:]:
                _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in reversed(self._paused):
            _signal(pid, signal.SIGCONT)
        self._paused = []

    def close(self) -> None:
        """Stop it and remove its folder, if it made one itself. Closing twice is fine."""
        if self.pid:
            self.kill()
        self._release_guard()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def tail(self, lines: int = 30) -> str:
        """The end of its log."""
        try:
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])
        except OSError:
            return ""

    def __enter__(self) -> Self:
        try:
            self.prepare()
            for attempt in range(5):
                try:
                    return self.start()
                except ServerDidNotStart as error:
                    if attempt == 4 or "in use" not in str(error).lower():
                        raise
                    self.port = free_port()  # somebody was faster
        except BaseException:
            self.close()
            raise
        raise AssertionError("unreachable")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and self.log.exists():
            kept = Path(tempfile.gettempdir()) / f"bodega-{self.name}-{self.port}.log"
            shutil.copyfile(self.log, kept)
            error.add_note(f"log of {self.name}: {kept}")
        self.close()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self._process is not None
            code = self._process.poll()
            if code is not None or time.monotonic() > deadline:
                said = self.tail()
                if code is None:
                    self.kill()
                why = f"ended with {code}" if code is not None else f"did not answer within {START_SECONDS:.0f} s"
                raise ServerDidNotStart(f"{self.name} on port {self.port} {why}; its log ends with:\n{said}")
            time.sleep(_POLL)

    def _end(self, how: signal.Signals) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        below = children(process.pid)
        if how == signal.SIGKILL:
            for pid in (process.pid, *below):
                _signal(pid, signal.SIGKILL)
        else:
            _signal(process.pid, how)
        self.resume()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            for pid in (process.pid, *below):
                _signal(pid, signal.SIGKILL)
            process.wait(30)
        deadline = time.monotonic() + 30
        while any(_runs(pid) for pid in below) and time.monotonic() < deadline:
            time.sleep(_POLL)
        self._release_guard()

    def _guarded(self, pid: int, abort: signal.Signals) -> subprocess.Popen[bytes]:
        """A shell that waits for the end of its input: a word means all is well, none that we have died."""
        remove = f"rm -rf {shlex.quote(str(self.folder))}" if self._own_folder else ":"
        script = f"read word || {{ kill -CONT {pid}; kill -{int(abort)} {pid}; sleep 2; {remove}; }} 2>/dev/null"
        return subprocess.Popen(  # noqa: S603 - our own words, the folder is quoted
            ["/bin/sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def _release_guard(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.communicate(b"well\n")


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


def asked(port: int, request: bytes, wanted: bytes, seconds: float = 2.0) -> bool:
    """Does the port answer this request with something that contains these bytes?"""
    try:
        with socket.create_connection((HOST, port), timeout=seconds) as connection:
            connection.sendall(request)
            return wanted in connection.recv(4_096)
    except OSError:
        return False


def _signal(pid: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, what)


def children(pid: int) -> list[int]:
    """Ids of the direct children, from the process table (`ps` where there is no /proc)."""
    table = Path("/proc")
    if not (table / "self").exists():
        line = ["/bin/ps", "-A", "-o", "pid=,ppid="]
        listed = subprocess.run(line, capture_output=True, text=True, check=False).stdout  # noqa: S603 - as written
        pairs = [line.split() for line in listed.splitlines()]
        return [int(child) for child, parent in pairs if int(parent) == pid]
    found = []
    for entry in table.iterdir():
        if entry.name.isdigit():
            try:
                if int(_stat(entry)[1]) == pid:
                    found.append(int(entry.name))
            except (OSError, IndexError):
                continue
    return found


def _runs(pid: int) -> bool:
    """Is it there, and not only a zombie?"""
    try:
        os.kill(pid, 0)
        return not Path("/proc/self").exists() or _stat(Path(f"/proc/{pid}"))[0] != "Z"
    except (OSError, IndexError):
        return False


def _stat(entry: Path) -> list[str]:
    """(state, parent, ...) of a process: what follows its name, which may hold spaces and brackets itself."""
    return (entry / "stat").read_text().rpartition(")")[2].split()
