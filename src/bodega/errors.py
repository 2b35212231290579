"""What can go wrong? Every error Bodega raises on purpose, as one tree.

An error teaches: *what* happened, *where*, what was *allowed*, what it *got*, the *next* step, and a short `id`
that the log line and the HTTP problem document carry too, so that a report can be traced.

    BodegaError
    |- UsageError                 the caller can mend it
    |  |- NotAShop                this folder holds no shop
    |  |- BadSettings             an unknown key or a value out of range
    |  |- BadFeed                 a file that cannot be read as what it claims to be
    |  |  `- TooManyBadRows       a feed whose bad rows pass the limit
    |  |- BadPicture              bytes that are no picture, or one that may not be decoded; `reason` says which
    |  |- BadRequest              a request that cannot be answered as asked
    |  |- UnknownItem             an id that the catalog does not hold
    |  |- Conflict                the same id with another payload
    |  |  `- Stale                it was changed since it was read
    |  |- MissingExtra            a part of Bodega that is not installed
    |  |- PortInUse               another program listens there
    |  |- NoEvidence              a log that says too little of what is asked
    |  `- NotLearned              the shop has no snapshot yet
    |- AccessError                no key, or a key without the scope
    |  |- Unauthenticated
    |  `- Forbidden
    |- LimitError                 too large or too often
    |  |- TooLarge                a body, a batch or an address that is too long
    |  `- Overloaded              more requests wait than can be answered in time
    |- SnapshotCorrupt            bytes differ from their checksum
    |- LeakFound                  an evaluation could see its own answers
    |- StreamFailed               a broker of events did not answer, or refused
    |- EndpointFailed             a model server that we ask did not answer, or answered nonsense
    `- StoreError                 the store did not take it (full disk, locked, broken)
       `- StoreUnavailable        its database is away: restarting, unreachable, silent; it heals by itself
"""

from __future__ import annotations

import secrets
from typing import Any


class BodegaError(Exception):
    """Base of the tree. `str(error)` is what a person reads; `as_dict()` is what a machine reads.

    >>> try:
    ...     raise BadRequest("k is out of range", where="recommend(k=)", allowed="1 to 1000", got=0)
    ... except BodegaError as error:
    ...     print(error.as_dict()["allowed"])
    1 to 1000
    """

    status: int = 500
    """HTTP status that the service answers with."""

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        allowed: str = "",
        got: object = None,
        next: str = "",  # noqa: A002 - the word a reader expects
        code: str = "",
    ) -> None:
        self.what = what
        self.code = code
        """A stable name of `what` and `next`, for who says them in another language; "" where there is none."""
        self.where = where
        self.allowed = allowed
        self.got = "" if got is None else _shortened(got)
        self.next = next
        self.id = secrets.token_hex(4)
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [self.what.rstrip(".") + "."]
        parts += [
            f"{label}: {value}"
            for label, value in (
                ("where", self.where),
                ("allowed", self.allowed),
                ("got", self.got),
                ("next", self.next),
                ("id", self.id),
            )
            if value
        ]
        return "\n  ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """The same facts for a machine; `type` is the class name."""
        return {
            "type": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "allowed": self.allowed,
            "got": self.got,
            "next": self.next,
            "id": self.id,
            **({"code": self.code} if self.code else {}),
        }


def _shortened(value: object, limit: int = 200) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters)"


class UsageError(BodegaError):
    status = 400


class NotAShop(UsageError):
    status = 404


class BadSettings(UsageError):
    status = 422


class BadFeed(UsageError):
    status = 422


class TooManyBadRows(BadFeed):
    status = 422


class BadPicture(UsageError):
    status = 422

    def __init__(
        self,
        what: str,
        *,
        reason: str = "broken",
        where: str = "",
        allowed: str = "",
        got: object = None,
        next: str = "",  # noqa: A002 - the word a reader expects
    ) -> None:
        self.reason = reason
        """A short code for counting: `truncated`, `svg`, `too_many_pixels`, `forbidden_address`, ..."""
        super().__init__(what, where=where, allowed=allowed, got=got, next=next)

    def as_dict(self) -> dict[str, Any]:
        return super().as_dict() | {"reason": self.reason}


class BadRequest(UsageError):
    status = 400


class UnknownItem(UsageError):
    status = 404


class Conflict(UsageError):
    status = 422


class Stale(Conflict):
    status = 409


class MissingExtra(UsageError):
    status = 501

    @classmethod
    def named(cls, extra: str, *, needed_for: str) -> MissingExtra:
        """The error for an extra that is not installed, with the exact command that installs it."""
        return cls(
            f"{needed_for} needs the extra '{extra}', which is not installed",
            allowed=f"bodega with the extra '{extra}'",
            next=f"pip install 'bodega[{extra}]'",
        )


class PortInUse(UsageError):
    status = 409


class NoEvidence(UsageError):
    status = 422


class NotLearned(UsageError):
    status = 503


class AccessError(BodegaError):
    status = 403


class Unauthenticated(AccessError):
    status = 401


class Forbidden(AccessError):
    status = 403


class LimitError(BodegaError):
    status = 429
    retry_after: int = 1
    """Seconds after which asking again makes sense (0: never, the request itself must change)."""


class TooLarge(LimitError):
    status = 413
    retry_after = 0


class Overloaded(LimitError):
    status = 503


class SnapshotCorrupt(BodegaError):
    status = 500


class LeakFound(BodegaError):
    status = 500


class StreamFailed(BodegaError):
    status = 502


class EndpointFailed(BodegaError):
    status = 502


class StoreError(BodegaError):
    status = 507


class StoreUnavailable(StoreError):
    status = 503
