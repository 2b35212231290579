"""In what order, with everything known? The stage that re-ranks the head of the fusion's order by learned features.

The fusion's weighted sum orders all candidates; the best `head` of them get all features and a model's score, the rest
keeps its order below them. Where no source that has a weight says anything (a guest), the fusion's order stands.
`probability` is calibrated on cases the model never saw; `values` turns the order by it into one by expected value.
Cost: 500 candidates x 4 sources .9 ms on the whole (docs/decisions/0024). Not for: what is retrieved; rules; filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np

from bodega.errors import BadRequest, SnapshotCorrupt
from bodega.features import STANDARD, Asked, Feature, State, every, table, widths
from bodega.ranking.fuse import Fusion
from bodega.ranking.learned._net_model import Network
from bodega.ranking.learned.calibration import Calibration
from bodega.ranking.learned.linear import Linear
from bodega.ranking.learned.model import Model, Table
from bodega.ranking.learned.opinions import Heard, Opinions
from bodega.ranking.learned.trees import Trees
from bodega.schema import Candidates, Context
from bodega.schema.arrays import Floats, Ints, Longs

HEAD: Final = 100
"""Candidates that get a close look (docs/decisions/0024)."""


@dataclass(frozen=True)
class Recipe:
    """How features are made: the same object trains and serves."""

    place: str
    fusion: Fusion
    state: State
    sources: tuple[str, ...]
    head: int = HEAD
    features: tuple[Feature, ...] = STANDARD

    @cached_property
    def opinions(self) -> Opinions:
        return Opinions(self.fusion)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The name of every column of a table."""
        return widths((self.opinions, *every(self.features, self.state)), self.sources)

    @cached_property
    def owners(self) -> Ints:
        """The source that each column speaks for, -1 for none: (n_columns,)."""
        own = Opinions.owners(self.sources)
        return np.concatenate([own, np.full(len(self.columns) - len(own), -1, np.int32)])

    @cached_property
    def sum_at(self) -> int:
        """The column of the fusion's score."""
        return self.columns.index("sum.score")

    def answers(self, candidates: Candidates) -> bool:
        """Does any source with a weight know anything here?"""
        held = self.fusion.weights.get(self.place, {})
        speaks = np.asarray(np.isfinite(candidates.scores).any(axis=0)).tolist()
        return any(
            bool(says) and held.get(source, 0) > 0 for source, says in zip(candidates.sources, speaks, strict=False)
        )

    def headed(self, context: Context, candidates: Candidates) -> tuple[Ints, Floats, Table]:
        """(all rows in the fusion's order, its score of every row, the table of the first `head`)."""
        heard = self.opinions.heard(Asked(context, candidates, self.state))
        order = np.argsort(-heard.total, kind="stable").astype(np.int32)
        return order, heard.total, self._table(context, candidates, heard, order[: self.head])

    def table(self, context: Context, candidates: Candidates, rows: Ints) -> Table:
        """The features of these rows, seen among all candidates."""
        return self._table(context, candidates, self.opinions.heard(Asked(context, candidates, self.state)), rows)

    def _table(self, context: Context, candidates: Candidates, heard: Heard, rows: Ints) -> Table:
        asked = Asked(context, candidates.take(rows), self.state)
        return Table(np.concatenate([heard.of(rows), table(every(self.features, self.state), asked)]), asked)


