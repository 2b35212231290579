"""What was answered? One line a page: who asked what, which arms and snapshot answered, and where each item came from.

A click names the page it came from (`request_id`); this is the other half: with both, every click has a place, a
position, a source and an arm. Not for: why an item stands where it does (the page itself says that), nor for what
chance decided (`schema.trials`).
"""

from __future__ import annotations

import msgspec


class Answered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page that was answered."""

    request_id: str
    time: float
    """Seconds since 1970 UTC."""
    place: str
    user: str = ""
    session: str = ""
    query: str = ""
    """The words that were searched, as typed; "" for other lists."""
    total: int = 0
    """How many items were found."""
    items: tuple[str, ...] = ()
    """What was shown, in order."""
    offset: int = 0
    """The position of the first of them in the whole list."""
    sources: tuple[str, ...] = ()
    """The source each item owes most to, in the same order; "rule" for one that a rule put there, "" for unknown."""
    snapshot: str = ""
    arms: dict[str, str] = {}
    """{experiment: arm} of the running experiments that took part."""
    teams: tuple[int, ...] = ()
    """In an interleaved list: the arm (its row) that each item was drafted by, -1 for none."""
    credit: tuple[float, ...] = ()
    """In an interleaved list: what a click on each item counts for the second arm, debiased (see `interleaving`)."""
    degraded: tuple[str, ...] = ()
    """Fallbacks that the page named."""
    milliseconds: float = 0.0
    """How long the engine took."""

    @property
    def unit(self) -> str:
        """The unit of experiments that this page belongs to: the shopper, a guest by the visit, "" for nobody."""
        return f"u:{self.user}" if self.user else f"s:{self.session}" if self.session else ""
