"""What could stand in for this, and what goes with it? Two relations that plain co-occurrence mixes up.

`substitutes` are looked at within one visit and not bought together; `complements` are bought with the anchor or after
it. A pair counts as *bought together* where that happened more often than the chance of buying each, in the visits in
which both were looked at, would have made it (by more than one deviation): such a pair is never a substitute, a pair
that was looked at together and is not one of them is never a complement. So the two lists cannot share an item.
Complements have a direction: from the torch to the batteries, hardly back. What is bought is divided by how popular it
is, and a pair is kept only from the side on which it is the likelier continuation (`direction`).
Both answer lists around anchors only. Cost: one sparse product a relation (the supermarket, 1.2M lines of 66k items:
10 CPU s); a request reads 100 entries an anchor. Not for: a shopper's taste; items nobody has touched.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from bodega.retrieval._index import Neighbours
from bodega.retrieval._item_to_item import Asked, OneList
from bodega.retrieval._pairs import Pairs, RelationOptions
from bodega.schema import Context, World
from bodega.schema.arrays import NO_INTS

__all__ = ["Complements", "RelationOptions", "Substitutes"]

AROUND = frozenset({"similar", "together", "basket"})
"""The lists around anchors; elsewhere both sources are silent."""


class Substitutes(OneList[RelationOptions]):
    """Looked at instead.

    Answers: similar (together and basket only score what the other sources propose), from the anchors.
    Needs: views or clicks; without any it is silent. Good for: alternatives of the product on the page.
    Not for: complements (see the top of the file), items nobody has looked at.
    Cost: see the top of the file; 8 bytes a kept pair. Relations: `content` finds alternatives by words.
    Paper: McAuley, Pandey & Leskovec 2015 (viewed together against bought together).
    """

    name = "substitutes"
    kind = RelationOptions

    def fit(self, world: World) -> Self:
        self._forget()
        pairs = Pairs.of(world, self.options)
        self.near = Neighbours.cut(pairs.substitutes(), self.options.top)
        return self

    def _asked(self, context: Context) -> Asked:
        return _around(self.near, context)


class Complements(OneList[RelationOptions]):
    """Bought with it, or after it.

    Answers: together, basket, from the anchors. Needs: purchases (or carts), several items a visit or visits a shopper.
    Good for: what belongs to a thing, in the direction in which it does. Not for: alternatives, rare items.
    Cost: see the top of the file; 8 bytes a kept pair. Relations: `transition` counts the same pairs without
    direction inside a visit and without leaving out what is only looked at together.
    Paper: McAuley, Pandey & Leskovec 2015; Brin et al. 1997 (confidence and interest of a rule).
    """

    name = "complements"
    kind = RelationOptions

    def fit(self, world: World) -> Self:
        self._forget()
        pairs = Pairs.of(world, self.options)
        self.near = Neighbours.cut(pairs.complements(), self.options.top)
        return self

    def _asked(self, context: Context) -> Asked:
        return _around(self.near, context)


def _around(near: Neighbours, context: Context) -> Asked:
    """The anchors, each once and all alike, on the lists that have any; else no seeds."""
    seeds = np.unique(context.items) if context.place in AROUND else NO_INTS
    return near, seeds, np.ones(len(seeds), np.float32)
