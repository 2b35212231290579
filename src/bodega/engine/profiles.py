"""What does the shop make of this item? How much each part of what is known had to say, and what it is near to.

Read from the item profiles of the snapshot (`retrieval.profile`); an item that came after it is read now, of what it
has. For a person who wonders why a product stands where it stands, or whether its photo is used at all.
Cost: one search; a new item one encoding more. Not for: lists of a page.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from bodega.engine.answer import Engine
from bodega.engine.shelf import GONE
from bodega.errors import BadRequest, UnknownItem
from bodega.retrieval.profile import Profile
from bodega.schema import ItemTable

MOST = 100


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """An item that is near."""

    item: str
    title: str
    likeness: float
    """Cosine of the two profiles."""


class ItemProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an item, and how much of it counts."""

    item: str
    title: str
    gates: dict[str, float]
    """{text, words, attributes, image, behaviour: its part of 1}; what is not known is not there."""
    usual: dict[str, float]
    """The mean gate of each among the items that have it."""
    new: bool
    """Did it come after the last learn? Then nothing of what people do is in it yet."""
    near: list[Neighbour]
    """The most alike first."""


def profile_of(engine: Engine, item: str, *, k: int = 10) -> ItemProfile:
    """Raises BadRequest (also where no profiles were learned), UnknownItem."""
    if not 1 <= k <= MOST:
        raise BadRequest("a value is out of range", where="k", allowed=f"1 to {MOST}", got=str(k)[:40])
    source: Any = engine.learned.sources.get(Profile.name)
    if not isinstance(source, Profile) or source.facts is None:
        raise BadRequest(
            "this snapshot has no item profiles",
            where="profile.learn",
            allowed='a snapshot learned of a shop with pictures, or with `learn = "always"` under [profile]',
            next='bodega pictures, or learn = "always" in bodega.toml; then bodega learn',
        )
    shelf = engine.shelf
    row = shelf.row(item)
    if row == GONE:
        raise UnknownItem(
            "there is no such item", code="item.unknown_profile", where="item", got=item[:80], next="bodega search"
        )
    known = int(shelf.known_as[row])
    new, place = known == GONE, max(known, 0)
    held = source.beside(ItemTable.of([shelf.delta.item(row - len(shelf.base))])) if new else source
    vector = held.vectors.vectors(np.array([place], np.int32))[0]
    rows, scores = source.vectors.search(vector, k + 1) if vector.any() else (np.empty(0, np.int32), np.empty(0))
    current = shelf.current(rows)
    near = [
        Neighbour(item=shelf.id(int(now)), title=shelf.title(int(now)), likeness=round(float(score), 4))
        for now, score in zip(current, scores, strict=True)
        if int(now) not in (GONE, row)
    ]
    return ItemProfile(
        item=item,
        title=shelf.title(row),
        gates=dict(held.gates(np.array([place], np.int32))[0]),
        usual=source.facts.gates,
        new=new,
        near=near[:k],
    )
