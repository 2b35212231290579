"""Which settings act at once, which at the next learn, which after a restart?

At once act those that only say how pages are made and counted: `dials`, `diversity`, `explore`, most of `answer` and
`answers`, `experiments`, `judgments`, and how often one caller may ask. A server looks at the file every few seconds,
whoever wrote it (the console, another worker, an editor), and each worker takes over what it may. Models read theirs
when the shop learns. Everything else decides how the process is built (stores, ports, privacy): a restart.
Cost: one `stat` a look; an engine over the same models, 1 ms, when something changed.
Not for: checking (`configuring`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import msgspec

from bodega.settings import FILE, Settings, load

When = Literal["now", "learn", "restart"]
NEXT_LEARN = frozenset({"learn", "models", "profile", "pictures", "knowledge", "understand"})
"""Tables that act when the shop learns (or looks at pictures)."""
TABLES = frozenset({"dials", "diversity", "explore", "experiments", "judgments"})
"""Tables that act at once, whole."""
KEYS = {
    "answer": frozenset({"candidates", "k_limit", "deadline_ms", "remote_ms", "slow_ms", "curated"}),
    "answers": frozenset({"log", "share", "keep_days"}),
    "serve": frozenset({"requests_per_second", "burst", "shopper_per_second", "shopper_burst"}),
}
"""{table: keys of it that act at once}."""


def takes_effect(path: Sequence[str]) -> When:
    """When a key with this path acts.

    >>> [takes_effect(path.split(".")) for path in ("dials.personal", "serve.burst", "serve.port", "learn.seed")]
    ['now', 'now', 'restart', 'learn']
    """
    if path[0] in TABLES or path[-1] in KEYS.get(path[0], ()):
        return "now"
    return "learn" if path[0] in NEXT_LEARN else "restart"


def merged(held: Settings, fresh: Settings) -> Settings:
    """What is in force, with what acts at once taken from `fresh`."""
    whole = {name: getattr(fresh, name) for name in TABLES}
    parts = {
        name: msgspec.structs.replace(getattr(held, name), **{key: getattr(getattr(fresh, name), key) for key in keys})
        for name, keys in KEYS.items()
    }
    return msgspec.structs.replace(held, **whole, **parts)


@runtime_checkable
class Renews(Protocol):
    """A shop that acts by changed settings without a restart."""

    def renew(self, fresh: Settings) -> bool:
        """Act by these, as far as they need no restart; whether anything changed."""
        ...


class SettingsFile:
    """Tells when the file was written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = self._mark()

    def news(self) -> Settings | None:
        """The settings, where the file was written since the last call. Raises BadSettings (once a writing)."""
        mark = self._mark()
        if mark == self._seen:
            return None
        self._seen = mark
        return load(self._folder)

    def _mark(self) -> tuple[int, int, int]:
        try:
            found = (self._folder / FILE).stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_size, found.st_ino)
