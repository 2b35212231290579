"""What every source shares that goes from items to items: seeds, spread over neighbour lists, become scores.

The seeds are the anchors of the request, all alike, or else the shopper's history, the newest heaviest. A source
fits its neighbour lists and says which of them answers (`_asked`); the rest is here. The scores of the latest context
are kept, since one request asks a source twice, to retrieve and to score the union: half of a home page's time was
the second time. They are held by identity, so an answer never depends on another context.
"""

from __future__ import annotations

from pathlib import Path
from typing import Generic, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.retrieval._index import Neighbours, at, load_facts, save_facts, step_weights, top_k
from bodega.schema import Candidates, Context, ItemTable
from bodega.schema.arrays import NO_INTS, Floats, Ints

Asked = tuple[Neighbours, Ints, Floats]
"""The neighbour lists that answer, the seeds, and their weights."""


FEW = 64
"""Scoring one item in so many needs no array over the catalog."""

Options = TypeVar("Options", bound=msgspec.Struct)


def nobody() -> Neighbours:
    """The neighbour lists of a source that has not learned yet."""
    return Neighbours(np.zeros(1, np.int64), NO_INTS, np.empty(0, np.float32))


def seeds_of(context: Context, decay: float) -> tuple[Ints, Floats]:
    """(seeds, weights): the anchors, each once and all alike, else the history, decayed by its steps."""
    if not len(context.items):
        return step_weights(context, decay)
    anchors = np.unique(context.items)
    return anchors, np.ones(len(anchors), np.float32)


class ItemToItem:
    """The request side of `Source` and `Explains` for models made of neighbour lists."""

    name: str
    alone = True
    """Does an item's score follow from the lists and itself alone? Then a few are scored without the rest."""

    def __init__(self) -> None:
        self._latest: tuple[Context, Floats] | None = None
        self._led: tuple[Context, Ints, Floats] | None = None

    def retrieve(self, context: Context, k: int) -> Candidates:
        if self.alone and not context.query:
            items, found = self._led_to(context)
            best = top_k(found, k)
            return Candidates.of(self.name, items[best], found[best])
        scores = self._scores(context)
        best = top_k(scores, k)
        return Candidates.of(self.name, best, scores[best])

    def score(self, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        led = self._led
        if led is not None and led[0] is context:
            return at(led[1], led[2], items)
        known = self._latest is not None and self._latest[0] is context
        neighbours, seeds, weights = self._asked(context)
        if known or not self.alone or len(items) * FEW > len(neighbours):
            return self._scores(context)[items]
        scores = self._adjusted(context, neighbours.reached(seeds, weights, items), items)
        if len(context.items):
            scores[np.isin(items, context.items)] = np.nan
        return scores

    def because(self, context: Context, items: NDArray[np.int32], limit: int) -> NDArray[np.int32]:
        """The seeds that lead to each item, strongest first (see `protocols.Explains`)."""
        neighbours, seeds, weights = self._asked(context)
        return neighbours.led_by(seeds, weights, items, limit)

    def _asked(self, context: Context) -> Asked:
        raise NotImplementedError

    def _adjusted(self, context: Context, scores: Floats, items: Ints | slice) -> Floats:
        """For a source that knows more than its lists: the scores of `items`, which it may write to."""
        del context, items
        return scores

    def _led_to(self, context: Context) -> tuple[Ints, Floats]:
        """(items ascending, scores) of all that the seeds lead to, kept for the request under way."""
        led = self._led
        if led is None or led[0] is not context:
            neighbours, seeds, weights = self._asked(context)
            items, found = neighbours.led_to(seeds, weights)
            found = self._adjusted(context, found, items)
            if len(context.items):
                elsewhere = ~np.isin(items, context.items)
                items, found = items[elsewhere], found[elsewhere]
            self._led = led = (context, items, found)
        return led[1], led[2]

    def _scores(self, context: Context) -> Floats:
        """One score an item, NaN where no seed leads; nobody needs the product on the page as its own neighbour."""
        if self._latest is not None and self._latest[0] is context:
            return self._latest[1]
        neighbours, seeds, weights = self._asked(context)
        scores = self._adjusted(context, neighbours.spread(seeds, weights), slice(None))
        scores[context.items] = np.nan
        self._latest = (context, scores)
        return scores

    def _forget(self) -> None:
        """To be called by `fit`: what was kept came from older lists."""
        self._latest = self._led = None


class OneList(ItemToItem, Generic[Options]):
    """A source that is one neighbour list an item, and the options it was made with: what it saves is these two."""

    kind: type[Options]
    """What its options are."""

    def __init__(self, options: Options | None = None) -> None:
        super().__init__()
        self.options: Options = options or self.kind()
        self.near = nobody()

    def save(self, folder: Path) -> None:
        self.near.save(folder, "near")
        save_facts(folder, self.options)

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        del items
        source = cls(load_facts(folder, cls.kind))
        source.near = Neighbours.load(folder, "near")
        return source
