"""Do the variants of a product make sense together? Groups of items that a shopper chooses among.

Three things break a variant picker: a group of one, two variants with the same options, a variant that lacks an
option its siblings have. Cost: a few hundred bytes a grouped item. Not for: making groups (exports say them).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

import msgspec

from bodega.schema import Item

Problem = Literal["alone", "same_options", "lacks_option"]


class Member(msgspec.Struct, frozen=True):
    """What is kept of a variant."""

    id: str
    title: str
    options: tuple[tuple[str, str], ...]


class Groups:
    """Collects grouped items; `problems` lists those that break their picker."""

    def __init__(self) -> None:
        self._members: dict[str, list[Member]] = defaultdict(list)

    def saw(self, item: Item) -> None:
        if item.group:
            options = tuple(sorted(item.options.items()))
            self._members[item.group].append(Member(item.id, item.title, options))

    def __len__(self) -> int:
        return len(self._members)

    def siblings(self) -> dict[str, set[str]]:
        """{group: ids of its variants}."""
        return {group: {member.id for member in members} for group, members in self._members.items()}

    def problems(self) -> Iterable[tuple[Problem, Member]]:
        """(what is wrong, with which variant); of several with the same options all but the first are named."""
        for members in self._members.values():
            if len(members) == 1:
                yield "alone", members[0]
                continue
            names = {name for member in members for name, _ in member.options}
            seen: set[tuple[tuple[str, str], ...]] = set()
            for member in members:
                if {name for name, _ in member.options} != names:
                    yield "lacks_option", member
                elif member.options in seen:
                    yield "same_options", member
                seen.add(member.options)