@dataclass(frozen=True)
class Ranker:
    """A `Stage` for one place.

    Answers: the place it was fitted for.  Needs: candidates with the sources it was fitted with, a `State`.  Good for:
    the order of the first page.  Not for: deciding what is a candidate.  Relations: `fit_ranker` makes it and says
    whether it may be served; `Fusion` is its base, its fallback and its first feature.
    """

    recipe: Recipe
    model: Model
    calibration: Calibration = field(default_factory=Calibration)
    values: Mapping[str, float] = field(default_factory=dict)
    """{"price": w, "margin": w, ...}: score = probability x (1 + sum of w x value of the item, 0 to 1); empty: off."""
    worth: Mapping[str, Floats] = field(default_factory=dict)
    """{name: (n_items,) value of each item, 0 to 1} for the names of `values`."""

    def rank(self, context: Context, candidates: Candidates) -> Candidates:
        """The same candidates, best first, `score` set (falling; the tail keeps the fusion's order)."""
        if not len(candidates) or not self.serves(candidates):
            return self.recipe.fusion.rank(context, candidates)
        rows, score = self.order(context, candidates)
        return Candidates(candidates.items[rows], candidates.scores[rows], score, candidates.sources)

    def order(self, context: Context, candidates: Candidates) -> tuple[Ints, Floats]:
        """(rows of the candidates, best first, and their falling scores); for candidates that it `serves`."""
        order, total, head = self.recipe.headed(context, candidates)
        score = self._final(head)
        own = np.argsort(-score, kind="stable")
        first, rest = order[: len(score)][own], order[len(score) :]
        tail = total[rest]
        if len(rest):  # below the head, in steps of the fusion
            tail = score[own[-1]] - 1 - (total[first].max(initial=tail[0]) - tail)
        return np.concatenate([first, rest]), np.concatenate([score[own], tail]).astype(np.float32)

    def serves(self, candidates: Candidates) -> bool:
        """Are these the sources it was fitted with, and do they say anything?"""
        return candidates.sources == self.recipe.sources and self.recipe.answers(candidates)

    def probability(self, context: Context, candidates: Candidates) -> Floats:
        """Calibrated chance that the shopper takes each candidate next: (n,)."""
        rows = np.arange(len(candidates), dtype=np.int32)
        return self.calibration.probability(self.model.score(self.recipe.table(context, candidates, rows)))

    def contributions(self, context: Context, candidates: Candidates, rows: Ints | None = None) -> Floats:
        """(n, n_features): how far each feature (`recipe.columns`) moved each candidate's score; `rows`: only these.

        Features compare candidates with each other, so give all of them, and say in `rows` whose you want to see.
        """
        rows = np.arange(len(candidates), dtype=np.int32) if rows is None else rows
        return self.model.contributions(self.recipe.table(context, candidates, rows))

    def shares(self, context: Context, candidates: Candidates, rows: Longs | None = None) -> Floats:
        """Part of each candidate's score that each source gave: (n, n_sources), rows sum to 1 (see `Fusion.shares`).

        Of the sources' shares in the sum: the model moves what they found, it finds nothing itself.
        """
        return self.recipe.fusion.shares(context, candidates, rows)

    def valued(self, values: Mapping[str, float], worth: Mapping[str, Floats]) -> Ranker:
        """The same ranker with business value in its order. Raises BadRequest for a weight that is not a number, or a
        value that is not known of the items."""
        for name, weight in values.items():
            if not np.isfinite(weight) or weight < 0 or name not in worth:
                raise BadRequest(
                    "this business value cannot be used",
                    where=f"values[{name!r}]",
                    allowed=f"a weight of 0 or more on one of: {', '.join(sorted(worth)) or 'nothing known'}",
                    got=weight,
                )
        return replace(self, values=dict(values), worth=dict(worth))

    def _final(self, head: Table) -> Floats:
        score = self.model.score(head)
        weights = {name: weight for name, weight in self.values.items() if weight}
        if not weights:
            return score
        gain = np.ones(len(score), np.float32)
        for name, weight in weights.items():
            gain += np.float32(weight) * np.nan_to_num(self.worth[name][head.asked.items], nan=0.0)
        expected = self.calibration.probability(score) * gain
        place = np.empty(len(score), np.float32)  # equal expectations stay in the model's order
        place[np.lexsort((score, expected))] = np.linspace(0, 1e-6, len(score), dtype=np.float32)
        return (expected + place).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Into the (existing, empty) folder; the state is saved by whoever owns it, once for all places."""
        facts = _Facts(
            kind=self.model.kind,
            place=self.recipe.place,
            sources=self.recipe.sources,
            columns=self.recipe.columns,
            head=self.recipe.head,
            values=dict(self.values),
        )
        (folder / "ranker.json").write_bytes(msgspec.json.encode(facts, order="sorted"))
        self.calibration.save(folder)
        self.model.save(folder)

    @classmethod
    def load(cls, folder: Path, fusion: Fusion, state: State, worth: Mapping[str, Floats] | None = None) -> Self:
        """Raises SnapshotCorrupt for a file that cannot be served, or one of a version with other features."""
        path = folder / "ranker.json"
        try:
            facts = msgspec.json.decode(path.read_bytes(), type=_Facts)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
            raise SnapshotCorrupt("a learned ranker cannot be read", where=str(path), got=str(error)) from error
        recipe = Recipe(facts.place, fusion, state, facts.sources, facts.head)
        if recipe.columns != facts.columns:
            raise SnapshotCorrupt(
                "this ranker was learned with other features",
                where=str(path),
                allowed=", ".join(recipe.columns),
                got=", ".join(facts.columns),
                next="bodega learn",
            )
        model = _opened(facts.kind, folder, len(facts.columns))
        return cls(recipe, model, Calibration.load(folder), facts.values, worth or {})


class _Facts(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    place: str
    sources: tuple[str, ...]
    columns: tuple[str, ...]
    head: int
    values: dict[str, float] = {}


def _opened(kind: str, folder: Path, n_columns: int) -> Model:
    """The kinds of models that a snapshot may hold."""
    if kind == Linear.kind:
        return Linear.load(folder, n_columns)
    if kind == Trees.kind:
        return Trees.load(folder, n_columns)
    if kind == Network.kind:
        return Network.load(folder, n_columns)
    known = ", ".join((Linear.kind, Trees.kind, Network.kind))
    raise SnapshotCorrupt("a learned ranker of an unknown kind", where=str(folder), allowed=known, got=kind)
