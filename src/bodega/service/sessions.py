"""Who sits at the console? A cookie stands for an admin key, so that no page has to keep the key.

Its value is `<id of the key>.<end>.<nonce>.<HMAC-SHA256>`: nothing is stored, any worker of the machine can check it,
and it holds no secret of the key. It says no more than the key may now: a key that is revoked ends its sessions within
two seconds (at once in the process that revoked it). It counts only for requests of the shop's own pages: a browser
must say `Sec-Fetch-Site: same-origin`, and what changes something must come from the address that it is sent to.
A ticket is the same for one minute, to be exchanged for a session: `bodega console` prints an address with one. It
works once, whichever worker is asked: the first to take it makes a file of its nonce, and there is one file of a name.
Cost: 3 us a request with a cookie, one list of keys every two seconds. Not for: programs, which send their key.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from bodega.protocols import KeyInfo
from bodega.service.keys import FRESH
from bodega.settings import Console

COOKIE = "bodega_console"
FILE = "console.key"
LENGTH = 32
TICKET_SECONDS = 60.0
SHAPE = re.compile(r"([A-Za-z0-9_-]{1,64})\.([0-9]{9,12})\.([0-9a-f]{16})\.([0-9a-f]{64})")
SAFE = ("GET", "HEAD")
USED = "console.used"
"""Folder of the tickets that were exchanged in the last minute."""
USED_LIMIT = 1_000


class Sessions:
    """Signs and checks. `keys` lists the shop's keys; `folder` holds (or gets) the secret, for its owner's eyes."""

    def __init__(
        self,
        folder: Path,
        keys: Callable[[], Sequence[KeyInfo]],
        settings: Console,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = folder / FILE
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self._known: dict[str, KeyInfo] = {}
        self._asked = -FRESH
        self._used: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """How long a session lasts."""
        return self._settings.hours * 3600

    def begin(self, key: str) -> tuple[str, float]:
        """The cookie's value for the key with this id, and when it ends (seconds since 1970)."""
        end = self._clock() + self.seconds
        return self._signed("session", key, end), end

    def ticket(self, key: str) -> str:
        """What can be exchanged for a session within a minute, once."""
        return self._signed("ticket", key, self._clock() + TICKET_SECONDS)

    def bearer(self, cookies: str) -> KeyInfo | None:
        """The key that the cookie stands for, as long as both are valid."""
        if not self._settings.on:
            return None
        value = _cookie(cookies)
        return self._holder(self._checked("session", value)) if value else None

    def ends(self, cookies: str) -> float:
        """When the session of this cookie ends; 0 where there is none."""
        match = SHAPE.fullmatch(_cookie(cookies))
        return float(match[2]) if match else 0.0

    def redeem(self, ticket: str) -> KeyInfo | None:
        """The key that a ticket stands for. It works once."""
        if not self._settings.on or ticket in self._used:
            return None
        info = self._holder(self._checked("ticket", ticket))
        if info is not None:
            now = self._clock()
            self._used = {each: end for each, end in self._used.items() if end > now}
            if len(self._used) >= USED_LIMIT or not _first(self._path.with_name(USED), ticket):
                return None
            self._used[ticket] = now + TICKET_SECONDS
        return info

    def forget(self) -> None:
        """A key was made or revoked: look again at the next request."""
        self._asked = -FRESH

    def _signed(self, purpose: str, key: str, end: float) -> str:
        body = f"{key}.{int(end)}.{secrets.token_hex(8)}"
        return f"{body}.{self._mac(purpose, body)}"

    def _checked(self, purpose: str, value: str) -> str:
        """Id of the key, or "" where the value is not ours or is over."""
        match = SHAPE.fullmatch(value)
        if match is None or float(match[2]) <= self._clock():
            return ""
        return match[1] if hmac.compare_digest(self._mac(purpose, value.rpartition(".")[0]), match[4]) else ""

    def _holder(self, key: str) -> KeyInfo | None:
        if not key:
            return None
        if time.monotonic() - self._asked > FRESH:
            self._known = {info.id: info for info in self._keys() if not info.revoked}
            self._asked = time.monotonic()
        return self._known.get(key)

    def _mac(self, purpose: str, body: str) -> str:
        return hmac.new(self._secret, f"console\0{purpose}\0{body}".encode(), "sha256").hexdigest()

    @cached_property
    def _secret(self) -> bytes:
        """Made by whoever needs it first; all workers of the machine read the same. A folder that cannot be written
        (or a file that somebody spoiled) gives a secret of this process: its sessions end with it."""
        with contextlib.suppress(OSError):
            if not self._path.exists():
                _made(self._path)
            kept = bytes.fromhex(self._path.read_text("ascii").strip())
            if len(kept) == LENGTH and not self._path.stat().st_mode & 0o077:
                return kept
        return secrets.token_bytes(LENGTH)


def _made(path: Path) -> None:
    """Write a new secret; where somebody else was faster, theirs stays."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_bytes(LENGTH).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _first(folder: Path, ticket: str) -> bool:
    """Is this the first process to take the ticket? Where the folder cannot be written, this process's memory must do:
    then a ticket works once a worker, within its minute."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for each in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another worker was quicker
                if time.time() - each.stat().st_mtime > 2 * TICKET_SECONDS:
                    each.unlink()
        os.close(os.open(folder / ticket.rsplit(".", 2)[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def _cookie(header: str) -> str:
    """The value of our cookie in a Cookie header; "" where it is missing, or there twice with different values."""
    if COOKIE not in header:
        return ""
    found = set()
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            found.add(value.strip())
    return found.pop() if len(found) == 1 else ""


def own_page(method: str, site: str, origin: str, host: str) -> bool:
    """Does this request come from one of our own pages, as far as the browser says?

    >>> own_page("POST", "same-origin", "https://shop.example", "shop.example")
    True
    >>> own_page("POST", "cross-site", "https://elsewhere.example", "shop.example")
    False
    """
    if site not in ("", "same-origin") and not (site == "none" and method in SAFE):
        return False
    if origin and origin.partition("://")[2] != host:
        return False
    return method in SAFE or bool(origin)


def set_cookie(value: str, seconds: int, *, secure: bool) -> str:
    """The header that puts the cookie there (or, with "" and 0, takes it away)."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar[COOKIE] = value
    except CookieError as error:  # pragma: no cover - our own values are plain
        raise ValueError("no cookie of ours") from error
    jar[COOKIE].update({"path": "/", "max-age": str(seconds), "samesite": "Strict"})
    jar[COOKIE]["httponly"] = True
    if secure:
        jar[COOKIE]["secure"] = True
    return jar[COOKIE].OutputString()
