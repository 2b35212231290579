"""What is worth a person's judgment? Queries whose judges differ, then those nobody judged, the most asked first.

Only queries that at least `understand.people` different people asked are shown. An item of the first ten of a query is
worth looking at where judges differ by two grades or more, where clicks are too thin to say, or where nobody said
anything yet; and only if the person who asks has not judged it. Cost: one search for each query that is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from bodega.schema import Item
from bodega.schema.judgments import Judgment

FIRST = 10
APART = 2
"""Grades between two opinions that are a quarrel."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One product to be judged."""

    id: str
    title: str = ""
    brand: str = ""
    category: str = ""
    image: str = ""
    price: float | None = None
    currency: str = ""
    why: str
    """`quarrel`: judges differ; `thin`: clicks do not say; `new`: nobody said anything."""
    said: dict[str, int] = {}
    """{judge: grade} of others."""


class QueueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One query with its products, in the order of the page."""

    query: str
    people: int
    """So many different people asked it."""
    judged: int
    """Products of the first ten that this person has judged."""
    items: tuple[Asked, ...]


Finds = Callable[[str], Sequence[Item]]
"""The first ten products for a query."""


def queue(
    asked: Sequence[tuple[str, int]], judgments: Iterable[Judgment], find: Finds, who: str, limit: int, most: int = 200
) -> list[QueueEntry]:
    """At most `limit` queries worth this person's time, quarrels first. `asked`: (query, people), most people first."""
    said: dict[str, dict[str, dict[str, int]]] = {}
    for each in judgments:
        name = each.who if each.origin == "human" else each.origin
        said.setdefault(each.query, {}).setdefault(each.item, {})[name] = each.grade
    quarrels = [pair for pair in asked if any(_quarrel(own, who) for own in said.get(pair[0], {}).values())]
    rest = [pair for pair in asked if pair not in set(quarrels)]
    out: list[QueueEntry] = []
    for query, people in [*quarrels, *rest][:most]:
        entry = _entry(query, people, find(query), said.get(query, {}), who)
        if entry.items:
            out.append(entry)
        if len(out) == limit:
            break
    return out


def _entry(query: str, people: int, found: Sequence[Item], said: dict[str, dict[str, int]], who: str) -> QueueEntry:
    items = []
    mine = 0
    for item in found[:FIRST]:
        own = said.get(item.id, {})
        if who in own:
            mine += 1
            continue
        items.append(
            Asked(
                id=item.id,
                title=item.title,
                brand=item.brand,
                category=" > ".join(item.category),
                image=item.images[0] if item.images else "",
                price=item.price,
                currency=item.currency,
                why="quarrel" if _quarrel(own, who) else "thin" if own else "new",
                said=own,
            )
        )
    return QueueEntry(query=query, people=people, judged=mine, items=tuple(items))


def _quarrel(said: dict[str, int], who: str) -> bool:
    return who not in said and bool(said) and max(said.values()) - min(said.values()) >= APART
