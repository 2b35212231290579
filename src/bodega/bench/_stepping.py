"""The shop of `bench.online` whose order small steps correct: what would its pages have taught it?

Nobody was shown our pages, so a day is read as if: each household finds its list, looks down to the last thing that it
bought that day, and passes over what it did not buy. That is kinder to the steps than clicks are (a purchase is no
accident), and it is what a log of baskets can say. Lessons are learned when the day is over; the next day's pages use
them. Cost: 2 ms a page. Not for: judging a shop's own clicks (`bodega_ranking_steps` in its metrics does).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bodega.engine.correcting import Correcting, Lesson
from bodega.engine.places import PLACES
from bodega.engine.shelf import Shelf
from bodega.evaluation.case import Case
from bodega.evaluation.judge import Scorer
from bodega.protocols import Source
from bodega.ranking.fuse import Fusion, gather
from bodega.schema import Candidates, Context

PAGE = 20
"""Items of a page."""


class Stepping:
    """One place's order over these sources, with a correction."""

    def __init__(self, place: str, sources: Mapping[str, Source], shelf: Shelf) -> None:
        weights = PLACES[place].weights
        self._place, self._sources, self._shelf = place, sources, shelf
        self._fusion = Fusion({place: {name: weights[name] for name in sources if name in weights}})
        self.correcting = Correcting("")

    def scorer(self) -> Scorer:
        return lambda context: self._moved(context)[0]

    def _moved(self, context: Context) -> tuple[Candidates, Sequence[Lesson], tuple[str, ...]]:
        """The order, and its first page as lessons that nobody has answered yet."""
        ranked = self._fusion.rank(context, gather(list(self._sources.values()), context))
        moved = self.correcting.moved(context, ranked, self._fusion.shares(context, ranked), self._shelf)
        shown = [
            Lesson(self._place, int(item), tuple(x.tolist()), number, False, "")
            for number, (item, x) in enumerate(zip(moved.items[:PAGE], moved.x[:PAGE], strict=True))
        ]
        return moved.ranked, shown, moved.names

    def told(self) -> dict[str, float]:
        """What the guard of this place says: used now, taken back how often, lower bound of its gain in log loss."""
        return {
            f"{self._place}.{name}": value
            for guard in self.correcting.guards(self._place)
            for name, value in (
                ("used", float(guard.open)),
                ("rolled_back", float(guard.rolled_back)),
                ("gain_low", max(guard.low, -1.0)),
            )
        }

    def read(self, cases: Sequence[Case]) -> int:
        """Show each case its page and learn from what was bought; returns the impressions learned from."""
        learned = 0
        for case in cases:
            _, shown, names = self._moved(case.context)
            bought = [each.item in case.relevant for each in shown]
            last = int(np.flatnonzero(bought)[-1]) if any(bought) else -1
            lessons = [
                Lesson(each.place, each.item, each.x, each.position, clicked, f"u{case.user}")
                for each, clicked in zip(shown[: last + 1], bought, strict=False)
            ]
            self.correcting.learn(names, lessons)
            learned += len(lessons)
        return learned
