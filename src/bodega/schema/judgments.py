"""How well does an item answer a query, and who says so? One judgment is one opinion of one judge.

    3   exactly what was asked for          1   something near it
    2   a good answer, one would take it    0   not what was asked for

Judges are people (`human`), what shoppers clicked (`clicks`) or a language model (`llm`). They are kept side by side,
none writes over another, so that their agreement can be shown. `who` is the label of a key, a click model or a
language model; never a shopper.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

GRADES = 4
"""0 to 3."""
RELEVANT = 2
"""From this grade on an item counts as right where a metric knows only right and wrong."""
Origin = Literal["human", "clicks", "llm"]
Short = Annotated[str, msgspec.Meta(max_length=200)]


class Judgment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One opinion."""

    query: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    """The words that were searched, folded as `fold_query` does."""
    item: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    grade: Annotated[int, msgspec.Meta(ge=0, le=GRADES - 1)]
    origin: Origin = "human"
    who: Short = ""
    time: float = 0.0
    """Seconds since 1970 UTC; 0: the store stamps it."""
    note: Annotated[str, msgspec.Meta(max_length=1_000)] = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What is one opinion: (query, item, origin, who)."""
        return self.query, self.item, self.origin, self.who


class JudgmentCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many opinions one judge gave."""

    origin: Origin
    who: str
    judgments: int
    queries: int


def fold_query(query: str) -> str:
    """The query as it is judged: case and spaces do not make it another.

    >>> fold_query("  Trail   Shoes ")
    'trail shoes'
    """
    return " ".join(query.casefold().split())
