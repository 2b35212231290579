"""What was shown by chance? One `Decision` a page: which items could have stood in which slot, and with which chance.

A decision holds all that is needed to draw the page again and to judge another policy by it later: the arms of each
slot, the exact chance of each, what was known of each, and which one was shown. Slots are independent of each other and
no item is an arm of two slots, so the chance of a whole page is the product over its slots.
An `Outcome` says that a shown item was wanted. Both are kept once, whatever is delivered twice.
Cost: about 250 bytes a slot as JSON. Not for: pages on which nothing could have been otherwise.
"""

from __future__ import annotations

import secrets

import msgspec


class Slot(msgspec.Struct, frozen=True, array_like=True):
    """One slot of a page that chance could have filled in several ways. All tuples have one entry an arm; the first
    arm is what the ranking would have shown."""

    position: int
    """0-based place on the page."""
    shown: int
    """Which arm was shown."""
    items: tuple[str, ...]
    chances: tuple[float, ...]
    """Each in (0, 1]; they sum to 1."""
    features: tuple[tuple[float, ...], ...]
    """What was known of each arm, see `ranking.explore.FEATURES`."""

    @property
    def item(self) -> str:
        return self.items[self.shown]

    @property
    def chance(self) -> float:
        """The propensity: the chance with which the item that was shown stands in this slot."""
        return self.chances[self.shown]


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What chance decided on one page."""

    request_id: str
    time: float
    """Seconds since 1970 UTC."""
    place: str
    policy: str
    slots: tuple[Slot, ...]
    user: str = ""
    session: str = ""
    worker: str = ""
    """The process that answered."""

    @property
    def person(self) -> str:
        """Whose page it was; "" for nobody in particular."""
        return f"u:{self.user}" if self.user else f"s:{self.session}" if self.session else ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item of a decided page was wanted: clicked, viewed, put into the cart or bought."""

    request_id: str
    item: str
    time: float
    """When it was noted, seconds since 1970 UTC."""
    worker: str = ""


MARK = "x-"
"""What the request ids of decided pages begin with, so that any process knows their events by sight."""


def tried_id(place: str) -> str:
    """A request id for a page of this place on which something may be shown by chance."""
    return f"{MARK}{place}-{secrets.token_hex(8)}"


def tried_place(request_id: str) -> str:
    """The place of such a page; "" for any other request id.

    >>> tried_place("x-home-00"), tried_place("00")
    ('home', '')
    """
    return request_id[len(MARK) :].rpartition("-")[0] if request_id.startswith(MARK) else ""
