"""Whose key is this? Looked up in the store by its hash, remembered for two seconds.

A revoked key is therefore refused within `FRESH` seconds, and a busy key costs one look-up in that time, not one a
request. Only digests are remembered, never keys. When the store fails, a key that was good a minute ago stays good:
a full disk must not close the shop. Cost: 2 us a request, 8 MB at most.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from bodega import failpoints
from bodega.engine.deadline import LINES, TooLate
from bodega.protocols import KeyInfo

FRESH = 2.0
"""Seconds for which a look-up is believed."""
AGAIN = 1.0
"""Seconds for which a store that failed is not asked about a key that was good a minute ago."""
WAIT = 0.03
"""Seconds that a known key waits for the store: suggestions have 50 ms."""
STALE = 60.0
"""Seconds for which a look-up is believed while the store does not answer."""
REMEMBERED = 4_096
LONGEST = 256
"""Characters; our own keys have about 60."""
PREFIX = "bodega_"


class Keyring:
    """The keys seen lately. `find` is the store's look-up: KeyInfo, or None when unknown or revoked."""

    def __init__(self, find: Callable[[str], KeyInfo | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._clock = clock
        self._seen: OrderedDict[bytes, tuple[KeyInfo | None, float]] = OrderedDict()
        self._not_before = 0.0

    def holder(self, key: str) -> KeyInfo | None:
        """The key's facts, or None when it is no key of this shop (any more)."""
        if not plausible(key):
            return None
        digest, now = _digest(key), self._clock()
        known = self._seen.get(digest)
        if known is not None and now - known[1] >= STALE:
            known = None  # too long ago to be believed: whose it is now, only the store knows
        if known is not None and (now - known[1] < FRESH or now < self._not_before):
            return known[0]
        try:
            if failpoints.ON:
                failpoints.reach("keys.find")
            info = self._asked(key, known is not None)
        except Exception:
            if known is not None:
                self._not_before = now + AGAIN
                return known[0]
            raise
        self._seen[digest] = (info, now)
        self._seen.move_to_end(digest)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return info

    def _asked(self, key: str, known: bool) -> KeyInfo | None:
        """What the store says; it is not waited for where what it said before will do. Raises TooLate, and what the
        store does."""
        if not known:
            return self._find(key)
        found = LINES.ask(lambda: self._find(key), WAIT)
        if found is None:
            raise TooLate("the store did not say in time whose key this is")
        return found.result()

    def remembers(self, key: str) -> bool:
        """Was this key found good before? Then asking for it again is no guess."""
        known = self._seen.get(_digest(key))
        return known is not None and known[0] is not None


def plausible(key: str) -> bool:
    """Could this be a key of ours? Garbage is refused without asking the store."""
    return key.startswith(PREFIX) and len(key) <= LONGEST and key.isascii() and key.isprintable()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
