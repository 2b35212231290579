"""How is a shopper recognised by somebody who must not know the id? By a keyed digest of it.

`u42` becomes `~1.` and 22 characters: HMAC-SHA256 under a key that lies outside the store, cut to 128 bits; users and
visits are told apart, so that equal ids of both have nothing in common. A new key is laid over the old ones (the digest
of the digest): every stored pseudonym can be moved on to it without any raw id, and whoever knows the old key alone
reads nothing new. What is a pseudonym already stays one (or is moved on), so taking an id in twice does no harm.
Cost: 1.6 us an id, .1 us where it was met lately. Not for: encryption; who holds key *and* a list of ids can try them.

>>> names = Pseudonyms([b"k" * 32])
>>> names.of("user", "u42") == names.of("user", names.of("user", "u42")), names.of("user", "")
(True, '')
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import msgspec

from bodega.errors import BadSettings, Stale
from bodega.schema import Event

FILE = "privacy.key"
VARIABLE = "BODEGA_PRIVACY_KEY"
LENGTH = 32
"""Bytes of a key."""
MET = 100_000
"""Ids whose pseudonym is remembered: about 20 MB."""
MADE = re.compile(r"~(\d{1,4})\.[A-Za-z0-9_-]{22}")


class Pseudonyms:
    """Ids under a chain of keys, oldest first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)
        self.of = lru_cache(MET)(self._of)
        """(kind, id) -> pseudonym under the newest key; "" stays ""."""

    @property
    def newest(self) -> int:
        """Number of the key that pseudonyms are made with."""
        return len(self._keys)

    def event(self, event: Event) -> Event:
        """The same event under pseudonyms; an event that bears them already is returned as it is."""
        user, session = self.of("user", event.user), self.of("session", event.session)
        if user == event.user and session == event.session:
            return event
        return msgspec.structs.replace(event, user=user, session=session)

    def _of(self, kind: str, name: str) -> str:
        if not name:
            return ""
        found = MADE.fullmatch(name)
        known = int(found[1]) if found else 0
        for number in range(known if 0 < known <= len(self._keys) else 0, len(self._keys)):
            text = f"{kind}\0{name}".encode("utf-8", "surrogatepass")
            digest = hmac.digest(self._keys[number], text, "sha256")[:16]
            name = f"~{number + 1}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
        return name


class Secrets:
    """The keys of one shop: those of the environment, else those of `privacy.key`, made when first needed."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._path = folder / FILE
        self._environment = os.environ if environment is None else environment

    @cached_property
    def keys(self) -> tuple[bytes, ...]:
        """Oldest first. Raises BadSettings for keys that are none, or that others may read."""
        told = self._environment.get(VARIABLE, "")
        if told:
            return tuple(_read(part, VARIABLE) for part in told.split(","))
        if not self._path.exists():
            _made(self._path, [secrets.token_bytes(LENGTH)])
        return _kept(self._path)

    def adopt(self, path: Path) -> bool:
        """Take over the keys of another folder where there are none yet (a shop put back from a backup)."""
        if self._environment.get(VARIABLE, "") or self._path.exists() or not path.exists():
            return False
        _made(self._path, [*_kept(path)])
        for name in ("keys", "pseudonyms"):
            self.__dict__.pop(name, None)
        return True

    @property
    def stale(self) -> bool:
        """Are other keys kept by now than those that were read here? Raises as `keys`."""
        held = self.__dict__.get("keys")
        return held is not None and held != Secrets(self._path.parent, self._environment).keys

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        return Pseudonyms(self.keys)

    @property
    def fingerprint(self) -> int:
        """A number that tells whether this is the key the store was begun with; it betrays nothing of the key."""
        return int.from_bytes(hashlib.sha256(b"fingerprint\0" + self.keys[0]).digest()[:8], "big") >> 1

    def rotate(self) -> int:
        """Lay a new key over the others; returns its number. The rows must be moved on at once (`engine.rekeying`)."""
        if self._environment.get(VARIABLE, ""):
            raise Stale(
                "the keys come from the environment and are changed there",
                where=VARIABLE,
                next=f"append a comma and a new key: {VARIABLE}=OLD,{fresh()}; then bodega pseudonyms apply",
            )
        _made(self._path, [*self.keys, secrets.token_bytes(LENGTH)], replace=True)
        self.__dict__.pop("keys", None)
        self.__dict__.pop("pseudonyms", None)
        return len(self.keys)

    def sign(self, payload: bytes, purpose: str) -> str:
        """`<number of the key>.<HMAC-SHA256, hex>` of a payload; `purpose` keeps signatures of two kinds apart."""
        return f"{len(self.keys)}.{self._mac(len(self.keys), payload, purpose)}"

    def verify(self, payload: bytes, signature: str, purpose: str) -> bool:
        """Was this payload signed by one of our keys, for this purpose?"""
        number, _, mac = signature.partition(".")
        if not (number.isascii() and number.isdecimal() and 0 < int(number[:4]) <= len(self.keys) and mac.isascii()):
            return False
        return hmac.compare_digest(self._mac(int(number[:4]), payload, purpose), mac)

    def _mac(self, number: int, payload: bytes, purpose: str) -> str:
        key = hmac.digest(self.keys[number - 1], b"signing\0" + purpose.encode(), "sha256")
        return hmac.new(key, payload, "sha256").hexdigest()


def another_key(folder: Path) -> BadSettings:
    """The error for a shop whose ids were made with another key than the one that is there."""
    return BadSettings(
        "the pseudonyms of this shop were made with another key: all shoppers would become strangers",
        where=str(folder / FILE),
        allowed="the key that the shop was begun with",
        got="another one",
        next=f"restore {FILE} (or {VARIABLE}) from where it was copied to",
    )


def fresh() -> str:
    """A new key as text, for BODEGA_PRIVACY_KEY."""
    return base64.urlsafe_b64encode(secrets.token_bytes(LENGTH)).decode()


def _read(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except ValueError:
        key = b""
    if len(key) < LENGTH:
        raise BadSettings(
            "this is no key for pseudonyms",
            where=where,
            allowed=f"{LENGTH} random bytes in base64; several (oldest first) separated by commas",
            got=f"{len(text)} characters",
            next="restore the key that the shop was begun with: without it all shoppers become strangers",
        )
    return key


def _kept(path: Path) -> tuple[bytes, ...]:
    mode = path.stat().st_mode & 0o777
    if os.name == "posix" and mode & 0o077:
        raise BadSettings(
            "the key of the pseudonyms may be read by others",
            where=str(path),
            allowed="mode 600",
            got=f"mode {mode:o}",
            next=f"chmod 600 {path}",
        )
    keys = tuple(_read(line, str(path)) for line in path.read_text("ascii").split())
    if not keys:
        raise _read_nothing(path)
    return keys


def _read_nothing(path: Path) -> BadSettings:
    return BadSettings("the file of the key is empty", where=str(path), next="restore it from where it was copied to")


def _made(path: Path, keys: Sequence[bytes], *, replace: bool = False) -> None:
    """Write the keys beside and rename; of two processes that begin at once one wins and both read the same key."""
    draft = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.writelines(base64.urlsafe_b64encode(key).decode() + "\n" for key in keys)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            try:
                os.link(draft, path)
            except FileExistsError:
                return
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink(missing_ok=True)
