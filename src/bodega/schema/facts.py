"""The nouns of mined knowledge: a fact of an item, what speaks for it, and what a merchant decided of it.

A fact is one value of one column of the catalog that the shop did not type in: it was read in a title, a description,
a category path, an article number, a review. It names its evidence, so that a person can check it in a second.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

Status = Literal["mined", "accepted", "rejected"]
How = Literal["dictionary", "lexicon", "pattern", "tagger", "words", "category", "review"]
EVERY_ITEM = ""
"""The item of a decision that holds for all items."""


class FactEvidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Characters [start, end) of a field of the item, and how they were understood.

    `how`: `dictionary` (a value of the shop's own), `lexicon` (a word everybody uses), `pattern` (an amount, a size),
    `tagger` (a model of titles), `words` (words that go with the value elsewhere in the shop), `category`, `review`.
    """

    field: str
    start: int
    end: int
    text: str
    how: How
    have: int = 0
    """Of the `had` products of the shop with these characters so many have the value; both 0 where nobody counted."""
    had: int = 0


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`item` has `value` in the column `attribute`, with this confidence (0 to 1, calibrated where the shop has items
    to calibrate on)."""

    item: str
    attribute: str
    """The column of the catalog it belongs into: `color`, `brand`, `size_ml`."""
    value: str
    kind: str = "attribute"
    """`brand`, `colour`, `size`, `material`, `audience`, `pattern`, `season`, `quantity`, or `attribute`."""
    number: float | None = None
    """The value in the column's unit, where the column holds numbers."""
    confidence: float = 1.0
    evidence: tuple[FactEvidence, ...] = ()
    conflicts: tuple[str, ...] = ()
    """What the shop itself says instead; it is shown and stands, unless somebody accepts the fact."""
    status: Status = "mined"

    @property
    def key(self) -> FactKey:
        return FactKey(self.item, self.attribute, self.value)


class FactKey(NamedTuple):
    """What a decision is about; an empty item means every item."""

    item: str
    attribute: str
    value: str


class FactDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant's word on a fact: it holds however often the catalog is mined again."""

    item: str
    attribute: str
    value: str
    accepted: bool
    who: str
    time: datetime

    @property
    def key(self) -> FactKey:
        return FactKey(self.item, self.attribute, self.value)


class FactQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which facts? Everything left out matches all; `after` is the key of the last fact of the page before."""

    item: str = ""
    attribute: str = ""
    value: str = ""
    status: str = ""
    """`mined`, `accepted` or `rejected`."""
    least: float = 0.0
    """Confidence at least this."""
    most: float = 1.0
    """Confidence at most this."""
    conflicts: bool | None = None
    """True: only those that contradict the shop; False: only others."""
    limit: int = 50
    after: tuple[str, str, str] | None = None


class FactCount(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one attribute, in numbers."""

    attribute: str
    kind: str
    facts: int
    items: int
    conflicts: int
    accepted: int
    rejected: int
