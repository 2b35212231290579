"""What was known of an item at a moment of the past? The ranker's own features, over a state that is written on.

The sources were fitted before; the state of the features sees every event once, in order, as it does while serving.
Items are described among the candidates that the sources would have given, because ranks and gaps compare candidates.
Cost: the sources' candidates (a few ms) and 10 us an event. Not for: learning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bodega.features import State
from bodega.ranking.fuse import CANDIDATES, Fitted, Fusion, scored
from bodega.ranking.learned.ranker import Recipe
from bodega.schema import Context, Log, World
from bodega.schema.arrays import Floats, Ints


class AsOf:
    """A `tasks.Describes`: the columns of a ranker's recipe, as of the events it was told.

    `world` is what the sources were fitted on: nothing from its end on is known until `see` tells it.
    """

    def __init__(
        self,
        sources: Sequence[Fitted],
        world: World,
        weights: Mapping[str, float] | None = None,
        place: str = "home",
        per_source: int = CANDIDATES,
    ) -> None:
        names = tuple(source.name for source in sources)
        fusion = Fusion({place: dict(weights or dict.fromkeys(names, 1.0))}, per_source)
        self.sources, self.per_source = tuple(sources), per_source
        self.recipe = Recipe(place, fusion, State.fit(world), names)
        self.columns = self.recipe.columns
        self._until, self._seen = world.until, 0

    def see(self, log: Log, upto: int) -> None:
        """Events before the end of `world` are in the state already."""
        first = max(self._seen, int(np.searchsorted(log.time, self._until, "left")))
        rows = slice(first, upto)
        told = (log.item[rows], log.type[rows], log.time[rows], log.value[rows])
        for event in zip(*(column.tolist() for column in told), strict=True):
            self.recipe.state.writes(*event)
        self._seen = max(self._seen, upto)

    def candidates(self, context: Context) -> Ints:
        """The union of what the sources retrieve."""
        found = [source.retrieve(context, self.per_source).items for source in self.sources]
        return np.unique(np.concatenate([np.empty(0, np.int32), *found])).astype(np.int32)

    def describe(self, context: Context, items: Ints) -> Floats:
        together = np.union1d(self.candidates(context), items).astype(np.int32)
        found = scored(self.sources, context, together)
        rows = np.searchsorted(together, items).astype(np.int32)
        return np.ascontiguousarray(self.recipe.table(context, found, rows).values.T)
