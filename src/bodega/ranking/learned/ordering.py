"""Who orders which place? A learned ranker where one has proved itself, the fusion everywhere else: one stage for all.

It has the same two doors as `Fusion` (`rank`, `shares`), so whoever serves lists need not know which of them ranked.
Cost: that of the ranker or of the fusion. Not for: choosing (`fit_ranker` does, at learning time).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

import msgspec

from bodega.errors import SnapshotCorrupt
from bodega.features import State
from bodega.ranking.fuse import Fusion
from bodega.ranking.learned.ranker import Ranker
from bodega.schema import Candidates, Context, ItemTable
from bodega.schema.arrays import Codes, Doubles, Floats, Ints

STATE: Final = "state"
"""Folder of what the features remember: one for all places."""


@dataclass(frozen=True)
class Ordering:
    """A `Stage` for all places. Immutable but for `state`, which events write."""

    fusion: Fusion
    rankers: Mapping[str, Ranker] = field(default_factory=dict)
    """{place: ranker}; a place that is missing is ordered by the fusion."""
    state: State | None = None
    """What the rankers' features remember; None without rankers."""

    def rank(self, context: Context, candidates: Candidates) -> Candidates:
        """The same candidates, best first, `score` set."""
        ranker = self.rankers.get(context.place)
        return (ranker or self.fusion).rank(context, candidates)

    def shares(self, context: Context, candidates: Candidates) -> Floats:
        """Part of each candidate's score that each source gave: (n, n_sources), rows sum to 1."""
        ranker = self.rankers.get(context.place)
        return (ranker or self.fusion).shares(context, candidates)

    def reasons(
        self, context: Context, candidates: Candidates, rows: Ints, limit: int = 3
    ) -> list[list[tuple[str, float]]]:
        """For each of these rows the features that moved it most, strongest first: (column, contribution).

        Empty where the fusion ranks. Exact for linear models and trees (`exact` says so).
        """
        ranker = self.rankers.get(context.place)
        if ranker is None or not ranker.serves(candidates):
            return [[] for _ in range(len(rows))]
        names = ranker.recipe.columns
        parts = ranker.contributions(context, candidates, rows)
        order = (-abs(parts)).argsort(axis=1, kind="stable")[:, :limit]
        return [
            [(names[at], round(float(part[at]), 4)) for at in best.tolist() if part[at]]
            for part, best in zip(parts, order, strict=True)
        ]

    def writes(self, item: int, action: int, time: float, value: float = float("nan")) -> None:
        """An event that came since the snapshot was learned (see `State.writes`)."""
        if self.state is not None:
            self.state.writes(item, action, time, value)

    def absorbs(self, items: Ints, actions: Codes, times: Doubles, values: Floats) -> None:
        """Many such events at once (see `State.absorb`)."""
        if self.state is not None:
            self.state.absorb(items, actions, times, values)

    def with_blank(self) -> Self:
        """The same rankers over a state that ends in a blank item, for those that are newer than it."""
        return self if self.state is None else self._over(self.state.with_blank())

    def apart(self) -> Self:
        """The same rankers over a state of their own: what is written to it leaves this one as it is."""
        return self if self.state is None else self._over(self.state.apart())

    def _over(self, state: State) -> Self:
        rankers = {
            place: replace(ranker, recipe=replace(ranker.recipe, state=state)) for place, ranker in self.rankers.items()
        }
        return replace(self, rankers=rankers, state=state)

    def save(self, folder: Path) -> None:
        """Rankers and state into the (existing, empty) folder. The fusion is saved by whoever owns it."""
        places = sorted(self.rankers)
        (folder / "places.json").write_bytes(msgspec.json.encode(places))
        for place in places:
            own = folder / place
            own.mkdir()
            self.rankers[place].save(own)
        if places and self.state is not None:
            (folder / STATE).mkdir()
            self.state.save(folder / STATE)

    @classmethod
    def load(cls, folder: Path, fusion: Fusion, items: ItemTable) -> Self:
        """What `save` wrote; a folder that is not there (an older snapshot) is the fusion alone. SnapshotCorrupt."""
        path = folder / "places.json"
        if not path.is_file():
            return cls(fusion)
        try:
            places: Sequence[str] = msgspec.json.decode(path.read_bytes(), type=list[str])
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise SnapshotCorrupt(
                "the places of the rankers cannot be read", where=str(path), got=str(error)
            ) from error
        if not places:
            return cls(fusion)
        state = State.load(folder / STATE, items)
        return cls(fusion, {place: Ranker.load(folder / place, fusion, state) for place in places}, state)
