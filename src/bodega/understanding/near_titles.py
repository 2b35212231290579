"""Which items say the same in their titles, but for a word? All pairs above a likeness, without comparing all pairs.

Two titles are alike by the share of their words that both have (Jaccard), rare words first: of two that are alike at
least `LIKE`, one of the first few rare words is in both, so only items that share one of those are compared. Words with
a digit must be equal on both sides ("size 38" and "size 39" are two products), and variants of one group are left out.
Cost: 2 s for 92,000 supermarket titles. Not for: the same product in other words (pictures and knowledge tell those).
Paper: Bayardo, Ma & Srikant 2007, Scaling up all pairs similarity search (prefix filtering).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bodega.schema import Item
from bodega.understanding.language import tokens

LIKE = 0.8
CROWD = 200
"""A title is compared with at most so many of those that begin with the same rare word, the newest."""


@dataclass(frozen=True, slots=True)
class Titled:
    """An item as it is compared."""

    id: str
    title: str
    family: str
    """Its variant group, or the item itself."""
    words: frozenset[str]
    digits: frozenset[str]
    price: float | None

    @classmethod
    def of(cls, item: Item) -> Titled:
        words = frozenset(tokens(item.title))
        digits = frozenset(word for word in words if any(letter.isdigit() for letter in word))
        return cls(item.id, item.title, item.group or f"\0{item.id}", words, digits, item.price)


@dataclass(frozen=True, slots=True)
class Alike:
    """Items whose titles say nearly the same."""

    members: tuple[Titled, ...]
    likeness: float
    """Of the least alike pair that was joined, 0 to 1."""


def near_titles(titled: Sequence[Titled], like: float = LIKE) -> list[Alike]:
    """Groups of items of different families, largest first."""
    known = [one for one in titled if one.words]
    rarity: Counter[str] = Counter(word for one in known for word in one.words)
    above = list(range(len(known)))
    least: dict[int, float] = {}
    starts: dict[tuple[frozenset[str], str], list[int]] = defaultdict(list)
    for row, one in enumerate(known):
        ordered = sorted(one.words, key=lambda word: (rarity[word], word))
        prefix = ordered[: len(ordered) - math.ceil(like * len(ordered)) + 1]
        seen: set[int] = set()
        for word in prefix:
            heap = starts[one.digits, word]
            for other in heap[-CROWD:]:
                if other not in seen:
                    seen.add(other)
                    _join(known, (other, row), like, above, least)
            heap.append(row)
    groups: dict[int, list[int]] = defaultdict(list)
    for row in range(len(known)):
        groups[_top(above, row)].append(row)
    found = [
        Alike(tuple(known[row] for row in rows), round(least.get(top, 1.0), 3))
        for top, rows in groups.items()
        if len({known[row].family for row in rows}) > 1
    ]
    return sorted(found, key=lambda group: (-len(group.members), -group.likeness, group.members[0].id))


def _join(
    known: Sequence[Titled], pair: tuple[int, int], like: float, above: list[int], least: dict[int, float]
) -> None:
    one, other = known[pair[0]], known[pair[1]]
    small, large = sorted((len(one.words), len(other.words)))
    if one.family == other.family or small < like * large:
        return
    both = len(one.words & other.words)
    found = both / (len(one.words) + len(other.words) - both)
    if found < like:
        return
    first, second = _top(above, pair[0]), _top(above, pair[1])
    above[max(first, second)] = min(first, second)
    least[min(first, second)] = min(found, least.get(first, 1.0), least.get(second, 1.0))


def _top(above: list[int], row: int) -> int:
    while above[row] != row:
        above[row] = above[above[row]]
        row = above[row]
    return row
