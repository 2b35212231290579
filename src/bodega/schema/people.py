"""The nouns of who is who: a link between two subjects, and a word about what may be made of what somebody did.

A subject is `user:<id>` (an account, a loyalty card, an app's id) or `session:<id>` (a visit or a device).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """Two subjects, the lower one left; `apart`: they are not the same, whatever else says so."""

    left: str
    right: str
    evidence: str = "identify"
    apart: bool = False
    time: float = 0.0
    """Seconds since 1970."""

    @classmethod
    def of(cls, one: str, other: str, *, evidence: str = "identify", apart: bool = False, time: float = 0.0) -> Link:
        """The link between two subjects, whichever is named first."""
        left, right = sorted((one, other))
        return cls(left, right, evidence, apart, time)


@dataclass(frozen=True, slots=True)
class Word:
    """What a subject said about one purpose, when, and how it came to us."""

    subject: str
    purpose: str
    granted: bool
    time: float
    """Seconds since 1970."""
    source: str = ""
