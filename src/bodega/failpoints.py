"""Where may it break, on purpose? Named points at which a test makes a running shop fail.

    if failpoints.ON:
        failpoints.reach("store.commit")

`ON` is decided once, when the process starts, by the environment variable BODEGA_FAILPOINTS; without it a point costs
one look at a constant (about 30 ns) and nothing here can be switched on later. The variable says what happens where:

    BODEGA_FAILPOINTS="store.commit=kill@3,encoder.query=delay(0.5),snapshot.write=short@1"
    BODEGA_FAILPOINTS="file:/tmp/faults"        the same words in a file, which may change while the process runs

`@3` fires at the third time only, `@3+` from then on; without it a point fires every time. `BODEGA_FAILPOINTS=watch`
switches the points on with none of them armed. What can happen: `ACTIONS`; where: `NAMES`.
Not for: choosing behaviour, or anything a shop may rely on.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "BODEGA_FAILPOINTS"

ON = bool(os.environ.get(VARIABLE))
"""Are there failpoints in this process?"""

NAMES: dict[str, str] = {
    "store.begin": "a write transaction has begun, nothing is written",
    "store.commit": "everything is written, nothing is committed",
    "store.committed": "committed, and nobody knows yet",
    "store.read": "a read transaction begins",
    "store.migrate": "inside the transaction that changes the layout",
    "events.group": "the writer has taken a group of batches",
    "events.acknowledge": "a batch is durable, its future is not resolved",
    "events.observe": "an event reaches the shopper's state",
    "intake.submit": "a batch of the HTTP API is parsed and not handed to the store",
    "intake.answer": "a batch of the HTTP API is durable and not answered",
    "letters.put": "unusable rows go to the dead letter box",
    "catalog.changed": "a catalog change is durable and not on the shelf",
    "catalog.restock": "changes of the catalog are read for the shelf",
    "feeds.open": "a file is opened for import",
    "learn.read": "learn has read catalog and events",
    "learn.fit": "a source is about to be fitted",
    "learn.weigh": "weights are about to be fitted",
    "snapshot.write": "a snapshot's files are written and listed, not flushed (file: the first of them)",
    "snapshot.manifest": "the manifest is written (file: the manifest)",
    "snapshot.publish": "a snapshot is flushed, not renamed",
    "snapshot.published": "a snapshot is renamed, the pointer is old",
    "snapshot.point": "the new pointer is written beside the old one (file: the new pointer)",
    "snapshot.prune": "an old snapshot is about to be deleted",
    "snapshot.open": "a snapshot is about to be verified (file: its manifest)",
    "snapshot.file": "one file of a snapshot is about to be verified (file: that file)",
    "shop.reload": "a snapshot is open and not served",
    "history.read": "a shopper who is not in memory is read from the store",
    "keys.find": "an API key is looked up in the store",
    "rules.read": "the rules are read from the store",
    "answer.retrieve": "a source is asked for candidates (garbage: rows that do not exist)",
    "answer.score": "a source is asked for scores (garbage: infinities)",
    "answer.rank": "the head of a pool is ranked (garbage: no order at all)",
    "answer.understand": "a query is taken apart",
    "answer.explain": "reasons are made",
    "answer.page": "a page is about to be made",
    "suggest.complete": "completions are looked up",
    "encoder.query": "an endpoint is asked for the vector of a query (garbage: NaN)",
    "encoder.batch": "an endpoint is asked for vectors of passages (garbage: NaN)",
    "llm.ask": "a language model is asked for other wordings (garbage: no JSON)",
    "pictures.append": "vectors of pictures were written, no key points at them yet (file: the rows)",
    "vectors.append": "vectors were appended on disk (file: the file of vectors)",
    "stream.polled": "records of a stream are read and not stored",
    "stream.stored": "records of a stream are stored with their position, the broker does not know yet",
    "state.ask": "states that several servers share are asked for",
    "ring.tell": "another process of this shop is about to be told of an event",
    "backup.copied": "the store is copied into a backup that is not complete",
    "restore.copied": "the store is put back into a shop that is not there yet",
    "erasure.buried": "an erasure is promised, no row is removed",
    "erasure.rows": "the rows are removed, no receipt is kept",
    "analytics.refresh": "events are copied into columns",
}
"""Every point there is, with the moment it stands for."""

ACTIONS: dict[str, str] = {
    "kill": "SIGKILL to this process",
    "exit": "os._exit(status), 3 by default: no handler runs",
    "enospc": "OSError: no space left on device",
    "eio": "OSError: the disk answered with an error",
    "raise": "`Injected`, which nobody expects",
    "delay": "sleep for so many seconds, .1 by default",
    "short": "the file is cut to half its length, then the disk is full (without a file: the disk is full)",
    "garbage": "the middle byte of the file is turned over; where there is no file, the caller answers nonsense",
}
"""What can happen at a point."""


class Injected(RuntimeError):
    """An error that no code expects: what a bug would raise."""


class BadFailpoints(ValueError):
    """The variable names a point or an action that does not exist."""


@dataclass(slots=True)
class _Armed:
    """One point that somebody armed."""

    action: str
    argument: str = ""
    first: int = 1
    """Times the point is passed before it fires, counted from 1."""
    lasting: bool = True
    """Does it fire every time from then on?"""
    passed: int = 0

    def due(self) -> bool:
        self.passed += 1
        return self.passed == self.first or (self.lasting and self.passed > self.first)


_WORDS = re.compile(r"(?P<name>[a-z_.]+)=(?P<action>[a-z]+)(\((?P<argument>[^)]*)\))?(@(?P<at>\d+)(?P<on>\+)?)?")


def parsed(text: str) -> dict[str, _Armed]:
    """{point: what happens there}. Raises BadFailpoints for words that are none of ours."""
    armed: dict[str, _Armed] = {}
    for words in filter(None, (part.strip() for part in re.split(r"[,\n]", text))):
        match = _WORDS.fullmatch(words)
        if match is None or match["name"] not in NAMES or match["action"] not in ACTIONS:
            raise BadFailpoints(f"{words!r} is none of name=action(argument)@n; names: {', '.join(NAMES)}")
        lasting = match["at"] is None or match["on"] is not None
        armed[match["name"]] = _Armed(match["action"], match["argument"] or "", int(match["at"] or 1), lasting)
    return armed


class _Board:
    """What is armed at this moment: said once, or read again whenever the file that says it has changed."""

    def __init__(self, text: str) -> None:
        self._file = Path(text.removeprefix("file:")) if text.startswith("file:") else None
        self._armed = {} if self._file is not None or text in ("", "watch") else parsed(text)
        self._stamp: tuple[int, int] = (0, 0)
        self._lock = threading.Lock()
        self.passed: dict[str, int] = {}
        """{point: times it was reached}."""

    def due(self, name: str) -> _Armed | None:
        """What happens at this point now, if anything."""
        with self._lock:
            self.passed[name] = self.passed.get(name, 0) + 1
            if self._file is not None:
                self._look(self._file)
            found = self._armed.get(name)
            return found if found is not None and found.due() else None

    def arm(self, text: str) -> None:
        with self._lock:
            self._armed = parsed(text)

    def _look(self, file: Path) -> None:
        try:
            facts = file.stat()
            stamp = (facts.st_mtime_ns, facts.st_ino)
            if stamp != self._stamp:
                self._armed, self._stamp = parsed(file.read_text("utf-8")), stamp
        except FileNotFoundError:
            self._armed = {}


_board = _Board(os.environ.get(VARIABLE, ""))


def reach(name: str, file: Path | None = None) -> bool:
    """Fail here, if somebody asked for it; True: the caller shall answer nonsense.

    `file` is what was just written here, or is about to be read. Raises KeyError for a name that is not listed.
    """
    NAMES[name]
    armed = _board.due(name)
    if armed is None:
        return False
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)  # the signal is on its way
    elif armed.action == "exit":
        os._exit(int(armed.argument or 3))
    elif armed.action == "delay":
        time.sleep(float(armed.argument or 0.1))
    elif armed.action == "raise":
        raise Injected(f"failpoint {name}")
    elif armed.action == "garbage":
        if file is None:
            return True
        _turn_over(file)
    elif armed.action == "eio":
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(file or name))
    else:
        if armed.action == "short" and file is not None:
            os.truncate(file, file.stat().st_size // 2)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file or name))
    return False


def arm(text: str) -> None:
    """In a process that has failpoints: from now on these (instead of what was armed). Raises BadFailpoints."""
    if not ON:
        raise BadFailpoints(f"this process was started without {VARIABLE}: no point can fire in it")
    _board.arm(text)


def passed() -> dict[str, int]:
    """{point: times it was reached since the process started}."""
    return dict(_board.passed)


def _turn_over(file: Path) -> None:
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(size // 2)
        byte = opened.read(1)
        opened.seek(size // 2)
        opened.write(bytes([byte[0] ^ 0x10]) if byte else b"")
